"""Whether a probability means what it says: proper scores, calibration error, reliability curve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError
from lucidray.metrics.catalog import Chance, entropy, metric
from lucidray.metrics.inputs import (
    Int,
    Samples,
    Statistic,
    as_float,
    binary_samples,
    cluster_matrix,
    ratio,
)
from lucidray.metrics.intervals import wilson_interval
from lucidray.metrics.multiclass import class_samples
from lucidray.records import Float64

#: How probabilities are cut into bins: of equal width, or of equal numbers of images.
Binning = Literal["width", "mass"]

_BINS = 15
_UNKNOWN = Chance("none: a constant equal to the prevalence has 0", lambda _: float("nan"))


@dataclass(frozen=True)
class ReliabilityCurve:
    """Predicted against observed frequency, one point a bin that holds images.

    Args:
        predicted: float64 ``(K,)`` mean probability in the bin.
        observed: float64 ``(K,)`` share of positives in the bin.
        low: float64 ``(K,)`` lower end of Wilson's 95 % interval of the share.
        high: float64 ``(K,)`` upper end.
        count: int ``(K,)`` images in the bin.
    """

    predicted: Float64
    observed: Float64
    low: Float64
    high: Float64
    count: Int


def mean_statistic(samples: Samples, values: Float64) -> Statistic:
    """Return the statistic of the mean of one value an image, ``(N,)``."""
    rows = np.zeros(len(samples), dtype=np.int64)
    shape = (1, samples.clusters)
    total = cluster_matrix(rows, samples.cluster, shape, values).toarray()[0]
    count = cluster_matrix(rows, samples.cluster, shape).toarray()[0]
    return lambda weights: ratio(total @ weights, count @ weights)


def ece_statistic(samples: Samples, *, bins: int = _BINS, binning: Binning = "width") -> Statistic:
    """Return the statistic of the expected calibration error.

    The bins are cut once, on all samples, and stay the same in every replicate.
    """
    place = bin_of(samples.scores, bins=bins, binning=binning)
    shape = (bins, samples.clusters)
    excess = samples.positive - samples.scores
    gaps = cluster_matrix(place, samples.cluster, shape, excess)
    count = cluster_matrix(place, samples.cluster, shape).sum(axis=0)
    return lambda weights: ratio(np.abs(gaps @ weights).sum(axis=0), count @ weights)


def bin_of(probabilities: Float64, *, bins: int, binning: Binning) -> Int:
    """Return the bin ``0 ... bins - 1`` of each probability.

    Args:
        probabilities: ``(N,)`` in [0, 1].
        bins: Number of bins.
        binning: ``"width"``: [0, 1/bins), ..., the last closed; ``"mass"``: equally many images a
            bin, equal probabilities never parted.

    Raises:
        MetricError: There is no bin, or the binning is unknown.
    """
    if bins < 1:
        raise MetricError(f"{bins} bins; at least one is needed")
    if binning == "width":
        edges = np.linspace(0, 1, bins + 1)
        place = np.searchsorted(edges, probabilities, side="right") - 1
    elif binning == "mass":
        below = np.searchsorted(np.sort(probabilities), probabilities, side="left")
        place = below * bins // max(len(probabilities), 1)
    else:
        raise MetricError(f"binning is '{binning}'; choose 'width' or 'mass'")
    return np.clip(place, 0, bins - 1).astype(np.int64)


def _log_loss_statistic(samples: Samples) -> Statistic:
    tiny = np.finfo(np.float64).eps
    chosen = np.where(samples.positive, samples.scores, 1 - samples.scores)
    return mean_statistic(samples, -np.log(np.clip(chosen, tiny, 1.0)))


def _brier_statistic(samples: Samples) -> Statistic:
    return mean_statistic(samples, (samples.scores - samples.positive) ** 2)


def _mass_statistic(samples: Samples) -> Statistic:
    return ece_statistic(samples, binning="mass")


@metric(
    "log_loss",
    source="Good 1952; scikit-learn log_loss",
    needs="probabilities",
    higher_is_better=False,
    bounds=(0, float("inf")),
    chance=Chance("entropy of the prevalence", entropy),
    statistic=_log_loss_statistic,
)
def log_loss(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Return the mean negative log probability of the label (NLL), in nats.

    Args:
        labels: ``(N,)``: 1, 0 or nan (left out).
        probabilities: ``(N,)`` in [0, 1]; clipped at 2.2e-16, so that no image counts for
            more than 36.

    Returns:
        Lower is better; nan where nothing is labeled.
    """
    return _plain(_log_loss_statistic, labels, probabilities)


