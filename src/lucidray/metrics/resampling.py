"""Intervals from resampled patients: bootstrap, percentile and BCa, paired by construction.

A `Panel` gives any number of values for each column of patient weights. All that is measured
together stands in one panel, so that all of it sees the same patients: differences of two models
or of two subgroups are then paired, and an average's interval knows how its parts move together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy import stats

from lucidray.errors import MetricError
from lucidray.metrics.inputs import ratio
from lucidray.metrics.intervals import normal_quantile
from lucidray.records import Float64

#: What is measured of what: (finding or average, measure).
Key: TypeAlias = tuple[str, str]
#: Patient weights ``(C, B)`` to one value a replicate ``(B,)`` for each key.
Panel: TypeAlias = Callable[[Float64], Mapping[Key, Float64]]
Interval = Literal["percentile", "bca"]
Progress: TypeAlias = Callable[[int, int], None]

_CELLS = 2**22  # weights that lie in memory at once (32 MB)
_NOISE = 1e-12  # a difference as small as this is rounding


@dataclass(frozen=True)
class Estimate:
    """A value with its interval.

    Args:
        value: The value on all patients; nan = undefined.
        low: Lower end; nan = not computed.
        high: Upper end; nan = not computed.
        replicates: float64 ``(B,)`` values of the replicates; nan = undefined there.
    """

    value: float
    low: float
    high: float
    replicates: Float64

    @property
    def degenerate(self) -> bool:
        """Say whether the replicates do not vary at all, so that they tell nothing."""
        known = self.replicates[~np.isnan(self.replicates)]
        return bool(known.size and np.ptp(known) <= _NOISE)


def estimate(
    panel: Panel,
    clusters: int,
    *,
    n_boot: int = 2000,
    seed: int = 0,
    interval: Interval = "percentile",
    level: float = 0.95,
    progress: Progress | None = None,
) -> dict[Key, Estimate]:
    """Measure a panel with intervals over patients.

    Args:
        panel: What is measured.
        clusters: Number of patients.
        n_boot: Number of replicates; 0: values without intervals.
        seed: Same seed, same intervals.
        interval: ``"percentile"``, or ``"bca"`` (bias-corrected and accelerated).
        level: Coverage.
        progress: Called with replicates done and in all.

    Returns:
        One estimate a key. The interval is nan where the value is undefined or more than half of
        the replicates are.

    Raises:
        MetricError: A setting is out of range.

    Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993); patients as the unit:
        Field & Welsh, JRSS-B 69:369 (2007).
    """
    if interval not in ("percentile", "bca"):
        raise MetricError(f"interval is '{interval}'; choose 'percentile' or 'bca'")
    values = panel(np.ones((clusters, 1)))
    if n_boot == 0:
        nothing = np.empty(0)
        return {k: Estimate(float(v[0]), np.nan, np.nan, nothing) for k, v in values.items()}
    draws = bootstrap(panel, clusters, n_boot=n_boot, seed=seed, progress=progress)
    left_out = jackknife(panel, clusters) if interval == "bca" else {}
    found = {}
    for key, value in values.items():
        single = float(value[0])
        if interval == "bca":
            low, high = bca_interval(single, draws[key], left_out[key], level=level)
        else:
            low, high = percentile_interval(draws[key], level=level)
        ends = (np.nan, np.nan) if np.isnan(single) else (low, high)
        found[key] = Estimate(single, *ends, draws[key])
    return found


def bootstrap(
    panel: Panel,
    clusters: int,
    *,
    n_boot: int = 2000,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[Key, Float64]:
    """Return the panel's values ``(n_boot,)`` on patients drawn with replacement.

    Args as in `estimate`.

    Raises:
        MetricError: There is no replicate or no patient.
    """
    if n_boot < 1 or clusters < 1:
        raise MetricError(f"{n_boot} replicates of {clusters} patients; both must be at least 1")
    parts: list[Mapping[Key, Float64]] = []
    done = 0
    for weights in bootstrap_weights(clusters, n_boot, seed):
        parts.append(panel(weights))
        done += weights.shape[1]
        if progress is not None:
            progress(done, n_boot)
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def bootstrap_weights(clusters: int, n_boot: int, seed: int) -> Iterator[Float64]:
    """Yield how often each patient is drawn, float64 ``(C, b)``, a few replicates at a time."""
    rng = np.random.default_rng(seed)
    step = max(1, min(512, _CELLS // clusters))
    for start in range(0, n_boot, step):
        size = min(step, n_boot - start)
        drawn = rng.integers(0, clusters, size=(size, clusters))
        drawn += clusters * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * clusters)
        yield np.ascontiguousarray(counts.reshape(size, clusters).T, dtype=np.float64)


def jackknife(panel: Panel, clusters: int, *, blocks: int = 400) -> dict[Key, Float64]:
    """Return the panel's values with one block of patients left out at a time.

    Args:
        panel: What is measured.
        clusters: Number of patients.
        blocks: At most so many blocks; with fewer patients, each is a block of its own.

    Returns:
        Values ``(min(blocks, clusters),)``.
    """
    count = min(blocks, clusters)
    block = np.random.default_rng(0).permutation(clusters) % count
    step = max(1, min(512, _CELLS // clusters))
    parts = [
        panel((block[:, None] != np.arange(start, min(start + step, count))).astype(np.float64))
        for start in range(0, count, step)
    ]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def percentile_interval(replicates: Float64, *, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of replicates ``(B,)``; nan where over half are undefined."""
    tail = _tail(level)
    known = replicates[~np.isnan(replicates)]
    if 2 * known.size <= replicates.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def bca_interval(
    value: float, replicates: Float64, left_out: Float64, *, level: float = 0.95
) -> tuple[float, float]:
    """Return the bias-corrected and accelerated interval.

    Args:
        value: The value on all patients.
        replicates: float64 ``(B,)`` bootstrap values.
        left_out: float64 ``(K,)`` jackknife values.
        level: Coverage.

    Returns:
        Lower and upper end; the percentile interval where the correction is undefined (all
        replicates on one side of the value, or nothing varies).

    Source: Efron, JASA 82:171 (1987).

    Deviates: blocks of patients are left out where there are over 400 of them; the acceleration,
        which only asks for the skewness of a sum, has the same expectation.
    """
    known = replicates[~np.isnan(replicates)]
    share = float(ratio((known < value).sum() + 0.5 * (known == value).sum(), known.size))
    kept = left_out[~np.isnan(left_out)]
    pull = kept.mean() - kept if kept.size else np.zeros(1)
    spread = float((pull**2).sum())
    if not 0 < share < 1 or spread <= 0 or 2 * known.size <= replicates.size:
        return percentile_interval(replicates, level=level)
    bias = stats.norm.ppf(share)
    speed = float((pull**3).sum()) / (6 * spread**1.5)
    ends = bias + np.array([-1, 1]) * normal_quantile(level)
    places = stats.norm.cdf(bias + ends / (1 - speed * ends))
    low, high = np.quantile(known, places)
    return float(low), float(high)


def bootstrap_p_value(differences: Float64) -> float:
    """Return the two-sided p-value of a difference of zero, from its replicates.

    Args:
        differences: float64 ``(B,)`` replicates of a paired difference; nan = undefined there.

    Returns:
        Twice the smaller share of replicates on either side of zero, at least ``2 / (B + 1)`` and
        at most 1; nan where none is defined.

    Source: Efron & Tibshirani (1993), section 15.4, with one added to both counts (Davison &
        Hinkley 1997, equation 4.11).
    """
    known = differences[~np.isnan(differences)]
    if not known.size:
        return float("nan")
    smaller = min((known <= _NOISE).sum(), (known >= -_NOISE).sum())
    return float(min(1.0, 2 * (smaller + 1) / (known.size + 1)))


def _tail(level: float) -> float:
    normal_quantile(level)
    return (1 - level) / 2
