"""Montgomery and Shenzhen: the publisher's layout and the plain one."""

from __future__ import annotations

import pytest

from lucidray.datasets import load_dataset, mask_of
from lucidray.errors import DataError


def test_the_publishers_layout(tree):
    table = load_dataset(tree("lung_masks"))
    rows = table.rows
    assert list(rows["image"]) == ["CHNCXR_0327_1", "MCUCXR_0001_0"]
    assert table.labels().tolist() == [[0, 1], [1, 0]]
    assert list(rows["sex"]) == ["M", "F"]
    assert list(rows["age_years"]) == [45, 27]
    assert list(rows["reading"]) == ["right upper PTB", "normal"]
    assert list(rows["source"]) == ["Shenzhen No. 3 Hospital", "Montgomery County"]
    both = mask_of(rows.iloc[1])
    assert both is not None
    assert both.sum() == 8 and both[2, 1] and both[3, 6] and not both[2, 4]
    whole = mask_of(rows.iloc[0])
    assert whole is not None and whole.all()


def test_one_collection_alone(tree):
    table = load_dataset(tree("lung_masks") / "MontgomerySet")
    assert table.name == "lung_masks" and list(table.rows["image"]) == ["MCUCXR_0001_0"]


def test_a_film_without_a_mask_has_none(tree):
    root = tree("lung_masks")
    (root / "mask/CHNCXR_0327_1_mask.png").unlink()
    rows = load_dataset(root).rows
    assert mask_of(rows.iloc[0]) is None and mask_of(rows.iloc[1]) is not None


def test_no_film_is_refused(tree):
    with pytest.raises(DataError, match="has no films named MCUCXR"):
        load_dataset(tree("folder"), "lung_masks")


@pytest.mark.data
def test_the_real_films(real_data):
    table = load_dataset(real_data / "lung_masks")
    assert len(table.present()) == 560
    assert table.rows["mask"].notna().all()
    assert table.rows["source"].value_counts().tolist() == [447, 113]
    mask = mask_of(table.rows.iloc[0])
    assert mask is not None and mask.shape == (512, 512) and 0.1 < mask.mean() < 0.6
