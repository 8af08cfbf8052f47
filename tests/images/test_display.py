"""Modality and VOI transforms against pydicom's, exact windows, padding and inversion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.sequence import Sequence

from lucidray.errors import ImageError
from lucidray.images.display import is_inverted, show, window
from lucidray.images.read import read_xray


def lut(first: int, entries: npt.NDArray[Any], bits: int) -> Sequence:
    """A look-up table sequence of one item."""
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 65536, first, bits]
    item.LUTData = entries.astype("u2").tolist()
    item["LUTDescriptor"].VR = "US" if first >= 0 else "SS"
    item["LUTData"].VR = "US"
    return Sequence([item])


def peer(path: Path, low: float, high: float) -> npt.NDArray[np.float64]:
    """pydicom's displayed values, scaled from its output range to [0, 1]."""
    dataset = pydicom.dcmread(path)
    values = apply_modality_lut(pixel_array(dataset, raw=True), dataset)
    shown = np.asarray(apply_voi_lut(values, dataset), dtype=np.float64)
    return (shown - low) / (high - low)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (0.5, -100), (-2, 30)])
@pytest.mark.parametrize("kind", ["u2", "i2"])
def test_windows_agree_with_pydicom(
    make_dicom: Callable[..., Path],
    rng: np.random.Generator,
    function: str,
    slope: float,
    intercept: float,
    kind: str,
) -> None:
    low = 0 if kind == "u2" else -2048
    stored = rng.integers(low, low + 4096, (20, 30)).astype(kind)
    center, width = 2000 * slope + intercept, 1500.0
    path = make_dicom(
        stored,
        BitsStored=12,
        RescaleSlope=slope,
        RescaleIntercept=intercept,
        WindowCenter=[center, 5],
        WindowWidth=[width, 6],
        VOILUTFunction=function,
    )
    ends = sorted((low * slope + intercept, (low + 4095) * slope + intercept))
    if slope < 0:  # pydicom's output range is upside down here; ours is the standard's
        expected = window(stored.astype(float) * slope + intercept, center, width, function)
    else:
        expected = peer(path, *ends)
    np.testing.assert_allclose(read_xray(path).pixels, expected, atol=1e-6)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_voi_luts_agree_with_pydicom(
    make_dicom: Callable[..., Path], rng: np.random.Generator, bits: int
) -> None:
    depth, first = min(bits, 12), 20 if bits == 8 else 500
    stored = rng.integers(0, 2**depth, (20, 30)).astype("u2")  # pydicom wraps wider 8-bit LUTs
    entries = np.sort(rng.integers(0, 2**bits, 2**depth - 2 * first))
    path = make_dicom(stored, BitsStored=depth, VOILUTSequence=lut(first, entries, bits))
    expected = peer(path, 0, 2**bits - 1)
    np.testing.assert_allclose(read_xray(path).pixels, expected, atol=1e-6)


def test_a_voi_lut_goes_before_a_window(make_dicom: Callable[..., Path]) -> None:
    stored = np.arange(256, dtype="u1").reshape(16, 16)
    table = lut(0, np.arange(256)[::-1] * 16, 12)
    path = make_dicom(stored, VOILUTSequence=table, WindowCenter=10, WindowWidth=20)
    np.testing.assert_allclose(
        read_xray(path).pixels, (255 - stored.astype(float)) * 16 / 4095, atol=1e-6
    )


def test_modality_luts_agree_with_pydicom(
    make_dicom: Callable[..., Path], rng: np.random.Generator
) -> None:
    stored = rng.integers(0, 1024, (20, 30)).astype("u2")
    entries = np.sort(rng.integers(0, 60000, 1024))
    sequence = lut(0, entries, 16)
    sequence[0].ModalityLUTType = "US"
    path = make_dicom(
        stored, BitsStored=10, ModalityLUTSequence=sequence, WindowCenter=30000, WindowWidth=40000
    )
    np.testing.assert_allclose(read_xray(path).pixels, peer(path, 0, 65535), atol=1e-5)


def test_signed_lut_beginning_below_zero(make_dicom: Callable[..., Path]) -> None:
    stored = np.arange(-8, 8, dtype="i2").reshape(4, 4)
    path = make_dicom(stored, VOILUTSequence=lut(-8, np.arange(16), 4))
    np.testing.assert_allclose(read_xray(path).pixels, (stored + 8) / 15, atol=1e-6)


def test_luts_stored_as_bytes() -> None:
    item = Dataset()
    item.LUTDescriptor = [4, 0, 8]
    item.add_new("LUTData", "OW", bytes([0, 10, 20, 255]))
    dataset = Dataset()
    dataset.VOILUTSequence = Sequence([item])
    pixels, _ = show(np.array([[0, 1, 2, 3]], "u1"), dataset, bits=8, signed=False)
    np.testing.assert_allclose(pixels * 255, [[0, 10, 20, 255]], atol=1e-5)


