"""Weighted means of anything known by image, with intervals over patients."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from lucidray.errors import ShapeError
from lucidray.metrics.inputs import Int, as_float, cluster_matrix, encode_groups, ratio
from lucidray.metrics.resampling import Estimate, Key, Panel, Progress, estimate
from lucidray.records import Float64


def mean_estimates(
    parts: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
    *,
    groups: npt.ArrayLike | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Estimate]:
    """Return weighted means, all resampled together.

    Args:
        parts: By name: values ``(N,)`` and weights ``(N,)``; a weight of 0 leaves an image out.
        groups: ``(N,)`` patient keys; None: each image is its own patient.
        n_boot: Bootstrap replicates; 0: no intervals.
        seed: Same seed, same intervals.
        progress: Called with replicates done and in all.

    Returns:
        One estimate a name; nan where all weights are 0.

    Raises:
        ShapeError: The arrays are not all ``(N,)``.

    >>> mean_estimates({"mean": ([1.0, 3.0], [1.0, 3.0])}, n_boot=0)["mean"].value
    2.5
    """
    arrays = [(as_float(v, name), as_float(w, name)) for name, (v, w) in parts.items()]
    shapes = {each.shape for pair in arrays for each in pair}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise ShapeError(f"values and weights are {sorted(shapes)}; all must be (N,)")
    cluster, clusters = encode_groups(groups, len(arrays[0][0]))
    panel = _panel(list(parts), arrays, cluster, clusters)
    found = estimate(panel, clusters, n_boot=n_boot, seed=seed, progress=progress)
    return {name: found[name, ""] for name in parts}


def _panel(
    names: list[str], arrays: list[tuple[Float64, Float64]], cluster: Int, clusters: int
) -> Panel:
    count, size = 2 * len(names), len(cluster)
    rows = np.repeat(np.arange(count), size)
    data = [each for values, weights in arrays for each in (weights * values, weights)]
    place = np.tile(cluster, count)
    sums = cluster_matrix(rows, place, (count, clusters), np.concatenate(data))

    def panel(weights: Float64) -> dict[Key, Float64]:
        totals = np.asarray(sums @ weights)
        return {(n, ""): ratio(totals[2 * k], totals[2 * k + 1]) for k, n in enumerate(names)}

    return panel
