"""VinDr-CXR: three readers' votes and boxes, from PhysioNet and from Kaggle."""

from __future__ import annotations

import os

from lucidray.datasets import load_dataset


def test_majority_and_any_of_the_readers(tree):
    root = tree("vindr_cxr")
    table = load_dataset(root)
    asked = ["Aortic Enlargement", "Effusion", "No Finding", "Other Disease"]
    assert list(table.rows["image"]) == ["aaa", "bbb", "ccc"]
    assert table.labels(asked).tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert load_dataset(root, readers="any").labels(asked)[0].tolist() == [1, 1, 0, 0]
    assert list(table.rows["readers"]) == [3, 3, 1]
    assert list(table.rows["split"]) == ["train", "train", "test"]
    assert table.boxes.to_numpy().tolist() == [
        ["aaa", "Effusion", 10, 20, 30, 45],
        ["ccc", "Interstitial Lung Disease", 1, 2, 3, 4],
    ]
    assert list(table.rows["path"].notna()) == [True, False, False]


def test_kaggles_full_table(published_tables, tmp_path):
    os.symlink(published_tables / "vinbigdata-train.csv.gz", tmp_path / "train.csv.gz")
    table = load_dataset(tmp_path)
    assert table.name == "vindr_cxr" and len(table) == 15_000
    assert (table.rows["readers"] == 3).all()
    assert table.labels(["No Finding"]).sum() == 10_606
    assert len(table.boxes) == 67_914 - 31_818
    assert load_dataset(tmp_path, readers="any").labels(["Pneumothorax"]).sum() == 96
