"""How much a label can be told without looking at the lungs: association and cheap baselines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit
from scipy.stats import chi2, rankdata

from lucidray.records import Bool, Float64

Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A cross-validated AUC with its 95 % interval (nan where undefined).

    Args:
        auc: 0.5 = no better than chance, 1 = perfect.
        low: Lower end.
        high: Upper end.
        count: Samples that it rests on.
        positives: How many of them carry the label.
    """

    auc: float
    low: float
    high: float
    count: int
    positives: int


def cramers_v(first: Sequence[Any] | pd.Series, second: Sequence[Any] | pd.Series) -> float:
    """Return how strongly two categories go together, corrected for chance.

    Args:
        first: A category for each sample; None or nan = unknown, left out.
        second: Another one, of the same length.

    Returns:
        0 (independent) to 1 (one tells the other); nan where either has fewer than two levels.

    Source: Bergsma 2013, J. Korean Stat. Soc. 42(3), "A bias-correction for Cramér's V".
    Deviates: no.

    >>> cramers_v(["a", "b"] * 50, ["x", "y"] * 50)
    1.0
    """
    statistic, count, rows, columns = _chi_square(first, second)
    if min(rows, columns) < 2:
        return math.nan
    phi2 = max(0.0, statistic / count - (columns - 1) * (rows - 1) / (count - 1))
    fewer = min(
        rows - (rows - 1) ** 2 / (count - 1),
        columns - (columns - 1) ** 2 / (count - 1),
    )
    return math.sqrt(min(1.0, phi2 / (fewer - 1))) if fewer > 1 else math.nan


def independence_p(first: Sequence[Any] | pd.Series, second: Sequence[Any] | pd.Series) -> float:
    """Return the p-value of Pearson's test of independence; nan where it is undefined."""
    statistic, _, rows, columns = _chi_square(first, second)
    if min(rows, columns) < 2:
        return math.nan
    return float(chi2.sf(statistic, (rows - 1) * (columns - 1)))


def _chi_square(first: Any, second: Any) -> tuple[float, int, int, int]:
    pairs = pd.DataFrame({"first": list(first), "second": list(second)}).dropna()
    table = pd.crosstab(pairs["first"], pairs["second"]).to_numpy(dtype=np.float64)
    count = int(table.sum())
    if min(table.shape, default=0) < 2:
        return math.nan, count, *table.shape[:2]
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / count
    statistic = float(((table - expected) ** 2 / expected).sum())
    return statistic, count, table.shape[0], table.shape[1]


def rank_auc(scores: Float64, positive: Bool) -> float:
    """Return the area under the ROC curve, ties counted half; nan with one class only.

    >>> rank_auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if positives == 0 or negatives == 0:
        return math.nan
    above = float(rankdata(scores)[positive].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives)


def auc_interval(auc: float, positives: int, negatives: int) -> tuple[float, float]:
    """Return a 95 % interval of an AUC from its value and the class counts alone.

    Source: Hanley and McNeil 1982, Radiology 143(1), equations 1 and 2.
    Deviates: clipped to [0, 1].
    """
    if positives == 0 or negatives == 0 or math.isnan(auc):
        return math.nan, math.nan
    q1, q2 = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    square = auc * auc
    variance = auc * (1 - auc) + (positives - 1) * (q1 - square) + (negatives - 1) * (q2 - square)
    reach = 1.959964 * math.sqrt(max(0.0, variance) / (positives * negatives))
    return max(0.0, auc - reach), min(1.0, auc + reach)


def fit_logistic(features: Float64, positive: Bool, *, penalty: float = 1.0) -> Float64:
    """Fit a logistic regression with an L2 penalty by Newton's method.

    Args:
        features: ``(N, D)``, on like scales.
        positive: bool ``(N,)``.
        penalty: Weight of half the squared coefficients; the intercept, entry 0, goes free.

    Returns:
        ``(D + 1,)``: the intercept, then the coefficients.
    """
    design = np.column_stack([np.ones(len(features)), features])
    ridge = np.full(design.shape[1], penalty)
    ridge[0] = 1e-9
    weights = np.zeros(design.shape[1])
    for _ in range(30):
        expected = expit(design @ weights)
        slope = design.T @ (positive - expected) - ridge * weights
        curve = (design * np.maximum(expected * (1 - expected), 1e-6)[:, None]).T @ design
        step = np.linalg.solve(curve + np.diag(ridge), slope)
        weights = weights + step * min(1.0, 5.0 / max(1e-12, float(np.abs(step).max())))
        if float(np.abs(step).max()) < 1e-6:
            break
    return weights


def cross_validated_auc(
    features: Float64, positive: Bool, groups: Int, *, folds: int = 5, seed: int = 0
) -> Interval:
    """Say how well a logistic regression on cheap features tells a label in unseen groups.

    Args:
        features: ``(N, D)``.
        positive: bool ``(N,)``.
        groups: int ``(N,)``: rows of one group (a patient, a cluster of copies) share a fold.
        folds: Number of folds.
        seed: Seed of the draw of folds.

    Returns:
        The mean AUC over the folds that hold both classes, with Hanley and McNeil's interval;
        nan where no fold does.
    """
    fold = _folds(groups, folds, seed)
    values, weights = [], []
    for number in range(folds):
        held = fold == number
        if min(_minority(positive[held]), _minority(positive[~held])) == 0:
            continue
        values.append(_fold_auc(features, positive, held))
        weights.append(int(held.sum()))
    auc = float(np.average(values, weights=weights)) if values else math.nan
    positives = int(positive.sum())
    low, high = auc_interval(auc, positives, len(positive) - positives)
    return Interval(auc, low, high, len(positive), positives)


def _fold_auc(features: Float64, positive: Bool, held: Bool) -> float:
    center = features[~held].mean(axis=0)
    scale = features[~held].std(axis=0)
    scaled = (features - center) / np.where(scale > 1e-9, scale, 1.0)
    weights = fit_logistic(scaled[~held], positive[~held])
    return rank_auc(scaled[held] @ weights[1:], positive[held])


def _folds(groups: Int, folds: int, seed: int) -> Int:
    _, index = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(int(index.max()) + 1)
    return np.asarray(order[index] % folds, dtype=np.int64)


def _minority(positive: Bool) -> int:
    return int(min(positive.sum(), (~positive).sum()))
