"""Whether what is seen now is still what was seen before: shifts of distributions and of rates.

Both windows must hold independent values: where a patient has several films, take one of each.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import stats

from lucidray.errors import MetricError
from lucidray.metrics.inputs import as_float
from lucidray.records import Float64

Value = TypeVar("Value")


@dataclass(frozen=True)
class DistributionShift:
    """How far a distribution has moved.

    Args:
        psi: Population stability index, 0 = the same; nan where a window is empty.
        psi_by_chance: What `psi` is on average where nothing has moved; nan where it is undefined.
        distance: Largest distance of the two distribution functions, 0 to 1 (Kolmogorov-Smirnov).
        p_value: Of `distance` where nothing has moved.
        reference: Number of values before.
        current: Number of values now.
    """

    psi: float
    psi_by_chance: float
    distance: float
    p_value: float
    reference: int
    current: int


@dataclass(frozen=True)
class RateShift:
    """How far a rate has moved.

    Args:
        before: The rate in the reference window, 0 to 1; nan where that is empty.
        now: The rate in the current window; nan where that is empty.
        p_value: Fisher's exact test that it has not moved; nan where a window is empty.
        reference: Number of trials before.
        current: Number of trials now.
    """

    before: float
    now: float
    p_value: float
    reference: int
    current: int

    @property
    def change(self) -> float:
        """The rate now, less the rate before."""
        return self.now - self.before


def distribution_shift(
    reference: npt.ArrayLike, current: npt.ArrayLike, *, bins: int = 10
) -> DistributionShift:
    """Measure how far a distribution has moved from a reference.

    Args:
        reference: Values before, any shape, one of each patient; nan is left out.
        current: Values now, the same.
        bins: Parts of the population stability index, cut at the quantiles of the reference.

    Returns:
        The shift; nan where a window holds nothing.

    Raises:
        MetricError: There are fewer than two bins.

    Source: Kolmogorov-Smirnov: Hodges, Arkiv for Matematik 3:469 (1958). Population stability
        index, its bins filled with half a count more so that an empty one stays finite, and its
        mean by chance: Yurdakul, Statistical Properties of PSI (2018).

    >>> shift = distribution_shift([0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4], bins=2)
    >>> shift.psi, shift.distance
    (0.0, 0.0)
    """
    if bins < 2:
        raise MetricError(f"there are {bins} bins; give two or more")
    before, now = _known(reference, "reference"), _known(current, "current")
    if not len(before) or not len(now):
        return DistributionShift(np.nan, np.nan, np.nan, np.nan, len(before), len(now))
    edges = np.unique(np.quantile(before, np.linspace(0, 1, bins + 1)[1:-1]))
    shares = [_shares(values, edges) for values in (before, now)]
    psi = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    test = stats.ks_2samp(before, now, method="asymp")
    by_chance = len(edges) * (1 / len(before) + 1 / len(now))
    return DistributionShift(
        psi, by_chance, float(test.statistic), float(test.pvalue), len(before), len(now)
    )


def rate_shift(hits_before: int, before: int, hits_now: int, now: int) -> RateShift:
    """Measure how far a rate has moved from a reference.

    Args:
        hits_before: How often it happened before.
        before: Of how many patients.
        hits_now: How often it happened now.
        now: Of how many patients.

    Returns:
        The shift; nan where a window holds nothing.

    Raises:
        MetricError: It happened more often than it could.

    Source: Fisher, J. R. Statist. Soc. 85:87 (1922).

    >>> shift = rate_shift(5, 100, 20, 100)
    >>> print(f"{shift.change:.2f} {shift.p_value:.4f}")
    0.15 0.0022
    """
    if not 0 <= hits_before <= before or not 0 <= hits_now <= now:
        raise MetricError(
            f"{hits_before} of {before} and {hits_now} of {now} are no rates; hits must lie "
            "between 0 and the number of trials"
        )
    if not before or not now:
        rates = [hits / n if n else np.nan for hits, n in ((hits_before, before), (hits_now, now))]
        return RateShift(rates[0], rates[1], np.nan, before, now)
    table = [[hits_before, before - hits_before], [hits_now, now - hits_now]]
    p_value = float(stats.fisher_exact(table).pvalue)
    return RateShift(hits_before / before, hits_now / now, p_value, before, now)


def first_of_each(rows: Iterable[tuple[Hashable, Value]]) -> list[Value]:
    """Keep the first value of each patient, so that no patient counts twice.

    Args:
        rows: Patient and value, in order.

    >>> first_of_each([("a", 1), ("b", 2), ("a", 3)])
    [1, 2]
    """
    kept: dict[Hashable, Value] = {}
    for patient, value in rows:
        kept.setdefault(patient, value)
    return list(kept.values())


def _known(values: npt.ArrayLike, name: str) -> Float64:
    given = as_float(values, name).ravel()
    return given[~np.isnan(given)]


def _shares(values: Float64, edges: Float64) -> Float64:
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return np.asarray((counts + 0.5) / (len(values) + 0.5 * len(counts)), np.float64)
