"""How unsure a probability is: normalized entropy, and nearness to the operating point.

All are 0 where a model is sure and 1 where it cannot tell.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import entr, expit

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.calibration import logit
from lucidray.metrics.inputs import as_float
from lucidray.records import Float64


def normalized_entropy(probabilities: npt.ArrayLike, *, exclusive: bool = False) -> Float64:
    """Return the entropy of probabilities as a part of the largest possible one.

    Args:
        probabilities: In [0, 1], of any shape; ``(..., K)`` where K findings exclude each other.
        exclusive: Whether the last axis holds K probabilities of which exactly one comes true.

    Returns:
        In [0, 1], 1 = most unsure: of the same shape, one for each finding; without the last axis
        where findings exclude each other. nan stays nan.

    Raises:
        MetricError: A value is no probability.
        ShapeError: There are fewer than two findings that could exclude each other.

    Source: Shannon 1948, divided by log 2 or log K.

    >>> normalized_entropy([0.0, 0.5, 1.0]).tolist()
    [0.0, 1.0, 0.0]
    """
    values = _probabilities(probabilities)
    if not exclusive:
        return np.asarray((entr(values) + entr(1 - values)) / np.log(2))
    if not values.ndim or values.shape[-1] < 2:
        raise ShapeError(f"probabilities are {values.shape}; expected (..., K), K at least 2")
    return np.asarray(np.clip(entr(values).sum(axis=-1) / np.log(values.shape[-1]), 0, 1))


def nearness(probabilities: npt.ArrayLike, points: npt.ArrayLike) -> Float64:
    """Return how near probabilities lie to the operating point of their finding.

    Each is moved, in log odds, as far as puts the operating point at one half; then its normalized
    entropy is taken. Where the operating point weighs misses and false alarms rightly, this orders
    images by what a wrong call is expected to cost (Chow, IEEE Trans. Inf. Theory 16:41, 1970).

    Args:
        probabilities: ``(..., F)`` in [0, 1]; clipped at 1e-7.
        points: ``(F,)`` or one number, in [0, 1].

    Returns:
        Same shape, in (0, 1], 1 at the operating point.

    Raises:
        MetricError: A value is no probability.
    """
    moved = logit(_probabilities(probabilities)) - logit(_probabilities(points))
    return normalized_entropy(expit(moved))


def class_nearness(probabilities: npt.ArrayLike) -> Float64:
    """Return one less the gap between the two largest of K probabilities.

    Args:
        probabilities: ``(..., K)`` in [0, 1], K at least 2.

    Returns:
        ``(...)``, 1 where the two are equal.

    Raises:
        MetricError: A value is no probability.
        ShapeError: There are fewer than two classes.
    """
    values = _probabilities(probabilities)
    if not values.ndim or values.shape[-1] < 2:
        raise ShapeError(f"probabilities are {values.shape}; expected (..., K), K at least 2")
    ordered = np.sort(values, axis=-1)
    return np.asarray(1 - ordered[..., -1] + ordered[..., -2])


def _probabilities(values: npt.ArrayLike) -> Float64:
    found = as_float(values, "probabilities")
    if (found < 0).any() or (found > 1).any():
        raise MetricError(
            f"probabilities run from {np.nanmin(found):g} to {np.nanmax(found):g}; expected [0, 1]"
        )
    return found
