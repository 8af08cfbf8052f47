"""Several runs as one bundle: the same answers as theirs joined by hand, and what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional
from typer.testing import CliRunner

from lucidray.bundle import load_bundle
from lucidray.bundle.calibration import calibrate
from lucidray.bundle.card import from_json, to_json
from lucidray.bundle.reference import make_images, verify
from lucidray.cli import app
from lucidray.config import from_mapping, to_mapping
from lucidray.datasets.table import ImageTable
from lucidray.errors import ConfigError, ExportError, LeakageError
from lucidray.explain import explain
from lucidray.export import card_of_ensemble, export_ensemble
from lucidray.images.geometry import identity
from lucidray.images.preprocessing import preprocess
from lucidray.pipeline import diagnose
from lucidray.records import XRay
from lucidray.training import Recipe, Run, load_run, train

Maker = Callable[..., Run]
Films = Callable[[Path, int, int], ImageTable]
FINDINGS = ("Pneumonia", "Effusion")


@pytest.fixture(scope="module")
def make(films_of: Films, tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """Train a tiny run on the same 48 films as all others."""
    folder = tmp_path_factory.mktemp("ensemble")
    (folder / "images").mkdir()
    table = films_of(folder / "images", 48, 0)

    def run(name: str, **changes: object) -> Run:
        values = {
            "image": {"size": 64, "normalization": "unit", "channels": 1, "fit": "letterbox"},
            "model": {"backbone": "baseline_cnn", "in_channels": 1},
            "phases": [{"epochs": 2, "batch_size": 8, "learning_rate": 0.01}],
            "precision": "fp32",
            **changes,
        }
        recipe = from_mapping(Recipe, values, where="test")
        return train(recipe, table, folder / name, cache=folder / "cache")

    return run


@pytest.fixture(scope="module")
def runs(make: Maker) -> list[Run]:
    """Two architectures that normalize otherwise, one of them with two seeds."""
    other = {
        "image": {"size": 64, "normalization": "imagenet", "channels": 3, "fit": "letterbox"},
        "model": {"backbone": "test_resnet.r160_in1k", "in_channels": 3},
    }
    return [make("cnn", seeds=[0, 1]), make("resnet", **other)]


def asked(run: Run, film: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits and maps of a run, by the path that `lucidray explain` takes."""
    xray = XRay(film, identity((film.shape[0], film.shape[1])))
    x = torch.from_numpy(preprocess(xray, run.recipe.image)[0])[None]
    found = [explain(model, x) for model in run.models()]
    return tuple(torch.stack([each[k][0] for each in found]).mean(0).numpy() for k in (0, 1))


@pytest.mark.parametrize("how", ["mean", "weighted", "stacked"])
def test_its_answers_are_the_runs_joined(how: str, runs: list[Run], tmp_path: Path) -> None:
    path = export_ensemble(runs, tmp_path / "both.lucid", how=how)
    bundle = load_bundle(path)
    rule = bundle.card.ensemble
    assert rule is not None and rule.how == how and bundle.card.members == 3
    assert [member.networks for member in rule.members] == [2, 1]
    weights = np.array(rule.weights)
    for image in make_images(64)[:2]:
        film = image.astype(np.float32) / np.float32(255)
        logits, maps = zip(*(asked(run, film) for run in runs), strict=True)
        joined = (np.stack(logits) * weights).sum(0) + rule.intercepts
        reading = bundle.read(film)
        np.testing.assert_allclose(reading.prediction.logits, joined, atol=2e-5)
        wanted = calibrate(
            joined[None].astype(np.float32), bundle.card.calibration, exclusive=False
        )
        np.testing.assert_allclose(reading.prediction.probabilities, wanted[0], atol=1e-5)
        side = max(each.shape[-1] for each in maps)
        total = np.zeros((2, side, side))
        for each, row in zip(maps, weights, strict=True):
            grown = functional.interpolate(torch.from_numpy(each)[None], side, mode="bilinear")[0]
            total += grown.numpy() * (each.shape[-1] / side) ** 2 * row[:, None, None]
        np.testing.assert_allclose(reading.maps, total, atol=2e-4 * np.ptp(total))
        apart = np.std([1 / (1 + np.exp(-each)) for each in logits], axis=0)
        np.testing.assert_allclose(reading.prediction.disagreement, apart, atol=1e-5)
    assert verify(path).passed
    assert from_json(to_json(bundle.card)) == bundle.card


