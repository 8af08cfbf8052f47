"""``lucidray read``: what it prints, keeps and refuses; killed, resumed, fed with bad files."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lucidray.bundle import load_bundle
from lucidray.cli import app, reading
from lucidray.cli.film_pictures import Desk
from lucidray.cli.mistakes import run
from lucidray.cli.reading import Failure, Work, read_films
from lucidray.images.geometry import heatmap_to_source
from lucidray.images.read import read_xray
from lucidray.pipeline import diagnose
from lucidray.records import Geometry, Refusal

ASKED = {"path", "bundle", "refused", "findings", "uncertain"}


@pytest.fixture(scope="session")
def open_file(trained: Path) -> Path:
    """A bundle that judges whatever it is given."""
    path = trained.parent / "open.lucid"
    assert run(app, ["bundle", "export", str(trained), "--out", str(path), "--no-gate"]) == 0
    return path


@pytest.fixture(scope="session")
def gated_file(trained: Path) -> Path:
    """A bundle that refuses what fails a quality check, as films of 40 pixels do."""
    path = trained.parent / "gated.lucid"
    assert run(app, ["bundle", "export", str(trained), "--out", str(path)]) == 0
    return path


@pytest.fixture
def films(work: Path, tmp_path: Path) -> Path:
    """Six films, a torn one, and what is none."""
    folder = tmp_path / "films"
    folder.mkdir()
    for number, source in enumerate(sorted((work / "new").rglob("*.png"))[3:9]):
        (folder / f"{number}.png").write_bytes(source.read_bytes())
    (folder / "torn.png").write_bytes((folder / "0.png").read_bytes()[:200])
    (folder / "notes.txt").write_text("no film")
    return folder


def lines(answer: Any) -> list[dict[str, Any]]:
    return [json.loads(text) for text in answer.out.splitlines()]


def kept(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in (folder / "results.jsonl").read_text().splitlines()]


def test_each_line_says_what_the_library_says(lucidray, films, open_file) -> None:
    said = lucidray("read", films, "--bundle", open_file, "--json")
    assert said.code == 0
    told = lines(said)
    bundle = load_bundle(open_file)
    assert [Path(line["path"]).name for line in told] == [f"{n}.png" for n in range(6)]
    for line in told:
        assert line.keys() >= ASKED
        found = diagnose(line["path"], bundle)
        assert (line["bundle"], line["refused"]) == ("open", None)
        assert line["image_sha256"] == found.image_sha256
        assert line["uncertain"] is bool(found.prediction.uncertainty.refer)
        entry = line["findings"][0]
        assert entry["name"] == "Pneumonia"
        assert entry["probability"] == pytest.approx(float(found.prediction.probabilities[0]))
        assert entry["positive"] is found.prediction.positive("Pneumonia")
        assert entry["threshold"] == found.prediction.operating_points["Pneumonia"]
        assert [tuple(box) for box in entry["boxes"]] == list(found.boxes["Pneumonia"])
    called = [line["findings"][0]["positive"] for line in told]
    assert {True, False} == set(called), "the films must show both calls"
    assert any(line["findings"][0]["boxes"] for line in told)
    assert "torn.png: truncated PNG" in said.err
    assert "1 no film by name and beginning" in said.err


def test_several_films_at_a_time_give_the_same_lines_in_the_same_order(
    lucidray, films, open_file
) -> None:
    argv = ("read", films, "--bundle", open_file, "--json", "--threads", 3)
    assert lines(lucidray(*argv, "--workers", 3)) == lines(lucidray(*argv, "--workers", 1))


def test_a_refusal_is_an_answer(lucidray, films, gated_file, tmp_path) -> None:
    said = lucidray("read", films / "0.png", "--bundle", gated_file, "--json")
    assert said.code == 0
    line = lines(said)[0]
    assert line["refused"] == "short_side"
    assert (line["findings"], line["uncertain"]) == ([], False)
    assert line["refusal"]["message"]
    out = tmp_path / "refused"
    plain = lucidray("read", films / "0.png", "--bundle", gated_file, "--out", out)
    assert plain.code == 0
    assert "no reliable result" in plain.out
    assert not (out / "maps").exists()
    rows = list(csv.DictReader(io.StringIO((out / "results.csv").read_text(encoding="utf-8"))))
    assert [(row["refused"], row["finding"]) for row in rows] == [("short_side", "")]
    assert "No reliable result" in (out / "index.html").read_text(encoding="utf-8")


def test_bad_files_alone_are_a_mistake(lucidray, films, open_file, tmp_path) -> None:
    said = lucidray("read", films / "torn.png", "--bundle", open_file, "--json")
    assert (said.code, said.out) == (2, "")
    assert "torn.png" in said.err
    (tmp_path / "none").mkdir()
    said = lucidray("read", tmp_path / "none", "--bundle", open_file)
    assert said.code == 2
    assert "no films here" in said.err


def test_out_keeps_lines_table_page_maps_and_pictures(lucidray, films, open_file, tmp_path) -> None:
    out = tmp_path / "out"
    said = lucidray("read", films, "--bundle", open_file, "--out", out)
    assert said.code == 0
    told = kept(out)
    assert len(told) == 6
    bundle = load_bundle(open_file)
    for line in told:
        with np.load(out / line["files"]["maps"]) as saved:
            matrix = tuple(tuple(row) for row in saved["matrix"].tolist())
            source, shape = (tuple(saved[key].tolist()) for key in ("source_shape", "shape"))
            values = heatmap_to_source(saved["maps"][0], Geometry(matrix, source, shape))
        expected = diagnose(line["path"], bundle).attributions[0]
        np.testing.assert_array_equal(values, expected.values)
        present = line["findings"][0]["positive"] and expected.status == "ok"
        assert set(line["files"]["pictures"]) == ({"Pneumonia"} if present else set())
        for place in (*line["files"]["pictures"].values(), line["files"]["film"]):
            assert (out / place).read_bytes().startswith(b"\xff\xd8\xff")
    rows = list(csv.DictReader(io.StringIO((out / "results.csv").read_text(encoding="utf-8"))))
    assert [row["path"] for row in rows] == [line["path"] for line in told]
    assert [row["positive"] for row in rows] == [
        str(line["findings"][0]["positive"]) for line in told
    ]
    failed = [json.loads(text) for text in (out / "failed.jsonl").read_text().splitlines()]
    assert [Path(each["path"]).name for each in failed] == ["torn.png"]
    assert str(out / "index.html") in said.out
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]


def test_named_findings_are_drawn_whatever_was_called(lucidray, films, open_file, tmp_path) -> None:
    argv = ("read", films, "--bundle", open_file, "--out")
    assert lucidray(*argv, tmp_path / "a", "--findings", "pneumonia,no finding").code == 0
    with_evidence = 0
    for line in kept(tmp_path / "a"):
        with np.load(tmp_path / "a" / line["files"]["maps"]) as saved:
            drawn = {"Pneumonia"} if (saved["maps"] > 0).any() else set()
            drawn |= {"No Finding"} if (saved["maps"] < 0).any() else set()
        assert set(line["files"]["pictures"]) == drawn
        with_evidence += len(drawn)
        assert bool(line["findings"][0]["boxes"]) <= bool(line["findings"][0]["positive"])
    assert with_evidence
    assert lucidray(*argv, tmp_path / "b", "--no-maps").code == 0
    assert not (tmp_path / "b" / "maps").exists()
    assert not any(line["findings"][0]["boxes"] for line in kept(tmp_path / "b"))


def test_a_second_run_reads_only_what_is_new_and_tells_all(
    lucidray, films, open_file, tmp_path, monkeypatch
) -> None:
    seen: list[str] = []

    def watch(path: Path) -> Any:
        seen.append(path.name)
        return read_xray(path)

    monkeypatch.setattr(reading, "read_xray", watch)
    argv = ("read", films, "--bundle", open_file, "--out", tmp_path / "out", "--json")
    first = lucidray(*argv)
    before = (tmp_path / "out" / "results.jsonl").read_bytes()
    seen.clear()
    again = lucidray(*argv)
    assert seen == ["torn.png"], "a bad file is tried again"
    assert again.out == first.out
    assert "6 of them had been read before" in again.err
    assert (tmp_path / "out" / "results.jsonl").read_bytes() == before
    seen.clear()
    (films / "2.png").write_bytes((films / "5.png").read_bytes())
    os.utime(films / "2.png", ns=(1, 1))
    (films / "7.png").write_bytes((films / "0.png").read_bytes())
    assert lucidray(*argv).code == 0
    assert seen == ["2.png", "7.png", "torn.png"]
    told = kept(tmp_path / "out")
    assert sorted(Path(line["path"]).name for line in told) == [
        *(f"{number}.png" for number in range(6)),
        "7.png",
    ]
    seen.clear()
    assert lucidray(*argv, "--anew").code == 0
    assert len(seen) == 8


def test_another_bundle_does_not_mix_with_what_is_there(
    lucidray, films, open_file, gated_file, tmp_path
) -> None:
    argv = ("read", films / "0.png", "--out", tmp_path / "out", "--bundle")
    assert lucidray(*argv, open_file).code == 0
    said = lucidray(*argv, gated_file)
    assert said.code == 2
    assert "holds results of another reading (bundle: open, now gated)" in said.err


def test_killed_at_any_moment_no_result_is_lost_or_doubled(
    lucidray, films, open_file, tmp_path
) -> None:
    many, out = tmp_path / "many", tmp_path / "out"
    many.mkdir()
    for number in range(150):
        (many / f"{number:03}.png").write_bytes((films / f"{number % 6}.png").read_bytes())
    argv = ["read", str(many), "--bundle", str(open_file), "--out", str(out), "--workers", "2"]
    code = f"from lucidray.cli import main; main({argv!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    ledger = out / "results.jsonl"
    while process.poll() is None and not (ledger.exists() and ledger.read_bytes().count(b"\n") > 4):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it had finished before it was killed"
    finished = ledger.read_bytes()
    finished = finished[: finished.rfind(b"\n") + 1]
    assert 4 < finished.count(b"\n") < 150
    assert lucidray(*argv).code == 0
    assert ledger.read_bytes().startswith(finished)
    names = [Path(line["path"]).name for line in kept(out)]
    assert names == [f"{number:03}.png" for number in range(150)]
    assert all((out / line["files"]["maps"]).is_file() for line in kept(out))


def test_reading_needs_neither_torch_nor_tables_nor_scipy(films, open_file, tmp_path) -> None:
    argv = ["read", str(films), "--bundle", str(open_file), "--out", str(tmp_path / "out")]
    code = (
        "import sys\nfrom lucidray.cli import main\n"
        f"try:\n    main({argv!r})\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'torch', 'pandas', 'scipy', 'matplotlib', 'pyarrow', 'timm'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_table_on_standard_output_has_one_row_an_image_and_finding(
    lucidray, films, open_file
) -> None:
    said = lucidray("read", films, "--bundle", open_file, "--csv")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    told = lines(lucidray("read", films, "--bundle", open_file, "--json"))
    assert [(row["path"], row["finding"]) for row in rows] == [
        (line["path"], "Pneumonia") for line in told
    ]
    assert [float(row["probability"]) for row in rows] == pytest.approx(
        [line["findings"][0]["probability"] for line in told]
    )


class Sources(HTMLParser):
    """What a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_on_standard_output_needs_nothing_else(lucidray, films, open_file) -> None:
    said = lucidray("read", films, "--bundle", open_file, "--html")
    assert said.code == 0
    assert said.out.startswith("<!doctype html>")
    page = Sources()
    page.feed(said.out)
    pictures = [each for each in page.found if each.startswith("data:image/jpeg;base64,")]
    assert len(pictures) >= 6
    assert all(each.startswith(("data:", "#")) for each in page.found)


