"""What every measure of classification starts from: checked labels, scores and patients.

Sampling error lives between patients, not between images. So each measure is written as a
`Statistic`: a function of the weights of patients. Weights of one give the plain value, random
counts a bootstrap, a zero a jackknife; one piece of code answers all three.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from lucidray.errors import MetricError, ShapeError
from lucidray.records import Bool, Float64

Int = npt.NDArray[np.int64]

#: Cluster weights ``(C, B)``, one column a replicate, to values ``(..., B)``; nan = undefined.
Statistic: TypeAlias = Callable[[Float64], Float64]

#: Columns that are worked on at once: what then lies in memory fits the processor's cache.
_BLOCK = 64


@dataclass(frozen=True)
class Samples:
    """Labeled images of one finding with their scores and patients.

    Args:
        positive: bool ``(N,)``, True where the finding is present.
        scores: float64 ``(N,)``, finite; higher speaks for the finding.
        cluster: int ``(N,)``, the patient of each image, ``0 ... clusters - 1``.
        clusters: Number of patients, those without a labeled image included.
        unlabeled: Number of images that were left out because their label is nan.
    """

    positive: Bool
    scores: Float64
    cluster: Int
    clusters: int
    unlabeled: int = 0

    def __len__(self) -> int:
        return len(self.positive)

    @property
    def shares(self) -> Float64:
        """Return ``(2,)``: the shares of negatives and positives; nan where nothing is labeled."""
        if not len(self):
            return np.full(2, np.nan)
        positive = float(self.positive.mean())
        return np.array([1 - positive, positive])


def encode_groups(groups: npt.ArrayLike | None, count: int) -> tuple[Int, int]:
    """Number the patients.

    Args:
        groups: ``(N,)`` patient keys, text or numbers; None: each image is its own patient.
        count: N.

    Returns:
        int ``(N,)`` patient of each image, and the number of patients.

    Raises:
        ShapeError: There is not one key an image.
        MetricError: A key is missing or keys cannot be compared.
    """
    if groups is None:
        return np.arange(count), count
    keys = np.asarray(groups)
    if keys.shape != (count,):
        raise ShapeError(f"groups are {keys.shape} but there are {count} images; give one key each")
    if _any_missing(keys):
        raise MetricError("some groups are missing; give every image a patient key")
    try:
        found, codes = np.unique(keys, return_inverse=True)
    except TypeError as error:
        raise MetricError("groups mix text and numbers; make all keys of one type") from error
    return codes.astype(np.int64), len(found)


def binary_samples(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    groups: npt.ArrayLike | None = None,
    probabilities: bool = False,
) -> Samples:
    """Check labels and scores of one finding and drop what is unlabeled.

    Args:
        labels: ``(N,)``: 1, 0 or nan (unlabeled).
        scores: ``(N,)``: higher speaks for the finding.
        groups: ``(N,)`` patient keys; None: each image is its own patient.
        probabilities: Whether scores must lie in [0, 1].

    Raises:
        ShapeError: Labels and scores are not both ``(N,)``, with N at least 1.
        MetricError: A label is not 1, 0 or nan, or the score of a labeled image is not finite, or
            no probability where one is asked for.
    """
    truth, values = as_float(labels, "labels"), as_float(scores, "scores")
    if truth.ndim != 1 or truth.shape != values.shape or not truth.size:
        raise ShapeError(
            f"labels are {truth.shape} and scores {values.shape}; both must be (N,), N at least 1"
        )
    cluster, clusters = encode_groups(groups, truth.size)
    known = ~np.isnan(truth)
    truth, values = truth[known], values[known]
    _check_values(truth, values, probabilities)
    return Samples(truth == 1, values, cluster[known], clusters, int((~known).sum()))


def finding_samples(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
) -> list[Samples]:
    """Check labels and probabilities ``(N, F)`` and return one `Samples` a finding.

    Raises:
        ShapeError: The arrays are not both ``(N, F)``.
        MetricError: As in `binary_samples`.
    """
    truth, values = as_float(labels, "labels"), as_float(probabilities, "probabilities")
    if truth.ndim != 2 or truth.shape != values.shape:
        raise ShapeError(
            f"labels are {truth.shape} and probabilities {values.shape}; both must be (N, F)"
        )
    codes = None if groups is None else encode_groups(groups, len(truth))[0]
    return [
        binary_samples(truth[:, f], values[:, f], groups=codes, probabilities=True)
        for f in range(truth.shape[1])
    ]


def pool(parts: list[Samples]) -> Samples:
    """Lay the samples of several findings end to end; each image keeps its patient."""
    return Samples(
        np.concatenate([part.positive for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.cluster for part in parts]),
        parts[0].clusters,
        sum(part.unlabeled for part in parts),
    )


def as_float(values: npt.ArrayLike, what: str) -> Float64:
    """Return an array as float64.

    Raises:
        MetricError: It holds something that is no number.
    """
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MetricError(
            f"{what} must be numbers (nan = unlabeled), not text or objects"
        ) from error


def cluster_matrix(
    rows: Int, cluster: Int, shape: tuple[int, int], values: Float64 | None = None
) -> sp.csr_array:
    """Sum the values of samples by row and patient into a sparse ``(R, C)`` matrix.

    Args:
        rows: int ``(N,)``, the row of each sample; those outside the shape are dropped.
        cluster: int ``(N,)``, the patient of each sample.
        shape: ``(R, C)``.
        values: float64 ``(N,)``; None: ones, which counts.

    Returns:
        The matrix; times weights ``(C, B)`` it gives the weighted sums ``(R, B)``.
    """
    data = np.ones(len(rows)) if values is None else values
    inside = rows < shape[0]
    return sp.csr_array((data[inside], (rows[inside], cluster[inside])), shape=shape)


def in_blocks(weights: Float64, work: Statistic) -> Float64:
    """Apply a statistic to a few columns at a time, so that what it builds stays small."""
    starts = range(0, weights.shape[1], _BLOCK)
    parts = [work(np.ascontiguousarray(weights[:, k : k + _BLOCK])) for k in starts]
    return np.concatenate(parts, axis=-1)


def ratio(numerator: Any, denominator: Any) -> Float64:
    """Divide, with nan wherever the denominator is not positive."""
    top, bottom = np.broadcast_arrays(np.asarray(numerator, float), np.asarray(denominator, float))
    out = np.full(top.shape, np.nan)
    np.divide(top, bottom, out=out, where=bottom > 0)
    return out


def is_missing(value: object) -> bool:
    """Say whether a cell of a table is empty: None, nan, or pandas' NA, which equals nothing."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except TypeError:
        return True


def _any_missing(keys: npt.NDArray[Any]) -> bool:
    if keys.dtype.kind == "f":
        return bool(np.isnan(keys).any())
    if keys.dtype.kind == "O":
        return any(is_missing(key) for key in keys)
    return False


def _check_values(truth: Float64, values: Float64, probabilities: bool) -> None:
    strange = truth[(truth != 0) & (truth != 1)]
    if strange.size:
        raise MetricError(
            f"{strange.size} labels are neither 1, 0 nor nan (first: {strange[0]:g}); "
            "map uncertain labels to one of them first"
        )
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise MetricError(f"{bad} scores of labeled images are nan or infinite; mend the model")
    if probabilities and values.size and (values.min() < 0 or values.max() > 1):
        raise MetricError(
            f"probabilities run from {values.min():g} to {values.max():g}; expected [0, 1]. "
            "Apply a sigmoid or softmax to logits first"
        )
