"""CheXlocalize: masks by finding, on the films of CheXpert's validation and test."""

from __future__ import annotations

import pytest

from lucidray.datasets import load_dataset, mask_of
from lucidray.errors import DataError


def test_rows_and_masks(tree):
    table = load_dataset(tree("chexlocalize"))
    assert list(table.rows["split"]) == ["validation", "test"]
    first = table.rows.iloc[0]
    assert list(first["mask_coco"]) == ["Lung Opacity"], "empty masks are left out"
    mask = mask_of(first, "Lung Opacity")
    assert mask is not None
    assert mask.astype(int).tolist() == [[0, 1], [1, 0], [1, 0]]
    assert mask_of(first, "Edema") is None
    assert mask_of(table.rows.iloc[1], "Lung Opacity") is None
    assert first["path"].endswith("CheXpert/val/patient64541/study1/view1_frontal.jpg")
    assert table.rows["age_years"].isna().tolist() == [False, True]


def test_no_labels_and_damaged_json_are_refused(tree):
    root = tree("chexlocalize")
    (root / "CheXlocalize/gt_segmentations_test.json").write_text("{")
    with pytest.raises(DataError, match="is not valid JSON"):
        load_dataset(root)
    for name in ("val_labels.csv", "test_labels.csv"):
        (root / "CheXpert" / name).unlink()
    with pytest.raises(DataError, match=r"has no val_labels\.csv or test_labels\.csv"):
        load_dataset(root)
