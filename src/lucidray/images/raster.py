"""PNG, JPEG and TIFF files as grey pixels."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

from lucidray.errors import ImageError
from lucidray.images.channels import Samples, grey_plane
from lucidray.images.jpeg import read_header
from lucidray.images.png import decode_png, parse_png
from lucidray.images.shrinking import UNSHRUNK, Shrink, largest_factor
from lucidray.records import Bool

#: libpng decodes no side longer than this.
_LONGEST_SIDE = 1_000_000

_BITS_PER_SAMPLE, _COMPRESSION, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 259, 262, 339
_OLD_JPEG, _JPEG = 6, 7


@dataclass(frozen=True)
class Raster:
    """Decoded grey pixels of a picture file.

    Args:
        stored: uint8 or uint16 ``(H, W)``, 0 black.
        white: The stored value of white.
        bits: Bits a sample in the file.
        source_shape: ``(height, width)`` in the file's header.
        shrink: How much the decoder shrank it.
        lossy: Whether it was compressed with loss.
        padding: bool ``(H, W)``, True where fully transparent; None: nowhere.
    """

    stored: Samples
    white: int
    bits: int
    source_shape: tuple[int, int]
    shrink: Shrink = UNSHRUNK
    lossy: bool = False
    padding: Bool | None = None


def read_png(data: bytes, max_pixels: int) -> Raster:
    """Decode a PNG file.

    Args:
        data: The file's bytes.
        max_pixels: More pixels than this are refused before anything is decoded.

    Raises:
        ImageError: It is damaged, truncated, animated, too large or in color.
    """
    png = parse_png(data)
    check_size(png.shape, max_pixels)
    if png.bits == 1:
        raise ImageError(
            "this PNG has 1 bit a pixel: a mask, not a radiograph. Read it with read_mask."
        )
    if png.interlaced or max(png.shape) > _LONGEST_SIDE:
        return _raster(open_image(data, "PNG"), png.bits, png.shape)
    stored, padding = grey_plane(decode_png(png))
    return Raster(stored, np.iinfo(stored.dtype).max, png.bits, png.shape, padding=padding)


def read_jpeg(data: bytes, max_pixels: int, shrink_to: int | None) -> Raster:
    """Decode a JPEG file, shrinking while loading if allowed.

    Args:
        data: The file's bytes.
        max_pixels: More pixels than this are refused before anything is decoded.
        shrink_to: The shorter side may become as small as this; None: no shrinking.

    Raises:
        ImageError: It is damaged, truncated, too large or in color.
    """
    header = read_header(data)
    shape = (header.height, header.width)
    check_size(shape, max_pixels)
    image = open_image(data, "JPEG")
    shrink = draft(image, shape, shrink_to)
    return _raster(image, header.precision, shape, shrink=shrink, lossy=True)


def read_tiff(data: bytes, max_pixels: int) -> Raster:
    """Decode a TIFF file of one page with 8 to 16 unsigned bits a sample.

    Args:
        data: The file's bytes.
        max_pixels: More pixels than this are refused before anything is decoded.

    Raises:
        ImageError: It is damaged, truncated, too large, in color, or of another sample format.
    """
    image = open_image(data, "TIFF")
    shape = (image.height, image.width)
    check_size(shape, max_pixels)
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    bits = _check_tiff(image, tags)
    lossy = tags.get(_COMPRESSION) in {_OLD_JPEG, _JPEG}
    raster = _raster(image, bits, shape, lossy=lossy)
    white_is_zero = tags.get(_PHOTOMETRIC) == 0
    if white_is_zero and image.mode.startswith("I;16"):
        return Raster(
            np.asarray(raster.white - raster.stored, np.uint16), raster.white, bits, shape
        )
    return raster


def check_size(shape: tuple[int, int], max_pixels: int) -> None:
    """Refuse an image whose header promises too many pixels.

    Args:
        shape: ``(height, width)`` in the header.
        max_pixels: The limit.

    Raises:
        ImageError: The header promises more than the limit, or nothing at all.
    """
    height, width = shape
    if height < 1 or width < 1:
        raise ImageError(f"damaged file: its header promises {width} x {height} pixels.")
    if height * width > max_pixels:
        raise ImageError(
            f"its header promises {width} x {height} pixels, more than the {max_pixels:,} that "
            "are decoded. Raise max_pixels if you trust the file."
        )


def open_image(data: bytes, kind: str) -> Image.Image:
    """Open a picture with Pillow, without decoding it yet.

    Args:
        data: The file's bytes.
        kind: Pillow's name of the only format to try.

    Raises:
        ImageError: Pillow cannot read its header, or it holds several pictures.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=[kind])
        frames = getattr(image, "n_frames", 1)
    except Image.DecompressionBombError as error:
        raise ImageError(f"its header promises more pixels than are decoded ({kind}).") from error
    except Exception as error:
        raise ImageError(
            f"damaged {kind} file, or of a rare layout: its header cannot be read."
        ) from error
    if frames != 1:
        raise ImageError(
            f"it holds {frames} pictures; expected one. Save the radiograph as a file of its own."
        )
    return image


