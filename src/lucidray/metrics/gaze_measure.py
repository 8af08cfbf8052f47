"""Many maps measured at once against gaze, beside maps that know nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lucidray.errors import ShapeError
from lucidray.metrics.catalog import choose, metrics
from lucidray.metrics.chance import BASELINES, BaselineMap, Prior, baseline_maps, given_prior
from lucidray.metrics.gaze_batch import (
    GazeBatch,
    as_points,
    finished,
    fixation_map,
    make_gaze_batch,
    others_pixels,
    pixels_of,
)
from lucidray.metrics.inputs import Int, encode_groups
from lucidray.metrics.localization_batch import Count, Floating, as_maps
from lucidray.metrics.localization_table import MapTable, tabulate
from lucidray.metrics.resampling import Progress
from lucidray.records import Float64

_GRID = (64, 64)


@dataclass(frozen=True)
class _Gaze:
    """Fixations of one image, on its map's grid."""

    points: Float64
    durations: Float64
    shape: tuple[int, int]
    sigma: float

    def density(self) -> Float64:
        return fixation_map(self.points, self.shape, sigma_px=self.sigma, durations=self.durations)

    def on_grid(self) -> Float64:
        share = np.array(_GRID) / self.shape
        spread = (self.sigma * share[0], self.sigma * share[1])
        points = self.points * share[::-1]
        return fixation_map(points, _GRID, sigma_px=spread, durations=self.durations)


def measure_gaze(
    maps: Sequence[npt.ArrayLike],
    fixations: Sequence[npt.ArrayLike],
    *,
    sigma_px: float | Sequence[float],
    durations: Sequence[npt.ArrayLike] | None = None,
    groups: npt.ArrayLike | None = None,
    only: Sequence[str] | None = None,
    baselines: Sequence[str] = BASELINES,
    prior: npt.ArrayLike | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    progress: Progress | None = None,
) -> MapTable:
    """Measure the maps of one method against where people looked, beside chance.

    Args:
        maps: ``(H, W)`` of each image, raw and signed; also of different sizes.
        fixations: ``(n, 2)`` of each image: x and y in pixels of its map; empty: nobody looked.
        sigma_px: Standard deviation of the Gaussians, from `sigma_pixels`; one, or one an image.
        durations: ``(n,)`` of each image; None: all fixations alike.
        groups: ``(N,)`` patient of each image; None: each its own.
        only: Measures wanted; None: all.
        baselines: Among ``"uniform"``, ``"center"``, ``"prior"`` (the mean gaze on other patients).
        prior: ``(h, w)`` mean gaze from training data; None: that of the other patients here.
        n_boot: Number of bootstrap replicates over patients; 0: no intervals.
        seed: Same seed, same intervals.
        level: Coverage of the intervals.
        progress: Called with images done and in all.

    Returns:
        As `localization_measure.measure_localization`; the status of an image that nobody looked at
        is ``"no_fixations"``.

    Raises:
        ShapeError: The numbers of images differ.
    """
    names = choose(None if only is None else tuple(only), "maps_and_gaze", "maps_and_fixations")
    values = [as_maps(each) for each in maps]
    seen = _seen(values, fixations, durations, sigma_px)
    cluster, clusters = encode_groups(groups, len(seen))
    known = given_prior(prior) if prior is not None else _mean_gaze(seen, cluster, clusters)
    makers = baseline_maps(baselines, known)
    points, shapes = [gaze.points for gaze in seen], [gaze.shape for gaze in seen]
    others = others_pixels(points, shapes, cluster)
    found = _Collector(names, makers)
    for image, (one, gaze) in enumerate(zip(values, seen, strict=True)):
        found.add(image, one, gaze, others(image))
        if progress is not None:
            progress(image + 1, len(seen))
    columns = {of: {name: found.column(of, name) for name in names} for of in ("map", *makers)}
    return tabulate(
        columns.pop("map"),
        columns,
        found.status,
        groups=groups,
        n_boot=n_boot,
        seed=seed,
        level=level,
    )


@dataclass(frozen=True)
class _Collector:
    names: Sequence[str]
    baselines: Mapping[str, BaselineMap]
    values: dict[tuple[str, str], list[Float64]] = field(default_factory=dict)
    status: list[str] = field(default_factory=list)

    def add(self, image: int, values: Floating, gaze: _Gaze, others: Count) -> None:
        """Measure one map, and the baselines beside it."""
        density, hit = gaze.density()[None], pixels_of(gaze.points, gaze.shape)
        batch = make_gaze_batch(values[None], density, [hit], [others])
        self.status.append(_status(batch))
        self._measure("map", batch)
        for name, maker in self.baselines.items():
            made = maker(image, gaze.shape)[None]
            self._measure(name, make_gaze_batch(made, density, [hit], [others]))

    def _measure(self, of: str, batch: GazeBatch) -> None:
        for name in self.names:
            value = finished(metrics.entry(name).facts["work"], batch)
            self.values.setdefault((of, name), []).append(value)

    def column(self, of: str, name: str) -> Float64:
        """Return one measure of all maps, or of one baseline."""
        return np.concatenate([np.empty(0), *self.values.get((of, name), [])])


def _seen(
    maps: Sequence[Floating],
    fixations: Sequence[npt.ArrayLike],
    durations: Sequence[npt.ArrayLike] | None,
    sigma_px: float | Sequence[float],
) -> list[_Gaze]:
    spreads = np.broadcast_to(np.asarray(sigma_px, dtype=np.float64), (len(maps),))
    points = [as_points(each) for each in fixations]
    given: Iterable[npt.ArrayLike] = durations or [np.ones(len(each)) for each in points]
    times = [np.asarray(each, dtype=np.float64) for each in given]
    if not len(maps) == len(points) == len(times):
        raise ShapeError(
            f"{len(maps)} maps, fixations of {len(points)} images and durations of {len(times)}; "
            "give one entry an image in each"
        )
    for values in maps:
        if values.ndim != 2:
            raise ShapeError(f"a map is {values.shape}; expected (H, W)")
    rows = zip(maps, points, times, spreads, strict=True)
    return [_Gaze(p, t, (v.shape[0], v.shape[1]), float(s)) for v, p, t, s in rows]


def _mean_gaze(seen: Sequence[_Gaze], cluster: Int, clusters: int) -> Prior:
    sums = np.zeros((max(clusters, 1), *_GRID), np.float32)
    counts = np.zeros(max(clusters, 1), np.int64)
    for gaze, owner in zip(seen, cluster, strict=True):
        if len(gaze.points):
            sums[owner] += gaze.on_grid()
            counts[owner] += 1
    return Prior(sums, counts, cluster)


def _status(batch: GazeBatch) -> str:
    if batch.gaze is None or not batch.gaze.any():
        return "no_fixations"
    if not batch.finite[0]:
        return "not_finite"
    return "ok" if batch.maps.max() > 0 else "no_positive_evidence"