def test_damaged_luts_are_refused(make_dicom: Callable[..., Path]) -> None:
    table = lut(0, np.arange(10), 8)
    table[0].LUTDescriptor = [200, 0, 8]
    path = make_dicom(np.zeros((4, 4), "u1"), VOILUTSequence=table)
    with pytest.raises(ImageError, match="look-up table"):
        read_xray(path)


def test_window_by_hand() -> None:
    """The example values of the standard's formulas: c = 2048, w = 4096."""
    values = np.array([-1.0, 0.0, 2047.5, 4095.0, 5000.0])
    np.testing.assert_allclose(window(values, 2048, 4096), [0, 0, 0.5, 1, 1], atol=1e-12)
    np.testing.assert_allclose(
        window(np.array([0.0, 2048.0, 4096.0]), 2048, 4096, "LINEAR_EXACT"), [0, 0.5, 1]
    )
    sigmoid = window(np.array([2048.0, 4096.0]), 2048, 4096, "SIGMOID")
    np.testing.assert_allclose(sigmoid, [0.5, 1 / (1 + np.exp(-2))])
    assert window(np.array([49.5, 49.6]), 50, 1).tolist() == [0, 1]


def test_unknown_function_is_refused(make_dicom: Callable[..., Path]) -> None:
    more = {"WindowCenter": 5, "WindowWidth": 9, "VOILUTFunction": "CUBIC"}
    with pytest.raises(ImageError, match="VOI LUT Function"):
        read_xray(make_dicom(np.zeros((4, 4), "u1"), **more))


@settings(max_examples=50, deadline=None)
@given(
    center=st.floats(-1e4, 1e4),
    width=st.floats(1, 1e4),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_windows_stay_in_range_and_rise(center: float, width: float, function: str) -> None:
    shown = window(np.linspace(-2e4, 2e4, 501), center, width, function)
    assert shown.min() >= 0
    assert shown.max() <= 1
    assert (np.diff(shown) >= 0).all()


def test_monochrome1_is_turned_once(make_dicom: Callable[..., Path]) -> None:
    stored = np.arange(256, dtype="u1").reshape(16, 16)
    bright, dark = stored / 255, 1 - stored / 255
    for photometric, shape, expected in [
        ("MONOCHROME2", None, bright),
        ("MONOCHROME2", "IDENTITY", bright),
        ("MONOCHROME1", None, dark),
        ("MONOCHROME1", "INVERSE", dark),
        ("MONOCHROME1", "IDENTITY", dark),
        ("MONOCHROME2", "INVERSE", dark),
    ]:
        more = {} if shape is None else {"PresentationLUTShape": shape}
        path = make_dicom(stored, PhotometricInterpretation=photometric, **more)
        assert is_inverted(pydicom.dcmread(path)) == (expected is dark)
        np.testing.assert_allclose(read_xray(path).pixels, expected, atol=1e-6)


def test_padding_is_black_and_out_of_the_range(make_dicom: Callable[..., Path]) -> None:
    stored = np.full((8, 8), 500, "u2")
    stored[0], stored[1, :4], stored[1, 4:] = 4000, 400, 600
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        xray = read_xray(
            make_dicom(
                stored,
                BitsStored=12,
                PixelPaddingValue=4000,
                PhotometricInterpretation=photometric,
            )
        )
        assert xray.padding is not None
        assert xray.padding.sum() == 8
        assert xray.padding[0].all()
        assert (xray.pixels[0] == 0).all()
        np.testing.assert_allclose(xray.pixels[2:], 0.5, atol=1e-6)
        assert sorted(np.unique(xray.pixels[1]).tolist()) == [0.0, 1.0]


def test_padding_ranges_and_signed_padding(make_dicom: Callable[..., Path]) -> None:
    stored = np.arange(-32, 32, dtype="i2").reshape(8, 8)
    for first, last in ((-32, -10), (-10, -32)):
        path = make_dicom(stored, PixelPaddingValue=first, PixelPaddingRangeLimit=last)
        padding = read_xray(path).padding
        np.testing.assert_array_equal(padding, stored <= -10)


def test_no_padding_declared_is_none(make_dicom: Callable[..., Path]) -> None:
    assert read_xray(make_dicom(np.zeros((4, 4), "u1"))).padding is None


def test_without_a_window_the_range_is_that_of_the_pixels(make_dicom: Callable[..., Path]) -> None:
    stored = np.array([[100, 200], [300, 500]], "u2")
    pixels = read_xray(make_dicom(stored, BitsStored=12, WindowWidth=0, WindowCenter=5)).pixels
    np.testing.assert_allclose(pixels, [[0, 0.25], [0.5, 1]], atol=1e-6)
    constant = read_xray(make_dicom(np.full((2, 2), 7, "u2"))).pixels
    assert (constant == 0).all()


def test_eight_plain_bits_are_taken_as_they_are(make_dicom: Callable[..., Path]) -> None:
    stored = np.array([[10, 20], [30, 200]], "u1")
    np.testing.assert_allclose(read_xray(make_dicom(stored)).pixels, stored / 255, atol=1e-6)
    stretched = read_xray(make_dicom(stored, RescaleSlope=2, RescaleIntercept=1)).pixels
    assert (stretched.min(), stretched.max()) == (0, 1)
