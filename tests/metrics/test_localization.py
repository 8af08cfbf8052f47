"""Maps against masks: by hand, against scikit-learn and loops, and what must not change them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from lucidray import metrics as m
from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.catalog import metrics, names_of
from lucidray.metrics.localization_batch import MapOptions

NAMES = names_of("maps_and_masks")
#: Those that only look at the order of pixels.
RANKED = ["pointing_game", "pixel_auprc", "pixel_auroc", "rank_accuracy"]
#: Those that a map without positive evidence leaves at 0/0.
UNDEFINED = ["energy_inside", "inside_outside_difference", "ehr_auc", "ehr_auc_heat"]

seeds = st.integers(0, 2**32 - 1)


def _case(seed: int, size: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Return a signed map with ties and a mask that is neither empty nor full."""
    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(size=(size, size)), 1)
    values[rng.integers(size), rng.integers(size)] = 4
    mask = rng.random((size, size)) < rng.uniform(0.1, 0.9)
    mask[0, 0], mask[0, 1] = True, False
    return values, mask


def _value(name: str, maps: object, masks: object) -> np.ndarray:
    return metrics[name](np.asarray(maps)[None], np.asarray(masks)[None])[0]


class TestByHand:
    values = np.array([[4.0, 2.0, -6.0], [1.0, 1.0, 0.0]])
    mask = np.array([[True, False, True], [True, False, False]])

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("pointing_game", 1.0),
            ("energy_inside", 5 / 8),
            ("inside_outside_difference", 5 / 12 - 3 / 12),
            ("pixel_auprc", (1 + 2 / 4 + 3 / 6) / 3),
            ("pixel_auroc", (3 + 1.5 + 0) / 9),
            ("rank_accuracy", (1 + 0.5) / 3),
        ],
    )
    def test_value(self, name: str, expected: float) -> None:
        assert _value(name, self.values, self.mask) == pytest.approx(expected, abs=1e-15)

    def test_heat_outside_the_lungs(self) -> None:
        assert m.outside_lungs(self.values, self.mask) == pytest.approx(3 / 8)

    def test_minmax_counts_negative_values(self) -> None:
        found = m.inside_outside_difference(self.values, self.mask, scaling="minmax")
        assert found == pytest.approx((-1 / 3 - 1) / 10)

    @pytest.mark.parametrize(("tolerance", "expected"), [(0, 0), (2.9, 0), (3, 1), (9, 1)])
    def test_pointing_tolerance_is_a_distance(self, tolerance: float, expected: float) -> None:
        values, mask = np.zeros((1, 9)), np.zeros((1, 9), bool)
        values[0, 1], mask[0, 4:] = 1, True
        assert m.pointing_game(values, mask, tolerance_px=tolerance) == expected

    def test_tolerance_of_a_flat_map_is_the_share_of_the_dilated_mask(self) -> None:
        mask = np.zeros((21, 21), bool)
        mask[10, 10] = True
        y, x = np.mgrid[:21, :21] - 10
        expected = ((y**2 + x**2) <= 16).mean()
        assert m.pointing_game(np.ones((21, 21)), mask, tolerance_px=4) == expected


