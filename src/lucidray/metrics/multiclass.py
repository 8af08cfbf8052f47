"""Measures of one choice among K classes, all from one K x K confusion matrix.

Matrices may carry further axes behind the first two: ``(K, K, B)`` holds B replicates. For a class
against the rest, `one_vs_rest` gives `Counts`, so the binary measures serve each class.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.catalog import ZERO, Chance, entropy, metric
from lucidray.metrics.confusion import Counts
from lucidray.metrics.inputs import Int, Statistic, as_float, cluster_matrix, ratio
from lucidray.records import Float64


def class_indices(labels: npt.ArrayLike, classes: int) -> Float64:
    """Return labels as class indices, nan where unlabeled.

    Args:
        labels: ``(N,)`` class indices or ``(N, K)`` with a single 1 a row; nan = unlabeled.
        classes: K.

    Raises:
        ShapeError: The labels have another shape.
        MetricError: An index is out of range, or a row has not exactly one 1.
    """
    values = as_float(labels, "labels")
    if values.ndim == 2 and values.shape[1] == classes:
        return _from_one_hot(values)
    if values.ndim != 1 or not values.size:
        raise ShapeError(f"labels are {values.shape}; expected (N,) or (N, {classes})")
    known = values[~np.isnan(values)]
    if not np.isin(known, np.arange(classes)).all():
        raise MetricError(f"class labels must be 0 ... {classes - 1} or nan")
    return values


def confusion_matrix(labels: npt.ArrayLike, predictions: npt.ArrayLike, *, classes: int) -> Float64:
    """Return the K x K confusion matrix.

    Args:
        labels: ``(N,)`` class indices or ``(N, K)`` one-hot; nan = left out.
        predictions: ``(N,)`` class indices, or ``(N, K)`` probabilities of which the largest wins.
        classes: K.

    Returns:
        float64 ``(K, K)`` counts: rows truth, columns prediction.

    Raises:
        ShapeError: Labels and predictions differ in length.
        MetricError: A label or prediction is out of range.

    >>> confusion_matrix([0, 1, 1], [0, 1, 0], classes=2).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    truth = class_indices(labels, classes)
    called = as_float(predictions, "predictions")
    called = called.argmax(axis=1).astype(np.float64) if called.ndim == 2 else called
    if called.shape != truth.shape:
        raise ShapeError(f"{truth.size} labels but predictions are {called.shape}")
    known = ~np.isnan(truth)
    if not np.isin(called[known], np.arange(classes)).all():
        raise MetricError(f"predictions must be class indices 0 ... {classes - 1}")
    cells = truth[known] * classes + called[known]
    matrix = np.bincount(cells.astype(np.int64), minlength=classes**2).reshape(classes, classes)
    return matrix.astype(np.float64)


def matrix_statistic(
    truth: Int, called: Int, cluster: Int, clusters: int, classes: int
) -> Statistic:
    """Return the statistic of the K x K confusion matrix, ``(K, K, B)``.

    Args:
        truth: int ``(N,)`` class indices.
        called: int ``(N,)`` predicted class indices.
        cluster: int ``(N,)`` patient of each image.
        clusters: Number of patients.
        classes: K.
    """
    sums = cluster_matrix(truth * classes + called, cluster, (classes**2, clusters))
    return lambda weights: np.asarray(sums @ weights).reshape(classes, classes, -1)


def one_vs_rest(matrix: npt.ArrayLike) -> Counts:
    """Return the counts of each class against the rest.

    Args:
        matrix: ``(K, K, ...)``: rows truth, columns prediction.

    Returns:
        Counts of shape ``(K, ...)``.

    Raises:
        ShapeError: The matrix is not square.
    """
    cells = _square(matrix)
    tp = np.stack([cells[k, k] for k in range(len(cells))])
    fp, fn = cells.sum(axis=0) - tp, cells.sum(axis=1) - tp
    return Counts(tp, fp, fn, np.maximum(cells.sum(axis=(0, 1)) - tp - fp - fn, 0.0))


@metric(
    "multiclass_accuracy",
    source="scikit-learn accuracy_score",
    needs="matrix",
    chance=Chance("share of the largest class", lambda shares: float(np.max(shares))),
)
def multiclass_accuracy(matrix: npt.ArrayLike) -> Float64:
    """Return the share of right choices; nan without samples."""
    cells = _square(matrix)
    return ratio(_diagonal(cells).sum(axis=0), cells.sum(axis=(0, 1)))


@metric(
    "multiclass_balanced_accuracy",
    source="Brodersen et al., ICPR 2010",
    needs="matrix",
    chance=Chance("1 / K", lambda shares: 1 / len(shares)),
)
def multiclass_balanced_accuracy(matrix: npt.ArrayLike) -> Float64:
    """Return the mean sensitivity of the classes that occur; nan where none occurs."""
    cells = _square(matrix)
    per_class = ratio(_diagonal(cells), cells.sum(axis=1))
    present = ~np.isnan(per_class)
    return ratio(np.where(present, per_class, 0.0).sum(axis=0), present.sum(axis=0))


@metric("multiclass_kappa", source="Cohen 1960", needs="matrix", bounds=(-1, 1), chance=ZERO)
def multiclass_kappa(matrix: npt.ArrayLike) -> Float64:
    """Return Cohen's kappa of K classes; nan where chance agreement is complete."""
    cells = _square(matrix)
    total = cells.sum(axis=(0, 1))
    by_chance = ratio((cells.sum(axis=0) * cells.sum(axis=1)).sum(axis=0), total * total)
    return ratio(multiclass_accuracy(cells) - by_chance, 1 - by_chance)


