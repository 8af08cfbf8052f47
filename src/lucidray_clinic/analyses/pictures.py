"""Pictures of films for pages and reports: plain, with a map, with boxes; reduced, as JPEG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.conf import settings
from django.utils.translation import gettext
from PIL import Image

from lucidray.images import draw_boxes, overlay, read_xray, to_rgb, with_legend
from lucidray.images.lettering import can_write
from lucidray.images.render import Picture
from lucidray.images.resample import resample
from lucidray.records import Float32
from lucidray_clinic.analyses.maps import attribution_of
from lucidray_clinic.analyses.models import Reading
from lucidray_clinic.cases import storage
from lucidray_clinic.cases.models import Instance

#: Longest side of a picture in pixels.
SIDE = 1000

#: How maps are colored; the viewer's default too.
COLOR_MAP = "inferno"


@dataclass(frozen=True)
class Drawn:
    """A box on a picture.

    Args:
        corners: Left, top, right, bottom in the film's pixels.
        label: A few words.
    """

    corners: Sequence[float]
    label: str


def film_picture(
    film: Instance,
    *,
    reading: Reading | None = None,
    finding: str = "",
    boxes: Sequence[Drawn] = (),
    side: int = SIDE,
) -> bytes:
    """Draw a film.

    Args:
        film: The film.
        reading: Whose map is laid over it; None: none.
        finding: Of which finding.
        boxes: Boxes to draw.
        side: Longest side in pixels.

    Returns:
        A JPEG without any tag of the film.
    """
    picture = film_pixels(film, reading=reading, finding=finding, boxes=boxes, side=side)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def film_pixels(
    film: Instance,
    *,
    reading: Reading | None = None,
    finding: str = "",
    boxes: Sequence[Drawn] = (),
    side: int = SIDE,
) -> Picture:
    """Draw a film; else as `film_picture`.

    Args:
        film: The film.
        reading: Whose map is laid over it; None: none.
        finding: Of which finding.
        boxes: Boxes to draw.
        side: Longest side in pixels.

    Returns:
        uint8 ``(H, W, 3)``.
    """
    xray = read_xray(storage.file_path(film.pk), max_pixels=settings.MAX_PIXELS)
    height, width = xray.geometry.source_shape
    scale = min(1.0, side / max(height, width))
    shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    pixels = np.clip(resample(xray.pixels, shape), 0, 1)
    picture = to_rgb(pixels)
    if reading is not None:
        picture = _with_map(pixels, reading, finding)
    if boxes:
        corners = [[each * scale for each in one.corners] for one in boxes]
        picture = draw_boxes(picture, corners, labels=[one.label for one in boxes])
    if reading is not None:
        picture = with_legend(picture, color_map=COLOR_MAP, title=label_of(finding))
    return picture


def label_of(finding: str) -> str:
    """Return what a picture calls a finding: in the reader's language where it can be written.

    Args:
        finding: Its canonical name.
    """
    told = gettext(finding)
    return told if can_write(told) else finding


def _with_map(pixels: Float32, reading: Reading, finding: str) -> np.ndarray:
    attribution = attribution_of(reading, finding)
    if attribution.status != "ok":
        return to_rgb(pixels)
    values = np.nan_to_num(attribution.values)
    small = resample(values.astype(np.float32), (pixels.shape[0], pixels.shape[1]))
    return overlay(pixels, small, color_map=COLOR_MAP)
