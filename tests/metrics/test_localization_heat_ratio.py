"""Effective heat ratio: by hand and against plain loops over thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidray import metrics as m


def _case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mask = rng.random((9, 11)) < 0.3
    mask[0, 0] = True
    return np.round(rng.normal(size=mask.shape), rng.integers(1, 6)) + 2 * mask, mask


def _area(values: np.ndarray, mask: np.ndarray, steps: int) -> float:
    """The definition of S3, written out."""
    scaled = np.maximum(values, 0) / values.max()
    cuts = np.linspace(0, 1, steps)
    ratios = [((scaled >= t) & mask).sum() / (scaled >= t).sum() for t in cuts]
    return float(np.trapezoid(ratios, cuts))


def _quantile(values: np.ndarray, mask: np.ndarray, weighted: bool) -> float:
    """The definition of InputIBA, written out, on a copy."""
    heat = np.maximum(values, 0) / values.max()
    heat[heat < 0.1] = 0
    warm = heat[heat >= 0.1]
    ratios = []
    for q in np.linspace(0, 1, 11):
        hot = heat >= min(np.quantile(warm, q), 0.99 * heat.max())
        inside = heat[hot & mask].sum() if weighted else (hot & mask).sum()
        ratios.append(inside / hot.sum())
    return float(np.trapezoid(ratios, np.linspace(0, 1, 11)))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([2, 11, 101]))
def test_area_form_equals_a_loop(seed: int, steps: int) -> None:
    values, mask = _case(seed)
    assert m.ehr_auc(values, mask, steps=steps) == pytest.approx(_area(values, mask, steps))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
def test_quantile_forms_equal_a_loop(seed: int) -> None:
    values, mask = _case(seed)
    assert m.ehr_auc_quantile(values, mask) == pytest.approx(_quantile(values, mask, False))
    assert m.ehr_auc_heat(values, mask) == pytest.approx(_quantile(values, mask, True))


def test_the_curve_ends_at_the_maximum_and_starts_at_chance() -> None:
    cases = [_case(seed) for seed in range(4)]
    maps, masks = (np.stack(part) for part in zip(*cases, strict=True))
    curve = m.heat_ratio_curve(maps, masks, steps=11)
    assert curve.ratios[:, 0] == pytest.approx(curve.chance)
    assert curve.chance == pytest.approx(masks.mean(axis=(1, 2)))
    assert curve.ratios[:, -1] == pytest.approx(m.pointing_game(maps, masks))
    areas = np.trapezoid(curve.ratios, curve.thresholds, axis=1)
    assert areas == pytest.approx(m.ehr_auc(maps, masks, steps=11))


def test_the_curve_is_nan_where_nothing_can_be_said() -> None:
    maps = np.stack([np.full((4, 4), -1.0), np.eye(4), np.full((4, 4), np.nan)])
    masks = np.stack([np.eye(4), np.zeros((4, 4)), np.eye(4)]).astype(bool)
    curve = m.heat_ratio_curve(maps, masks)
    assert np.isnan(curve.ratios).all()
    assert np.isnan(curve.chance).tolist() == [False, True, False]


def test_the_best_value_is_as_documented() -> None:
    mask = np.zeros((10, 10), bool)
    mask[2:4, 2:4] = True
    best = 1 - (1 - mask.mean()) / (2 * 20)
    assert m.ehr_auc(mask.astype(float), mask, steps=21) == pytest.approx(best)
