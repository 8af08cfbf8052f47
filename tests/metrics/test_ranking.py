"""Areas and curves, against scikit-learn and against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from lucidray import metrics as m
from lucidray.errors import MetricError
from lucidray.metrics.inputs import binary_samples
from lucidray.metrics.ranking import (
    auc_statistic,
    average_precision_statistic,
    sensitivity_at_specificity_statistic,
    specificity_at_sensitivity_statistic,
)


def _data(seed: int, n: int, levels: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels and tied scores; both classes occur."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < share).astype(float)
    labels[:2] = 0, 1
    return labels, np.round((rng.random(n) + 0.3 * labels) / 1.3 * levels) / levels


cases = st.tuples(
    st.integers(0, 10**6),
    st.integers(4, 80),
    st.sampled_from([2, 5, 1000]),
    st.sampled_from([0.1, 0.5, 0.9]),
)


@settings(max_examples=50, deadline=None)
@given(cases)
def test_areas_equal_sklearn_ties_included(case: tuple[int, int, int, float]) -> None:
    labels, scores = _data(*case)
    assert m.auc(labels, scores) == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)
    expected = sk.average_precision_score(labels, scores)
    assert m.average_precision(labels, scores) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(cases)
def test_areas_of_weights_equal_sklearn_sample_weights(case: tuple[int, int, int, float]) -> None:
    labels, scores = _data(*case)
    rng = np.random.default_rng(case[0] + 1)
    samples = binary_samples(labels, scores, groups=rng.integers(0, 9, len(labels)))
    weights = rng.integers(0, 3, size=(samples.clusters, 70)).astype(float)
    areas, precisions = (f(samples)(weights) for f in (auc_statistic, average_precision_statistic))
    for b in (0, 13, 69):
        each = weights[samples.cluster, b]
        positive, negative = each[labels == 1].sum(), each[labels == 0].sum()
        if positive and negative:
            expected = sk.roc_auc_score(labels, scores, sample_weight=each)
            assert areas[b] == pytest.approx(expected, abs=1e-12)
            expected = sk.average_precision_score(labels, scores, sample_weight=each)
            assert precisions[b] == pytest.approx(expected, abs=1e-12)
        else:
            assert np.isnan(areas[b])
            assert np.isnan(precisions[b]) == (positive == 0)


@settings(max_examples=40, deadline=None)
@given(cases, st.sampled_from([0.0, 0.5, 0.9, 1.0]))
def test_matched_rates_equal_a_search_over_all_thresholds(
    case: tuple[int, int, int, float], target: float
) -> None:
    labels, scores = _data(*case)
    samples = binary_samples(labels, scores)
    ones = np.ones((samples.clusters, 1))
    cuts = [*np.unique(scores), np.inf]
    sensitivity = np.array([(scores[labels == 1] >= t).mean() for t in cuts])
    specificity = np.array([(scores[labels == 0] < t).mean() for t in cuts])
    found = sensitivity_at_specificity_statistic(samples, target)(ones)[0]
    assert found == pytest.approx(sensitivity[specificity >= target - 1e-12].max())
    found = specificity_at_sensitivity_statistic(samples, target)(ones)[0]
    assert found == pytest.approx(specificity[sensitivity >= target - 1e-12].max())


def test_curves_equal_sklearn() -> None:
    labels, scores = _data(3, 60, 20, 0.4)
    curve = m.roc_curve(labels, scores)
    fpr, tpr, cuts = sk.roc_curve(labels, scores, drop_intermediate=False)
    assert np.allclose([curve.x, curve.y], [fpr, tpr])
    assert np.array_equal(curve.thresholds, cuts)
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(m.auc(labels, scores))
    curve = m.precision_recall_curve(labels, scores)
    precision, recall, cuts = sk.precision_recall_curve(labels, scores)
    assert np.allclose([curve.x[::-1], curve.y[::-1]], [recall[:-1], precision[:-1]])
    assert np.array_equal(curve.thresholds[::-1], cuts)


def test_thinned_curve_keeps_its_ends() -> None:
    labels, scores = _data(0, 80, 1000, 0.5)
    whole, thin = m.roc_curve(labels, scores), m.roc_curve(labels, scores, max_points=10)
    assert len(thin.x) == 10
    assert (thin.x[0], thin.y[0], thin.x[-1], thin.y[-1]) == (0, 0, 1, 1)
    assert set(zip(thin.x, thin.y, strict=True)) <= set(zip(whole.x, whole.y, strict=True))


def test_absent_class_is_nan() -> None:
    assert np.isnan(m.auc([1, 1], [0.1, 0.2]))
    assert np.isnan(m.auc([0, 0], [0.1, 0.2]))
    assert np.isnan(m.auc([np.nan], [0.1]))
    assert np.isnan(m.average_precision([0, 0], [0.1, 0.2]))
    assert m.average_precision([1, 1], [0.1, 0.2]) == 1
    assert np.isnan(m.roc_curve([1, 1], [0.1, 0.2]).x).all()
    assert np.isnan(m.precision_recall_curve([0, 0], [0.1, 0.2]).x).all()


def test_matched_rate_outside_its_range_is_refused() -> None:
    samples = binary_samples([0, 1], [0.1, 0.2])
    with pytest.raises(MetricError, match="specificity"):
        sensitivity_at_specificity_statistic(samples, 95)
    with pytest.raises(MetricError, match="sensitivity"):
        specificity_at_sensitivity_statistic(samples, -0.1)
