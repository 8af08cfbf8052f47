"""From a clean start to a trained model, in a real browser: read, report, curate, train."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from PIL import Image
from served import PROGRAM, Served, served

import lucidray

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PASSWORD = "nobody guesses this one"
EXAMPLES = Path(lucidray.__file__).parent / "examples"

#: Films of other patients, reported one way and the other, so that there is something to learn.
OTHERS = 16

RECIPE = """
[data]
official = false
validation = 0.25
[image]
size = 32
channels = 1
normalization = "zscore"
[model]
backbone = "test_resnet"
in_channels = 1
[[phases]]
epochs = 1
learning_rate = 1e-3
"""


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Served]:
    """Serve an empty data folder, as ``lucidray serve`` does for anybody."""
    with served(tmp_path / "room") as opened:
        yield opened


@pytest.fixture
def page(browser: Any, room: Served) -> Iterator[Any]:
    """A page of a browser that has never been here; its errors fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    opened, problems = context.new_page(), []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on(
        "console",
        lambda line: problems.append(line.text) if "Content Security" in line.text else None,
    )
    opened.set_default_timeout(60_000)
    yield opened
    context.close()
    assert problems == []


def films(folder: Path) -> list[Path]:
    """Write a DICOM film with a patient, a window and a shutter of grey, and a PNG."""
    with Image.open(EXAMPLES / "adult_edema.jpg") as picture:
        grey = picture.convert("L")
    data = pydicom.dcmread(BytesIO(_dicom(grey)))
    data.PatientName, data.PatientID = "Journey^Jo", "E2E-1"
    data.PatientBirthDate, data.PatientSex, data.StudyDate = "19600229", "M", "20260102"
    data.BodyPartExamined = "CHEST"
    data.save_as(folder / "chest.dcm", enforce_file_format=True)
    with Image.open(EXAMPLES / "adult_effusion.jpg") as picture:
        picture.convert("L").save(folder / "earlier.png")
    return [folder / "chest.dcm", folder / "earlier.png"]


def _dicom(grey: Image.Image) -> bytes:
    import films as made
    import numpy as np

    stored = (4095 - np.asarray(grey, np.uint16) * 16).astype("<u2")
    return made.dicom(
        Rows=stored.shape[0],
        Columns=stored.shape[1],
        PhotometricInterpretation="MONOCHROME1",
        PixelData=stored.tobytes(),
        WindowCenter=[2048, 1700],
        WindowWidth=[4096, 2000],
        SOPInstanceUID=pydicom.uid.generate_uid(),
    )


def other_films(folder: Path) -> Path:
    """Generate films of other patients, as an archive of DICOM files."""
    words = [PROGRAM, "data", "phantom", str(folder), "--n", str(OTHERS), "--size", "128"]
    subprocess.run([*words, "--format", "dicom", "--workers", "1"], check=True, capture_output=True)
    archive = folder / "others.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for number, path in enumerate(sorted(folder.rglob("*.dcm"))):
            data = pydicom.dcmread(path)
            data.PatientID, data.PatientName = f"OTHER-{number}", f"Other^{number}"
            buffer = BytesIO()
            data.save_as(buffer, enforce_file_format=True)
            file.writestr(path.name, buffer.getvalue())
    return archive


def sign_in(page: Any, room: Served) -> None:
    """Come by the one-time link, choose a password, leave, and come back by name."""
    page.goto(room.link)
    page.get_by_role("heading", name="Today").wait_for()
    page.goto(f"{room.address}/account/password/")
    for field in page.locator("input[type=password]").all():
        field.fill(PASSWORD)
    page.locator("main form button[type=submit]").click()
    page.goto(f"{room.address}/")
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Today").wait_for()


def add_patient(page: Any, room: Served) -> None:
    """Add the patient whom the DICOM file names."""
    page.goto(f"{room.address}/patients/")
    page.get_by_role("link", name="New patient").first.click()
    page.get_by_label("Family name").fill("Journey")
    page.get_by_label("Given name").fill("Jo")
    page.get_by_label("Patient number").fill("E2E-1")
    page.get_by_role("button", name="Add patient").click()
    page.get_by_role("heading", name="Journey, Jo").wait_for()


