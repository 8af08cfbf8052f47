"""Shifts of distributions and rates against SciPy, by hand, and under no shift at all."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lucidray.errors import MetricError
from lucidray.metrics.drift import distribution_shift, first_of_each, rate_shift


def test_the_same_values_have_not_moved() -> None:
    values = np.linspace(0, 1, 200)
    shift = distribution_shift(values, values[::-1])
    assert (shift.psi, shift.distance) == (0, 0)
    assert shift.p_value == pytest.approx(1)


def test_the_index_is_what_its_formula_says() -> None:
    before, now = [0.0] * 50 + [1.0] * 50, [0.0] * 20 + [1.0] * 80
    shift = distribution_shift(before, now, bins=2)
    shares = np.array([[50.5, 50.5], [20.5, 80.5]]) / 101
    expected = ((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum()
    assert shift.psi == pytest.approx(expected)
    assert shift.psi_by_chance == pytest.approx(1 / 100 + 1 / 100)
    assert shift.distance == pytest.approx(0.3)


def test_the_distance_is_that_of_kolmogorov_and_smirnov() -> None:
    generator = np.random.default_rng(0)
    before, now = generator.normal(0, 1, 300), generator.normal(0.3, 1, 250)
    shift = distribution_shift(before, np.append(now, np.nan))
    expected = stats.ks_2samp(before, now, method="asymp")
    assert (shift.distance, shift.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert (shift.reference, shift.current) == (300, 250)


def test_by_chance_the_index_is_on_average_what_is_told() -> None:
    generator = np.random.default_rng(1)
    shifts = [distribution_shift(*generator.random((2, 400))) for _ in range(300)]
    mean = np.mean([shift.psi for shift in shifts])
    assert mean == pytest.approx(shifts[0].psi_by_chance, rel=0.15)
    alarms = np.mean([shift.p_value < 0.05 for shift in shifts])
    assert 0.01 < alarms < 0.09


def test_a_shift_of_one_deviation_is_large() -> None:
    generator = np.random.default_rng(2)
    shift = distribution_shift(generator.normal(0, 1, 300), generator.normal(1, 1, 300))
    assert shift.psi > 0.5
    assert shift.p_value < 1e-6


def test_scores_that_are_all_the_same_are_measured() -> None:
    assert distribution_shift([0.5] * 20, [0.5] * 30).psi == pytest.approx(0, abs=0.01)
    assert distribution_shift([0.5] * 20, [0.1] * 30).distance == 1


def test_an_empty_window_is_undefined() -> None:
    shift = distribution_shift([], [0.1, 0.2])
    assert np.isnan([shift.psi, shift.distance, shift.p_value, shift.psi_by_chance]).all()
    assert (shift.reference, shift.current) == (0, 2)
    assert np.isnan(rate_shift(0, 0, 3, 4).p_value)
    assert rate_shift(0, 0, 3, 4).now == 0.75


def test_a_rate_is_tested_as_scipy_does() -> None:
    shift = rate_shift(30, 400, 60, 300)
    assert shift.change == pytest.approx(60 / 300 - 30 / 400)
    assert shift.p_value == pytest.approx(stats.fisher_exact([[30, 370], [60, 240]]).pvalue)


def test_each_patient_counts_once() -> None:
    rows = [(patient, value) for value in range(5) for patient in "abc"]
    assert first_of_each(rows) == [0, 0, 0]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(MetricError, match="2 of 1"):
        rate_shift(2, 1, 0, 1)
    with pytest.raises(MetricError, match="bins"):
        distribution_shift([1], [1], bins=1)
