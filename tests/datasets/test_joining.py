"""The adapters' shared steps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lucidray.datasets.joining import (
    ages,
    has_columns,
    make_boxes,
    need_table,
    read_csv,
    settle,
    sexes,
    stem,
    views,
)
from lucidray.errors import DataError


def test_ages_of_every_spelling():
    text = pd.Series(["058Y", "013M", "26W", "73D", " 45yrs", "19", 40, "414", None, "old"])
    expected = [58, 13 / 12, 26 * 7 / 365.25, 73 / 365.25, 45, 19, 40, np.nan, np.nan, np.nan]
    assert ages(text) == pytest.approx(expected, nan_ok=True)


def test_sexes_and_views():
    assert sexes(pd.Series(["F", "male", "Female", "O"])).tolist()[:3] == ["F", "M", "F"]
    assert sexes(pd.Series(["O", None, ""])).isna().all()
    read = views(pd.Series(["pa", "AP_horizontal", "L", "LATERAL", "RL", "COSTAL", None]))
    assert read.tolist()[:5] == ["PA", "AP", "LL", "LL", "RL"] and read[5:].isna().all()


def test_policies_for_what_a_labeler_leaves_open():
    labels = np.array([[1, 0, -1, np.nan]], np.float32)
    assert settle(labels, "unknown", "unknown")[0].tolist()[:2] == [1, 0]
    assert np.isnan(settle(labels, "unknown", "unknown")[0, 2:]).all()
    assert settle(labels, "zeros", "zeros")[0].tolist() == [1, 0, 0, 0]
    assert settle(labels, "ones", "zeros")[0].tolist() == [1, 0, 1, 0]


def test_tables_plain_and_gzipped(tmp_path):
    with pytest.raises(DataError, match=r"has no a\.csv or b\*\.csv"):
        need_table(tmp_path, "a.csv", "b*.csv")
    frame = pd.DataFrame({" x ": [1], "y": [2]})
    frame.to_csv(tmp_path / "b1.csv.gz", index=False)
    path = need_table(tmp_path, "a.csv", "b*.csv")
    assert list(read_csv(path, ("x", "y")).columns) == ["x", "y"], "spaces in names are removed"
    assert has_columns(path, ("x",)) and not has_columns(path, ("z",))
    assert not has_columns(None, ()) and not has_columns(tmp_path, ())
    with pytest.raises(DataError, match=r"lacks the columns xx \(nearest to 'xx': 'x'\)"):
        read_csv(path, ("xx",))


def test_boxes_are_half_open_and_need_an_end():
    boxes = make_boxes(["a"], ["Mass"], [1], [2], size=([3], [4]))
    assert boxes.to_numpy().tolist() == [["a", "Mass", 1, 2, 4, 6]]
    assert boxes["x_min"].dtype == np.float64
    with pytest.raises(DataError, match="a size or an opposite corner"):
        make_boxes(["a"], ["Mass"], [1], [2])


def test_stems():
    assert stem("images/00000001_000.png") == stem("00000001_000.JPG") == "00000001_000"
    assert stem("1.2.840.1") == "1.2.840.1", "a UID has no suffix"
