"""PNG files: their chunks checked in Python, their samples decoded by libpng."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import imagecodecs
import numpy as np

from lucidray.errors import ImageError
from lucidray.images.channels import Samples

_NEEDED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})


@dataclass(frozen=True)
class Png:
    """A whole PNG file of one picture.

    Args:
        shape: ``(height, width)``.
        bits: Bits a sample, or of an index into the palette.
        interlaced: Whether its rows come in several passes.
        chunks: The file, without the chunks that say nothing of its pixels.
    """

    shape: tuple[int, int]
    bits: int
    interlaced: bool
    chunks: bytes


def parse_png(data: bytes) -> Png:
    """Check that a PNG file is whole, and read its header.

    Args:
        data: The file's bytes.

    Raises:
        ImageError: It is damaged, truncated or animated.
    """
    position, kept, kinds = 8, [data[:8]], set()
    while position + 12 <= len(data):
        kind = data[position + 4 : position + 8]
        end = position + 12 + _number(data[position : position + 4])
        if end > len(data):
            break
        if zlib.crc32(memoryview(data)[position + 4 : end - 4]) != _number(data[end - 4 : end]):
            raise ImageError("damaged PNG file: a checksum does not fit.")
        kinds.add(kind)
        if kind in _NEEDED:
            kept.append(data[position:end])
        if kind == b"IEND":
            return _header(data, kinds, b"".join(kept))
        position = end
    raise ImageError("truncated PNG file: it ends before its end marker.")


def decode_png(png: Png) -> Samples:
    """Decode the samples of a PNG file that is not interlaced.

    Args:
        png: The file; its dimensions checked.

    Returns:
        uint8, or of 16 bits uint16, ``(H, W)`` or ``(H, W, channels)``: fewer than 8 bits spread
        over 8, palettes looked up, a transparent color as an alpha channel.

    Raises:
        ImageError: The pixels are damaged.
    """
    try:
        samples = imagecodecs.png_decode(png.chunks)
    except Exception as error:
        raise ImageError("damaged PNG file: its pixels cannot be decoded to the end.") from error
    if samples.shape[:2] != png.shape or samples.dtype not in (np.uint8, np.uint16):
        raise ImageError("damaged PNG file: its pixels are not what its header promises.")
    return samples


def _header(data: bytes, kinds: set[bytes], chunks: bytes) -> Png:
    if data[12:16] != b"IHDR" or _number(data[8:12]) != 13 or b"IDAT" not in kinds:
        raise ImageError("damaged PNG file: it has no header or no pixels.")
    if b"acTL" in kinds:
        raise ImageError("an animated PNG; expected one picture.")
    return Png((_number(data[20:24]), _number(data[16:20])), data[24], data[28] != 0, chunks)


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big")
