"""Intervals of rates and p-values of several tests, in closed form."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from lucidray.errors import MetricError
from lucidray.metrics.inputs import as_float
from lucidray.records import Float64


def wilson_interval(
    successes: npt.ArrayLike, total: npt.ArrayLike, *, level: float = 0.95
) -> tuple[Float64, Float64]:
    """Return Wilson's score interval of a proportion.

    Args:
        successes: Counts, any shape; need not be whole.
        total: Numbers of trials, same shape.
        level: Coverage, in (0, 1).

    Returns:
        Lower and upper end; nan where there is no trial. Never empty, even at 0 or all.

    Raises:
        MetricError: There are more successes than trials, or the level is out of range.

    Source: Wilson, JASA 22:209 (1927).

    >>> low, high = wilson_interval(8, 10)
    >>> print(f"{low:.4f} {high:.4f}")
    0.4902 0.9433
    """
    hits, trials = as_float(successes, "successes"), as_float(total, "total")
    if (hits < 0).any() or (hits > trials).any():
        raise MetricError("successes must lie between 0 and the number of trials")
    z = normal_quantile(level)
    size = np.where(trials > 0, trials, np.nan)
    rate = hits / size
    center = (rate + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z * np.sqrt(rate * (1 - rate) / size + z**2 / (4 * size**2)) / (1 + z**2 / size)
    low = np.where(hits == 0, 0 * size, center - half)
    return low, np.where(hits == trials, 0 * size + 1, center + half)


def normal_quantile(level: float) -> float:
    """Return how many standard errors a two-sided normal interval reaches.

    Raises:
        MetricError: The level is not in (0, 1).
    """
    if not 0 < level < 1:
        raise MetricError(f"level is {level}; it must lie between 0 and 1, for example 0.95")
    return float(stats.norm.ppf(0.5 + level / 2))


def holm(p_values: npt.ArrayLike) -> Float64:
    """Adjust p-values of several tests so that the chance of any false alarm stays bounded.

    Args:
        p_values: ``(K,)``; nan = a test that could not be made, which is not counted.

    Returns:
        ``(K,)`` adjusted p-values, nan where they came as nan.

    Raises:
        MetricError: A p-value lies outside [0, 1].

    Source: Holm, Scand. J. Statist. 6:65 (1979).

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    given = as_float(p_values, "p-values").ravel()
    known = np.flatnonzero(~np.isnan(given))
    if ((given[known] < 0) | (given[known] > 1)).any():
        raise MetricError("p-values must lie in [0, 1]")
    order = known[np.argsort(given[known], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted = np.full(given.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * factors), 1.0)
    return adjusted


def hanley_mcneil_se(auc: float, positives: int, negatives: int) -> float:
    """Return the standard error of an AUC from its value and the class sizes alone.

    Args:
        auc: The published area, in [0, 1].
        positives: Number of positives.
        negatives: Number of negatives.

    Returns:
        The standard error under exponential scores; use `statistics.delong` where scores are known.

    Raises:
        MetricError: The area lies outside [0, 1] or a class is empty.

    Source: Hanley & McNeil, Radiology 143:29 (1982), equations 1 and 2.

    >>> round(hanley_mcneil_se(0.727, 1500, 1500), 4)
    0.0092
    """
    if not 0 <= auc <= 1 or positives < 1 or negatives < 1:
        raise MetricError(
            f"AUC {auc} with {positives} positives and {negatives} negatives; expected an AUC in "
            "[0, 1] and at least one image of each class"
        )
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (positives - 1) * (q1 - auc**2) + (negatives - 1) * (q2 - auc**2)
    return float(np.sqrt(max(spread, 0.0) / (positives * negatives)))
