"""DICOM radiographs (CR, DX, DR and their secondary captures) as display intensities."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import pixel_array

from lucidray.errors import ImageError
from lucidray.images import codecs
from lucidray.images.channels import grey_plane
from lucidray.images.codecs import Frame, Pattern, decode_frame
from lucidray.images.discretion import silence
from lucidray.images.display import first_number, show
from lucidray.images.modality import (
    age_years,
    check_is_radiograph,
    sex,
    spacing_mm,
    view_position,
)
from lucidray.images.raster import check_size, load, open_image, samples_of
from lucidray.images.shrinking import UNSHRUNK
from lucidray.records import XRay

_IMPLICIT, _EXPLICIT, _BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
_DEFLATED, _RLE = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"
_NATIVE = frozenset({_IMPLICIT, _EXPLICIT, _BIG})
_COMPRESSED = codecs.JPEG | codecs.JPEG_LOSSLESS | codecs.JPEG_LS | codecs.JPEG_2000

#: A deflated data set may grow to this many bytes for each pixel that is allowed.
_BYTES_PER_PIXEL = 8


@dataclass(frozen=True)
class PixelFormat:
    """What a DICOM header says of its pixels.

    Args:
        shape: ``(height, width)``.
        allocated: Bits a sample takes.
        bits: Bits a sample uses.
        high_bit: The highest of them.
        signed: Whether samples are two's complement.
        samples: Samples a pixel.
        syntax: The transfer syntax's UID.
    """

    shape: tuple[int, int]
    allocated: int
    bits: int
    high_bit: int
    signed: bool
    samples: int
    syntax: str


def read_dicom(data: bytes, sha256: str, max_pixels: int, shrink_to: int | None) -> XRay:
    """Decode a DICOM radiograph to what a display shows.

    Args:
        data: The file's bytes, with or without the preamble.
        sha256: Hex digest of `data`.
        max_pixels: More pixels than this are refused before anything is decoded.
        shrink_to: The shorter side may become as small as this where the codec can shrink while
            loading; None: never. Files that declare padding are not shrunk, for padding must not
            be mixed with image.

    Raises:
        ImageError: It is damaged, truncated, no single grey radiograph, or too large.
    """
    with silence():
        return _read(data, sha256, max_pixels, shrink_to)


def _read(data: bytes, sha256: str, max_pixels: int, shrink_to: int | None) -> XRay:
    dataset = open_dataset(data, max_pixels)
    check_is_radiograph(dataset)
    form = pixel_format(dataset)
    check_size(form.shape, max_pixels)
    padded = "PixelPaddingValue" in dataset
    frame = _decode(dataset, form, None if padded else shrink_to)
    bits, signed = min(frame.bits, form.bits), form.signed and form.samples == 1
    pixels, padding = show(frame.pattern, dataset, bits=bits, signed=signed)
    geometry = frame.shrink.geometry(form.shape, (pixels.shape[0], pixels.shape[1]))
    return XRay(
        pixels=pixels,
        geometry=geometry,
        spacing_mm=spacing_mm(dataset, frame.shrink.factor),
        view_position=view_position(dataset),
        age_years=age_years(dataset),
        sex=sex(dataset),
        padding=padding,
        source_bits=form.bits,
        lossy=str(dataset.get("LossyImageCompression") or "") == "01" or bool(frame.lossy),
        file_format="dicom",
        sha256=sha256,
    )


def open_dataset(data: bytes, max_pixels: int) -> Dataset:
    """Parse a DICOM file without decoding its pixels.

    Args:
        data: The file's bytes.
        max_pixels: A deflated data set that grows beyond what this many pixels need is refused.

    Raises:
        ImageError: It is damaged or truncated.
    """
    try:
        if _DEFLATED.encode() in data[:1024]:
            return _inflated(data, max_pixels * _BYTES_PER_PIXEL)
        return pydicom.dcmread(io.BytesIO(data), force=True)
    except ImageError:
        raise
    except EOFError as error:
        raise ImageError("truncated DICOM file: it ends inside its data set.") from error
    except Exception as error:
        raise ImageError("damaged DICOM file: its data set cannot be read.") from error


def pixel_format(dataset: Dataset) -> PixelFormat:
    """Read how the pixels are stored.

    Args:
        dataset: The parsed file.

    Raises:
        ImageError: The header is incomplete or impossible, has several frames or no pixel data,
            or is compressed in an unsupported way.
    """
    if "PixelData" not in dataset:
        raise ImageError("a DICOM file without pixel data; expected a radiograph, or a whole file.")
    frames = first_number(dataset, "NumberOfFrames", 1)
    if frames > 1:
        raise ImageError(f"a DICOM file of {frames:.0f} frames; expected a single radiograph.")
    form = PixelFormat(
        shape=(_whole(dataset, "Rows"), _whole(dataset, "Columns")),
        allocated=_whole(dataset, "BitsAllocated"),
        bits=_whole(dataset, "BitsStored"),
        high_bit=_whole(dataset, "HighBit", _whole(dataset, "BitsStored") - 1),
        signed=_whole(dataset, "PixelRepresentation", 0) == 1,
        samples=_whole(dataset, "SamplesPerPixel", 1),
        syntax=_syntax(dataset),
    )
    _check_format(form, str(dataset.get("PhotometricInterpretation") or ""))
    return form


def _check_format(form: PixelFormat, photometric: str) -> None:
    fits = form.bits <= form.high_bit + 1 <= form.allocated
    if form.allocated not in {8, 16} or not form.bits >= 2 or not fits:
        raise ImageError(
            f"its pixels have {form.bits} of {form.allocated} bits; expected 2 to 16 bits, "
            "stored in 8 or 16."
        )
    grey = form.samples == 1 and photometric in {"MONOCHROME1", "MONOCHROME2"}
    color = form.samples == 3 and form.bits == form.allocated == 8
    if not (grey or color):
        raise ImageError(
            f"its pixels are '{photometric}' with {form.samples} samples; expected MONOCHROME1 or "
            "MONOCHROME2 with one."
        )
    if form.syntax not in _NATIVE | _COMPRESSED | {_RLE}:
        name = pydicom.uid.UID(form.syntax).name
        known = "" if name == form.syntax else f" ({name})"
        raise ImageError(
            f"its compression{known} is not supported; expected uncompressed, "
            "RLE, JPEG, JPEG-LS or JPEG 2000."
        )


def _decode(dataset: Dataset, form: PixelFormat, shrink_to: int | None) -> Frame:
    if form.samples == 3:
        return _color(dataset, form)
    if form.syntax not in _COMPRESSED:
        return _plain(dataset, form)
    frame = decode_frame(_stream(dataset), form.syntax, form.shape, shrink_to)
    return Frame(_mask(frame.pattern, form.bits), frame.bits, frame.shrink, frame.lossy)


def _plain(dataset: Dataset, form: PixelFormat) -> Frame:
    if form.syntax in _NATIVE:
        pattern = _native(dataset, form)
    else:
        values = _pydicom_pixels(dataset, form)
        pattern = values.view(values.dtype.str.replace("i", "u"))
    spare = form.high_bit + 1 - form.bits
    if spare:
        pattern = np.right_shift(pattern, spare, dtype=pattern.dtype)
    return Frame(_mask(pattern, form.bits), form.bits, UNSHRUNK, None)


def _native(dataset: Dataset, form: PixelFormat) -> Pattern:
    data, count = bytes(dataset.PixelData), form.shape[0] * form.shape[1]
    _check_length(data, count * form.allocated // 8)
    big = form.syntax == _BIG
    if big and form.allocated == 8 and dataset["PixelData"].VR == "OW":
        data = np.frombuffer(data[: len(data) // 2 * 2], ">u2").astype("<u2").tobytes()
    dtype = np.dtype(np.uint8 if form.allocated == 8 else (">u2" if big else "<u2"))
    pattern: Pattern = np.frombuffer(data, dtype, count=count)
    native: Pattern = pattern.astype(dtype.newbyteorder("="), copy=False)
    return native.reshape(form.shape)


def _check_length(data: bytes, expected: int) -> None:
    if len(data) < expected:
        raise ImageError(f"truncated DICOM file: {len(data)} of {expected} bytes of pixels.")


def _mask(pattern: Pattern, bits: int) -> Pattern:
    if bits >= 8 * pattern.dtype.itemsize:
        return pattern
    masked: Pattern = np.bitwise_and(pattern, 2**bits - 1, dtype=pattern.dtype)
    return masked


def _color(dataset: Dataset, form: PixelFormat) -> Frame:
    if form.syntax in codecs.JPEG:
        image = open_image(_stream(dataset), "JPEG")
        check_size((image.height, image.width), form.shape[0] * form.shape[1])
        load(image)
        pixels = samples_of(image)
    elif form.syntax in _NATIVE | {_RLE}:
        pixels = _pydicom_pixels(dataset, form, raw=False)
    else:
        raise ImageError("a color DICOM file; expected a grey radiograph of one sample a pixel.")
    return Frame(grey_plane(pixels)[0], 8)


def _pydicom_pixels(dataset: Dataset, form: PixelFormat, *, raw: bool = True) -> Pattern:
    if form.syntax in _NATIVE:
        _check_length(dataset.PixelData, form.shape[0] * form.shape[1] * form.samples)
    try:
        pixels = pixel_array(dataset, raw=raw, decoding_plugin="")
    except Exception as error:
        raise ImageError("damaged DICOM file: its pixels cannot be decoded.") from error
    native: Pattern = np.asarray(pixels, dtype=pixels.dtype.newbyteorder("="))
    return native


def _stream(dataset: Dataset) -> bytes:
    try:
        return next(generate_frames(dataset.PixelData, number_of_frames=1))
    except Exception as error:
        raise ImageError("truncated DICOM file: its compressed pixels are not whole.") from error


def _syntax(dataset: Dataset) -> str:
    meta = getattr(dataset, "file_meta", None)
    syntax = str(meta.get("TransferSyntaxUID") or "") if meta is not None else ""
    if syntax:
        return syntax
    implicit, little = dataset.original_encoding
    syntax = _BIG if little is False else _IMPLICIT if implicit else _EXPLICIT
    dataset.file_meta = meta or FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    return syntax


def _whole(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    number = first_number(dataset, keyword, float("nan") if default is None else default)
    if number != number or number < 0:
        raise ImageError(f"damaged DICOM file: its header lacks a valid {keyword}.")
    return int(number)


def _inflated(data: bytes, limit: int) -> Dataset:
    length = int.from_bytes(data[140:144], "little")
    if data[132:136] != b"\x02\x00\x00\x00" or length > len(data):
        raise ImageError("damaged DICOM file: its deflated data set has no proper header.")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    plain = inflater.decompress(data[144 + length :], limit)
    if inflater.unconsumed_tail:
        raise ImageError(
            f"its deflated data set grows beyond {limit:,} bytes. Raise max_pixels if you trust it."
        )
    if not inflater.eof:
        raise ImageError("truncated DICOM file: its deflated data set has no end.")
    dataset = pydicom.filereader.read_dataset(io.BytesIO(plain), False, True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    return dataset
