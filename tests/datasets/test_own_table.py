"""Own tables: read as written by hand, and any table back as `write_table` wrote it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lucidray.datasets import datasets, load_dataset, write_table
from lucidray.errors import DataError, UnknownNameError


def _same(a, b):
    assert list(a.columns) == list(b.columns)
    for key in a.columns:
        for left, right in zip(a[key], b[key], strict=True):
            if isinstance(left, np.ndarray):
                np.testing.assert_array_equal(left, right)
            elif isinstance(left, dict | tuple):
                assert left == right
            else:
                assert (pd.isna(left) and pd.isna(right)) or left == right, key


def test_a_table_written_by_hand(tree):
    root = tree("table")
    table = load_dataset(root)
    assert table.findings == ("Pneumonia",)
    assert table.labels()[:, 0] == pytest.approx([1, np.nan], nan_ok=True)
    assert list(table.rows["patient"]) == ["7", "07"], "ids are text"
    assert list(table.rows["image"]) == ["films/a.png", "films/b.png"]
    assert list(table.rows["path"].notna()) == [True, False]
    assert table.rows["weight"][0] == 80
    alone = load_dataset(root / "images.csv")
    assert alone.name == "table" and len(alone) == 2


def test_label_columns_of_other_names_are_named(tree):
    root = tree("table")
    path = root / "images.csv"
    path.write_text("path,lesion\nfilms/a.png,1\n")
    with pytest.raises(DataError, match="no label column named like a finding"):
        load_dataset(root)
    assert load_dataset(root, findings=["lesion"]).findings == ("lesion",)
    with pytest.raises(DataError, match="no label column lesions"):
        load_dataset(root, findings=["lesions"])
    path.write_text("path,pneumonia\nfilms/a.png,yes\n")
    with pytest.raises(DataError, match="holds 1 labels that are not 1, 0, -1"):
        load_dataset(root)


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
@pytest.mark.parametrize("name", list(datasets))
def test_every_table_comes_back_as_it_was(name, file_format, tree, tmp_path):
    table = load_dataset(tree(name), name)
    write_table(table, tmp_path / "written", file_format=file_format)
    again = load_dataset(tmp_path / "written")
    assert again.findings == table.findings
    assert again.exclusive == table.exclusive and again.terms == table.terms
    _same(again.rows[table.rows.columns.tolist()], table.rows)
    _same(again.boxes, table.boxes)


def test_paths_inside_the_folder_move_with_it(tree, tmp_path):
    table = load_dataset(tree("chest_multiclass"))
    root = tmp_path / "tree_of_chest_multiclass"
    write_table(table, root)
    root.rename(tmp_path / "moved")
    moved = load_dataset(tmp_path / "moved", "table")
    assert len(moved.present()) == len(table)
    assert all("moved" in path.parts for path in moved.paths())


def test_refusals(tree, tmp_path):
    table = load_dataset(tree("table"))
    with pytest.raises(UnknownNameError, match="unknown file format 'xlsx'"):
        write_table(table, tmp_path, file_format="xlsx")
    (tmp_path / "images.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="cannot be read as a Parquet table"):
        load_dataset(tmp_path, "table")
    (tmp_path / "images.parquet").unlink()
    write_table(table, tmp_path)
    (tmp_path / "images.json").write_text("{")
    with pytest.raises(DataError, match="is not valid JSON"):
        load_dataset(tmp_path, "table")
