"""Effective heat ratio: how much of what a map highlights is the finding, over all thresholds.

Three variants are in print under one name and their numbers do not compare, so each has a name of
its own here: ``ehr_auc`` (pixels, equidistant thresholds), ``ehr_auc_quantile`` (pixels, thresholds
at quantiles of the warm pixels) and ``ehr_auc_heat`` (the same, weighted by heat).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lucidray.metrics.localization import map_metric
from lucidray.metrics.localization_batch import MapBatch, MapOptions, make_batch, measure
from lucidray.records import Float64

#: InputIBA's constants: pixels below are cold, so many quantiles, the last cut is under the top.
_BASE, _QUANTILES, _CEILING = 0.1, np.linspace(0, 1, 11), 0.99


@dataclass(frozen=True)
class HeatRatioCurve:
    """The effective heat ratio at each threshold.

    Args:
        thresholds: float64 ``(K,)``, on the scaled map.
        ratios: float64 ``(N, K)``; nan where undefined.
        chance: float64 ``(N,)``, the ratio of a uniform map: the mask's share of the image.
    """

    thresholds: Float64
    ratios: Float64
    chance: Float64


def area_work(batch: MapBatch, options: MapOptions) -> Float64:
    """Return the area under the curve of pixel ratios at equidistant thresholds."""
    thresholds = np.linspace(0, 1, options.steps)
    return np.asarray(np.trapezoid(_ratios(batch, thresholds), thresholds, axis=1))


def quantile_work(batch: MapBatch, _: MapOptions) -> Float64:
    """Return the area under the curve of pixel ratios at quantiles of the warm pixels."""
    return _by_quantile(batch, weighted=False)


def heat_work(batch: MapBatch, _: MapOptions) -> Float64:
    """Return the area under the curve of heat ratios at quantiles of the warm pixels."""
    return _by_quantile(batch, weighted=True)


def _ratios(batch: MapBatch, thresholds: Float64) -> Float64:
    inside, every = batch.above(thresholds, strictly=False)
    found = np.full(every.shape, np.nan)
    hot = batch.evidence[:, None] & (every > 0)
    return np.asarray(np.divide(inside, every, out=found, where=hot))


def _by_quantile(batch: MapBatch, *, weighted: bool) -> Float64:
    pairs = zip(batch.scaled(batch.inside), batch.scaled(batch.ordered), strict=True)
    areas = [_quantile_area(a, b, weighted) if b[-1] > 0 else np.nan for a, b in pairs]
    return np.array(areas)


def _quantile_area(inside: Any, ordered: Any, weighted: bool) -> float:
    """Integrate over quantiles, from values in rising order on the scaled map."""
    warm = ordered[np.searchsorted(ordered, ordered.dtype.type(_BASE)) :].astype(np.float64)
    place = _QUANTILES * (len(warm) - 1)
    low = np.floor(place).astype(np.intp)
    step = warm[np.minimum(low + 1, len(warm) - 1)] - warm[low]
    cuts = np.minimum(warm[low] + step * (place - low), warm[-1] * _CEILING)
    hot = inside[np.searchsorted(inside, ordered.dtype.type(_BASE)) :].astype(np.float64)
    first = np.searchsorted(hot, cuts)
    gain = np.cumsum(hot[::-1]) if weighted else np.arange(1, len(hot) + 1)
    found = np.concatenate([[0], gain])[len(hot) - first]
    called = len(warm) - np.searchsorted(warm, cuts)
    return float(np.trapezoid(found / called, _QUANTILES))


def heat_ratio_curve(
    maps: npt.ArrayLike, masks: npt.ArrayLike, *, steps: int = 101
) -> HeatRatioCurve:
    """Return the effective heat ratio of each map at equidistant thresholds.

    Args:
        maps: ``(N, H, W)``, raw; negative values count as 0, the maximum as 1.
        masks: Same shape, True inside.
        steps: Number of thresholds from 0 to 1, both included.

    Returns:
        Ratios |{S >= t} and G| / |{S >= t}|; at threshold 0 that of the whole image. Higher is
        better; nan without positive evidence, where the mask is empty or the map not finite.

    Source: Wollek et al., Radiology AI 5:e220187 (2023); Qiu et al., MLMI 2023.
    """
    batch = make_batch(maps, masks)
    thresholds = np.linspace(0, 1, MapOptions(steps=steps).steps)
    known = batch.finite & (batch.area > 0)
    ratios = np.where(known[:, None], _ratios(batch, thresholds), np.nan)
    share = np.where(batch.area > 0, batch.area / batch.maps.shape[1], np.nan)
    return HeatRatioCurve(thresholds, ratios, share)


@map_metric("ehr_auc", area_work, source="Qiu et al., MLMI 2023; equidistant thresholds")
def ehr_auc(maps: npt.ArrayLike, masks: npt.ArrayLike, *, steps: int = 101) -> Float64:
    """Return the area under the effective heat ratio over equidistant thresholds.

    Args:
        maps: ``(..., H, W)``, raw; negative values count as 0, the maximum as 1.
        masks: Same shape, True inside.
        steps: Number of thresholds from 0 to 1, both included; the source gives none. The first
            takes the whole image, so the best possible value is 1 - (1 - area) / (2 (steps - 1)).

    Returns:
        In [0, 1], higher is better; a uniform map scores the mask's share of the image, so print
        that beside it; nan without positive evidence, where the mask is empty or the map not
        finite.

    >>> ehr_auc([[1.0, 0.5], [0.0, -2.0]], [[True, False], [False, False]], steps=3)
    array(0.5625)
    """
    return measure(area_work, maps, masks, MapOptions(steps=steps))


@map_metric(
    "ehr_auc_quantile",
    quantile_work,
    source="Zhang et al., InputIBA, NeurIPS 2021, effective_heat_ratios.py, unweighted",
)
def ehr_auc_quantile(maps: npt.ArrayLike, masks: npt.ArrayLike) -> Float64:
    """Return the area under the effective heat ratio over quantiles of the warm pixels.

    Args:
        maps: ``(..., H, W)``, raw; negative values count as 0, the maximum as 1; what is then below
            0.1 is cold and not looked at.
        masks: Same shape, True inside.

    Returns:
        In [0, 1], higher is better; nan as in `ehr_auc`.

    Deviates: the map is scaled by its maximum and left unchanged, and counts of pixels are not
        raised by 1e-8; a map without positive evidence is nan, where the source fails.
    """
    return measure(quantile_work, maps, masks)


@map_metric(
    "ehr_auc_heat",
    heat_work,
    source="Zhang et al., InputIBA, NeurIPS 2021, effective_heat_ratios.py, weight_by_heat",
)
def ehr_auc_heat(maps: npt.ArrayLike, masks: npt.ArrayLike) -> Float64:
    """Return the quantile form of the effective heat ratio with pixels weighted by their heat.

    Args as in `ehr_auc_quantile`.

    Returns:
        In [0, 1], higher is better; nan as in `ehr_auc`. Heat is divided by a number of pixels, as
        in the source, so that even a map wholly inside scores below 1 unless it is flat.

    Deviates: as `ehr_auc_quantile`.
    """
    return measure(heat_work, maps, masks)
