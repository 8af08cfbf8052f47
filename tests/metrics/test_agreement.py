"""Agreement of maps: against SciPy, scikit-image and loops, and beside maps of others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats
from skimage.metrics import structural_similarity

from lucidray import metrics as m
from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.catalog import metrics, names_of

NAMES = names_of("map_pairs")


def _pair(seed: int, size: int = 16) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    first, second = ndimage.gaussian_filter(rng.normal(size=(2, size, size)), (0, 2, 2))
    return first.round(2), (first + second).round(2)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_references(seed: int) -> None:
    a, b = _pair(seed)
    rank = stats.spearmanr(a.ravel(), b.ravel())[0]
    assert m.rank_correlation(a, b) == pytest.approx(rank)
    x, y = (np.maximum(v, 0) / v.max() for v in (a, b))
    ssim = structural_similarity(
        x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1
    )
    assert m.map_ssim(a, b) == pytest.approx(ssim, abs=1e-10)
    jaccard = np.minimum(x, y).sum() / np.maximum(x, y).sum()
    assert m.weighted_jaccard(a, b) == pytest.approx(jaccard)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 1))
def test_top_overlap_equals_a_loop_without_ties(seed: int, share: float) -> None:
    a, b = np.random.default_rng(seed).normal(size=(2, 12, 13))
    count = max(1, round(share * a.size))
    tops = [set(np.argsort(-v.ravel())[:count]) for v in (a, b)]
    expected = len(tops[0] & tops[1]) / count
    assert m.top_overlap(a, b, share=share) == pytest.approx(expected)


def test_flat_maps_overlap_by_chance() -> None:
    flat = np.ones((10, 10))
    assert m.top_overlap(flat, flat, share=0.2) == pytest.approx(0.2)
    half = np.repeat([0.0, 1.0], 50).reshape(10, 10)
    assert m.top_overlap(half, half, share=0.25) == pytest.approx(25 * 50 / 2500)


@pytest.mark.parametrize("name", NAMES)
class TestEveryMeasure:
    def test_a_map_agrees_with_itself(self, name: str) -> None:
        values = np.random.default_rng(0).normal(size=(16, 16))
        assert metrics[name](values, values) == pytest.approx(1)

    def test_order_scale_and_stacking_do_not_matter(self, name: str) -> None:
        pairs = [_pair(seed) for seed in range(3)]
        first, second = (np.stack(part) for part in zip(*pairs, strict=True))
        found = metrics[name](first, second)
        assert metrics[name](second, first) == pytest.approx(found)
        assert metrics[name](first * 4, second) == pytest.approx(found)
        assert float(metrics[name](first[1], second[1])) == pytest.approx(found[1])

    def test_undefined_is_nan(self, name: str) -> None:
        values = _pair(0)[0]
        assert np.isnan(metrics[name](values, np.full_like(values, np.nan)))
        nothing = metrics[name](values, np.full_like(values, -1.0))
        assert np.isnan(nothing) or name == "top_overlap"


def test_two_methods_agree_more_on_one_image_than_on_two() -> None:
    pairs = [_pair(seed) for seed in range(16)]
    first, second = (np.stack(part) for part in zip(*pairs, strict=True))
    first[3], second[4] = np.nan, -1
    tables = m.agreement_table(
        {"a": first, "b": second, "c": first}, groups=np.arange(16) // 2, n_boot=200
    )
    assert set(tables) == {("a", "b"), ("a", "c"), ("b", "c")}
    table = tables["a", "b"]
    assert table.gain["others", "rank_correlation"].low > 0
    assert abs(table.chance["others", "rank_correlation"].value) < 0.4
    assert table.counts() == {"ok": 14, "not_finite": 1, "no_positive_evidence": 1}
    assert table.measurements["map_ssim"].undefined == 2
    assert tables["a", "c"].measurements["map_ssim"].value == pytest.approx(1)


def test_one_patient_has_no_stranger() -> None:
    maps = np.stack([_pair(seed)[0] for seed in range(2)])
    table = m.agreement_table({"a": maps, "b": maps}, groups=[1, 1], n_boot=0)["a", "b"]
    assert np.isnan(table.chance["others", "map_ssim"].value)


def test_wrong_input_is_named() -> None:
    with pytest.raises(ShapeError, match="expected the same"):
        m.map_ssim(np.ones((12, 12)), np.ones((12, 13)))
    with pytest.raises(ShapeError, match="pixels a side"):
        m.map_ssim(np.ones((7, 7)), np.ones((7, 7)))
    with pytest.raises(MetricError, match="share"):
        m.top_overlap(np.ones((3, 3)), np.ones((3, 3)), share=0)
    with pytest.raises(ShapeError, match="one shape"):
        m.agreement_table({"a": np.ones((1, 12, 12)), "b": np.ones((2, 12, 12))})
