"""Intervals of rates and adjusted p-values, against statsmodels and published examples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from lucidray import metrics as m
from lucidray.errors import MetricError


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 200), st.integers(1, 200), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_equals_statsmodels(hits: int, total: int, level: float) -> None:
    hits = min(hits, total)
    low, high = m.wilson_interval(hits, total, level=level)
    expected = proportion_confint(hits, total, alpha=1 - level, method="wilson")
    assert (float(low), float(high)) == pytest.approx(expected, abs=1e-12)


def test_wilson_published() -> None:
    # Newcombe, Stat. Med. 17:857 (1998), table I, method 3: 81/263 and 0/20
    low, high = m.wilson_interval([81, 0], [263, 20])
    assert low.round(4).tolist() == [0.2553, 0.0]
    assert high.round(4).tolist() == [0.3662, 0.1611]


def test_wilson_of_nothing_and_of_nonsense() -> None:
    assert np.isnan(m.wilson_interval(0, 0)).all()
    with pytest.raises(MetricError, match="successes"):
        m.wilson_interval(3, 2)
    with pytest.raises(MetricError, match=r"0\.95"):
        m.wilson_interval(1, 2, level=95)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_equals_statsmodels(p_values: list[float]) -> None:
    assert m.holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_holm_does_not_count_tests_that_could_not_be_made() -> None:
    assert m.holm([0.01, np.nan, 0.03])[[0, 2]] == pytest.approx([0.02, 0.03])
    with pytest.raises(MetricError, match=r"\[0, 1\]"):
        m.holm([1.2])


def test_hanley_mcneil_is_exact_for_exponential_scores(rng: np.random.Generator) -> None:
    positive = rng.exponential(4.0, size=(4000, 12))
    negative = rng.exponential(1.0, size=(4000, 17))
    areas = (positive[:, :, None] > negative[:, None]).mean(axis=(1, 2))
    assert m.hanley_mcneil_se(0.8, 12, 17) == pytest.approx(areas.std(), rel=0.04)
    assert m.hanley_mcneil_se(0.5, 1, 1) == 0.5
    assert m.hanley_mcneil_se(1.0, 5, 5) == 0
    with pytest.raises(MetricError, match="AUC"):
        m.hanley_mcneil_se(89.3, 51, 58)
