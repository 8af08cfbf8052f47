"""Conformal sets: the exact finite-sample quantile, the promise kept, patients as the unit."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.conformal import (
    conformal_quantile,
    fit_class_conformal,
    fit_conformal,
    measure_sets,
)

ALPHAS = ["0.05", "0.1", "0.2", "0.25", "0.3", "0.5", "0.9"]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=60),
    st.sampled_from(ALPHAS),
)
def test_the_quantile_is_the_exact_order_statistic(scores: list[int], alpha: str) -> None:
    rank = math.ceil((len(scores) + 1) * (1 - Fraction(alpha)))
    expected = sorted(scores)[rank - 1] if rank <= len(scores) else math.inf
    assert conformal_quantile(scores, alpha=float(alpha)) == expected


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 9, 19, 20, 99, 100, 999])
def test_the_rank_is_right_where_rounding_bites(alpha: str, size: int) -> None:
    rank = math.ceil((size + 1) * (1 - Fraction(alpha)))
    found = conformal_quantile(np.arange(1, size + 1), alpha=float(alpha))
    assert found == (rank if rank <= size else math.inf)
    assert math.isinf(found) == (size < 1 / Fraction(alpha) - 1)


def brute_force_grouped(scores: list[float], groups: list[int], alpha: Fraction) -> float:
    """The definition: the smallest bound whose mass, a patient sharing 1 / (K + 1), suffices."""
    count = {each: groups.count(each) for each in groups}
    for bound in sorted(scores):
        mass = sum(
            Fraction(1, count[g] * (len(count) + 1))
            for s, g in zip(scores, groups, strict=True)
            if s <= bound
        )
        if mass >= 1 - alpha:
            return bound
    return math.inf


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 9)), min_size=1, max_size=40),
    st.sampled_from(ALPHAS),
)
def test_patients_weigh_the_same(rows: list[tuple[int, int]], alpha: str) -> None:
    scores, groups = [float(s) for s, _ in rows], [g for _, g in rows]
    found = conformal_quantile(scores, alpha=float(alpha), groups=groups)
    assert found == brute_force_grouped(scores, groups, Fraction(alpha))


def test_a_promise_by_exhaustion() -> None:
    """Each of n + 1 exchangeable scores in turn is the new one: at most alpha of them escape."""
    for size in (5, 9, 10, 19):
        scores = np.random.default_rng(size).permutation(size + 1).astype(float)
        for alpha in (0.1, 0.2, 0.5):
            bounds = [
                conformal_quantile(np.delete(scores, k), alpha=alpha) for k in range(size + 1)
            ]
            assert np.mean(scores > bounds) <= alpha + 1e-12


def test_findings_by_hand() -> None:
    chance = np.array([0.9, 0.8, 0.7, 0.6, 0.1, 0.2, 0.3, 0.95, 0.5])
    labels = np.array([1, 1, 1, 1, 0, 0, 0, 0, np.nan])
    found = fit_conformal(labels[:, None], chance[:, None], alpha=0.2)
    # four of each: rank ceil(5 * 0.8) = 4, the strangest of each label
    assert (found.present_from[0], found.absent_to[0]) == (0.6, 0.95)
    present, absent = found.apply([[0.6], [0.59], [0.95], [0.96]])
    assert present[:, 0].tolist() == [True, False, True, True]
    assert absent[:, 0].tolist() == [True, True, True, False]
    loose = fit_conformal(labels[:, None], chance[:, None], alpha=0.4)
    assert (loose.present_from[0], loose.absent_to[0]) == (0.7, 0.3)


def test_too_few_images_leave_the_label_in_every_set() -> None:
    labels = np.array([1] * 8 + [0] * 9, dtype=float)[:, None]
    found = fit_conformal(labels, np.linspace(0.9, 0.1, 17)[:, None], alpha=0.1)
    assert found.present_from[0] == 0 and found.absent_to[0] < 1
    present, absent = found.apply([[0.0], [1.0]])
    assert present.all() and absent[:, 0].tolist() == [True, False]
    nothing = fit_conformal(np.full((3, 1), np.nan), np.full((3, 1), 0.5), alpha=0.1)
    assert np.concatenate(nothing.apply([[0.0], [1.0]])).all()


def test_very_small_probabilities_are_told_apart() -> None:
    chance = np.array([1e-20, 1e-19, 1e-18] * 3)[:, None]
    found = fit_conformal(np.zeros((9, 1)), chance, alpha=0.1)
    assert found.absent_to[0] == 1e-18
    assert found.apply([[1e-18], [1e-17]])[1][:, 0].tolist() == [True, False]


def test_sets_do_not_change_with_a_rising_transformation() -> None:
    rng = np.random.default_rng(0)
    labels, chance = rng.integers(0, 2, (80, 2)).astype(float), rng.random((80, 2))
    plain, bent = (fit_conformal(labels, c, alpha=0.2) for c in (chance, chance**3))
    for mine, theirs in zip(plain.apply(chance), bent.apply(chance**3), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_classes_against_a_loop() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 90)
    chance = rng.dirichlet(np.ones(3), 90)
    labels = np.eye(3)[truth]
    labels[:4] = np.nan
    found = fit_class_conformal(labels, chance, alpha=0.1)
    for k in range(3):
        mine = sorted(1 - chance[i, k] for i in range(4, 90) if truth[i] == k)
        bound = mine[math.ceil((len(mine) + 1) * Fraction("0.9")) - 1]
        assert found.present_from[k] == pytest.approx(1 - bound)
    present, absent = found.apply(chance)
    for row in range(90):
        for k in range(3):
            others = [present[row, j] for j in range(3) if j != k]
            assert absent[row, k] == any(others)


@pytest.mark.parametrize("grouped", [False, True])
def test_the_promise_holds_on_new_patients(grouped: bool) -> None:
    rng = np.random.default_rng(2)
    alpha, hits = 0.2, {0: [], 1: []}
    for _ in range(300):
        patients = np.repeat(np.arange(30), rng.integers(1, 9, 30)) if grouped else np.arange(30)
        shift = rng.normal(0, 2, 31)
        label = rng.integers(0, 2, 31).astype(float)
        line = shift[patients] + label[patients] + 0.3 * rng.normal(size=len(patients))
        chance = 1 / (1 + np.exp(-line))[:, None]
        keys = patients if grouped else None
        rule = fit_conformal(label[patients][:, None], chance, alpha=alpha, groups=keys)
        new = 1 / (1 + np.exp(-(shift[30] + label[30] + 0.3 * rng.normal())))
        present, absent = rule.apply([[new]])
        hits[int(label[30])].append(bool((present if label[30] else absent)[0, 0]))
    for values in hits.values():
        error = np.sqrt(alpha * (1 - alpha) / len(values))
        assert np.mean(values) >= 1 - alpha - 3 * error
        assert np.mean(values) <= 1 - alpha + 1 / 10 + 3 * error


def test_sets_are_measured_as_counted_by_hand() -> None:
    labels = np.array([1, 1, 1, 0, 0, np.nan])
    present = np.array([1, 1, 0, 1, 0, 1], dtype=bool)
    absent = np.array([0, 1, 1, 1, 0, 1], dtype=bool)
    found = measure_sets(labels, present, absent, n_boot=200)
    wanted = {
        "coverage": (3 / 5, 5),
        "coverage_present": (2 / 3, 3),
        "coverage_absent": (1 / 2, 2),
        "set_size": (6 / 5, 5),
        "both": (2 / 5, 5),
        "neither": (1 / 5, 5),
    }
    for name, (value, count) in wanted.items():
        each = found[name]
        assert each.value == pytest.approx(value) and each.count == count and each.undefined == 1
        assert each.low <= value <= each.high
        assert each.higher_is_better is name.startswith("coverage")


def test_intervals_are_over_patients() -> None:
    labels, absent = np.ones(40), np.zeros(40, dtype=bool)
    present = np.repeat([True, False, True, True], 10)
    images = measure_sets(labels, present, absent)["coverage"]
    patients = measure_sets(labels, present, absent, groups=np.repeat(range(4), 10))["coverage"]
    assert images.value == patients.value == 0.75
    assert patients.high - patients.low > 2 * (images.high - images.low)
    assert np.isnan(measure_sets(labels, present, absent, n_boot=0)["coverage_absent"].value)


def test_mistakes_are_named() -> None:
    with pytest.raises(MetricError, match="alpha is 1"):
        conformal_quantile([1.0], alpha=1)
    with pytest.raises(MetricError, match="nan"):
        conformal_quantile([np.nan], alpha=0.1)
    with pytest.raises(ShapeError, match=r"\(N, F\)"):
        fit_conformal([1, 0], [0.5, 0.5])
    rule = fit_conformal(np.eye(2), np.full((2, 2), 0.5))
    with pytest.raises(ShapeError, match=r"\(N, 2\)"):
        rule.apply([[0.5]])
    with pytest.raises(ShapeError, match="both must be"):
        measure_sets([1, 0], [True, True], [True])
