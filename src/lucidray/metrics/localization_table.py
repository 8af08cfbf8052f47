"""Values of many maps, image by image, and what they say together: means, intervals, chance.

Sampling error lives between patients: each interval is a bootstrap of patients, and a baseline is
drawn with the very same patients, so that the gain over it is paired.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lucidray.metrics.catalog import metrics
from lucidray.metrics.inputs import encode_groups, ratio
from lucidray.metrics.resampling import Estimate, Key, Panel, Progress, estimate
from lucidray.records import Float64, Measurement


@dataclass(frozen=True)
class MapTable:
    """Measures of N maps.

    Args:
        values: Each measure's values float64 ``(N,)``; nan = undefined.
        baselines: The same of the maps that know nothing, by their name; nan also where the value
            of the map itself is undefined, so that both rest on the same images.
        status: Of each map: ``"ok"``, or the first reason why a measure may be undefined.
        measurements: The mean of each measure over images with an interval over patients, the
            number of images it rests on and was undefined for; `chance` is the mean of the uniform
            map.
        chance: The means of the baselines, by (baseline, measure).
        gain: The mean paired difference between the maps and a baseline, by (baseline, measure).
    """

    values: Mapping[str, Float64]
    baselines: Mapping[str, Mapping[str, Float64]]
    status: tuple[str, ...]
    measurements: Mapping[str, Measurement]
    chance: Mapping[Key, Measurement]
    gain: Mapping[Key, Measurement]

    def counts(self) -> dict[str, int]:
        """Return how many maps have each status."""
        return dict(Counter(self.status))

    def columns(self) -> dict[str, Sequence[object]]:
        """Return the table by column, one entry an image, as ``pandas.DataFrame`` takes it."""
        found: dict[str, Sequence[object]] = {"status": list(self.status)}
        found |= {name: list(values) for name, values in self.values.items()}
        for baseline, values in self.baselines.items():
            found |= {f"{name}_{baseline}": list(column) for name, column in values.items()}
        return found


def tabulate(
    values: Mapping[str, Float64],
    baselines: Mapping[str, Mapping[str, Float64]],
    status: Sequence[str],
    *,
    groups: npt.ArrayLike | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    progress: Progress | None = None,
) -> MapTable:
    """Put values of maps and baselines together.

    Args:
        values: Each registered measure's values ``(N,)``.
        baselines: The same of the baselines, by their name.
        status: ``(N,)``.
        groups: ``(N,)`` patient of each image; None: each its own.
        n_boot: Number of bootstrap replicates; 0: no intervals.
        seed: Same seed, same intervals.
        level: Coverage of the intervals.
        progress: Called with replicates done and in all.
    """
    known = {
        name: {m: np.where(np.isnan(values[m]), np.nan, column) for m, column in found.items()}
        for name, found in baselines.items()
    }
    rows: dict[Key, Float64] = {("map", name): column for name, column in values.items()}
    for name, found in known.items():
        rows |= {(name, m): column for m, column in found.items()}
        rows |= {(f"gain {name}", m): values[m] - column for m, column in found.items()}
    cluster, clusters = encode_groups(groups, len(status))
    panel = mean_panel(rows, cluster, clusters)
    found_all = estimate(
        panel, max(clusters, 1), n_boot=n_boot, seed=seed, level=level, progress=progress
    )
    keys = [(name, m) for name, found in known.items() for m in found]
    return MapTable(
        dict(values),
        known,
        tuple(status),
        {m: _measurement(m, ("map", m), rows, found_all) for m in values},
        {key: _measurement(key[1], key, rows, found_all) for key in keys},
        {(b, m): _measurement(m, (f"gain {b}", m), rows, found_all) for b, m in keys},
    )


def mean_panel(rows: Mapping[Key, Float64], cluster: npt.NDArray[np.int64], clusters: int) -> Panel:
    """Return the panel of means over images, leaving out what is nan.

    Args:
        rows: Values ``(N,)`` by key.
        cluster: int ``(N,)``, the patient of each image.
        clusters: Number of patients.
    """
    size = max(clusters, 1)

    def by_patient(values: Float64) -> Float64:
        return np.bincount(cluster, weights=values, minlength=size).astype(np.float64)

    sums = {key: by_patient(np.nan_to_num(v)) for key, v in rows.items()}
    counts = {key: by_patient((~np.isnan(v)).astype(np.float64)) for key, v in rows.items()}
    keys = list(rows)
    top = np.array([sums[key] for key in keys]).reshape(len(keys), size)
    bottom = np.array([counts[key] for key in keys]).reshape(len(keys), size)

    def panel(weights: Float64) -> dict[Key, Float64]:
        means = ratio(top @ weights, bottom @ weights)
        return dict(zip(keys, means, strict=True))

    return panel


def _measurement(
    name: str, key: Key, rows: Mapping[Key, Float64], found: Mapping[Key, Estimate]
) -> Measurement:
    got, missing = found[key], int(np.isnan(rows[key]).sum())
    uniform = found.get(("uniform", name))
    chance = {"map": uniform.value if uniform else np.nan}.get(key[0], np.nan)
    if key[0].startswith("gain"):
        chance = 0.0
    return Measurement(
        name,
        got.value,
        metrics.entry(name).facts["higher_is_better"],
        got.low,
        got.high,
        count=len(rows[key]) - missing,
        chance=chance,
        undefined=missing,
    )
