"""How alike two maps of one image are: of two methods, two seeds, two networks.

Agreement is no proof of truth: two maps may agree on the same wrong place, and any two maps that
favor the middle agree somewhat. So `agreement_table` prints the agreement of maps of *different*
patients beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage, stats

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.catalog import NO_CHANCE, ZERO, choose, metric, metrics
from lucidray.metrics.gaze import correlation
from lucidray.metrics.inputs import encode_groups
from lucidray.metrics.localization_batch import Floating, as_maps, blocks
from lucidray.metrics.localization_table import MapTable, tabulate
from lucidray.records import Float64

#: Two stacks of maps ``(B, H, W)`` to one value ``(B,)`` a pair.
PairWork: TypeAlias = Callable[[Floating, Floating], Float64]

#: SSIM's window and constants, and the share of pixels that are the top.
_SIGMA, _REACH, _K1, _K2, _SHARE = 1.5, 5, 0.01, 0.03, 0.1


def spearman_work(first: Floating, second: Floating) -> Float64:
    """Return Spearman's correlation of pairs."""
    ranks = [stats.rankdata(v.reshape(len(v), -1), axis=1) for v in (first, second)]
    return correlation(*ranks)


def ssim_work(first: Floating, second: Floating) -> Float64:
    """Return the mean structural similarity of pairs of scaled maps."""
    if min(first.shape[1:]) <= 2 * _REACH:
        raise ShapeError(
            f"maps are {first.shape[1:]}; SSIM needs more than {2 * _REACH} pixels a side. "
            "Bring raw maps to source pixels first"
        )
    x, y = _scaled(first), _scaled(second)
    mean_x, mean_y = _blur(x), _blur(y)
    spread_x, spread_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    shared = _blur(x * y) - mean_x * mean_y
    c1, c2 = _K1**2, _K2**2
    top = (2 * mean_x * mean_y + c1) * (2 * shared + c2)
    bottom = (mean_x**2 + mean_y**2 + c1) * (spread_x + spread_y + c2)
    inner = (slice(None), slice(_REACH, -_REACH), slice(_REACH, -_REACH))
    return np.asarray((top / bottom)[inner].mean(axis=(1, 2)))


def _blur(values: Float64) -> Float64:
    sigma = (0, _SIGMA, _SIGMA)
    return np.asarray(ndimage.gaussian_filter(values, sigma, truncate=_REACH / _SIGMA))


def _scaled(values: Floating) -> Float64:
    """Return heat divided by its maximum, float64; nan without positive evidence."""
    heat = np.maximum(values, 0).astype(np.float64)
    top = heat.max(axis=(1, 2), keepdims=True)
    scaled = np.full(heat.shape, np.nan)
    return np.asarray(np.divide(heat, top, out=scaled, where=top > 0))


def top_overlap_work(share: float = _SHARE) -> PairWork:
    """Return the work of the overlap of the hottest pixels."""

    def work(first: Floating, second: Floating) -> Float64:
        size = math.prod(first.shape[1:])
        count = max(1, round(share * size))
        chosen = [_top(values.reshape(len(values), -1), count) for values in (first, second)]
        return np.asarray((chosen[0] * chosen[1]).sum(axis=1) / count)

    return work


def _top(values: Floating, count: int) -> Float64:
    """Return how far each pixel belongs to the top ``(B, P)``: those at its border in part."""
    at = values.shape[1] - count
    border = np.partition(values, at, axis=1)[:, at, None]
    over, level = values > border, values == border
    room = count - over.sum(axis=1, keepdims=True)
    return np.where(over, 1.0, level * (room / level.sum(axis=1, keepdims=True)))


def jaccard_work(first: Floating, second: Floating) -> Float64:
    """Return the weighted Jaccard index of pairs of scaled maps."""
    x, y = _scaled(first), _scaled(second)
    both, either = np.minimum(x, y).sum(axis=(1, 2)), np.maximum(x, y).sum(axis=(1, 2))
    return np.asarray(both / either)


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _pair(name: str, work: PairWork, *, source: str, **facts: Any) -> Decorator:
    return metric(name, source=source, needs="map_pairs", work=work, **facts)


def compare_maps(work: PairWork, first: npt.ArrayLike, second: npt.ArrayLike) -> Float64:
    """Compare maps ``(..., H, W)`` pair by pair; nan where one is not finite.

    Raises:
        ShapeError: The shapes differ.
    """
    a, b = as_maps(first), as_maps(second)
    if a.ndim < 2 or a.shape != b.shape or not a.size:
        raise ShapeError(f"maps are {a.shape} and {b.shape}; expected the same (..., H, W)")
    size = a.shape[-2:]
    one, two = a.reshape(-1, *size), b.reshape(-1, *size)
    finite = np.asarray((np.isfinite(one) & np.isfinite(two)).all(axis=(1, 2)))
    known = finite[:, None, None]
    parts = [
        work(np.where(known[p], one[p], 0), np.where(known[p], two[p], 0))
        for p in blocks(len(one), math.prod(size))
    ]
    return np.where(finite, np.concatenate(parts), np.nan).reshape(a.shape[:-2])


@_pair(
    "rank_correlation",
    spearman_work,
    source="Spearman 1904; Adebayo et al., NeurIPS 2018",
    bounds=(-1.0, 1.0),
    chance=ZERO,
)
def rank_correlation(first: npt.ArrayLike, second: npt.ArrayLike) -> Float64:
    """Return Spearman's rank correlation of two maps over pixels.

    Args:
        first: ``(..., H, W)``, raw and signed; only ranks matter, equal values share theirs.
        second: Same shape.

    Returns:
        In [-1, 1]; higher is more alike; nan where a map is constant or not finite.
    """
    return compare_maps(spearman_work, first, second)


