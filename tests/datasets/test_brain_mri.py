"""Brain MRI: both published collections."""

from __future__ import annotations

import pytest

from lucidray.datasets import load_dataset


def test_nickparvar(tree):
    table = load_dataset(tree("brain_mri"))
    assert table.findings == ("Glioma", "Meningioma", "No Tumor", "Pituitary Tumor")
    assert set(table.rows["source"]) == {"Nickparvar"}
    assert table.labels().tolist() == [[0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    assert list(table.rows["split"]) == ["test", "train", "train", "train"]


def test_bhuvaji(tree):
    root = tree("brain_mri")
    for old, new in (
        ("Training/glioma", "Training/glioma_tumor"),
        ("Training/meningioma", "Training/meningioma_tumor"),
        ("Training/notumor", "Training/no_tumor"),
        ("Testing/pituitary", "Testing/pituitary_tumor"),
    ):
        (root / old).rename(root / new)
    table = load_dataset(root)
    assert table.name == "brain_mri" and set(table.rows["source"]) == {"Bhuvaji"}
    assert table.labels().sum(axis=0).tolist() == [1, 1, 1, 1]


@pytest.mark.data
def test_the_real_slices(real_data):
    table = load_dataset(real_data / "brain_mri")
    assert len(table.present()) == 5_708
    assert table.labels().sum(axis=0).tolist() == [1_321, 1_339, 1_591, 1_457]
