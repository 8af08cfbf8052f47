"""K x K matrices and what is computed from them, against scikit-learn and TorchMetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from torchmetrics.functional.classification import multiclass_calibration_error

from lucidray import metrics as m
from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.multiclass import class_indices, class_samples


@pytest.fixture
def case(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.integers(0, 4, 90)
    logits = rng.normal(size=(90, 4)) + 1.2 * np.eye(4)[labels]
    exp = np.exp(logits)
    return labels, exp / exp.sum(axis=1, keepdims=True)


def test_matrix_and_its_measures_equal_sklearn(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = case
    called = probabilities.argmax(axis=1)
    matrix = m.confusion_matrix(labels, probabilities, classes=4)
    assert np.array_equal(matrix, sk.confusion_matrix(labels, called))
    pairs = {
        m.multiclass_accuracy: sk.accuracy_score,
        m.multiclass_balanced_accuracy: sk.balanced_accuracy_score,
        m.multiclass_kappa: sk.cohen_kappa_score,
        m.multiclass_mcc: sk.matthews_corrcoef,
    }
    for ours, theirs in pairs.items():
        assert float(ours(matrix)) == pytest.approx(theirs(labels, called), abs=1e-12)


def test_one_against_the_rest_equals_sklearn(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = case
    called = probabilities.argmax(axis=1)
    counts = m.one_vs_rest(m.confusion_matrix(labels, called, classes=4))
    assert np.array_equal(counts.matrix(), sk.multilabel_confusion_matrix(labels, called))


def test_scores_equal_sklearn_and_torchmetrics(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = case
    assert m.multiclass_log_loss(labels, probabilities) == pytest.approx(
        sk.log_loss(labels, probabilities)
    )
    one_hot = np.eye(4)[labels]
    expected = np.mean(((probabilities - one_hot) ** 2).sum(axis=1))
    assert m.multiclass_brier(one_hot, probabilities) == pytest.approx(expected)
    expected = multiclass_calibration_error(
        torch.tensor(probabilities), torch.tensor(labels), num_classes=4, n_bins=15
    )
    assert m.multiclass_ece(labels, probabilities) == pytest.approx(float(expected), abs=1e-6)
    each = [m.ece(labels == k, probabilities[:, k]) for k in range(4)]
    assert m.classwise_ece(labels, probabilities) == pytest.approx(np.mean(each))


def test_constant_choice_and_constant_labels() -> None:
    same_choice = m.confusion_matrix([0, 1, 2], [1, 1, 1], classes=3)
    assert m.multiclass_mcc(same_choice) == 0
    same_label = m.confusion_matrix([1, 1], [0, 1], classes=3)
    assert np.isnan(m.multiclass_mcc(same_label))
    assert m.multiclass_balanced_accuracy(same_label) == 0.5
    assert np.isnan(m.multiclass_accuracy(np.zeros((3, 3))))


def test_unlabeled_rows_are_left_out() -> None:
    one_hot = np.array([[1, 0], [np.nan, np.nan], [0, 1]])
    assert class_indices(one_hot, 2).tolist()[::2] == [0, 1]
    truth, values, known = class_samples(one_hot, [[0.7, 0.3], [np.nan, np.nan], [0.2, 0.8]])
    assert truth.tolist() == [0, 1]
    assert len(values) == known.sum() == 2
    assert np.isnan(m.multiclass_ece([np.nan], [[0.5, 0.5]]))
    assert np.isnan(m.classwise_ece([np.nan], [[0.5, 0.5]]))


def test_refused() -> None:
    with pytest.raises(MetricError, match="softmax"):
        class_samples([0, 1], [[0.9, 0.9], [0.1, 0.2]])
    with pytest.raises(MetricError, match=r"\[0, 1\]"):
        class_samples([0], [[1.5, -0.5]])
    with pytest.raises(MetricError, match="exactly one 1"):
        class_indices([[1, 1], [0, 1]], 2)
    with pytest.raises(MetricError, match=r"0 \.\.\. 2"):
        class_indices([0, 3], 3)
    with pytest.raises(ShapeError, match="rows of probabilities"):
        class_samples([0, 1, 1], [[0.5, 0.5]])
    with pytest.raises(ShapeError, match="K at least 2"):
        class_samples([0, 1], [0.5, 0.5])
    with pytest.raises(ShapeError, match="expected"):
        class_indices(np.zeros((2, 5)), 3)
    with pytest.raises(ShapeError, match="predictions"):
        m.confusion_matrix([0, 1], [0], classes=2)
    with pytest.raises(MetricError, match="class indices"):
        m.confusion_matrix([0, 1], [0, 7], classes=2)
    with pytest.raises(ShapeError, match=r"\(K, K"):
        m.one_vs_rest(np.zeros((2, 3)))
