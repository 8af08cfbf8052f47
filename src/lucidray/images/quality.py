"""Whether a picture is fit to be judged: simple measures of one radiograph, each with its limits.

The limits are wide: of 1,600 real chest films of four sources two fail, both for wide black bars.
A failed check is a reason to look, not proof. All measures but those of shape are taken on a
shrunken copy, so that they cost a reading next to nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lucidray.images.resample import resample
from lucidray.records import Bool, Float32, XRay

_SMALL = 64
_MEDIUM = 256


@dataclass(frozen=True)
class QualityCheck:
    """One measure and the range in which it is usual.

    Args:
        name: For example ``"sharpness"``.
        value: What was measured; nan = not defined for this image.
        low: The lowest usual value.
        high: The highest.
        complaint: What is likely wrong where it is outside.
    """

    name: str
    value: float
    low: float
    high: float
    complaint: str

    @property
    def passed(self) -> bool:
        """Whether the value is usual; an undefined value passes."""
        return math.isnan(self.value) or self.low <= self.value <= self.high


def check_quality(xray: XRay) -> tuple[QualityCheck, ...]:
    """Measure whether a radiograph is blank, cut, inverted, blurred, clipped or framed.

    Args:
        xray: The radiograph.

    Returns:
        All checks, passed or not, in a fixed order:
        ``short_side`` (pixels of the file), ``aspect`` (longer by shorter side), ``range`` (between
        the percentiles .1 and 99.9) and ``deviation`` of intensity, ``polarity`` (mediastinum
        against lungs and corners, in deviations; negative where inverted), ``white_share`` and
        ``black_share`` of pixels at the ends of the scale, ``sharpness`` (deviation of the
        Laplacian at 256 x 256 by that of the image), ``border_share`` of the area in bars of one
        tone. Polarity and sharpness are nan where the image is blank. All of intensity is measured
        on `block_means` of at least 256 pixels a side.
    """
    height, width = xray.geometry.source_shape
    pixels = block_means(xray.pixels, _MEDIUM)
    deviation = float(pixels.std(dtype=np.float64))
    low, high = _ends(pixels)
    return (
        QualityCheck("short_side", min(height, width), 100, math.inf, "too small"),
        QualityCheck("aspect", max(height, width) / min(height, width), 1, 3, "a strip"),
        QualityCheck("range", float(high - low), 0.1, 1, "blank or nearly so"),
        QualityCheck("deviation", deviation, 0.03, 0.48, "almost one tone"),
        QualityCheck("polarity", polarity(pixels), -0.5, math.inf, "inverted: bone dark"),
        QualityCheck("white_share", _share(pixels > 0.998), 0, 0.4, "burnt out to white"),
        QualityCheck("black_share", _share(pixels < 0.002), 0, 0.6, "mostly black"),
        QualityCheck("sharpness", sharpness(pixels), 0.015, 1.5, "blurred, or noise only"),
        QualityCheck("border_share", border_share(pixels), 0, 0.4, "wide bars around the film"),
    )


def failed_checks(xray: XRay) -> tuple[QualityCheck, ...]:
    """Return the checks that a radiograph fails.

    Args:
        xray: The radiograph.
    """
    return tuple(check for check in check_quality(xray) if not check.passed)


def block_means(pixels: Float32, side: int) -> Float32:
    """Shrink an image by a whole number, the cheapest way that keeps what a thumbnail shows.

    Args:
        pixels: float32 ``(H, W)``.
        side: The shorter side of the result is at least this, and less than twice it, where the
            image has that many pixels.

    Returns:
        Means of square blocks, rests at the right and bottom cut off; `pixels` itself where it is
        small already.

    >>> block_means(np.arange(16, dtype=np.float32).reshape(4, 4), 2)
    array([[ 2.5,  4.5], [10.5, 12.5]], dtype=float32)
    """
    factor = min(pixels.shape) // side
    if factor < 2:
        return pixels
    height, width = (length // factor * factor for length in pixels.shape)
    rows = pixels[0:height:factor, :width].copy()
    for start in range(1, factor):
        rows += pixels[start:height:factor, :width]
    means = rows[:, 0::factor].copy()
    for start in range(1, factor):
        means += rows[:, start::factor]
    means *= np.float32(1 / factor**2)
    return means


def polarity(pixels: Float32) -> float:
    """Measure whether bone is bright on a frontal chest film.

    Args:
        pixels: float32 ``(H, W)``.

    Returns:
        How much brighter the middle is than the lung fields, plus how much brighter than the upper
        corners, in standard deviations: above 0.5 on usual films, the same below 0 on inverted
        ones; nan where the image is blank.
    """
    small = resample(pixels, (_SMALL, _SMALL))
    deviation = float(small.std())
    if deviation < 1e-3:
        return math.nan
    middle = small[16:52, 27:37].mean()
    lungs = (small[14:40, 11:23].mean() + small[14:40, 41:53].mean()) / 2
    outer = (small[:20, :6].mean() + small[:20, -6:].mean()) / 2
    inner = (small[4:22, 4:10].mean() + small[4:22, -10:-4].mean()) / 2
    return float((middle - lungs) + (middle - min(outer, inner))) / deviation


def sharpness(pixels: Float32) -> float:
    """Measure fine detail against coarse.

    Args:
        pixels: float32 ``(H, W)``.

    Returns:
        Deviation of the Laplacian by that of the image, both at 256 x 256; higher is sharper; nan
        where the image is blank.
    """
    image = resample(pixels, (_MEDIUM, _MEDIUM))
    deviation = float(image.std())
    if deviation < 1e-3:
        return math.nan
    inner = image[1:-1, 1:-1]
    around = image[:-2, 1:-1] + image[2:, 1:-1] + image[1:-1, :-2] + image[1:-1, 2:]
    return float((4 * inner - around).std()) / deviation


def border_share(pixels: Float32) -> float:
    """Measure how much of the area lies in bars of one tone along the borders.

    Args:
        pixels: float32 ``(H, W)``.

    Returns:
        Share in [0, 1]; 1 where the whole image is of one tone.
    """
    top, bottom = _bars(np.ptp(pixels, axis=1) < 0.02)
    left, right = _bars(np.ptp(pixels, axis=0) < 0.02)
    kept = max(1 - top - bottom, 0) * max(1 - left - right, 0)
    return 1 - kept


def _bars(plain: Bool) -> tuple[float, float]:
    if plain.all():
        return 1.0, 0.0
    first, last = int(np.argmin(plain)), int(np.argmin(plain[::-1]))
    return first / len(plain), last / len(plain)


def _ends(pixels: Float32) -> tuple[float, float]:
    """Return the intensities below and above which one pixel in a thousand lies."""
    flat = pixels.ravel()
    flat = flat[:: -(-len(flat) // _MEDIUM**2)]
    rank = len(flat) // 1000
    ordered = np.partition(flat, (rank, len(flat) - 1 - rank))
    return float(ordered[rank]), float(ordered[len(flat) - 1 - rank])


def _share(chosen: Bool) -> float:
    return float(chosen.mean())
