"""Join the logits of several runs: fit the weights on validation answers, and judge them fairly."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from lucidray.bundle.ensemble import HOWS, How
from lucidray.errors import MetricError, unknown_name
from lucidray.export.calibration import FOLDS, folds_of
from lucidray.metrics.logit_loss import loss_and_slope
from lucidray.records import Float32, Float64

#: Of the ridge that draws stacked weights towards their mean: as much as one image would weigh.
_RIDGE = 1.0


class Mixture(NamedTuple):
    """Weights ``(R, F)`` and intercepts ``(F,)``, both float64."""

    weights: Float64
    intercepts: Float64


def fit_mixture(how: How, logits: Float32, labels: Float32, *, exclusive: bool) -> Mixture:
    """Fit how the logits of several runs are joined.

    Args:
        how: ``"mean"``: nothing is fitted; ``"weighted"``: one weight a run, not negative, adding
            up to 1; ``"stacked"``: logistic regression on the runs' logits, for each finding (for
            each class where findings exclude each other), its weights not negative and drawn
            towards their mean by a ridge.
        logits: ``(R, N, F)`` of validation images.
        labels: ``(N, F)``: 1, 0 or nan. A finding that is always present or always absent is not
            fitted on.
        exclusive: Whether exactly one finding holds.

    Returns:
        The mixture with the least log loss.

    Raises:
        UnknownNameError: No such way to join.
        MetricError: No finding is both present and absent.

    Source: Wolpert, Stacked generalization, Neural Networks 5:241 (1992); weights not negative
        after Breiman, Stacked regressions, Machine Learning 24:49 (1996).
    """
    if how not in HOWS:
        raise unknown_name("way to join runs", how, HOWS)
    runs, _, count = logits.shape
    start = Mixture(np.full((runs, count), 1 / runs), np.zeros(count))
    if how == "mean":
        return start
    truth = _fit_on(labels, exclusive=exclusive)
    if not np.isfinite(truth).any():
        raise MetricError("no finding is both present and absent, so no weights can be fitted.")
    values = logits.astype(np.float64)
    return (_weighted if how == "weighted" else _stacked)(values, truth, start, exclusive)


def join(logits: Float32, mixture: Mixture) -> Float32:
    """Return the joined logits ``(N, F)`` of ``(R, N, F)``."""
    found = np.einsum("rnf,rf->nf", logits.astype(np.float64), mixture.weights)
    return np.asarray(found + mixture.intercepts, dtype=np.float32)


def cross_joined(
    how: How,
    logits: Float32,
    labels: Float32,
    *,
    exclusive: bool,
    groups: npt.ArrayLike | None = None,
    folds: int = FOLDS,
) -> Float32:
    """Return joined logits ``(N, F)``, each by a mixture that was fitted without its patient.

    Args:
        how: As for `fit_mixture`.
        logits: ``(R, N, F)``.
        labels: ``(N, F)``.
        exclusive: Whether exactly one finding holds.
        groups: ``(N,)`` patient keys; None: each image is its own patient.
        folds: Parts into which patients are cut.

    Raises:
        MetricError: Some part of the patients allows no fit, or there is one patient only.
    """
    place = folds_of(labels, groups, folds)
    if place is None:
        raise MetricError("there is one validation patient only; weights need two at least.")
    found: Float32 = np.empty(logits.shape[1:], np.float32)
    for fold in np.unique(place):
        held = place == fold
        fit = fit_mixture(how, logits[:, ~held], labels[~held], exclusive=exclusive)
        found[held] = join(logits[:, held], fit)
    return found


def _fit_on(labels: Float32, *, exclusive: bool) -> Float32:
    """Return the labels without those of findings that show one class only."""
    both = (labels == 1).any(axis=0) & (labels == 0).any(axis=0)
    return labels if exclusive else np.where(both, labels, np.nan).astype(np.float32)


def _weighted(logits: Float64, labels: Float32, start: Mixture, exclusive: bool) -> Mixture:
    def objective(weights: Float64) -> tuple[float, Float64]:
        loss, slope = loss_and_slope(
            np.einsum("rnf,r->nf", logits, weights), labels, exclusive=exclusive
        )
        return loss, np.einsum("rnf,nf->r", logits, slope)

    found = minimize(
        objective,
        start.weights[:, 0],
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * len(logits),
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        options={"ftol": 1e-10, "maxiter": 500},
    )
    weights = np.clip(found.x, 0, None)
    return Mixture(
        np.repeat((weights / weights.sum())[:, None], labels.shape[1], 1), start.intercepts
    )


def _stacked(logits: Float64, labels: Float32, start: Mixture, exclusive: bool) -> Mixture:
    runs, count, findings = logits.shape
    ridge = _RIDGE / count

    def objective(flat: Float64) -> tuple[float, Float64]:
        weights, intercepts = flat[:-findings].reshape(runs, findings), flat[-findings:]
        joined = np.einsum("rnf,rf->nf", logits, weights) + intercepts
        loss, slope = loss_and_slope(joined, labels, exclusive=exclusive)
        apart = weights - start.weights
        by_weight = np.einsum("rnf,nf->rf", logits, slope) + ridge * apart
        return loss + ridge / 2 * float((apart**2).sum()), np.concatenate(
            [by_weight.ravel(), slope.sum(axis=0)]
        )

    free = [(None, None)] * findings
    found = minimize(
        objective,
        np.concatenate([start.weights.ravel(), start.intercepts]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * (runs * findings) + free,
        options={"ftol": 1e-12, "gtol": 1e-8, "maxiter": 2000},
    )
    return Mixture(found.x[:-findings].reshape(runs, findings), found.x[-findings:])
