"""Complexity: by hand, against loops, and where Quantus goes wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lucidray import metrics as m
from lucidray.errors import ShapeError


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_gini_is_half_the_mean_difference_over_the_mean(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(6, 7))
    size = np.abs(values).ravel()
    expected = np.abs(size[:, None] - size).mean() / (2 * size.mean())
    assert m.gini_sparseness(values) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_entropy_equals_scipy(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(6, 7)).round(1)
    assert m.entropy_complexity(values) == pytest.approx(stats.entropy(np.abs(values).ravel()))


@pytest.mark.parametrize("factor", [1e-30, 1e-9, 1, 1e20])
def test_scale_and_sign_do_not_matter(factor: float) -> None:
    values = np.random.default_rng(0).normal(size=(20, 20)).astype(np.float32)
    scaled = values * np.float32(factor)
    for measure in (m.gini_sparseness, m.entropy_complexity):
        assert measure(scaled) == pytest.approx(measure(values), abs=1e-6)
        assert measure(-scaled) == measure(scaled)


def test_ends_of_the_scale() -> None:
    one = np.zeros((5, 5))
    one[2, 3] = -7
    assert m.gini_sparseness(np.stack([np.ones((5, 5)), one])) == pytest.approx([0, 24 / 25])
    assert m.entropy_complexity(np.stack([np.ones((5, 5)), one])) == pytest.approx([np.log(25), 0])


def test_undefined_is_nan_and_the_input_is_kept() -> None:
    maps = np.stack([np.zeros((3, 3)), np.full((3, 3), np.nan), np.eye(3)])
    kept = maps.copy()
    for measure in (m.gini_sparseness, m.entropy_complexity):
        assert np.isnan(measure(maps)).tolist() == [True, True, False]
    assert np.array_equal(maps, kept, equal_nan=True)
    with pytest.raises(ShapeError, match="H, W"):
        m.gini_sparseness(np.ones(3))
