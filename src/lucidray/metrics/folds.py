"""Cut patients into parts, so that what is fitted on some is measured on others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError
from lucidray.metrics.inputs import Int, as_float, encode_groups


def patient_folds(
    labels: npt.ArrayLike,
    *,
    groups: npt.ArrayLike | None = None,
    folds: int = 5,
    seed: int = 0,
) -> Int:
    """Give each image a fold, all images of a patient the same one, each fold like the others.

    Patients of the same labels (of a finding: present in some image, absent, or unlabeled) are
    dealt out one by one, so that folds differ in their number of each by one at most as long as
    patients have few combinations of labels.

    Args:
        labels: ``(N,)`` or ``(N, F)``: 1, 0 or nan.
        groups: ``(N,)`` patient keys; None: each image is its own patient.
        folds: Number of folds.
        seed: Same seed, same folds.

    Returns:
        int ``(N,)``, 0 ... folds - 1.

    Raises:
        MetricError: There are fewer patients than folds, or fewer than two folds.

    >>> patient_folds([1, 0, 0], folds=2, groups=["a", "a", "b"]).tolist()
    [0, 0, 1]
    """
    truth = as_float(labels, "labels").reshape(len(np.asarray(labels)), -1)
    cluster, clusters = encode_groups(groups, len(truth))
    if not 2 <= folds <= clusters:
        raise MetricError(
            f"{clusters} patients in {folds} folds; expected 2 folds to one a patient"
        )
    known = np.nan_to_num(truth, nan=-1.0)
    worst = np.full((clusters, truth.shape[1]), -1.0)
    np.maximum.at(worst, cluster, known)
    kind = np.unique(worst, axis=0, return_inverse=True)[1].ravel()
    order = np.lexsort((np.random.default_rng(seed).random(clusters), -kind))
    place = np.empty(clusters, dtype=np.int64)
    place[order] = np.arange(clusters) % folds
    return place[cluster]
