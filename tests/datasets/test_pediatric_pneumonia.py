"""Pediatric pneumonia: patients from file names, in every layout that is published."""

from __future__ import annotations

import numpy as np
import pytest

from lucidray.datasets import check_no_leakage, load_dataset
from lucidray.errors import DataError


def test_rows(tree):
    table = load_dataset(tree("pediatric_pneumonia"))
    rows = table.rows.set_index("image")
    assert table.findings == ("Normal", "Pneumonia") and table.exclusive
    assert rows["patient"].to_dict() == {
        "test/PNEUMONIA/person1_virus_6.jpeg": "virus-1",
        "train/NORMAL/IM-0115-0001.jpeg": "normal-0115",
        "train/NORMAL/NORMAL2-IM-0115-0001-0002.jpeg": "normal2-0115",
        "train/PNEUMONIA/person1_bacteria_1.jpeg": "bacteria-1",
        "train/PNEUMONIA/person1_bacteria_2.jpeg": "bacteria-1",
        "train/PNEUMONIA/person447_virus_921_1.jpeg": "virus-447",
        "val/NORMAL/NORMAL2-IM-1427-0001.jpeg": "normal2-1427",
    }
    assert check_no_leakage(table).images == 0, "person 1 of bacteria is not person 1 of virus"


def test_kinds_as_labels(tree):
    table = load_dataset(tree("pediatric_pneumonia"), labels="kind")
    assert table.findings == ("Normal", "Bacterial Pneumonia", "Viral Pneumonia")
    assert table.labels().sum(axis=0).tolist() == [3, 2, 2]


def test_pneumonia_and_its_kinds_side_by_side(tree):
    table = load_dataset(tree("pediatric_pneumonia"), labels="both")
    assert table.findings == ("Pneumonia", "Bacterial Pneumonia", "Viral Pneumonia")
    assert not table.exclusive
    labels = table.labels()
    assert labels.sum(axis=0).tolist() == [4, 2, 2]
    np.testing.assert_array_equal(labels[:, 0], labels[:, 1:].sum(axis=1))


def test_one_split_folder_and_the_folder_around(tree, tmp_path):
    root = tree("pediatric_pneumonia")
    train = load_dataset(root / "train")
    assert train.name == "pediatric_pneumonia" and len(train) == 5
    assert set(train.rows["split"]) == {"train"}
    (root / "train/NORMAL").rename(root / "train/normal")
    (tmp_path / "outer").mkdir()
    root.rename(tmp_path / "outer/chest_xray")
    (tmp_path / "outer/__MACOSX/train").mkdir(parents=True)
    around = load_dataset(tmp_path / "outer")
    assert len(around) == 7 and around.rows["image"][0].startswith("test/")


def test_mendeleys_names(tmp_path, tree):
    root = tree("pediatric_pneumonia")
    for old, new in (
        ("PNEUMONIA/person1_bacteria_1.jpeg", "PNEUMONIA/BACTERIA-1008087-0001.jpeg"),
        ("NORMAL/IM-0115-0001.jpeg", "NORMAL/NORMAL-1003233-0001.jpeg"),
    ):
        (root / "train" / old).rename(root / "train" / new)
    patients = set(load_dataset(root, "pediatric_pneumonia").rows["patient"])
    assert {"bacteria-1008087", "normal-1003233"} <= patients


def test_foreign_and_misplaced_files_are_refused(tree):
    root = tree("pediatric_pneumonia")
    film = root / "train/PNEUMONIA/person1_bacteria_1.jpeg"
    film.rename(film.with_name("scan7.jpeg"))
    with pytest.raises(DataError, match="not named as this data set names its files"):
        load_dataset(root, "pediatric_pneumonia")
    (film.with_name("scan7.jpeg")).rename(film.with_name("IM-0001-0001.jpeg"))
    with pytest.raises(DataError, match="lies in the folder of another class"):
        load_dataset(root, "pediatric_pneumonia")


@pytest.mark.data
def test_the_real_films(real_data):
    table = load_dataset(real_data / "pediatric_pneumonia")
    assert len(table) == len(table.present()) == 5_216
    assert table.labels().sum(axis=0).tolist() == [1_341, 3_875]
    assert table.rows["kind"].value_counts().to_dict() == {
        "bacteria": 2_530, "normal": 1_341, "virus": 1_345,
    }  # fmt: skip
    assert table.rows["patient"].value_counts().iloc[0] == 30, "the most films of one child"
    assert len(load_dataset(real_data / "pediatric_pneumonia/train")) == 5_216
