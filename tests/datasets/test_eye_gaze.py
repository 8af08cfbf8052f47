"""Eye gaze: fixations in order of time, in source pixels."""

from __future__ import annotations

import numpy as np

from lucidray.datasets import load_dataset, mask_of


def test_rows(tree):
    root = tree("eye_gaze")
    table = load_dataset(root)
    rows = table.rows
    assert table.findings == ("Normal", "Heart Failure", "Pneumonia") and table.exclusive
    assert table.labels().tolist() == [[0, 1, 0], [1, 0, 0]]
    assert list(rows["age_years"]) == [25, 75] and list(rows["sex"]) == ["F", "M"]
    expected = [[998, 1035, 0.25, 0.5], [952, 884, 1.0, 0.5]]
    np.testing.assert_allclose(rows["fixations"][0], expected)
    assert rows["fixations"].isna().tolist() == [False, True]
    assert table.boxes.to_numpy().tolist() == [
        ["24c7-d763", "cardiac silhouette", 1007, 1278, 1743, 2040]
    ]
    lungs = mask_of(rows.iloc[0])
    assert lungs is not None and lungs.all() and mask_of(rows.iloc[1]) is None
    assert rows["path"][0].endswith(".dcm") and rows["path"].isna()[1]


def test_films_of_mimic_cxr_jpg_elsewhere(tree, tmp_path):
    root = tree("eye_gaze")
    film = root / "files/p15/p15628804/s58573295/24c7-d763.dcm"
    other = tmp_path / "mimic/files/p15/p15628804/s58573295/24c7-d763.jpg"
    other.parent.mkdir(parents=True)
    film.rename(other)
    assert load_dataset(root).rows["path"].isna().all()
    assert load_dataset(root, images=tmp_path / "mimic").rows["path"][0] == str(other)
