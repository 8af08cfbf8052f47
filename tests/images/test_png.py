"""PNG files of every kind: exact on written ones, Pillow's answer on others."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lucidray.errors import ImageError
from lucidray.images.read import decode_xray

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + zlib.crc32(kind + body).to_bytes(4)


def packed(row: npt.NDArray[Any], bits: int) -> bytes:
    """One unfiltered row."""
    if bits >= 8:
        return b"\0" + row.astype(">u2" if bits == 16 else "u1").tobytes()
    places = (row.reshape(-1, 1) >> np.arange(bits)[::-1]) & 1
    return b"\0" + np.packbits(places.ravel().astype(np.uint8)).tobytes()


def png(
    samples: npt.NDArray[Any], bits: int, color: int, *, extra: bytes = b"", rows: bytes = b""
) -> bytes:
    """A PNG file of given samples; ``rows`` replaces them by interlaced ones."""
    height, width = samples.shape[:2]
    body = rows or b"".join(packed(row, bits) for row in samples)
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, int(bool(rows)))
    pixels = chunk(b"IDAT", zlib.compress(body))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + pixels + chunk(b"IEND", b"")


@settings(max_examples=50, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    bits=st.sampled_from([2, 4, 8, 16]),
    seed=st.integers(0, 99),
)
def test_grey_is_exact(shape: tuple[int, int], bits: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 2**bits, shape)
    xray = decode_xray(png(values, bits, GREY))
    np.testing.assert_allclose(xray.pixels, values / (2**bits - 1), atol=1e-7)
    assert (xray.source_bits, xray.padding) == (bits, None)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("color", [RGB, GREY_ALPHA, RGB_ALPHA])
def test_grey_in_several_channels_keeps_all_bits(bits: int, color: int, rng: Any) -> None:
    grey = rng.integers(0, 2**bits, (31, 17))
    white = np.full_like(grey, 2**bits - 1)
    planes = {RGB: [grey] * 3, GREY_ALPHA: [grey, white], RGB_ALPHA: [grey] * 3 + [white]}[color]
    xray = decode_xray(png(np.stack(planes, axis=-1), bits, color))
    np.testing.assert_allclose(xray.pixels, grey / (2**bits - 1), atol=1e-7)
    assert xray.padding is None


@pytest.mark.parametrize("bits", [8, 16])
def test_transparency_lets_black_through(bits: int, rng: Any) -> None:
    white = 2**bits - 1
    grey, alpha = rng.integers(0, 2**bits, (2, 31, 17))
    alpha[:3] = 0
    xray = decode_xray(png(np.stack([grey, alpha], axis=-1), bits, GREY_ALPHA))
    np.testing.assert_allclose(xray.pixels, grey / white * (alpha / white), atol=0.501 / white)
    np.testing.assert_array_equal(xray.padding, alpha == 0)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_transparent_level_is_padding(bits: int) -> None:
    levels = np.arange(30).reshape(5, 6)
    xray = decode_xray(png(levels, bits, GREY, extra=chunk(b"tRNS", b"\0\x07")))
    np.testing.assert_array_equal(xray.padding, levels == 7)
    expected = np.where(levels == 7, 0, levels) / (2**bits - 1)
    np.testing.assert_allclose(xray.pixels, expected, atol=1e-7)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_grey_palettes(bits: int, rng: Any) -> None:
    levels = rng.integers(0, 256, 2**bits)
    places = rng.integers(0, 2**bits, (9, 11))
    table = chunk(b"PLTE", np.repeat(levels, 3).astype(np.uint8).tobytes())
    xray = decode_xray(png(places, bits, PALETTE, extra=table))
    np.testing.assert_allclose(xray.pixels, levels[places] / 255, atol=1e-7)


@pytest.mark.parametrize(("bits", "spread"), [(8, 12), (16, 12 * 257)])
def test_nearly_grey_is_brightness_and_color_is_refused(bits: int, spread: int, rng: Any) -> None:
    white = 2**bits - 1
    rgb = np.repeat(rng.integers(spread + 300 % white, white // 2, (20, 20, 1)), 3, axis=2)
    rgb[4, 5, 0] += spread
    rgb[6, 7, 2] -= spread
    xray = decode_xray(png(rgb, bits, RGB))
    expected = rgb @ [0.299, 0.587, 0.114] / white
    np.testing.assert_allclose(xray.pixels, expected, atol=1 / white)
    if bits == 8:
        theirs = Image.open(io.BytesIO(png(rgb, bits, RGB))).convert("L")
        np.testing.assert_allclose(xray.pixels * 255, np.asarray(theirs), atol=1e-4)
    rgb[4, 5, 0] += max(1, white // 255)
    with pytest.raises(ImageError, match="differ by up to 13 of 255 levels"):
        decode_xray(png(rgb, bits, RGB))


def test_interlaced_files(capfd: pytest.CaptureFixture[str], rng: Any) -> None:
    levels = rng.integers(0, 256, (8, 8))
    parts = [levels[top::down, left::across] for top, left, down, across in _PASSES]
    rows = b"".join(packed(row, 8) for part in [*parts, levels[1::2]] for row in part)
    xray = decode_xray(png(levels, 8, GREY, rows=rows))
    np.testing.assert_allclose(xray.pixels, levels / 255, atol=1e-7)
    assert capfd.readouterr().err == ""


def test_a_side_of_more_than_a_million() -> None:
    levels = np.zeros((1, 1_000_003), np.uint8)
    levels[0, -1] = 255
    pixels = decode_xray(png(levels, 8, GREY)).pixels
    assert pixels.shape == (1, 1_000_003)
    assert (pixels[0, -1], pixels.sum()) == (1, 1)


def test_remarks_of_other_programs_are_ignored_without_a_word(rng: Any) -> None:
    levels = rng.integers(0, 256, (5, 6))
    profile = chunk(b"iCCP", b"bad\0\0" + zlib.compress(b"no profile"))
    remarks = profile + chunk(b"gAMA", (45455).to_bytes(4)) + chunk(b"tEXt", b"Comment\0x" * 9)
    data = png(levels, 8, GREY, extra=remarks)
    code = (
        "import sys; from lucidray.images import decode_xray\n"
        "print((decode_xray(sys.stdin.buffer.read()).pixels * 255).round().astype(int).tolist())"
    )
    found = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True)
    assert found.stderr == b""
    assert found.stdout.decode().strip() == str(levels.tolist())


def test_missing_and_damaged_pixels_with_right_checksums_are_refused(rng: Any) -> None:
    levels = rng.integers(0, 256, (50, 60))
    whole = png(levels, 8, GREY)
    start = whole.find(b"IDAT")
    packed_rows = zlib.decompress(whole[start + 4 : -16])
    broken = bytearray(whole[start + 4 : -16])
    broken[20:60] = bytes(40)
    for body in (zlib.compress(packed_rows[:-1]), zlib.compress(b""), bytes(broken)):
        with pytest.raises(ImageError, match="damaged"):
            decode_xray(whole[: start - 4] + chunk(b"IDAT", body) + chunk(b"IEND", b""))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_damaged_files_with_right_checksums_are_decoded_or_refused(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bits, color = ((8, GREY), (16, GREY), (8, RGB), (4, GREY))[seed % 4]
    values = rng.integers(0, 2**bits, (12, 13, 3) if color == RGB else (12, 13))
    whole = png(np.repeat(values[..., :1], 3, 2) if color == RGB else values, bits, color)
    start = whole.find(b"IDAT")
    header, body = bytearray(whole[16:29]), bytearray(whole[start + 4 : -16])
    for _ in range(2):
        header[rng.integers(8, 13)] = rng.integers(20)
        body[rng.integers(len(body))] = rng.integers(256)
    data = whole[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    try:
        xray = decode_xray(data)
    except ImageError:
        return
    assert xray.pixels.shape == (12, 13)