def load(image: Image.Image) -> None:
    """Decode an opened picture.

    Raises:
        ImageError: The pixels are truncated or damaged.
    """
    try:
        image.load()
    except Exception as error:
        kind = "truncated" if "truncated" in str(error) else "damaged"
        raise ImageError(
            f"{kind} {image.format or 'image'} file: its pixels cannot be decoded to the end."
        ) from error


def draft(image: Image.Image, shape: tuple[int, int], shrink_to: int | None) -> Shrink:
    """Set a JPEG decoder to the leanest output: luma and chroma untouched, shrunk if allowed.

    Args:
        image: An opened JPEG picture, not yet decoded.
        shape: Its ``(height, width)``.
        shrink_to: The shorter side may become as small as this; None: no shrinking.
    """
    factor = largest_factor(shape, shrink_to)
    stored_as_rgb = image.info.get("adobe_transform") == 0
    mode = "YCbCr" if image.mode == "RGB" and not stored_as_rgb else None
    image.draft(mode, (shape[1] // factor, shape[0] // factor))
    shrunk = (-(-shape[1] // factor), -(-shape[0] // factor))
    return Shrink(factor) if image.size == shrunk else UNSHRUNK


def samples_of(image: Image.Image) -> Samples:
    """Return the samples of a decoded picture.

    Args:
        image: The picture.

    Returns:
        uint8 or uint16 ``(H, W)`` or ``(H, W, channels)``, palettes looked up.

    Raises:
        ImageError: Its samples have no known black and white.
    """
    if image.mode in {"P", "PA"}:
        image = image.convert("RGBA")
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16, copy=False)
    if image.mode not in {"L", "LA", "RGB", "RGBA", "YCbCr"}:
        raise ImageError(
            f"pixels of kind '{image.mode}' have no known black and white; expected 8 or 16 bits "
            "of grey, unsigned."
        )
    return np.asarray(image)


def _raster(
    image: Image.Image,
    bits: int,
    shape: tuple[int, int],
    *,
    shrink: Shrink = UNSHRUNK,
    lossy: bool = False,
) -> Raster:
    load(image)
    stored, padding = grey_plane(samples_of(image), luma=image.mode == "YCbCr")
    white = 2**bits - 1 if stored.dtype == np.uint16 else 255
    return Raster(stored, white, bits, shape, shrink, lossy, padding)


def _check_tiff(image: Image.Image, tags: Any) -> int:
    bits = tuple(tags.get(_BITS_PER_SAMPLE, (1,)))
    formats = set(tags.get(_SAMPLE_FORMAT, (1,)))
    if formats != {1} or max(bits) > 16 or image.mode in {"I", "F"}:
        raise ImageError(
            "this TIFF holds signed, floating or wide samples, whose black and white are not "
            "known; expected 8 or 16 bits, unsigned."
        )
    if max(bits) < 2:
        raise ImageError(
            "this TIFF has 1 bit a pixel: a mask, not a radiograph. Read it with read_mask."
        )
    return int(max(bits))
