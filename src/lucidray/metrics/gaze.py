"""Heat maps against where people looked: densities (KL, CC, SIM) and fixations (NSS, AUC).

The field's definitions are the defaults. What two publications wrote instead is here too, under
names of its own, so that their tables can be compared: ``gaze_kl_reversed``,
``gaze_similarity_sum`` and ``gaze_histogram_similarity``. All depend on the resolution, so compare
only at one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lucidray.metrics.catalog import HALF, NO_CHANCE, ZERO, metric
from lucidray.metrics.gaze_batch import (
    GazeBatch,
    GazeWork,
    as_points,
    density,
    measure_pairs,
    measure_points,
    others_pixels,
)
from lucidray.metrics.inputs import encode_groups, ratio
from lucidray.metrics.localization_batch import as_maps
from lucidray.records import Float64

_MIT = "Bylinskii et al., TPAMI 41:740 (2019); cvzoya/saliency"
_EPSILON = float(np.finfo(np.float64).eps)
_BINS = 256


def kl_work(batch: GazeBatch) -> Float64:
    """Return the divergence of the prediction from the truth."""
    return _divergence(batch.truth, batch.prediction)


def kl_reversed_work(batch: GazeBatch) -> Float64:
    """Return the divergence of the truth from the prediction."""
    return _divergence(batch.prediction, batch.truth)


def _divergence(truth: Float64, guess: Float64) -> Float64:
    return np.asarray((truth * np.log(_EPSILON + truth / (_EPSILON + guess))).sum(axis=1))


def cc_work(batch: GazeBatch) -> Float64:
    """Return Pearson's correlation of raw map and gaze."""
    return correlation(batch.maps, batch.truth)


def correlation(first: Float64, second: Float64) -> Float64:
    """Return Pearson's correlation of rows ``(B, P)``; nan where one is constant."""
    a = first - first.mean(axis=1, keepdims=True)
    b = second - second.mean(axis=1, keepdims=True)
    both = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    varied = (np.ptp(first, axis=1) > 0) & (np.ptp(second, axis=1) > 0)
    return np.clip(ratio((a * b).sum(axis=1), np.where(varied, both, 0)), -1, 1)


def similarity_work(batch: GazeBatch) -> Float64:
    """Return the overlap of both densities after stretching each from its minimum."""
    stretched = [density(v - v.min(axis=1, keepdims=True)) for v in (batch.prediction, batch.truth)]
    return np.asarray(np.minimum(*stretched).sum(axis=1))


def similarity_sum_work(batch: GazeBatch) -> Float64:
    """Return the overlap of both densities as they are."""
    return np.asarray(np.minimum(batch.prediction, batch.truth).sum(axis=1))


def histogram_work(batch: GazeBatch) -> Float64:
    """Return the overlap of both histograms of values, each map divided by its maximum."""
    shares = [_histograms(values) for values in (batch.prediction, batch.truth)]
    return np.asarray(np.minimum(*shares).sum(axis=1))


def _histograms(values: Float64) -> Float64:
    with np.errstate(invalid="ignore"):
        level = np.floor(values / values.max(axis=1, keepdims=True) * _BINS)
    known = ~np.isnan(level[:, :1])
    place = np.minimum(np.nan_to_num(level), _BINS - 1).astype(np.intp)
    place += _BINS * np.arange(len(values))[:, None]
    counts = np.bincount(place.ravel(), minlength=_BINS * len(values)).reshape(-1, _BINS)
    return np.where(known, counts / values.shape[1], np.nan)


def nss_work(batch: GazeBatch) -> Float64:
    """Return the mean standardized value at the fixated pixels."""
    spread = np.where(np.ptp(batch.maps, axis=1) > 0, batch.maps.std(axis=1, ddof=1), 0)
    points = batch.points or []
    at = [row[p].mean() if len(p) else np.nan for row, p in zip(batch.maps, points, strict=True)]
    return ratio(np.array(at) - batch.maps.mean(axis=1), spread)


def judd_work(batch: GazeBatch) -> Float64:
    """Return the area under the ROC curve whose thresholds are the fixated values."""
    return np.array([_judd(*pair) for pair in zip(batch.maps, batch.points or [], strict=True)])


