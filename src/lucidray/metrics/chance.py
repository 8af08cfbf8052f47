"""Maps that know nothing of the image: what any explanation has to beat.

``uniform`` says nothing; ``center`` bets on the middle, as photographers and radiologists do;
``prior`` is the mean of the true masks of other patients, which is all that can be known of a
finding's place without looking. Each is measured by the same functions as the maps themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError, ShapeError, unknown_name
from lucidray.images.resample import resample
from lucidray.metrics.inputs import Int
from lucidray.records import Bool, Float32

#: The names of the maps that know nothing.
BASELINES = ("uniform", "center", "prior")
_GRID = (64, 64)

#: ``(image, shape)`` to a map float32 ``shape``.
BaselineMap = Callable[[int, tuple[int, int]], Float32]


@dataclass(frozen=True)
class Prior:
    """Where a finding usually lies: means of masks on a common grid.

    Args:
        sums: float32 ``(C, h, w)``, the masks of each patient added up.
        counts: ``(C,)``, how many masks each patient has.
        cluster: int ``(N,)``, the patient of each image; None: the mean has been given, and is of
            other patients altogether.
    """

    sums: Float32
    counts: Int
    cluster: Int | None = None

    def map_for(self, image: int, shape: tuple[int, int]) -> Float32:
        """Return the mean mask of all other patients, float32 ``shape``; nan if there is none."""
        sums, count = self.sums.sum(axis=0), int(self.counts.sum())
        if self.cluster is not None:
            own = self.cluster[image]
            sums, count = sums - self.sums[own], count - int(self.counts[own])
        if count < 1:
            return np.full(shape, np.nan, np.float32)
        return np.maximum(resample(np.ascontiguousarray(sums / np.float32(count)), shape), 0)


def uniform_map(shape: tuple[int, int]) -> Float32:
    """Return a map that is 1 everywhere, float32 ``shape``."""
    return np.ones(shape, np.float32)


def center_map(shape: tuple[int, int], *, width: float = 0.25) -> Float32:
    """Return a Gaussian in the middle of the image, 1 at its peak.

    Args:
        shape: ``(H, W)``.
        width: Standard deviation as a share of each side.

    Returns:
        float32 ``(H, W)``.

    Raises:
        MetricError: The width is not positive.

    >>> center_map((1, 3)).round(3)
    array([[0.411, 1.   , 0.411]], dtype=float32)
    """
    if not width > 0:
        raise MetricError(f"width is {width}; expected a positive share of the side")
    sides = [(np.arange(n) + 0.5) / n - 0.5 for n in shape]
    rows, columns = (np.exp(-0.5 * (side / width) ** 2) for side in sides)
    return np.asarray(np.outer(rows, columns), dtype=np.float32)


def make_prior(masks: Iterable[Bool], cluster: Int, clusters: int) -> Prior:
    """Add up masks, or densities, by patient on a common grid.

    Args:
        masks: ``(H, W)`` each, of any size; empty ones do not count.
        cluster: int ``(N,)``, the patient of each.
        clusters: Number of patients.
    """
    sums = np.zeros((clusters, *_GRID), np.float32)
    counts = np.zeros(clusters, np.int64)
    for mask, owner in zip(masks, cluster, strict=True):
        if mask.any():
            sums[owner] += resample(mask.astype(np.float32), _GRID)
            counts[owner] += 1
    return Prior(sums, counts, cluster)


def given_prior(density: npt.ArrayLike) -> Prior:
    """Return a prior from a map that was made of other images, for example the training boxes.

    Args:
        density: ``(h, w)``, not negative; spans the whole image.

    Raises:
        ShapeError: It is no map.
        MetricError: It has negative, nan or infinite values.
    """
    values = np.asarray(density, dtype=np.float32)
    if values.ndim != 2 or not values.size:
        raise ShapeError(f"the prior is {values.shape}; expected (h, w)")
    if not (np.isfinite(values) & (values >= 0)).all():
        raise MetricError("the prior has negative, nan or infinite values; expected a density")
    return Prior(values[None], np.ones(1, np.int64))


def baseline_maps(names: Iterable[str], prior: Prior | None) -> dict[str, BaselineMap]:
    """Return the makers of baseline maps by name.

    Args:
        names: Among `BASELINES`.
        prior: Where the finding usually lies; needed for ``"prior"``.

    Raises:
        UnknownNameError: A name is none of them.
        MetricError: The prior is asked for but not there.
    """
    makers: dict[str, BaselineMap] = {
        "uniform": lambda _, shape: uniform_map(shape),
        "center": lambda _, shape: center_map(shape),
    }
    if prior is not None:
        makers["prior"] = prior.map_for
    chosen = {}
    for name in names:
        if name not in BASELINES:
            raise unknown_name("baseline", name, BASELINES)
        if name not in makers:
            raise MetricError("the baseline 'prior' needs masks of several patients or a prior")
        chosen[name] = makers[name]
    return chosen
