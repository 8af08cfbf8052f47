"""From attributions to pictures: scaling, color, overlays, boxes and legends, and nowhere else.

A map is scaled after its negative part is cut, by its maximum: never by its minimum, which would
paint a map without any positive evidence as brightly as one full of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from lucidray.errors import ConfigError, ShapeError
from lucidray.images.color_maps import color_table
from lucidray.images.contrast import to_levels
from lucidray.images.lettering import font_for
from lucidray.records import Float32

Picture = npt.NDArray[np.uint8]
Color = tuple[int, int, int]

#: Colors of boxes and outlines that stand out on grey and on every color map.
BOX_COLORS: tuple[Color, ...] = ((0, 229, 255), (124, 252, 0), (255, 105, 180), (255, 215, 0))

_INK, _PAPER = (235, 235, 235), (18, 18, 18)


def strength(values: npt.NDArray[np.floating]) -> Float32:
    """Scale an attribution to [0, 1]: negative values to 0, the largest to 1.

    Args:
        values: ``(H, W)``, raw and signed; nan (outside the model's view) counts as 0.

    Returns:
        float32 ``(H, W)``; all 0 where no value is positive or one is infinite.

    >>> strength(np.array([[-1.0, 1.0, 2.0]]))
    array([[0. , 0.5, 1. ]], dtype=float32)
    """
    positive = np.where(np.isnan(values), 0, np.maximum(values, 0)).astype(np.float32)
    highest = float(positive.max(initial=0))
    if not np.isfinite(highest) or highest <= 0:
        return np.zeros(positive.shape, np.float32)
    return np.asarray(positive / np.float32(highest), dtype=np.float32)


def to_rgb(pixels: Float32) -> Picture:
    """Turn display intensities into a grey picture.

    Args:
        pixels: ``(H, W)`` in [0, 1].

    Returns:
        uint8 ``(H, W, 3)``.
    """
    return np.repeat(to_levels(pixels)[..., None], 3, axis=2)


def colorize(values: npt.NDArray[np.floating], color_map: str = "inferno") -> Picture:
    """Paint an attribution by itself.

    Args:
        values: ``(H, W)``, raw and signed.
        color_map: One of `color_maps.COLOR_MAPS`.

    Returns:
        uint8 ``(H, W, 3)``.
    """
    return color_table(color_map)[to_levels(strength(values))]


def overlay(
    pixels: Float32,
    values: npt.NDArray[np.floating],
    *,
    color_map: str = "inferno",
    opacity: float = 0.65,
    threshold: float = 0.2,
    flat: bool = False,
) -> Picture:
    """Lay an attribution over its radiograph.

    Args:
        pixels: ``(H, W)`` in [0, 1].
        values: ``(H, W)``, raw and signed, on the same grid.
        color_map: One of `color_maps.COLOR_MAPS`.
        opacity: Opacity of the strongest value.
        threshold: Share of the strongest value below which nothing is drawn.
        flat: Whether everything from the threshold on has the full opacity, as published figures
            do; otherwise opacity grows with strength.

    Returns:
        uint8 ``(H, W, 3)``; the plain radiograph where no value is positive.

    Raises:
        ShapeError: The two are not on one grid.
        ConfigError: Opacity or threshold leaves [0, 1].
    """
    if pixels.shape != values.shape or pixels.ndim != 2:
        raise ShapeError(
            f"the radiograph is {pixels.shape} but the attribution is {values.shape}; both must "
            "share one pixel grid. Map the attribution with heatmap_to_source first."
        )
    if not (0 <= opacity <= 1 and 0 <= threshold <= 1):
        raise ConfigError(
            f"opacity is {opacity} and threshold {threshold}; expected 0 to 1 for both."
        )
    scaled = strength(values)
    if not scaled.any():
        return to_rgb(pixels)
    alpha = _alpha(scaled, opacity, threshold, flat=flat)[..., None]
    paint = color_table(color_map)[to_levels(scaled)].astype(np.float32)
    grey = np.clip(pixels, 0, 1)[..., None] * np.float32(255)
    return np.rint(grey * (1 - alpha) + paint * alpha).astype(np.uint8)


def draw_boxes(
    picture: Picture,
    boxes: npt.ArrayLike,
    *,
    labels: Sequence[str] = (),
    color: Color = BOX_COLORS[0],
    width: int | None = None,
) -> Picture:
    """Draw boxes on a picture.

    Args:
        picture: uint8 ``(H, W, 3)``.
        boxes: ``(N, 4)``, ``(x_min, y_min, x_max, y_max)``, half-open, in its pixels.
        labels: A few words for each box, or none.
        color: Of the lines.
        width: Of the lines, in pixels; None: one for each 256 pixels of the longer side.

    Returns:
        A new uint8 ``(H, W, 3)``.

    Raises:
        ShapeError: The boxes are not ``(N, 4)``, or there are not as many labels.
    """
    if np.size(boxes) % 4:
        raise ShapeError(f"boxes are {np.shape(boxes)}; expected (N, 4).")
    corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    if labels and len(labels) != len(corners):
        raise ShapeError(f"there are {len(labels)} labels for {len(corners)} boxes.")
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    width = width or max(1, round(max(picture.shape[:2]) / 256))
    for number, (x_min, y_min, x_max, y_max) in enumerate(corners):
        right, bottom = max(x_max - 1, x_min), max(y_max - 1, y_min)
        pen.rectangle((x_min, y_min, right, bottom), outline=color, width=width)
        if labels:
            _tag(pen, (x_min, y_min), labels[number], color, max(picture.shape[:2]))
    return np.asarray(image)


def with_legend(
    picture: Picture,
    *,
    color_map: str = "inferno",
    threshold: float = 0.2,
    highest: float | None = None,
    title: str = "",
) -> Picture:
    """Set a color bar beside an overlay and a title above it.

    Args:
        picture: uint8 ``(H, W, 3)``.
        color_map: That of the overlay.
        threshold: That of the overlay; below it the bar is grey.
        highest: The attribution's largest raw value, written at the bar's upper end; None: 1.
        title: One line; cut where it is too long.

    Returns:
        A larger uint8 ``(H', W', 3)``.
    """
    height, width = picture.shape[:2]
    size = max(11, round(height / 32))
    head = round(size * 2) if title else 0
    room = round(size * 6.5)
    sheet = Image.new("RGB", (width + room, height + head), _PAPER)
    sheet.paste(Image.fromarray(picture), (0, head))
    pen = ImageDraw.Draw(sheet)
    if title:
        pen.text(
            (size * 0.5, head / 2),
            shorten(title, width + room - size, size),
            _INK,
            font_for(title, size),
            "lm",
        )
    bar = _bar(round(height * 0.6), max(8, round(size * 0.9)), color_map, threshold)
    left, top = width + round(size * 0.8), head + round(height * 0.2)
    sheet.paste(bar, (left, top))
    ends = ((0.0, _short(highest)), (1 - threshold, f"{threshold:.0%}"), (1.0, "0"))
    for place, text in ends if threshold > 0.1 else (ends[0], ends[2]):
        spot = (left + bar.width + size * 0.4, top + place * (bar.height - 1))
        pen.text(spot, text, _INK, font_for(text, size), "lm")
    return np.asarray(sheet)


def shorten(text: str, width: float, size: int) -> str:
    """Cut a line of text to a width, with an ellipsis.

    Args:
        text: The line.
        width: Pixels that there are.
        size: Font size in pixels.
    """
    letters = font_for(text, size)
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _alpha(scaled: Float32, opacity: float, threshold: float, *, flat: bool) -> Float32:
    shown = scaled >= threshold if threshold > 0 else np.ones_like(scaled, bool)
    if flat:
        return np.where(shown, np.float32(opacity), np.float32(0))
    span = max(1 - threshold, 1e-6)
    rise = np.sqrt(np.clip((scaled - threshold) / span, 0, 1))
    return np.asarray(np.where(shown, opacity * rise, 0), dtype=np.float32)


def _bar(height: int, width: int, color_map: str, threshold: float) -> Image.Image:
    share = np.linspace(1, 0, max(height, 2), dtype=np.float32)
    colors = color_table(color_map)[to_levels(share)].copy()
    colors[share < threshold] = (90, 90, 90)
    return Image.fromarray(np.repeat(colors[:, None], width, axis=1))


def _tag(
    pen: ImageDraw.ImageDraw, corner: tuple[float, float], text: str, color: Color, side: int
) -> None:
    size = max(10, round(side / 48))
    letters = font_for(text, size)
    spot = (corner[0], max(corner[1] - size * 1.3, 0))
    left, top, right, bottom = pen.textbbox(spot, text, letters)
    pen.rectangle((left - 2, top - 2, right + 2, bottom + 2), fill=color)
    pen.text(spot, text, (0, 0, 0), letters)


def _short(value: float | None) -> str:
    return "max" if value is None else f"{value:.3g}"
