"""Does a map depend on what the model has learned? Cascading randomization, and its verdict.

The model's layers are re-initialized from the head down, and after each step its maps are compared
with those of the trained model. A map that stays alike shows the image, not the model. The bar is
how alike the trained model's maps of *different* patients are: whoever knows no more than the
common look of maps reaches it. It says pass or fail and ranks nothing (Binder et al. 2023).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError, ShapeError, unknown_name
from lucidray.metrics.agreement import compare_maps, spearman_work, ssim_work
from lucidray.metrics.inputs import encode_groups
from lucidray.metrics.localization_batch import Floating, as_maps
from lucidray.metrics.localization_table import mean_panel
from lucidray.metrics.resampling import Estimate, Key, Progress, estimate
from lucidray.records import Float64, Measurement

Verdict = Literal["passes", "fails", "undecided", "undefined"]

#: How maps are compared: the measure, and whether signs are dropped first.
SIMILARITIES = {
    "rank_correlation": (spearman_work, False),
    "rank_correlation_absolute": (spearman_work, True),
    "map_ssim": (ssim_work, False),
    "map_ssim_absolute": (ssim_work, True),
}
_STRANGERS, _GAP = "\0strangers", "\0gap"


@dataclass(frozen=True)
class SanityResult:
    """How alike maps stay while a model is randomized.

    Args:
        cascade: Of each layer, from the head down, the mean similarity by its name, between the
            trained model's maps and those with everything down to that layer randomized.
        threshold: The mean similarity of the trained model's maps of different patients.
        gap: The last step's similarity less the threshold, paired by image, with its interval.
        verdicts: By similarity: ``"passes"`` where the whole interval of the gap lies below 0,
            ``"fails"`` where none of it does, else ``"undecided"``; ``"undefined"`` without maps
            that can be compared.
        rule: The similarity whose verdict counts.
    """

    cascade: Mapping[str, Mapping[str, Measurement]]
    threshold: Mapping[str, Measurement]
    gap: Mapping[str, Measurement]
    verdicts: Mapping[str, Verdict]
    rule: str

    @property
    def verdict(self) -> Verdict:
        """The verdict of the similarity that counts."""
        return self.verdicts[self.rule]

    @property
    def reason(self) -> str:
        """The verdict's reason in words, for a report."""
        last = list(self.cascade.values())[-1][self.rule]
        return (
            f"similarity {last} to the maps of the randomized model, "
            f"{self.threshold[self.rule]} between maps of different patients"
        )


def measure_randomization(
    maps: npt.ArrayLike,
    randomized: Mapping[str, npt.ArrayLike],
    *,
    groups: npt.ArrayLike | None = None,
    rule: str = "map_ssim",
    strangers: int = 5,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    progress: Progress | None = None,
) -> SanityResult:
    """Judge by cascading randomization whether maps depend on the model.

    Args:
        maps: ``(N, H, W)`` of the trained model, raw and signed, of one finding; more than 10
            pixels a side, so raw maps have to be brought to source pixels.
        randomized: The maps of the same images by layer, from the head down: each with that layer
            and all above it re-initialized (`explain.randomize`).
        groups: ``(N,)`` patient of each image; None: each its own.
        rule: The similarity whose verdict counts, one of `SIMILARITIES`: rank correlation of
            signed values or SSIM of positive parts, as maps are drawn, and either of absolute
            values.
        strangers: With how many maps of other patients each map is compared for the threshold.
        n_boot: Number of bootstrap replicates over patients, at least 1.
        seed: Same seed, same pairs and intervals.
        level: Coverage of the intervals.
        progress: Called with layers done and in all.

    Returns:
        Similarities by layer, the threshold and the verdict. A map that is constant, not finite or
        without positive evidence has no similarity: nan, left out and counted.

    Raises:
        UnknownNameError: No such similarity.
        ShapeError: The maps are not all ``(N, H, W)``, or too small.
        MetricError: Nothing was randomized, or a setting is out of range.

    Source: Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018; the threshold: Arun et
        al., Radiol. Artif. Intell. 3:e200267 (2021), who take 50 random pairs.

    Deviates: the threshold comes from pairs of different patients, several for each image, and its
        own sampling error counts; SSIM is of maps divided by their maximum.
    """
    if rule not in SIMILARITIES:
        raise unknown_name("similarity", rule, SIMILARITIES)
    if strangers < 1 or n_boot < 1 or not randomized:
        raise MetricError(
            f"{strangers} strangers, {n_boot} replicates and {len(randomized)} randomized layers; "
            "each must be at least 1"
        )
    trained = as_maps(maps)
    cluster, clusters = encode_groups(groups, len(trained))
    rows = _rows(trained, randomized, cluster, strangers, seed, progress)
    found = estimate(
        mean_panel(rows, cluster, clusters), clusters, n_boot=n_boot, seed=seed, level=level
    )
    return _result(list(randomized), rows, found, rule)


