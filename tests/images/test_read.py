"""Picture files of every kind, and everything that is refused."""

from __future__ import annotations

import hashlib
import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from lucidray.errors import ImageError, ShapeError
from lucidray.images.read import decode_xray, read_mask, read_xray, xray_from_array


def packed(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def grey(film: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The film in 8 bits."""
    return np.rint(film * 255).astype(np.uint8)


@pytest.fixture
def deep(film: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """The film in 16 bits."""
    return np.rint(film * 65535).astype(np.uint16)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_in_any_mode(grey: npt.NDArray[Any], mode: str, kind: str) -> None:
    xray = decode_xray(packed(Image.fromarray(grey).convert(mode), kind))
    np.testing.assert_allclose(xray.pixels, grey / 255, atol=1e-7)
    assert (xray.file_format, xray.lossy, xray.padding) == (kind.lower(), False, None)
    assert xray.geometry.matrix == ((1, 0, 0), (0, 1, 0))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits(deep: npt.NDArray[Any], kind: str) -> None:
    xray = decode_xray(packed(Image.fromarray(deep), kind))
    np.testing.assert_allclose(xray.pixels, deep / 65535, atol=1e-7)
    assert xray.source_bits == 16


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("depth", ["u1", "u2"])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_tiffs_of_another_writer(
    film: npt.NDArray[Any],
    photometric: str,
    order: str,
    depth: str,
    compression: str | None,
) -> None:
    white = 255 if depth == "u1" else 65535
    stored = np.rint(film * white).astype(depth)
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, stored, photometric=photometric, byteorder=order, compression=compression
    )
    if (order, depth, photometric) == (">", "u2", "miniswhite"):  # Pillow cannot read these
        with pytest.raises(ImageError, match="rare layout"):
            decode_xray(buffer.getvalue())
        return
    expected = stored / white if photometric == "minisblack" else 1 - stored / white
    np.testing.assert_allclose(decode_xray(buffer.getvalue()).pixels, expected, atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg(grey: npt.NDArray[Any], mode: str) -> None:
    data = packed(Image.fromarray(grey).convert(mode), "JPEG", quality=92)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("L")) / 255
    xray = decode_xray(data)
    np.testing.assert_allclose(xray.pixels, expected, atol=1e-7)
    assert (xray.file_format, xray.lossy, xray.source_bits) == ("jpeg", True, 8)


def test_transparent_pixels_are_padding(grey: npt.NDArray[Any]) -> None:
    alpha = np.full_like(grey, 255)
    alpha[:10] = 0
    xray = decode_xray(packed(Image.merge("LA", [*map(Image.fromarray, (grey, alpha))]), "PNG"))
    assert xray.padding is not None
    np.testing.assert_array_equal(xray.padding, alpha == 0)
    np.testing.assert_allclose(xray.pixels[10:], grey[10:] / 255, atol=1e-7)
    assert (xray.pixels[:10] == 0).all()


def test_the_kind_is_told_from_the_bytes(grey: npt.NDArray[Any], tmp_path: Path) -> None:
    data = packed(Image.fromarray(grey), "PNG")
    path = tmp_path / "film.dcm"
    path.write_bytes(data)
    xray = read_xray(path)
    assert xray.file_format == "png"
    assert xray.sha256 == hashlib.sha256(data).hexdigest()


@settings(max_examples=50, deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    shrink_to=st.integers(1, 200),
)
@example(height=5, width=5, shrink_to=1)
def test_jpegs_shrink_no_further_than_allowed(height: int, width: int, shrink_to: int) -> None:
    row = np.linspace(0, 255, width)
    data = packed(Image.fromarray(np.tile(row, (height, 1)).astype("u1")), "JPEG", quality=95)
    xray = decode_xray(data, shrink_to=shrink_to)
    assert min(xray.pixels.shape) >= min(shrink_to, height, width)
    assert xray.geometry.source_shape == (height, width)
    factor = 1 / xray.geometry.matrix[0][0]
    assert xray.pixels.shape == (-(-height // factor), -(-width // factor))
    allowed = [f for f in (1, 2, 4, 8) if min(height, width) // f >= shrink_to]
    assert factor == max(allowed, default=1)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_color_pictures_are_refused(grey: npt.NDArray[Any], kind: str) -> None:
    tinted = np.stack([grey, grey // 2 + 60, grey], axis=-1)
    with pytest.raises(ImageError, match="color picture"):
        decode_xray(packed(Image.fromarray(tinted), kind))


def test_palettes_with_colors_are_refused(grey: npt.NDArray[Any]) -> None:
    tinted = Image.fromarray(np.stack([grey, grey // 2 + 60, grey], axis=-1))
    with pytest.raises(ImageError, match="color picture"):
        decode_xray(packed(tinted.quantize(32), "PNG"))


def test_nearly_grey_is_grey(grey: npt.NDArray[Any]) -> None:
    tinted = np.stack([grey, grey, np.minimum(grey.astype(int) + 5, 255).astype("u1")], axis=-1)
    assert decode_xray(packed(Image.fromarray(tinted), "PNG")).pixels.shape == grey.shape


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_truncated_files_are_refused(grey: npt.NDArray[Any], kind: str) -> None:
    options = {"compression": "tiff_deflate"} if kind == "TIFF" else {}
    data = packed(Image.fromarray(grey), kind, **options)
    for share in (0.1, 0.3, 0.5, 0.7, 0.9, 0.97):
        with pytest.raises(ImageError, match=r"truncated|damaged"):
            decode_xray(data[: int(len(data) * share)])
    with pytest.raises(ImageError):
        decode_xray(data[:-2])


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(["PNG", "JPEG"]))
def test_damaged_files_are_read_or_refused_but_never_crash(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    picture = Image.fromarray(rng.integers(0, 255, (40, 50)).astype("u1"))
    data = bytearray(packed(picture, kind))
    for place in rng.integers(2, len(data), 8):
        data[place] = rng.integers(256)
    try:
        decode_xray(bytes(data), max_pixels=10**6)
    except ImageError:
        return
    assert kind == "JPEG"  # a PNG's checksums find every damage


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"hello, world", "not an image"),
        (b"GIF89a" + bytes(99), "GIF"),
        (b"%PDF-1.7" + bytes(99), "PDF"),
        (b"PK\3\4" + bytes(99), "ZIP"),
        (b"<html>", "web page"),
        (b"\0\0\0\x0cjP  " + bytes(99), "JPEG 2000"),
        (bytes(500), "not an image"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (b"\xff\xd8\xff\xd9", "truncated"),
        (b"II*\0", "damaged"),
        (bytes(128) + b"DICM", "does not say"),
        (b"\x08\0" + bytes(99), "does not say"),
    ],
)
def test_what_is_no_radiograph_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=message) as caught:
        read_xray(path)
    assert str(path) in str(caught.value)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        read_xray(tmp_path / "none.png")
    with pytest.raises(ImageError, match="folder"):
        read_xray(tmp_path)


def test_sizes_are_checked_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def bomb(kind: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + bomb(b"IHDR", header)
    data += bomb(b"IDAT", zlib.compress(bytes(1000))) + bomb(b"IEND", b"")
    with pytest.raises(ImageError, match="100000 x 100000 pixels"):
        decode_xray(data)
    for kind in ("PNG", "JPEG", "TIFF"):
        picture = packed(Image.new("L", (30, 40)), kind)
        with pytest.raises(ImageError, match="30 x 40 pixels, more than"):
            decode_xray(picture, max_pixels=1199)
        assert decode_xray(picture, max_pixels=1200).pixels.shape == (40, 30)


def test_several_pages_and_odd_samples_are_refused(grey: npt.NDArray[Any]) -> None:
    page = Image.fromarray(grey)
    with pytest.raises(ImageError, match="2 pictures"):
        decode_xray(packed(page, "TIFF", save_all=True, append_images=[page]))
    with pytest.raises(ImageError, match="animated"):
        decode_xray(packed(page, "PNG", save_all=True, append_images=[page.rotate(180)]))
    for kind in ("f4", "i2", "u4"):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, grey.astype(kind))
        with pytest.raises(ImageError, match="signed, floating or wide"):
            decode_xray(buffer.getvalue())
    for kind_name in ("PNG", "TIFF"):
        with pytest.raises(ImageError, match="1 bit"):
            decode_xray(packed(page.convert("1"), kind_name))


def test_masks(tmp_path: Path, grey: npt.NDArray[Any]) -> None:
    page = Image.fromarray(grey)
    one_bit = tmp_path / "mask.png"
    page.point(lambda v: 255 * (v > 99)).convert("1").save(one_bit)
    np.testing.assert_array_equal(read_mask(one_bit), grey > 99)
    page.save(one_bit)
    np.testing.assert_array_equal(read_mask(one_bit), grey > 127)
    with pytest.raises(ImageError, match="no such file"):
        read_mask(tmp_path / "none.png")


def test_masks_are_not_dicom(make_dicom: Callable[..., Path]) -> None:
    with pytest.raises(ImageError, match="expected a mask"):
        read_mask(make_dicom(np.zeros((4, 4), "u1")))


def test_arrays_as_radiographs(grey: npt.NDArray[Any], deep: npt.NDArray[Any]) -> None:
    np.testing.assert_allclose(xray_from_array(grey).pixels, grey / 255, atol=1e-7)
    np.testing.assert_allclose(xray_from_array(deep).pixels, deep / 65535, atol=1e-7)
    np.testing.assert_allclose(xray_from_array(deep / 65535).pixels, deep / 65535, atol=1e-7)
    for wrong in (np.zeros((2, 2, 3), "u1"), np.full((2, 2), 1.5), np.zeros((2, 2), "i4")):
        with pytest.raises(ShapeError):
            xray_from_array(wrong)


@pytest.mark.data
def test_every_kind_of_real_file_is_read(real_data: Path) -> None:
    folders = ["pediatric_pneumonia", "chest_multiclass", "nih_chestxray14_subset", "lung_masks"]
    for folder in folders:
        path = next((real_data / folder).rglob("*.jpg"), None) or next(
            (real_data / folder).rglob("*.jpeg")
        )
        xray = read_xray(path)
        assert xray.pixels.std() > 0.05
        expected = np.asarray(Image.open(path).convert("L")) / 255
        assert np.abs(xray.pixels - expected).max() <= 1.01 / 255


def test_reading_needs_nothing_beyond_the_base_install(
    grey: npt.NDArray[Any], make_dicom: Callable[..., Path], tmp_path: Path
) -> None:
    syntaxes = [f"1.2.840.10008.1.2.4.{number}" for number in (50, 57, 70, 80, 90)]
    paths = [make_dicom(grey, syntax, name=f"{syntax}.dcm") for syntax in syntaxes]
    for kind in ("png", "jpeg", "tiff"):
        Image.fromarray(grey).save(tmp_path / f"film.{kind}")
        paths.append(tmp_path / f"film.{kind}")
    code = (
        "import sys\n"
        "extras = {'scipy', 'pandas', 'torch', 'matplotlib', 'gdcm', 'sklearn', 'skimage', 'cv2'}\n"
        "sys.modules.update(dict.fromkeys(extras))\n"
        "from lucidray.images import *\n"
        "for path in sys.argv[1:]:\n"
        "    pixels, geometry = preprocess(read_xray(path), Preprocessing(contrast='clahe'))\n"
        "    heatmap_to_source(pixels[0], geometry)\n"
        "    boxes_of(pixels[0] > 0.5)\n"
        "print(len(sys.argv) - 1, [name for name in extras if sys.modules[name]])\n"
    )
    command = [sys.executable, "-c", code, *map(str, paths)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.stderr == ""
    assert found.stdout.strip() == "8 []"
