"""The patient bootstrap, against a plain loop, SciPy and theory."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from lucidray import metrics as m
from lucidray.errors import MetricError
from lucidray.metrics import resampling as boot
from lucidray.metrics.inputs import Samples, binary_samples
from lucidray.metrics.ranking import auc_statistic

KEY = ("", "x")


def _mean_panel(values: np.ndarray) -> boot.Panel:
    return lambda w: {KEY: values @ w / w.sum(axis=0)}


@pytest.fixture
def clustered(rng: np.random.Generator) -> Samples:
    groups = np.sort(rng.integers(0, 30, 120))
    labels = (rng.random(120) < 0.4).astype(float)
    return binary_samples(labels, rng.random(120) + 0.4 * labels, groups=groups)


def test_replicates_equal_a_plain_loop_over_patients(clustered: Samples) -> None:
    draws = m.bootstrap(
        lambda w: {KEY: auc_statistic(clustered)(w)}, clustered.clusters, n_boot=40, seed=3
    )[KEY]
    rng = np.random.default_rng(3)
    for b in range(40):
        chosen = rng.integers(0, clustered.clusters, clustered.clusters)
        rows = np.concatenate([np.flatnonzero(clustered.cluster == c) for c in chosen])
        expected = roc_auc_score(clustered.positive[rows], clustered.scores[rows])
        assert draws[b] == pytest.approx(expected, abs=1e-12)


def test_size_of_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = _mean_panel(np.arange(50.0))
    whole = m.bootstrap(panel, 50, n_boot=100, seed=1)[KEY]
    monkeypatch.setattr(boot, "_CELLS", 50 * 7)
    assert np.array_equal(m.bootstrap(panel, 50, n_boot=100, seed=1)[KEY], whole)
    assert not np.array_equal(m.bootstrap(panel, 50, n_boot=100, seed=2)[KEY], whole)


def test_each_replicate_draws_as_many_patients_as_there_are() -> None:
    (weights,) = boot.bootstrap_weights(9, 20, 0)
    assert weights.shape == (9, 20)
    assert (weights.sum(axis=0) == 9).all()


def test_progress_ends_at_the_total() -> None:
    seen: list[tuple[int, int]] = []
    m.bootstrap(_mean_panel(np.ones(4)), 4, n_boot=1200, progress=lambda *at: seen.append(at))
    assert seen[-1] == (1200, 1200)
    assert len(seen) == 3


@pytest.mark.parametrize(("ours", "theirs"), [("percentile", "percentile"), ("bca", "BCa")])
def test_intervals_agree_with_scipy(ours: str, theirs: str, rng: np.random.Generator) -> None:
    values = rng.exponential(size=60)
    found = m.estimate(_mean_panel(values), 60, n_boot=20000, interval=ours)[KEY]
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=20000, method=theirs, rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(expected.low, abs=0.01)
    assert found.high == pytest.approx(expected.high, abs=0.015)


def test_bca_equals_efrons_formula_written_out(rng: np.random.Generator) -> None:
    values = rng.exponential(size=40)
    draws = m.bootstrap(_mean_panel(values), 40, n_boot=999)[KEY]
    left_out = boot.jackknife(_mean_panel(values), 40)[KEY]
    assert sorted(left_out) == pytest.approx(sorted((values.sum() - values) / 39))
    # Efron's formula by hand
    z0 = stats.norm.ppf((draws < values.mean()).mean())
    pull = left_out.mean() - left_out
    speed = (pull**3).sum() / (6 * (pull**2).sum() ** 1.5)
    z = z0 + np.array([-1.959963984540054, 1.959963984540054])
    low, high = np.quantile(draws, stats.norm.cdf(z0 + z / (1 - speed * z)))
    assert m.bca_interval(values.mean(), draws, left_out) == pytest.approx((low, high))


def test_jackknife_by_blocks_has_the_same_acceleration(rng: np.random.Generator) -> None:
    values = rng.exponential(size=4000)

    def speed(left_out: np.ndarray) -> float:
        pull = left_out.mean() - left_out
        return float((pull**3).sum() / (6 * (pull**2).sum() ** 1.5))

    single = boot.jackknife(_mean_panel(values), 4000, blocks=4000)[KEY]
    blocks = boot.jackknife(_mean_panel(values), 4000)[KEY]
    assert len(blocks) == 400
    assert speed(blocks) == pytest.approx(speed(single), abs=0.004)


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(120):
        values = np.random.default_rng(seed).normal(size=50)
        found = m.estimate(_mean_panel(values), 50, n_boot=400, seed=seed)[KEY]
        covered += found.low <= 0 <= found.high
    assert 0.88 <= covered / 120 <= 1.0


def test_patients_with_many_images_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    labels = np.repeat((rng.random(40) < 0.5).astype(float), 5)
    scores = np.repeat(rng.random(40), 5) / 2 + 0.3 * labels
    by_patient = m.measure_binary(labels, scores, groups=groups, only=["auc"])["auc"]
    by_image = m.measure_binary(labels, scores, only=["auc"])["auc"]
    assert by_patient.value == by_image.value
    assert by_patient.high - by_patient.low > 1.6 * (by_image.high - by_image.low)


def test_undefined_replicates_are_left_out_up_to_half() -> None:
    some = np.array([1.0, 2, 3, np.nan])
    assert m.percentile_interval(some) == pytest.approx((1.05, 2.95))
    assert np.isnan(m.percentile_interval(np.array([1.0, np.nan]))).all()


def test_degenerate_and_undefined_estimates() -> None:
    same = m.estimate(_mean_panel(np.ones(5)), 5, n_boot=50, interval="bca")[KEY]
    assert same.degenerate
    assert (same.low, same.high) == (1, 1)
    nothing = m.estimate(_mean_panel(np.full(5, np.nan)), 5, n_boot=50)[KEY]
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()
    without = m.estimate(_mean_panel(np.ones(5)), 5, n_boot=0)[KEY]
    assert without.value == 1
    assert np.isnan(without.low)


def test_p_value_of_replicates() -> None:
    assert m.bootstrap_p_value(np.full(999, 0.1)) == pytest.approx(2 / 1000)
    assert m.bootstrap_p_value(np.array([-1.0, 1.0, 0.0])) == 1
    # differences that are zero but for rounding stand on both sides
    assert m.bootstrap_p_value(np.array([1e-17, -1e-17, 1.0])) == 1
    assert np.isnan(m.bootstrap_p_value(np.array([np.nan])))


def test_refused() -> None:
    panel = _mean_panel(np.ones(3))
    with pytest.raises(MetricError, match="percentile"):
        m.estimate(panel, 3, interval="normal")  # type: ignore[arg-type]
    with pytest.raises(MetricError, match="at least 1"):
        m.bootstrap(panel, 3, n_boot=-1)
    with pytest.raises(MetricError, match="level"):
        m.percentile_interval(np.ones(3), level=95)
