"""The model in the browser: Python's answers, checked before use; nothing of a film is sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served import READ_HERE

from lucidray.bundle.archive import pack, read
from lucidray.bundle.reference import from_bytes, to_bytes
from lucidray.bundle.runtime import load_bundle
from lucidray.images.read import read_xray

from .conftest import stand_in  # type: ignore[attr-defined]

pytestmark = pytest.mark.browser

EXAMPLES = stand_in.EXAMPLES


def entries(site: Any) -> dict[str, dict[str, Any]]:
    """The offered bundles by name."""
    return {each["entry"]["name"]: each["entry"] for each in site.bundles.values()}


@pytest.mark.parametrize("name", ["pediatric-pneumonia", "adult-opacity"])
def test_browser_and_python_agree(open_viewer: Callable[..., Any], name: str) -> None:
    paths = sorted(EXAMPLES.glob("*.jpg"))
    site = stand_in.Site(films={path.stem: (path.name, path.read_bytes()) for path in paths})
    stand_in.add_bundles(site)
    page = open_viewer(site, "quicklook", wait=".lr-drop")
    entry = entries(site)[name]
    asked = {
        "files": [path.stem for path in paths],
        "digest": entry["digest"],
        "url": entry["url"],
        "address": page.evaluate("location.origin"),
    }
    found = page.evaluate(READ_HERE, asked)
    bundle = load_bundle(name)
    for path, told in zip(paths, found, strict=True):
        reading = bundle.read(read_xray(path))
        wanted = reading.prediction
        np.testing.assert_allclose(
            [each["probability"] for each in told["findings"]], wanted.probabilities, atol=1e-4
        )
        assert (told["refusal"] or {}).get("reason") == (
            wanted.refusal.reason if wanted.refusal else None
        )
        assert [each["positive"] for each in told["findings"]] == [
            wanted.positive(each) for each in wanted.findings
        ]
        assert wanted.uncertainty is not None
        assert told["refer"] == wanted.uncertainty.refer
        assert [
            each["mayBePresent"] for each in told["findings"]
        ] == wanted.uncertainty.may_be_present.tolist()
        assert told["test"]["passed"]
        if wanted.refusal is None:
            maps = np.array([each["map"] for each in told["findings"]], np.float32)
            span = float(np.ptp(reading.maps))
            assert np.abs(maps.ravel() - reading.maps.ravel()).max() <= 1e-3 * span
        else:
            assert all(each["map"] is None for each in told["findings"])


@pytest.mark.parametrize(
    ("age", "model"),
    [(4, "Pediatric pneumonia"), (70, "Adult opacity"), (None, "Adult opacity")],
)
def test_a_model_for_the_patient_s_age_is_offered_first(
    open_viewer: Callable[..., Any], site: Any, age: int | None, model: str
) -> None:
    site.age = age
    page = open_viewer(site)
    page.get_by_role("button", name="Show the model").wait_for()
    page.locator(".lr-panel").get_by_role("button", name="Show the model").focus()
    page.keyboard.press("a")
    chosen = page.get_by_label("Model", exact=True).locator("option:checked")
    chosen.wait_for(state="attached")
    assert chosen.inner_text().startswith(model)


def test_nothing_of_a_film_is_sent(open_viewer: Callable[..., Any], site: Any) -> None:
    page = open_viewer(site)
    page.keyboard.press("a")
    page.wait_for_selector(".lr-result", timeout=60_000)
    page.keyboard.press("h")
    page.wait_for_timeout(300)
    assert {method for method, _, _ in site.requests} == {"GET"}
    assert all(body == b"" for _, _, body in site.requests)
    assert not any("?" in path for _, path, _ in site.requests)
    page.get_by_role("button", name="Keep this reading with the case").click()
    page.get_by_text("Kept with the case.").wait_for()
    sent = [(path, body) for method, path, body in site.requests if method != "GET"]
    assert [path for path, _ in sent] == ["/api/v1/cases/case-1/readings"]
    body = sent[0][1]
    told = json.loads(body)
    assert len(body) < 5000
    assert b"Secret" not in body and b"SECRET" not in body
    assert set(told) == {
        "instance",
        "bundle_digest",
        "engine",
        "engine_version",
        "refused",
        "findings",
        "uncertainty",
        "pixels_sha256",
        "self_test",
    }
    assert told["pixels_sha256"] == _known_pixels(site.films["film-1"][1])


def _known_pixels(data: bytes) -> str:
    """The digest by which the site knows a film's pixels."""
    import hashlib

    from lucidray.images.read import decode_xray

    pixels = decode_xray(data).pixels
    levels = np.rint(pixels * 65535).astype("<u2").tobytes()
    return hashlib.sha256(f"{pixels.shape[0]}x{pixels.shape[1]}:".encode() + levels).hexdigest()


def test_the_model_is_fetched_once(open_viewer: Callable[..., Any], site: Any) -> None:
    page = open_viewer(site)
    page.keyboard.press("a")
    page.wait_for_selector(".lr-result", timeout=60_000)
    fetched = [path for _, path, _ in site.requests if path.startswith("/api/v1/bundles/")]
    assert len(fetched) == 1
    page.reload()
    page.wait_for_selector(".lr-below .lr-line-of")
    page.keyboard.press("a")
    page.wait_for_selector(".lr-result", timeout=60_000)
    assert [path for _, path, _ in site.requests if path.startswith("/api/v1/bundles/")] == fetched