def _judd(values: Float64, points: Any) -> float:
    fixed, every = np.sort(values[points]), np.sort(values)
    if not len(fixed) or len(fixed) == len(every):
        return float("nan")
    cuts = np.unique(fixed)[::-1]
    hits = len(fixed) - np.searchsorted(fixed, cuts)
    called = len(every) - np.searchsorted(every, cuts)
    rise = np.concatenate([[0], hits / len(fixed), [1]])
    run = np.concatenate([[0], (called - hits) / (len(every) - len(fixed)), [1]])
    return float(np.trapezoid(rise, run))


def shuffled_work(batch: GazeBatch) -> Float64:
    """Return the chance that an own fixation is hotter than one of another patient's image."""
    rows = zip(batch.maps, batch.points or [], batch.others or [], strict=True)
    return np.array([_beats(values[own], np.sort(values[other])) for values, own, other in rows])


def _beats(own: Float64, others: Float64) -> float:
    if not len(own) or not len(others):
        return float("nan")
    low, high = np.searchsorted(others, own), np.searchsorted(others, own, side="right")
    return float((low + high).mean()) / (2 * len(others))


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _gaze(name: str, work: GazeWork, *, source: str = _MIT, **facts: Any) -> Decorator:
    known = {"needs": "maps_and_gaze", "chance": NO_CHANCE, **facts}
    return metric(name, source=source, work=work, **known)


@_gaze("gaze_kl", kl_work, higher_is_better=False, bounds=(0.0, np.inf))
def gaze_kl(maps: npt.ArrayLike, gaze: npt.ArrayLike) -> Float64:
    """Return the Kullback-Leibler divergence KL(gaze || map) of the two densities.

    Args:
        maps: ``(..., H, W)``, raw; negative values count as 0, then divided by the sum.
        gaze: Same shape, not negative; divided by its sum.

    Returns:
        In nats, 0 where equal, lower is better; nan without positive evidence, where nobody looked
        or the map is not finite. Missing a gazed place costs most.

    Source: sum of G log(e + G / (e + P)), e = 2.2e-16.
    """
    return measure_pairs(kl_work, maps, gaze)


@_gaze(
    "gaze_kl_reversed",
    kl_reversed_work,
    source="Qiu, thesis (Concordia 2024), equation 1: P the prediction, Q the truth",
    higher_is_better=False,
    bounds=(0.0, np.inf),
)
def gaze_kl_reversed(maps: npt.ArrayLike, gaze: npt.ArrayLike) -> Float64:
    """Return KL(map || gaze): the divergence as one publication writes it, the other way round.

    Args as in `gaze_kl`.

    Returns:
        In nats, lower is better; nan as in `gaze_kl`. Heat where nobody looked costs most.
    """
    return measure_pairs(kl_reversed_work, maps, gaze)


@_gaze("gaze_cc", cc_work, bounds=(-1.0, 1.0), chance=ZERO)
def gaze_cc(maps: npt.ArrayLike, gaze: npt.ArrayLike) -> Float64:
    """Return Pearson's correlation of map and gaze over pixels.

    Args:
        maps: ``(..., H, W)``, raw and signed: negative values count as such.
        gaze: Same shape, not negative.

    Returns:
        In [-1, 1], higher is better; nan where either is constant, nobody looked or the map is not
        finite.
    """
    return measure_pairs(cc_work, maps, gaze)


@_gaze("gaze_similarity", similarity_work)
def gaze_similarity(maps: npt.ArrayLike, gaze: npt.ArrayLike) -> Float64:
    """Return SIM: the overlap of both densities, each stretched from its minimum first.

    Args:
        maps: ``(..., H, W)``, raw; negative values count as 0.
        gaze: Same shape, not negative.

    Returns:
        In [0, 1], higher is better; nan where either is constant, and as in `gaze_kl`.

    Deviates: negative values are cut before the minimum is subtracted, or a map without evidence
        would get a density.
    """
    return measure_pairs(similarity_work, maps, gaze)


