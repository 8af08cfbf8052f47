"""Measures of one finding at one threshold, all from one confusion matrix.

Every rate takes the same `Counts`, so that no two rates of a table can contradict each other.
Counts may be arrays: the same lines serve one table, many findings and thousands of replicates.
Where a denominator is zero the rate is undefined: nan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError
from lucidray.metrics.catalog import HALF, PREVALENCE, ZERO, Chance, metric
from lucidray.metrics.inputs import (
    Samples,
    Statistic,
    as_float,
    binary_samples,
    cluster_matrix,
    ratio,
)
from lucidray.records import Float64

_TEXTBOOK = "Altman & Bland, BMJ 308:1552 and 309:102 (1994)"
_ALL_FLAGGED = Chance("2 prevalence / (1 + prevalence)", lambda s: float(2 * s[-1] / (1 + s[-1])))


@dataclass(frozen=True)
class Counts:
    """A binary confusion matrix, or many of one shape.

    Args:
        tp: Positives called positive.
        fp: Negatives called positive.
        fn: Positives called negative.
        tn: Negatives called negative.
    """

    tp: Float64
    fp: Float64
    fn: Float64
    tn: Float64

    def __post_init__(self) -> None:
        for name in ("tp", "fp", "fn", "tn"):
            value = np.asarray(getattr(self, name), dtype=np.float64)
            if not (value >= 0).all():
                raise MetricError(f"{name} must be a count, zero or more, and never nan")
            object.__setattr__(self, name, value)

    @property
    def positives(self) -> Float64:
        """Return the number of positives."""
        return np.asarray(self.tp + self.fn)

    @property
    def negatives(self) -> Float64:
        """Return the number of negatives."""
        return np.asarray(self.tn + self.fp)

    @property
    def total(self) -> Float64:
        """Return the number of samples."""
        return self.positives + self.negatives

    def matrix(self) -> Float64:
        """Return ``(..., 2, 2)``: rows truth (negative, positive), columns prediction."""
        rows = [np.stack([self.tn, self.fp], -1), np.stack([self.fn, self.tp], -1)]
        return np.stack(rows, -2)


def count(labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, threshold: float) -> Counts:
    """Count hits and misses of one finding.

    Args:
        labels: ``(N,)``: 1, 0 or nan (left out).
        probabilities: ``(N,)``; at and above the threshold a finding counts as present.
        threshold: The operating point, chosen on validation data.

    >>> table = count([1, 1, 0, 0, float("nan")], [0.9, 0.2, 0.4, 0.1, 0.5], threshold=0.3)
    >>> table.matrix().tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    samples = binary_samples(labels, probabilities)
    cells = count_statistic(samples, threshold)(np.ones((samples.clusters, 1)))
    return Counts(*cells[:, 0])


def count_statistic(samples: Samples, threshold: float) -> Statistic:
    """Return the statistic of the cells ``(4, B)``: tp, fp, fn, tn.

    Raises:
        MetricError: The threshold is nan.
    """
    matrix = cell_matrix(samples, threshold)
    return lambda weights: np.asarray(matrix @ weights)


def cell_matrix(samples: Samples, threshold: float) -> Float64:
    """Return the cells of each patient, ``(4, C)``: tp, fp, fn, tn."""
    if np.isnan(threshold):
        raise MetricError("the threshold is nan; choose an operating point on validation data")
    called = samples.scores >= threshold
    rows = np.where(called, 0, 2) + np.where(samples.positive, 0, 1)
    cells = cluster_matrix(rows, samples.cluster, (4, samples.clusters))
    return np.asarray(cells.toarray())


@metric(
    "accuracy",
    source=_TEXTBOOK,
    needs="counts",
    chance=Chance("share of the largest class", lambda shares: float(np.max(shares))),
    denominator=lambda c: c.total,
)
def accuracy(counts: Counts) -> Float64:
    """Return the share of right calls; nan without samples."""
    return ratio(counts.tp + counts.tn, counts.total)


@metric("sensitivity", source=_TEXTBOOK, needs="counts", denominator=lambda c: c.positives)
def sensitivity(counts: Counts) -> Float64:
    """Return the share of positives that are called positive (recall); nan without positives."""
    return ratio(counts.tp, counts.positives)


@metric("specificity", source=_TEXTBOOK, needs="counts", denominator=lambda c: c.negatives)
def specificity(counts: Counts) -> Float64:
    """Return the share of negatives that are called negative; nan without negatives."""
    return ratio(counts.tn, counts.negatives)


@metric(
    "precision",
    source=_TEXTBOOK,
    needs="counts",
    chance=PREVALENCE,
    denominator=lambda c: c.tp + c.fp,
)
def precision(counts: Counts) -> Float64:
    """Return the share of positive calls that are right (PPV); nan without positive calls."""
    return ratio(counts.tp, counts.tp + counts.fp)


@metric(
    "npv",
    source=_TEXTBOOK,
    needs="counts",
    chance=Chance("1 - prevalence", lambda shares: float(shares[0])),
    denominator=lambda c: c.tn + c.fn,
)
def npv(counts: Counts) -> Float64:
    """Return the share of negative calls that are right; nan without negative calls."""
    return ratio(counts.tn, counts.tn + counts.fn)


