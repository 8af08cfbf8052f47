"""Do the networks differ? The published tests, those that the design calls for, and old sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy import stats

from lucidray.metrics import check_rates
from lucidray.metrics.intervals import holm
from lucidray.metrics.resampling import Estimate, bootstrap_p_value
from lucidray.metrics.statistics_groups import (
    GroupTest,
    friedman,
    one_way_anova,
    tukey_hsd,
    wilcoxon_holm,
)
from lucidray.papers.cam_depth.published import (
    ACCURACY,
    PRECISION,
    PUBLISHED_TEST,
    RECALL,
    TABLE_1,
    TABLE_2,
)
from lucidray.records import Float64


@dataclass(frozen=True)
class Pair:
    """How two networks' Diff_GradCAM differ.

    Args:
        first: One network.
        second: The other.
        difference: First minus second on the same images, with its interval over patients.
        tukey_p: As published: groups taken as independent.
        wilcoxon_p: Signed ranks over patients, Holm-adjusted.
        bootstrap_p: Paired bootstrap over patients, Holm-adjusted.
    """

    first: str
    second: str
    difference: Estimate
    tukey_p: float
    wilcoxon_p: float
    bootstrap_p: float


@dataclass(frozen=True)
class Compared:
    """All tests of one experiment.

    Args:
        anova: The published test.
        friedman: Its counterpart for repeated measures.
        pairs: Every two networks.
    """

    anova: GroupTest
    friedman: GroupTest
    pairs: tuple[Pair, ...]


def compare(
    samples: Mapping[str, Float64],
    patients: npt.ArrayLike,
    differences: Mapping[tuple[str, str], Estimate],
) -> Compared:
    """Test whether networks differ, as published and as the design calls for.

    Args:
        samples: Network → float64 ``(P,)``, one value an image, the same images for all.
        patients: ``(P,)`` patient keys.
        differences: Of every two networks, paired, with their replicates.

    Returns:
        p-values are nan where two networks never differ or nothing is defined.
    """
    keys = np.asarray(patients)
    tukey = {(test.first, test.second): test.p_value for test in tukey_hsd(samples)}
    ranks = {
        (test.first, test.second): test.p_value for test in wilcoxon_holm(samples, groups=keys)
    }
    pairs = list(combinations(samples, 2))
    raw = [bootstrap_p_value(differences[pair].replicates) for pair in pairs]
    return Compared(
        one_way_anova(samples),
        friedman(samples, groups=keys),
        tuple(
            Pair(*pair, differences[pair], tukey[pair], ranks[pair], float(p_value))
            for pair, p_value in zip(pairs, holm(raw), strict=True)
        ),
    )


@dataclass(frozen=True)
class Recheck:
    """The published tests, done again from the printed means and deviations.

    Args:
        statistic: F of the one-way analysis of variance.
        p_value: Its p-value.
        pairs: (row, row) → Tukey's p-value.
    """

    statistic: float
    p_value: float
    pairs: Mapping[tuple[str, str], float]


def recheck(count: int = PUBLISHED_TEST[0]) -> Recheck:
    """Do the published tests again from Table 3.2.

    Args:
        count: Images of each network.

    Source: one-way analysis of variance and Tukey's test from means and standard deviations of
        groups of one size.

    >>> round(recheck().pairs["ResNet34", "ResNet101"], 3)
    0.011
    """
    rows = {name: (TABLE_2.number(name, "mean"), TABLE_2.number(name, "std"))
            for name in TABLE_2.rows}  # fmt: skip
    means = np.array([mean for mean, _ in rows.values()])
    within = float(np.mean([std**2 for _, std in rows.values()]))
    groups, degrees = len(rows), len(rows) * (count - 1)
    statistic = count * float(means.var(ddof=1)) / within
    error = sqrt(within / count)
    pairs = {
        (one, two): float(
            stats.studentized_range.sf(abs(rows[one][0] - rows[two][0]) / error, groups, degrees)
        )
        for one, two in combinations(rows, 2)
    }
    return Recheck(statistic, float(stats.f.sf(statistic, groups - 1, degrees)), pairs)


def contradictions() -> tuple[str, ...]:
    """Return which rows of Table 3.1 no confusion matrix can give."""
    lines = []
    for name in TABLE_1.rows:
        found = check_rates(
            *PUBLISHED_TEST,
            sensitivity=f"{TABLE_1.number(name, RECALL):.3f}",
            precision=f"{TABLE_1.number(name, PRECISION):.4f}",
            accuracy=f"{100 * TABLE_1.number(name, ACCURACY):.1f}%",
        )
        lines += [f"{name}: {line}." for line in found or ["consistent"]]
    return tuple(lines)
