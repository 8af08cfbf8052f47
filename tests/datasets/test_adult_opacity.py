"""Adult films for lung opacity: two sets side by side, each label from who knows it."""

from __future__ import annotations

import numpy as np
import pytest

from lucidray.datasets import load_dataset
from lucidray.errors import DataError


def test_labels_come_from_radiologists_then_from_reports(tree):
    table = load_dataset(tree("adult_opacity"))
    rows = table.rows.set_index("image")
    nih = rows[rows["source"] == "NIH Clinical Center"]
    assert nih["Tuberculosis"].isna().all()
    assert rows.loc["CHNCXR_0327_1", "Tuberculosis"] == 1
    assert rows.loc["MCUCXR_0001_0", "Tuberculosis"] == 0
    assert np.isnan(rows.loc["CHNCXR_0327_1", "Lung Opacity"])
    expected = {
        "00000001_000": (0, "radiologist"),  # mined Pneumonia; the radiologists saw none
        "00000002_000": (1, "radiologist"),
        "00000003_000": (0, "report"),  # No Finding
        "00000004_000": (1, "report"),  # Edema
        "00000005_000": (None, "report"),  # Hernia: says nothing about opacities
    }
    for image, (label, reader) in expected.items():
        assert rows.loc[image, "reading"] == reader
        value = rows.loc[image, "Lung Opacity"]
        assert np.isnan(value) if label is None else value == label
    assert list(table.boxes["image"]) == ["00000002_000"]


def test_one_of_the_sets_alone_is_refused(tree):
    with pytest.raises(DataError, match="holds no folder of nih_chestxray14"):
        load_dataset(tree("lung_masks"), "adult_opacity")


@pytest.mark.data
def test_the_real_films(real_data):
    table = load_dataset(real_data, "adult_opacity")
    known = table.rows[table.rows["Lung Opacity"].notna()]
    assert set(known["source"]) == {"NIH Clinical Center"}
    assert (known["reading"] == "radiologist").sum() == 234
    assert 0.3 < known["Lung Opacity"].mean() < 0.7
    assert table.rows["Tuberculosis"].notna().sum() == 560
