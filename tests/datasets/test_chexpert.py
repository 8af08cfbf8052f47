"""CheXpert: paths, people, and what -1 and blank become."""

from __future__ import annotations

import os

import numpy as np
import pytest

from lucidray.datasets import load_dataset
from lucidray.errors import DataError, UnknownNameError


def test_rows(tree):
    table = load_dataset(tree("chexpert"))
    rows = table.rows
    assert list(rows["split"]) == ["train", "train", "validation"]
    assert list(rows["patient"]) == ["patient00001", "patient00002", "patient64541"]
    assert list(rows["view_position"]) == ["AP", "LL", "PA"]
    assert list(rows["frontal"]) == [True, False, True]
    assert rows["sex"].tolist()[::2] == ["F", "M"] and rows["sex"].isna().tolist()[1]
    assert rows["age_years"].to_numpy() == pytest.approx([68, np.nan, 73], nan_ok=True)
    assert list(rows["path"].notna()) == [True, False, True]
    assert rows["study"][1] == "patient00002/study2"


def test_uncertain_and_unmentioned(tree):
    root = tree("chexpert")
    asked = ["Lung Opacity", "Effusion", "Cardiomegaly"]
    unknown = load_dataset(root).labels(asked)
    assert unknown == pytest.approx(
        np.array([[0, 0, 0], [np.nan, 1, np.nan], [0, 0, 0]]), nan_ok=True
    ), "No Finding answers what the first report does not mention"
    ones = load_dataset(root, uncertain="ones", unmentioned="zeros").labels(asked)
    assert ones.tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]
    zeros = load_dataset(root, uncertain="zeros").labels(asked)
    assert zeros[1, 0] == 0 and np.isnan(zeros[1, 2])
    with pytest.raises(UnknownNameError, match="unknown uncertain 'one'; did you mean 'ones'"):
        load_dataset(root, uncertain="one")


def test_wrong_labels_and_paths_are_refused(tree):
    root = tree("chexpert")
    path = root / "train.csv"
    good = path.read_text()
    path.write_text(good.replace("1.0,,,,,,,,,0.0", "7.0,,,,,,,,,0.0"))
    with pytest.raises(DataError, match="column 'No Finding' holds 1 labels that are not 1, 0, -1"):
        load_dataset(root)
    path.write_text(good.replace("train/patient00001", "train/someone"))
    with pytest.raises(DataError, match="1 paths are not SPLIT/patientN/studyN/FILE"):
        load_dataset(root)


def test_the_publishers_full_table(published_tables, tmp_path):
    os.symlink(published_tables / "chexpert_train.csv.gz", tmp_path / "train.csv.gz")
    table = load_dataset(tmp_path)
    assert len(table) == 223_414 and table.rows["patient"].nunique() == 64_540
    assert not table.rows["path"].notna().any()
    # Table 1 of Irvin et al. 2019 counts the positives of 187,641 studies; here: images.
    assert np.nansum(table.labels(["Effusion"])) == 86_187
    assert np.nansum(table.labels(["Pneumonia"])) == 6_039
