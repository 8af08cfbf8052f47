"""Each aspect of a method's maps, from the measures of `lucidray.metrics`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lucidray.images.geometry import heatmap_to_source, scaling
from lucidray.images.resample import resample
from lucidray.metrics import gini_sparseness, measure_localization
from lucidray.metrics.agreement import agreement_table
from lucidray.metrics.faithfulness import measure_faithfulness
from lucidray.metrics.faithfulness_fill import Removal
from lucidray.metrics.localization_table import MapTable, tabulate
from lucidray.metrics.resampling import Progress
from lucidray.metrics.robustness import measure_sensitivity, perturbed_maps
from lucidray.metrics.robustness_augmentation import augmentations, measure_augmentation
from lucidray.metrics.sanity import measure_randomization
from lucidray.records import Bool, Float32
from lucidray.trust.effort import Effort
from lucidray.trust.films import Frame
from lucidray.trust.result import Aspect
from lucidray.trust.store import Store
from lucidray.trust.subject import Subject

#: Measures of place, in the order of the page.
PLACE = (
    *("map_iou", "pointing_game", "energy_inside", "pixel_auprc"),
    *("box_iou", "box_hit_10", "box_hit_30", "box_hit_50"),
)
TAG = ("energy_inside", "pointing_game")
ALIKE = ("map_ssim", "rank_correlation")

#: Side of the grid on which maps are compared with each other.
COMPARED = 112

NO_MARKS = "not measured: nobody has marked the place"
NO_LUNGS = "not measured: no lung outlines"
NO_NETWORK = "not measured: needs the run"


def as_aspect(table: MapTable, **more: Any) -> Aspect:
    """Return a table's means without its single films."""
    chance: dict[str, dict[str, Any]] = {}
    gain: dict[str, dict[str, Any]] = {}
    for (baseline, name), found in table.chance.items():
        chance.setdefault(name, {})[baseline] = found
    for (baseline, name), found in table.gain.items():
        gain.setdefault(name, {})[baseline] = found
    return Aspect(dict(table.measurements), chance, gain, table.counts(), **more)


def maps_on_film(maps: Store, frames: Sequence[Frame], places: Sequence[int]) -> Iterator[Float32]:
    """Yield raw maps, carried to the small grids of their films."""
    for at in places:
        raw = maps[at]
        if np.isfinite(raw).all():
            yield heatmap_to_source(raw, frames[at].way)
        else:
            yield np.full(frames[at].shape, np.nan, np.float32)


def measure_place(
    maps: Store, frames: Sequence[Frame], options: Mapping[str, Any]
) -> tuple[MapTable | None, list[int]]:
    """Measure maps against the true place.

    Returns:
        The table and the films it rests on; None where no film is marked.
    """
    places = [at for at, frame in enumerate(frames) if frame.mask is not None]
    if not places:
        return None, []
    masks = [_known(frames[at].mask) for at in places]
    boxes = [frames[at].boxes for at in places]
    table = measure_localization(
        maps_on_film(maps, frames, places),
        masks=masks,
        boxes=None if any(each is None for each in boxes) else [b for b in boxes if b is not None],
        only=PLACE,
        groups=_patients(frames, places),
        baselines=_baselines(frames, places),
        **options,
    )
    return table, places


def measure_tag(maps: Store, frames: Sequence[Frame], options: Mapping[str, Any]) -> Aspect:
    """Measure how much heat falls on the planted tag."""
    places = [at for at, frame in enumerate(frames) if frame.tag is not None]
    if not places:
        return Aspect(missing="not measured: no tag is planted")
    table = measure_localization(
        maps_on_film(maps, frames, places),
        masks=[_known(frames[at].tag) for at in places],
        only=TAG,
        groups=_patients(frames, places),
        baselines=("uniform", "center"),
        **options,
    )
    return as_aspect(table)


def measure_lungs(
    maps: Store, frames: Sequence[Frame], options: Mapping[str, Any]
) -> tuple[MapTable | None, list[int]]:
    """Measure the share of heat outside the lungs; None where no outline is known."""
    places = [at for at, frame in enumerate(frames) if frame.lungs is not None]
    if not places:
        return None, []
    lungs = [_known(frames[at].lungs) for at in places]
    table = measure_localization(
        maps_on_film(maps, frames, places),
        masks=lungs,
        lungs=lungs,
        only=("outside_lungs",),
        groups=_patients(frames, places),
        baselines=("uniform", "center"),
        **options,
    )
    return table, places


def measure_sparseness(maps: Store, frames: Sequence[Frame], options: Mapping[str, Any]) -> Aspect:
    """Measure how concentrated raw maps are."""
    values = np.array([float(gini_sparseness(maps[at])) for at in range(len(maps))])
    status = ["ok" if np.isfinite(value) else "no_order" for value in values]
    groups = _patients(frames, range(len(maps)))
    return as_aspect(tabulate({"gini_sparseness": values}, {}, status, groups=groups, **options))


def measure_removal(
    subject: Subject,
    squares: Store,
    maps: Mapping[str, Store],
    target: int,
    frames: Sequence[Frame],
    removal: Removal,
    *,
    count: int,
    options: Mapping[str, Any],
    progress: Progress | None = None,
) -> dict[str, Aspect]:
    """Measure what the answer does while what maps mark is removed.

    Methods whose maps have one resolution share forward passes and their random maps.

    Returns:
        An aspect by method.
    """
    count = min(count, len(squares))
    if not count:
        return dict.fromkeys(maps, Aspect(missing="not measured: no films for it"))
    found: dict[str, Aspect] = {}
    shapes = sorted({store.shape for store in maps.values()})
    for number, shape in enumerate(shapes):
        names = [name for name, store in maps.items() if store.shape == shape]
        report = measure_faithfulness(
            subject.predict,
            (squares[at] for at in range(count)),
            (np.stack([maps[name][at] for name in names]) for at in range(count)),
            targets=np.full(len(names), target),
            removal=removal,
            groups=_patients(frames, range(count)),
            progress=_part(progress, number, len(shapes), count),
            **options,
        )
        found |= {name: as_aspect(table) for name, table in zip(names, report.tables, strict=True)}
    return found


