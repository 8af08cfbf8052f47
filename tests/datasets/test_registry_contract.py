"""The contract of every registered data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import lucidray.datasets as package
from lucidray.datasets import COLUMNS, datasets, load_dataset, recognized
from lucidray.errors import DataError, UnknownNameError
from lucidray.findings import FINDINGS

#: Files of the folder that hold no data set.
_SHARED = {"__init__", "catalog", "joining", "masks", "scanning", "simulated", "split", "table"}
_OTHER_ROOMS = ("phantom", "audit")
NAMES = list(datasets)


def test_every_data_set_has_a_tree_and_every_file_is_registered(tree_names):
    assert list(tree_names) == NAMES
    home = Path(package.__file__).parent
    files = {path.stem for path in home.glob("*.py")} - _SHARED
    files = {name for name in files if not name.startswith(_OTHER_ROOMS)}
    registered = {entry.value.__module__.rsplit(".", 1)[-1] for entry in datasets.entries()}
    assert files == registered


@pytest.mark.parametrize("name", NAMES)
def test_it_is_documented_and_recognizes_its_own_tree_alone(name, tree):
    entry = datasets.entry(name)
    assert entry.summary.endswith(".")
    assert all(part in (entry.value.__doc__ or "") for part in ("Args:", "root:"))
    assert entry.source and entry.facts["terms"] and entry.facts["layout"]
    root = tree(name)
    assert recognized(root) == [name]
    assert load_dataset(root).name == name


@pytest.mark.parametrize("name", NAMES)
def test_its_table_keeps_the_contract(name, tree):
    root = tree(name)
    table = load_dataset(root, name)
    assert len(table) > 0
    assert table.terms or name == "table"
    labels = table.labels()
    assert labels.dtype == np.float32 and labels.shape == (len(table), len(table.findings))
    assert np.isin(labels[~np.isnan(labels)], (0, 1)).all()
    assert set(COLUMNS) <= set(table.rows.columns)
    if name not in {"folder", "table"}:
        assert set(table.findings) <= set(FINDINGS)
    if table.exclusive:
        assert (labels.sum(axis=1) == 1).all()
    for column, allowed in (
        ("split", {"train", "validation", "test"}),
        ("view_position", {"PA", "AP", "LL", "RL"}),
        ("sex", {"F", "M"}),
    ):
        assert set(table.rows[column].dropna()) <= allowed
    here = table.present()
    assert len(here) > 0
    assert all(path.is_absolute() and path.is_file() for path in here.paths())
    assert (table.boxes["x_max"] > table.boxes["x_min"]).all()
    again = load_dataset(root, name)
    assert again.rows.equals(table.rows)


@pytest.mark.parametrize("name", NAMES)
def test_it_refuses_a_foreign_folder_and_an_unknown_option(name, tmp_path, tree):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "notes.txt").write_text("nothing of use")
    with pytest.raises(DataError):
        load_dataset(foreign, name)
    with pytest.raises(UnknownNameError, match="unknown option of data set"):
        load_dataset(tree(name), name, colour="red")


def test_what_is_no_data_set_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match="no such data folder"):
        load_dataset(tmp_path / "absent")
    with pytest.raises(DataError, match="is empty"):
        load_dataset(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"no known data set in .*notes\.txt(.|\n)*nih_chestxray14"):
        load_dataset(tmp_path)
    with pytest.raises(DataError, match="no known data set in"):
        load_dataset(tmp_path / "notes.txt")
    with pytest.raises(UnknownNameError, match="did you mean 'padchest'"):
        load_dataset(tmp_path, "padchst")


def test_a_folder_of_two_data_sets_must_be_named(tree, tmp_path):
    root = tree("siim_acr")
    (tree("padchest") / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv").rename(
        root / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
    )
    with pytest.raises(DataError, match="looks like several data sets: padchest, siim_acr"):
        load_dataset(root)
    assert len(load_dataset(root, "siim_acr")) == 3


@pytest.mark.data
def test_a_folder_of_many_data_sets_is_none_of_them(real_data):
    with pytest.raises(DataError, match="no known data set in"):
        load_dataset(real_data)
