"""From a run that was really trained to its bundle: the same answers, calibrated."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lucidray.bundle import Bundle, load_bundle
from lucidray.errors import ExportError, UnknownNameError
from lucidray.export import UncertaintySettings
from lucidray.export.from_run import About, card_of, export_run, performance_of
from lucidray.images.read import read_xray
from lucidray.pipeline import diagnose
from lucidray.training import Run, open_reader, predict


@pytest.fixture(scope="module")
def bundle(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    about = About(license="CC0-1.0", limits="Generated images only.")
    out = tmp_path_factory.mktemp("bundle") / "generated.lucid"
    return load_bundle(export_run(run, out, about=about), threads=1)


def films(run: Run) -> list[Path]:
    return sorted((run.folder.parent / "images").glob("*.png"))[:6]


def test_it_reads_as_the_run_does(run: Run, bundle: Bundle) -> None:
    reader = open_reader(run)
    for path in films(run):
        wanted, found = diagnose(path, reader), diagnose(path, bundle)
        np.testing.assert_allclose(found.prediction.logits, wanted.prediction.logits, atol=1e-5)
        for mine, theirs in zip(found.attributions, wanted.attributions, strict=True):
            span = np.ptp(theirs.values)
            np.testing.assert_allclose(mine.values, theirs.values, atol=1e-4 * span)
            assert mine.finding == theirs.finding


def test_it_predicts_as_the_run_does(run: Run, bundle: Bundle, tmp_path: Path) -> None:
    """The run keeps prepared pixels in 8 bits, a bundle does not: hence the tolerance."""
    wanted = predict(run, films(run), cache=tmp_path)
    found = np.array([bundle.predict(read_xray(path)).logits for path in films(run)])
    np.testing.assert_allclose(found, wanted.logits, atol=0.02)


def test_calls_stay_equal_though_probabilities_move(run: Run, bundle: Bundle) -> None:
    with np.load(run.folder / "validation.npz") as saved:
        logits, plain = saved["logits"], saved["probabilities"]
    fit = bundle.card.calibration
    assert fit.method == "platt"
    calibrated = 1 / (1 + np.exp(-(logits * fit.slopes + fit.intercepts)))
    assert bundle.operating_points
    for name, threshold in bundle.operating_points.items():
        index = run.findings.index(name)
        before = plain[:, index] >= run.operating_points[name]
        np.testing.assert_array_equal(calibrated[:, index] >= threshold, before)
        assert threshold != run.operating_points[name]


def test_the_card_tells_where_it_comes_from(run: Run, bundle: Bundle) -> None:
    card = bundle.card
    assert (card.name, card.members, card.flip) == ("generated", 2, True)
    assert (card.license, card.limits) == ("CC0-1.0", "Generated images only.")
    assert card.intended_use.startswith("Research")
    assert card.training.data == "generated"
    assert card.training.seeds == (0, 1)
    assert card.training.images == run.facts["data"]["train"]
    assert card.training.recipe["model"]["backbone"] == "baseline_cnn"
    assert card.preprocessing == run.recipe.image
    assert {"ece_before", "ece_after", "brier_after"} <= set(card.calibration.measurements)
    assert card.calibration.patients == card.calibration.images // 2
    assert set(card.calibration.reliability["after"]) == set(run.findings)
    point = card.operating_points["Pneumonia"]
    assert point.sensitivity is not None and point.sensitivity.low is not None


def test_readings_tell_how_unsure_they_are(run: Run, bundle: Bundle) -> None:
    rule = bundle.card.uncertainty
    assert rule is not None and rule.evidence.folds == 5
    assert rule.evidence.patients == bundle.card.calibration.patients
    assert rule.judged == tuple(name for name in run.findings if name in bundle.operating_points)
    found = diagnose(films(run)[0], bundle).prediction.uncertainty
    assert found is not None and found.entropy.shape == (2,)
    assert card_of(run, "x", uncertainty=None).uncertainty is None
    other = card_of(run, "x", uncertainty=UncertaintySettings(alpha=0.2)).uncertainty
    assert other is not None and other.alpha == 0.2


def test_exclusive_findings_get_a_temperature(exclusive_run: Run) -> None:
    card = card_of(exclusive_run, "classes")
    assert card.calibration.method == "temperature"
    assert set(card.operating_points) <= set(exclusive_run.findings)
    assert all(
        "robust" in p.chosen_by or "Youden" in p.chosen_by for p in card.operating_points.values()
    )
    plain = card_of(exclusive_run, "classes", calibration="none")
    assert not plain.calibration.calibrated
    for name, point in plain.operating_points.items():
        assert point.threshold == exclusive_run.operating_points[name]


def test_measurements_go_into_the_card(run: Run) -> None:
    evaluation = {
        "images": 9,
        "patients": 8,
        "measurements": {
            "Effusion": {"auc": {"value": 0.9, "low": 0.8, "high": None, "count": 9}},
        },
    }
    performance = performance_of(json.loads(json.dumps(evaluation)), where="held out")
    card = card_of(run, "x", performance=[performance])
    found = card.performance[0].measurements["Effusion"]["auc"]
    assert (found.value, found.low, found.high, found.count) == (0.9, 0.8, None, 9)


def test_what_cannot_be_exported_says_why(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown calibration 'plat'"):
        card_of(run, "x", calibration="plat")
    with pytest.raises(ExportError, match=r"validation\.npz"):
        card_of(replace(run, folder=tmp_path), "x")
    (tmp_path / "validation.npz").write_bytes((run.folder / "validation.npz").read_bytes())
    with pytest.raises(ExportError, match=r"operating_points\.json"):
        card_of(replace(run, folder=tmp_path), "x")


def test_a_bundle_of_some_findings_answers_as_the_whole_does(run: Run, tmp_path: Path) -> None:
    whole = load_bundle(export_run(run, tmp_path / "whole.lucid"), threads=1)
    name = run.findings[-1]
    part = load_bundle(export_run(run.only([name]), tmp_path / "part.lucid"), threads=1)
    film = np.random.default_rng(0).random((40, 40), np.float32)
    all_of_it, some = whole.read(film), part.read(film)
    assert part.findings == (name,) and set(part.operating_points) <= {name}
    at = run.findings.index(name)
    assert some.prediction.probabilities[0] == pytest.approx(
        all_of_it.prediction.probabilities[at], abs=1e-5
    )
    np.testing.assert_allclose(some.maps[0], all_of_it.maps[at], atol=1e-5)


def test_the_card_does_not_tell_where_files_lay(run: Run, tmp_path: Path) -> None:
    data = replace(run.recipe.data, split_from=str(tmp_path / "first"))
    moved = replace(run, recipe=replace(run.recipe, data=data))
    told = card_of(moved, "a").training.recipe
    assert told["data"]["split_from"] == f"{tmp_path.name}/first"
    assert str(tmp_path) not in str(told)