def measure_sanity(
    subject: Subject,
    squares: Store,
    maps: Mapping[str, Store],
    finding: str,
    frames: Sequence[Frame],
    effort: Effort,
    *,
    progress: Progress | None = None,
) -> dict[str, Aspect]:
    """Judge each method by cascading randomization of the network."""
    count = min(effort.sanity_images, len(squares))
    steps = None
    if count:
        steps = subject.randomized(
            squares.first(count), finding, list(maps), effort.sanity_steps, effort.seed
        )
    if steps is None:
        return dict.fromkeys(maps, Aspect(missing=NO_NETWORK if count else "not asked for"))
    random: dict[str, dict[str, Float32]] = {name: {} for name in maps}
    for done, (layer, found) in enumerate(steps, start=1):
        for name, values in found.items():
            random[name][layer] = compared(values)
        if progress is not None:
            progress(done, effort.sanity_steps)
    groups = _patients(frames, range(count))
    return {
        name: _sane(compared(store.first(count)), random[name], groups, effort)
        for name, store in maps.items()
    }


def _sane(
    trained: Float32, random: Mapping[str, Float32], groups: list[str], effort: Effort
) -> Aspect:
    result = measure_randomization(
        trained, random, groups=groups, n_boot=effort.n_boot, seed=effort.seed
    )
    last = list(result.cascade.values())[-1]
    names = (*ALIKE, "rank_correlation_absolute")
    return Aspect(
        {name: last[name] for name in names},
        {name: {"others": result.threshold[name]} for name in names},
        {name: {"others": result.gap[name]} for name in names},
        outcome=result.verdict,
        reason=result.reason,
    )


def measure_noise(
    subject: Subject, squares: Float32, finding: str, method: str, groups: list[str], effort: Effort
) -> Aspect:
    """Measure how far maps move under noise that nobody sees."""
    if not len(squares):
        return Aspect(missing="not asked for")
    runs = perturbed_maps(
        _explain(subject, finding, method),
        squares,
        radius=effort.noise_radius,
        samples=effort.noise_samples,
        seed=effort.seed,
    )
    names = ("max_sensitivity", "mean_sensitivity")
    tables = measure_sensitivity(
        runs, only=names, groups=groups, n_boot=effort.n_boot, seed=effort.seed
    )
    return as_aspect(tables[0])


def measure_moves(
    subject: Subject, squares: Float32, finding: str, method: str, groups: list[str], effort: Effort
) -> Aspect:
    """Measure how alike maps stay when the film is turned and shifted a little."""
    if not len(squares):
        return Aspect(missing="not asked for")
    shape = (squares.shape[1], squares.shape[2])
    ways = augmentations(shape, effort.moves, seed=effort.seed)
    tables = measure_augmentation(
        _explain(subject, finding, method),
        list(squares),
        ways,
        only=ALIKE,
        groups=groups,
        n_boot=effort.n_boot,
        seed=effort.seed,
    )
    return as_aspect(tables[0])


def measure_agreement(
    maps: Mapping[str, Store], frames: Sequence[Frame], effort: Effort
) -> dict[str, Aspect]:
    """Measure how alike the maps of every two methods are, beside those of other patients."""
    count = min(effort.removal_images, len(frames))
    if len(maps) < 2 or not count:
        return {}
    tables = agreement_table(
        {name: compared(store.first(count)) for name, store in maps.items()},
        groups=_patients(frames, range(count)),
        only=(*ALIKE, "top_overlap"),
        n_boot=effort.n_boot,
        seed=effort.seed,
    )
    return {f"{one} ~ {two}": as_aspect(table) for (one, two), table in tables.items()}


def compared(maps: Float32) -> Float32:
    """Bring maps ``(N, h, w)`` to the grid on which they are compared."""
    return np.stack([_compared(each) for each in maps])


def _compared(raw: Float32) -> Float32:
    shape = (COMPARED, COMPARED)
    if not np.isfinite(raw).all():
        return np.full(shape, np.nan, np.float32)
    if raw.shape[0] > COMPARED or raw.shape[1] > COMPARED:
        return resample(raw, shape)
    return heatmap_to_source(raw, scaling(shape, (raw.shape[0], raw.shape[1])))


def _explain(subject: Subject, finding: str, method: str) -> Callable[[Float32], Float32]:
    return lambda squares: subject.explain(squares, finding, method)[:, None]


def _baselines(frames: Sequence[Frame], places: Sequence[int]) -> tuple[str, ...]:
    """Return the maps that know nothing; the usual place needs several patients."""
    several = len(set(_patients(frames, places))) > 1
    return ("uniform", "center", "prior") if several else ("uniform", "center")


def _patients(frames: Sequence[Frame], places: Sequence[int] | range) -> list[str]:
    return [frames[at].film.patient for at in places]


def _known(mask: Bool | None) -> Bool:
    return np.zeros((1, 1), bool) if mask is None else mask


def _part(
    progress: Progress | None, number: int, parts: int, count: int
) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, _: progress(number * count + done, parts * count)
