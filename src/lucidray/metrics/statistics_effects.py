"""How large a difference is, in units that compare between studies: effect sizes.

A p-value shrinks with the number of images; an effect size does not.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from lucidray.errors import ShapeError
from lucidray.metrics.inputs import as_float, encode_groups, ratio
from lucidray.records import Float64


def cohen_dz(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Return the mean paired difference over the standard deviation of the differences.

    Args:
        first: ``(N,)``; a pair with nan is left out.
        second: ``(N,)``, of the same images.

    Returns:
        Positive where the first is higher; nan with fewer than two pairs or equal differences.

    Source: Cohen, Statistical Power Analysis (1988), section 2.3.5; Lakens, Front. Psychol. 4:863
        (2013), equation 6.

    >>> cohen_dz([2, 4, 6], [1, 2, 3])
    2.0
    """
    gaps = paired(first, second)
    if gaps.size < 2:
        return float("nan")
    return float(ratio(gaps.mean(), _spread(gaps)))


def hedges_gz(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Return Cohen's d_z without its bias in small samples.

    Args:
        first: ``(N,)``; a pair with nan is left out.
        second: ``(N,)``, of the same images.

    Returns:
        As `cohen_dz`; nan also with two pairs, where the correction is undefined.

    Source: Hedges, J. Educ. Stat. 6:107 (1981), equation 6e, exact, with N - 1 degrees.
    """
    return cohen_dz(first, second) * _unbiased(paired(first, second).size - 1)


def hedges_g(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Return the difference of two independent means over their pooled standard deviation.

    Args:
        first: ``(N,)``; nan is left out.
        second: ``(M,)``, of other images.

    Returns:
        Positive where the first is higher, without the bias in small samples; nan where a sample
        has fewer than two values or nothing varies.

    Source: Hedges, J. Educ. Stat. 6:107 (1981), equation 6e, exact.
    """
    one, two = known(first), known(second)
    degrees = one.size + two.size - 2
    if min(one.size, two.size) < 2:
        return float("nan")
    squares = sum(float(((v - v.mean()) ** 2).sum()) for v in (one, two))
    pooled = float(np.sqrt(squares / degrees))
    return float(ratio(one.mean() - two.mean(), pooled)) * _unbiased(degrees)


def eta_squared(samples: Mapping[str, npt.ArrayLike]) -> float:
    """Return the share of the variance that lies between groups.

    Args:
        samples: Values of each group; nan is left out.

    Returns:
        In [0, 1]; nan where nothing varies.

    Source: Cohen 1988, section 8.2.
    """
    parts = [known(values) for values in samples.values()]
    everything = np.concatenate([*parts, np.empty(0)])
    if not everything.size:
        return float("nan")
    middle = everything.mean()
    between = sum(part.size * (part.mean() - middle) ** 2 for part in parts if part.size)
    return float(ratio(between, ((everything - middle) ** 2).sum()))


def kendall_w(values: npt.ArrayLike) -> float:
    """Return how much blocks agree on the order of treatments.

    Args:
        values: ``(N, K)``: one row a block (an image, a patient), one column a treatment; a row
            with nan is left out.

    Returns:
        In [0, 1], corrected for ties; nan without a row, with one column, or all tied.

    Source: Kendall & Babington Smith, Ann. Math. Stat. 10:275 (1939).

    >>> kendall_w([[1, 2, 3], [2, 4, 9]])
    1.0
    """
    table = complete(values)
    blocks, treatments = table.shape
    if not blocks or treatments < 2:
        return float("nan")
    ranks = stats.rankdata(table, axis=1)
    spread = ((ranks.sum(axis=0) - blocks * (treatments + 1) / 2) ** 2).sum()
    ties = sum(_tied(row) for row in ranks)
    return float(ratio(12 * spread, blocks**2 * (treatments**3 - treatments) - blocks * ties))


def known(values: npt.ArrayLike) -> Float64:
    """Return the values ``(N,)`` that are not nan.

    Raises:
        ShapeError: They are not ``(N,)``.
    """
    found = as_float(values, "values")
    if found.ndim != 1:
        raise ShapeError(f"values are {found.shape}; expected (N,)")
    return found[~np.isnan(found)]


def paired(first: npt.ArrayLike, second: npt.ArrayLike) -> Float64:
    """Return the differences of pairs without nan.

    Raises:
        ShapeError: The two are not both ``(N,)``.
    """
    one, two = as_float(first, "first values"), as_float(second, "second values")
    if one.ndim != 1 or one.shape != two.shape:
        raise ShapeError(f"values are {one.shape} and {two.shape}; both must be (N,)")
    return known(one - two)


def complete(values: npt.ArrayLike) -> Float64:
    """Return the rows ``(N, K)`` without nan.

    Raises:
        ShapeError: They are not ``(N, K)``.
    """
    table = as_float(values, "values")
    if table.ndim != 2:
        raise ShapeError(f"values are {table.shape}; expected (N, K), one column a treatment")
    return table[~np.isnan(table).any(axis=1)]


def patient_means(values: npt.ArrayLike, groups: npt.ArrayLike | None) -> Float64:
    """Return the mean of each patient's rows without nan, so that rows are independent.

    Args:
        values: ``(N, K)``; a row with nan is left out.
        groups: ``(N,)`` patient keys; None: each row is its own patient.

    Returns:
        ``(patients, K)``, those without a complete row left out.
    """
    table = as_float(values, "values")
    cluster, clusters = encode_groups(groups, len(table))
    whole = ~np.isnan(table).any(axis=1)
    sums = np.zeros((clusters, table.shape[1]))
    np.add.at(sums, cluster[whole], table[whole])
    counts = np.bincount(cluster[whole], minlength=clusters)
    return np.asarray(sums[counts > 0] / counts[counts > 0, None])


def _spread(values: Float64) -> float:
    spread = float(values.std(ddof=1))
    return spread if spread > 1e-14 * float(np.abs(values).max()) else 0.0


def _unbiased(degrees: int) -> float:
    if degrees < 2:
        return float("nan")
    log = special.gammaln(degrees / 2) - special.gammaln((degrees - 1) / 2)
    return float(np.exp(log) / np.sqrt(degrees / 2))


def _tied(ranks: Float64) -> float:
    counts = np.unique(ranks, return_counts=True)[1].astype(np.float64)
    return float((counts**3 - counts).sum())
