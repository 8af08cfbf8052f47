"""Risk by coverage and referral, against brute force and by hand."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.folds import patient_folds
from lucidray.metrics.referral import call_losses, choose_referral, class_losses
from lucidray.metrics.selective import aurc, excess_aurc, risk_at, risk_coverage
from lucidray.metrics.uncertainty import class_nearness, nearness, normalized_entropy


def test_entropy_equals_scipy() -> None:
    rng = np.random.default_rng(0)
    chance = rng.random((5, 3))
    found = normalized_entropy(chance)
    for index, p in np.ndenumerate(chance):
        assert found[index] == pytest.approx(scipy_entropy([p, 1 - p], base=2))
    classes = rng.dirichlet(np.ones(4), 6)
    wanted = scipy_entropy(classes, axis=1, base=4)
    np.testing.assert_allclose(normalized_entropy(classes, exclusive=True), wanted)
    assert normalized_entropy([[0.25] * 4, [1, 0, 0, 0]], exclusive=True).tolist() == [1, 0]
    assert np.isnan(normalized_entropy([np.nan])).all()


def test_nearness_is_one_at_the_operating_point() -> None:
    found = nearness([[0.2, 0.5], [0.1, 0.9], [0.0, 1.0]], [0.2, 0.7])
    assert found[0, 0] == pytest.approx(1)
    assert found[0, 1] < 1 and (found > 0).all()
    np.testing.assert_allclose(nearness([0.1, 0.7], 0.5), normalized_entropy([0.1, 0.7]))
    odds = (0.1 / 0.9) / (0.2 / 0.8)
    assert found[1, 0] == pytest.approx(float(normalized_entropy(odds / (1 + odds))))
    assert class_nearness([[0.5, 0.5, 0.0], [0.7, 0.1, 0.2]]).tolist() == pytest.approx([1, 0.5])


def mean_over_orders(losses: list[float], unsure: list[int], sizes: list[int]) -> np.ndarray:
    """Risks of the 1, 2 ... N surest images, sums averaged over all orders of equal ones."""
    found = []
    for order in permutations(range(len(losses))):
        if all(unsure[a] <= unsure[b] for a, b in pairwise(order)):
            size = np.array([sizes[i] for i in order], float)
            found.append([np.cumsum(size * [losses[i] for i in order]), np.cumsum(size)])
    top, bottom = np.mean(found, axis=0)
    return np.asarray(top / bottom)


CASE = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(1, 3)), min_size=1, max_size=6
)


@settings(max_examples=50, deadline=None)
@given(CASE)
def test_the_area_is_the_mean_over_all_orders_of_ties(rows: list[tuple[int, int, int]]) -> None:
    losses, unsure, sizes = (list(each) for each in zip(*rows, strict=True))
    risks = mean_over_orders([float(each) for each in losses], unsure, sizes)
    assert aurc(losses, unsure, sizes=sizes) == pytest.approx(risks.mean())
    size = len(losses)
    curve = risk_coverage(losses, unsure, sizes=sizes, points=size, n_boot=0)
    np.testing.assert_allclose(curve.risk, risks)
    for kept in range(1, size + 1):
        found = risk_at(losses, unsure, kept / size, sizes=sizes)
        assert found == pytest.approx(risks[kept - 1])


def test_areas_by_hand() -> None:
    assert aurc([0, 0, 1, 1], [1, 2, 3, 4]) == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)
    assert aurc([1, 1, 0, 0], [1, 2, 3, 4]) == pytest.approx((1 + 1 + 2 / 3 + 1 / 2) / 4)
    assert aurc([1, 0, 1, 0], [1, 1, 1, 1]) == 0.5
    assert excess_aurc([0, 0, 1, 1], [1, 2, 3, 4]) == 0
    assert excess_aurc([1, 1, 0, 0], [1, 2, 3, 4]) == pytest.approx((1 + 1 + 1 / 3) / 4)


def test_no_order_beats_the_best() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        losses, unsure = rng.random(12).round(1), rng.integers(0, 5, 12)
        assert excess_aurc(losses, unsure) >= -1e-12


def test_the_band_is_that_of_patients_drawn_again() -> None:
    rng = np.random.default_rng(4)
    unsure = rng.random(60)
    losses = (rng.random(60) < unsure / 2).astype(float)
    patients = np.repeat(range(20), 3)
    curve = risk_coverage(losses, unsure, groups=patients, points=5, n_boot=2000)
    assert (curve.low <= curve.risk + 1e-12).all() and (curve.risk <= curve.high + 1e-12).all()
    draws = []
    for _ in range(2000):
        chosen = np.concatenate([3 * k + np.arange(3) for k in rng.integers(0, 20, 20)])
        draws.append(losses[chosen].mean())
    np.testing.assert_allclose(
        [curve.low[-1], curve.high[-1]], np.quantile(draws, [0.025, 0.975]), atol=0.02
    )


def test_losses_by_hand() -> None:
    labels = np.array([[1, 0], [1, np.nan], [0, 1], [np.nan, np.nan]])
    called = np.array([[1, 1], [0, 1], [0, 1], [1, 1]], dtype=bool)
    losses, sizes = call_losses(labels, called)
    assert losses.tolist() == [0.5, 1, 0, 0] and sizes.tolist() == [2, 1, 2, 0]
    losses, sizes = call_losses(labels, called, balanced=True)
    # finding 1: present counts 0.5 / (2/3), absent 0.5 / (1/3); finding 2: both 1
    assert sizes.tolist() == pytest.approx([1.75, 0.75, 2.5, 0])
    assert losses.tolist() == pytest.approx([1 / 1.75, 1, 0, 0])


def test_the_balanced_risk_of_all_is_the_balanced_error() -> None:
    rng = np.random.default_rng(5)
    labels = (rng.random((50, 1)) < 0.2).astype(float)
    called = rng.random((50, 1)) < 0.5
    losses, sizes = call_losses(labels, called, balanced=True)
    wrong = called[:, 0] != (labels[:, 0] == 1)
    wanted = np.mean([wrong[labels[:, 0] == k].mean() for k in (0, 1)])
    assert risk_at(losses, np.ones(50), 1.0, sizes=sizes) == pytest.approx(wanted)
    truth, chance = rng.integers(0, 3, 50), rng.dirichlet(np.ones(3), 50)
    losses, sizes = class_losses(truth, chance, balanced=True)
    wanted = np.mean([(chance[truth == k].argmax(1) != k).mean() for k in range(3)])
    assert risk_at(losses, np.ones(50), 1.0, sizes=sizes) == pytest.approx(wanted)
    losses, sizes = class_losses([0, np.nan], [[0.4, 0.6], [0.5, 0.5]])
    assert losses.tolist() == [1, 0] and sizes.tolist() == [1, 0]


def brute_force_referral(
    losses: np.ndarray, unsure: np.ndarray, target: float, most: float
) -> tuple[float, float]:
    """Share referred and risk of the rest, from trying every threshold."""
    tried = []
    for threshold in [*np.unique(unsure)[1:], 2.0]:
        kept = unsure < threshold
        if kept.mean() >= 1 - most - 1e-9:
            tried.append((1 - kept.mean(), losses[kept].mean()))
    good = [pair for pair in tried if pair[1] <= target + 1e-12]
    return min(good) if good else min(tried, key=lambda pair: (round(pair[1], 9), pair[0]))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8)), min_size=1, max_size=30),
    st.sampled_from([0.0, 0.1, 0.25, 0.5]),
    st.sampled_from([0.1, 0.5, 0.9]),
)
def test_referral_is_the_best_of_all_thresholds(
    rows: list[tuple[int, int]], target: float, most: float
) -> None:
    losses = np.array([loss for loss, _ in rows], dtype=float)
    unsure = np.array([value / 8 for _, value in rows])
    found = choose_referral(losses, unsure, target=target, most=most)
    referred, risk = brute_force_referral(losses, unsure, target, most)
    assert (found.referred, found.after) == (pytest.approx(referred), pytest.approx(risk))
    assert np.mean(unsure >= found.threshold) == pytest.approx(found.referred)
    assert found.met == (found.after <= target + 1e-12)
    assert found.before == pytest.approx(losses.mean())


def test_referral_by_hand() -> None:
    losses = [0, 0, 0, 0, 0, 0, 0, 1, 0, 1]
    unsure = np.arange(10) / 10
    half = choose_referral(losses, unsure, most=0.5)
    # 1 of 9 is above half of 0.2 = 0.1; 1 of 8 as well; 0 of 7 is not
    assert (half.referred, half.after, half.met) == (pytest.approx(0.3), 0.0, True)
    assert half.threshold == pytest.approx(0.65)
    capped = choose_referral(losses, unsure, most=0.2)
    assert (capped.referred, capped.after) == (pytest.approx(0.1), pytest.approx(1 / 9))
    assert not capped.met and capped.target == pytest.approx(0.1)
    share = choose_referral(losses, unsure, share=0.2)
    assert share.referred == pytest.approx(0.2) and np.isnan(share.target) and share.met
    none = choose_referral(np.zeros(10), unsure)
    assert none.referred == 0 and none.threshold == pytest.approx(0.95)
    ceiling = choose_referral([0.0, 0.0], [0.5, 1.0])
    assert ceiling.referred == 0 and ceiling.threshold > 1


def test_folds_keep_patients_whole_and_are_alike() -> None:
    rng = np.random.default_rng(6)
    patients = rng.integers(0, 60, 200)
    labels = (patients % 3 == 0).astype(float)
    place = patient_folds(labels, groups=patients, folds=5)
    assert all(len(set(place[patients == each])) == 1 for each in set(patients))
    assert set(place) == set(range(5))
    for value in (0, 1):
        counts = [len(set(patients[(place == k) & (labels == value)])) for k in range(5)]
        assert max(counts) - min(counts) <= 1
    np.testing.assert_array_equal(place, patient_folds(labels, groups=patients, folds=5))
    assert (place != patient_folds(labels, groups=patients, folds=5, seed=1)).any()


def test_mistakes_are_named() -> None:
    with pytest.raises(MetricError, match="2 patients in 5 folds"):
        patient_folds([0, 1])
    with pytest.raises(ShapeError, match="all must be"):
        aurc([0, 1], [0.5])
    with pytest.raises(MetricError, match="no image has a call"):
        aurc([0.0], [0.5], sizes=[0])
    with pytest.raises(MetricError, match="finite"):
        aurc([0.0], [np.nan])
    with pytest.raises(MetricError, match="coverage is 0"):
        risk_at([0.0], [0.5], 0)
    with pytest.raises(MetricError, match=r"share in \[0, 1\)"):
        choose_referral([0.0], [0.5], most=1.0)
    with pytest.raises(MetricError, match=r"expected \[0, 1\]"):
        normalized_entropy([1.1])
    with pytest.raises(ShapeError, match="K at least 2"):
        normalized_entropy([[0.5]], exclusive=True)
    with pytest.raises(ShapeError, match="K at least 2"):
        class_nearness([[0.5]])
    with pytest.raises(ShapeError, match="both must be"):
        call_losses([1, 0], [True, False])
