"""Masks: by hand, there and back, and a real CheXlocalize string."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from lucidray.datasets import decode_coco, decode_siim, encode_siim, mask_of, read_mask
from lucidray.errors import DataError, ShapeError


def _coco(mask):
    """Encode a mask by the letter of the COCO API's format, the slow way."""
    flat = [bool(v) for v in mask.T.ravel()]
    runs, value, length = [], False, 0
    for pixel in flat:
        if pixel != value:
            runs.append(length)
            value, length = pixel, 0
        length += 1
    runs.append(length)
    text = ""
    for place, run in enumerate(runs):
        number = run - runs[place - 2] if place > 2 else run
        more = True
        while more:
            bits = number & 31
            number >>= 5
            more = number != (-1 if bits & 16 else 0)
            text += chr(48 + (bits | 32 if more else bits))
    return text


masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))


@settings(max_examples=50, deadline=None)
@given(masks)
def test_both_codes_go_there_and_back(mask):
    np.testing.assert_array_equal(decode_siim(encode_siim(mask), mask.shape), mask)
    np.testing.assert_array_equal(decode_coco(_coco(mask), mask.shape), mask)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**20), st.integers(1, 2**20))
def test_coco_numbers_of_any_size(gap, run):
    height = gap + run + 1
    mask = np.zeros((height, 1), bool)
    mask[gap : gap + run] = True
    np.testing.assert_array_equal(decode_coco(_coco(mask), (height, 1)), mask)


def test_an_empty_mask_of_chexlocalize():
    # The published string of an empty mask of 2,320 x 2,828 pixels.
    assert not decode_coco("PVWX6", (2320, 2828)).any()


def test_siim_runs_go_down_the_columns():
    mask = decode_siim("1 2 1022 1")
    assert mask.shape == (1024, 1024)
    assert np.argwhere(mask).tolist() == [[1, 0], [1, 1], [2, 0]]
    assert not decode_siim(" -1").any() and not decode_siim("").any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: decode_siim("1 2 3"), "3 numbers; expected pairs"),
        (lambda: decode_siim("1 -2"), "none negative"),
        (lambda: decode_siim("1 x"), "no whole number"),
        (lambda: decode_siim("3 4", (2, 2)), "ends at pixel 7, but the image has 2 x 2"),
        (lambda: decode_coco("132", (2, 2)), "counts 6 pixels, but the image has 2 x 2"),
        (lambda: decode_coco("1 2", (2, 2)), "no run length"),
        (lambda: decode_coco("P", (4, 4)), "breaks off"),
        (lambda: read_mask(), "no mask file"),
        (lambda: read_mask("absent.png"), "cannot be read as a mask"),
    ],
)
def test_damage_is_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()


def test_files_are_united_whatever_their_white_is(tmp_path):
    a, b = np.zeros((4, 5), np.uint8), np.zeros((4, 5), np.uint8)
    a[0, 0], b[3, 4] = 1, 255
    Image.fromarray(a).save(tmp_path / "a.png")
    Image.fromarray(b).save(tmp_path / "b.png")
    row = {"mask": (tmp_path / "a.png", str(tmp_path / "b.png"))}
    assert np.argwhere(mask_of(row)).tolist() == [[0, 0], [3, 4]]
    assert np.argwhere(mask_of({"mask": str(tmp_path / "a.png")})).tolist() == [[0, 0]]
    Image.fromarray(b[:3]).save(tmp_path / "c.png")
    with pytest.raises(ShapeError, match="must share one grid"):
        read_mask(tmp_path / "a.png", tmp_path / "c.png")
    with pytest.raises(ShapeError, match="expected"):
        encode_siim(np.zeros(3, bool))


def test_a_row_without_a_mask_has_none():
    assert mask_of({"mask": None}) is None
    assert mask_of({"mask": float("nan"), "mask_runs": ()}) is None
    assert mask_of({}) is None
