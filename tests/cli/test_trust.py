"""``lucidray trust``: what it refuses, what it prints, what it leaves."""

from __future__ import annotations

import json

import pytest

from lucidray.bundle import load_bundle
from lucidray.cli import app, trusting
from lucidray.cli.mistakes import run
from lucidray.trust import Effort, from_json

QUICK = {
    "removal_images": 2, "removal_steps": 2, "road_images": 0, "sanity_images": 2,
    "sanity_steps": 1, "noise_images": 0, "moved_images": 0, "n_boot": 100,
}  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Measure little: what is measured is tested elsewhere."""
    monkeypatch.setattr(trusting, "Effort", lambda **given: Effort(**{**given, **QUICK}))


@pytest.fixture(scope="module")
def bundle(work, trained):
    path = trained.parent / "trusted.lucid"
    assert run(app, ["bundle", "export", str(trained), "--out", str(path), "--no-gate"]) == 0
    return path


def test_a_run_is_measured_by_several_methods_and_a_bundle_gets_the_verdicts(
    lucidray, here, trained, bundle, tmp_path
):
    out = tmp_path / "report"
    found = lucidray("trust", trained, "--data", "new", "--methods", "grad_cam,layer_cam",
                     "--images", 4, "--out", out, "--write-card", bundle, "--json")  # fmt: skip
    told = found.json()
    assert [each["finding"] for each in told["findings"]] == ["Pneumonia"]
    methods = told["findings"][0]["methods"]
    assert [each["method"] for each in methods] == ["grad_cam", "layer_cam"]
    assert told["selection"] == "images that the run has not seen"
    assert {path.name for path in out.iterdir()} == {"trust.html", "trust.json"}
    kept = json.loads((out / "trust.json").read_text())
    assert from_json(kept).to_json() == kept
    card = load_bundle(bundle).card
    assert card.explanation_verdicts == {
        "Pneumonia": f"{methods[0]['verdict']['grade']}: {methods[0]['verdict']['text']}"
    }
    assert "Pneumonia/grad_cam/faithfulness_gap" in card.explanation_trust


def test_a_bundle_says_what_it_cannot_measure(lucidray, here, bundle):
    said = lucidray("trust", bundle, "--data", "new", "--images", 3)
    assert said.code == 0
    assert "grad_cam" in said.out
    assert "needs the run" in " ".join((said.out + said.err).split())
    assert "does not list the films that it learned from" in " ".join(said.err.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("runs/nowhere", "--data", "new"), "no such run folder: runs/nowhere"),
        (("nowhere", "--data", "new"), "bundle 'nowhere'"),
        (("runs/first", "--data", "gone"), "no such data folder: gone"),
        (("runs/first", "--data", "new", "--split", "tset"), "unknown split 'tset'"),
        (("runs/first", "--data", "new", "--methods", "gradcam"), "did you mean 'grad_cam'"),
        (("runs/first", "--data", "new", "--methods", ","), "no method is named"),
        (("runs/first", "--data", "new", "--findings", "Mass"), "finding of this run 'Mass'"),
        (("runs/first", "--data", "new", "--out", "file"), "file is a file"),
        (("runs/first", "--data", "new", "--lungs", "runs/trusted.lucid"), "outlines nothing"),
        (("runs/trusted.lucid", "--data", "new", "--shortcut"), "a bundle holds one"),
        (("runs/first", "--data", "new", "--images", "0"), "--images"),
    ],
)
def test_mistakes_are_told_before_anything_slow(lucidray, here, bundle, words, message):
    said = lucidray("trust", *words)
    assert said.code == 2
    assert message in " ".join(said.err.split())
    assert "Traceback" not in said.err