def test_few_films_are_a_table_and_many_a_line_each(
    lucidray, films, open_file, monkeypatch
) -> None:
    said = lucidray("read", films, "--bundle", open_file)
    assert "counts as" in said.out
    monkeypatch.setattr("lucidray.cli.read_session.MOST_IN_TABLE", 2)
    said = lucidray("read", films, "--bundle", open_file)
    told = [line for line in said.out.splitlines() if "films" in line and "Pneumonia" in line]
    assert len(told) == 6
    assert "6 films:" in said.out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("nowhere", "no such file or folder: nowhere"),
        ("'no*where'", "nothing matches no*where"),
        ("mine --json --csv", "only one of --json, --csv and --html"),
        ("mine --engine tensorrt", "Choose one of: onnxruntime, openvino"),
        ("mine --findings Mass", "unknown finding of 'open' 'Mass'"),
        ("mine --bundle nothing.lucid", "no such bundle: nothing.lucid"),
        ("mine --bundle file/x.lucid", "no such bundle: file/x.lucid"),
        ("mine --workers 0", "greater than or equal to 1"),
        ("mine --out file", "file is a file; name a folder"),
        ("", "missing argument 'IMAGE|DIR|GLOB...'"),
    ],
)
def test_mistakes_are_told_in_one_message(lucidray, here, open_file, argv, message) -> None:
    words = argv.replace("'", "").split()
    named = [] if "--bundle" in words else ["--bundle", open_file]
    said = lucidray("read", *words, *named)
    assert (said.code, said.out) == (2, "")
    assert message in said.err.replace("\n", " ")
    assert said.err.count("error:") == 1


