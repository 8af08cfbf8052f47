"""Two models on the same images, against loops and each other's tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lucidray import metrics as m
from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.resampling import bootstrap_weights


@pytest.fixture
def case(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = (rng.random(160) < 0.4).astype(float)
    common = rng.normal(size=160) + labels
    first = 1 / (1 + np.exp(-(common + 0.6 * rng.normal(size=160) - 0.25 * labels)))
    return labels, first, 1 / (1 + np.exp(-(common + 0.8 * rng.normal(size=160))))


def test_paired_bootstrap_equals_a_loop(case: tuple[np.ndarray, ...]) -> None:
    labels, first, second = case
    found = m.compare_binary(labels, first, second, n_boot=200, only=["auc"])["auc"]
    gaps = []
    for weights in bootstrap_weights(160, 200, 0):
        for w in weights.T:
            one, two = (roc_auc_score(labels, s, sample_weight=w) for s in (first, second))
            gaps.append(one - two)
    expected = np.quantile(gaps, [0.025, 0.975])
    assert (found.difference.low, found.difference.high) == pytest.approx(tuple(expected))
    assert found.p_value == m.bootstrap_p_value(np.array(gaps))
    assert found.difference.chance == 0


def test_three_tests_of_one_difference_agree(case: tuple[np.ndarray, ...]) -> None:
    labels, first, second = case
    delong = m.delong_test(labels, first, second)
    boot = m.compare_binary(labels, first, second, n_boot=4000, only=["auc"])["auc"]
    assert delong.difference.value == pytest.approx(boot.difference.value)
    assert boot.difference.low == pytest.approx(delong.difference.low, abs=0.01)
    assert boot.p_value == pytest.approx(delong.p_value, abs=0.03)
    assert m.permutation_test(labels, first, second) == pytest.approx(delong.p_value, abs=0.03)


def test_each_model_is_cut_at_its_own_point(case: tuple[np.ndarray, ...]) -> None:
    labels, first, second = case
    found = m.compare_binary(labels, first, second, thresholds=(0.3, 0.6), n_boot=100)
    for name, compared in found.items():
        one = m.evaluate(name, labels, first, threshold=0.3)
        two = m.evaluate(name, labels, second, threshold=0.6)
        assert compared.difference.value == pytest.approx(one - two)
        assert (
            compared.difference.higher_is_better == m.metrics.entry(name).facts["higher_is_better"]
        )


def test_permutation_of_accuracy_agrees_with_mcnemar(case: tuple[np.ndarray, ...]) -> None:
    labels, first, second = case
    right = [(s >= 0.6) == labels for s in (first, second)]
    exact = m.mcnemar(*right, method="exact")
    found = m.permutation_test(
        labels, first, second, metric="accuracy", thresholds=(0.6, 0.6), n_permutations=5000
    )
    assert found == pytest.approx(exact, abs=0.03)


def test_permutation_by_patient_is_more_cautious(case: tuple[np.ndarray, ...]) -> None:
    rows = np.repeat(np.arange(160), 4)
    labels, first, second = (part[rows] for part in case)
    by_patient = m.permutation_test(labels, first, second, groups=rows)
    by_image = m.permutation_test(labels, first, second)
    assert by_image < by_patient
    assert by_patient == pytest.approx(m.permutation_test(*case), abs=0.03)


def test_identical_models_do_not_differ(case: tuple[np.ndarray, ...]) -> None:
    labels, first, _ = case
    assert m.permutation_test(labels, first, first, n_permutations=99) == 1
    assert m.compare_binary(labels, first, first, n_boot=99, only=["auc"])["auc"].p_value == 1
    # the same ranks on another scale
    assert m.permutation_test(labels, first, first**2, n_permutations=99) == 1


def test_matched_rates(case: tuple[np.ndarray, ...]) -> None:
    labels, first, second = case
    cut = np.quantile(first[labels == 0], 0.9, method="inverted_cdf")
    expected = (first[labels == 1] > cut).mean()
    found = m.measure_matched(labels, first, specificity=0.9, n_boot=500)
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high
    assert found.chance == pytest.approx(0.1)
    gap = m.compare_matched(labels, first, second, specificity=0.9, n_boot=500)
    other = m.measure_matched(labels, second, specificity=0.9, n_boot=0)
    assert gap.difference.value == pytest.approx(found.value - other.value)
    assert math.isnan(other.low)
    back = m.measure_matched(labels, first, sensitivity=found.value, n_boot=0)
    assert back.value >= 0.9


def test_refused(case: tuple[np.ndarray, ...]) -> None:
    labels, first, second = case
    with pytest.raises(MetricError, match="not both"):
        m.measure_matched(labels, first)
    with pytest.raises(MetricError, match="not both"):
        m.compare_matched(labels, first, second, specificity=0.9, sensitivity=0.9)
    with pytest.raises(MetricError, match="together with thresholds"):
        m.permutation_test(labels, first, second, metric="f1")
    with pytest.raises(MetricError, match="together with thresholds"):
        m.permutation_test(labels, first, second, metric="brier")
    with pytest.raises(ShapeError, match="models gave"):
        m.compare_binary(labels, first, second[:5])
    assert math.isnan(m.permutation_test(np.ones(160), first, second, n_permutations=9))
