"""The one grey plane of pictures that have several channels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lucidray.errors import ImageError
from lucidray.records import Bool

Samples = npt.NDArray[np.unsignedinteger]

#: Channels that differ by more levels than this (of 255) make a color picture.
GREY_TOLERANCE = 12

#: The shares of red, green and blue in brightness (ITU-R BT.601), of 65,536.
_RED, _GREEN, _BLUE = np.uint32(19595), np.uint32(38470), np.uint32(7471)


def grey_plane(samples: Samples, *, luma: bool = False) -> tuple[Samples, Bool | None]:
    """Return the grey pixels of a picture whose colors are all grey.

    Args:
        samples: uint8 or uint16 ``(H, W)`` or ``(H, W, channels)``: grey, red-green-blue, or either
            with alpha behind it; black is 0 and white the largest value.
        luma: Whether the three channels are brightness and two of chroma instead.

    Returns:
        Of the same type ``(H, W)``, laid on black where not opaque; and bool ``(H, W)``, True where
        fully transparent, or None where all is opaque.

    Raises:
        ImageError: The colors differ: a color picture.
    """
    if samples.ndim == 2:
        return samples, None
    alpha = samples[..., -1] if samples.shape[2] in {2, 4} else None
    grey = samples[..., 0] if samples.shape[2] < 3 else _brightness(samples, luma=luma)
    white = np.iinfo(samples.dtype).max
    if alpha is None or (alpha == white).all():
        return np.ascontiguousarray(grey), None
    shown = (np.multiply(grey, alpha, dtype=np.uint32) + white // 2) // white
    return shown.astype(samples.dtype), alpha == 0


def _brightness(samples: Samples, *, luma: bool) -> Samples:
    first, second, third = (samples[..., channel] for channel in range(3))
    if luma:
        _check_grey(max(int(np.abs(c.astype(np.int16) - 128).max()) for c in (second, third)))
        return first
    if np.array_equal(first, second) and np.array_equal(first, third):
        return first
    high = np.maximum(np.maximum(first, second), third)
    low = np.minimum(np.minimum(first, second), third)
    _check_grey(int((high - low).max()) * 255 / np.iinfo(samples.dtype).max)
    mixed = _RED * first + _GREEN * second + _BLUE * third + np.uint32(1 << 15)
    brightness: Samples = (mixed >> np.uint32(16)).astype(samples.dtype)
    return brightness


def _check_grey(spread: float) -> None:
    if spread > GREY_TOLERANCE:
        raise ImageError(
            f"a color picture: its channels differ by up to {spread:.0f} of 255 levels; "
            "expected a grey radiograph."
        )
