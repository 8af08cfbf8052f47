"""ChestX-ray14: the tiny tree by hand, the real tables against the published counts."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from lucidray.datasets import check_no_leakage, load_dataset
from lucidray.errors import DataError, UnknownNameError
from lucidray.findings import CHESTXRAY14

#: Positive images a label, Wang et al. 2017 (the NIH download page), in the order of CHESTXRAY14.
_PUBLISHED = (11559, 2776, 4667, 2303, 13317, 2516, 1686, 227, 19894, 5782, 6331, 3385, 1431, 5302)


def test_rows_labels_and_joined_tables(tree):
    table = load_dataset(tree("nih_chestxray14"))
    rows = table.rows.set_index("image")
    assert table.findings == CHESTXRAY14 and not table.exclusive
    positive = {name: [f for f in CHESTXRAY14 if rows.loc[name, f] == 1] for name in rows.index}
    assert positive == {
        "00000001_000": ["Cardiomegaly", "Emphysema"],
        "00000001_001": [],
        "00000002_000": ["Pleural Thickening"],
        "00000003_000": ["Nodule"],
    }
    assert list(rows["patient"]) == ["1", "1", "2", "3"]
    assert list(rows["split"]) == ["train", "train", "test", "test"]
    assert rows["age_years"].to_numpy() == pytest.approx([58, 58, np.nan, 30], nan_ok=True)
    assert list(rows["view_position"]) == ["PA", "AP", "PA", "PA"]
    assert list(rows["path"].notna()) == [True, False, True, False]
    assert rows.loc["00000001_001", "rsna_class"] == "Normal"
    assert rows.loc["00000001_001", "adjudicated_Pneumothorax"] == 1
    assert np.isnan(rows.loc["00000001_000", "adjudicated_Pneumothorax"])
    boxes = table.boxes.to_dict("records")
    assert boxes[0] == {
        "image": "00000002_000", "finding": "Infiltration",
        "x_min": 10.5, "y_min": 20.0, "x_max": 40.5, "y_max": 60.0,
    }  # fmt: skip
    assert [box["finding"] for box in boxes] == ["Infiltration", "Lung Opacity"]


def test_relabels_replace_what_was_mined_or_stay_out(tree):
    root = tree("nih_chestxray14")
    rows = load_dataset(root, relabels="replace").rows.set_index("image")
    assert rows.loc["00000001_001", "Pneumothorax"] == 1
    assert np.isnan(rows.loc["00000001_001", ["Nodule", "Mass"]].astype(float)).all()
    assert rows.loc["00000003_000", "Nodule"] == 0
    assert rows.loc["00000002_000", "Pneumothorax"] == 0
    plain = load_dataset(root, relabels="off")
    assert not [name for name in plain.rows if name.startswith("adjudicated")]
    with pytest.raises(UnknownNameError, match="unknown relabels 'of'"):
        load_dataset(root, relabels="of")


def test_no_finding_is_the_absence_of_all_labels(tree):
    table = load_dataset(tree("nih_chestxray14"), no_finding=True)
    assert table.findings[-1] == "No Finding"
    assert table.labels(["No Finding"])[:, 0].tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace("Cardiomegaly|", "Cardiomegalie|"), "spelled 'Cardiomegalie'"),
        (lambda text: text.replace("Finding Labels", "Labels"), "lacks the columns Finding Labels"),
        (lambda text: "", "cannot be read as a CSV"),
        (lambda text: text.replace("00000001_001", "00000001_000"), "1 images more than once"),
    ],
)
def test_a_damaged_table_is_refused(tree, damage, message):
    root = tree("nih_chestxray14")
    path = root / "Data_Entry_2017.csv"
    path.write_text(damage(path.read_text()))
    with pytest.raises(DataError, match=message):
        load_dataset(root, "nih_chestxray14")


def test_an_image_in_both_official_lists_is_refused(tree):
    root = tree("nih_chestxray14")
    (root / "train_val_list.txt").write_text("00000002_000.png\n")
    with pytest.raises(DataError, match="lists images that the train_val list names too"):
        load_dataset(root)


@pytest.mark.data
def test_the_full_tables_give_the_published_counts(real_data):
    table = load_dataset(real_data / "tables", "nih_chestxray14")
    assert len(table) == 112_120
    assert table.rows["patient"].nunique() == 30_805
    assert table.labels().sum(axis=0).astype(int).tolist() == list(_PUBLISHED)
    assert (table.labels().sum(axis=1) == 0).sum() == 60_361
    assert table.rows["split"].value_counts().to_dict() == {"train": 86_524, "test": 25_596}
    assert check_no_leakage(table).images == 0
    assert len(table.boxes) == 984 and table.boxes["image"].nunique() == 880
    boxed = table.rows["image"].isin(table.boxes["image"])
    assert set(table.rows["split"][boxed]) == {"test"}
    adjudicated = table.rows["adjudicated_Pneumothorax"]
    # Google's table lists 4,376 images; one of them is not in the NIH's table of 2020.
    assert adjudicated.notna().sum() in {4_375, 4_376}
    assert table.rows["age_years"].max() <= 95
    assert table.rows.memory_usage(deep=True).sum() < 100e6


@pytest.mark.data
def test_the_real_subset(real_data):
    table = load_dataset(real_data / "nih_chestxray14_subset", tables=real_data / "tables")
    assert len(table) == len(table.present()) == 678
    assert table.rows["patient"].nunique() == 478
    assert table.rows["split"].value_counts().to_dict() == {"train": 574, "test": 104}
    assert (table.boxes["finding"] == "Lung Opacity").sum() == 136
    assert (table.boxes["finding"] != "Lung Opacity").sum() == 34
    assert (table.boxes[["x_max", "y_max"]].to_numpy() <= 1024.5).all()
    with gzip.open(real_data / "tables/nih_test_list.txt.gz", "rt") as lines:
        official = {line.strip()[:-4] for line in lines}
    assert set(table.split("test").rows["image"]) <= official
