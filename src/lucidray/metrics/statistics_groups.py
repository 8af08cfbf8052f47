"""Tests of more than two methods or models at once, and of their pairs.

Where each image is measured with every model, as nearly always here, the values of one image belong
together: Friedman's test and its post hoc tests keep that, a one-way analysis of variance does not.
The latter stands here because it has been published so. Several images of one patient are averaged
first, where patients are given, since every test here takes its rows as independent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy import stats

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.inputs import as_float, ratio
from lucidray.metrics.intervals import holm, normal_quantile
from lucidray.metrics.statistics_effects import eta_squared, kendall_w, known, patient_means
from lucidray.records import Float64


@dataclass(frozen=True)
class GroupTest:
    """A test of whether several groups differ at all.

    Args:
        test: Its name.
        statistic: F or chi-squared; nan = undefined.
        degrees: Degrees of freedom: of chi-squared one, of F two.
        p_value: Of no difference; nan = undefined.
        effect: The effect size.
        effect_name: ``"eta squared"`` or ``"Kendall's W"``, both in [0, 1].
        count: Values (images or patients) that it rests on.
        undefined: How many were left out for nan.
    """

    test: str
    statistic: float
    degrees: tuple[float, ...]
    p_value: float
    effect: float
    effect_name: str
    count: int
    undefined: int


@dataclass(frozen=True)
class PairTest:
    """A test of two of several groups.

    Args:
        first: Name of one group.
        second: Name of the other.
        difference: First minus second: of means, or of mean ranks (rank 1 is the lowest value).
        p_value: Two-sided, adjusted for the number of pairs; nan = undefined.
        low: Lower end of the difference's simultaneous interval; nan = not given by the test.
        high: Upper end.
        test: The test's name.
    """

    first: str
    second: str
    difference: float
    p_value: float
    low: float
    high: float
    test: str


def one_way_anova(samples: Mapping[str, npt.ArrayLike]) -> GroupTest:
    """Test whether independent groups have one mean, as the publications did.

    Args:
        samples: Values of each group, of any number; nan is left out.

    Returns:
        F with its degrees between and within, and eta squared; nan with fewer than two groups with
        values, or where nothing varies within groups.

    Source: Fisher 1925; `scipy.stats.f_oneway`.
    """
    parts = [known(values) for values in samples.values()]
    count, total = sum(part.size for part in parts), sum(np.size(v) for v in samples.values())
    filled = [part for part in parts if part.size]
    between, within = len(filled) - 1, count - len(filled)
    statistic = p_value = float("nan")
    if between >= 1 and within >= 1 and any(np.ptp(part) > 0 for part in filled):
        statistic, p_value = (float(v) for v in stats.f_oneway(*filled))
    return GroupTest(
        "one-way ANOVA",
        statistic,
        (between, within),
        p_value,
        eta_squared(samples),
        "eta squared",
        count,
        total - count,
    )


def tukey_hsd(samples: Mapping[str, npt.ArrayLike], *, level: float = 0.95) -> list[PairTest]:
    """Test every two of independent groups by Tukey's honest significant difference.

    Args:
        samples: Values of each group, of any number; nan is left out.
        level: Joint coverage of the intervals.

    Returns:
        One test a pair, in the order given; p-values are already adjusted; nan where a group has no
        value or nothing varies within groups.

    Source: Tukey 1949; Kramer, Biometrics 12:307 (1956) for unequal numbers.
    """
    normal_quantile(level)
    parts = {name: known(values) for name, values in samples.items()}
    filled = [part for part in parts.values() if part.size]
    degrees = sum(part.size for part in filled) - len(filled)
    squares = sum(float(((part - part.mean()) ** 2).sum()) for part in filled)
    variance = float(ratio(squares, degrees))
    found = []
    for one, two in combinations(parts, 2):
        a, b = parts[one], parts[two]
        if not (a.size and b.size):
            nothing = float("nan")
            found.append(PairTest(one, two, nothing, nothing, nothing, nothing, "Tukey HSD"))
            continue
        gap = float(a.mean() - b.mean())
        error = float(np.sqrt(variance / 2 * (1 / a.size + 1 / b.size)))
        p_value, reach = _studentized(gap, error, len(filled), degrees, level)
        found.append(PairTest(one, two, gap, p_value, gap - reach, gap + reach, "Tukey HSD"))
    return found


def friedman(
    samples: Mapping[str, npt.ArrayLike], *, groups: npt.ArrayLike | None = None
) -> GroupTest:
    """Test whether several models or methods, measured on the same images, differ.

    Args:
        samples: ``(N,)`` of each model; an image with nan of any is left out.
        groups: ``(N,)`` patient keys, whose images are averaged first; None: each its own.

    Returns:
        Chi-squared, corrected for ties, and Kendall's W; nan with fewer than two models or
        rows, or where all are tied.

    Raises:
        ShapeError: The models were not measured on the same number of images.

    Source: Friedman, JASA 32:675 (1937).
    """
    table, left_out = _blocks(samples, groups)
    blocks, treatments = table.shape
    agreement = kendall_w(table) if blocks > 1 else float("nan")
    statistic = blocks * (treatments - 1) * agreement
    return GroupTest(
        "Friedman",
        statistic,
        (treatments - 1,),
        float(stats.chi2.sf(statistic, treatments - 1)),
        agreement,
        "Kendall's W",
        blocks,
        left_out,
    )


def nemenyi(
    samples: Mapping[str, npt.ArrayLike],
    *,
    groups: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> list[PairTest]:
    """Test every two models after Friedman's test, by their mean ranks.

    Args:
        samples: ``(N,)`` of each model; an image with nan of any is left out.
        groups: ``(N,)`` patient keys, whose images are averaged first; None: each its own.
        level: Joint coverage of the intervals of rank differences: half their width is the
            critical difference.

    Returns:
        One test a pair; conservative.

    Source: Nemenyi 1963; Demsar, JMLR 7:1 (2006), section 3.2.2.
    """
    table, _ = _blocks(samples, groups)
    blocks, treatments = table.shape
    means = _mean_ranks(table)
    error = float(np.sqrt(ratio(treatments * (treatments + 1) / 12, blocks)))
    found = []
    for (i, one), (j, two) in combinations(enumerate(samples), 2):
        gap = float(means[i] - means[j])
        p_value, reach = _studentized(gap, error, treatments, np.inf, level)
        found.append(PairTest(one, two, gap, p_value, gap - reach, gap + reach, "Nemenyi"))
    return found


def conover(
    samples: Mapping[str, npt.ArrayLike], *, groups: npt.ArrayLike | None = None
) -> list[PairTest]:
    """Test every two models after Friedman's test, with more power than Nemenyi's.

    Args:
        samples: ``(N,)`` of each model; an image with nan of any is left out.
        groups: ``(N,)`` patient keys, whose images are averaged first; None: each its own.

    Returns:
        One test a pair, Holm-adjusted; to be read only where Friedman's test rejects; nan where
        rows agree perfectly, which leaves no error to measure against.

    Source: Conover, Practical Nonparametric Statistics (1999), section 5.8.
    """
    table, _ = _blocks(samples, groups)
    blocks, treatments = table.shape
    ranks = stats.rankdata(table, axis=1) if blocks else table
    sums, degrees = ranks.sum(axis=0), (blocks - 1) * (treatments - 1)
    left = blocks * float((ranks**2).sum()) - float((sums**2).sum())
    error = float(np.sqrt(ratio(2 * max(left, 0.0), degrees)))
    pairs = list(combinations(range(treatments), 2))
    gaps = [float(sums[i] - sums[j]) for i, j in pairs]
    raw = [2 * stats.t.sf(abs(float(ratio(gap, error))), max(degrees, 1)) for gap in gaps]
    return _adjusted(samples, [gap / blocks if blocks else np.nan for gap in gaps], raw, "Conover")


def wilcoxon_holm(
    samples: Mapping[str, npt.ArrayLike], *, groups: npt.ArrayLike | None = None
) -> list[PairTest]:
    """Test every two models by Wilcoxon's signed ranks, Holm-adjusted.

    Args:
        samples: ``(N,)`` of each model; a pair with nan is left out of its own test only.
        groups: ``(N,)`` patient keys, whose images are averaged first; None: each its own.

    Returns:
        One test a pair, with the difference of means; nan where two models never differ.

    Source: Wilcoxon 1945; Benavoli et al., JMLR 17:5 (2016), on why pairs are better tested by
        themselves than by mean ranks; exact without ties and zeros up to 50 pairs.
    """
    columns = _columns(samples)
    gaps, raw = [], []
    for one, two in combinations(columns, 2):
        table = patient_means(np.stack([columns[one], columns[two]], axis=1), groups)
        difference = table[:, 0] - table[:, 1]
        gaps.append(float(difference.mean()) if difference.size else float("nan"))
        moved = difference[difference != 0]
        raw.append(float(stats.wilcoxon(moved).pvalue) if moved.size else float("nan"))
    return _adjusted(samples, gaps, raw, "Wilcoxon, Holm")


def _studentized(
    gap: float, error: float, groups: int, degrees: float, level: float
) -> tuple[float, float]:
    if not error > 0:
        return float("nan"), float("nan")
    law = stats.studentized_range
    reach = error * float(law.ppf(level, groups, degrees))
    return float(np.clip(law.sf(abs(gap) / error, groups, degrees), 0, 1)), reach


def _columns(samples: Mapping[str, npt.ArrayLike]) -> dict[str, Float64]:
    columns = {name: as_float(values, "values") for name, values in samples.items()}
    shapes = {values.shape for values in columns.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise ShapeError(f"values are {sorted(shapes)}; expected one (N,) for all")
    if len(columns) < 2:
        raise MetricError("there is one sample only; at least two are needed to compare")
    return columns


def _blocks(
    samples: Mapping[str, npt.ArrayLike], groups: npt.ArrayLike | None
) -> tuple[Float64, int]:
    """Return the rows ``(blocks, K)`` that are complete, and how many images were not."""
    table = np.stack(list(_columns(samples).values()), axis=1)
    return patient_means(table, groups), int(np.isnan(table).any(axis=1).sum())


def _mean_ranks(table: Float64) -> Float64:
    if not len(table):
        return np.full(table.shape[1], np.nan)
    return np.asarray(stats.rankdata(table, axis=1).mean(axis=0))


def _adjusted(
    samples: Mapping[str, npt.ArrayLike], gaps: list[float], raw: list[float], test: str
) -> list[PairTest]:
    nothing = float("nan")
    return [
        PairTest(one, two, gap, float(p_value), nothing, nothing, test)
        for (one, two), gap, p_value in zip(combinations(samples, 2), gaps, holm(raw), strict=True)
    ]