@metric(
    "multiclass_mcc",
    source="Gorodkin, Comput. Biol. Chem. 28:367 (2004)",
    needs="matrix",
    bounds=(-1, 1),
    chance=ZERO,
)
def multiclass_mcc(matrix: npt.ArrayLike) -> Float64:
    """Return the correlation of choices and labels.

    Returns:
        Higher is better; 0 where all choices are the same; nan where all labels are the same.
    """
    cells = _square(matrix)
    total, hits = cells.sum(axis=(0, 1)), _diagonal(cells).sum(axis=0)
    called, known = cells.sum(axis=0), cells.sum(axis=1)
    joint = hits * total - (called * known).sum(axis=0)
    spread_called = np.maximum(total**2 - (called**2).sum(axis=0), 0.0)
    spread_known = np.maximum(total**2 - (known**2).sum(axis=0), 0.0)
    value = ratio(joint, np.sqrt(spread_called) * np.sqrt(spread_known))
    return np.where((spread_called == 0) & (spread_known > 0), 0.0, value)


def class_log_losses(truth: Int, probabilities: Float64) -> Float64:
    """Return the log loss of each image, ``(N,)``, in nats."""
    chosen = probabilities[np.arange(len(truth)), truth]
    return np.asarray(-np.log(np.clip(chosen, np.finfo(np.float64).eps, 1.0)))


def class_briers(truth: Int, probabilities: Float64) -> Float64:
    """Return the Brier score of each image, ``(N,)``: squared distance to the one-hot label."""
    one_hot = np.eye(probabilities.shape[1])[truth]
    return np.asarray(((probabilities - one_hot) ** 2).sum(axis=1))


@metric(
    "multiclass_log_loss",
    source="Good 1952; scikit-learn log_loss",
    needs="class_probabilities",
    higher_is_better=False,
    bounds=(0, float("inf")),
    chance=Chance("entropy of the class shares", entropy),
    per_image=class_log_losses,
)
def multiclass_log_loss(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Return the mean negative log probability of the true class, in nats.

    Args:
        labels: ``(N,)`` class indices or ``(N, K)`` one-hot; nan = left out.
        probabilities: ``(N, K)``, rows summing to one; clipped at 2.2e-16.

    Returns:
        Lower is better; nan where nothing is labeled.
    """
    truth, values = class_samples(labels, probabilities)[:2]
    return float(ratio(class_log_losses(truth, values).sum(), len(truth)))


@metric(
    "multiclass_brier",
    source="Brier 1950",
    needs="class_probabilities",
    higher_is_better=False,
    bounds=(0, 2),
    chance=Chance("1 - sum of squared class shares", lambda s: float(1 - (s**2).sum())),
    per_image=class_briers,
)
def multiclass_brier(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Return the mean squared distance of the probabilities to the one-hot label.

    Args as in `multiclass_log_loss`.

    Returns:
        0 to 2 (Brier's own scale, twice the binary one); lower is better; nan without labels.
    """
    truth, values = class_samples(labels, probabilities)[:2]
    return float(ratio(class_briers(truth, values).sum(), len(truth)))


def class_samples(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike
) -> tuple[Int, Float64, npt.NDArray[np.bool_]]:
    """Check labels and softmax probabilities and drop what is unlabeled.

    Returns:
        Class indices ``(M,)``, probabilities ``(M, K)``, and the bool ``(N,)`` mask of what is
        labeled.

    Raises:
        ShapeError: Probabilities are not ``(N, K)``, K at least 2.
        MetricError: Rows of labeled images do not sum to one within 1e-3, or leave [0, 1].
    """
    values = as_float(probabilities, "probabilities")
    if values.ndim != 2 or values.shape[1] < 2:
        raise ShapeError(f"probabilities are {values.shape}; expected (N, K), K at least 2")
    truth = class_indices(labels, values.shape[1])
    if len(truth) != len(values):
        raise ShapeError(f"{len(truth)} labels but {len(values)} rows of probabilities")
    known = ~np.isnan(truth)
    kept = values[known]
    if not (np.isfinite(kept).all() and (kept >= 0).all() and (kept <= 1).all()):
        raise MetricError("class probabilities must be finite and in [0, 1]; apply softmax first")
    if not np.allclose(kept.sum(axis=1), 1, atol=1e-3):
        raise MetricError(
            "class probabilities do not sum to one in each row; apply softmax, or measure "
            "independent findings with measure_multilabel"
        )
    return truth[known].astype(np.int64), kept, known


def _from_one_hot(values: Float64) -> Float64:
    unlabeled = np.isnan(values).any(axis=1)
    kept = values[~unlabeled]
    if not (np.isin(kept, (0, 1)).all() and (kept.sum(axis=1) == 1).all()):
        raise MetricError("one-hot labels must have exactly one 1 in each row, and else 0")
    return np.where(unlabeled, np.nan, np.nan_to_num(values).argmax(axis=1))


def _square(matrix: npt.ArrayLike) -> Float64:
    cells = as_float(matrix, "matrix")
    if cells.ndim < 2 or cells.shape[0] != cells.shape[1]:
        raise ShapeError(f"the confusion matrix is {cells.shape}; expected (K, K, ...)")
    return cells


def _diagonal(cells: Float64) -> Float64:
    return np.stack([cells[k, k] for k in range(len(cells))])
