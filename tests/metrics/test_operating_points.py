"""Where the cut falls, against an exhaustive search and by hand."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, fbeta_score, roc_curve

from lucidray import metrics as m
from lucidray.errors import MetricError

RULES = (m.youden, m.robust_youden, m.best_f_beta)


def _case(seed: int, n: int = 120, levels: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.4).astype(float)
    labels[:2] = 0, 1
    logits = rng.normal(size=n) + 1.5 * labels - 1
    return labels, np.round(1 / (1 + np.exp(-logits)) * levels) / levels


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([10, 1000]))
def test_best_points_equal_an_exhaustive_search(seed: int, levels: int) -> None:
    labels, p = _case(seed, levels=levels)
    fpr, tpr, _ = roc_curve(labels, p)
    point = m.youden(labels, p)
    best = point.sensitivity.value + point.specificity.value - 1
    assert best == pytest.approx((tpr - fpr).max())
    for beta, score in ((1.0, f1_score), (2.0, lambda y, c: fbeta_score(y, c, beta=2))):
        point = m.best_f_beta(labels, p, beta=beta)
        every = max(score(labels, p >= t) for t in np.unique(p))
        assert score(labels, p >= point.threshold) == pytest.approx(every)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_every_point_says_what_it_does_even_in_single_precision(seed: int) -> None:
    labels, p = _case(seed)
    for rule in RULES:
        point = rule(labels, p)
        for values in (p, p.astype(np.float32)):
            counts = m.count(labels, values, threshold=point.threshold)
            assert float(m.sensitivity(counts)) == point.sensitivity.value
            assert float(m.specificity(counts)) == point.specificity.value
        assert 0 < point.threshold < 1
        assert (point.positives, point.negatives) == (labels.sum(), (1 - labels).sum())
        assert point.sensitivity.low < point.sensitivity.value <= point.sensitivity.high


def test_threshold_lies_midway_in_log_odds_between_scores() -> None:
    point = m.youden([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    assert point.threshold == pytest.approx(0.5)
    low, high = m.wilson_interval(2, 2)
    assert (point.sensitivity.low, point.sensitivity.high) == (float(low), float(high))
    skewed = m.youden([0, 1], [0.001, 0.5])
    assert float(m.logit(skewed.threshold)) == pytest.approx(float(m.logit(0.001)) / 2)


def test_robust_youden_takes_the_middle_of_the_plateau() -> None:
    # well parted classes with one odd negative: the peak hugs it, the plateau does not
    p = np.concatenate([np.linspace(0.01, 0.05, 60), [0.9], np.linspace(0.95, 0.99, 60)])
    labels = np.concatenate([np.zeros(61), np.ones(60)])
    peak, robust = m.youden(labels, p), m.robust_youden(labels, p)
    assert peak.threshold > 0.9
    assert 0.2 < robust.threshold < 0.8
    assert robust.specificity.value == pytest.approx(60 / 61)


def test_robust_youden_leaves_a_valley_between_two_peaks() -> None:
    # two kinds of positives and of negatives, interleaved: both gaps are equally good cuts
    low, mid, high = np.linspace(0.01, 0.02, 40), np.linspace(0.45, 0.55, 40), [0.98, 0.99]
    p = np.concatenate([low, mid[:20], mid[20:], np.repeat(high, 20)])
    labels = np.concatenate([np.zeros(40), np.ones(20), np.zeros(20), np.ones(40)])
    point = m.robust_youden(labels, p)
    assert point.threshold < 0.45 or point.threshold > 0.55
    assert point.sensitivity.value + point.specificity.value > 1.6


def test_robust_youden_varies_less_from_hospital_to_hospital() -> None:
    plain, robust = [], []
    for seed in range(80):
        labels, p = _case(seed, n=200)
        plain.append(float(m.logit(m.youden(labels, p).threshold)))
        robust.append(float(m.logit(m.robust_youden(labels, p).threshold)))
    assert np.std(robust) < 0.8 * np.std(plain)
    assert abs(np.mean(robust) - (0.75 - 1)) < 0.15  # the true optimum lies midway


def test_sensitivity_constrained_is_the_most_specific_sure_cut() -> None:
    labels, p = _case(3, n=400)
    point = m.operating_points.sensitivity_constrained(labels, p, target=0.9)
    assert point.sensitivity.low >= 0.9
    positives = labels.sum()
    for t in np.unique(p[p > point.threshold])[1:]:
        low, _ = m.wilson_interval((p[labels == 1] >= t).sum(), positives)
        assert low < 0.9
    assert "0.9" in point.chosen_by


def test_sure_of_too_much_says_how_many_it_takes() -> None:
    labels, p = _case(0)
    with pytest.raises(MetricError, match="that takes 381"):
        m.operating_points.sensitivity_constrained(labels, p, target=0.99)
    many = np.repeat([0.0, 1.0], [5, 381])
    assert m.operating_points.sensitivity_constrained(many, many, target=0.99).threshold > 0
    with pytest.raises(MetricError, match="positive patients"):
        groups = np.arange(386) // 2
        m.operating_points.sensitivity_constrained(many, many, target=0.99, groups=groups)


def test_a_fixed_threshold_is_kept() -> None:
    labels, p = _case(0)
    point = m.at_threshold(labels, p, 0.35, name="paper")
    assert (point.name, point.threshold) == ("paper", 0.35)
    with pytest.raises(FrozenInstanceError):
        point.threshold = 0.5  # type: ignore[misc]


def test_all_scores_alike_call_everything_positive() -> None:
    for rule in RULES:
        point = rule([0, 1, 1], [1.0, 1.0, 1.0])
        assert point.sensitivity.value == 1
        assert point.threshold <= 1


def test_refused() -> None:
    for rule in RULES:
        with pytest.raises(MetricError, match="2 positives and 0 negatives"):
            rule([1, 1], [0.2, 0.4])
    with pytest.raises(MetricError, match="between 0 and 1"):
        m.operating_points.sensitivity_constrained([0, 1], [0.1, 0.2], target=95)