def upload(page: Any, paths: list[Path], expected: int) -> list[str]:
    """Send files and return the addresses of their cases."""
    page.set_input_files("#files", [str(path) for path in paths])
    page.locator("#queue .taken").nth(expected - 1).wait_for(timeout=180_000)
    assert page.locator("#queue .refused").count() == 0
    links = page.locator("#queue .taken a").all()
    return [str(link.get_attribute("href")) for link in links]


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag over the film, in shares of it."""
    box = page.locator(".lr-port").first.bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move((at[0][0] + at[1][0]) / 2, (at[0][1] + at[1][1]) / 2)
    page.mouse.move(*at[1])
    page.mouse.up()


def saved(page: Any) -> None:
    """Wait until the site has everything."""
    page.locator(".lr-saved[data-state=saved]").wait_for()


def told(page: Any, room: Served, case: str) -> dict[str, Any]:
    """Return a case as the site keeps it."""
    answer = page.request.get(f"{room.address}/api/v1{case.rstrip('/')}")
    assert answer.status == 200
    return dict(answer.json())


def read(page: Any, room: Served, case: str) -> None:
    """Have the film explained in the browser, and see that nothing of it is sent."""
    sent: list[tuple[str, str]] = []
    page.on("request", lambda one: sent.append((one.method, one.url)))
    page.goto(f"{room.address}{case}read/")
    page.wait_for_selector(".lr-below .lr-line-of")
    page.keyboard.press("a")
    page.wait_for_selector(".lr-result", timeout=120_000)
    assert page.locator(".lr-finding").count() > 0
    page.keyboard.press("h")
    page.wait_for_selector(".lr-heat:visible")
    assert {method for method, _ in sent} == {"GET"}
    assert not any("?" in url for _, url in sent if "/api/" in url)


def decide(page: Any, room: Served, case: str) -> None:
    """Reject what the model said, think again, and accept it."""
    page.keyboard.press("n")
    page.get_by_text("You rejected this.").wait_for()
    saved(page)
    assert [one["decision"] for one in told(page, room, case)["decisions"]] == ["reject"]
    page.get_by_role("button", name="Accept").first.click()
    page.get_by_text("You accepted this.").wait_for()
    saved(page)
    kept = told(page, room, case)
    assert [one["decision"] for one in kept["decisions"]] == ["accept"]
    assert len(kept["readings"]) == 1
    assert kept["readings"][0]["engine"] == "browser"


def draw(page: Any, room: Served, case: str) -> None:
    """Draw, move and undo a box by mouse, then one by keyboard alone."""
    page.keyboard.press("b")
    drag(page, (0.42, 0.3), (0.55, 0.5))
    page.locator(".lr-own").first.wait_for()
    saved(page)
    drawn = told(page, room, case)["boxes"][0]["box"]
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.locator(".lr-own").first.focus()
    drag(page, (0.48, 0.4), (0.5, 0.45))
    saved(page)
    moved = told(page, room, case)["boxes"][0]["box"]
    assert moved[0] > drawn[0] and moved[1] > drawn[1]
    page.keyboard.press("Control+z")
    saved(page)
    assert told(page, room, case)["boxes"][0]["box"] == drawn
    page.locator(".lr-port").first.focus()
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.locator(".lr-own").nth(1).wait_for()
    for key in ("Shift+ArrowRight", "Alt+Shift+ArrowDown", "Enter"):
        page.keyboard.press(key)
    page.keyboard.type("Nod")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("by keys")
    page.keyboard.press("Enter")
    saved(page)
    boxes = told(page, room, case)["boxes"]
    assert [(one["finding"], one["note"]) for one in boxes[1:]] == [("Nodule", "by keys")]
    page.keyboard.press("Delete")
    saved(page)
    assert len(told(page, room, case)["boxes"]) == 1
    page.keyboard.press("Control+z")
    saved(page)
    assert len(told(page, room, case)["boxes"]) == 2


def note(page: Any, room: Served, case: str) -> None:
    """Leave a note with the case."""
    page.get_by_role("tab", name="Notes").click()
    page.get_by_label("New note").fill("Compare with the film of last year.")
    page.get_by_role("button", name="Add the note").click()
    saved(page)
    assert [one["text"] for one in told(page, room, case)["notes"]] == [
        "Compare with the film of last year."
    ]


def report(page: Any, room: Served, case: str) -> None:
    """Write, sign and print the report."""
    page.goto(f"{room.address}{case}")
    page.get_by_role("link", name="Write the report").click()
    page.get_by_label("Finding 1", exact=True).select_option("Edema")
    page.get_by_label("Impression").fill("Pulmonary edema.")
    page.get_by_role("button", name="Save and preview").click()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Sign the report").click()
    page.get_by_text("It cannot be changed any more").wait_for()
    with page.expect_download() as begun:
        page.get_by_role("link", name="PDF").click()
    assert Path(begun.value.path()).read_bytes().startswith(b"%PDF-")


def report_others(page: Any, room: Served, cases: list[str]) -> None:
    """Report the other films through the same forms, half of them with a finding."""
    for number, case in enumerate(cases):
        page.goto(f"{room.address}{case}report/edit/")
        page.get_by_label("Finding 1", exact=True).select_option("Edema")
        certainty = "present" if number % 2 else "absent"
        page.get_by_label("Certainty 1", exact=True).select_option(certainty)
        page.get_by_label("Impression").fill("As listed.")
        page.get_by_role("button", name="Save and preview").click()
        page.get_by_label("Your password").fill(PASSWORD)
        page.get_by_role("button", name="Sign the report").click()
        page.get_by_text("It cannot be changed any more").wait_for()


def export(page: Any, room: Served, folder: Path) -> Path:
    """Make a data set of what was reported, and unpack it."""
    page.goto(f"{room.address}/curate/")
    page.get_by_label("Name", exact=False).last.wait_for()
    page.locator("#id_name").fill("journey")
    page.get_by_label("I have looked for names burned into the films").check()
    page.get_by_role("button", name="Make a version").click()
    with page.expect_download() as begun:
        page.get_by_role("link", name="Download: table and COCO").click()
    with zipfile.ZipFile(begun.value.path()) as archive:
        archive.extractall(folder)
    return folder


def test_from_a_clean_start_to_a_trained_model(page: Any, room: Served, tmp_path: Path) -> None:
    sign_in(page, room)
    add_patient(page, room)
    page.get_by_role("link", name="Upload films").first.click()
    cases = upload(page, films(tmp_path), 2)
    case = next(one for one in cases if told(page, room, one)["instances"][0]["bits"] == 12)
    read(page, room, case)
    decide(page, room, case)
    draw(page, room, case)
    note(page, room, case)
    report(page, room, case)
    page.goto(f"{room.address}/upload/")
    report_others(page, room, upload(page, [other_films(tmp_path / "phantom")], OTHERS))
    folder = export(page, room, tmp_path / "journey")
    coco = json.loads((folder / "annotations.coco.json").read_text())
    assert len(coco["images"]) == OTHERS + 1
    assert sorted({one["name"] for one in coco["categories"]}) >= ["Nodule"]
    assert len(coco["annotations"]) == 2
    assert "Journey" not in (folder / "images.csv").read_text()
    checked = _run("data", "check", str(folder), "--json")
    assert json.loads(checked)["images"] == OTHERS + 1
    (tmp_path / "recipe.toml").write_text(RECIPE)
    run = tmp_path / "run"
    _run("train", str(tmp_path / "recipe.toml"), "--data", str(folder), "--out", str(run))
    assert list(run.rglob("*.safetensors"))


def _run(*words: str) -> str:
    """Run the command line on what the reading room gave out."""
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