def other_bundle(site: Any, path: Path, members: dict[str, bytes]) -> None:
    """Offer another file in the place of the shipped models."""
    path.write_bytes(pack(members))
    digest = read(path).digest
    known = entries(site)["adult-opacity"]
    site.bundles = {
        digest: {
            "path": path,
            "entry": known | {"digest": digest, "url": f"/api/v1/bundles/{digest}/file"},
        }
    }


def test_a_changed_file_is_not_used(
    open_viewer: Callable[..., Any], site: Any, tmp_path: Path
) -> None:
    entry = entries(site)["adult-opacity"]
    data = bytearray(site.bundles[entry["digest"]]["path"].read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "changed.lucid").write_bytes(data)
    site.bundles = {entry["digest"]: {"path": tmp_path / "changed.lucid", "entry": entry}}
    page = open_viewer(site)
    page.keyboard.press("a")
    page.get_by_text("was changed after it was written").wait_for(timeout=30_000)
    assert page.get_by_role("button", name="Read on the server instead").is_visible()
    assert page.locator(".lr-result").count() == 0


def test_a_browser_that_fails_the_self_test_is_refused(
    open_viewer: Callable[..., Any], site: Any, tmp_path: Path
) -> None:
    entry = entries(site)["adult-opacity"]
    members = dict(read(site.bundles[entry["digest"]]["path"]).members)
    reference = from_bytes(members["reference.npz"])
    for answer in reference.expected:
        answer.probabilities[...] += 0.01
    members["reference.npz"] = to_bytes(reference)
    other_bundle(site, tmp_path / "other.lucid", members)
    page = open_viewer(site)
    page.keyboard.press("a")
    page.get_by_text("self-test failed").wait_for(timeout=60_000)
    assert page.locator(".lr-result").count() == 0


@pytest.mark.parametrize("name", ["not_judged_hand.jpg", "not_judged_negative.jpg"])
def test_quick_look_refuses_what_it_may_not_judge(
    open_viewer: Callable[..., Any], site: Any, name: str
) -> None:
    page = open_viewer(site, "quicklook", wait=".lr-drop")
    page.set_input_files("#lr-file", EXAMPLES / name)
    page.get_by_text("No reliable result", exact=True).wait_for(timeout=60_000)
    assert page.locator(".lr-findings").count() == 0
    assert page.locator(".lr-heat:visible").count() == 0
    assert "normal" not in page.inner_text(".lr-panel").lower()


def test_quick_look_explains_at_once(open_viewer: Callable[..., Any], site: Any) -> None:
    page = open_viewer(site, "quicklook", wait=".lr-drop")
    page.set_input_files("#lr-file", EXAMPLES / "child_pneumonia_a.jpg")
    page.wait_for_selector(".lr-heat:visible", timeout=60_000)
    words = page.inner_text(".lr-panel")
    assert "Called present: Lung Opacity." in words
    assert "Where the model looked, not a lesion outline." in words
    assert "Trust in this map:" in words
    assert {method for method, _, _ in site.requests} == {"GET"}
    assert page.evaluate("indexedDB.databases().then((all) => all.map((each) => each.name))") == [
        "lucidray"
    ]
    assert (
        page.evaluate("""() => new Promise((resolve) => {
      const open = indexedDB.open('lucidray');
      open.onsuccess = () => {
        const all = open.result.transaction('drafts').objectStore('drafts').count();
        all.onsuccess = () => resolve(all.result);
      };
    })""")
        == 0
    )


def test_read_first_locks_an_opinion(open_viewer: Callable[..., Any], site: Any) -> None:
    site.read_first = True
    page = open_viewer(site)
    page.keyboard.press("a")
    assert page.locator(".lr-result").count() == 0
    page.get_by_label("Add a finding that you see").select_option("Effusion")
    page.get_by_role("button", name="Lock my opinion and reveal").click()
    page.wait_for_selector(".lr-result", timeout=60_000)
    told = [
        json.loads(body)
        for method, path, body in site.requests
        if method == "POST" and path.endswith("/reveal")
    ]
    assert told[0]["first_opinion"] == [{"finding": "Effusion", "certainty": 0.75}]


def test_each_finding_is_accepted_edited_or_rejected(
    open_viewer: Callable[..., Any], site: Any
) -> None:
    page = open_viewer(site)
    page.keyboard.press("a")
    page.wait_for_selector(".lr-result", timeout=60_000)
    page.keyboard.press("n")
    page.get_by_text("You rejected this.").wait_for()
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_label("It is rather").select_option("Consolidation")
    page.get_by_role("button", name="Save the edit").click()
    page.get_by_text("You edited this: Consolidation.").wait_for()
    page.locator(".lr-saved[data-state=saved]").wait_for()
    reading = site.readings[0]["id"]
    assert len(site.readings) == 1
    assert site.decisions["Lung Opacity"] | {"note": ""} == {
        "finding": "Lung Opacity",
        "reading": reading,
        "decision": "edit",
        "finding_after": "Consolidation",
        "note": "",
    }
