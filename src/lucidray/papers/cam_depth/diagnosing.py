"""How well each network tells a pneumothorax: accuracy, precision, recall and AUC, paired."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lucidray.metrics.confusion import Counts, accuracy, cell_matrix, precision, sensitivity
from lucidray.metrics.inputs import Statistic, binary_samples
from lucidray.metrics.ranking import auc_statistic
from lucidray.metrics.resampling import Estimate, Key, estimate
from lucidray.papers.cam_depth.published import ACCURACY, AUC, PRECISION, RECALL
from lucidray.records import Float64

_RATES: Mapping[str, Callable[[Counts], Float64]] = {
    ACCURACY: accuracy,
    PRECISION: precision,
    RECALL: sensitivity,
}


@dataclass(frozen=True)
class Reading:
    """What one network says of the test images.

    Args:
        network: Its name.
        probabilities: float64 ``(S, N)`` of pneumothorax, one row a seed.
        thresholds: One operating point a seed, chosen before the test images were seen.
    """

    network: str
    probabilities: Float64
    thresholds: tuple[float, ...]


@dataclass(frozen=True)
class Diagnosed:
    """How well the networks diagnose.

    Args:
        values: Network → quantity → value with its interval over patients (mean of the seeds).
        by_seed: Network → quantity → one value a seed.
        images: Number of test images.
        positives: Number of those with a pneumothorax.
        patients: Number of patients.
    """

    values: Mapping[str, Mapping[str, Estimate]]
    by_seed: Mapping[str, Mapping[str, tuple[float, ...]]]
    images: int
    positives: int
    patients: int


def diagnose(
    labels: npt.ArrayLike,
    patients: npt.ArrayLike,
    readings: Sequence[Reading],
    *,
    n_boot: int = 2000,
) -> Diagnosed:
    """Measure the networks on the same images, with the same patients drawn for all.

    Args:
        labels: ``(N,)``: 1 pneumothorax, 0 none.
        patients: ``(N,)`` patient keys.
        readings: One a network, with the same number of seeds.
        n_boot: Bootstrap replicates.

    Returns:
        Values are means over the seeds; precision is nan where a network calls nothing.
    """
    truth, keys = np.asarray(labels, dtype=np.float64), np.asarray(patients)
    runs = {reading.network: _statistics(truth, keys, reading) for reading in readings}
    clusters = len(np.unique(keys))

    def panel(weights: Float64) -> dict[Key, Float64]:
        return {
            (network, name): np.mean([run[name](weights) for run in seeds], axis=0)
            for network, seeds in runs.items()
            for name in (*_RATES, AUC)
        }

    found = estimate(panel, clusters, n_boot=n_boot)
    ones = np.ones((clusters, 1))
    names = (*_RATES, AUC)
    return Diagnosed(
        {network: {name: found[network, name] for name in names} for network in runs},
        {
            network: {name: tuple(float(run[name](ones)[0]) for run in seeds) for name in names}
            for network, seeds in runs.items()
        },
        len(truth),
        int(truth.sum()),
        clusters,
    )


def _statistics(
    truth: Float64, keys: npt.NDArray[np.generic], reading: Reading
) -> list[dict[str, Statistic]]:
    return [
        _of_seed(truth, keys, row, threshold)
        for row, threshold in zip(reading.probabilities, reading.thresholds, strict=True)
    ]


def _of_seed(
    truth: Float64, keys: npt.NDArray[np.generic], row: Float64, threshold: float
) -> dict[str, Statistic]:
    samples = binary_samples(truth, row, groups=keys, probabilities=True)
    cells = cell_matrix(samples, threshold)
    found: dict[str, Statistic] = {name: _rate(cells, rate) for name, rate in _RATES.items()}
    return found | {AUC: auc_statistic(samples)}


def _rate(cells: Float64, rate: Callable[[Counts], Float64]) -> Statistic:
    return lambda weights: rate(Counts(*(cells @ weights)))