class TestReferences:
    @settings(max_examples=40, deadline=None)
    @given(seeds)
    def test_areas_equal_scikit_learn(self, seed: int) -> None:
        values, mask = _case(seed)
        flat = mask.ravel(), values.ravel()
        assert m.pixel_auprc(values, mask) == pytest.approx(average_precision_score(*flat))
        assert m.pixel_auroc(values, mask) == pytest.approx(roc_auc_score(*flat))

    @settings(max_examples=40, deadline=None)
    @given(seeds, st.floats(0.5, 6))
    def test_pointing_equals_a_loop_over_discs(self, seed: int, tolerance: float) -> None:
        values, mask = _case(seed)
        rows, columns = np.mgrid[: len(values), : len(values)]
        hits = [
            mask[(rows - y) ** 2 + (columns - x) ** 2 <= tolerance**2].any()
            for y, x in np.argwhere(values == values.max())
        ]
        found = m.pointing_game(values, mask, tolerance_px=tolerance)
        assert found == pytest.approx(np.mean(hits))

    @settings(max_examples=40, deadline=None)
    @given(seeds)
    def test_rank_accuracy_is_the_mean_over_orders_of_ties(self, seed: int) -> None:
        values, mask = _case(seed, size=6)
        rng, size = np.random.default_rng(seed), int(mask.sum())
        found = []
        for _ in range(400):
            jitter = values.ravel() + rng.random(values.size) * 1e-6
            found.append(mask.ravel()[np.argsort(-jitter)[:size]].mean())
        spread = np.std(found) / 20 + 1e-12
        assert abs(m.rank_accuracy(values, mask) - np.mean(found)) < 5 * spread

    def test_sums_equal_a_loop_in_float32(self) -> None:
        rng = np.random.default_rng(1)
        values = rng.normal(size=(5, 40, 30)).astype(np.float32)
        masks = rng.random(values.shape) < 0.2
        for v, k, energy, difference in zip(
            values,
            masks,
            m.energy_inside(values, masks),
            m.inside_outside_difference(values, masks),
            strict=True,
        ):
            heat = np.maximum(v.astype(float), 0)
            assert energy == pytest.approx(heat[k].sum() / heat.sum(), abs=1e-7)
            scaled = heat / heat.max()
            assert difference == pytest.approx(scaled[k].mean() - scaled[~k].mean(), abs=1e-7)


