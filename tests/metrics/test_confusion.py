"""Rates of one confusion matrix, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from lucidray import metrics as m
from lucidray.errors import MetricError
from lucidray.metrics.confusion import count_statistic
from lucidray.metrics.inputs import binary_samples

LABELS = np.array([1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 0])
PROBABILITIES = np.array([0.9, 0.6, 0.4, 0.8, 0.2, 0.1, 0.5, 0.5, 0.3, 0.7, 0.45, 0.05])

REFERENCES = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "sensitivity": sk.recall_score,
    "specificity": lambda y, c: sk.recall_score(y, c, pos_label=0),
    "precision": sk.precision_score,
    "npv": lambda y, c: sk.precision_score(y, c, pos_label=0),
    "fnr": lambda y, c: 1 - sk.recall_score(y, c),
    "fpr": lambda y, c: 1 - sk.recall_score(y, c, pos_label=0),
    "f1": sk.f1_score,
    "f2": lambda y, c: sk.fbeta_score(y, c, beta=2),
    "mcc": sk.matthews_corrcoef,
    "kappa": sk.cohen_kappa_score,
}


@pytest.mark.parametrize("name", sorted(REFERENCES))
@pytest.mark.parametrize("threshold", [0.08, 0.35, 0.5, 0.75])
def test_rate_equals_sklearn(name: str, threshold: float) -> None:
    counts = m.count(LABELS, PROBABILITIES, threshold=threshold)
    called = np.greater_equal(PROBABILITIES, threshold)
    expected = REFERENCES[name](LABELS, called)
    assert float(m.metrics[name](counts)) == pytest.approx(expected, abs=1e-12)


def test_every_registered_rate_has_a_reference() -> None:
    rates = {e.name for e in m.metrics.entries() if e.facts.get("needs") == "counts"}
    assert rates == set(REFERENCES)


@settings(max_examples=50, deadline=None)
@given(st.tuples(*[st.integers(0, 60)] * 4))
def test_rates_of_one_matrix_never_contradict_each_other(cells: tuple[int, ...]) -> None:
    counts = m.Counts(*(np.array(c) for c in cells))
    p, r, f = (float(x(counts)) for x in (m.precision, m.sensitivity, m.f1))
    if not np.isnan(p + r) and p + r > 0:
        assert f == pytest.approx(2 * p * r / (p + r))
    for one, other in ((m.sensitivity, m.fnr), (m.specificity, m.fpr)):
        assert np.isnan(float(one(counts))) or float(one(counts) + other(counts)) == 1
    assert counts.matrix().sum() == counts.total == sum(cells)


def test_threshold_is_inclusive_and_unlabeled_is_left_out() -> None:
    counts = m.count([1, 0, np.nan], [0.5, 0.5, 0.9], threshold=0.5)
    assert (counts.tp, counts.fp, counts.fn, counts.tn) == (1, 1, 0, 0)


def test_undefined_is_nan_not_zero() -> None:
    nothing_called = m.Counts(np.array(0), np.array(0), np.array(3), np.array(4))
    assert np.isnan(m.precision(nothing_called))
    assert m.f1(nothing_called) == 0
    assert m.mcc(nothing_called) == 0
    no_positive = m.Counts(np.array(0), np.array(1), np.array(0), np.array(4))
    assert np.isnan(m.sensitivity(no_positive))
    assert np.isnan(m.mcc(no_positive))
    all_alike = m.Counts(np.array(0), np.array(0), np.array(0), np.array(4))
    assert np.isnan(m.kappa(all_alike))
    assert np.isnan(m.f1(all_alike))


def test_counts_of_weights_equal_repeated_samples(rng: np.random.Generator) -> None:
    groups = rng.integers(0, 5, 12)
    samples = binary_samples(LABELS, PROBABILITIES, groups=groups)
    weights = rng.integers(0, 4, size=(samples.clusters, 7)).astype(float)
    cells = count_statistic(samples, 0.5)(weights)
    for b in range(7):
        times = weights[samples.cluster, b].astype(int)
        y, c = np.repeat(LABELS, times), np.repeat(PROBABILITIES >= 0.5, times)
        tn, fp, fn, tp = sk.confusion_matrix(y, c, labels=[0, 1]).ravel()
        assert cells[:, b].tolist() == [tp, fp, fn, tn]


def test_prevalence_adjusted_values_by_bayes() -> None:
    counts = m.Counts(np.array(90), np.array(20), np.array(10), np.array(80))
    # of 1000 people 10 are ill: 9 flagged; of 990 well, 198 flagged and 792 cleared
    assert float(m.precision_at_prevalence(counts, 0.01)) == pytest.approx(9 / 207)
    assert float(m.npv_at_prevalence(counts, 0.01)) == pytest.approx(792 / 793)
    own = counts.positives / counts.total
    assert float(m.precision_at_prevalence(counts, own)) == pytest.approx(m.precision(counts))
    assert float(m.npv_at_prevalence(counts, own)) == pytest.approx(m.npv(counts))


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(MetricError, match="prevalence"):
        m.precision_at_prevalence(m.count(LABELS, PROBABILITIES, threshold=0.5), 12)
    with pytest.raises(MetricError, match="beta"):
        m.f_beta(m.count(LABELS, PROBABILITIES, threshold=0.5), 0)
    with pytest.raises(MetricError, match="threshold is nan"):
        m.count(LABELS, PROBABILITIES, threshold=float("nan"))
    with pytest.raises(MetricError, match="count"):
        m.Counts(np.array(-1), np.array(0), np.array(0), np.array(0))
