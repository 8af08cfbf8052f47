"""Finding files: hidden ones are left out, each folder is listed once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lucidray.datasets.scanning import class_images, image_files, image_index, located
from lucidray.errors import DataError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_images_in_order_without_hidden_ones(tmp_path):
    touch(tmp_path, "b/x.PNG", "a/y.jpeg", "a/.z.png", "__MACOSX/w.png", ".c/v.png", "notes.txt")
    assert [path.name for path in image_files(tmp_path)] == ["y.jpeg", "x.PNG"]
    assert image_index(tmp_path) == {
        "x": str(tmp_path / "b/x.PNG"),
        "y": str(tmp_path / "a/y.jpeg"),
    }


def test_located_lists_each_folder_once(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.png", "a/2.png")
    listed = []
    monkeypatch.setattr(
        os, "listdir", lambda place, real=os.listdir: listed.append(place) or real(place)
    )
    assert located(tmp_path, ["a/1.png", "a/3.png", "a/2.png", "b/1.png", "1.png"]) == [
        str(tmp_path / "a/1.png"), None, str(tmp_path / "a/2.png"), None, None,
    ]  # fmt: skip
    assert len(listed) == 2


def test_class_images_with_mixed_levels_and_split_spellings(tmp_path):
    touch(tmp_path, "Training/A/1.png", "valid/A/2.png", "Testing/B/3.png", "train/empty/.x.png")
    found = {item.image: item.split for item in class_images(tmp_path)}
    assert found == {
        "Testing/B/3.png": "test", "Training/A/1.png": "train", "valid/A/2.png": "validation",
    }  # fmt: skip
    with pytest.raises(DataError, match="no class folders with images"):
        class_images(tmp_path / "train")


@pytest.mark.parametrize("place", ["na\udcffme.png", "fol\udcffder/x.png"])
def test_names_that_are_no_text_are_refused_with_a_remedy(tmp_path, place):
    try:
        touch(tmp_path, place)
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no such names")
    with pytest.raises(DataError, match=r"udcff.* is no valid UTF-8\. Rename it"):
        list(image_files(tmp_path))