def _rows(
    trained: Floating,
    randomized: Mapping[str, npt.ArrayLike],
    cluster: npt.NDArray[np.int64],
    strangers: int,
    seed: int,
    progress: Progress | None,
) -> dict[Key, Float64]:
    rows: dict[Key, Float64] = {}
    for done, (layer, values) in enumerate(randomized.items(), start=1):
        other = as_maps(values)
        if trained.ndim != 3 or other.shape != trained.shape:
            raise ShapeError(
                f"maps are {trained.shape}, those after '{layer}' {other.shape}; "
                "both must be (N, H, W)"
            )
        rows |= {(layer, name): found for name, found in _similar(trained, other).items()}
        if progress is not None:
            progress(done, len(randomized))
    last = list(randomized)[-1]
    for name, bar in _between_patients(trained, cluster, strangers, seed).items():
        rows[_STRANGERS, name] = bar
        rows[_GAP, name] = rows[last, name] - bar
    return rows


def _similar(first: Floating, second: Floating) -> dict[str, Float64]:
    found = {}
    for name, (work, absolute) in SIMILARITIES.items():
        one, two = (np.abs(first), np.abs(second)) if absolute else (first, second)
        found[name] = compare_maps(work, one, two)
    return found


def _between_patients(
    maps: Floating, cluster: npt.NDArray[np.int64], strangers: int, seed: int
) -> dict[str, Float64]:
    """Return each map's mean similarity to maps of other patients; nan where there are none."""
    rng = np.random.default_rng(seed)
    drawn: list[dict[str, Float64]] = []
    for _ in range(strangers):
        partner = np.full(len(maps), -1)
        for image in range(len(maps)):
            possible = np.flatnonzero(cluster != cluster[image])
            if possible.size:
                partner[image] = rng.choice(possible)
        found = _similar(maps, maps[np.maximum(partner, 0)])
        drawn.append({name: np.where(partner < 0, np.nan, v) for name, v in found.items()})
    return {name: _mean_known(np.stack([d[name] for d in drawn])) for name in SIMILARITIES}


def _mean_known(values: Float64) -> Float64:
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis=0)
    count = known.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _result(
    layers: list[str], rows: Mapping[Key, Float64], found: Mapping[Key, Estimate], rule: str
) -> SanityResult:
    bars = {name: _measurement(name, _STRANGERS, rows, found, None) for name in SIMILARITIES}
    gaps = {name: _measurement(name, _GAP, rows, found, False, chance=0.0) for name in SIMILARITIES}
    cascade = {
        layer: {
            name: _measurement(name, layer, rows, found, False, chance=bars[name].value)
            for name in SIMILARITIES
        }
        for layer in layers
    }
    verdicts = {name: _verdict(gap) for name, gap in gaps.items()}
    return SanityResult(cascade, bars, gaps, verdicts, rule)


def _measurement(
    name: str,
    of: str,
    rows: Mapping[Key, Float64],
    found: Mapping[Key, Estimate],
    better: bool | None,
    **more: Any,
) -> Measurement:
    values, got = rows[of, name], found[of, name]
    missing = int(np.isnan(values).sum())
    return Measurement(
        name,
        got.value,
        better,
        got.low,
        got.high,
        count=len(values) - missing,
        undefined=missing,
        **more,
    )


def _verdict(gap: Measurement) -> Verdict:
    if np.isnan(gap.value) or np.isnan(gap.low):
        return "undefined"
    if gap.high < 0:
        return "passes"
    return "fails" if gap.low >= 0 else "undecided"
