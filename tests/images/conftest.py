"""Generated radiographs as files of every kind."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

CR = "1.2.840.10008.5.1.4.1.1.1"
IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, RLE = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"
JPEG = "1.2.840.10008.1.2.4."


@pytest.fixture
def film(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A smooth, noisy, asymmetric picture in [0, 1], 61 x 83, that touches 0 and 1."""
    y, x = np.mgrid[0:61, 0:83] / 83
    picture = np.sin(5 * x + 2 * y) + np.cos(7 * y) + 0.02 * rng.standard_normal(x.shape)
    return (picture - picture.min()) / np.ptp(picture)


@pytest.fixture
def make_dicom(tmp_path: Path) -> Callable[..., Path]:
    """Write a DICOM file of stored values and return its path."""

    def make(stored: npt.NDArray[Any], syntax: str = EXPLICIT, **attributes: Any) -> Path:
        bits = attributes.pop("BitsStored", 8 * stored.dtype.itemsize)
        name = attributes.pop("name", "film.dcm")
        dataset = _header(stored, bits)
        _add_pixels(dataset, stored, syntax, bits)
        for keyword, value in attributes.items():
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)
        path = tmp_path / name
        dataset.save_as(path, enforce_file_format=True)
        return path

    return make


def _header(stored: npt.NDArray[Any], bits: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CR, "1.2.3"
    dataset.Modality, dataset.PatientName = "CR", "Secret^Name"
    dataset.Rows, dataset.Columns = stored.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored = 8 * stored.dtype.itemsize, bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, int(stored.dtype.kind == "i")
    return dataset


def _add_pixels(dataset: Dataset, stored: npt.NDArray[Any], syntax: str, bits: int) -> None:
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == RLE:
        dataset.PixelData = stored.astype(stored.dtype.newbyteorder("<")).tobytes()
        dataset.file_meta.TransferSyntaxUID = EXPLICIT
        dataset.compress(RLE, encoding_plugin="pydicom", generate_instance_uid=False)
        return
    if not syntax.startswith(JPEG):
        order = ">" if syntax == BIG else "<"
        data = stored.astype(stored.dtype.newbyteorder(order)).tobytes()
        dataset.PixelData = data + b"\0" * (len(data) % 2)
        dataset["PixelData"].VR = "OW" if stored.dtype.itemsize == 2 else "OB"
        return
    dataset.PixelData = encapsulate([encode(stored, syntax, bits)])
    dataset["PixelData"].is_undefined_length = True


def encode(stored: npt.NDArray[Any], syntax: str, bits: int) -> bytes:
    """Compress stored values as a transfer syntax wants them."""
    unsigned = np.ascontiguousarray(stored.view(stored.dtype.str.replace("i", "u")))
    unsigned = unsigned & unsigned.dtype.type(2**bits - 1)
    kind = syntax.removeprefix(JPEG)
    if kind == "50":
        buffer = io.BytesIO()
        Image.fromarray(stored).save(buffer, "JPEG", quality=95)
        return buffer.getvalue()
    if kind == "51":
        return bytes(imagecodecs.jpeg8_encode(unsigned, level=98, bitspersample=bits))
    if kind in {"57", "70"}:
        return bytes(imagecodecs.ljpeg_encode(unsigned, bitspersample=bits))
    if kind in {"80", "81"}:
        return bytes(imagecodecs.jpegls_encode(unsigned, level=0 if kind == "80" else 2))
    level = None if kind == "90" else 40
    return bytes(
        imagecodecs.jpeg2k_encode(
            stored, level=level, reversible=kind == "90", bitspersample=bits, codecformat="j2k"
        )
    )


@pytest.fixture
def read_back() -> Callable[[Path], Dataset]:
    """Read a DICOM file with pydicom."""
    return pydicom.dcmread
