"""How concentrated a map is. It says nothing of whether the map is right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from lucidray.errors import ShapeError
from lucidray.metrics.catalog import Chance, metric
from lucidray.metrics.inputs import ratio
from lucidray.metrics.localization_batch import Floating, as_maps, blocks
from lucidray.records import Float64

_UNIFORM_ENTROPY = Chance("logarithm of the number of pixels", lambda _: float("nan"))


def gini_work(maps: Floating) -> Float64:
    """Return the Gini index of rows ``(B, P)``."""
    size = np.abs(maps)
    ordered = np.sort(size, axis=1)
    rank = (2.0 * np.arange(1, maps.shape[1] + 1) - maps.shape[1] - 1).astype(np.float64)
    total = size.sum(axis=1, dtype=np.float64)
    weighted = np.array([row.astype(np.float64) @ rank for row in ordered])
    return ratio(weighted, maps.shape[1] * total)


def entropy_work(maps: Floating) -> Float64:
    """Return the entropy in nats of rows ``(B, P)``."""
    size = np.abs(maps)
    highest = size.max(axis=1, keepdims=True)
    size /= np.where(highest > 0, highest, 1)
    total = size.sum(axis=1, dtype=np.float64)
    products = size * np.log(np.maximum(size, np.finfo(size.dtype).tiny))
    part = ratio(products.sum(axis=1, dtype=np.float64), total)
    return np.log(np.where(total > 0, total, np.nan)) - part


def _each(work: Callable[[Floating], Float64], maps: npt.ArrayLike) -> Float64:
    """Measure maps ``(..., H, W)`` a block at a time; nan where one is not finite."""
    values = as_maps(maps)
    if values.ndim < 2 or not values.size:
        raise ShapeError(f"maps are {values.shape}; expected (..., H, W), not empty")
    flat = values.reshape(-1, values.shape[-2] * values.shape[-1])
    finite = np.asarray(np.isfinite(flat).all(axis=1))
    if not finite.all():
        flat = np.where(finite[:, None], flat, flat.dtype.type(0))
    parts = [work(flat[part]) for part in blocks(*flat.shape)]
    found = np.where(finite, np.concatenate(parts), np.nan)
    return found.reshape(values.shape[:-2])


@metric(
    "gini_sparseness",
    source="Chalasani et al., ICML 2020; Hurley & Rickard, IEEE Trans. Inf. Theory 55:4723 (2009)",
    needs="maps",
    higher_is_better=True,
    chance=Chance("0 for a uniform map", lambda _: 0.0),
    work=gini_work,
)
def gini_sparseness(maps: npt.ArrayLike) -> Float64:
    """Return the Gini index of the map's magnitudes.

    Args:
        maps: ``(..., H, W)``, raw; negative values count by their magnitude.

    Returns:
        0 for a constant map, 1 - 1/P for a single pixel of P; higher is sparser; nan where the map
        is all zero or not finite.

    Deviates: no. Quantus adds 1e-7 first, which flattens small maps that are not normalized.

    >>> gini_sparseness([[0, 0], [0, -3.0]])
    array(0.75)
    """
    return _each(gini_work, maps)


@metric(
    "entropy_complexity",
    source="Bhatt et al., IJCAI 2020, equation 3",
    needs="maps",
    higher_is_better=False,
    bounds=(0.0, np.inf),
    chance=_UNIFORM_ENTROPY,
    work=entropy_work,
)
def entropy_complexity(maps: npt.ArrayLike) -> Float64:
    """Return the entropy of the map's magnitudes as shares of their sum.

    Args:
        maps: ``(..., H, W)``, raw; negative values count by their magnitude.

    Returns:
        In nats, 0 for a single pixel, log P for a constant map of P pixels; lower is simpler; nan
        where the map is all zero or not finite. It grows with resolution.

    Deviates: no. Quantus takes the logarithm of signed shares unless told ``abs=True``, which is
        nan for a signed map.

    >>> entropy_complexity([[1.0, -1.0]]).round(4)
    np.float64(0.6931)
    """
    return _each(entropy_work, maps)
