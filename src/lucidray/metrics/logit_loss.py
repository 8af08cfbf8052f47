"""The log loss of logits, and its slope: what is minimized wherever logits are joined."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_softmax

from lucidray.records import Float32, Float64


def log_losses(logits: Float32 | Float64, labels: Float32, *, exclusive: bool) -> Float64:
    """Return the log loss of each image, a mean over its labeled findings.

    Args:
        logits: ``(N, F)``.
        labels: ``(N, F)``: 1, 0 or nan.
        exclusive: Whether exactly one finding holds (softmax).

    Returns:
        ``(N,)``; nan where nothing is labeled, and of exclusive findings where one is not.

    >>> log_losses(np.zeros((1, 1)), np.ones((1, 1), np.float32), exclusive=False).round(4)
    array([0.6931])
    """
    loss, known = _losses(np.asarray(logits, np.float64), labels, exclusive=exclusive)
    count = known.any(axis=1) if exclusive else known.sum(axis=1)
    return np.where(count > 0, loss.sum(axis=1) / np.maximum(count, 1), np.nan)


def loss_and_slope(logits: Float64, labels: Float32, *, exclusive: bool) -> tuple[float, Float64]:
    """Return the log loss summed over findings, a mean over images, and its slope by the logits.

    Args:
        logits: ``(N, F)``.
        labels: As for `log_losses`.
        exclusive: As for `log_losses`.

    Returns:
        A number, and ``(N, F)``, 0 where nothing is labeled.
    """
    loss, known = _losses(logits, labels, exclusive=exclusive)
    told = np.exp(log_softmax(logits, axis=1)) if exclusive else expit(logits)
    wrong = np.where(known, told - np.nan_to_num(labels), 0.0)
    return float(loss.sum() / len(labels)), wrong / len(labels)


def _losses(
    logits: Float64, labels: Float32, *, exclusive: bool
) -> tuple[Float64, npt.NDArray[np.bool_]]:
    known = np.asarray(np.isfinite(labels))
    truth = np.where(known, labels, 0.0)
    if exclusive:
        known = np.repeat(np.asarray(known.all(axis=1))[:, None], labels.shape[1], 1)
        return np.where(known, -truth * log_softmax(logits, axis=1), 0.0), known
    return np.where(known, np.logaddexp(0, logits) - truth * logits, 0.0), known
