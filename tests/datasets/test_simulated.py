"""Phantoms in ChestX-ray14's layout: their truth joins the table."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lucidray.datasets import load_dataset, mask_of, write_table


@pytest.fixture
def phantoms(tree):
    """The tiny ChestX-ray14 tree with the files that phantoms have besides."""
    root = tree("nih_chestxray14")
    (root / "phantoms.json").write_text("{}")
    for name, place in (("lungs/00000001_000", 1), ("lesions/00000001_000_Pleural_Thickening", 2)):
        mask = np.zeros((8, 8), bool)
        mask[place] = True
        path = root / f"masks/{name}.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(mask).save(path)
    (root / "fixations.csv").write_text(
        "image,x,y,start_s,duration_s,target\n00000001_000.png,4.5,3,0.2,0.3,heart\n"
        "00000001_000.png,5,6,0.6,0.25,trachea\n"
    )
    (root / "truth.csv").write_text(
        "Image Index,Mass,cardiothoracic_ratio,shortcut,devices\n00000001_000.png,0,0.45,1,\n"
    )
    return root


def test_truth_joins_the_table(phantoms):
    table = load_dataset(phantoms)
    assert table.name == "nih_chestxray14" and set(table.rows["source"]) == {"phantom"}
    first, second = table.rows.iloc[0], table.rows.iloc[1]
    assert first["path"] == str(phantoms / "images_001/images/00000001_000.png")
    lungs, lesion = mask_of(first), mask_of(first, "Pleural Thickening")
    assert lungs is not None and lesion is not None
    assert np.flatnonzero(lungs.any(axis=1)).tolist() == [1]
    assert np.flatnonzero(lesion.any(axis=1)).tolist() == [2]
    assert mask_of(second) is None and mask_of(first, "Mass") is None
    np.testing.assert_array_equal(first["fixations"], [[4.5, 3, 0.2, 0.3], [5, 6, 0.6, 0.25]])
    assert second["fixations"].shape == (0, 4)
    assert first["shortcut"] == 1 and np.isnan(second["shortcut"])


def test_truth_survives_being_written(phantoms, tmp_path):
    table = load_dataset(phantoms)
    write_table(table, tmp_path / "written", file_format="parquet")
    again = load_dataset(tmp_path / "written").rows
    assert again["mask_files"].tolist() == table.rows["mask_files"].tolist()
    np.testing.assert_array_equal(again["fixations"][0], table.rows["fixations"][0])


def test_real_films_have_no_truth(tree):
    table = load_dataset(tree("nih_chestxray14"))
    assert not {"mask", "fixations", "shortcut"} & set(table.rows.columns)
    assert set(table.rows["source"]) == {"NIH Clinical Center"}