@pytest.mark.parametrize("name", NAMES)
class TestEveryMeasure:
    def test_is_within_its_bounds_and_documented(self, name: str) -> None:
        entry = metrics.entry(name)
        low, high = entry.facts["bounds"]
        assert low <= _value(name, *_case(0)) <= high
        assert entry.summary.endswith(".")
        assert entry.source
        assert entry.facts["higher_is_better"]

    def test_truth_scores_best(self, name: str) -> None:
        mask = np.zeros((20, 20), bool)
        mask[4:12, 5:9] = True
        best = metrics.entry(name).facts["bounds"][1]
        assert _value(name, mask.astype(float), mask) == pytest.approx(best, abs=0.005)

    def test_a_uniform_map_scores_chance(self, name: str) -> None:
        mask = np.zeros((20, 20), bool)
        mask[4:12, 5:9] = True
        found = _value(name, np.full((20, 20), 0.3), mask)
        shares = np.array([1 - mask.mean(), mask.mean()])
        chance = metrics.entry(name).facts["chance"].value(shares)
        if np.isnan(chance):  # boxes: the whole image is the guess
            chance = {"box_iou": mask.mean()}.get(name, 0.0)
        assert found == pytest.approx(chance, abs=1e-12)

    def test_the_opposite_of_the_truth_is_no_better_than_uniform(self, name: str) -> None:
        mask = np.zeros((20, 20), bool)
        mask[4:12, 5:9] = True
        distance = np.hypot(*(np.mgrid[:20, :20] - np.array([7.5, 6.5])[:, None, None]))
        uniform = _value(name, np.ones((20, 20)), mask)
        assert _value(name, distance, mask) <= uniform
        if not name.startswith("box"):
            assert _value(name, distance, mask) < uniform

    def test_undefined_is_nan_and_never_a_hit(self, name: str) -> None:
        values, mask = _case(3)
        assert np.isnan(_value(name, values, np.zeros_like(mask)))
        for bad in (np.nan, np.inf, -np.inf):
            broken = values.copy()
            broken[5, 5] = bad
            assert np.isnan(_value(name, broken, mask))

    @pytest.mark.parametrize("fill", [0.0, -1.0])
    def test_no_positive_evidence_is_no_hit(self, name: str, fill: float) -> None:
        mask = _case(3)[1]
        found = _value(name, np.full(mask.shape, fill), mask)
        if name in UNDEFINED or name == "ehr_auc_quantile":
            assert np.isnan(found)
        elif name in ("pixel_auprc", "rank_accuracy"):
            assert found == pytest.approx(mask.mean())
        else:
            assert found == (0.5 if name == "pixel_auroc" else 0.0)

    def test_scale_does_not_matter(self, name: str) -> None:
        values, mask = _case(4)
        for factor in (2.0**-40, 0.25, 2.0**40):
            found = _value(name, values * factor, mask)
            assert found == pytest.approx(_value(name, values, mask), rel=1e-9)

    def test_input_is_not_changed_and_dtype_hardly_matters(self, name: str) -> None:
        values, mask = _case(5)
        values = values + np.random.default_rng(5).normal(size=values.shape) / 100
        kept, covered = values.copy(), mask.copy()
        double = _value(name, values, mask)
        assert np.array_equal(values, kept)
        assert np.array_equal(mask, covered)
        single = _value(name, values.astype(np.float32), mask.astype(np.uint8))
        assert single == pytest.approx(double, abs=1e-6)

    def test_images_do_not_know_of_each_other(self, name: str) -> None:
        cases = [_case(seed) for seed in range(6)]
        maps, masks = (np.stack(part) for part in zip(*cases, strict=True))
        together = metrics[name](maps, masks)
        alone = [_value(name, *case) for case in cases]
        assert together == pytest.approx(alone, abs=1e-15)

    def test_no_warning_on_strange_input(self, name: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _value(name, np.full((3, 3), 1e38, np.float32), np.eye(3, dtype=bool))
            _value(name, np.ones((1, 1)), np.ones((1, 1), bool))


class TestInvariance:
    @settings(max_examples=30, deadline=None)
    @given(seeds)
    def test_rising_transforms_keep_ranked_measures(self, seed: int) -> None:
        values, mask = _case(seed)
        for name in RANKED:
            bent = _value(name, np.exp(values), mask)
            assert bent == pytest.approx(_value(name, values, mask), abs=1e-12), name

    @settings(max_examples=30, deadline=None)
    @given(seeds)
    def test_inside_and_outside_add_up(self, seed: int) -> None:
        values, mask = _case(seed)
        assert m.energy_inside(values, mask) + m.energy_inside(values, ~mask) == pytest.approx(1)
        assert m.outside_lungs(values, mask) == pytest.approx(m.energy_inside(values, ~mask))
        assert m.pixel_auroc(values, mask) + m.pixel_auroc(values, ~mask) == pytest.approx(1)

    @settings(max_examples=30, deadline=None)
    @given(seeds, st.integers(0, 3))
    def test_turning_both_changes_nothing(self, seed: int, turns: int) -> None:
        values, mask = _case(seed)
        for name in NAMES:
            turned = _value(name, np.rot90(values, turns), np.rot90(mask, turns))
            straight = _value(name, values, mask)
            if name.startswith("box"):  # of equal regions the first in reading order is taken
                continue
            assert turned == pytest.approx(straight, abs=1e-12), name


def test_shapes_are_kept() -> None:
    values, masks = np.random.default_rng(0).normal(size=(2, 3, 5, 7)), np.ones((2, 3, 5, 7), bool)
    assert m.energy_inside(values, masks).shape == (2, 3)
    assert m.energy_inside(values[0, 0], masks[0, 0]).shape == ()
    assert m.energy_inside(np.empty((0, 5, 7)), np.empty((0, 5, 7), bool)).shape == (0,)


def test_a_mask_that_covers_all_has_no_outside() -> None:
    values, mask = np.random.default_rng(0).random((4, 4)), np.ones((4, 4), bool)
    assert np.isnan(m.pixel_auroc(values, mask))
    assert np.isnan(m.inside_outside_difference(values, mask))
    assert m.pixel_auprc(values, mask) == 1


def test_wrong_input_is_named() -> None:
    with pytest.raises(ShapeError, match="must be"):
        m.energy_inside(np.ones((4, 4)), np.ones((4, 5), bool))
    with pytest.raises(MetricError, match="real numbers"):
        m.energy_inside(np.full((2, 2), "a"), np.ones((2, 2), bool))
    for options, text in [
        ({"threshold": 1.0}, "threshold"),
        ({"threshold": "half"}, "threshold"),
        ({"tolerance_px": -1.0}, "tolerance"),
        ({"steps": 1}, "steps"),
        ({"scaling": "sum"}, "scaling"),
    ]:
        with pytest.raises(MetricError, match=text):
            MapOptions(**options)