@_gaze(
    "gaze_similarity_sum",
    similarity_sum_work,
    source="Zhu et al., MT-UNet, code: sum of min(p, q), each divided by its sum only",
)
def gaze_similarity_sum(maps: npt.ArrayLike, gaze: npt.ArrayLike) -> Float64:
    """Return the overlap of both densities without stretching.

    Args as in `gaze_similarity`.

    Returns:
        In [0, 1], higher is better; nan as in `gaze_kl`. A map with a floor scores higher than in
        `gaze_similarity`.
    """
    return measure_pairs(similarity_sum_work, maps, gaze)


@_gaze(
    "gaze_histogram_similarity",
    histogram_work,
    source="Qiu, thesis (Concordia 2024), section 2.5.3: histograms of saliency values",
)
def gaze_histogram_similarity(maps: npt.ArrayLike, gaze: npt.ArrayLike) -> Float64:
    """Return the overlap of the two histograms of values, as one publication describes it.

    Args as in `gaze_similarity`; each is divided by its maximum, then put into 256 bins.

    Returns:
        In [0, 1], higher is better; nan as in `gaze_kl`. It knows nothing of place: a shuffled map
        scores the same. Do not read it as agreement.
    """
    return measure_pairs(histogram_work, maps, gaze)


@_gaze("gaze_nss", nss_work, needs="maps_and_fixations", bounds=(-np.inf, np.inf), chance=ZERO)
def gaze_nss(maps: npt.ArrayLike, fixations: Sequence[npt.ArrayLike]) -> Float64:
    """Return the normalized scanpath saliency: the mean standardized value at fixated pixels.

    Args:
        maps: ``(N, H, W)``, raw and signed: negative values count as such.
        fixations: ``(n, 2)`` for each map: x and y in its pixels; a pixel counts once.

    Returns:
        In standard deviations, 0 at chance, higher is better; nan where the map is constant or not
        finite, or nobody looked.
    """
    return measure_points(nss_work, maps, fixations)


@_gaze("gaze_auc_judd", judd_work, needs="maps_and_fixations", chance=HALF)
def gaze_auc_judd(maps: npt.ArrayLike, fixations: Sequence[npt.ArrayLike]) -> Float64:
    """Return the area under the ROC curve of fixated against all other pixels.

    Args:
        maps: ``(N, H, W)``, raw; only ranks matter.
        fixations: ``(n, 2)`` for each map: x and y in its pixels; a pixel counts once.

    Returns:
        In [0, 1], higher is better; nan where nobody looked or the map is not finite. A centered
        blob scores high: read it beside `gaze_auc_shuffled`.

    Deviates: equal values are one threshold; the source breaks ties by a random jitter.
    """
    return measure_points(judd_work, maps, fixations)


@_gaze(
    "gaze_auc_shuffled",
    shuffled_work,
    needs="maps_and_fixations",
    source="Zhang et al., Journal of Vision 8(7):32 (2008); Borji et al., ICCV 2013",
    chance=HALF,
)
def gaze_auc_shuffled(
    maps: npt.ArrayLike,
    fixations: Sequence[npt.ArrayLike],
    *,
    groups: npt.ArrayLike | None = None,
) -> Float64:
    """Return the area under the ROC curve of own fixations against those on other images.

    Args:
        maps: ``(N, H, W)``, raw; only ranks matter.
        fixations: ``(n, 2)`` for each map: x and y in its pixels.
        groups: ``(N,)`` patient of each image, whose other images do not count as others; None:
            each its own.

    Returns:
        In [0, 1], higher is better, ties half; a map of where people look in general scores about
        0.5; nan where nobody looked, there is no other patient, or the map is not finite.

    Deviates: all other fixations count, instead of 100 random draws from ten images, and all
        thresholds, instead of steps of 0.1.
    """
    points = [as_points(each) for each in fixations]
    values = as_maps(maps)
    cluster, _ = encode_groups(groups, len(points))
    shape = (int(values.shape[-2]), int(values.shape[-1]))
    others = others_pixels(points, [shape] * len(points), cluster)
    return measure_points(shuffled_work, values, points, [others(i) for i in range(len(points))])
