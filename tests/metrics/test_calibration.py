"""Proper scores and calibration error, against scikit-learn, TorchMetrics and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve
from torchmetrics.functional.classification import binary_calibration_error

from lucidray import metrics as m
from lucidray.errors import MetricError
from lucidray.metrics.calibration import bin_of, ece_statistic, mean_statistic
from lucidray.metrics.inputs import binary_samples


@pytest.fixture
def case(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    p = rng.random(150)
    return (rng.random(150) < p**1.5).astype(float), p


def test_proper_scores_equal_sklearn(case: tuple[np.ndarray, np.ndarray]) -> None:
    assert m.log_loss(*case) == pytest.approx(sk.log_loss(*case))
    assert m.brier(*case) == pytest.approx(sk.brier_score_loss(*case))


def test_sure_and_wrong_is_dear_but_finite() -> None:
    assert m.log_loss([1, 0], [0.0, 1.0]) == pytest.approx(-np.log(np.finfo(float).eps))


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration_error_equals_torchmetrics(
    case: tuple[np.ndarray, np.ndarray], bins: int
) -> None:
    labels, p = case
    expected = binary_calibration_error(
        torch.tensor(p), torch.tensor(labels).int(), n_bins=bins, norm="l1"
    )
    assert m.ece(labels, p, bins=bins) == pytest.approx(float(expected), abs=1e-6)


def test_equal_mass_by_hand(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, p = case
    order = np.array_split(np.argsort(p), 15)
    gaps = [abs(labels[part].mean() - p[part].mean()) * len(part) for part in order]
    assert m.ece_equal_mass(labels, p) == pytest.approx(sum(gaps) / 150)
    assert m.ece(labels, p, binning="mass") == m.ece_equal_mass(labels, p)


def test_bins() -> None:
    edges = bin_of(np.array([0.0, 0.1, 0.5, 0.999, 1.0]), bins=2, binning="width")
    assert edges.tolist() == [0, 0, 1, 1, 1]
    ties = bin_of(np.array([0.5, 0.5, 0.5, 0.9]), bins=2, binning="mass")
    assert ties.tolist() == [0, 0, 0, 1]
    with pytest.raises(MetricError, match="'width' or 'mass'"):
        bin_of(np.ones(2), bins=2, binning="depth")  # type: ignore[arg-type]
    with pytest.raises(MetricError, match="at least one"):
        bin_of(np.ones(2), bins=0, binning="width")


def test_weights_equal_repeated_images(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, p = case
    rng = np.random.default_rng(1)
    samples = binary_samples(labels, p, groups=rng.integers(0, 20, 150))
    weights = rng.integers(0, 4, size=(20, 3)).astype(float)
    errors = ece_statistic(samples)(weights)
    means = mean_statistic(samples, p)(weights)
    for b in range(3):
        times = weights[samples.cluster, b].astype(int)
        assert errors[b] == pytest.approx(m.ece(np.repeat(labels, times), np.repeat(p, times)))
        assert means[b] == pytest.approx(np.repeat(p, times).mean())


def test_reliability_curve_equals_sklearn(case: tuple[np.ndarray, np.ndarray]) -> None:
    curve = m.reliability_curve(*case, bins=8)
    observed, predicted = calibration_curve(*case, n_bins=8)
    assert np.allclose([curve.observed, curve.predicted], [observed, predicted])
    assert curve.count.sum() == 150
    assert ((curve.low <= curve.observed) & (curve.observed <= curve.high)).all()
    gap = np.abs(curve.observed - curve.predicted) @ curve.count / 150
    assert gap == pytest.approx(m.ece(*case, bins=8))
    assert m.reliability_curve([np.nan], [0.5]).count.size == 0


def test_logit_is_finite_at_the_ends() -> None:
    assert m.logit([0.0, 0.5, 1.0])[1] == 0
    assert np.isfinite(m.logit([0.0, 1.0])).all()
