"""Films of every kind that the viewer reads, each with what Python makes of it."""

from __future__ import annotations

import importlib.util
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.sequence import Sequence

ROOT = Path(__file__).resolve().parents[3]
JPEG = "1.2.840.10008.1.2.4."
SYNTAXES = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "big": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
    "rle": "1.2.840.10008.1.2.5",
    "baseline": JPEG + "50",
    "extended": JPEG + "51",
    "lossless14": JPEG + "57",
    "lossless": JPEG + "70",
    "ls": JPEG + "80",
    "nearls": JPEG + "81",
    "j2k": JPEG + "90",
    "j2kloss": JPEG + "91",
}
WINDOW = {"WindowCenter": 1800.5, "WindowWidth": 2300}


def _neighbor(path: str) -> Any:
    """The makers of DICOM files that the tests of images use."""
    spec = importlib.util.spec_from_file_location("image_fixtures", ROOT / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def picture(shape: tuple[int, int] = (61, 83)) -> npt.NDArray[np.float64]:
    """A smooth, noisy, asymmetric picture in [0, 1] that touches 0 and 1."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]] / max(shape)
    values = np.sin(5 * x + 2 * y) + np.cos(7 * y) + 0.02 * rng.standard_normal(x.shape)
    return np.asarray((values - values.min()) / np.ptp(values))


def stored(bits: int, kind: str) -> npt.NDArray[Any]:
    """The picture over all values of so many bits."""
    low = -(2 ** (bits - 1)) if kind.startswith("i") else 0
    return (np.rint(picture() * (2**bits - 1)) + low).astype(kind)


def lut(first: int, entries: npt.NDArray[Any], bits: int) -> Sequence:
    """A look-up table sequence of one item."""
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 65536, first, bits]
    item.LUTData = entries.astype("u2").tolist()
    item["LUTDescriptor"].VR = "US" if first >= 0 else "SS"
    item["LUTData"].VR = "US"
    return Sequence([item])


def curve(count: int, bits: int) -> npt.NDArray[Any]:
    """The entries of an S-shaped table."""
    place = np.linspace(-4, 4, count)
    return np.rint((2**bits - 1) / (1 + np.exp(-place)))


def dicom_variants() -> Iterator[tuple[str, npt.NDArray[Any], str, dict[str, Any]]]:
    """Name, stored values, transfer syntax, attributes."""
    for name in (
        "implicit",
        "explicit",
        "big",
        "deflated",
        "rle",
        "lossless14",
        "lossless",
        "ls",
        "j2k",
    ):
        for bits, kind in ((8, "u1"), (12, "u2"), (16, "u2"), (12, "i2"), (16, "i2")):
            yield f"{name}_{bits}{kind[0]}", stored(bits, kind), name, {"BitsStored": bits}
    for name, bits in (
        ("baseline", 8),
        ("extended", 8),
        ("extended", 12),
        ("nearls", 12),
        ("j2kloss", 12),
    ):
        kind = "u1" if bits == 8 else "u2"
        yield f"{name}_{bits}_lossy", stored(bits, kind), name, {"BitsStored": bits}
    wide, signed = stored(12, "u2"), stored(12, "i2")
    for function in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        yield function, wide, "explicit", {**WINDOW, "BitsStored": 12, "VOILUTFunction": function}
        rescaled = {"BitsStored": 12, "RescaleSlope": 0.5, "RescaleIntercept": -100.25}
        window = {"WindowCenter": [-200, 3], "WindowWidth": [700, 5], "VOILUTFunction": function}
        yield f"{function}_signed", signed, "implicit", {**rescaled, **window}
    base = {"BitsStored": 12}
    yield "narrow_window", wide, "explicit", {**base, "WindowCenter": 2000, "WindowWidth": 1}
    yield "voi_lut", wide, "explicit", {**base, "VOILUTSequence": lut(300, curve(3000, 12), 12)}
    yield "voi_lut_big", wide, "big", {**base, "VOILUTSequence": lut(300, curve(3000, 16), 16)}
    yield (
        "voi_lut_signed",
        signed,
        "explicit",
        {**base, "VOILUTSequence": lut(-1500, curve(3000, 10), 10)},
    )
    yield "voi_before_window", wide, "implicit", {
        **base, **WINDOW, "VOILUTSequence": lut(0, curve(4096, 12), 12),
    }  # fmt: skip
    yield "modality_lut", wide, "explicit", {
        **base, "ModalityLUTSequence": lut(0, curve(4096, 16), 16),
        "WindowCenter": 32000, "WindowWidth": 36000,
    }  # fmt: skip
    one = {"PhotometricInterpretation": "MONOCHROME1"}
    yield "monochrome1", wide, "explicit", {**base, **WINDOW, **one}
    yield (
        "monochrome1_lut",
        wide,
        "lossless",
        {**base, **one, "VOILUTSequence": lut(300, curve(3000, 12), 12)},
    )
    yield "monochrome1_full", wide, "j2k", {**base, **one}
    yield "inverse", wide, "explicit", {**base, **WINDOW, "PresentationLUTShape": "INVERSE"}
    yield (
        "both_inverse",
        wide,
        "explicit",
        {**base, **WINDOW, **one, "PresentationLUTShape": "INVERSE"},
    )
    padded = wide.copy()
    padded[:9] = 4000
    yield "padding", padded, "explicit", {**base, "PixelPaddingValue": 4000}
    yield "padding_range", padded, "implicit", {
        **base, **one, "PixelPaddingValue": 4000, "PixelPaddingRangeLimit": 4095,
    }  # fmt: skip
    spaced = {"ImagerPixelSpacing": [0.143, 0.144], "ViewPosition": "PA", "Laterality": "L"}
    yield "spacing", wide, "explicit", {**base, **WINDOW, **spaced}


def picture_files(folder: Path) -> Iterator[Path]:
    """PNG, JPEG and TIFF files of every layout."""
    grey = Image.fromarray(stored(8, "u1"))
    deep = Image.fromarray(stored(16, "u2"))
    alpha = Image.fromarray(stored(8, "u1")[::-1].copy())
    images = {
        "grey.png": (grey, {}),
        "deep.png": (deep, {}),
        "rgb.png": (grey.convert("RGB"), {}),
        "rgba.png": (Image.merge("RGBA", (grey, grey, grey, alpha)), {}),
        "la.png": (Image.merge("LA", (grey, alpha)), {}),
        "palette.png": (grey.convert("P"), {}),
        "four.png": (grey.quantize(16).convert("L").quantize(16), {"bits": 4}),
        "grey.jpg": (grey, {"quality": 90}),
        "progressive.jpg": (grey, {"quality": 85, "progressive": True}),
        "ycc.jpg": (grey.convert("RGB"), {"quality": 90, "subsampling": 2}),
        "ycc444.jpg": (grey.convert("RGB"), {"quality": 75, "subsampling": 0, "progressive": True}),
        "restarts.jpg": (grey, {"quality": 90, "restart_marker_blocks": 3}),
        "plain.tif": (grey, {}),
        "deep.tif": (deep, {"tiffinfo": {278: 7}}),
        "lzw.tif": (grey, {"compression": "tiff_lzw"}),
        "deeplzw.tif": (deep, {"compression": "tiff_lzw", "tiffinfo": {317: 2}}),
        "deflate.tif": (deep, {"compression": "tiff_adobe_deflate", "tiffinfo": {278: 16}}),
        "zip.tif": (grey, {"compression": "tiff_deflate", "tiffinfo": {317: 2}}),
        "packbits.tif": (grey, {"compression": "packbits"}),
    }
    for name, (image, options) in images.items():
        image.save(folder / name, **options)
        yield folder / name
    yield from _made_by_hand(folder)


def _made_by_hand(folder: Path) -> Iterator[Path]:
    """TIFF files that Pillow does not write: the other byte order, white is zero, tiles."""
    rows, columns = picture().shape
    deep, small = stored(16, ">u2"), stored(8, "u1")
    side = 64
    tiles = [
        np.pad(tile, ((0, side - tile.shape[0]), (0, side - tile.shape[1]))).tobytes()
        for top in range(0, rows, side)
        for left in range(0, columns, side)
        for tile in (small[top : top + side, left : left + side],)
    ]
    made = {
        "big.tif": (">", 16, 1, [deep.tobytes()], {278: rows}),
        "white.tif": ("<", 8, 0, [(255 - small).tobytes()], {278: rows}),
        "whitedeep.tif": ("<", 16, 0, [(65535 - deep).astype("<u2").tobytes()], {278: rows}),
        "tiles.tif": ("<", 8, 1, tiles, {322: side, 323: side}),
    }
    for name, (order, bits, photometric, pieces, more) in made.items():
        size = {256: columns, 257: rows, 258: bits, 259: 1, 262: photometric, 277: 1}
        (folder / name).write_bytes(_tiff(order, size | more, pieces))
        yield folder / name


def _tiff(order: str, values: dict[int, int], pieces: list[bytes]) -> bytes:
    """A TIFF file of one page, its fields of 32 bits each."""
    offsets, counts = (324, 325) if 322 in values else (273, 279)
    places = [8 + sum(map(len, pieces[:number])) for number in range(len(pieces))]
    many = {offsets: places, counts: [len(piece) for piece in pieces]}
    fields: dict[int, list[int]] = {tag: [value] for tag, value in values.items()} | many
    start = 8 + sum(map(len, pieces))
    behind = start + 2 + 12 * len(fields) + 4
    table, extra = struct.pack(f"{order}H", len(fields)), b""
    for tag, each in sorted(fields.items()):
        data = struct.pack(f"{order}{len(each)}I", *each)
        if len(data) > 4:
            data, extra = struct.pack(f"{order}I", behind + len(extra)), extra + data
        table += struct.pack(f"{order}HHI", tag, 4, len(each)) + data
    mark = b"II*\x00" if order == "<" else b"MM\x00*"
    head = mark + struct.pack(f"{order}I", start)
    return head + b"".join(pieces) + table + struct.pack(f"{order}I", 0) + extra


def write_files(folder: Path) -> list[Path]:
    """Write every film into a folder."""
    made = _neighbor("tests/images/conftest.py")
    paths = list(picture_files(folder))
    for name, values, syntax, attributes in dicom_variants():
        dataset = made._header(values, attributes["BitsStored"])
        made._add_pixels(dataset, values, SYNTAXES[syntax], attributes["BitsStored"])
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)
        path = folder / f"{name}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    bare = pydicom.dcmread(folder / "implicit_12u.dcm")
    bare.save_as(
        folder / "bare.dcm", implicit_vr=True, little_endian=True, enforce_file_format=False
    )
    paths.append(folder / "bare.dcm")
    return paths


#: Whose output pydicom does not scale as a display does, or decodes otherwise than we do.
NO_PEER = ("padding", "_lossy", "ls_12i", "narrow", "bare")


def peer_levels(path: Path) -> npt.NDArray[np.float64] | None:
    """pydicom's own display of a DICOM file in levels 0 to 255; None where it has none."""
    if path.suffix != ".dcm" or any(each in path.name for each in NO_PEER):
        return None
    data = pydicom.dcmread(path)
    values = apply_modality_lut(pixel_array(data, raw=True), data)
    shown = np.asarray(apply_voi_lut(values, data), dtype=np.float64)
    low, high = _ends(data, values, shown)
    levels = (shown - low) / (high - low) * 255
    inverse = (
        "MONOCHROME1" in (data.PhotometricInterpretation,)
        or data.get("PresentationLUTShape") == "INVERSE"
    )
    return 255 - levels if inverse else levels


def _ends(data: Dataset, values: Any, shown: Any) -> tuple[float, float]:
    """The output range that pydicom scales to."""
    if "VOILUTSequence" in data:
        return 0, 2 ** int(data.VOILUTSequence[0].LUTDescriptor[2]) - 1
    if "WindowCenter" not in data:
        if data.BitsStored == 8 and data.PixelRepresentation == 0:
            return 0, 255
        return float(shown.min()), float(shown.max())
    if "ModalityLUTSequence" in data:
        return 0, 2 ** int(data.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    bits, slope = data.BitsStored, float(data.get("RescaleSlope", 1))
    low = -(2 ** (bits - 1)) if data.PixelRepresentation else 0
    shift = float(data.get("RescaleIntercept", 0))
    return low * slope + shift, (low + 2**bits - 1) * slope + shift
