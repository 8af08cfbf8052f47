"""RSNA: one row an image although the table has one a box."""

from __future__ import annotations

import json
import zipfile

import pytest

from lucidray.datasets import load_dataset
from lucidray.errors import DataError


def test_rows_and_boxes(tree):
    table = load_dataset(tree("rsna_pneumonia"))
    assert table.labels().tolist() == [[0], [1]]
    assert list(table.rows["rsna_class"]) == ["No Lung Opacity / Not Normal", "Lung Opacity"]
    assert table.boxes["x_max"].tolist() == [477, 818]
    assert table.rows["patient"].isna().all(), "patientId names an image"
    assert list(table.rows["path"].notna()) == [True, False]


def test_the_mapping_names_patients(tree):
    root = tree("rsna_pneumonia")
    pairs = [{"img_id": "00000061_015.png", "subset_img_id": "bbb"}]
    mapping = root / "pneumonia-challenge-dataset-mappings_2018.json"
    mapping.write_text(json.dumps(pairs))
    rows = load_dataset(root).rows
    assert rows["patient"].tolist()[1] == "61" and rows["patient"].isna()[0]
    assert rows["nih_image"][1] == "00000061_015"
    mapping.write_text("[{}]")
    with pytest.raises(DataError, match="no list of subset_img_id and img_id"):
        load_dataset(root)


def test_the_publishers_full_table(published_tables, tmp_path):
    with zipfile.ZipFile(published_tables / "kaggle_stage_2_train_labels.csv.zip") as packed:
        name = next(n for n in packed.namelist() if n.endswith("stage_2_train_labels.csv"))
        (tmp_path / "stage_2_train_labels.csv").write_bytes(packed.read(name))
    table = load_dataset(tmp_path)
    assert len(table) == 26_684 and table.labels().sum() == 6_012
    assert len(table.boxes) == 9_555


@pytest.mark.data
def test_the_real_excerpt(real_data, tmp_path):
    packed = real_data / "tables/rsna_stage_2_train_labels_excerpt.csv.gz"
    (tmp_path / "stage_2_train_labels.csv.gz").write_bytes(packed.read_bytes())
    table = load_dataset(tmp_path)
    assert len(table) == 2_445
    assert set(table.boxes["image"]) == set(table.rows["image"][table.labels()[:, 0] == 1])
