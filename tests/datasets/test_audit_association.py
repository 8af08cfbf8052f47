"""Association and baselines against SciPy, scikit-learn and answers known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from lucidray.datasets.audit.association import (
    auc_interval,
    cramers_v,
    cross_validated_auc,
    fit_logistic,
    independence_p,
    rank_auc,
)


def _spread(table: list[list[int]]) -> tuple[list[int], list[int]]:
    cells = [(r, c) for r, row in enumerate(table) for c, n in enumerate(row) for _ in range(n)]
    return [r for r, _ in cells], [c for _, c in cells]


@pytest.mark.parametrize("table", [[[30, 5], [8, 25]], [[12, 7, 3], [5, 20, 9]], [[9, 1], [9, 1]]])
def test_cramers_v_is_bergsmas_correction_of_scipys_chi_square(table: list[list[int]]) -> None:
    first, second = _spread(table)
    statistic, p, _, _ = chi2_contingency(np.array(table), correction=False)
    n, r, c = len(first), len(table), len(table[0])
    phi2 = max(0, statistic / n - (r - 1) * (c - 1) / (n - 1))
    fewer = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1))
    assert cramers_v(first, second) == pytest.approx(math.sqrt(phi2 / (fewer - 1)))
    assert independence_p(first, second) == pytest.approx(p)


def test_cramers_v_of_independent_categories_is_near_zero(rng: np.random.Generator) -> None:
    values = [cramers_v(rng.integers(0, 3, 60), rng.integers(0, 4, 60)) for _ in range(30)]
    assert np.median(values) < 0.1


def test_cramers_v_leaves_out_unknown_and_needs_two_levels() -> None:
    assert cramers_v(["a", "b", None] * 20, ["x", "y", "x"] * 20) == pytest.approx(1.0)
    assert math.isnan(cramers_v(["a"] * 9, ["x", "y", "x"] * 3))
    assert math.isnan(cramers_v([None] * 4, ["x", "y"] * 2))
    assert math.isnan(independence_p(["a"] * 4, ["x", "y"] * 2))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60))
def test_rank_auc_equals_scikit_learn(samples: list[tuple[int, bool]]) -> None:
    scores = np.array([score for score, _ in samples], dtype=np.float64)
    positive = np.array([label for _, label in samples])
    value = rank_auc(scores, positive)
    if positive.all() or not positive.any():
        assert math.isnan(value)
    else:
        assert value == pytest.approx(roc_auc_score(positive, scores))


def test_interval_at_chance_has_the_rank_tests_exact_variance() -> None:
    low, high = auc_interval(0.5, 20, 30)
    variance = (20 + 30 + 1) / (12 * 20 * 30)
    assert high - 0.5 == pytest.approx(1.959964 * math.sqrt(variance))
    assert 0.5 - low == pytest.approx(high - 0.5)
    assert all(math.isnan(end) for end in auc_interval(0.5, 0, 9))


def test_logistic_regression_equals_scikit_learn(rng: np.random.Generator) -> None:
    features = rng.normal(size=(200, 4))
    positive = features @ [1.0, -2.0, 0.0, 0.5] + rng.logistic(size=200) > 0.7
    ours = fit_logistic(features, positive, penalty=1.0)
    theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(features, positive)
    np.testing.assert_allclose(ours[1:], theirs.coef_[0], atol=1e-4)
    assert ours[0] == pytest.approx(theirs.intercept_[0], abs=1e-4)


def test_logistic_regression_survives_perfect_separation() -> None:
    features = np.linspace(-1, 1, 40)[:, None]
    weights = fit_logistic(features, features[:, 0] > 0)
    assert np.isfinite(weights).all()
    assert weights[1] > 1


def test_a_telling_feature_is_found_and_noise_is_not(rng: np.random.Generator) -> None:
    positive = rng.random(400) < 0.4
    groups = np.arange(400)
    telling = np.column_stack([positive + rng.normal(0, 0.5, 400), rng.normal(size=400)])
    assert cross_validated_auc(telling, positive, groups).low > 0.85
    noise = cross_validated_auc(rng.normal(size=(400, 2)), positive, groups)
    assert noise.low < 0.5 < noise.high
    assert (noise.count, noise.positives) == (400, int(positive.sum()))


def test_groups_are_never_parted(rng: np.random.Generator) -> None:
    """Features that name the patient tell all in parted groups, nothing in whole ones."""
    patients = np.repeat(np.arange(60), 6)
    positive = (rng.random(60) < 0.5)[patients]
    names = (patients[:, None] == np.arange(60)).astype(np.float64)
    assert cross_validated_auc(names, positive, np.arange(360)).auc > 0.95
    assert abs(cross_validated_auc(names, positive, patients).auc - 0.5) < 0.1


def test_auc_is_undefined_with_one_class() -> None:
    score = cross_validated_auc(np.zeros((20, 1)), np.ones(20, dtype=bool), np.arange(20))
    assert math.isnan(score.auc)
