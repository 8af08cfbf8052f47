"""MIMIC-CXR-JPG: three tables joined by film and by study."""

from __future__ import annotations

import numpy as np
import pytest

from lucidray.datasets import load_dataset
from lucidray.errors import DataError


def test_rows(tree):
    table = load_dataset(tree("mimic_cxr_jpg"))
    rows = table.rows
    assert list(rows["split"]) == ["train", "train", "validation"]
    assert list(rows["patient"]) == ["10000032", "10000032", "10000764"]
    assert rows["view_position"].tolist()[:2] == ["PA", "LL"] and rows["view_position"].isna()[2]
    assert rows["sex"].isna().tolist() == [False, False, True]
    assert rows["age_years"].to_numpy() == pytest.approx([54, 54, np.nan], nan_ok=True)
    assert list(rows["path"].notna()) == [True, False, False]


def test_labels_of_a_study_go_to_each_of_its_films(tree):
    root = tree("mimic_cxr_jpg")
    asked = ["Effusion", "Pneumonia", "Edema", "Atelectasis"]
    labels = load_dataset(root).labels(asked)
    expected = [[1, 0, np.nan, np.nan]] * 2 + [[np.nan] * 4]
    assert labels == pytest.approx(np.array(expected), nan_ok=True)
    assert load_dataset(root, uncertain="ones").labels(["Edema"])[:2, 0].tolist() == [1, 1]


def test_the_other_labeler_needs_its_table(tree):
    with pytest.raises(DataError, match=r"has no mimic-cxr-2.\*-negbio.csv"):
        load_dataset(tree("mimic_cxr_jpg"), labeler="negbio")
