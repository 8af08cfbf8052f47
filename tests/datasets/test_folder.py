"""Class folders: anybody's own images."""

from __future__ import annotations

import pytest

from lucidray.datasets import load_dataset
from lucidray.errors import ConfigError, DataError


def test_rows(tree):
    table = load_dataset(tree("folder"))
    assert table.findings == ("Effusion", "cats"), "canonical names where there is one"
    assert list(table.rows["split"]) == ["train", "train", "validation"]
    assert table.rows["patient"].isna().all() and table.exclusive


def test_without_splits(tree):
    table = load_dataset(tree("folder") / "train")
    assert len(table) == 2 and set(table.rows["split"]) == {"train"}


def test_patients_from_names(tree):
    root = tree("folder")
    table = load_dataset(root, patient=r"^(P\d)_")
    assert sorted(table.rows["patient"]) == ["P1", "P2", "P3"]
    with pytest.raises(DataError, match="fits no patient in 2 of 3 file names"):
        load_dataset(root, patient="P1")
    with pytest.raises(ConfigError, match="no regular expression"):
        load_dataset(root, patient="(")


def test_images_of_one_name_but_two_formats_are_two_images(tree):
    root = tree("folder")
    film = root / "train/cats/P1_a.png"
    film.with_suffix(".jpg").write_bytes(film.read_bytes())
    assert len(load_dataset(root)) == 4
