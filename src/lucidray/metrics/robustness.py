"""Does a map stay where it is when nothing that matters changes? Noise, runs, views of one image.

`measure_sensitivity` adds noise too small to see; `measure_repeatability` compares runs that ought
to agree: seeds, architectures. `robustness_augmentation` turns and shifts the image a little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.agreement import agreement_table
from lucidray.metrics.catalog import NO_CHANCE, choose, metric, metrics
from lucidray.metrics.inputs import as_float, ratio
from lucidray.metrics.localization_table import MapTable, tabulate
from lucidray.metrics.resampling import Progress
from lucidray.records import Float32, Float64

#: Images ``(B, H, W)`` or ``(B, C, H, W)`` to raw maps ``(B, T, h, w)``.
Explain: TypeAlias = Callable[[Float32], npt.ArrayLike]


@dataclass(frozen=True)
class PerturbedMaps:
    """Maps of images, and of the same images with a little noise.

    Args:
        maps: float64 ``(N, T, h, w)``.
        perturbed: float64 ``(S, N, T, h, w)``.
        distances: float64 ``(S, N)``: Euclidean length of the noise added to each image.
    """

    maps: Float64
    perturbed: Float64
    distances: Float64

    def changes(self) -> Float64:
        """Return how far each map moved, Euclidean, ``(S, N, T)``; nan where not finite."""
        moved = (self.perturbed - self.maps).reshape(*self.perturbed.shape[:3], -1)
        with np.errstate(invalid="ignore"):
            return _finite(np.sqrt((moved**2).sum(axis=-1)))

    def lengths(self) -> Float64:
        """Return the Euclidean length of each map, ``(N, T)``; nan where not finite."""
        with np.errstate(invalid="ignore"):
            return _finite(np.sqrt((self.maps**2).sum(axis=(-2, -1))))


def _finite(values: Float64) -> Float64:
    return np.where(np.isfinite(values), values, np.nan)


_YEH = "Yeh et al., On the (In)fidelity and Sensitivity of Explanations, NeurIPS 2019"


@metric(
    "max_sensitivity",
    source=_YEH,
    needs="perturbed_maps",
    higher_is_better=False,
    bounds=(0.0, np.inf),
    chance=NO_CHANCE,
)
def max_sensitivity(runs: PerturbedMaps) -> Float64:
    """Return how far a map moves at most, as a share of its own length.

    Args:
        runs: Maps with and without noise.

    Returns:
        ``(N, T)``; lower is steadier; nan where a map is zero throughout or one is not finite.

    Source: Yeh et al., NeurIPS 2019, definition 2.

    Deviates: divided by the map's length, as Captum and Quantus do, so that maps of any scale
        compare; the maximum is over random samples, so it is a lower bound of the true one.
    """
    return ratio(runs.changes().max(axis=0), runs.lengths())


@metric(
    "mean_sensitivity",
    source=_YEH,
    needs="perturbed_maps",
    higher_is_better=False,
    bounds=(0.0, np.inf),
    chance=NO_CHANCE,
)
def mean_sensitivity(runs: PerturbedMaps) -> Float64:
    """Return how far a map moves on average, as a share of its own length.

    Args:
        runs: Maps with and without noise.

    Returns:
        ``(N, T)``; lower is steadier; nan as in `max_sensitivity`.

    Source: Yeh et al., NeurIPS 2019, with the mean in place of the maximum.
    """
    return ratio(runs.changes().mean(axis=0), runs.lengths())


@metric(
    "local_lipschitz",
    source="Alvarez-Melis & Jaakkola, On the Robustness of Interpretability Methods, 2018",
    needs="perturbed_maps",
    higher_is_better=False,
    bounds=(0.0, np.inf),
    chance=NO_CHANCE,
)
def local_lipschitz(runs: PerturbedMaps) -> Float64:
    """Return how far a map moves at most for each unit that the image moves.

    Args:
        runs: Maps with and without noise.

    Returns:
        ``(N, T)``; lower is steadier; it carries the map's unit, so compare within one method;
        nan where a map is not finite or the noise is zero.

    Source: Alvarez-Melis & Jaakkola, arXiv:1806.08049, equation 2.
    """
    return np.asarray(ratio(runs.changes(), runs.distances[..., None]).max(axis=0))


def perturbed_maps(
    explain: Explain,
    images: npt.ArrayLike,
    *,
    radius: float = 0.02,
    limits: tuple[float, float] | None = None,
    samples: int = 10,
    batch_size: int = 32,
    seed: int = 0,
    progress: Progress | None = None,
) -> PerturbedMaps:
    """Explain images with and without uniform noise.

    Args:
        explain: Images to raw maps ``(B, T, h, w)``.
        images: float32 ``(N, H, W)`` or ``(N, C, H, W)``, as `explain` takes them.
        radius: Largest change of a pixel, in the images' own unit.
        limits: Smallest and largest value that a pixel may take, ``(0, 1)`` for display
            intensities; noise is cut off there. None: no limit.
        samples: Number of noisy copies of each image.
        batch_size: How many images a call gets.
        seed: Same seed, same noise.
        progress: Called with images explained and in all, copies included.

    Raises:
        MetricError: A setting is out of range.
        ShapeError: Images or maps have another shape.
    """
    pixels = np.asarray(images, np.float32)
    if pixels.ndim not in (3, 4) or not pixels.size:
        raise ShapeError(f"images are {pixels.shape}; expected (N, H, W) or (N, C, H, W)")
    if not radius > 0 or samples < 1 or batch_size < 1:
        raise MetricError(
            f"radius {radius}, {samples} samples, batches of {batch_size}; all must be positive"
        )
    count, distances = len(pixels), np.zeros((samples + 1, len(pixels)))
    parts: list[Float64] = []
    for start in range(0, (samples + 1) * count, batch_size):
        rows = range(start, min(start + batch_size, (samples + 1) * count))
        batch = pixels[[row % count for row in rows]]
        for place, row in enumerate(rows):
            if row >= count:
                noise = np.random.default_rng([seed, row]).uniform(-radius, radius, batch.shape[1:])
                length = _add(noise, batch[place], limits)
                distances[row // count, row % count] = length
        parts.append(_explained(explain, batch))
        if progress is not None:
            progress(rows.stop, (samples + 1) * count)
    maps = np.concatenate(parts).reshape(samples + 1, count, *parts[0].shape[1:])
    return PerturbedMaps(maps[0], maps[1:], distances[1:])


def _add(noise: Float64, image: Float32, limits: tuple[float, float] | None) -> float:
    """Add noise in place; return the Euclidean length of what was added."""
    before = image.astype(np.float64)
    image += noise.astype(np.float32)
    if limits is not None:
        np.clip(image, *limits, out=image)
    return float(np.sqrt(((image - before) ** 2).sum()))


def measure_sensitivity(
    runs: PerturbedMaps,
    *,
    only: Sequence[str] | None = None,
    groups: npt.ArrayLike | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[MapTable, ...]:
    """Measure how much maps move under noise: one table for each of the T maps of an image.

    Args:
        runs: Maps with and without noise.
        only: Measures wanted; None: all.
        groups: ``(N,)`` patient of each image; None: each its own.
        n_boot: Number of bootstrap replicates over patients; 0: no intervals.
        seed: Same seed, same intervals.
        level: Coverage.

    Returns:
        Values by image and means with intervals. There is no chance level: a constant map is
        perfectly steady, so read it beside faithfulness and sanity.
    """
    names = choose(None if only is None else tuple(only), "perturbed_maps")
    found = {name: metrics[name](runs) for name in names}
    status = np.where(np.isnan(runs.lengths()), "not_finite", "ok")
    status[runs.lengths() == 0] = "no_order"
    return tuple(
        tabulate(
            {name: values[:, place] for name, values in found.items()},
            {},
            [str(state) for state in status[:, place]],
            groups=groups,
            n_boot=n_boot,
            seed=seed,
            level=level,
        )
        for place in range(runs.maps.shape[1])
    )


def measure_repeatability(
    runs: Mapping[str, npt.ArrayLike],
    *,
    groups: npt.ArrayLike | None = None,
    only: Sequence[str] | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> MapTable:
    """Measure how alike the maps of runs are that ought to agree.

    Runs of one architecture with several seeds give repeatability, several architectures
    reproducibility; `agreement.agreement_table` says which two differ.

    Args:
        runs: ``(N, H, W)`` of each run, raw, in the same order of images, on source pixels.
        groups: ``(N,)`` patient of each image; None: each its own.
        only: Measures of pairs of maps wanted; None: all.
        n_boot: Number of bootstrap replicates over patients; 0: no intervals.
        seed: Same seed, same intervals.
        level: Coverage.

    Returns:
        The mean over all pairs of runs, image by image, beside the baseline ``"others"``: one run's
        map with another run's of another patient; chance is its mean. A pair that cannot be
        compared is left out; nan where none can.

    Raises:
        MetricError: There are fewer than two runs.
        ShapeError: The runs differ in shape.

    Source: Arun et al., Radiol. Artif. Intell. 3:e200267 (2021).
    """
    if len(runs) < 2:
        raise MetricError(f"there are {len(runs)} runs; at least two are needed to compare")
    tables = list(agreement_table(runs, groups=groups, only=only, n_boot=0, seed=seed).values())
    names = list(tables[0].values)
    return with_chance(
        {name: mean_known([table.values[name] for table in tables]) for name in names},
        {name: mean_known([table.baselines["others"][name] for table in tables]) for name in names},
        worst_states([table.status for table in tables]),
        {"groups": groups, "n_boot": n_boot, "seed": seed, "level": level},
    )


def with_chance(
    values: Mapping[str, Float64],
    others: Mapping[str, Float64],
    status: Sequence[str],
    resampling: Mapping[str, Any],
) -> MapTable:
    """Return the table of values beside the baseline ``"others"``, whose means are its chance."""
    table = tabulate(values, {"others": others}, status, **resampling)
    measured = {
        name: replace(found, chance=table.chance["others", name].value)
        for name, found in table.measurements.items()
    }
    return replace(table, measurements=measured)


def mean_known(columns: Sequence[npt.ArrayLike]) -> Float64:
    """Return the mean of columns ``(N,)``, leaving out nan; nan where all are."""
    stack = np.stack([as_float(column, "values") for column in columns])
    known = ~np.isnan(stack)
    return ratio(np.where(known, stack, 0).sum(axis=0), known.sum(axis=0))


def worst_states(tables: Sequence[Sequence[str]]) -> list[str]:
    """Return of each image the first status that is not ``"ok"``."""
    columns = zip(*tables, strict=True)
    return [next((state for state in states if state != "ok"), "ok") for states in columns]


def _explained(explain: Explain, batch: Float32) -> Float64:
    maps = np.asarray(explain(batch), np.float64)
    if maps.ndim != 4 or len(maps) != len(batch):
        raise ShapeError(
            f"explaining {len(batch)} images gave {maps.shape}; expected (B, T, h, w), one map a "
            "finding"
        )
    return maps
