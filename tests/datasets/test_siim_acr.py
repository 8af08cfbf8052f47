"""SIIM-ACR: images are counted by ImageId, masks united."""

from __future__ import annotations

import os

import numpy as np
import pytest

from lucidray.datasets import load_dataset, mask_of


def test_rows_and_masks(tree):
    table = load_dataset(tree("siim_acr"))
    assert list(table.rows["image"]) == ["1.2.3", "1.2.4", "1.2.5"]
    assert table.labels()[:, 0].tolist() == [0, 1, 0]
    assert list(table.rows["path"].notna()) == [False, True, False]
    mask = mask_of(table.rows.iloc[1])
    assert mask is not None
    # Runs go down columns: rows 1 and 2 of column 0, then 1,022 further on: rows 1 and 2 of
    # column 1; the second mask adds row 0 of column 0.
    assert sorted(zip(*(axis.tolist() for axis in mask.nonzero()), strict=True)) == [
        (0, 0), (1, 0), (1, 1), (2, 0), (2, 1),
    ]  # fmt: skip
    assert mask_of(table.rows.iloc[0]) is None
    assert mask_of(table.rows.iloc[1], "Pneumothorax").sum() == 5
    assert mask_of(table.rows.iloc[1], "Mass") is None


def test_the_publishers_full_table(published_tables, tmp_path):
    os.symlink(
        published_tables / "siim-pneumothorax-train-rle.csv.gz", tmp_path / "train-rle.csv.gz"
    )
    table = load_dataset(tmp_path)
    # 12,954 rows, of which the naive count makes 3,576 positives.
    assert len(table) == 12_047 and table.labels().sum() == 2_669
    assert table.rows["mask_runs"].map(len).sum() == 3_576
    rows = table.rows[table.labels()[:, 0] == 1].head(200)
    areas = [mask_of(row).mean() for _, row in rows.iterrows()]
    assert np.mean(areas) == pytest.approx(0.0142, abs=0.004), "the mean of all is 1.42 %"


@pytest.mark.data
def test_the_real_excerpt(real_data, tmp_path):
    packed = real_data / "tables/siim_train_rle_excerpt.csv.gz"
    (tmp_path / "train-rle.csv.gz").write_bytes(packed.read_bytes())
    table = load_dataset(tmp_path)
    assert len(table) == 399 and table.labels().sum() == 399 - 277