@metric(
    "fnr",
    source=_TEXTBOOK,
    needs="counts",
    higher_is_better=False,
    denominator=lambda c: c.positives,
)
def fnr(counts: Counts) -> Float64:
    """Return the share of positives that are missed; nan without positives."""
    return ratio(counts.fn, counts.positives)


@metric(
    "fpr",
    source=_TEXTBOOK,
    needs="counts",
    higher_is_better=False,
    denominator=lambda c: c.negatives,
)
def fpr(counts: Counts) -> Float64:
    """Return the share of negatives that are called positive; nan without negatives."""
    return ratio(counts.fp, counts.negatives)


@metric(
    "balanced_accuracy",
    source="Brodersen et al., ICPR 2010",
    needs="counts",
    chance=HALF,
)
def balanced_accuracy(counts: Counts) -> Float64:
    """Return the mean of sensitivity and specificity; nan where either is undefined."""
    return np.asarray((sensitivity(counts) + specificity(counts)) / 2)


def f_beta(counts: Counts, beta: float) -> Float64:
    """Return the weighted harmonic mean of precision and sensitivity.

    Args:
        counts: The confusion matrix.
        beta: How many times as much sensitivity counts as precision; above zero.

    Returns:
        Higher is better; 0 where positives are all missed; nan where there are neither positives
        nor positive calls.

    Raises:
        MetricError: Beta is not above zero.

    Source: van Rijsbergen, Information Retrieval (1979).
    """
    if not beta > 0:
        raise MetricError(f"beta is {beta}; it must be above zero")
    square = beta * beta
    return ratio(
        (1 + square) * counts.tp, (1 + square) * counts.tp + square * counts.fn + counts.fp
    )


@metric("f1", source="van Rijsbergen 1979", needs="counts", chance=_ALL_FLAGGED)
def f1(counts: Counts) -> Float64:
    """Return the harmonic mean of precision and sensitivity; nan as in `f_beta`."""
    return f_beta(counts, 1.0)


@metric(
    "f2",
    source="van Rijsbergen 1979",
    needs="counts",
    chance=Chance(
        "5 prevalence / (1 + 4 prevalence)", lambda s: float(5 * s[-1] / (1 + 4 * s[-1]))
    ),
)
def f2(counts: Counts) -> Float64:
    """Return F-beta with sensitivity counted twice; nan as in `f_beta`."""
    return f_beta(counts, 2.0)


@metric(
    "mcc", source="Matthews 1975; Chicco & Jurman 2020", needs="counts", bounds=(-1, 1), chance=ZERO
)
def mcc(counts: Counts) -> Float64:
    """Return the correlation of calls and labels.

    Returns:
        -1 to 1; 0 where all calls are the same (its limit, Chicco & Jurman 2020); nan where all
        labels are the same.
    """
    tp, fp, fn, tn = counts.tp, counts.fp, counts.fn, counts.tn
    called = np.sqrt((tp + fp) * (tn + fn))
    known = np.sqrt(counts.positives * counts.negatives)
    value = ratio(tp * tn - fp * fn, called * known)
    return np.where((called == 0) & (known > 0), 0.0, value)


@metric("kappa", source="Cohen 1960", needs="counts", bounds=(-1, 1), chance=ZERO)
def kappa(counts: Counts) -> Float64:
    """Return Cohen's kappa, the agreement beyond chance; nan where chance agreement is complete."""
    n = counts.total
    called = counts.tp + counts.fp
    by_chance = ratio(called * counts.positives + (n - called) * counts.negatives, n * n)
    return ratio(accuracy(counts) - by_chance, 1 - by_chance)


def precision_at_prevalence(counts: Counts, prevalence: npt.ArrayLike) -> Float64:
    """Return the precision (PPV) that the same test has where the finding is as common as stated.

    Args:
        counts: The confusion matrix, from which sensitivity and specificity are taken.
        prevalence: Share of positives where the test shall be used, in [0, 1].

    Returns:
        Higher is better; nan where sensitivity or specificity is undefined or nothing is called.

    Raises:
        MetricError: A prevalence lies outside [0, 1].

    Source: Bayes' rule; Altman & Bland, BMJ 309:102 (1994).
    """
    share = _prevalence(prevalence)
    hits = sensitivity(counts) * share
    return ratio(hits, hits + fpr(counts) * (1 - share))


def npv_at_prevalence(counts: Counts, prevalence: npt.ArrayLike) -> Float64:
    """Return the NPV that the same test has where the finding is as common as stated.

    Args and Returns as in `precision_at_prevalence`.
    """
    share = _prevalence(prevalence)
    clear = specificity(counts) * (1 - share)
    return ratio(clear, clear + fnr(counts) * share)


def _prevalence(prevalence: npt.ArrayLike) -> Float64:
    share = as_float(prevalence, "prevalence")
    if not ((share >= 0) & (share <= 1)).all():
        raise MetricError(f"prevalence is {prevalence!r}; it must lie in [0, 1]")
    return share
