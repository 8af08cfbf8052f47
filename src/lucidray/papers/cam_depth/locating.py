"""How well each network's maps lie on the pneumothorax, beside chance, image by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lucidray.metrics import MapOptions, heat_ratio_curve, measure_localization
from lucidray.metrics.chance import BASELINES
from lucidray.metrics.inputs import encode_groups
from lucidray.metrics.localization_table import mean_panel
from lucidray.metrics.resampling import Estimate, Key, estimate
from lucidray.papers.cam_depth.protocol import Settings
from lucidray.records import Bool, Float32, Float64

DIFFERENCE, EHR = "inside_outside_difference", "ehr_auc"

#: Measures that do not depend on how a map is scaled.
SCALE_FREE = ("pixel_auroc", "energy_inside", "pointing_game")
MEASURES = (DIFFERENCE, EHR, *SCALE_FREE)


@dataclass(frozen=True)
class Maps:
    """Measures of one network's and seed's maps.

    Args:
        values: Measure → float64 ``(P,)``; nan = undefined.
        chance: Baseline → measure → float64 ``(P,)``, whether the map is defined or not.
        curve: float64 ``(K,)``, mean effective heat ratio at each threshold.
        thresholds: float64 ``(K,)``.
        undefined: How many images have an empty map or an empty mask.
    """

    values: Mapping[str, Float64]
    chance: Mapping[str, Mapping[str, Float64]]
    curve: Float64
    thresholds: Float64
    undefined: int


@dataclass(frozen=True)
class Located:
    """How well the networks' maps lie.

    Args:
        samples: Network → measure → float64 ``(P,)``, mean over the seeds; nan = undefined.
        values: (network or baseline, measure) → mean over images, with its interval.
        by_seed: Network → measure → one mean a seed.
        differences: (network, network) → first minus second network's Diff_GradCAM, paired.
        curves: Network or ``"chance"`` → float64 ``(K,)``, mean effective heat ratio.
        thresholds: float64 ``(K,)``.
        undefined: Network → undefined maps of all its seeds.
        images: Number of images with a pneumothorax.
        mask_share: Mean share of an image that its mask covers.
    """

    samples: Mapping[str, Mapping[str, Float64]]
    values: Mapping[Key, Estimate]
    by_seed: Mapping[str, Mapping[str, tuple[float, ...]]]
    differences: Mapping[tuple[str, str], Estimate]
    curves: Mapping[str, Float64]
    thresholds: Float64
    undefined: Mapping[str, int]
    images: int
    mask_share: float

    def differences_of(self) -> dict[str, Float64]:
        """Return every network's Diff_GradCAM, image by image, for the tests."""
        return {network: found[DIFFERENCE] for network, found in self.samples.items()}


def measure_maps(maps: Float32, masks: Sequence[Bool], prior: Float32, chosen: Settings) -> Maps:
    """Measure one network's maps of the images with a pneumothorax.

    Args:
        maps: float32 ``(P, H, W)``, raw and signed, on the network's input.
        masks: bool ``(H, W)`` each.
        prior: float32 ``(H, W)``: where pneumothoraces usually lie, from the training images.
        chosen: How maps are scaled.
    """
    heat = np.maximum(maps, 0)
    options = MapOptions(scaling=chosen.scaling)
    table = measure_localization(
        heat,
        masks=masks,
        only=MEASURES,
        options=options,
        no_evidence="undefined",
        prior=prior,
        n_boot=0,
    )
    curve = heat_ratio_curve(heat, np.stack(masks))
    known = np.isfinite(curve.ratios).all(axis=1)
    mean = (
        curve.ratios[known].mean(axis=0) if known.any() else np.full(curve.thresholds.shape, np.nan)
    )
    values = {name: np.asarray(table.values[name]) for name in MEASURES}
    undefined = int(np.isnan(values[DIFFERENCE]).sum())
    return Maps(values, table.baselines, np.asarray(mean), curve.thresholds, undefined)


def locate(
    maps: Mapping[str, Sequence[Maps]],
    masks: Sequence[Bool],
    patients: npt.ArrayLike,
    *,
    n_boot: int = 2000,
) -> Located:
    """Put the networks' measures together, with intervals from the same patients for all.

    Args:
        maps: Network → measures of its seeds.
        masks: bool ``(H, W)`` of each image.
        patients: ``(P,)`` patient keys.
        n_boot: Bootstrap replicates.
    """
    samples = {
        network: {name: np.mean([each.values[name] for each in seeds], axis=0) for name in MEASURES}
        for network, seeds in maps.items()
    }
    pairs = [(one, two) for i, one in enumerate(samples) for two in list(samples)[i + 1 :]]
    rows: dict[Key, Float64] = {
        (network, name): found[name] for network, found in samples.items() for name in MEASURES
    }
    rows |= _chance_rows(maps)
    rows |= {
        (f"{one} - {two}", DIFFERENCE): samples[one][DIFFERENCE] - samples[two][DIFFERENCE]
        for one, two in pairs
    }
    cluster, clusters = encode_groups(patients, len(masks))
    found = estimate(mean_panel(rows, cluster, clusters), max(clusters, 1), n_boot=n_boot)
    shares = np.array([mask.mean() for mask in masks])
    first = next(iter(maps.values()))[0]
    mean_share = float(shares.mean())
    curves = {network: np.mean([m.curve for m in seeds], axis=0) for network, seeds in maps.items()}
    return Located(
        samples,
        {key: item for key, item in found.items() if " - " not in key[0]},
        {
            network: {name: tuple(_mean(each.values[name]) for each in seeds) for name in MEASURES}
            for network, seeds in maps.items()
        },
        {(one, two): found[f"{one} - {two}", DIFFERENCE] for one, two in pairs},
        curves | {"chance": np.full(first.thresholds.shape, mean_share)},
        first.thresholds,
        {network: sum(each.undefined for each in seeds) for network, seeds in maps.items()},
        len(masks),
        mean_share,
    )


def _chance_rows(maps: Mapping[str, Sequence[Maps]]) -> dict[Key, Float64]:
    """Return the baselines' values, each image's wherever some network's map defines it."""
    every = [each for seeds in maps.values() for each in seeds]
    rows: dict[Key, Float64] = {}
    for baseline in BASELINES:
        for name in MEASURES:
            value = np.full(every[0].values[name].shape, np.nan)
            for each in every:
                value = np.where(np.isnan(value), each.chance[baseline][name], value)
            rows[baseline, name] = value
    return rows


def _mean(values: Float64) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
