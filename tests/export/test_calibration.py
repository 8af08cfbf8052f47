"""Calibration of a bundle: fitted as the metrics do, honest where it cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from lucidray.bundle.card import Calibration, OperatingPoint
from lucidray.export.calibration import carry_points, choose_points, fit_calibration
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
    assert found.measurements["log_loss_after"].value < found.measurements["log_loss_before"].value
    assert found.images == 200


def test_a_finding_that_cannot_be_fitted_keeps_its_sigmoid_and_is_named() -> None:
    labels = LABELS.copy()
    labels[:, 0] = 1 - labels[:, 0]
    labels[:, 1] = 0
    found = fit_calibration(["A", "B"], LOGITS, labels, exclusive=False)
    assert (found.slopes, found.intercepts) == ((1.0, 1.0), (0.0, 0.0))
    assert "not fitted for A, B" in found.fitted_on


def test_temperatures() -> None:
    classes = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, 100)]
    logits = (2 * classes + RNG.normal(0, 1, (100, 3))).astype(np.float32)
    found = fit_calibration(["A", "B", "C"], logits, classes, exclusive=True)
    assert found.method == "temperature"
    assert found.temperature == pytest.approx(fit_temperature(classes, logits).value)
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
