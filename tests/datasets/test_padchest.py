"""PadChest: lists of Spanish radiologists' labels, united under canonical names."""

from __future__ import annotations

import os

import numpy as np
import pytest

from lucidray.datasets import load_dataset
from lucidray.errors import DataError

_TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"


def test_rows_and_labels(tree):
    table = load_dataset(tree("padchest"))
    rows = table.rows
    labels = {name: table.labels([name])[:, 0].tolist() for name in table.findings}
    assert labels["Normal"][:2] == [1, 0]
    assert labels["Atelectasis"][:2] == [0, 1] and labels["Fibrosis"][:2] == [0, 1]
    assert np.isnan(table.labels()[2:]).all(), "excluded and unlabeled films are unknown"
    assert rows["published"][1] == (
        "atelectasis", "kyphosis", "laminar atelectasis", "pulmonary fibrosis"
    )  # fmt: skip
    assert rows["view_position"].tolist()[0::3] == ["PA", "AP"] and rows["view_position"][1] == "LL"
    assert rows["age_years"].to_numpy() == pytest.approx([84, 89, np.nan, 65], nan_ok=True)
    assert rows["sex"].isna().tolist() == [False, False, True, False]
    assert list(rows["path"].notna()) == [True, False, False, False]


def test_physicians_only_and_damaged_labels(tree):
    root = tree("padchest")
    assert list(load_dataset(root, method="physician").rows["image"]) == ["a_1.png"]
    path = root / _TABLE
    path.write_text(path.read_text().replace("['normal']", "[normal"))
    with pytest.raises(DataError, match="no list of labels"):
        load_dataset(root)


def test_the_publishers_full_table(published_tables, tmp_path):
    os.symlink(published_tables / f"{_TABLE}.gz", tmp_path / f"{_TABLE}.gz")
    table = load_dataset(tmp_path)
    assert len(table) == 160_861 and table.rows["method"].eq("Physician").sum() == 39_053
    assert np.nansum(table.labels(["Normal"])) == 50_616
    assert np.nansum(table.labels(["Cardiomegaly"])) == 15_022
    pneumonia = table.rows["published"].map(
        lambda names: bool({*names} & {"pneumonia", "atypical pneumonia"})
    )
    assert np.nansum(table.labels(["Pneumonia"])) == pneumonia.sum() >= 7_953