@_pair(
    "map_ssim",
    ssim_work,
    source="Wang et al., IEEE Trans. Image Process. 13:600 (2004); Arun et al. 2021",
    bounds=(-1.0, 1.0),
    chance=NO_CHANCE,
)
def map_ssim(first: npt.ArrayLike, second: npt.ArrayLike) -> Float64:
    """Return the mean structural similarity of two scaled maps.

    Args:
        first: ``(..., H, W)``, raw, more than 10 pixels a side; negative values count as 0, the
            maximum as 1.
        second: Same shape.

    Returns:
        In [-1, 1]; higher is more alike; nan where a map has no positive evidence or is not
        finite. Two maps that are mostly 0 are alike already: print that of random pairs beside it.

    Source: Gaussian window, sigma 1.5 and 11 pixels, K1 = 0.01, K2 = 0.03, range 1, as the paper.

    Raises:
        ShapeError: The maps are too small, or of different shapes.
    """
    return compare_maps(ssim_work, first, second)


@_pair(
    "top_overlap",
    top_overlap_work(),
    source="Ghorbani et al., AAAI 2019, top-k intersection",
    chance=NO_CHANCE,
)
def top_overlap(first: npt.ArrayLike, second: npt.ArrayLike, *, share: float = _SHARE) -> Float64:
    """Return the share of the hottest pixels that two maps have in common.

    Args:
        first: ``(..., H, W)``, raw; only ranks matter.
        second: Same shape.
        share: How many pixels count as hottest, in (0, 1].

    Returns:
        In [0, 1], `share` where the two know nothing of each other; higher is more alike; nan where
        a map is not finite. Pixels tied at the border of the top count in part.

    Raises:
        MetricError: The share is out of range.
    """
    if not 0 < share <= 1:
        raise MetricError(f"share is {share}; expected a share of the pixels in (0, 1]")
    return compare_maps(top_overlap_work(share), first, second)


@_pair(
    "weighted_jaccard",
    jaccard_work,
    source="Ruzicka 1958; Ioffe, ICDM 2010",
    chance=NO_CHANCE,
)
def weighted_jaccard(first: npt.ArrayLike, second: npt.ArrayLike) -> Float64:
    """Return the sum of minima over the sum of maxima of two scaled maps.

    Args:
        first: ``(..., H, W)``, raw; negative values count as 0, the maximum as 1.
        second: Same shape.

    Returns:
        In [0, 1]; higher is more alike; nan where a map has no positive evidence or is not finite.

    >>> weighted_jaccard([[2.0, 1.0]], [[1.0, 1.0]])
    array(0.75)
    """
    return compare_maps(jaccard_work, first, second)


def agreement_table(
    maps: Mapping[str, npt.ArrayLike],
    *,
    groups: npt.ArrayLike | None = None,
    only: Sequence[str] | None = None,
    n_boot: int = 2000,
    seed: int = 0,
) -> dict[tuple[str, str], MapTable]:
    """Measure the agreement of every two methods over the same images.

    Args:
        maps: ``(N, H, W)`` of each method, raw, in the same order of images.
        groups: ``(N,)`` patient of each image; None: each its own.
        only: Measures wanted; None: all.
        n_boot: Number of bootstrap replicates over patients; 0: no intervals.
        seed: Same seed, same intervals and pairs.

    Returns:
        A table for each pair of methods; its baseline ``"others"`` compares the first method's map
        of an image with the second's of an image of another patient, drawn at random.

    Raises:
        ShapeError: The methods' maps differ in shape, or are not ``(N, H, W)``.
    """
    stacks = {name: as_maps(values) for name, values in maps.items()}
    shapes = {name: values.shape for name, values in stacks.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 3 for shape in shapes.values()):
        raise ShapeError(f"maps are {shapes}; expected one shape (N, H, W) for all methods")
    names = choose(None if only is None else tuple(only), "map_pairs")
    count = next(iter(shapes.values()))[0] if shapes else 0
    partner = _strangers(groups, count, seed)
    found = {}
    for one, two in combinations(stacks, 2):
        values = _compared(names, stacks[one], stacks[two])
        strangers = _compared(names, stacks[one], stacks[two][np.maximum(partner, 0)])
        alone = {name: np.where(partner >= 0, v, np.nan) for name, v in strangers.items()}
        status = _statuses(stacks[one], stacks[two])
        found[one, two] = tabulate(
            values, {"others": alone}, status, groups=groups, n_boot=n_boot, seed=seed
        )
    return found


def _compared(names: Iterable[str], first: Floating, second: Floating) -> dict[str, Float64]:
    return {name: compare_maps(metrics.entry(name).facts["work"], first, second) for name in names}


def _strangers(groups: npt.ArrayLike | None, count: int, seed: int) -> npt.NDArray[np.intp]:
    """Return for each image one of another patient, or -1 where there is none."""
    cluster, _ = encode_groups(groups, count)
    rng = np.random.default_rng(seed)
    partner = np.full(count, -1, np.intp)
    for image in range(count):
        possible = np.flatnonzero(cluster != cluster[image])
        if len(possible):
            partner[image] = rng.choice(possible)
    return partner


def _statuses(first: Floating, second: Floating) -> list[str]:
    finite = (np.isfinite(first) & np.isfinite(second)).all(axis=(1, 2))
    evidence = (first > 0).any(axis=(1, 2)) & (second > 0).any(axis=(1, 2))
    return list(
        np.where(finite, np.where(evidence, "ok", "no_positive_evidence"), "not_finite").tolist()
    )
