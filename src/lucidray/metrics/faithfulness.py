"""Does the model's answer hang on what the map calls important? Deletion, insertion, ROAD.

Deleting: the answer should fall soon. Inserting, which is deleting the least important read
backward: it should rise soon. Each stands beside chance (random maps of the same grid) and beside
the inverted map, since a number by itself says more of the model than of the map.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError
from lucidray.metrics.catalog import ZERO, Chance, choose, metric, metrics
from lucidray.metrics.faithfulness_curves import (
    Predict,
    RemovalCurves,
    RemovalResult,
    removal_curves,
    select,
)
from lucidray.metrics.faithfulness_fill import Removal
from lucidray.metrics.localization_table import MapTable, tabulate
from lucidray.metrics.resampling import Progress
from lucidray.records import Float64

#: Of each fill, the measures that are usual with it.
USUAL = {
    "road": ("road_most_first", "road_least_first", "road_gap"),
    "other": (
        "deletion",
        "insertion",
        "deletion_normalized",
        "insertion_normalized",
        "faithfulness_gap",
    ),
}

_RANDOM = Chance("that of random maps of the same grid, measured", lambda _: float("nan"))
_RISE = "Petsiuk et al., RISE, BMVC 2018, section 4"
_ROAD = "Rong et al., ICML 2022"
_EFFECT = 0.01


def area(fractions: npt.ArrayLike, curves: npt.ArrayLike) -> Float64:
    """Return the mean height of curves ``(..., K)`` by the trapezoid rule; nan where a point is.

    >>> area([0, 0.5, 1], [1, 0.5, 0])
    array(0.5)
    """
    x, y = np.asarray(fractions, np.float64), np.asarray(curves, np.float64)
    return np.asarray(np.trapezoid(y, x, axis=-1) / (x[-1] - x[0]))


@metric("deletion", source=_RISE, needs="removal_curves", higher_is_better=False, chance=_RANDOM)
def deletion(curves: RemovalCurves) -> Float64:
    """Return the area under the answer while the most important pixels are removed first.

    Args:
        curves: What the model says by the share removed.

    Returns:
        ``(N, T)``; lower is better; nan where the map has no order.

    Source: Petsiuk et al., RISE, BMVC 2018.

    Deviates: steps are shares of the image, not 224 pixels; the target stays fixed; raw signed
        maps are ordered; see `Removal` for what removed pixels become.
    """
    return area(curves.fractions, curves.most_first)


@metric("insertion", source=_RISE, needs="removal_curves", chance=_RANDOM)
def insertion(curves: RemovalCurves) -> Float64:
    """Return the area under the answer while the most important pixels are put in first.

    To put in the first tenth is to have removed the last nine: the curve is that of removing the
    least important first, read backward, on the same fill.

    Args:
        curves: What the model says by the share removed.

    Returns:
        ``(N, T)``; higher is better; nan where the map has no order.

    Source: Petsiuk et al., RISE, BMVC 2018 (there with a blur).

    Deviates: as `deletion`.
    """
    return area(curves.fractions, curves.least_first)


@metric(
    "deletion_normalized",
    source="Schulz et al., ICLR 2020, section 4.4",
    needs="removal_curves",
    higher_is_better=False,
    bounds=(-np.inf, np.inf),
    chance=_RANDOM,
)
def deletion_normalized(curves: RemovalCurves) -> Float64:
    """Return `deletion` with the whole image's answer at 1 and the emptied image's at 0.

    Args:
        curves: What the model says by the share removed.

    Returns:
        ``(N, T)``; lower is better; nan where the map has no order or where emptying the image does
        not lower the answer by 0.01: then there is nothing to explain.

    Source: Schulz et al., Restricting the Flow, ICLR 2020.
    """
    return area(curves.fractions, _normalized(curves.most_first))


@metric(
    "insertion_normalized",
    source="Schulz et al., ICLR 2020, section 4.4",
    needs="removal_curves",
    bounds=(-np.inf, np.inf),
    chance=_RANDOM,
)
def insertion_normalized(curves: RemovalCurves) -> Float64:
    """Return `insertion` with the whole image's answer at 1 and the emptied image's at 0.

    Args:
        curves: What the model says by the share removed.

    Returns:
        ``(N, T)``; higher is better; nan as in `deletion_normalized`.

    Source: Schulz et al., Restricting the Flow, ICLR 2020.
    """
    return area(curves.fractions, _normalized(curves.least_first))


@metric(
    "faithfulness_gap",
    source="Schulz et al., ICLR 2020, section 4.4 (degradation score)",
    needs="removal_curves",
    bounds=(-1.0, 1.0),
    chance=ZERO,
)
def faithfulness_gap(curves: RemovalCurves) -> Float64:
    """Return `insertion` less `deletion` on one fill: the map against its own inverse.

    Args:
        curves: What the model says by the share removed.

    Returns:
        ``(N, T)``; higher is better, 0 is chance, the inverted map has the same with a minus;
        nan where the map has no order.

    Source: Schulz et al., Restricting the Flow, ICLR 2020.

    Deviates: not normalized, so that it is defined for every map with an order.
    """
    return area(curves.fractions, curves.least_first - curves.most_first)


@metric(
    "road_most_first", source=_ROAD, needs="removal_curves", higher_is_better=False, chance=_RANDOM
)
def road_most_first(curves: RemovalCurves) -> Float64:
    """Return the mean answer while the most important pixels are imputed first (ROAD, MoRF).

    Args:
        curves: What the model says by the share removed, with the fill ``"road"``.

    Returns:
        ``(N, T)``; lower is better; nan where the map has no order.

    Source: Rong et al., ICML 2022.

    Deviates: the target's probability instead of accuracy, so that it is defined by image.
    """
    return area(curves.fractions, curves.most_first)


@metric("road_least_first", source=_ROAD, needs="removal_curves", chance=_RANDOM)
def road_least_first(curves: RemovalCurves) -> Float64:
    """Return the mean answer while the least important pixels are imputed first (ROAD, LeRF).

    Args:
        curves: What the model says by the share removed, with the fill ``"road"``.

    Returns:
        ``(N, T)``; higher is better; nan where the map has no order.

    Source: Rong et al., ICML 2022.

    Deviates: as `road_most_first`.
    """
    return area(curves.fractions, curves.least_first)


@metric("road_gap", source=_ROAD, needs="removal_curves", bounds=(-1.0, 1.0), chance=ZERO)
def road_gap(curves: RemovalCurves) -> Float64:
    """Return `road_least_first` less `road_most_first`.

    Args:
        curves: What the model says by the share removed, with the fill ``"road"``.

    Returns:
        ``(N, T)``; higher is better, 0 is chance; nan where the map has no order.

    Source: Rong et al., ICML 2022; twice pytorch-grad-cam's ``ROADCombined`` where that takes the
        same steps.
    """
    return area(curves.fractions, curves.least_first - curves.most_first)


@dataclass(frozen=True)
class FaithfulnessReport:
    """Faithfulness of the maps of N images.

    Args:
        tables: One a map of each image (a finding or a method): values, means with intervals,
            baselines ``"random"`` and ``"inverted"``; chance is the random one's mean.
        result: The curves they come from.
        scale: Whether they are of ``"probability"`` or ``"output"``.
    """

    tables: tuple[MapTable, ...]
    result: RemovalResult
    scale: str


def measure_faithfulness(
    predict: Predict,
    images: Iterable[npt.ArrayLike],
    maps: Iterable[npt.ArrayLike],
    *,
    targets: npt.ArrayLike | None = None,
    removal: Removal | None = None,
    scale: Literal["probability", "output"] = "probability",
    only: Iterable[str] | None = None,
    groups: npt.ArrayLike | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    progress: Progress | None = None,
) -> FaithfulnessReport:
    """Measure how much a model's answers hang on what maps call important.

    Args:
        predict: The model: images float32 ``(B, H, W)`` or ``(B, C, H, W)`` to outputs ``(B, F)``.
        images: Each image as `predict` takes it; preferably those that show the finding.
        maps: ``(T, h, w)`` of each image: T findings, or T methods.
        targets: The output that each map explains: ``(T,)`` or ``(N, T)``; None: output ``t``.
        removal: How pixels are removed.
        scale: Measure probabilities, or what the model returned (logits).
        only: Measures wanted; None: those usual for the fill, `USUAL`.
        groups: ``(N,)`` patient of each image; None: each its own.
        n_boot: Number of bootstrap replicates over patients; 0: no intervals.
        seed: Same seed, same intervals.
        level: Coverage.
        progress: Called with images done and in all (0: not known).

    Returns:
        Tables, one a map, and the curves. Undefined is nan and counted, never a score.

    Raises:
        ShapeError: Images, maps and targets do not fit.
        MetricError: A measure or setting is wrong.
    """
    how = removal or Removal()
    if scale not in ("probability", "output"):
        raise MetricError(f"scale is '{scale}'; choose 'probability' or 'output'")
    usual = USUAL["road" if how.fill == "road" else "other"]
    names = choose(usual if only is None else tuple(only), "removal_curves")
    if how.fill == "road" and any(name.endswith("_normalized") for name in names):
        raise MetricError("ROAD empties no image, so nothing can be normalized; choose another")
    result = removal_curves(predict, images, maps, targets=targets, removal=how, progress=progress)
    curves = result.probability if scale == "probability" else result.output
    resampling = {"groups": groups, "n_boot": n_boot, "seed": seed, "level": level}
    tables = [
        _table(select(curves, place), names, how, resampling)
        for place in range(curves.status.shape[1])
    ]
    return FaithfulnessReport(tuple(tables), result, scale)


def _table(
    curves: RemovalCurves, names: list[str], how: Removal, resampling: Mapping[str, Any]
) -> MapTable:
    inverted = replace(curves, most_first=curves.least_first, least_first=curves.most_first)
    others = {"inverted": inverted}
    if how.random_orders:
        others["random"] = replace(curves, most_first=curves.random, least_first=curves.random)
    values = _values(curves, names)
    beside = {name: _values(found, names) for name, found in others.items()}
    table = tabulate(values, beside, [str(s) for s in curves.status[:, 0]], **resampling)
    if not how.random_orders:
        return table
    measured = {
        name: replace(found, chance=table.chance["random", name].value)
        for name, found in table.measurements.items()
    }
    return replace(table, measurements=measured)


def _values(curves: RemovalCurves, names: list[str]) -> dict[str, Float64]:
    return {name: metrics[name](curves)[:, 0] for name in names}


def _normalized(curves: Float64) -> Float64:
    whole, empty = curves[..., :1], curves[..., -1:]
    effect = whole - empty
    known = np.asarray(effect) >= _EFFECT
    found = np.full(curves.shape, np.nan)
    np.divide(curves - empty, effect, out=found, where=known)
    return found
