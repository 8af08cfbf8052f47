"""What an ensemble gains on validation images, and what its members' disagreement tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

from lucidray.bundle.estimate import Estimate
from lucidray.metrics import measure_binary
from lucidray.metrics.inputs import encode_groups, ratio
from lucidray.metrics.logit_loss import log_losses
from lucidray.metrics.resampling import Key, estimate
from lucidray.records import Float32, Float64, Measurement

#: Bootstrap replicates of the intervals.
_BOOT = 1000


def plain_probabilities(logits: Float32, *, exclusive: bool) -> Float64:
    """Return uncalibrated probabilities of logits ``(..., F)``."""
    values = logits.astype(np.float64)
    return np.asarray(softmax(values, axis=-1) if exclusive else expit(values), np.float64)


def measure_log_loss(
    logits: Float32, labels: Float32, *, exclusive: bool, groups: npt.ArrayLike | None
) -> Estimate:
    """Return the mean log loss of logits ``(N, F)``, with an interval over patients."""
    return mean_of(log_losses(logits, labels, exclusive=exclusive), groups)


def measure_auc(
    findings: Sequence[str],
    logits: Float32,
    labels: Float32,
    *,
    exclusive: bool,
    groups: npt.ArrayLike | None,
) -> dict[str, Estimate]:
    """Return the AUC of each finding that is both present and absent, with its interval."""
    told = plain_probabilities(logits, exclusive=exclusive)
    columns = zip(findings, labels.T, told.T, strict=True)
    return {
        name: _auc(truth, values, groups) for name, truth, values in columns if _both(truth == 1)
    }


def measure_disagreement(
    findings: Sequence[str], deviation: Float64, groups: npt.ArrayLike | None
) -> dict[str, Estimate]:
    """Return, by finding, the mean of the members' standard deviations ``(N, F)``."""
    return {name: mean_of(each, groups) for name, each in zip(findings, deviation.T, strict=True)}


def measure_errors_told(
    deviation: Float64,
    probabilities: Float32,
    labels: Float32,
    thresholds: Mapping[int, float],
    *,
    exclusive: bool,
    groups: npt.ArrayLike | None,
) -> Estimate | None:
    """Say how well disagreement tells wrong calls from right ones.

    Args:
        deviation: ``(N, F)`` standard deviation of the members' probabilities.
        probabilities: ``(N, F)``, calibrated.
        labels: ``(N, F)``: 1, 0 or nan.
        thresholds: Operating points by index of the finding; others are not called.
        exclusive: Whether exactly one finding holds; the likeliest is then the call.
        groups: ``(N,)`` patient keys or None.

    Returns:
        An AUC over all calls, .5 = not at all; None where no call is wrong, or none right.
    """
    if exclusive:
        called = probabilities.argmax(axis=1)
        wrong = np.where(np.isfinite(labels).all(axis=1), labels.argmax(axis=1) != called, np.nan)
        spread = np.take_along_axis(deviation, called[:, None], 1)[:, 0]
        keys = groups
    else:
        at = sorted(thresholds)
        points = np.array([thresholds[index] for index in at], np.float32)
        truth = labels[:, at]
        wrong = np.where(np.isfinite(truth), (probabilities[:, at] >= points) != truth, np.nan)
        wrong, spread = wrong.ravel(), deviation[:, at].ravel()
        keys = np.repeat(np.arange(len(labels)) if groups is None else np.asarray(groups), len(at))
    return _auc(wrong, np.clip(spread, 0, 1), keys) if _both(wrong[np.isfinite(wrong)]) else None


def mean_of(values: Float64, groups: npt.ArrayLike | None) -> Estimate:
    """Return a mean over images with an interval over patients; nan values are left out."""
    known = np.isfinite(values)
    cluster, clusters = encode_groups(groups, len(values))
    sums, counts = (
        np.bincount(cluster, each, minlength=clusters)
        for each in (np.where(known, values, 0.0), known.astype(np.float64))
    )

    def panel(weights: Float64) -> dict[Key, Float64]:
        return {("", "mean"): ratio((sums @ weights)[None], (counts @ weights)[None])[0]}

    found = estimate(panel, clusters, n_boot=_BOOT)["", "mean"]
    return _estimate(found.value, found.low, found.high, int(known.sum()))


def _auc(truth: npt.ArrayLike, values: npt.ArrayLike, groups: npt.ArrayLike | None) -> Estimate:
    found: Measurement = measure_binary(truth, values, groups=groups, n_boot=_BOOT, only=["auc"])[
        "auc"
    ]
    return _estimate(found.value, found.low, found.high, found.count)


def _estimate(value: float, low: float, high: float, count: int) -> Estimate:
    told, least, most = (float(v) if np.isfinite(v) else None for v in (value, low, high))
    return Estimate(told, least, most, count)


def _both(values: npt.NDArray[np.generic]) -> bool:
    return len(np.unique(values.astype(bool))) == 2
