"""``lucidray bundle``: written, checked, looked at, compared, imported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from lucidray.bundle import load_bundle
from lucidray.bundle.card import from_json
from lucidray.bundle.gate import Gate
from lucidray.cli import app
from lucidray.cli.mistakes import run


@pytest.fixture(scope="session")
def exported(work: Path, trained: Path) -> Path:
    """A bundle that was measured on new films and knows what its author says."""
    path = trained.parent / "measured.lucid"
    (work / "about.toml").write_text(
        'summary = "Tells bright spots."\nlicense = "CC0"\nlimits = "Tiny films only."\n'
        "experimental = true\n"
    )
    argv = ["bundle", "export", trained, "--out", path, "--data", work / "new"]
    more = ["--about", work / "about.toml", "--bootstrap", 50]
    assert run(app, [str(word) for word in (*argv, *more)]) == 0
    return path


def test_an_export_carries_performance_calibration_and_words(exported) -> None:
    card = load_bundle(exported).card
    assert (card.name, card.summary, card.license) == ("measured", "Tells bright spots.", "CC0")
    assert card.experimental
    assert card.calibration.method == "platt"
    found = card.performance[0]
    assert (found.data, found.images) == ("new images of folder", 12)
    auc = found.measurements["Pneumonia"]["auc"]
    assert auc.value is not None
    assert 0 <= auc.value <= 1
    assert auc.count == 12
    assert card.gate == Gate("quality"), "too few films to fit likeness on"
    assert card.uncertainty is not None


def test_an_export_says_what_it_wrote_and_what_it_could_not(lucidray, here, trained, tmp_path):
    out = tmp_path / "deep" / "x.lucid"
    argv = ("bundle", "export", trained, "--out", out, "--calibration", "none")
    found = lucidray(*argv, "--data", "mine", "--split", "validation", "--bootstrap", 0, "--json")
    told = found.json()
    assert told["calibration"] == "none"
    assert told["findings"] == ["Pneumonia"]
    assert told["probability_difference"] <= 1e-5
    assert told["map_difference"] <= 1e-4
    assert "holds 22 of the films it learned from, 40 are needed" in told["notes"][0]
    assert [path.name for path in out.parent.iterdir()] == ["x.lucid"]
    said = lucidray(*argv)
    assert "x.lucid" in said.out
    assert "Next: lucidray read FILM --bundle" in said.out
    assert "only image quality is checked" in said.err


def test_lower_precision_says_what_it_costs_or_is_refused(lucidray, here, trained, tmp_path):
    out = tmp_path / "half.lucid"
    argv = ("bundle", "export", trained, "--out", out, "--precision")
    told = lucidray(*argv, "fp16", "--data", "mine", "--split", "validation", "--json").json()
    assert told["precision"] == "fp16"
    assert told["precision_loss"]["images"] == 10
    assert load_bundle(out).card.name == "half"
    said = lucidray(*argv, "int8")
    assert said.code == 2
    assert "add --data DIR with labeled images" in said.err


def test_verify_passes_what_is_whole_and_names_what_is_not(lucidray, exported, tmp_path):
    found = lucidray("bundle", "verify", exported, "--json").json()["bundles"]
    assert [(each["passed"], each["error"], each["images"]) for each in found] == [(True, None, 4)]
    data = bytearray(exported.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "changed.lucid").write_bytes(data)
    said = lucidray("bundle", "verify", exported, tmp_path / "changed.lucid")
    assert said.code == 2
    assert "every byte as written" in said.out
    assert "changed.lucid was changed after it was written" in said.err
    found = lucidray("bundle", "verify", tmp_path / "changed.lucid", "--json").json()
    assert found["bundles"][0]["passed"] is False


def test_list_names_what_lies_in_the_folders(lucidray, exported, tmp_path, monkeypatch):
    monkeypatch.setattr("lucidray.bundle.installed.folders", lambda: (tmp_path,))
    assert "There are no bundles here" in lucidray("bundle", "list").out
    (tmp_path / "mine.lucid").write_bytes(exported.read_bytes())
    (tmp_path / "broken.lucid").write_bytes(b"PK")
    found = {each["name"]: each for each in lucidray("bundle", "list", "--json").json()["bundles"]}
    assert found["mine"]["findings"] == ["Pneumonia"]
    assert found["mine"]["experimental"] is True
    assert found["broken"]["error"]
    assert "(experimental)" in " ".join(lucidray("bundle", "list").out.split())
    assert lucidray("bundle", "info", "mine", "--json").json()["card"]["license"] == "CC0"


def test_info_prints_the_card(lucidray, exported):
    said = lucidray("bundle", "info", exported)
    assert said.code == 0
    for words in (
        *("Tells bright spots.", "Experimental: do not rely on it.", "Tiny films only.", "CC0"),
        *("233604007", "On new images of folder", "Calibration", "Uncertainty", "Refusal"),
        *("by image quality alone", "Thresholds were chosen on validation images"),
    ):
        assert words in said.out, words
    found = lucidray("bundle", "info", exported, "--json").json()
    bundle = load_bundle(exported)
    assert found["bundle_sha256"] == bundle.digest
    assert from_json(json.dumps(found["card"])) == bundle.card


def test_compare_tells_what_differs(lucidray, exported, trained, tmp_path):
    other = tmp_path / "plain.lucid"
    argv = ("bundle", "export", trained, "--out", other, "--calibration", "none", "--no-gate")
    assert lucidray(*argv).code == 0
    found = lucidray("bundle", "compare", exported, other, "--json").json()
    assert found["same_weights"] is True
    fields = {each["field"] for each in found["differences"]}
    assert {"license", "calibration.method", "gate"} <= fields
    assert 0 < found["probability_change"]["Pneumonia"] <= 1
    said = lucidray("bundle", "compare", exported, other)
    assert "hold the same weights" in said.out
    said = lucidray("bundle", "compare", exported, exported)
    assert "Their cards are the same." in said.out


def test_timm_s_own_format_becomes_a_bundle(lucidray, tmp_path):
    torch.manual_seed(0)
    folder = tmp_path / "saved"
    folder.mkdir()
    model = timm.create_model("resnet10t", num_classes=2, in_chans=1)
    save_file(model.state_dict(), folder / "model.safetensors")
    facts = {"input_size": [1, 64, 64], "mean": [0.5], "std": [0.5], "label_names": ["a", "Mass"]}
    config = {"architecture": "resnet10t", "num_classes": 2, "pretrained_cfg": facts}
    (folder / "config.json").write_text(json.dumps(config))
    out = tmp_path / "peer.lucid"
    argv = ("bundle", "import", "timm", folder, "--out", out)
    assert lucidray(*argv, "--json").json()["findings"] == ["a", "Mass"]
    assert lucidray(*argv, "--labels", "Normal,Mass", "--json").json()["findings"][0] == "Normal"
    assert load_bundle(out).card.exclusive


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("export nowhere --out x.lucid", "no such run folder: nowhere"),
        ("export runs/first --out x.onnx", "a bundle's name ends in .lucid; name x.lucid"),
        ("export runs/first --out file/x.lucid", "file is a file; name a folder"),
        ("export runs/first --out x.lucid --data nowhere", "no such data folder: nowhere"),
        ("export runs/first --out x.lucid --data other", "does not label"),
        ("export runs/first --out x.lucid --precision int4", "'int4' is not one of"),
        ("export runs/first --out x.lucid --calibration isotonic", "'isotonic' is not one of"),
        ("export runs/first --out x.lucid --split dev", "unknown split 'dev'"),
        ("export runs/first --out x.lucid --about nowhere.toml", "no such file: nowhere.toml"),
        ("export mine --out x.lucid", "mine"),
        ("info nothing", "there is no bundle 'nothing'"),
        ("info nothing.lucid", "no such bundle: nothing.lucid"),
        ("info file", "there is no bundle 'file'"),
        ("verify nothing.lucid", "no such bundle: nothing.lucid"),
        ("verify x.lucid --engine tensorrt", "unknown engine 'tensorrt'"),
        ("compare nothing.lucid nothing.lucid", "no such bundle: nothing.lucid"),
        ("import keras x --out x.lucid", "'keras' is not one of"),
        ("import timm nowhere --out x.lucid", "no such folder: nowhere"),
        ("import torchxrayvision densenet --out x.lucid", "unknown TorchXRayVision weights"),
        ("import torchxrayvision mine.pt --out x.lucid", "no such weights file: mine.pt"),
        ("import torchxrayvision recipe.pt --out x.lucid", "say which weights it holds with --as"),
    ],
)
def test_mistakes_are_told_in_one_message(lucidray, here, argv, message, monkeypatch, tmp_path):
    monkeypatch.setattr("lucidray.bundle.installed.folders", lambda: (tmp_path,))
    (here / "recipe.pt").write_bytes(b"")
    said = lucidray("bundle", *argv.split())
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert said.err.count("error:") == 1
    assert not (here / "x.lucid").exists()
