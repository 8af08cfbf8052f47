"""Boxes around what a heat map shows: where to look first, never the outline of a lesion."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lucidray.errors import ConfigError, ShapeError
from lucidray.images.components import PixelBox, boxes_of

#: A map is boxed from this part of its largest value on.
FRACTION = 0.5
#: Spots of a smaller share of the image are left out.
SMALLEST = 0.001


def boxes_of_map(
    values: npt.NDArray[np.floating], *, fraction: float = FRACTION, smallest: float = SMALLEST
) -> tuple[PixelBox, ...]:
    """Return a box around each spot where a heat map is strong.

    Args:
        values: ``(H, W)``, raw and signed, on source pixels; nan counts as 0.
        fraction: Part of the map's largest value from which on a pixel belongs to a spot, above 0.
        smallest: Share of the image's pixels that a spot must have at least.

    Returns:
        ``(x_min, y_min, x_max, y_max)`` each, half-open source pixels, the largest spot first.
        Empty where no value is positive or one is infinite: there is nothing to point at.

    Raises:
        ShapeError: The map is not ``(H, W)``.
        ConfigError: The fraction is not in (0, 1].

    >>> boxes_of_map(np.array([[0.1, 0.2, 0.1], [0.2, 0.9, 1.0], [0.1, 0.2, 0.6]]))
    ((1, 1, 3, 3),)
    >>> boxes_of_map(np.array([[-2.0, -1.0], [-1.0, 0.0]]))
    ()
    """
    if values.ndim != 2 or not values.size:
        raise ShapeError(f"the map is {values.shape}; expected (H, W), not empty.")
    if not 0 < fraction <= 1:
        raise ConfigError(f"fraction is {fraction}; expected above 0 and at most 1.")
    known = np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf)
    highest = float(known.max())
    if not np.isfinite(highest) or highest <= 0:
        return ()
    return boxes_of(known >= fraction * highest, min_area=max(1, round(smallest * values.size)))
