"""Maps against gaze: the MIT formulas written out, SciPy, scikit-learn, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats
from sklearn.metrics import roc_auc_score

from lucidray import metrics as m
from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.catalog import metrics, names_of

DENSITY, POINTS = names_of("maps_and_gaze"), names_of("maps_and_fixations")
EPS = 2.220446049250313e-16

seeds = st.integers(0, 10**6)


def _case(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a signed map, a density and fixations ``(n, 2)``, all distinct pixels."""
    rng = np.random.default_rng(seed)
    values = ndimage.gaussian_filter(rng.normal(size=(14, 18)), 1.5)
    where = rng.permutation(values.size)[:9]
    points = np.stack([where % 18, where // 18], axis=1) + rng.random((9, 2))
    return values, m.fixation_map(points, (14, 18), sigma_px=2.0), points


def _mit(values: np.ndarray, gaze: np.ndarray) -> dict[str, float]:
    heat = np.maximum(values, 0)
    p, g = heat / heat.sum(), gaze / gaze.sum()
    stretched = (p - p.min()) / np.ptp(p), (g - g.min()) / np.ptp(g)
    bins = [np.histogram(v / v.max(), 256, (0, 1))[0] / v.size for v in (p, g)]
    return {
        "gaze_kl": (g * np.log(EPS + g / (p + EPS))).sum(),
        "gaze_kl_reversed": (p * np.log(EPS + p / (g + EPS))).sum(),
        "gaze_cc": stats.pearsonr(values.ravel(), gaze.ravel())[0],
        "gaze_similarity": np.minimum(*(s / s.sum() for s in stretched)).sum(),
        "gaze_similarity_sum": np.minimum(p, g).sum(),
        "gaze_histogram_similarity": np.minimum(*bins).sum(),
    }


def _judd(values: np.ndarray, points: np.ndarray) -> float:
    """MIT's AUC_Judd.m without its jitter."""
    x, y = np.floor(points).astype(int).T
    fixed = np.zeros(values.shape, bool)
    fixed[y, x] = True
    cuts, n = np.sort(values[fixed])[::-1], fixed.sum()
    tp, fp = [0.0], [0.0]
    for i, cut in enumerate(cuts, start=1):
        tp.append(i / n)
        fp.append(((values >= cut).sum() - i) / (values.size - n))
    return float(np.trapezoid([*tp, 1], [*fp, 1]))


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_densities_equal_the_formulas(seed: int) -> None:
    values, gaze, _ = _case(seed)
    expected = _mit(values, gaze)
    assert set(expected) == set(DENSITY)
    for name, number in expected.items():
        assert metrics[name](values, gaze) == pytest.approx(number, abs=1e-10), name


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_points_equal_the_formulas(seed: int) -> None:
    values, _, points = _case(seed)
    x, y = np.floor(points).astype(int).T
    standard = (values - values.mean()) / values.std(ddof=1)
    assert m.gaze_nss(values[None], [points]) == pytest.approx([standard[y, x].mean()])
    assert m.gaze_auc_judd(values[None], [points]) == pytest.approx([_judd(values, points)])


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_shuffled_area_is_that_of_own_against_others(seed: int) -> None:
    cases = [_case(seed + k) for k in range(4)]
    maps, points = np.stack([c[0] for c in cases]).round(1), [c[2] for c in cases]
    groups = ["a", "a", "b", "c"]
    found = m.gaze_auc_shuffled(maps, points, groups=groups)
    for k, values in enumerate(maps):
        at = [values[tuple(np.floor(p).astype(int).T[::-1])] for p in points]
        others = np.concatenate([v for v, g in zip(at, groups, strict=True) if g != groups[k]])
        labels = np.repeat([1, 0], [len(at[k]), len(others)])
        assert found[k] == pytest.approx(roc_auc_score(labels, np.append(at[k], others)))


def test_a_map_of_where_people_look_in_general_beats_judd_but_not_shuffled() -> None:
    rng = np.random.default_rng(0)
    points = [rng.normal((20, 20), 4, (30, 2)).clip(0, 39.9) for _ in range(40)]
    maps = np.broadcast_to(m.center_map((40, 40), width=0.1), (40, 40, 40))
    assert m.gaze_auc_judd(maps, points).mean() > 0.9
    assert m.gaze_auc_shuffled(maps, points).mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("name", DENSITY)
class TestDensityMeasures:
    def test_undefined_is_nan(self, name: str) -> None:
        values, gaze, _ = _case(1)
        assert np.isnan(metrics[name](values, np.zeros_like(gaze)))
        assert np.isnan(metrics[name](np.full_like(values, np.nan), gaze))
        if name != "gaze_cc":
            assert np.isnan(metrics[name](-np.abs(values), gaze))

    def test_the_truth_scores_best(self, name: str) -> None:
        gaze = _case(2)[1]
        facts = metrics.entry(name).facts
        best = facts["bounds"][1 if facts["higher_is_better"] else 0]
        assert metrics[name](gaze, gaze) == pytest.approx(best, abs=1e-9)

    def test_scale_and_stacking_do_not_matter(self, name: str) -> None:
        cases = [_case(seed) for seed in range(3)]
        maps, gaze = (np.stack([c[k] for c in cases]) for k in (0, 1))
        alone = [float(metrics[name](*pair)) for pair in zip(maps, gaze, strict=True)]
        assert metrics[name](maps * 8, gaze * 5) == pytest.approx(alone, abs=1e-10)


@pytest.mark.parametrize("name", POINTS)
class TestPointMeasures:
    def test_chance_of_a_uniform_map(self, name: str) -> None:
        points = [_case(seed)[2] for seed in range(3)]
        found = metrics[name](np.ones((3, 14, 18)), points)
        if name == "gaze_nss":
            assert np.isnan(found).all()
        else:
            assert (found == 0.5).all()

    def test_undefined_is_nan(self, name: str) -> None:
        values, _, points = _case(1)
        assert np.isnan(metrics[name](np.stack([values] * 2), [[], points])[0])
        assert np.isnan(metrics[name](np.full((2, 14, 18), np.nan), [points] * 2)).all()

    def test_repeats_and_places_outside_do_not_count(self, name: str) -> None:
        values, _, points = _case(1)
        more = np.concatenate([points, points[:4], [[-1, 3], [18, 2], [2, 14.5]]])
        maps, other = np.stack([values] * 2), _case(2)[2]
        expected = metrics[name](maps, [points, other])
        assert metrics[name](maps, [more, other]) == pytest.approx(expected)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_areas_only_look_at_the_order(seed: int) -> None:
    values, _, points = _case(seed)
    bent = m.gaze_auc_judd(np.exp(3 * values)[None], [points])
    assert bent == pytest.approx(m.gaze_auc_judd(values[None], [points]))


def test_a_histogram_knows_nothing_of_place() -> None:
    values, gaze, _ = _case(0)
    order = np.random.default_rng(0).permutation(values.size)
    shuffled = values.ravel()[order].reshape(values.shape)
    same = m.gaze_histogram_similarity(values, gaze)
    assert m.gaze_histogram_similarity(shuffled, gaze) == same
    assert m.gaze_cc(shuffled, gaze) != pytest.approx(m.gaze_cc(values, gaze), abs=1e-3)


class TestFixationMap:
    def test_equals_a_sum_of_gaussians(self) -> None:
        points, times = np.array([[3.2, 5.9], [10, 1.5]]), np.array([0.2, 0.6])
        y, x = np.mgrid[:12, :16] + 0.5
        laid = sum(
            t * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * 1.7**2))
            for (a, b), t in zip(points, times, strict=True)
        )
        found = m.fixation_map(points, (12, 16), sigma_px=1.7, durations=times)
        assert found == pytest.approx(laid / laid.sum())

    def test_two_sigmas_are_of_y_and_x(self) -> None:
        found = m.fixation_map([[10, 10]], (20, 20), sigma_px=(1, 3))
        assert found[10, 13] > 10 * found[13, 10]

    def test_nobody_looked(self) -> None:
        assert not m.fixation_map([], (3, 4), sigma_px=1).any()
        assert not m.fixation_map([[1, 1]], (3, 4), sigma_px=1, durations=[0]).any()

    def test_one_degree_by_hand(self) -> None:
        found = m.sigma_pixels(2, distance_mm=600, pixel_mm=0.2, scale=3)
        assert found == pytest.approx(2 * 600 * np.tan(np.pi / 180) / 0.2 * 3)
        with pytest.raises(MetricError, match="positive"):
            m.sigma_pixels(1, distance_mm=0, pixel_mm=0.2)

    def test_wrong_input_is_named(self) -> None:
        for bad, error in [
            ({"sigma_px": 0}, MetricError),
            ({"sigma_px": 1, "durations": [1, 2]}, ShapeError),
            ({"sigma_px": 1, "durations": [-1]}, MetricError),
        ]:
            with pytest.raises(error):
                m.fixation_map([[1, 1]], (3, 3), **bad)
        with pytest.raises(ShapeError, match=r"\(n, 2\)"):
            m.fixation_map([[1, 1, 1]], (3, 3), sigma_px=1)
        with pytest.raises(MetricError, match="coordinate"):
            m.fixation_map([[1, np.nan]], (3, 3), sigma_px=1)


