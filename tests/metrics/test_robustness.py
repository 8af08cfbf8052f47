"""Sensitivity, repeatability and augmentation: by hand on linear explainers, by round trips."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from lucidray.errors import MetricError, ShapeError
from lucidray.images.geometry import identity
from lucidray.metrics.agreement import map_ssim
from lucidray.metrics.catalog import metrics, names_of
from lucidray.metrics.robustness import (
    PerturbedMaps,
    measure_repeatability,
    measure_sensitivity,
    perturbed_maps,
)
from lucidray.metrics.robustness_augmentation import (
    augmentations,
    augmented_maps,
    common_window,
    measure_augmentation,
    move_image,
)

SIDE = 32


def _images(seed: int = 0, count: int = 6) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((count, SIDE, SIDE))
    return ndimage.gaussian_filter(noise, (0, 3, 3)).astype(np.float32) * 10


def _itself(batch: np.ndarray) -> np.ndarray:
    return batch[:, None]


class TestSensitivity:
    def test_of_a_map_that_is_the_image_is_the_noise_over_its_length(self) -> None:
        images = _images()
        runs = perturbed_maps(_itself, images, radius=0.1, samples=7, batch_size=5)
        assert runs.perturbed.shape == (7, 6, 1, SIDE, SIDE)
        moved = runs.perturbed[:, :, 0] - images
        assert np.abs(moved).max() <= 0.1 + 1e-5
        assert np.abs(moved).max() > 0.099
        lengths = np.linalg.norm(images.reshape(6, -1), axis=1)
        expected = np.linalg.norm(moved.reshape(7, 6, -1), axis=2).max(axis=0) / lengths
        found = metrics["max_sensitivity"](runs)
        assert found[:, 0] == pytest.approx(expected, rel=1e-4)
        assert metrics["local_lipschitz"](runs) == pytest.approx(np.ones((6, 1)), rel=1e-4)
        assert (metrics["mean_sensitivity"](runs) <= found).all()

    def test_scale_of_the_map_does_not_count_but_for_lipschitz(self) -> None:
        one = perturbed_maps(_itself, _images(), samples=3)
        ten = PerturbedMaps(10 * one.maps, 10 * one.perturbed, one.distances)
        for name in ("max_sensitivity", "mean_sensitivity"):
            assert metrics[name](ten) == pytest.approx(metrics[name](one))
        lipschitz = metrics["local_lipschitz"]
        assert lipschitz(ten) == pytest.approx(10 * lipschitz(one))

    def test_noise_does_not_depend_on_the_batch_but_on_the_seed(self) -> None:
        first, second, third = (
            perturbed_maps(_itself, _images(), samples=2, batch_size=size, seed=seed)
            for size, seed in ((1, 0), (32, 0), (32, 1))
        )
        assert np.array_equal(first.perturbed, second.perturbed)
        assert not np.array_equal(first.perturbed, third.perturbed)

    def test_a_map_that_ignores_the_image_is_steady_and_a_zero_map_undefined(self) -> None:
        def explain(batch: np.ndarray) -> np.ndarray:
            constant = np.zeros((len(batch), 3, 4, 4))
            constant[:, 0, 1, 1] = 5
            constant[:, 2] = np.nan
            return constant

        tables = measure_sensitivity(perturbed_maps(explain, _images()), n_boot=50)
        assert tables[0].measurements["max_sensitivity"].value == 0
        assert tables[1].measurements["max_sensitivity"].undefined == 6
        assert tables[1].status == ("no_order",) * 6
        assert np.isnan(tables[2].measurements["local_lipschitz"].value)
        assert tables[2].status == ("not_finite",) * 6

    def test_noise_is_cut_off_at_the_limits_and_measured_as_it_was_added(self) -> None:
        images = np.zeros((2, 8, 8), np.float32)
        images[1] = 1
        runs = perturbed_maps(_itself, images, radius=0.3, limits=(0, 1), samples=4)
        assert runs.perturbed.min() == 0
        assert runs.perturbed.max() == 1
        moved = (runs.perturbed - runs.maps)[:, :, 0].reshape(4, 2, -1)
        assert runs.distances == pytest.approx(np.linalg.norm(moved, axis=2))
        assert (runs.distances > 0).all()

    def test_channels_and_refusals(self) -> None:
        colored = np.repeat(_images()[:, None], 3, axis=1)
        runs = perturbed_maps(lambda b: b.mean(axis=1, keepdims=True), colored, samples=1)
        assert runs.distances.shape == (1, 6)
        with pytest.raises(MetricError, match="must be positive"):
            perturbed_maps(_itself, _images(), radius=0)
        with pytest.raises(ShapeError, match="one map a finding"):
            perturbed_maps(lambda b: b, _images())
        with pytest.raises(ShapeError, match="expected"):
            perturbed_maps(_itself, np.ones(4))

    def test_measures_are_documented(self) -> None:
        names = names_of("perturbed_maps")
        assert len(names) == 3
        for name in names:
            for part in ("Args:", "Returns:", "Source:"):
                assert part in metrics.entry(name).value.__doc__


class TestRepeatability:
    def test_equal_runs_agree_fully_and_beat_strangers(self) -> None:
        maps = _images(1, 12)
        table = measure_repeatability({"a": maps, "b": 2 * maps, "c": maps}, n_boot=100)
        for name in ("rank_correlation", "map_ssim"):
            measured = table.measurements[name]
            assert measured.value == pytest.approx(1)
            assert table.gain["others", name].low > 0
            assert measured.chance == table.chance["others", name].value

    def test_is_the_mean_over_pairs_of_runs(self) -> None:
        runs = {name: _images(seed) for seed, name in enumerate("abc")}
        found = measure_repeatability(runs, only=["map_ssim"], n_boot=0).values["map_ssim"]
        pairs = [("a", "b"), ("a", "c"), ("b", "c")]
        expected = np.mean([map_ssim(runs[x], runs[y]) for x, y in pairs], axis=0)
        assert found == pytest.approx(expected)

    def test_unrelated_runs_are_at_chance(self) -> None:
        runs = {name: _images(seed, 30) for seed, name in enumerate("ab")}
        table = measure_repeatability(runs, only=["rank_correlation"], n_boot=300)
        gain = table.gain["others", "rank_correlation"]
        assert gain.low < 0 < gain.high

    def test_a_pair_that_cannot_be_compared_is_left_out(self) -> None:
        runs = {name: _images(0) for name in "abc"}
        runs["c"] = runs["c"].copy()
        runs["c"][0] = np.nan
        table = measure_repeatability(runs, only=["map_ssim"], n_boot=0)
        assert table.values["map_ssim"] == pytest.approx(np.ones(6))
        assert table.status[0] == "not_finite"
        with pytest.raises(MetricError, match="at least two"):
            measure_repeatability({"a": runs["a"]})


class TestAugmentation:
    def test_moves_stay_within_their_bounds_and_about_the_middle(self) -> None:
        still = augmentations((40, 60), 3, degrees=0, shift=0, scale=0)
        for way in still:
            assert np.array(way.matrix) == pytest.approx(np.array(identity((40, 60)).matrix))
        for way in augmentations((40, 60), 20, degrees=5, shift=0.1, scale=0.2, seed=3):
            (a, b, c), (d, e, f) = way.matrix
            assert np.degrees(np.arctan2(d, a)) == pytest.approx(0, abs=5)
            assert 0.8 <= np.hypot(a, d) <= 1.2
            assert (a, b) == pytest.approx((e, -d))
            assert abs(30 * a + 20 * b + c - 30) <= 6
            assert abs(30 * d + 20 * e + f - 20) <= 4

    def test_a_map_that_moves_with_the_image_comes_back_to_its_place(self) -> None:
        image = _images(4, 1)[0]
        ways = augmentations(image.shape, 4, flip=True, seed=1)
        maps = augmented_maps(_itself, image, ways)
        assert maps.shape == (5, 1, SIDE, SIDE)
        assert np.array_equal(maps[0, 0], image)
        rows, columns = common_window(ways)
        back = maps[:, 0, rows, columns]
        assert np.isfinite(back).all()
        assert np.abs(back[1:] - back[0]).max() < 0.1 * np.ptp(image)

    def test_a_mirror_is_exact(self) -> None:
        image = _images(4, 1)[0]
        _, mirror = augmentations(image.shape, 2, degrees=0, shift=0, scale=0, flip=True)
        assert move_image(image, mirror) == pytest.approx(image[:, ::-1], abs=1e-6)
        colored = np.stack([image, -image])
        assert move_image(colored, mirror) == pytest.approx(colored[..., ::-1], abs=1e-6)
        assert augmented_maps(_itself, image, [mirror])[1, 0] == pytest.approx(image, abs=1e-6)

    def test_what_a_copy_does_not_show_is_nan(self) -> None:
        image = _images(4, 1)[0]
        from lucidray.records import Geometry

        shifted = Geometry(((1, 0, 8), (0, 1, 0)), image.shape, image.shape)
        maps = augmented_maps(_itself, image, [shifted], outside=-1)[1, 0]
        assert np.isnan(maps[:, -8:]).all()
        assert maps[:, :-8] == pytest.approx(image[:, :-8], abs=1e-6)
        assert (move_image(image, shifted, outside=-1)[:, :8] == -1).all()

    def test_following_maps_score_one_and_fixed_maps_no_more_than_strangers(self) -> None:
        images = list(_images(5, 8))
        ways = augmentations((SIDE, SIDE), 2, degrees=15, shift=0.1)
        marker = _images(9, 1)

        def both(batch: np.ndarray) -> np.ndarray:
            return np.stack([batch, np.broadcast_to(marker, batch.shape)], axis=1)

        following, fixed = measure_augmentation(both, images, ways, n_boot=100)
        assert following.measurements["rank_correlation"].value > 0.97
        assert following.gain["others", "rank_correlation"].low > 0
        assert fixed.measurements["rank_correlation"].value < 0.9
        gain = fixed.gain["others", "rank_correlation"].value
        assert gain == pytest.approx(0, abs=1e-9)

    def test_refusals(self) -> None:
        image = _images(4, 1)[0]
        with pytest.raises(MetricError, match="nothing negative"):
            augmentations((4, 4), degrees=-1)
        with pytest.raises(MetricError, match="at least one"):
            measure_augmentation(_itself, [image], [])
        with pytest.raises(MetricError, match="move it less"):
            common_window(augmentations((SIDE, SIDE), 4, shift=0.9))
        with pytest.raises(ShapeError, match="one size"):
            common_window([identity((16, 16)), identity((17, 16))])
        with pytest.raises(ShapeError, match="expected"):
            augmented_maps(lambda b: b, image, [])
