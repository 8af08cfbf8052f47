"""Small pictures for the audit's page, each a data URI."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from lucidray.errors import LucidRayError
from lucidray.images.read import read_xray

#: Longer side of a picture on the page, in pixels.
SIDE = 176

Box = tuple[float, float, float, float]


def picture(path: Path, boxes: Sequence[Box] = (), *, side: int = SIDE) -> str:
    """Return an image as a small JPEG in a data URI.

    Args:
        path: The file.
        boxes: Boxes to draw, on source pixels; parts outside the image are not drawn.
        side: Longer side of the picture in pixels.

    Returns:
        The URI; ``""`` where the file cannot be read.
    """
    try:
        pixels = read_xray(path).pixels
    except (LucidRayError, OSError):
        return ""
    image = Image.fromarray(np.rint(pixels * 255).astype(np.uint8))
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, Image.Resampling.LANCZOS)
    return _data_uri(_with_boxes(small, boxes, scale) if boxes else small)


def _with_boxes(image: Image.Image, boxes: Sequence[Box], scale: float) -> Image.Image:
    colored = image.convert("RGB")
    pencil = ImageDraw.Draw(colored)
    for box in boxes:
        if not np.isfinite(box).all():
            continue
        left, right = sorted((box[0] * scale, box[2] * scale))
        top, bottom = sorted((box[1] * scale, box[3] * scale))
        pencil.rectangle((left, top, right, bottom), outline=(240, 160, 92), width=2)
    return colored


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


class Album:
    """Pictures by the names that an audit gives to images, each made once.

    Args:
        files: The file of each name.
        boxes: Boxes to draw on each image.
    """

    def __init__(self, files: Mapping[str, Path], boxes: Mapping[str, Sequence[Box]]) -> None:
        self._files = files
        self._boxes = boxes
        self._made: dict[tuple[str, bool], str] = {}

    def __call__(self, name: str, boxes: bool = False) -> str:
        """Return the picture of an image, with its boxes where asked; ``""`` where unreadable."""
        key = (name, boxes)
        if key not in self._made:
            drawn = self._boxes.get(name, ()) if boxes else ()
            self._made[key] = picture(self._files[name], drawn) if name in self._files else ""
        return self._made[key]
