"""Noisy linear imputation: by hand, against the authors' solver, by the equations themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_grad_cam.metrics.road import NoisyLinearImputer
from scipy import ndimage

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.faithfulness import measure_faithfulness
from lucidray.metrics.faithfulness_curves import removal_curves
from lucidray.metrics.faithfulness_fill import Removal
from lucidray.metrics.road_imputation import impute

WEIGHTS = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]]) / 12


def test_one_hole_is_the_weighted_mean_of_its_neighbors() -> None:
    image = np.arange(9, dtype=np.float32).reshape(3, 3) ** 2
    hole = np.zeros((3, 3), bool)
    hole[1, 1] = True
    expected = (2 * (1 + 9 + 25 + 49) + 0 + 4 + 36 + 64) / 12
    assert impute(image, hole)[1, 1] == pytest.approx(expected, rel=1e-5)


def test_a_hole_in_the_corner_leaves_missing_neighbors_out() -> None:
    image = np.array([[9.0, 1.0], [2.0, 5.0]], np.float32)
    hole = np.array([[True, False], [False, False]])
    assert impute(image, hole)[0, 0] == pytest.approx((2 * 1 + 2 * 2 + 5) / 5, rel=1e-5)


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")
@pytest.mark.parametrize("shape", [(40, 40), (23, 38), (1, 9), (65, 12)])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("smooth", [0, 5])
def test_equals_the_authors_direct_solution(
    shape: tuple[int, int], share: float, smooth: float
) -> None:
    rng = np.random.default_rng(1)
    image = rng.standard_normal((2, *shape)).astype(np.float32)
    values = ndimage.gaussian_filter(rng.standard_normal(shape), smooth)
    hole = values > np.quantile(values, 1 - share)
    theirs = NoisyLinearImputer(noise=0)(torch.from_numpy(image), torch.from_numpy(~hole).float())
    assert impute(image, hole, tolerance=1e-6) == pytest.approx(theirs.numpy(), abs=5e-5)
    assert impute(image, hole) == pytest.approx(theirs.numpy(), abs=2e-3)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.floats(0.05, 0.95), st.integers(0, 10**6))
def test_the_equations_hold(rows: int, columns: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = (100 + 20 * rng.standard_normal((rows, columns))).astype(np.float32)
    hole = rng.random((rows, columns)) < share
    hole[rng.integers(rows), rng.integers(columns)] = False
    found = impute(image, hole)
    assert np.array_equal(found[~hole], image[~hole])
    spread = max(float(image[~hole].std()), 1e-3)
    around = ndimage.convolve(found.astype(float), WEIGHTS, mode="constant")
    weight = ndimage.convolve(np.ones_like(found, float), WEIGHTS, mode="constant")
    assert np.abs((around / weight - found)[hole]).max(initial=0) < 1e-3 * spread
    assert found.min() >= image[~hole].min() - 1e-2 * spread
    assert found.max() <= image[~hole].max() + 1e-2 * spread


def test_flat_surroundings_give_a_flat_filling() -> None:
    hole = np.zeros((9, 9), bool)
    hole[2:6, 1:8] = True
    image = np.where(hole, np.float32(55), np.float32(3))
    assert (impute(image, hole) == 3).all()
    nothing = np.zeros((9, 9), bool)
    assert np.array_equal(impute(image, nothing), image)


def test_refusals() -> None:
    image = np.ones((4, 4), np.float32)
    with pytest.raises(MetricError, match="at least one pixel must stay"):
        impute(image, np.ones((4, 4), bool))
    with pytest.raises(ShapeError, match="one grid"):
        impute(image, np.ones((4, 5), bool))
    with pytest.raises(MetricError, match="nan or infinite"):
        impute(image * np.nan, np.eye(4, dtype=bool))


def _mean_of_left_half(batch: np.ndarray) -> np.ndarray:
    return batch[:, :, : batch.shape[2] // 2].mean(axis=(1, 2))[:, None]


def test_road_curves_equal_imputing_one_by_one() -> None:
    rng = np.random.default_rng(2)
    image = rng.standard_normal((12, 12)).astype(np.float32)
    stack = rng.standard_normal((1, 12, 12)).astype(np.float32)
    how = Removal(fill="road", steps=4, link="none", noise=0, random_orders=0)
    found = removal_curves(_mean_of_left_half, [image], [stack], removal=how).output
    order = np.argsort(-stack.ravel(), kind="stable")
    for step in range(4):
        hole = np.zeros(144, bool)
        hole[order[: step * 36]] = True
        filled = impute(image, hole.reshape(12, 12), tolerance=1e-3)
        expected = _mean_of_left_half(filled[None])[0, 0]
        assert found.most_first[0, 0, step] == pytest.approx(expected, abs=1e-6)
    assert found.fractions.tolist() == [0, 0.25, 0.5, 0.75]


def test_noise_is_of_the_asked_size_only_where_removed_and_repeats() -> None:
    rng = np.random.default_rng(3)
    image = (5 * rng.standard_normal((64, 64))).astype(np.float32)
    stack = rng.standard_normal((1, 64, 64)).astype(np.float32)
    seen: list[np.ndarray] = []

    def predict(batch: np.ndarray) -> np.ndarray:
        seen.append(batch.copy())
        return np.zeros((len(batch), 1))

    for noise in (0.0, 0.1, 0.1):
        how = Removal(fill="road", steps=2, noise=noise, random_orders=0)
        removal_curves(predict, [image], [stack], removal=how)
    plain, noisy, again = seen
    added = (noisy - plain)[1]
    assert np.array_equal(noisy, again)
    touched = added != 0
    assert touched.mean() == pytest.approx(0.5, abs=0.01)
    assert added[touched].std() == pytest.approx(0.5, rel=0.1)
    assert np.array_equal(noisy[0], image)


def test_road_tells_a_true_map_from_chance_and_from_its_inverse() -> None:
    rng = np.random.default_rng(4)
    images = rng.standard_normal((10, 16, 16)).astype(np.float32)
    images[:, 4:8, 4:8] += 4

    def predict(batch: np.ndarray) -> np.ndarray:
        return (batch[:, 4:8, 4:8].mean(axis=(1, 2)) - 2)[:, None]

    truth = np.zeros((16, 16))
    truth[4:8, 4:8] = 1
    maps = np.repeat((truth + 0.1 * rng.random((16, 16)))[None, None], 10, axis=0)
    table = measure_faithfulness(
        predict, images, maps, removal=Removal(fill="road", steps=4), n_boot=200
    ).tables[0]
    assert table.gain["random", "road_most_first"].high < 0
    assert table.gain["random", "road_least_first"].low > 0
    assert table.measurements["road_gap"].low > 0
    assert table.chance["random", "road_gap"].value == pytest.approx(0)
    assert table.chance["inverted", "road_gap"].high < 0
