"""The table of measures: what each needs, which way is better, what a guess would score.

Documentation tables, JSON and contract tests are read from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lucidray.errors import MetricError
from lucidray.records import Float64, Measurement
from lucidray.registry import Registry

#: What a measure of classification is computed from: one confusion matrix at a threshold (binary
#: or K x K), scores in any unit, probabilities of a finding, probabilities of K classes. And what
#: a measure of heat maps is computed from: maps with masks, with lungs, with the density or the
#: points of gaze; maps alone; pairs of maps; scored boxes; what the model says while pixels go;
#: maps of an image and of its perturbations. And of segmentation: counts of pixels, distances of
#: borders.
Needs = Literal[
    "counts",
    "matrix",
    "scores",
    "probabilities",
    "class_probabilities",
    "mask_counts",
    "mask_borders",
    "maps_and_masks",
    "maps_and_lungs",
    "maps_and_gaze",
    "maps_and_fixations",
    "maps",
    "map_pairs",
    "scored_boxes",
    "removal_curves",
    "perturbed_maps",
]

metrics: Registry[Callable[..., Any]] = Registry("metric")


@dataclass(frozen=True)
class Chance:
    """What an uninformed guess would score.

    Args:
        text: In words, for tables.
        value: The number, from the shares ``(K,)`` of the classes (negative, positive for one
            finding).
    """

    text: str
    value: Callable[[Float64], float]


def entropy(shares: Float64) -> float:
    """Return the entropy in nats of class shares ``(K,)`` that sum to one."""
    kept = shares[shares > 0]
    return float(-(kept * np.log(kept)).sum()) if kept.size else float("nan")


NO_CHANCE = Chance("depends on the threshold", lambda _: float("nan"))
ZERO = Chance("0", lambda _: 0.0)
HALF = Chance("0.5", lambda _: 0.5)
PREVALENCE = Chance("prevalence", lambda shares: float(shares[-1]))
AREA = Chance("share of the image inside the mask", lambda shares: float(shares[-1]))


def metric(
    name: str,
    *,
    source: str,
    needs: Needs,
    higher_is_better: bool = True,
    bounds: tuple[float, float] = (0.0, 1.0),
    chance: Chance = NO_CHANCE,
    **facts: Any,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that registers a measure with what is needed to read it rightly.

    Args:
        name: The name in tables and JSON.
        source: The paper or standard text that defines it.
        needs: What it is computed from.
        higher_is_better: Its direction.
        bounds: The smallest and largest possible value.
        chance: What an uninformed guess would score.
        facts: Further properties, for example ``denominator`` of a proportion.
    """
    return metrics.register(
        name,
        source=source,
        needs=needs,
        higher_is_better=higher_is_better,
        bounds=bounds,
        chance=chance,
        **facts,
    )


def names_of(*needs: Needs) -> list[str]:
    """Return the names of the registered measures that need one of these."""
    return [entry.name for entry in metrics.entries() if entry.facts.get("needs") in needs]


def choose(only: list[str] | tuple[str, ...] | None, *needs: Needs) -> list[str]:
    """Return the chosen measures among those that need one of these; None: all.

    Raises:
        UnknownNameError: A name is not registered.
        MetricError: A registered measure does not fit here.
    """
    possible = names_of(*needs)
    for name in only or ():
        if metrics.entry(name).name not in possible:
            raise MetricError(f"'{name}' does not fit here; choose from {', '.join(possible)}")
    return possible if only is None else list(only)


def as_measurement(name: str, value: float, shares: Float64, **rest: Any) -> Measurement:
    """Return a value as a `Measurement` with direction and chance from its registry entry.

    Args:
        name: A registered measure.
        value: The number; nan = undefined.
        shares: Shares ``(K,)`` of the classes, from which chance follows.
        rest: Further fields of `Measurement`.
    """
    facts = metrics.entry(name).facts
    fields = {"chance": facts["chance"].value(shares), **rest}
    return Measurement(name, float(value), facts["higher_is_better"], **fields)
