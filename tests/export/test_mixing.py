"""Joining logits: the least log loss, known answers, and scikit-learn's for stacking."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, log_softmax
from sklearn.linear_model import LogisticRegression

from lucidray.errors import MetricError, UnknownNameError
from lucidray.export.calibration import folds_of
from lucidray.export.mixing import Mixture, cross_joined, fit_mixture, join
from lucidray.metrics.logit_loss import log_losses, loss_and_slope


def told(noises: tuple[float, ...], count: int = 400, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Logits of runs that see a finding's evidence through noise, and its labels."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 2, (count, 2))
    labels = (rng.random((count, 2)) < expit(truth)).astype(np.float32)
    logits = np.stack([truth + rng.normal(0, noise, truth.shape) for noise in noises])
    return logits.astype(np.float32), labels


def loss_of(logits: np.ndarray, labels: np.ndarray, mixture: Mixture) -> float:
    return float(np.nanmean(log_losses(join(logits, mixture), labels, exclusive=False)))


def test_a_mean_is_a_mean() -> None:
    logits, labels = told((1, 2, 3))
    found = fit_mixture("mean", logits, labels, exclusive=False)
    np.testing.assert_allclose(join(logits, found), logits.mean(axis=0), atol=1e-6)


def test_weights_are_the_best_of_all_that_add_up_to_one() -> None:
    logits, labels = told((0.3, 4.0))
    found = fit_mixture("weighted", logits, labels, exclusive=False)
    np.testing.assert_allclose(found.weights.sum(axis=0), 1)
    assert (found.weights[:, 0] == found.weights[:, 1]).all() and not found.intercepts.any()
    assert found.weights[0, 0] > 0.8
    grid = np.linspace(0, 1, 1001)
    losses = [
        loss_of(logits, labels, Mixture(np.array([[w, w], [1 - w, 1 - w]]), np.zeros(2)))
        for w in grid
    ]
    assert abs(grid[int(np.argmin(losses))] - found.weights[0, 0]) <= 0.002


def test_stacking_is_a_logistic_regression() -> None:
    """By scikit-learn, whose ridge draws to 0: so it is asked for the distance from the mean."""
    logits, labels = told((0.5, 1.0, 2.0))
    found = fit_mixture("stacked", logits, labels, exclusive=False)
    weights = found.weights[:, 1] - 1 / 3
    z = logits[:, :, 1].T.astype(np.float64)

    def loss(extra: np.ndarray) -> float:
        joined = z @ (found.weights[:, 1] + extra[:3]) + found.intercepts[1] + extra[3]
        data = np.logaddexp(0, joined) - labels[:, 1] * joined
        return float(data.sum() + 0.5 * ((weights + extra[:3]) ** 2).sum())

    best = loss(np.zeros(4))
    for axis in range(4):
        for step in (-1e-2, 1e-2):
            extra = np.zeros(4)
            extra[axis] = step
            if axis == 3 or found.weights[axis, 1] + step >= 0:
                assert loss(extra) > best
    free = LogisticRegression(C=1e6, max_iter=5000).fit(z, labels[:, 1])
    np.testing.assert_allclose(free.coef_[0], found.weights[:, 1], atol=0.05)
    assert (found.weights >= 0).all()


def test_a_run_that_says_the_opposite_gets_no_weight() -> None:
    logits, labels = told((0.5, 0.5))
    logits[1] *= -1
    stacked = fit_mixture("stacked", logits, labels, exclusive=False)
    np.testing.assert_allclose(stacked.weights[1], 0, atol=1e-6)
    weighted = fit_mixture("weighted", logits, labels, exclusive=False)
    assert (weighted.weights[1] < 0.1).all()


def test_classes_are_stacked_together() -> None:
    rng = np.random.default_rng(1)
    classes = rng.integers(0, 3, 300)
    labels = np.eye(3, dtype=np.float32)[classes]
    logits = np.stack([3 * labels + rng.normal(0, s, (300, 3)) for s in (1, 6)]).astype(np.float32)
    mean, stacked = (
        join(logits, fit_mixture(how, logits, labels, exclusive=True))
        for how in ("mean", "stacked")
    )
    losses = [log_losses(each, labels, exclusive=True).mean() for each in (mean, stacked)]
    assert losses[1] < losses[0]
    by_hand = -log_softmax(mean.astype(np.float64), axis=1)[np.arange(300), classes]
    np.testing.assert_allclose(log_losses(mean, labels, exclusive=True), by_hand)


def test_what_is_not_labeled_or_shows_one_class_is_not_fitted_on() -> None:
    logits, labels = told((0.5, 3.0))
    labels[:, 1] = 1
    labels[:200, 0] = np.nan
    found = fit_mixture("stacked", logits, labels, exclusive=False)
    np.testing.assert_allclose(found.weights[:, 1], 0.5)
    assert found.intercepts[1] == 0
    half = fit_mixture("stacked", logits[:, 200:], labels[200:], exclusive=False)
    np.testing.assert_allclose(half.weights[:, 0], found.weights[:, 0], atol=0.05)
    assert np.isnan(log_losses(logits[0], np.full_like(labels, np.nan), exclusive=False)).all()


def test_each_image_is_joined_without_its_patient() -> None:
    logits, labels = told((0.3, 3.0), count=60)
    patients = np.repeat(np.arange(30), 2)
    crossed = cross_joined("stacked", logits, labels, exclusive=False, groups=patients)
    place = folds_of(labels, patients)
    assert place is not None and (place[::2] == place[1::2]).all() and len(set(place)) == 5
    for fold in range(5):
        held = place == fold
        fit = fit_mixture("stacked", logits[:, ~held], labels[~held], exclusive=False)
        np.testing.assert_allclose(crossed[held], join(logits[:, held], fit), atol=1e-6)


def test_what_cannot_be_fitted_says_why() -> None:
    logits, labels = told((1, 1), count=8)
    with pytest.raises(UnknownNameError, match="mean"):
        fit_mixture("means", logits, labels, exclusive=False)
    with pytest.raises(MetricError, match="present and absent"):
        fit_mixture("stacked", logits, np.ones_like(labels), exclusive=False)
    with pytest.raises(MetricError, match="one validation patient"):
        cross_joined("mean", logits, labels, exclusive=False, groups=["a"] * 8)


@pytest.mark.parametrize("exclusive", [False, True])
def test_the_slope_is_that_of_the_loss(exclusive: bool) -> None:
    logits, labels = told((0.5,), count=6)
    values, truth = logits[0].astype(np.float64), labels
    if exclusive:
        truth = np.eye(2, dtype=np.float32)[labels[:, 0].astype(int)]
    _, slope = loss_and_slope(values, truth, exclusive=exclusive)
    for place in np.ndindex(values.shape):
        step = np.zeros_like(values)
        step[place] = 1e-6
        up, down = (
            loss_and_slope(values + s * step, truth, exclusive=exclusive)[0] for s in (1, -1)
        )
        assert slope[place] == pytest.approx((up - down) / 2e-6, abs=1e-6)
