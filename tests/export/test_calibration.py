"""Calibration of a bundle: fitted as the metrics do, honest where it cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from lucidray import metrics
from lucidray.bundle.card import Calibration, OperatingPoint
from lucidray.export.calibration import (
    carry_points,
    choose_points,
    cross_fitted,
    fit_calibration,
    folds_of,
)
from lucidray.export.calibration_evidence import MEASURES
from lucidray.metrics import fit_platt, fit_temperature, robust_youden

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, (200, 2)).astype(np.float32)
LOGITS = (3 * LABELS - 1 + RNG.normal(0, 2, (200, 2))).astype(np.float32)


def test_platt_is_that_of_the_metrics() -> None:
    found = fit_calibration(["A", "B"], LOGITS, LABELS, exclusive=False)
    for index in range(2):
        wanted = fit_platt(LABELS[:, index], LOGITS[:, index])
        assert found.slopes[index] == pytest.approx(wanted.slope)
        assert found.intercepts[index] == pytest.approx(wanted.intercept)
    assert (found.images, found.patients) == (200, 200)


def test_a_finding_that_cannot_be_fitted_keeps_its_sigmoid_and_is_named() -> None:
    labels = LABELS.copy()
    labels[:, 0] = 1 - labels[:, 0]
    labels[:, 1] = 0
    found = fit_calibration(["A", "B"], LOGITS, labels, exclusive=False)
    assert (found.slopes, found.intercepts) == ((1.0, 1.0), (0.0, 0.0))
    assert "not fitted for A, B" in found.fitted_on


def test_what_calibration_does_is_measured_on_patients_that_it_has_not_seen() -> None:
    groups = np.arange(200) // 4
    skewed = (3 * LOGITS + 4).astype(np.float32)
    fit = fit_calibration(["A", "B"], skewed, LABELS, exclusive=False, groups=groups, n_boot=100)
    place = folds_of(LABELS, groups)
    after, cooled = np.empty((2, 200, 2))
    assert place is not None
    for fold in range(5):
        held = place == fold
        assert not set(groups[held]) & set(groups[~held])
        temperature = fit_temperature(LABELS[~held].ravel(), skewed[~held].ravel())
        cooled[held] = expit(skewed[held] / temperature.value)
        for k in range(2):
            part = fit_platt(LABELS[~held, k], skewed[~held, k])
            after[held, k] = part.apply(skewed[held, k])
    answers = {"before": expit(skewed), "after": after, "temperature": cooled}
    for version, values in answers.items():
        for name in MEASURES:
            measure = getattr(metrics, name)
            wanted = np.mean([measure(LABELS[:, k], values[:, k]) for k in range(2)])
            found = fit.measurements[f"{name}_{version}"]
            assert found.value == pytest.approx(wanted, rel=1e-3) and found.count == 200
            assert (found.low is None) == name.startswith("ece")
    told = {key: each.value for key, each in fit.measurements.items()}
    assert told["log_loss_after"] < told["log_loss_temperature"] < told["log_loss_before"]
    assert told["ece_after"] < told["ece_before"] / 2
    assert fit.patients == 50


def test_reliability_curves_stand_in_the_card() -> None:
    labels = LABELS.copy()
    labels[:, 1] = np.nan
    fit = fit_calibration(["A", "B"], LOGITS, labels, exclusive=False, n_boot=0)
    assert set(fit.reliability) == {"before", "after"}
    for version in fit.reliability.values():
        assert set(version) == {"A"} and sum(version["A"].count) == 200
    before = fit.reliability["before"]["A"]
    wanted = metrics.reliability_curve(LABELS[:, 0], expit(LOGITS[:, 0]))
    np.testing.assert_allclose(before.observed, wanted.observed, atol=1e-4)
    gaps = np.abs(np.subtract(before.predicted, before.observed)) * before.count
    assert gaps.sum() / 200 == pytest.approx(fit.measurements["ece_before"].value, abs=1e-3)


def test_varied_copies_are_fitted_on_too_and_held_out_with_their_patient() -> None:
    rng = np.random.default_rng(5)
    labels = (rng.random((80, 1)) < 0.5).astype(np.float32)
    logits = (6 * labels - 3 + rng.normal(0, 2, labels.shape)).astype(np.float32)
    unsure = (logits + rng.normal(0, 4, (3, 80, 1))).astype(np.float32)
    alone = fit_calibration(["a"], logits, labels, exclusive=False, n_boot=0)
    both = fit_calibration(["a"], logits, labels, exclusive=False, varied=unsure, n_boot=0)
    stacked = np.concatenate([logits, *unsure])[:, 0]
    wanted = fit_platt(np.tile(labels, (4, 1))[:, 0], stacked)
    assert both.slopes == (pytest.approx(wanted.slope),) and both.slopes[0] < alone.slopes[0]
    assert both.fitted_on.endswith("and 3 varied copies of each") and both.images == 80
    crossed = cross_fitted(logits, labels, exclusive=False, varied=unsure, folds=80)
    first = np.arange(80) != 0
    left = fit_platt(
        np.tile(labels[first], (4, 1))[:, 0],
        np.concatenate([logits[first], *unsure[:, first]])[:, 0],
    )
    assert crossed is not None
    told = 1 / (1 + np.exp(-(left.slope * logits[0, 0] + left.intercept)))
    assert crossed[0, 0] == pytest.approx(told, abs=1e-5)


def test_one_patient_leaves_nothing_to_judge_by() -> None:
    fit = fit_calibration(["A", "B"], LOGITS, LABELS, exclusive=False, groups=["x"] * 200)
    assert fit.calibrated and not [name for name in fit.measurements if "after" in name]
    assert set(fit.reliability) == {"before"}
    assert cross_fitted(LOGITS, LABELS, exclusive=False, groups=["x"] * 200) is None


def test_temperatures() -> None:
    classes = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, 100)]
    logits = (2 * classes + RNG.normal(0, 1, (100, 3))).astype(np.float32)
    found = fit_calibration(["A", "B", "C"], logits, classes, exclusive=True)
    assert found.method == "temperature"
    assert found.temperature == pytest.approx(fit_temperature(classes, logits).value)
    names = set(found.measurements)
    assert names == {f"{name}_{version}" for name in MEASURES for version in ("before", "after")}
    both = fit_calibration(["A", "B"], LOGITS, LABELS, exclusive=False, method="temperature")
    assert both.temperature == pytest.approx(fit_temperature(LABELS.ravel(), LOGITS.ravel()).value)
    assert fit_calibration(["A"], LOGITS, LABELS, exclusive=False, method="none") == Calibration()


def test_points_are_carried() -> None:
    fit = Calibration("platt", slopes=(1.0, 2.0), intercepts=(0.0, 1.0))
    moved = carry_points({"B": OperatingPoint(0.5, "why")}, ["A", "B"], fit)
    assert moved["B"].threshold == pytest.approx(1 / (1 + np.exp(-1)))
    assert moved["B"].chosen_by == "why"
    warm = carry_points(
        {"A": OperatingPoint(0.8)}, ["A"], Calibration("temperature", temperature=2)
    )
    assert warm["A"].threshold == pytest.approx(2 / 3)


def test_points_are_chosen_anew() -> None:
    probabilities = 1 / (1 + np.exp(-LOGITS))
    labels = LABELS.copy()
    labels[:, 1] = 0
    found = choose_points(["A", "B"], labels, probabilities)
    assert list(found) == ["A"]
    wanted = robust_youden(labels[:, 0], probabilities[:, 0])
    assert found["A"].threshold == wanted.threshold
    assert found["A"].sensitivity is not None
    assert found["A"].sensitivity.value == wanted.sensitivity.value
