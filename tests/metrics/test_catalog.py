"""The contract of every registered measure of classification."""

from __future__ import annotations

import numpy as np
import pytest

from lucidray.errors import MetricError, UnknownNameError
from lucidray.metrics import evaluate, metrics
from lucidray.metrics.catalog import choose, entropy, names_of

BINARY = names_of("counts", "scores", "probabilities")
MULTI = names_of("matrix", "class_probabilities")
THRESHOLD = 0.5


def _case(name: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    if name in BINARY:
        labels = (rng.random(60) < 0.3).astype(float)
        return labels, np.clip(rng.random(60) * 0.7 + 0.25 * labels, 0, 1)
    labels = rng.integers(0, 3, 60).astype(float)
    weight = rng.random((60, 3)) + np.eye(3)[labels.astype(int)]
    return labels, weight / weight.sum(axis=1, keepdims=True)


def _value(name: str, labels: np.ndarray, p: np.ndarray, threshold: float = THRESHOLD) -> float:
    return evaluate(name, labels, p, threshold=threshold if name in BINARY else None)


@pytest.mark.parametrize("name", [*BINARY, *MULTI])
class TestEveryMeasure:
    def test_is_finite_and_within_its_bounds(self, name: str) -> None:
        low, high = metrics.entry(name).facts["bounds"]
        assert low <= _value(name, *_case(name)) <= high

    def test_perfect_prediction_scores_best(self, name: str) -> None:
        labels, _ = _case(name)
        perfect = labels if name in BINARY else np.eye(3)[labels.astype(int)]
        facts = metrics.entry(name).facts
        best = facts["bounds"][1 if facts["higher_is_better"] else 0]
        assert _value(name, labels, perfect) == pytest.approx(best, abs=1e-12)

    def test_reversed_prediction_is_worse(self, name: str) -> None:
        labels, p = _case(name)
        wrong = 1 - p if name in BINARY else p[:, [1, 2, 0]]
        sign = 1 if metrics.entry(name).facts["higher_is_better"] else -1
        assert sign * _value(name, labels, wrong) < sign * _value(name, labels, p)

    def test_constant_scores_give_chance(self, name: str) -> None:
        labels, _ = _case(name)
        if name in BINARY:
            shares = np.array([1 - labels.mean(), labels.mean()])
            constant = np.full(len(labels), labels.mean())
        else:
            shares = np.bincount(labels.astype(int)) / len(labels)
            constant = np.tile(shares, (len(labels), 1))
        chance = metrics.entry(name).facts["chance"].value(shares)
        if np.isnan(chance):
            assert metrics.entry(name).facts["chance"].text
            return
        guesses = [_value(name, labels, constant, t) for t in (0.0, 1.0)]
        assert np.nanmax(guesses) == pytest.approx(chance, abs=1e-12)

    def test_order_of_images_does_not_matter(self, name: str) -> None:
        labels, p = _case(name)
        order = np.random.default_rng(1).permutation(len(labels))
        shuffled = _value(name, labels[order], p[order])
        assert shuffled == pytest.approx(_value(name, labels, p), abs=1e-12)

    def test_unlabeled_images_do_not_count(self, name: str) -> None:
        labels, p = _case(name)
        more = np.concatenate([labels, [np.nan, np.nan]])
        extra = np.concatenate([p, np.full((2, *p.shape[1:]), np.nan)])
        assert _value(name, more, extra) == pytest.approx(_value(name, labels, p), abs=1e-12)

    def test_nothing_labeled_is_nan(self, name: str) -> None:
        p = np.full(3, 0.4) if name in BINARY else np.full((3, 3), 1 / 3)
        assert np.isnan(_value(name, np.full(3, np.nan), p))

    def test_is_documented(self, name: str) -> None:
        entry = metrics.entry(name)
        assert entry.summary.endswith((".", ";"))
        assert entry.source
        assert entry.facts["chance"].text


def test_evaluate_refuses_what_does_not_fit() -> None:
    with pytest.raises(MetricError, match="needs a threshold"):
        evaluate("f1", [0, 1], [0.1, 0.9])
    with pytest.raises(UnknownNameError, match="did you mean 'auc'"):
        evaluate("aucc", [0, 1], [0.1, 0.9])
    with pytest.raises(MetricError, match="choose from"):
        choose(["multiclass_mcc"], "counts")


def test_entropy_of_one_class_is_zero() -> None:
    assert entropy(np.array([1.0, 0.0])) == 0
    assert entropy(np.array([0.5, 0.5])) == pytest.approx(np.log(2))