def test_both_engines_agree(runs: list[Run], tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    path = export_ensemble(runs, tmp_path / "both.lucid", how="stacked")
    assert verify(path, engine="openvino").passed


def test_the_card_tells_what_joining_gained(runs: list[Run]) -> None:
    card = card_of_ensemble(runs, "both", how="stacked")
    rule = card.ensemble
    assert rule is not None and rule.images == 24 and rule.patients == 12
    assert card.network == "baseline_cnn + test_resnet.r160_in1k"
    assert card.training.seeds == (0, 1, 0)
    with np.load(runs[0].folder / "validation.npz") as saved:
        labels, logits = saved["labels"], saved["logits"].astype(np.float64)
    by_hand = (np.logaddexp(0, logits) - labels * logits).mean()
    found = rule.members[0].log_loss
    assert found is not None and found.value == pytest.approx(by_hand, rel=1e-5)
    assert found.low is not None and found.low < found.value < (found.high or 0)
    assert set(rule.auc) == set(FINDINGS) == set(rule.disagreement)
    plain = []
    for run in runs:
        with np.load(run.folder / "validation.npz") as saved:
            plain.append(saved["probabilities"])
    mean = np.std(plain, axis=0).mean(axis=0)
    told = [rule.disagreement[name].value for name in FINDINGS]
    np.testing.assert_allclose(told, mean, rtol=1e-4)
    assert card.calibration.method == "platt" and card.operating_points
    assert card.uncertainty is not None
    assert card_of_ensemble(runs, "both", uncertainty=None).uncertainty is None


def test_classes_are_joined(films_of: Films, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("classes")
    (folder / "images").mkdir()
    table = films_of(folder / "images", 48, 3)
    values = {
        "image": {"size": 32, "normalization": "unit", "channels": 1},
        "model": {"backbone": "baseline_cnn", "in_channels": 1},
        "phases": [{"epochs": 1, "batch_size": 8, "learning_rate": 0.01}],
        "precision": "fp32",
    }
    found = [
        train(from_mapping(Recipe, values | {"seeds": [seed]}, where="test"), table,
              folder / str(seed), cache=folder / "cache")
        for seed in (0, 1)
    ]  # fmt: skip
    path = export_ensemble(found, folder / "classes.lucid", how="stacked")
    bundle = load_bundle(path)
    assert verify(path).passed and bundle.exclusive
    told = bundle.predict(make_images(32)[0])
    assert float(told.probabilities.sum()) == pytest.approx(1, abs=1e-5)


def test_a_diagnosis_carries_maps_and_disagreement(runs: list[Run], tmp_path: Path) -> None:
    path = export_ensemble(runs, tmp_path / "both.lucid")
    film = sorted((runs[0].folder.parent / "images").glob("*.png"))[0]
    found = diagnose(film, load_bundle(path))
    assert found.prediction.disagreement is not None
    assert [each.finding for each in found.attributions] == list(FINDINGS)
    done = CliRunner().invoke(app, ["read", str(film), "--bundle", str(path), "--json"])
    assert done.exit_code == 0, done.output
    line = json.loads(done.output.splitlines()[0])
    told = [each["disagreement"] for each in line["findings"]]
    np.testing.assert_allclose(told, found.prediction.disagreement, atol=1e-5)


def test_the_command_measures_gates_and_tells(runs: list[Run], tmp_path: Path) -> None:
    shell, out = CliRunner(), tmp_path / "both.lucid"
    folders = [str(run.folder) for run in runs]
    done = shell.invoke(
        app, ["bundle", "ensemble", *folders, "--how", "weighted", "--out", str(out), "--json"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.output[done.output.index("{") :])["bundle"] == "both"
    told = shell.invoke(app, ["bundle", "info", str(out)]).output
    assert "weighted of 2 runs" in told and "disagreement" in told and "tells errors" in told
    assert shell.invoke(app, ["bundle", "verify", str(out)]).exit_code == 0


def test_it_is_measured_as_its_joined_answers(runs: list[Run], films_of: Films) -> None:
    from lucidray.cli.bundle_ensemble import evaluate_joined
    from lucidray.training import evaluate

    table = films_of(runs[0].folder.parent / "images", 48, 0)
    alone = [evaluate(run, table, n_boot=0) for run in runs]
    card = card_of_ensemble(runs, "both", how="stacked")
    found = evaluate_joined(runs, card, alone, n_boot=0)
    assert card.ensemble is not None
    joined = np.einsum(
        "rnf,rf->nf", np.stack([each.predictions.logits for each in alone]), card.ensemble.weights
    ) + np.array(card.ensemble.intercepts)
    np.testing.assert_allclose(found.predictions.logits, joined, atol=1e-5)
    assert found.operating_points.keys() == card.operating_points.keys()
    assert found.seen == len(table)
    with pytest.raises(ExportError, match="no ensemble"):
        evaluate_joined(runs, replace(card, ensemble=None), alone, n_boot=0)


def test_runs_that_do_not_fit_are_refused(runs: list[Run]) -> None:
    with pytest.raises(ExportError, match="two runs at least"):
        card_of_ensemble(runs[:1], "x")
    with pytest.raises(ExportError, match="named twice"):
        card_of_ensemble([runs[0], runs[0]], "x")
    with pytest.raises(ExportError, match="judges"):
        card_of_ensemble([runs[0], runs[1].only(FINDINGS[:1])], "x")
    small = replace(runs[1].recipe.image, size=32)
    other = replace(runs[1], recipe=replace(runs[1].recipe, image=small))
    with pytest.raises(ExportError, match="'size': 32"):
        card_of_ensemble([runs[0], other], "x")
    flipped = replace(runs[1].recipe, test_time_augmentation="flip")
    with pytest.raises(ExportError, match="test_time_augmentation"):
        card_of_ensemble([runs[0], replace(runs[1], recipe=flipped)], "x")
    masks = replace(runs[1].recipe.model, decoder=(8,))
    with pytest.raises(ExportError, match="outlines regions"):
        card_of_ensemble([runs[0], replace(runs[1], recipe=replace(runs[1].recipe, model=masks))],
                         "x")  # fmt: skip


def test_a_patient_learned_from_and_tested_on_is_an_error(runs: list[Run], tmp_path: Path) -> None:
    copy = tmp_path / "other"
    shutil.copytree(runs[1].folder, copy)
    split = pd.read_csv(copy / "split.csv", dtype=str)
    row = split.index[split["split"] == "train"][0]
    patient = split.loc[row, "patient"]
    split.loc[split["patient"] == patient, "split"] = "test"
    split.to_csv(copy / "split.csv", index=False)
    with pytest.raises(LeakageError, match="has learned from 1 of the patients") as told:
        card_of_ensemble([runs[0], load_run(copy)], "x")
    assert patient not in str(told.value)
    (copy / "split.csv").unlink()
    with pytest.raises(ExportError, match=r"split\.csv"):
        card_of_ensemble([runs[0], load_run(copy)], "x")


def test_other_validation_images_or_labels_are_an_error(runs: list[Run], tmp_path: Path) -> None:
    copy = tmp_path / "other"
    shutil.copytree(runs[1].folder, copy)
    with np.load(copy / "validation.npz") as saved:
        values = dict(saved)
    np.savez(copy / "validation.npz", **(values | {"labels": 1 - values["labels"]}))
    with pytest.raises(ExportError, match="otherwise"):
        card_of_ensemble([runs[0], load_run(copy)], "x")
    np.savez(copy / "validation.npz", **(values | {"images": np.char.add("x", values["images"])}))
    with pytest.raises(ExportError, match="other images"):
        card_of_ensemble([runs[0], load_run(copy)], "x")
    order = np.random.default_rng(0).permutation(len(values["images"]))
    shuffled = {k: values[k][order] for k in ("images", "labels", "logits", "patients")}
    np.savez(copy / "validation.npz", **(values | shuffled))
    again = card_of_ensemble([runs[0], load_run(copy)], "x", how="stacked").ensemble
    first = card_of_ensemble(runs, "x", how="stacked").ensemble
    assert again is not None and first is not None
    np.testing.assert_allclose(again.weights, first.weights, atol=1e-6)


def test_a_rule_needs_a_row_for_each_run(runs: list[Run]) -> None:
    rule = card_of_ensemble(runs, "x").ensemble
    assert rule is not None
    with pytest.raises(ConfigError, match="one row a member"):
        replace(rule, weights=rule.weights[:1])
    with pytest.raises(ConfigError, match="intercepts"):
        replace(card_of_ensemble(runs, "x"), ensemble=replace(
            rule, weights=((0.5,), (0.5,)), intercepts=(0.0,)
        ))  # fmt: skip
    assert to_mapping(rule)["how"] == "mean"
