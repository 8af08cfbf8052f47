"""What is gained by leaving unsure images to a person: the risk of the rest, by how many they are.

Images are kept from the surest on. A loss is the share of an image's calls that are wrong (0 or 1
with a single finding), its size how much these calls count; the risk of a set of images is the sum
of their losses by size over the sum of their sizes. Images of one uncertainty stand in no order:
each counts as their mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.inputs import as_float, cluster_matrix, encode_groups, ratio
from lucidray.metrics.resampling import bootstrap_weights, percentile_interval
from lucidray.records import Bool, Float64


@dataclass(frozen=True)
class RiskCoverage:
    """The risk among the images that are kept, by how many they are.

    Args:
        coverage: float64 ``(K,)`` shares kept, rising to 1.
        risk: float64 ``(K,)`` risk among them; lower is better.
        low: float64 ``(K,)`` lower end of its 95 % interval over patients; nan = not computed.
        high: float64 ``(K,)`` upper end.
    """

    coverage: Float64
    risk: Float64
    low: Float64
    high: Float64


@dataclass(frozen=True)
class Levels:
    """Losses, sizes and counts by uncertainty and patient.

    Args:
        levels: float64 ``(L,)`` distinct uncertainties, rising.
        lost: ``(L, C)`` sums of losses by size; C patients.
        size: ``(L, C)`` sums of sizes.
        count: ``(L, C)`` numbers of images.
    """

    levels: Float64
    lost: sp.csr_array
    size: sp.csr_array
    count: sp.csr_array

    def sums(self, weights: Float64) -> tuple[Float64, Float64, Float64]:
        """Return three ``(L + 1, B)``: sums over the rows up to each, 0 first."""
        start = np.zeros((1, weights.shape[1]))
        parts = (np.cumsum(part @ weights, axis=0) for part in (self.lost, self.size, self.count))
        lost, size, count = (np.concatenate([start, part]) for part in parts)
        return lost, size, count

    def plain(self) -> tuple[Float64, Float64, Float64]:
        """Return the same for every patient once, three ``(L + 1,)``."""
        lost, size, count = self.sums(np.ones((self.lost.shape[1], 1)))
        return lost[:, 0], size[:, 0], count[:, 0]


def risk_coverage(
    losses: npt.ArrayLike,
    uncertainty: npt.ArrayLike,
    *,
    sizes: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
    points: int = 40,
    n_boot: int = 1000,
    seed: int = 0,
) -> RiskCoverage:
    """Return the risk–coverage curve with its pointwise band over patients.

    Args:
        losses: ``(N,)``.
        uncertainty: ``(N,)``: the higher, the sooner an image is left to a person.
        sizes: ``(N,)``, 0 = left out; None: all the same.
        groups: ``(N,)`` patient keys; None: each image is its own patient.
        points: K, evenly spaced coverages ``1/K ... 1``.
        n_boot: Bootstrap replicates; 0: no band.
        seed: Same seed, same band.

    Returns:
        The curve; between two images it is interpolated.

    Raises:
        ShapeError: The arrays are not all ``(N,)``.
        MetricError: No image counts, or a value is not finite or negative.

    Source: El-Yaniv & Wiener, JMLR 11:1605 (2010).
    """
    ordered = risk_levels(losses, uncertainty, sizes, groups)
    grid = np.arange(1, points + 1) / points
    risk = _risk_at(ordered, grid, np.ones((ordered.lost.shape[1], 1)))[:, 0]
    ends = np.full((2, points), np.nan)
    if n_boot:
        draws = bootstrap_weights(ordered.lost.shape[1], n_boot, seed)
        replicates = np.concatenate([_risk_at(ordered, grid, weights) for weights in draws], axis=1)
        ends = np.array([percentile_interval(row) for row in replicates]).T
    return RiskCoverage(grid, risk, *ends)


def risk_at(
    losses: npt.ArrayLike,
    uncertainty: npt.ArrayLike,
    coverage: float,
    *,
    sizes: npt.ArrayLike | None = None,
) -> float:
    """Return the risk of the surest share of images; else as `risk_coverage`.

    Args:
        losses: ``(N,)``.
        uncertainty: ``(N,)``.
        coverage: The share, in (0, 1].
        sizes: ``(N,)``.

    >>> risk_at([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], 0.75)
    0.3333333333333333
    """
    if not 0 < coverage <= 1:
        raise MetricError(f"coverage is {coverage}; it must lie in (0, 1]")
    ordered = risk_levels(losses, uncertainty, sizes, None)
    found = _risk_at(ordered, np.array([coverage]), np.ones((ordered.lost.shape[1], 1)))
    return float(found[0, 0])


def aurc(
    losses: npt.ArrayLike, uncertainty: npt.ArrayLike, *, sizes: npt.ArrayLike | None = None
) -> float:
    """Return the area under the risk–coverage curve: its mean over the 1, 2 ... N surest images.

    Args as in `risk_coverage`.

    Returns:
        Lower is better; an uninformed order has the risk of all images.

    Source: Geifman, Uziel & El-Yaniv, ICLR 2019 (arXiv:1805.08206).
    """
    return _area(risk_levels(losses, uncertainty, sizes, None))


def excess_aurc(
    losses: npt.ArrayLike, uncertainty: npt.ArrayLike, *, sizes: npt.ArrayLike | None = None
) -> float:
    """Return by how much the area exceeds that of the order in which losses rise.

    Args as in `risk_coverage`.

    Returns:
        0 is perfect; lower is better.

    Source: Geifman, Uziel & El-Yaniv, ICLR 2019, section 4.

    Deviates: takes the best order's area itself, not its approximation ``r + (1 - r) log(1 - r)``.
    """
    best = aurc(losses, losses, sizes=sizes)
    return aurc(losses, uncertainty, sizes=sizes) - best


def risk_levels(
    losses: npt.ArrayLike,
    uncertainty: npt.ArrayLike,
    sizes: npt.ArrayLike | None,
    groups: npt.ArrayLike | None,
) -> Levels:
    """Check losses and uncertainty and sum them up; args and errors as in `risk_coverage`."""
    lost, unsure = as_float(losses, "losses"), as_float(uncertainty, "uncertainty")
    size = np.ones(lost.shape) if sizes is None else as_float(sizes, "sizes")
    if lost.ndim != 1 or not lost.shape == unsure.shape == size.shape:
        raise ShapeError(
            f"losses are {lost.shape}, uncertainty {unsure.shape}, sizes {size.shape}; "
            "all must be (N,)"
        )
    cluster, clusters = encode_groups(groups, len(lost))
    kept = _counted(lost, unsure, size)
    levels, rows = np.unique(unsure[kept], return_inverse=True)
    shape = (len(levels), clusters)
    parts = (size[kept] * lost[kept], size[kept], None)
    return Levels(levels, *(cluster_matrix(rows, cluster[kept], shape, part) for part in parts))


def _counted(lost: Float64, unsure: Float64, size: Float64) -> Bool:
    kept = np.asarray(size != 0)
    if not kept.any():
        raise MetricError("no image has a call that could be right or wrong; label some")
    values = np.stack([lost[kept], unsure[kept], size[kept]])
    if not np.isfinite(values).all() or values.min() < 0:
        raise MetricError("losses, uncertainty and sizes must be finite and at least 0")
    return kept


def _risk_at(ordered: Levels, grid: Float64, weights: Float64) -> Float64:
    """Return ``(K, B)``: the risk at each coverage of the grid, for each column of weights."""
    lost, size, count = ordered.sums(weights)
    found = np.empty((len(grid), weights.shape[1]))
    for column in range(weights.shape[1]):
        steps = count[:, column]
        at = grid * steps[-1]
        top, bottom = (np.interp(at, steps, part[:, column]) for part in (lost, size))
        found[:, column] = ratio(top, bottom)
    return found


def _area(ordered: Levels) -> float:
    lost, size, count = ordered.plain()
    places = np.arange(1, round(count[-1]) + 1)
    return float(np.mean(np.interp(places, count, lost) / np.interp(places, count, size)))
