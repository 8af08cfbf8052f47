"""Reading a radiograph from a file of any supported kind."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lucidray.errors import ImageError, ShapeError
from lucidray.images.dicom import read_dicom
from lucidray.images.geometry import identity
from lucidray.images.raster import Raster, check_size, load, read_jpeg, read_png, read_tiff
from lucidray.records import Bool, Float32, XRay

#: More pixels than this are refused before decoding, unless asked for: four times the largest
#: digitized film, and less than what Pillow warns about.
MAX_PIXELS = 80_000_000

_BYTES_PER_PIXEL = 8

#: How the formats that are read begin.
_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpeg",
    b"II*\x00": "tiff",
    b"MM\x00*": "tiff",
    b"II+\x00": "tiff",
    b"MM\x00+": "tiff",
    b"\x08\x00": "dicom",
    b"\x02\x00": "dicom",
}

#: How some formats begin that are met and not read.
_FOREIGN = {
    b"GIF8": "a GIF picture",
    b"BM": "a BMP picture",
    b"RIFF": "a WebP picture or a sound",
    b"\x00\x00\x00\x0cjP": "a JPEG 2000 picture outside DICOM",
    b"\xff\x4f\xff\x51": "a JPEG 2000 picture outside DICOM",
    b"%PDF": "a PDF document",
    b"PK": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x93NUMPY": "a NumPy array",
    b"<": "a web page or XML",
}


def read_xray(
    path: str | Path, *, shrink_to: int | None = None, max_pixels: int = MAX_PIXELS
) -> XRay:
    """Read a radiograph from a PNG, JPEG, TIFF or DICOM file.

    The kind is told from the file's bytes, not from its name. Pictures are taken as they are
    (8 bits / 255, 16 bits / 65535); DICOM goes through its Modality and VOI transforms, of several
    windows the first, and without any from the smallest to the largest value that is no padding
    (8-bit files without any transform are taken as they are). Colors are accepted where they are
    all grey. EXIF orientation is not applied: pixels and boxes stay on the file's own grid.

    Args:
        path: The file.
        shrink_to: Allow the decoder to shrink JPEG and JPEG 2000 by 2, 4 or 8 while loading, as
            long as both sides stay at least this long; the geometry tells by how much. None: read
            every pixel. Resized to 224 x 224 with ``shrink_to=336``, 43 real films differ from the
            full reading by 0.07 to 0.17 of 255 levels on average, and by 13 at most, at sharp
            lettering; a file without a window is then stretched by the extremes of the shrunk
            pixels. PNG, TIFF, and DICOM that declares padding are never shrunk.
        max_pixels: A header that promises more is refused before anything is decoded.

    Returns:
        The radiograph, bone bright, with its geometry, spacing, view and padding.

    Raises:
        ImageError: No such file, not an image, truncated or damaged, several frames or pages, in
            color, of another modality, of an unsupported compression, or too large. The message
            names the file.
    """
    path = Path(path)
    try:
        data = read_bytes(path, max_pixels)
        return decode_xray(data, shrink_to=shrink_to, max_pixels=max_pixels)
    except ImageError as error:
        raise ImageError(f"cannot read {path}: {error}") from error


def decode_xray(data: bytes, *, shrink_to: int | None = None, max_pixels: int = MAX_PIXELS) -> XRay:
    """Decode a radiograph from the bytes of a file, as `read_xray` does.

    Args:
        data: All bytes of a PNG, JPEG, TIFF or DICOM file.
        shrink_to: As for `read_xray`.
        max_pixels: As for `read_xray`.

    Returns:
        The radiograph.

    Raises:
        ImageError: As for `read_xray`.
    """
    kind = _kind(data)
    digest = hashlib.sha256(data).hexdigest()
    if kind == "dicom":
        return read_dicom(data, digest, max_pixels, shrink_to)
    if kind == "png":
        raster = read_png(data, max_pixels)
    elif kind == "jpeg":
        raster = read_jpeg(data, max_pixels, shrink_to)
    else:
        raster = read_tiff(data, max_pixels)
    return _from_raster(raster, kind, digest)


def read_bytes(path: Path, max_pixels: int) -> bytes:
    """Read a file's bytes.

    Args:
        path: The file.
        max_pixels: A file of more than eight bytes for each of these is refused.

    Raises:
        ImageError: It is missing, empty, a folder, unreadable or too large.
    """
    limit = max(max_pixels * _BYTES_PER_PIXEL, 1 << 20)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read() if size <= limit else b""
    except IsADirectoryError as error:
        raise ImageError("it is a folder; name one file in it.") from error
    except FileNotFoundError as error:
        raise ImageError("there is no such file.") from error
    except OSError as error:
        raise ImageError(f"it cannot be opened ({error.strerror}).") from error
    if size > limit:
        raise ImageError(f"the file is larger than {limit:,} bytes; raise max_pixels to read it.")
    if not data:
        raise ImageError("the file is empty.")
    return data


def xray_from_array(pixels: npt.NDArray[np.generic]) -> XRay:
    """Make a radiograph of an array.

    Args:
        pixels: ``(H, W)``: uint8 or uint16, whose full range is taken as black to white, or
            floating in [0, 1].

    Returns:
        The radiograph, with the identity as geometry.

    Raises:
        ShapeError: It is no ``(H, W)`` array of such a type and range.

    >>> xray_from_array(np.array([[0, 255]], np.uint8)).pixels
    array([[0., 1.]], dtype=float32)
    """
    if pixels.ndim != 2 or pixels.size == 0:
        raise ShapeError(f"the array is {pixels.shape}; expected (H, W), not empty.")
    if pixels.dtype in (np.uint8, np.uint16):
        bits = 8 * pixels.dtype.itemsize
        shown = _scaled(pixels, 2**bits - 1)
    elif np.issubdtype(pixels.dtype, np.floating):
        shown, bits = pixels.astype(np.float32), 32
        if not (np.isfinite(shown).all() and shown.min() >= 0 and shown.max() <= 1):
            raise ShapeError("floating pixels must be finite and lie in [0, 1].")
    else:
        raise ShapeError(f"pixels are {pixels.dtype}; expected uint8, uint16 or floating.")
    shape = (pixels.shape[0], pixels.shape[1])
    return XRay(shown, identity(shape), source_bits=bits)


def read_mask(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Bool:
    """Read a mask from a PNG, TIFF or JPEG file.

    Args:
        path: The file; of 1 bit a pixel, or grey with the mask in the brighter half of its range.
        max_pixels: A header that promises more is refused before anything is decoded.

    Returns:
        bool ``(H, W)``.

    Raises:
        ImageError: The file is missing, no picture, damaged or too large.
    """
    path = Path(path)
    try:
        data = read_bytes(path, max_pixels)
        return _mask(data, _kind(data).upper(), max_pixels)
    except ImageError as error:
        raise ImageError(f"cannot read {path}: {error}") from error


def _mask(data: bytes, kind: str, max_pixels: int) -> Bool:
    if kind == "DICOM":
        raise ImageError("a DICOM file; expected a mask as PNG, TIFF or JPEG.")
    try:
        image = Image.open(io.BytesIO(data), formats=[kind])
    except Exception as error:
        raise ImageError(f"damaged {kind} file: its header cannot be read.") from error
    check_size((image.height, image.width), max_pixels)
    load(image)
    if image.mode.startswith("I;16"):
        return np.asarray(np.asarray(image) > 32767)
    return np.asarray(np.asarray(image.convert("L")) > 127)


def _kind(data: bytes) -> str:
    if data[128:132] == b"DICM":
        return "dicom"
    for signature, kind in _SIGNATURES.items():
        if data.startswith(signature):
            return kind
    for signature, name in _FOREIGN.items():
        if data.startswith(signature):
            raise ImageError(f"it is {name}; expected PNG, JPEG, TIFF or DICOM.")
    raise ImageError("it is not an image that is known here; expected PNG, JPEG, TIFF or DICOM.")


def _from_raster(raster: Raster, kind: str, digest: str) -> XRay:
    pixels = _scaled(raster.stored, raster.white)
    shape = (pixels.shape[0], pixels.shape[1])
    return XRay(
        pixels=pixels,
        geometry=raster.shrink.geometry(raster.source_shape, shape),
        padding=raster.padding,
        source_bits=raster.bits,
        lossy=raster.lossy,
        file_format=kind,
        sha256=digest,
    )


def _scaled(stored: npt.NDArray[np.generic], white: int) -> Float32:
    pixels: Float32 = np.divide(stored, np.float32(white), dtype=np.float32)
    return pixels
