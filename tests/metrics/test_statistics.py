"""DeLong, McNemar and sign flips, against definitions, statsmodels, SciPy and published tables."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar

from lucidray import metrics as m
from lucidray.errors import MetricError, ShapeError


def _case(seed: int, n: int = 80) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.4).astype(float)
    common = rng.normal(size=n)
    first = np.round(common + rng.normal(size=n) + labels, 1)
    return labels, first, np.round(common + rng.normal(size=n) + 0.6 * labels, 1)


def _delong_by_definition(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """DeLong's covariance written out over all pairs, as in the paper."""
    upper, lower = [], []
    for row in scores:
        x, y = row[labels == 1], row[labels == 0]
        psi = (y[None] < x[:, None]) + 0.5 * (y[None] == x[:, None])
        upper.append(psi.mean(axis=1))
        lower.append(psi.mean(axis=0))
    m1, n1 = len(upper[0]), len(lower[0])
    return np.cov(np.array(upper)) / m1 + np.cov(np.array(lower)) / n1


def test_delong_equals_its_definition_over_all_pairs() -> None:
    labels, first, second = _case(0)
    scores = np.stack([first, second])
    areas, covariance = m.delong_covariance(labels, scores)
    assert areas == pytest.approx([roc_auc_score(labels, row) for row in scores])
    assert covariance == pytest.approx(_delong_by_definition(labels, scores), abs=1e-14)


def test_delong_interval_lies_on_the_logit_scale() -> None:
    labels, first, _ = _case(1)
    found = m.delong(labels, first)
    error = np.sqrt(_delong_by_definition(labels, np.stack([first, first]))[0, 0])
    ends = np.array([found.low, found.high])
    area = found.value
    logits = np.log(ends / (1 - ends)) - np.log(area / (1 - area))
    reach = 1.959963984540054 * error / (area * (1 - area))
    assert logits == pytest.approx([-reach, reach])
    assert (found.name, found.chance, found.count) == ("auc", 0.5, 80)


def test_delong_test_agrees_with_its_own_z() -> None:
    labels, first, second = _case(2)
    found = m.delong_test(labels, first, second)
    c = _delong_by_definition(labels, np.stack([first, second]))
    gap = roc_auc_score(labels, first) - roc_auc_score(labels, second)
    z = gap / np.sqrt(c[0, 0] + c[1, 1] - 2 * c[0, 1])
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(z)))
    assert found.difference.value == pytest.approx(gap)
    assert m.delong_test(labels, first, first).p_value == 1


def test_repeated_images_of_a_patient_add_no_certainty() -> None:
    labels, first, second = _case(3)
    groups = np.arange(80)
    rows = np.repeat(groups, 3)
    _, single = m.delong_covariance(labels, np.stack([first, second]))
    _, tripled = m.delong_covariance(labels[rows], np.stack([first, second])[:, rows], groups=rows)
    assert tripled == pytest.approx(single, rel=1e-9)
    _, naive = m.delong_covariance(labels[rows], np.stack([first, second])[:, rows])
    assert naive[0, 0] < 0.5 * single[0, 0]


def test_obuchowski_agrees_with_the_patient_bootstrap() -> None:
    rng = np.random.default_rng(4)
    groups = np.sort(rng.integers(0, 80, 300))
    habit = rng.normal(size=80)[groups]
    labels = (rng.random(300) < 0.5).astype(float)
    scores = habit + rng.normal(size=300) + labels
    _, covariance = m.delong_covariance(labels, scores, groups=groups)
    scaled = 1 / (1 + np.exp(-scores))
    boot = m.measure_binary(labels, scaled, groups=groups, only=["auc"], n_boot=4000)["auc"]
    assert np.sqrt(covariance[0, 0]) == pytest.approx((boot.high - boot.low) / 3.92, rel=0.08)
    assert m.delong_test(labels, scores, -scores, groups=groups).test == "Obuchowski"


def test_delong_where_undefined() -> None:
    alone = m.delong([1, 0, 0], [0.5, 0.1, 0.6])
    assert alone.value == 0.5
    assert np.isnan(alone.low)
    assert np.isnan(m.delong([0, 0], [0.1, 0.2]).value)
    perfect = m.delong([1, 1, 0, 0], [0.9, 0.8, 0.1, 0.2])
    assert perfect.value == 1
    assert np.isnan(perfect.high)


@pytest.mark.parametrize("table", [(5, 9), (0, 6), (12, 12), (1, 0), (30, 11)])
def test_mcnemar_exact_equals_statsmodels(table: tuple[int, int]) -> None:
    first = np.repeat([True, False, True, False], [table[0], table[1], 7, 3])
    second = np.repeat([False, True, True, False], [table[0], table[1], 7, 3])
    expected = sm_mcnemar([[7, table[0]], [table[1], 3]], exact=True).pvalue
    assert m.mcnemar(first, second, method="exact") == pytest.approx(expected)


def test_mcnemar_published_example() -> None:
    # Fagerland 2013, table 1 (Bentur et al. 2009): 1 and 7 discordant of 21
    first, second = np.repeat([True, False], [1, 7]), np.repeat([False, True], [1, 7])
    assert round(m.mcnemar(first, second, method="exact"), 4) == 0.0703
    assert round(m.mcnemar(first, second), 4) == 0.0391


def test_mcnemar_edges() -> None:
    assert m.mcnemar([True, False], [True, False]) == 1
    with pytest.raises(ShapeError, match="both must be"):
        m.mcnemar([True], [True, False])
    with pytest.raises(MetricError, match="mid-p"):
        m.mcnemar([True], [True], method="chi2")  # type: ignore[arg-type]


def test_sign_flips_agree_with_scipy(rng: np.random.Generator) -> None:
    values = rng.normal(0.25, 1, size=12)
    expected = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=5000
    ).pvalue
    assert m.sign_flip_test(values) == pytest.approx(expected, abs=0.015)


def test_sign_flips_by_patient(rng: np.random.Generator) -> None:
    values = np.repeat(rng.normal(0.4, 1, size=10), 6)
    by_patient = m.sign_flip_test(values, groups=np.repeat(np.arange(10), 6))
    assert by_patient == pytest.approx(m.sign_flip_test(values[::6]), abs=0.015)
    assert m.sign_flip_test(values) < by_patient


def test_sign_flip_edges() -> None:
    assert np.isnan(m.sign_flip_test([np.nan]))
    assert m.sign_flip_test([0.0, 0.0, np.nan]) == 1
    with pytest.raises(ShapeError, match=r"\(N,\)"):
        m.sign_flip_test([[0.1]])
