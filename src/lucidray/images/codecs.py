"""Compressed frames of DICOM files as stored pixel values.

Pillow decodes 8-bit JPEG and JPEG 2000, because it can shrink while loading; imagecodecs
(libjpeg-turbo, CharLS) decodes 12-bit and lossless JPEG and JPEG-LS. Every stream's header is
checked in Python first, and the room for its pixels is made by it.
"""

from __future__ import annotations

from dataclasses import dataclass

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image, Jpeg2KImagePlugin

from lucidray.errors import ImageError
from lucidray.images.jpeg import StreamHeader, read_header
from lucidray.images.raster import draft, load, open_image
from lucidray.images.shrinking import UNSHRUNK, Shrink, largest_factor

Pattern = npt.NDArray[np.unsignedinteger]

JPEG = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
JPEG_LOSSLESS = frozenset({"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"})
JPEG_LS = frozenset({"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"})
JPEG_2000 = frozenset({"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"})

_PROCESSES = {
    **dict.fromkeys(JPEG, ("baseline", "extended")),
    **dict.fromkeys(JPEG_LOSSLESS, ("lossless",)),
    **dict.fromkeys(JPEG_LS, ("ls",)),
    **dict.fromkeys(JPEG_2000, ("2000",)),
}


@dataclass(frozen=True)
class Frame:
    """One decoded frame.

    Args:
        pattern: uint8 or uint16 ``(H, W)``, the bit patterns of the stored values: signed values
            in two's complement of `bits` bits.
        bits: How many low bits of `pattern` count.
        shrink: How much the decoder shrank it.
        lossy: Whether the stream is known to have lost information; None where unknown.
    """

    pattern: Pattern
    bits: int
    shrink: Shrink = UNSHRUNK
    lossy: bool | None = None


def decode_frame(
    stream: bytes, syntax: str, shape: tuple[int, int], shrink_to: int | None
) -> Frame:
    """Decode one compressed frame of one sample a pixel.

    Args:
        stream: The compressed bytes.
        syntax: The DICOM transfer syntax's UID; one of those that this module names.
        shape: ``(height, width)`` that the DICOM header promises.
        shrink_to: The shorter side may become as small as this where the codec can; None: never.

    Raises:
        ImageError: The stream is damaged or truncated, or is not what the header promises.
    """
    header = read_header(stream)
    _check_promise(header, syntax, shape)
    if syntax in JPEG_2000:
        return _jpeg2000(stream, header, shrink_to)
    if syntax in JPEG and header.precision == 8:
        return _jpeg(stream, header, shrink_to)
    return Frame(_whole(stream, header), header.precision, lossy=header.lossy)


def _check_promise(header: StreamHeader, syntax: str, shape: tuple[int, int]) -> None:
    found = (header.height, header.width)
    if found != shape:
        raise ImageError(
            f"damaged file: its header promises {shape[1]} x {shape[0]} pixels but its compressed "
            f"pixels are {found[1]} x {found[0]}."
        )
    if header.process not in _PROCESSES[syntax] or header.components != 1:
        raise ImageError("damaged file: its pixels are not compressed as its header says.")
    if header.precision > 16:
        raise ImageError(
            f"its compressed pixels have {header.precision} bits, which cannot be decoded."
        )


def _jpeg(stream: bytes, header: StreamHeader, shrink_to: int | None) -> Frame:
    image = open_image(stream, "JPEG")
    shrink = draft(image, (header.height, header.width), shrink_to)
    load(image)
    return Frame(np.asarray(image), 8, shrink, lossy=True)


def _jpeg2000(stream: bytes, header: StreamHeader, shrink_to: int | None) -> Frame:
    factor = largest_factor((header.height, header.width), shrink_to)
    halvings = min(factor.bit_length() - 1, header.levels)
    image = _opened(stream, halvings)
    while halvings > 0 and not _decodes(image):
        halvings -= 1
        image = _opened(stream, halvings)
    load(image)
    pattern = _unscaled(np.asarray(image), header)
    scale = 2**halvings
    return Frame(pattern, header.precision, Shrink(scale, 0.5 - 0.5 / scale), header.lossy)


def _opened(stream: bytes, halvings: int) -> Image.Image:
    image = open_image(stream, "JPEG2000")
    if isinstance(image, Jpeg2KImagePlugin.Jpeg2KImageFile):
        image.reduce = halvings
    return image


def _decodes(image: Image.Image) -> bool:
    try:
        load(image)
    except ImageError:
        return False
    return True


def _unscaled(loaded: Pattern, header: StreamHeader) -> Pattern:
    """Undo what Pillow does to JPEG 2000 samples: it lifts signed ones and fills 8 or 16 bits."""
    room = 8 * loaded.dtype.itemsize
    values = np.right_shift(loaded, room - header.precision, dtype=loaded.dtype)
    if header.signed:
        values ^= values.dtype.type(1 << (header.precision - 1))
    return np.asarray(values)


def _whole(stream: bytes, header: StreamHeader) -> Pattern:
    dtype = np.uint8 if header.precision <= 8 else np.uint16
    pattern: Pattern = np.zeros((header.height, header.width), dtype)
    ls = header.process == "ls"
    decode = imagecodecs.jpegls_decode if ls else imagecodecs.jpeg8_decode
    try:
        decode(stream, out=pattern)
    except Exception as error:
        raise ImageError("damaged file: its compressed pixels cannot be decoded.") from error
    return pattern
