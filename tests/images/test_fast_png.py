"""The optional PNG decoder gives what Pillow gives."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from lucidray.errors import ImageError
from lucidray.images import fast_png
from lucidray.images.read import decode_xray


def png(pixels: npt.NDArray[Any], **options: Any) -> bytes:
    """The bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


@pytest.fixture(params=["with", "without"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With imagecodecs and without it."""
    if request.param == "with":
        pytest.importorskip("imagecodecs")
    else:
        monkeypatch.setattr(fast_png, "_decode", None)
    return str(request.param)


@pytest.mark.parametrize("kind", ["u1", "u2"])
@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (300, 7)])
def test_the_same_pixels(decoder: str, kind: str, shape: tuple[int, int], rng: Any) -> None:
    white = np.iinfo(kind).max
    pixels = rng.integers(0, white, shape, endpoint=True).astype(kind)
    xray = decode_xray(png(pixels))
    np.testing.assert_allclose(xray.pixels, pixels / white, atol=1e-7)
    assert xray.source_bits == 8 * pixels.dtype.itemsize


def test_two_and_four_bits(decoder: str) -> None:
    levels = np.arange(4, dtype=np.uint8).reshape(2, 2)
    image = Image.fromarray(levels)
    image.putpalette([value for level in (0, 85, 170, 255) for value in (level,) * 3])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", bits=2)
    np.testing.assert_allclose(decode_xray(buffer.getvalue()).pixels * 3, levels, atol=1e-6)


def test_damaged_pixels_with_right_checksums_are_refused(decoder: str, rng: Any) -> None:
    data = png(rng.integers(0, 255, (50, 60)).astype("u1"))
    start = data.find(b"IDAT")
    length = int.from_bytes(data[start - 4 : start])
    body = bytearray(data[start : start + 4 + length])
    body[20:60] = bytes(40)
    broken = data[:start] + bytes(body) + zlib.crc32(body).to_bytes(4) + data[start + 8 + length :]
    with pytest.raises(ImageError, match="damaged"):
        decode_xray(broken)
