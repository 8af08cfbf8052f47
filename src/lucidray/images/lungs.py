"""From what a network takes for lung to the outline of both lungs, and the box around them."""

from __future__ import annotations

import numpy as np

from lucidray.errors import ShapeError
from lucidray.images.components import fill_holes, largest_components
from lucidray.images.transforms import PixelBox, mask_box
from lucidray.records import Bool

#: A second part smaller than this share of the first is no lung.
SMALLEST_LUNG = 0.05
#: A box narrower than this part of its height holds one lung; the other is white all over.
NARROWEST = 0.6
#: Lungs that cover less of an image than this were not found.
SMALLEST_SHARE = 0.03


def tidy_lungs(mask: Bool) -> Bool:
    """Keep the two largest parts of a mask, without specks, and fill what they enclose.

    Args:
        mask: bool ``(H, W)``, True where a network sees lung.

    Returns:
        bool ``(H, W)``: one part or two, of which the smaller has at least 5 % of the larger's
        area; empty where `mask` is.

    Raises:
        ShapeError: The mask is not ``(H, W)``.
    """
    largest = largest_components(mask, 1)
    second = largest_components(mask & ~largest, 1)
    if second.sum() < SMALLEST_LUNG * largest.sum():
        return fill_holes(largest)
    return fill_holes(largest | second)


def lung_box(mask: Bool, *, margin: float = 0.05) -> PixelBox:
    """Return the box around both lungs, to crop a film to.

    Args:
        mask: bool ``(H, W)``, both lungs, as a segmentation bundle outlines them.
        margin: Margin on each side, as a fraction of the box's own height and width.

    Returns:
        ``(x_min, y_min, x_max, y_max)``, half-open, for `preprocess(xray, config, box=...)`. Where
        the mask covers under 3 % of the image, no lungs were found and it is the whole image.
        Where it is so narrow that only one lung was found, it is as wide as the image, so that
        the other is not cut off.

    Raises:
        ShapeError: The mask is not ``(H, W)``, or has no pixels.

    >>> mask = np.zeros((100, 100), bool); mask[20:80, 10:90] = True
    >>> lung_box(mask), lung_box(mask & False)
    ((6, 17, 94, 83), (0, 0, 100, 100))
    """
    if mask.ndim != 2 or not mask.size:
        raise ShapeError(f"the mask is {mask.shape}; expected (H, W), not empty.")
    if mask.mean() < SMALLEST_SHARE:
        return 0, 0, mask.shape[1], mask.shape[0]
    left, top, right, bottom = mask_box(np.asarray(mask, bool), margin=margin)
    if right - left < NARROWEST * (bottom - top):
        left, right = 0, mask.shape[1]
    return left, top, right, bottom
