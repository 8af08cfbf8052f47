"""Subgroups against measuring each alone, and their gaps."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from lucidray import metrics as m
from lucidray.errors import MetricError, ShapeError


@pytest.fixture
def case(rng: np.random.Generator) -> dict[str, np.ndarray]:
    labels = (rng.random(240) < 0.4).astype(float)
    sex = rng.choice(["F", "M"], 240).astype(object)
    pull = np.where(sex == "F", 0.6, 0.1)
    return {
        "labels": labels,
        "probabilities": np.clip(0.75 * rng.random(240) + pull * labels, 0, 1),
        "attribute": sex,
        "groups": np.sort(rng.integers(0, 150, 240)),
    }


def test_each_row_equals_measuring_it_alone(case: dict[str, np.ndarray]) -> None:
    table = m.measure_subgroups(**case, threshold=0.4, n_boot=200)
    assert [row.value for row in table.rows] == ["F", "M"]
    for row in table.rows:
        here = case["attribute"] == row.value
        labels, p = case["labels"][here], case["probabilities"][here]
        assert (row.images, row.positives) == (here.sum(), labels.sum())
        for name, found in row.measurements.items():
            assert found.value == pytest.approx(m.evaluate(name, labels, p, threshold=0.4))
            assert found.low <= found.high


def test_gap_names_the_pair_and_its_interval(case: dict[str, np.ndarray]) -> None:
    table = m.measure_subgroups(**case, threshold=0.4, n_boot=500)
    for name, gap in table.gaps.items():
        values = {row.value: row.measurements[name].value for row in table.rows}
        assert gap.difference.value == pytest.approx(values[gap.best] - values[gap.worst])
    auc, fnr = table.gaps["auc"], table.gaps["fnr"]
    assert (auc.best, auc.worst) == (fnr.best, fnr.worst) == ("F", "M")
    assert 0 < auc.difference.low < auc.difference.value < auc.difference.high
    assert fnr.difference.high < 0
    assert auc.difference.higher_is_better is False


def test_unknown_and_unlabeled_images_are_in_no_row(case: dict[str, np.ndarray]) -> None:
    case["attribute"][:5] = [None, "", float("nan"), "F", pd.NA]
    case["labels"][3] = np.nan
    table = m.measure_subgroups(**case, n_boot=0)
    assert table.unknown == 4
    assert sum(row.images for row in table.rows) == 235
    assert set(table.gaps) == {"auc", "ece"}


def test_a_subgroup_without_positives_has_no_gap(case: dict[str, np.ndarray]) -> None:
    case["labels"][case["attribute"] == "M"] = 0
    table = m.measure_subgroups(**case, threshold=0.4, n_boot=50)
    assert math.isnan(table.rows[1].measurements["auc"].value)
    assert "auc" not in table.gaps
    assert "fpr" in table.gaps


def test_age_bands() -> None:
    ages = [0, 17, 18, 59.5, 80, 101, -1, np.nan]
    names = ["00-17", "00-17", "18-39", "40-59", "80+", "80+", None, None]
    assert m.age_bands(ages).tolist() == names
    assert m.age_bands([3, 30], edges=(0, 5)).tolist() == ["00-04", "05+"]
    with pytest.raises(MetricError, match="do not rise"):
        m.age_bands(ages, edges=(0, 40, 18))


def test_refused(case: dict[str, np.ndarray]) -> None:
    case["attribute"] = case["attribute"][:5]
    with pytest.raises(ShapeError, match="attributes are"):
        m.measure_subgroups(**case)
