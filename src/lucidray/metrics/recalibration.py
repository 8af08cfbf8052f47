"""Make probabilities mean what they say: Platt scaling with intercept, and temperature.

Fitted on validation data only. Class weights, focal loss and balanced sampling shift the
intercept, which a temperature cannot mend; so Platt scaling is the default and the temperature
stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logsumexp, softmax

from lucidray.errors import MetricError
from lucidray.metrics.inputs import Int, as_float, binary_samples
from lucidray.metrics.multiclass import class_indices
from lucidray.records import Float64

_LOG_RANGE = (np.log(0.05), np.log(20.0))


@dataclass(frozen=True)
class Platt:
    """A calibration of one finding: ``sigmoid(slope * logit + intercept)``.

    Args:
        slope: One where the spread of logits is right; below, where the model is too sure.
        intercept: Zero where the mean is right.
    """

    slope: float
    intercept: float

    def apply(self, logits: npt.ArrayLike) -> Float64:
        """Return calibrated probabilities of logits of any shape."""
        return np.asarray(expit(self.slope * as_float(logits, "logits") + self.intercept))


@dataclass(frozen=True)
class Temperature:
    """A calibration that divides all logits by one number.

    Args:
        value: Above one where the model is too sure. At its bounds (0.05 and 20) the validation
            data do not fix it.
    """

    value: float

    def apply(self, logits: npt.ArrayLike) -> Float64:
        """Return probabilities: sigmoid of logits ``(N,)``, softmax over the rows of ``(N, K)``.

        For many findings ``(N, F)`` use one temperature a column.
        """
        scaled = as_float(logits, "logits") / self.value
        return np.asarray(softmax(scaled, axis=-1) if scaled.ndim == 2 else expit(scaled))


def fit_platt(labels: npt.ArrayLike, logits: npt.ArrayLike, *, smooth: bool = True) -> Platt:
    """Fit slope and intercept by maximum likelihood, which is convex.

    Args:
        labels: ``(N,)`` of validation images: 1, 0 or nan (left out).
        logits: ``(N,)`` of the finding.
        smooth: Aim at ``(n + 1) / (n + 2)`` and ``1 / (n + 2)`` instead of one and zero, which
            keeps the fit finite where a threshold parts the classes. Without, one gets the plain
            calibration slope and intercept.

    Returns:
        The fit; it falls in the logit where the model ranks worse than chance.

    Raises:
        MetricError: A class is absent, or, without smoothing, a threshold parts the classes so
            that no finite fit exists.

    Source: Platt 1999; Lin, Lin & Weng, Mach. Learn. 68:267 (2007).

    >>> fit = fit_platt([0, 1, 0, 1, 1, 0, 1, 0], [-2, 2, -1, 1, -0.5, 0.5, 3, -3])
    >>> bool(fit.slope > 0)
    True
    """
    samples = binary_samples(labels, logits)
    positive, values = samples.positive, samples.scores
    _need_both(positive)
    if not smooth and _parted(values[positive], values[~positive]):
        raise MetricError(
            "a threshold parts the classes, so no finite slope exists; use smooth=True"
        )
    count, size = int(positive.sum()), len(positive)
    targets = np.where(positive, 1.0, 0.0)
    if smooth:
        targets = np.where(positive, (count + 1) / (count + 2), 1 / (size - count + 2))
    center, scale = values.mean(), values.std() or 1.0
    design = np.column_stack([(values - center) / scale, np.ones(size)])
    slope, intercept = _fit_logistic(design, targets)
    return Platt(slope / scale, intercept - slope * center / scale)


def fit_temperature(labels: npt.ArrayLike, logits: npt.ArrayLike) -> Temperature:
    """Fit the temperature that makes the log loss smallest.

    Args:
        labels: ``(N,)`` of validation images: 1, 0 or nan, or class indices (or one-hot) where
            logits are ``(N, K)``.
        logits: ``(N,)`` of one finding, or ``(N, K)`` of K classes.

    Returns:
        The temperature, in [0.05, 20].

    Raises:
        MetricError: Nothing is labeled, a class is absent (one finding), or logits are not finite.

    Source: Guo et al., ICML 2017.
    """
    values = as_float(logits, "logits")
    if values.ndim == 2:
        truth = class_indices(labels, values.shape[1])
        known = ~np.isnan(truth)
        pairs = _finite(values[known]), truth[known].astype(np.int64)
    else:
        samples = binary_samples(labels, values)
        _need_both(samples.positive)
        both = np.column_stack([np.zeros(len(samples)), samples.scores])
        pairs = both, samples.positive.astype(np.int64)
    if not len(pairs[1]):
        raise MetricError("no labeled image; a temperature needs some")
    found = minimize_scalar(
        lambda log_t: _class_loss(*pairs, float(np.exp(-log_t))),
        bounds=_LOG_RANGE,
        method="bounded",
        options={"xatol": 1e-8},
    )
    return Temperature(float(np.exp(found.x)))


def _class_loss(logits: Float64, truth: Int, inverse: float) -> float:
    scaled = logits * inverse
    chosen = scaled[np.arange(len(truth)), truth]
    return float((logsumexp(scaled, axis=1) - chosen).mean())


def _fit_logistic(design: Float64, targets: Float64) -> tuple[float, float]:
    def loss(beta: Float64) -> tuple[float, Float64]:
        line = design @ beta
        value = float((np.logaddexp(0, line) - targets * line).mean())
        return value, design.T @ (expit(line) - targets) / len(targets)

    def curvature(beta: Float64) -> Float64:
        p = expit(design @ beta)
        return np.asarray((design.T * (p * (1 - p))) @ design / len(targets))

    found = minimize(
        loss, np.zeros(2), jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-10}
    )
    return float(found.x[0]), float(found.x[1])


def _parted(positive: Float64, negative: Float64) -> bool:
    return bool(positive.min() >= negative.max() or positive.max() <= negative.min())


def _need_both(positive: npt.NDArray[np.bool_]) -> None:
    if not positive.any() or positive.all():
        raise MetricError(
            f"validation has {positive.sum()} positives and {(~positive).sum()} negatives; "
            "calibration needs both"
        )


def _finite(values: Float64) -> Float64:
    if not np.isfinite(values).all():
        raise MetricError("some logits are nan or infinite; mend the model")
    return values
