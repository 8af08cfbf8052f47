"""COVIDx: space-separated lists, file names with spaces, two or three classes."""

from __future__ import annotations

import pytest

from lucidray.datasets import load_dataset
from lucidray.errors import DataError, UnknownNameError


def test_three_classes(tree):
    table = load_dataset(tree("covidx"))
    assert table.findings == ("Normal", "Pneumonia", "COVID-19") and table.exclusive
    assert table.labels().tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert list(table.rows["image"]) == ["train/a one.png", "train/b.png", "test/c.png"]
    assert list(table.rows["patient"]) == ["cohen/p1", "rsna/p1", "rsna/p7"]
    assert list(table.rows["split"]) == ["train", "train", "test"]
    assert list(table.rows["path"].notna()) == [True, False, True]


def test_two_classes_without_a_source_and_a_validation_list(tree):
    root = tree("covidx")
    (root / "train.txt").write_text("p1 b.png negative\np2 d.png positive\n")
    (root / "val.txt").write_text("p3 e.png positive\n")
    (root / "test.txt").unlink()
    table = load_dataset(root)
    assert table.findings == ("COVID-19",) and not table.exclusive
    assert table.labels()[:, 0].tolist() == [0, 1, 1]
    assert list(table.rows["split"]) == ["train", "train", "validation"]


def test_versions_and_damage_are_named(tree):
    root = tree("covidx")
    (root / "train.txt").rename(root / "train_COVIDx9A.txt")
    (root / "train_COVIDx9B.txt").write_text("p1 b.png negative bimcv\n")
    with pytest.raises(DataError, match="several lists: _COVIDx9A, _COVIDx9B"):
        load_dataset(root)
    assert len(load_dataset(root, version="_COVIDx9B")) == 1
    with pytest.raises(UnknownNameError, match="Choose one of: _COVIDx9A, _COVIDx9B"):
        load_dataset(root, version="_COVIDx9a")
    (root / "train.txt").write_text("p1 b.png healthy\n")
    with pytest.raises(DataError, match="ends in no class"):
        load_dataset(root, "covidx")
    (root / "train.txt").write_text("p1 b.png positive\np1 c.png normal\n")
    with pytest.raises(DataError, match="mixes lists"):
        load_dataset(root, "covidx")
