"""Tests of several groups and effect sizes, against SciPy, statsmodels, textbooks, definitions."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.anova import AnovaRM
from statsmodels.stats.multicomp import pairwise_tukeyhsd
from statsmodels.stats.multitest import multipletests

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics import statistics_effects as effects
from lucidray.metrics.comparison import compare_means
from lucidray.metrics.resampling import bootstrap_weights
from lucidray.metrics.statistics import paired_t_test
from lucidray.metrics.statistics_groups import (
    conover,
    friedman,
    nemenyi,
    one_way_anova,
    tukey_hsd,
    wilcoxon_holm,
)


def _samples(seed: int, count: int = 24, models: int = 4, digits: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    image = rng.normal(size=count)
    return {
        f"model {k}": np.round(image + 0.25 * k + rng.normal(size=count), digits)
        for k in range(models)
    }


class TestAnova:
    def test_equals_scipy_with_groups_of_unequal_size_and_nan(self) -> None:
        samples = {k: v[: 10 + 3 * i] for i, (k, v) in enumerate(_samples(0).items())}
        expected = stats.f_oneway(*samples.values())
        gapped = {k: np.append(v, np.nan) for k, v in samples.items()}
        found = one_way_anova(gapped)
        assert found.statistic == pytest.approx(expected.statistic)
        assert found.p_value == pytest.approx(expected.pvalue)
        sizes = [v.size for v in samples.values()]
        assert found.degrees == (3, sum(sizes) - 4)
        assert (found.count, found.undefined) == (sum(sizes), 4)
        f, (between, within) = found.statistic, found.degrees
        assert found.effect == pytest.approx(f * between / (f * between + within))

    def test_tukey_equals_statsmodels_and_scipy(self) -> None:
        samples = {k: v[: 10 + 3 * i] for i, (k, v) in enumerate(_samples(1).items())}
        labels = np.concatenate([[k] * len(v) for k, v in samples.items()])
        theirs = pairwise_tukeyhsd(np.concatenate(list(samples.values())), labels)
        scipys = stats.tukey_hsd(*samples.values())
        for place, test in enumerate(tukey_hsd(samples)):
            i, j = list(combinations(range(4), 2))[place]
            assert test.difference == pytest.approx(-theirs.meandiffs[place])
            assert test.p_value == pytest.approx(theirs.pvalues[place], abs=1e-6)
            assert test.p_value == pytest.approx(scipys.pvalue[i, j], abs=1e-9)
            assert test.low == pytest.approx(-theirs.confint[place][1], abs=1e-5)
            assert test.high == pytest.approx(-theirs.confint[place][0], abs=1e-5)

    def test_published_example_of_tukey(self) -> None:
        # Montgomery, Design and Analysis of Experiments: etch rate, F = 66.80.
        etch = {
            "160": [575, 542, 530, 539, 570],
            "180": [565, 593, 590, 579, 610],
            "200": [600, 651, 610, 637, 629],
            "220": [725, 700, 715, 685, 710],
        }
        assert one_way_anova(etch).statistic == pytest.approx(66.80, abs=0.01)
        first = tukey_hsd(etch)[0]
        assert first.difference == pytest.approx(-36.2)
        assert first.high - first.difference == pytest.approx(33.09, abs=0.05)

    def test_undefined_is_nan(self) -> None:
        assert np.isnan(one_way_anova({"a": [1, 1], "b": [1, 1]}).statistic)
        assert np.isnan(one_way_anova({"a": [1, 2]}).p_value)
        assert np.isnan(tukey_hsd({"a": [1, 2], "b": [np.nan]})[0].p_value)


class TestFriedman:
    @pytest.mark.parametrize("digits", [0, 3])
    def test_equals_scipy_with_and_without_ties(self, digits: int) -> None:
        samples = _samples(2, digits=digits)
        expected = stats.friedmanchisquare(*samples.values())
        found = friedman(samples)
        assert found.statistic == pytest.approx(expected.statistic)
        assert found.p_value == pytest.approx(expected.pvalue)
        assert found.effect == pytest.approx(found.statistic / (24 * 3))

    def test_incomplete_images_are_left_out_and_counted(self) -> None:
        samples = _samples(3)
        gapped = {k: v.copy() for k, v in samples.items()}
        gapped["model 1"][4] = np.nan
        expected = friedman({k: np.delete(v, 4) for k, v in samples.items()})
        found = friedman(gapped)
        assert found.statistic == pytest.approx(expected.statistic)
        assert (found.count, found.undefined) == (23, 1)

    def test_images_of_a_patient_are_averaged_first(self) -> None:
        samples = _samples(4, digits=9)
        twice = {k: np.concatenate([v + 0.125, v - 0.125]) for k, v in samples.items()}
        found = friedman(twice, groups=np.tile(np.arange(24), 2))
        assert found.count == 24
        assert found.statistic == pytest.approx(friedman(samples).statistic)

    def test_critical_difference_of_nemenyi_is_the_published_one(self) -> None:
        # Demsar 2006, section 3.2.2: k = 4, N = 14, CD = 2.569 * sqrt(4 * 5 / (6 * 14)) = 1.25.
        found = nemenyi(_samples(5, count=14))
        assert (found[0].high - found[0].low) / 2 == pytest.approx(1.25, abs=0.005)
        reach = 2.569 * np.sqrt(4 * 5 / (6 * 14))
        for test in found:
            assert (test.p_value < 0.05) == (abs(test.difference) > reach)

    def test_conover_equals_its_definition(self) -> None:
        samples = _samples(6)
        table = np.stack(list(samples.values()), axis=1)
        n, k = table.shape
        ranks = np.array([stats.rankdata(row) for row in table])
        sums = ranks.sum(axis=0)
        a1, c1 = (ranks**2).sum(), n * k * (k + 1) ** 2 / 4
        t1 = (k - 1) * ((sums - n * (k + 1) / 2) ** 2).sum() / (a1 - c1)
        assert friedman(samples).statistic == pytest.approx(t1)
        bottom = np.sqrt(2 * n * (a1 - c1) / ((n - 1) * (k - 1)) * (1 - t1 / (n * (k - 1))))
        raw = [
            2 * stats.t.sf(abs(sums[i] - sums[j]) / bottom, (n - 1) * (k - 1))
            for i, j in combinations(range(k), 2)
        ]
        adjusted = multipletests(raw, method="holm")[1]
        assert [test.p_value for test in conover(samples)] == pytest.approx(adjusted)

    def test_wilcoxon_equals_scipy_and_statsmodels(self) -> None:
        samples = _samples(7)
        samples["model 2"][3] = np.nan
        raw = []
        for one, two in combinations(samples.values(), 2):
            gap = one - two
            raw.append(stats.wilcoxon(gap[~np.isnan(gap) & (gap != 0)]).pvalue)
        adjusted = multipletests(raw, method="holm")[1]
        assert [test.p_value for test in wilcoxon_holm(samples)] == pytest.approx(adjusted)

    def test_two_equal_models_are_undefined_not_significant(self) -> None:
        same = {"a": [1, 2, 3], "b": [1, 2, 3]}
        assert np.isnan(wilcoxon_holm(same)[0].p_value)
        assert np.isnan(friedman(same).p_value)
        assert np.isnan(conover(same)[0].p_value)

    def test_refusals(self) -> None:
        with pytest.raises(ShapeError, match="one \\(N,\\)"):
            friedman({"a": [1, 2], "b": [1]})
        with pytest.raises(MetricError, match="at least two"):
            nemenyi({"a": [1, 2]})

    def test_order_of_models_only_turns_signs(self) -> None:
        samples = _samples(8)
        back = dict(reversed(samples.items()))
        for test in (nemenyi, conover, wilcoxon_holm, tukey_hsd):
            ways = {(t.first, t.second): t for t in test(samples)}
            for other in test(back):
                mine = ways[other.second, other.first]
                assert mine.difference == pytest.approx(-other.difference)
                assert mine.p_value == pytest.approx(other.p_value)


class TestPairs:
    def test_paired_t_equals_scipy(self) -> None:
        one, two = list(_samples(9).values())[:2]
        one[2] = np.nan
        found = paired_t_test(one, two, name="iou")
        expected = stats.ttest_rel(one, two, nan_policy="omit")
        interval = expected.confidence_interval()
        assert found.p_value == pytest.approx(expected.pvalue)
        assert found.difference.low == pytest.approx(interval.low)
        assert found.difference.high == pytest.approx(interval.high)
        assert (found.difference.count, found.difference.undefined) == (23, 1)

    def test_paired_t_squared_is_repeated_measures_anova(self) -> None:
        import pandas as pd

        one, two = list(_samples(10).values())[:2]
        frame = pd.DataFrame(
            {
                "value": np.concatenate([one, two]),
                "image": np.tile(np.arange(24), 2),
                "model": np.repeat(["one", "two"], 24),
            }
        )
        table = AnovaRM(frame, "value", "image", within=["model"]).fit().anova_table
        assert paired_t_test(one, two).p_value == pytest.approx(table["Pr > F"].iloc[0])

    def test_nothing_to_test_is_nan(self) -> None:
        assert np.isnan(paired_t_test([1.0], [2.0]).p_value)
        assert np.isnan(paired_t_test([1, 2, 3], [0, 1, 2]).p_value)
        assert np.isnan(paired_t_test([np.nan], [2.0]).difference.value)
        assert paired_t_test([1, 2, 3], [0, 1, 2]).difference.value == 1

    def test_bootstrap_of_means_equals_drawing_patients_by_hand(self) -> None:
        rng = np.random.default_rng(0)
        patients = rng.integers(0, 8, 20)
        values = {"a": rng.random(20), "b": rng.random(20), "c": rng.random(20)}
        values["b"][3] = np.nan
        found = compare_means(values, groups=patients, n_boot=200, seed=4)
        gap = values["a"] - values["b"]
        keep = ~np.isnan(gap)
        names, cluster = np.unique(patients, return_inverse=True)
        draws = []
        for weights in bootstrap_weights(len(names), 200, 4):
            draws += [np.average(gap[keep], weights=w[cluster][keep]) for w in weights.T]
        one = found["a", "b"].difference
        assert one.value == pytest.approx(gap[keep].mean())
        assert [one.low, one.high] == pytest.approx(np.quantile(draws, [0.025, 0.975]))
        assert (one.count, one.undefined) == (19, 1)
        assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]

    def test_bootstrap_p_values_are_adjusted_and_find_what_is_there(self) -> None:
        rng = np.random.default_rng(1)
        base = rng.random(60)
        values = {"a": base, "b": base + 0.01 * rng.normal(size=60), "c": base + 0.3}
        found = compare_means(values, name="auc", n_boot=500)
        assert found["a", "c"].p_value == pytest.approx(2 / 501 * 3)
        assert found["a", "b"].p_value > 0.05
        assert found["a", "c"].difference.higher_is_better is True
        alone = compare_means({"a": values["a"], "b": values["b"]}, n_boot=500)
        assert alone["a", "b"].p_value <= found["a", "b"].p_value
        with pytest.raises(MetricError, match="at least two"):
            compare_means({"a": base})
        with pytest.raises(ShapeError, match="one \\(N,\\)"):
            compare_means({"a": base, "b": base[1:]})


class TestEffects:
    def test_dz_is_t_over_root_n(self) -> None:
        one, two = list(_samples(11).values())[:2]
        t = stats.ttest_rel(one, two).statistic
        assert effects.cohen_dz(one, two) == pytest.approx(t / np.sqrt(24))
        shrink = 1 - 3 / (4 * 23 - 1)
        assert effects.hedges_gz(one, two) == pytest.approx(t / np.sqrt(24) * shrink, rel=1e-3)

    def test_hedges_g_equals_the_pooled_definition(self) -> None:
        one, two = [1.0, 2, 3, 4, 9], [2.0, 4, 4, 8]
        pooled = np.sqrt((4 * np.var(one, ddof=1) + 3 * np.var(two, ddof=1)) / 7)
        d = (np.mean(one) - np.mean(two)) / pooled
        assert effects.hedges_g(one, two) == pytest.approx(d * (1 - 3 / (4 * 7 - 1)), rel=2e-3)

    def test_undefined_effects_are_nan(self) -> None:
        assert np.isnan(effects.cohen_dz([1], [0]))
        assert np.isnan(effects.cohen_dz([1.1, 2.1], [1, 2]))
        assert np.isnan(effects.hedges_g([1, 2], [3]))
        assert np.isnan(effects.eta_squared({"a": [1, 1], "b": [1]}))
        assert np.isnan(effects.kendall_w(np.empty((0, 3))))
        assert np.isnan(effects.kendall_w(np.ones((4, 3))))
        with pytest.raises(ShapeError, match=r"both must be \(N,\)"):
            effects.cohen_dz([1, 2], [1])

    @settings(max_examples=40, deadline=None)
    @given(st.integers(1, 12), st.integers(2, 6), st.integers(0, 10**6))
    def test_kendall_w_is_the_mean_rank_correlation(
        self, blocks: int, treatments: int, seed: int
    ) -> None:
        table = np.random.default_rng(seed).random((blocks, treatments))
        found = effects.kendall_w(table)
        assert 0 <= found <= 1 + 1e-12
        if blocks > 1:
            pairs = [stats.spearmanr(a, b).statistic for a, b in combinations(table, 2)]
            assert found == pytest.approx((np.mean(pairs) * (blocks - 1) + 1) / blocks)
        else:
            assert found == pytest.approx(1)
