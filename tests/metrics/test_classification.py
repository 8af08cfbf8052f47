"""Whole tables of findings and classes, against scikit-learn and each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from lucidray import metrics as m
from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.class_measurement import CLASS_METRICS

FINDINGS = ("Edema", "Effusion", "Mass")
CUTS = {"Edema": 0.4, "Effusion": 0.5, "Mass": 0.6}


@pytest.fixture
def multilabel(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = (rng.random((90, 3)) < [0.2, 0.5, 0.3]).astype(float)
    p = np.clip(0.7 * rng.random((90, 3)) + 0.25 * labels, 0, 1)
    return labels, p, np.sort(rng.integers(0, 40, 90))


@pytest.fixture
def multiclass(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.integers(0, 3, 80)
    weight = rng.random((80, 3)) + 0.5 * np.eye(3)[labels]
    return labels, weight / weight.sum(axis=1, keepdims=True)


def test_binary_table_holds_every_measure_and_does_not_contradict_itself(
    multilabel: tuple[np.ndarray, ...],
) -> None:
    labels, p, groups = multilabel
    table = m.measure_binary(labels[:, 1], p[:, 1], threshold=0.5, groups=groups, n_boot=300)
    for name, found in table.items():
        assert found.name == name
        assert found.value == pytest.approx(m.evaluate(name, labels[:, 1], p[:, 1], threshold=0.5))
        # calibration error grows under resampling, so its value may lie below its interval
        assert found.low <= found.high
        assert name.startswith("ece") or found.low <= found.value <= found.high
    assert m.check_measurements(table, m.count(labels[:, 1], p[:, 1], threshold=0.5)) == []
    assert table["sensitivity"].count == labels[:, 1].sum()
    assert table["auc"].count == 90
    assert table["average_precision"].chance == pytest.approx(labels[:, 1].mean())


def test_without_threshold_there_are_no_rates(multilabel: tuple[np.ndarray, ...]) -> None:
    labels, p, _ = multilabel
    table = m.measure_binary(labels[:, 0], p[:, 0], n_boot=0)
    assert {"auc", "brier"} <= set(table)
    assert "accuracy" not in table
    with pytest.raises(MetricError, match="does not fit here"):
        m.measure_binary(labels[:, 0], p[:, 0], n_boot=0, only=["accuracy"])


def test_same_seed_same_table(multilabel: tuple[np.ndarray, ...]) -> None:
    labels, p, groups = multilabel
    tables = [
        m.measure_binary(labels[:, 0], p[:, 0], groups=groups, n_boot=200, seed=s, only=["auc"])
        for s in (1, 1, 2)
    ]
    assert tables[0] == tables[1] != tables[2]


def test_bca_is_a_choice(multilabel: tuple[np.ndarray, ...]) -> None:
    labels, p, groups = multilabel
    kw = {"groups": groups, "n_boot": 500, "only": ["auc"]}
    plain = m.measure_binary(labels[:, 0], p[:, 0], **kw)["auc"]
    bca = m.measure_binary(labels[:, 0], p[:, 0], interval="bca", **kw)["auc"]
    assert plain.value == bca.value
    assert (plain.low, plain.high) != (bca.low, bca.high)
    assert bca.low == pytest.approx(plain.low, abs=0.05)


def test_perfect_rate_gets_wilson_over_patients_and_perfect_auc_no_interval() -> None:
    labels = np.repeat([0.0, 1.0], 20)
    groups = np.arange(40) // 2
    table = m.measure_binary(labels, labels, threshold=0.5, groups=groups, n_boot=200)
    low, _ = m.wilson_interval(10, 10)
    assert table["sensitivity"].low == pytest.approx(float(low))
    assert table["sensitivity"].high == 1
    assert table["auc"].value == 1
    assert math.isnan(table["auc"].low)


def test_averages_equal_sklearn(multilabel: tuple[np.ndarray, ...]) -> None:
    labels, p, groups = multilabel
    table = m.measure_multilabel(
        labels, p, findings=FINDINGS, thresholds=CUTS, groups=groups, n_boot=50
    )
    called = (p >= list(CUTS.values())).astype(int)
    for average in ("macro", "weighted", "micro"):
        expected = {
            "auc": sk.roc_auc_score(labels, p, average=average),
            "average_precision": sk.average_precision_score(labels, p, average=average),
            "f1": sk.f1_score(labels, called, average=average),
            "precision": sk.precision_score(labels, called, average=average),
            "sensitivity": sk.recall_score(labels, called, average=average),
        }
        for name, value in expected.items():
            found = table[average][name]
            assert found.value == pytest.approx(value), (average, name)
            assert found.low <= value <= found.high
    for f, finding in enumerate(FINDINGS):
        single = m.measure_binary(
            labels[:, f], p[:, f], threshold=CUTS[finding], groups=groups, n_boot=50
        )
        assert repr(table[finding]) == repr(single)


def test_a_finding_that_never_occurs_is_left_out_of_averages_and_counted(
    multilabel: tuple[np.ndarray, ...],
) -> None:
    labels, p, _ = multilabel
    labels[:, 2] = 0
    labels[:5, 0] = np.nan
    p[0, 0] = np.nan
    table = m.measure_multilabel(labels, p, findings=FINDINGS, n_boot=20, only=["auc"])
    assert math.isnan(table["Mass"]["auc"].value)
    assert math.isnan(table["Mass"]["auc"].low)
    assert table["Edema"]["auc"].undefined == 5
    assert table["macro"]["auc"].undefined == 1
    parts = [table[f]["auc"].value for f in FINDINGS[:2]]
    assert table["macro"]["auc"].value == pytest.approx(np.mean(parts))
    assert table["macro"]["auc"].chance == 0.5


def test_a_finding_without_operating_point_has_no_rates(
    multilabel: tuple[np.ndarray, ...],
) -> None:
    labels, p, _ = multilabel
    table = m.measure_multilabel(
        labels, p, findings=FINDINGS, thresholds={"Edema": 0.4}, n_boot=20, only=["f1", "auc"]
    )
    assert math.isnan(table["Mass"]["f1"].value)
    assert table["macro"]["f1"].value == table["Edema"]["f1"].value == table["micro"]["f1"].value
    assert table["Mass"]["auc"].value > 0.5


def test_interval_of_an_average_knows_how_its_parts_move_together() -> None:
    rng = np.random.default_rng(0)
    label = (rng.random(150) < 0.4).astype(float)
    p = np.clip(0.8 * rng.random(150) + 0.15 * label, 0, 1)
    twice = m.measure_multilabel(
        np.stack([label, label], 1), np.stack([p, p], 1), findings=("a", "b"), only=["auc"]
    )
    macro, single = twice["macro"]["auc"], twice["a"]["auc"]
    assert (macro.low, macro.high) == pytest.approx((single.low, single.high))


def test_classes_equal_sklearn(multiclass: tuple[np.ndarray, np.ndarray]) -> None:
    labels, p = multiclass
    called = p.argmax(axis=1)
    table = m.measure_multiclass(labels, p, classes=("a", "b", "c"), n_boot=50)
    report = sk.classification_report(
        labels, called, target_names=["a", "b", "c"], output_dict=True
    )
    for name in ("a", "b", "c"):
        ours = table[name]
        assert ours["precision"].value == pytest.approx(report[name]["precision"])
        assert ours["sensitivity"].value == pytest.approx(report[name]["recall"])
        assert ours["f1"].value == pytest.approx(report[name]["f1-score"])
        assert set(ours) == set(CLASS_METRICS)
    assert table["macro"]["f1"].value == pytest.approx(report["macro avg"]["f1-score"])
    assert table["weighted"]["f1"].value == pytest.approx(report["weighted avg"]["f1-score"])
    accuracy = report["accuracy"]
    assert table["overall"]["accuracy"].value == pytest.approx(accuracy)
    for name in ("f1", "precision", "sensitivity"):
        assert table["micro"][name].value == pytest.approx(accuracy)
    for average in ("macro", "weighted", "micro"):
        expected = sk.roc_auc_score(labels, p, multi_class="ovr", average=average)
        assert table[average]["auc"].value == pytest.approx(expected)


def test_overall_measures_of_classes(multiclass: tuple[np.ndarray, np.ndarray]) -> None:
    labels, p = multiclass
    one_hot = np.eye(3)[labels]
    one_hot[0] = np.nan
    overall = m.measure_multiclass(one_hot, p, classes=("a", "b", "c"), n_boot=100)["overall"]
    for name, found in overall.items():
        full = name if name in ("classwise_ece",) else f"multiclass_{name}"
        assert found.value == pytest.approx(m.evaluate(full, one_hot, p))
        assert (found.name, found.count, found.undefined) == (name, 79, 1)
        assert found.low < found.high
    assert overall["balanced_accuracy"].chance == pytest.approx(1 / 3)
    assert overall["accuracy"].chance == pytest.approx(np.bincount(labels[1:]).max() / 79)


def test_nothing_labeled_is_nan_everywhere() -> None:
    table = m.measure_binary([np.nan] * 4, [0.2] * 4, threshold=0.5, n_boot=20)
    assert all(math.isnan(found.value) and math.isnan(found.low) for found in table.values())
    assert table["auc"].undefined == 4


def test_refused(multilabel: tuple[np.ndarray, ...]) -> None:
    labels, p, _ = multilabel
    with pytest.raises(ShapeError, match="one name a column"):
        m.measure_multilabel(labels, p, findings=("a", "b"))
    with pytest.raises(MetricError, match="must differ"):
        m.measure_multilabel(labels, p, findings=("a", "b", "macro"))
    with pytest.raises(MetricError, match="no findings here"):
        m.measure_multilabel(labels, p, findings=FINDINGS, thresholds={"Hernia": 0.2})
    with pytest.raises(MetricError, match="softmax"):
        m.measure_multiclass([0, 1], [[0.5, 0.9], [0.1, 0.2]], classes=("a", "b"))
