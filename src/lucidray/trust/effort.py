"""How much is spent on a trust report, and what the costly methods are cut down to.

The defaults are chosen for 200 films of one finding, six methods and a DenseNet-121 on two idle
cores in twenty minutes. Only the place of the heat is measured on every film; what needs many
passes of the network is measured on a part of them, drawn at random by a fixed seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lucidray.config import STRICT
from lucidray.errors import ConfigError
from lucidray.metrics.faithfulness_fill import FillName

#: Options of methods that would take most of the time with their own defaults.
THRIFTY: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "integrated_gradients": {"steps": 8},
        "occlusion": {"cells": 7, "window": 2},
        "rise": {"samples": 200},
        "score_cam": {"channels": 64},
        "smooth_grad": {"samples": 8},
    }
)

#: Measured unless others are named; those that cannot explain a model are left out, saying so.
METHODS = (
    "grad_cam",
    "grad_cam_plus_plus",
    "layer_cam",
    "eigen_cam",
    "guided_backprop",
    "integrated_gradients",
)


@dataclass(frozen=True)
class Effort:
    """How many films and steps each aspect gets, of each finding.

    Args:
        images: Films, all of them explained by every method and measured for place.
        removal_images: Films of deletion and insertion.
        removal_steps: Steps until all is removed.
        fill: What removed pixels become; ``"blur"`` adds no edges of its own.
        road_images: Films of ROAD.
        road_steps: Its steps; the last, an empty film, is not measured.
        random_orders: Random maps that say what chance is.
        sanity_images: Films that are explained by a network that forgets.
        sanity_steps: In how many steps it forgets all.
        noise_images: Films that get a little noise.
        noise_samples: Noisy copies of each.
        noise_radius: Largest change of a pixel, of a display range of 1.
        moved_images: Films that are turned and shifted a little.
        moves: Moved copies of each.
        cases: Best and worst films that are shown, of each.
        grid: Longer side, in pixels, of the grid on which place is measured: the film's own
            pixels, made coarser.
        n_boot: Bootstrap replicates over patients.
        seed: Same seed, same films, noise and intervals.
    """

    __pydantic_config__ = STRICT

    images: int = 200
    removal_images: int = 40
    removal_steps: int = 8
    fill: FillName = "blur"
    road_images: int = 20
    road_steps: int = 5
    random_orders: int = 2
    sanity_images: int = 20
    sanity_steps: int = 3
    noise_images: int = 12
    noise_samples: int = 3
    noise_radius: float = 0.02
    moved_images: int = 12
    moves: int = 2
    cases: int = 2
    grid: int = 256
    n_boot: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        counts = {name: value for name, value in vars(self).items() if isinstance(value, int)}
        for name, value in counts.items():
            least = _LEAST.get(name, 0)
            if value < least:
                raise ConfigError(f"{name} is {value}; expected a whole number from {least} on.")
        if not 0 < self.noise_radius <= 1:
            raise ConfigError(f"noise_radius is {self.noise_radius}; expected above 0, at most 1.")


_LEAST = {
    "images": 1,
    "removal_steps": 2,
    "road_steps": 3,
    "random_orders": 1,
    "sanity_steps": 1,
    "noise_samples": 1,
    "moves": 1,
    "grid": 32,
    "n_boot": 100,
}