def test_which_bundle_reads_must_be_clear(
    lucidray, films, open_file, tmp_path, monkeypatch
) -> None:
    known: dict[str, Path] = {}
    monkeypatch.setattr("lucidray.cli.read_session.bundles", lambda: known)
    said = lucidray("read", films)
    assert said.code == 2
    assert "there is no bundle here" in said.err
    known["one"] = open_file
    monkeypatch.setattr("lucidray.bundle.installed.folders", lambda: (tmp_path,))
    (tmp_path / "one.lucid").write_bytes(open_file.read_bytes())
    assert lines(lucidray("read", films, "--json"))[0]["bundle"] == "one"
    known["two"] = open_file
    said = lucidray("read", films)
    assert said.code == 2
    assert "there are: one, two" in said.err


def test_a_segmentation_bundle_writes_masks_in_source_pixels(films, tmp_path) -> None:
    mask = np.zeros((40, 40), bool)
    mask[10:30, 5:15] = True
    refusals = iter([None, Refusal("polarity", "Inverted.")])
    bundle: Any = SimpleNamespace(
        task="segmentation",
        segment=lambda _: mask,
        refuse=lambda _: next(refusals),
        findings=("Lungs",),
        provenance={"bundle": "lungs", "bundle_sha256": "abc", "engine": "none"},
    )
    work = Work(bundle, Desk(tmp_path, pictures=True, thumbnails=64))
    done = list(read_films([films / name for name in ("4.png", "5.png", "torn.png")], work))
    assert isinstance(done[2], Failure)
    line, refused = done[0], done[1]
    assert isinstance(line, dict)
    assert isinstance(refused, dict)
    assert line.keys() >= ASKED
    assert line["lung_area_share"] == pytest.approx(200 / 1600)
    written = np.asarray(Image.open(tmp_path / "4.png"))
    np.testing.assert_array_equal(written, mask * np.uint8(255))
    assert (tmp_path / line["files"]["thumbnails"]["Lungs"]).is_file()
    assert (refused["refused"], refused["lung_area_share"]) == ("polarity", None)
    assert not (tmp_path / "5.png").exists()


def test_any_number_of_films_is_drawn_one_by_one(films) -> None:
    drawn: list[int] = []

    def endless() -> Any:
        while True:
            drawn.append(1)
            yield films / "torn.png"

    work = Work(SimpleNamespace(task="classification"))  # type: ignore[arg-type]
    outcomes = read_films(endless(), work, workers=2)
    for _ in range(30):
        assert isinstance(next(outcomes), Failure)
    assert len(drawn) <= 30 + 8
    outcomes.close()  # type: ignore[attr-defined]
