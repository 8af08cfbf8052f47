"""Pictures side by side, and pictures as PNG files."""

from __future__ import annotations

import io
import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from lucidray.errors import DataError, ShapeError
from lucidray.images.lettering import font_for
from lucidray.images.render import Picture, shorten

_INK, _PAPER, _GAP = (235, 235, 235), (18, 18, 18), 6


def contact_sheet(
    pictures: Sequence[Picture],
    captions: Sequence[str] = (),
    *,
    columns: int = 6,
    tile: int = 224,
    title: str = "",
) -> Picture:
    """Set pictures in a grid.

    Args:
        pictures: uint8 ``(H, W)`` or ``(H, W, 3)`` each, of any size; each is fitted to its tile.
        captions: One line for each, cut where it is too long; or none.
        columns: Tiles a row.
        tile: Side of a tile in pixels.
        title: One line above all; or none.

    Returns:
        uint8 ``(H, W, 3)``.

    Raises:
        ShapeError: There are no pictures, not as many captions, or one is no picture.
    """
    if not pictures or (captions and len(captions) != len(pictures)):
        raise ShapeError(
            f"a contact sheet needs pictures and as many captions or none; came {len(pictures)} "
            f"pictures and {len(captions)} captions."
        )
    size = min(max(11, tile // 18), 15)
    foot, head = (round(size * 1.7) if captions else 0), (round(size * 2.4) if title else 0)
    across = max(1, min(columns, len(pictures)))
    step_x, step_y = tile + _GAP, tile + foot + _GAP
    rows = math.ceil(len(pictures) / across)
    sheet = Image.new("RGB", (across * step_x + _GAP, head + rows * step_y + _GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    if title:
        line = shorten(title, sheet.width - 2 * _GAP, size + 3)
        pen.text((_GAP * 2, head / 2 + 2), line, _INK, font_for(line, size + 3), "lm")
    for number, picture in enumerate(pictures):
        left, top = _GAP + number % across * step_x, head + _GAP + number // across * step_y
        small = _fit(picture, tile)
        sheet.paste(small, (left + (tile - small.width) // 2, top + (tile - small.height) // 2))
        if captions:
            line = shorten(captions[number], tile, size)
            pen.text((left + 2, top + tile + foot / 2), line, _INK, font_for(line, size), "lm")
    return np.asarray(sheet)


def encode_png(picture: Picture) -> bytes:
    """Return a picture as the bytes of a PNG file.

    Args:
        picture: uint8 ``(H, W)`` or ``(H, W, 3)``.

    Raises:
        ShapeError: It is no such array.
    """
    buffer = io.BytesIO()
    _image(picture).save(buffer, "PNG")
    return buffer.getvalue()


def save_png(picture: Picture, path: str | Path) -> Path:
    """Write a picture as a PNG file, whole or not at all.

    Args:
        picture: uint8 ``(H, W)`` or ``(H, W, 3)``.
        path: The file; its folder is made if absent.

    Returns:
        The path.

    Raises:
        DataError: It cannot be written.
    """
    path = Path(path)
    data = encode_png(picture)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(path, data)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}).") from error
    return path


def _write_whole(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        draft.chmod(0o644)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _fit(picture: Picture, tile: int) -> Image.Image:
    image = _image(picture).convert("RGB")
    scale = tile / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)


def _image(picture: Picture) -> Image.Image:
    grey, color = picture.ndim == 2, picture.ndim == 3 and picture.shape[2] == 3
    if picture.dtype != np.uint8 or not (grey or color) or picture.size == 0:
        raise ShapeError(
            f"the picture is {picture.dtype} {picture.shape}; expected uint8 (H, W) or (H, W, 3)."
        )
    return Image.fromarray(np.ascontiguousarray(picture))