class TestMeasureGaze:
    def test_values_baselines_and_gain(self) -> None:
        rng = np.random.default_rng(4)
        points = [rng.uniform(4, 26, (1, 2)) + rng.normal(0, 1, (12, 2)) for _ in range(14)]
        gaze = np.stack([m.fixation_map(p, (30, 30), sigma_px=2.5) for p in points])
        maps = gaze + 0.0005 * rng.random(gaze.shape)
        groups = np.arange(14) // 2
        table = m.measure_gaze(maps, points, sigma_px=2.5, groups=groups, n_boot=200)
        assert set(table.values) == {*DENSITY, *POINTS}
        for name in DENSITY:
            assert table.values[name] == pytest.approx(metrics[name](maps, gaze)), name
        shuffled = m.gaze_auc_shuffled(maps, points, groups=groups)
        assert table.values["gaze_auc_shuffled"] == pytest.approx(shuffled)
        assert table.gain["center", "gaze_nss"].low > 0
        assert table.gain["prior", "gaze_kl"].high < 0
        assert table.chance["uniform", "gaze_auc_judd"].value == 0.5
        assert not table.measurements["gaze_kl"].higher_is_better

    def test_sizes_may_differ_and_undefined_is_counted(self) -> None:
        rng = np.random.default_rng(4)
        shapes = [(20, 24), (30, 22), (20, 24), (20, 24)]
        maps = [rng.random(shape) for shape in shapes]
        maps[2], maps[3] = -maps[2], np.full(shapes[3], np.nan)
        points = [rng.uniform(0, 20, (5, 2)) for _ in shapes]
        points[0] = np.empty((0, 2))
        seen: list[int] = []
        table = m.measure_gaze(
            maps,
            points,
            durations=[np.ones(len(p)) for p in points],
            sigma_px=[2, 3, 2, 2],
            n_boot=0,
            progress=lambda done, _: seen.append(done),
        )
        assert table.status == ("no_fixations", "ok", "no_positive_evidence", "not_finite")
        assert (table.measurements["gaze_kl"].count, table.measurements["gaze_cc"].count) == (1, 2)
        assert seen == [1, 2, 3, 4]

    def test_wrong_input_is_named(self) -> None:
        with pytest.raises(ShapeError, match="one entry an image"):
            m.measure_gaze(np.ones((2, 3, 3)), [[]], sigma_px=1)
        with pytest.raises(ShapeError, match=r"\(H, W\)"):
            m.measure_gaze(np.ones((1, 3)), [[]], sigma_px=1)
        with pytest.raises(ShapeError, match="N lists"):
            m.gaze_nss(np.ones((2, 3, 3)), [[]])
        with pytest.raises(ShapeError, match="expected the same"):
            m.gaze_kl(np.ones((2, 3)), np.ones((3, 2)))
        with pytest.raises(MetricError, match="negative"):
            m.gaze_kl(np.ones((2, 3)), -np.ones((2, 3)))
