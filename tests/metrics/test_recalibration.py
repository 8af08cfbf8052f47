"""Platt scaling and temperature, against scikit-learn, a grid and known truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax
from sklearn.calibration import _SigmoidCalibration
from sklearn.linear_model import LogisticRegression

from lucidray import metrics as m
from lucidray.errors import MetricError


@pytest.fixture
def case(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    true_logits = rng.normal(-1, 2, size=400)
    return (rng.random(400) < expit(true_logits)).astype(float), 3 * true_logits + 2


def test_platt_equals_sklearn(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, logits = case
    reference = _SigmoidCalibration().fit(logits, labels)
    fit = m.fit_platt(labels, logits)
    assert (fit.slope, fit.intercept) == pytest.approx((-reference.a_, -reference.b_), abs=1e-4)
    plain = LogisticRegression(C=np.inf, tol=1e-8).fit(logits[:, None], labels)
    fit = m.fit_platt(labels, logits, smooth=False)
    expected = float(plain.coef_[0, 0]), float(plain.intercept_[0])
    assert (fit.slope, fit.intercept) == pytest.approx(expected, abs=1e-4)


def test_platt_finds_the_truth_and_mends_calibration() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(-1, 2, size=20000)
    labels = (rng.random(20000) < expit(truth)).astype(float)
    fit = m.fit_platt(labels, 3 * truth + 2)
    assert fit.slope == pytest.approx(1 / 3, abs=0.01)
    assert fit.intercept == pytest.approx(-2 / 3, abs=0.03)
    before, after = m.ece(labels, expit(3 * truth + 2)), m.ece(labels, fit.apply(3 * truth + 2))
    assert after < 0.01 < 0.1 < before


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-3, 1e3), st.floats(-50, 50))
def test_platt_does_not_care_for_the_unit_of_logits(seed: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=30)
    labels = (rng.random(30) < 0.5).astype(float)
    labels[:2] = 0, 1
    one = m.fit_platt(labels, logits).apply(logits)
    other = m.fit_platt(labels, scale * logits + shift).apply(scale * logits + shift)
    assert other == pytest.approx(one, abs=1e-6)


def test_parted_classes_stay_finite_or_are_refused() -> None:
    labels, logits = [0, 0, 1, 1], [-2.0, -1.0, 1.0, 2.0]
    fit = m.fit_platt(labels, logits)
    assert np.isfinite([fit.slope, fit.intercept]).all()
    assert fit.apply(logits).max() < 1
    with pytest.raises(MetricError, match="smooth=True"):
        m.fit_platt(labels, logits, smooth=False)


def test_constant_logits_give_the_prevalence() -> None:
    smooth = m.fit_platt([1] * 50 + [0] * 150, [5.0] * 200)
    assert smooth.apply(5.0) == pytest.approx(0.25, abs=0.01)


def test_temperature_equals_a_grid(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, logits = case
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 4001))
    best = grid[np.argmin([m.log_loss(labels, expit(logits / t)) for t in grid])]
    assert m.fit_temperature(labels, logits).value == pytest.approx(best, rel=3e-3)


def test_temperature_of_classes_finds_the_truth() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(6000, 4)) * 2
    p = softmax(logits, axis=1)
    labels = (p.cumsum(axis=1) < rng.random(6000)[:, None]).sum(axis=1).astype(float)
    labels[0] = np.nan
    fit = m.fit_temperature(labels, 2.5 * logits)
    assert fit.value == pytest.approx(2.5, rel=0.06)
    assert fit.apply(2.5 * logits).sum(axis=1) == pytest.approx(1)
    assert fit.apply(np.array([0.0])) == 0.5


def test_temperature_of_parted_classes_stays_in_bounds() -> None:
    assert m.fit_temperature([0, 0, 1, 1], [-2, -1, 1, 2]).value == pytest.approx(0.05, rel=1e-3)
    assert m.fit_temperature([1, 1, 0, 0], [-2, -1, 1, 2]).value == pytest.approx(20, rel=1e-3)


def test_refused() -> None:
    for fit in (m.fit_platt, m.fit_temperature):
        with pytest.raises(MetricError, match="needs both"):
            fit([1, 1], [0.1, 0.2])
    with pytest.raises(MetricError, match="no labeled image"):
        m.fit_temperature([np.nan], [[0.1, 0.2]])
    with pytest.raises(MetricError, match="logits are nan"):
        m.fit_temperature([0], [[np.inf, 0.2]])