@metric(
    "brier",
    source="Brier 1950",
    needs="probabilities",
    higher_is_better=False,
    chance=Chance("prevalence (1 - prevalence)", lambda shares: float(shares[0] * shares[-1])),
    statistic=_brier_statistic,
)
def brier(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Return the mean squared difference of probability and label.

    Args and Returns as in `log_loss`.

    Deviates: half of Brier's own scale, as scikit-learn does for two classes.
    """
    return _plain(_brier_statistic, labels, probabilities)


@metric(
    "ece",
    source="Naeini et al., AAAI 2015; Guo et al., ICML 2017 (15 bins)",
    needs="probabilities",
    higher_is_better=False,
    chance=_UNKNOWN,
    statistic=ece_statistic,
)
def ece(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    bins: int = _BINS,
    binning: Binning = "width",
) -> float:
    """Return the expected calibration error: the mean gap of predicted and observed frequency.

    Args:
        labels: ``(N,)``: 1, 0 or nan (left out).
        probabilities: ``(N,)`` in [0, 1].
        bins: Number of bins.
        binning: ``"width"`` or ``"mass"``, see `bin_of`.

    Returns:
        Lower is better; nan where nothing is labeled. With few images it is biased upward, the
        more so the more bins, and resampling adds to the bias: a bootstrap interval may lie above
        its value.

    Deviates: bins the probability of the finding, not of the winning class.
    """
    samples = binary_samples(labels, probabilities, probabilities=True)
    statistic = ece_statistic(samples, bins=bins, binning=binning)
    return float(statistic(np.ones((samples.clusters, 1)))[0])


@metric(
    "ece_equal_mass",
    source="Nixon et al., CVPR Workshops 2019",
    needs="probabilities",
    higher_is_better=False,
    chance=_UNKNOWN,
    statistic=_mass_statistic,
)
def ece_equal_mass(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Return the expected calibration error over 15 bins of equally many images.

    Args and Returns as in `ece`.
    """
    return _plain(_mass_statistic, labels, probabilities)


@metric(
    "multiclass_ece",
    source="Guo et al., ICML 2017",
    needs="class_probabilities",
    higher_is_better=False,
    chance=_UNKNOWN,
)
def multiclass_ece(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Return the calibration error of the winning class's probability, 15 equal-width bins.

    Args:
        labels: ``(N,)`` class indices or ``(N, K)`` one-hot; nan = left out.
        probabilities: ``(N, K)``, rows summing to one.

    Returns:
        Lower is better; nan where nothing is labeled.
    """
    truth, values, _ = class_samples(labels, probabilities)
    if not len(truth):
        return float("nan")
    return float(ece(values.argmax(axis=1) == truth, values.max(axis=1)))


@metric(
    "classwise_ece",
    source="Kull et al., NeurIPS 2019",
    needs="class_probabilities",
    higher_is_better=False,
    chance=_UNKNOWN,
)
def classwise_ece(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Return the mean over classes of the calibration error of each class's probability.

    Args and Returns as in `multiclass_ece`.
    """
    truth, values, _ = class_samples(labels, probabilities)
    if not len(truth):
        return float("nan")
    return float(np.mean([ece(truth == k, values[:, k]) for k in range(values.shape[1])]))


def reliability_curve(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    bins: int = _BINS,
    binning: Binning = "width",
) -> ReliabilityCurve:
    """Return predicted against observed frequency, for a calibration plot.

    Args as in `ece`.

    Returns:
        One point a bin that holds an image, by rising probability; none where nothing is labeled.
    """
    samples = binary_samples(labels, probabilities, probabilities=True)
    place = bin_of(samples.scores, bins=bins, binning=binning)
    count = np.bincount(place, minlength=bins)
    hits = np.bincount(place, samples.positive, minlength=bins)
    total = np.bincount(place, samples.scores, minlength=bins)
    full = count > 0
    count, hits, total = count[full], hits[full], total[full]
    low, high = wilson_interval(hits, count)
    return ReliabilityCurve(total / count, hits / count, low, high, count)


def logit(probabilities: npt.ArrayLike, *, smallest: float = 1e-7) -> Float64:
    """Return the log odds of probabilities, clipped to ``[smallest, 1 - smallest]``."""
    values = np.clip(as_float(probabilities, "probabilities"), smallest, 1 - smallest)
    return np.asarray(np.log(values) - np.log1p(-values))


def _plain(
    build: Callable[[Samples], Statistic], labels: npt.ArrayLike, probabilities: npt.ArrayLike
) -> float:
    samples = binary_samples(labels, probabilities, probabilities=True)
    return float(build(samples)(np.ones((samples.clusters, 1)))[0])
