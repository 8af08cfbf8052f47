"""Contact sheets and PNG files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lucidray.errors import DataError, ShapeError
from lucidray.images import pictures
from lucidray.images.pictures import contact_sheet, encode_png, save_png

RED = np.full((30, 20, 3), (200, 0, 0), np.uint8)


def test_png_round_trip(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for picture in (RED, grey):
        np.testing.assert_array_equal(
            np.asarray(Image.open(io.BytesIO(encode_png(picture)))), picture
        )
        path = save_png(picture, tmp_path / "a" / "b" / "picture.png")
        np.testing.assert_array_equal(np.asarray(Image.open(path)), picture)
    assert [file.name for file in path.parent.iterdir()] == ["picture.png"]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_png(RED, tmp_path / "picture.png")
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pictures.Path, "replace", fail)
    with pytest.raises(DataError, match="No space left"):
        save_png(RED // 2, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["picture.png"]


def test_a_sheet_has_room_for_all() -> None:
    tiles = [RED, RED[:10], RED[:, :5], RED[..., 0]] * 2
    sheet = contact_sheet(tiles, columns=3, tile=64)
    assert sheet.shape == (3 * 70 + 6, 3 * 70 + 6, 3)
    assert (sheet[40, 40] == (200, 0, 0)).all()
    captioned = contact_sheet(tiles, ["a long caption of many words"] * 8, columns=3, tile=64)
    titled = contact_sheet(tiles, columns=3, tile=64, title="Title")
    assert captioned.shape[0] > sheet.shape[0] < titled.shape[0]
    assert contact_sheet([RED], columns=9, tile=32).shape == (44, 44, 3)


def test_refusals() -> None:
    with pytest.raises(ShapeError, match="captions"):
        contact_sheet([])
    with pytest.raises(ShapeError, match="captions"):
        contact_sheet([RED], ["a", "b"])
    for wrong in (RED.astype(float), np.zeros((2, 2, 4), np.uint8), np.zeros((0, 3), np.uint8)):
        with pytest.raises(ShapeError, match="expected uint8"):
            encode_png(wrong)
