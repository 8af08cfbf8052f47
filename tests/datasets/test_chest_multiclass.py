"""Normal, pneumonia, tuberculosis: classes from folders, sources guessed from names."""

from __future__ import annotations

import pytest

from lucidray.datasets import load_dataset


def test_rows(tree):
    table = load_dataset(tree("chest_multiclass"))
    rows = table.rows.set_index("image")
    assert rows["source"].to_dict() == {
        "test/tuberculosis/Tuberculosis-5.jpg": "Tuberculosis",
        "train/normal/Normal-1.jpg": "Normal",
        "train/normal/others (12).jpg": "others",
        "train/pneumonia/Viral Pneumonia-7.jpg": "Viral Pneumonia",
        "validation/tuberculosis/TB.3.jpg": "TB",
    }
    assert list(rows["split"]) == ["test", "train", "train", "train", "validation"]
    assert table.labels().sum(axis=0).tolist() == [2, 1, 2] and table.exclusive


@pytest.mark.data
def test_the_real_films(real_data):
    table = load_dataset(real_data / "chest_multiclass")
    assert len(table.present()) == 4_737
    assert table.labels().sum(axis=0).tolist() == [1_800, 1_137, 1_800]
    assert table.rows["split"].value_counts().to_dict() == {"train": 3_936, "validation": 801}
    assert table.rows.groupby("source")["Pneumonia"].nunique().max() == 1, "source tells the class"
