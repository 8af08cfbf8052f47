"""Arithmetic that does not hold, in the tables that the source documents printed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidray import metrics as m
from lucidray.errors import MetricError, UnknownNameError
from lucidray.metrics import ClassRow
from lucidray.metrics.checks import printed

# S2, tables 5.2 to 5.4: AUC by finding, in the order Atelectasis ... Pneumothorax
S2_AUC = {
    "DenseNet121": (
        "0.679 0.767 0.642 0.805 0.735 0.751 0.707 0.879 0.627 0.647 0.666 0.633 0.582 0.733",
        "0.694",
    ),
    "EfficientNetB0": (
        "0.583 0.631 0.581 0.708 0.607 0.599 0.679 0.724 0.488 0.471 0.595 0.545 0.554 0.589",
        "0.604",
    ),
    "ResNet50": (
        "0.589 0.673 0.617 0.736 0.628 0.621 0.733 0.853 0.566 0.591 0.621 0.603 0.545 0.654",
        "0.638",
    ),
    "MobileNetV2": (
        "0.678 0.774 0.683 0.780 0.732 0.768 0.752 0.843 0.633 0.675 0.688 0.659 0.641 0.747",
        "0.723",
    ),
    "MultiTask 5.3": (
        "0.778 0.871 0.670 0.854 0.819 0.891 0.778 0.880 0.702 0.793 0.704 0.734 0.687 0.823",
        "0.789",
    ),
    "SynthEnsemble": (
        "0.809 0.919 0.815 0.910 0.890 0.929 0.833 0.917 0.741 0.873 0.806 0.813 0.776 0.902",
        "0.854",
    ),
    "detection AP": ("0.137 0.423 0.254 0.221 0.121 0.000 0.317 0.268", "0.213"),
}
S2_RIGHT = {
    "MultiTask 5.4": (
        "0.778 0.871 0.670 0.854 0.819 0.891 0.778 0.880 0.702 0.793 0.770 0.734 0.687 0.824",
        "0.789",
    ),
    "multi AP": (
        "0.526 0.421 0.162 0.233 0.617 0.487 0.135 0.520 0.585 0.461 0.381 0.174 0.057 0.407",
        "0.369",
    ),
}
# S3, table 3.1: accuracy in percent, precision, sensitivity; 500 positives and 500 negatives
S3 = {
    "VGG16": ("83.7", "0.8224", "0.880"),
    "VGG19": ("83.2", "0.7747", "0.908"),
    "ResNet18": ("87.6", "0.8821", "0.868"),
    "ResNet34": ("87.2", "0.8758", "0.860"),
    "ResNet50": ("88.2", "0.8802", "0.882"),
    "ResNet101": ("87.6", "0.8798", "0.878"),
    "ViT Small": ("85.8", "0.8137", "0.882"),
    "ViT Base": ("86.2", "0.8602", "0.874"),
    "ViT Large": ("84.4", "0.8356", "0.864"),
}


@pytest.mark.parametrize("name", S2_AUC)
def test_s2_averages_that_do_not_match_their_columns(name: str) -> None:
    values, average = S2_AUC[name]
    (line,) = m.check_mean(values.split(), average, what=f"the average of {name}")
    assert name in line
    assert average in line


@pytest.mark.parametrize("name", S2_RIGHT)
def test_s2_averages_that_match(name: str) -> None:
    values, average = S2_RIGHT[name]
    assert m.check_mean(values.split(), average) == []


def test_s2_average_says_what_it_should_be() -> None:
    (line,) = m.check_mean(S2_AUC["DenseNet121"][0].split(), "0.694")
    assert line == "the average is printed as 0.694, but the mean of the 14 is 0.7038"


def test_s2_one_number_printed_twice() -> None:
    (line,) = m.check_same("the AUC of Nodule", "0.704", "0.770")
    assert line == "the AUC of Nodule is printed as 0.704 and as 0.770"
    assert m.check_same("x", "0.70", "0.704", "70.4%") == []


def test_s4_matrix_does_not_sum_to_its_test_set() -> None:
    lines = m.check_counts(627, 6, 20, 263, n=624, accuracy="86%")
    assert len(lines) == 2
    assert lines[0].endswith("make 916, not 624")
    assert lines[1] == "accuracy is printed as 86%, but the counts give 97.2%"
    assert m.check_counts(627, 6, 20, 263, n=916, accuracy="97.2%", sensitivity="0.969") == []


def test_s4_after_the_crop_contradicts_itself_and_before_does_not() -> None:
    after = {"sensitivity": "81%", "specificity": "98%", "accuracy": "86%", "macro_f1": "0.83"}
    (line,) = m.check_rates(390, 234, **after)
    assert "accuracy 87." in line
    assert "macro_f1 0.868 to 0.874" in line
    before = {"sensitivity": "97%", "specificity": "15%", "accuracy": "66%", "macro_f1": "0.51"}
    assert m.check_rates(390, 234, **before) == []


def test_s1_slip_and_what_it_should_be() -> None:
    rates = {"precision": "66.42", "sensitivity": "71.47", "f1": "68.85"}
    (line,) = m.check_rates(1500, 1500, accuracy="67.70", **rates)
    assert "accuracy 67.667%" in line
    assert m.check_rates(1500, 1500, accuracy="67.67", **rates) == []
    (found,) = m.implied_counts(1500, 1500, accuracy="67.67", **rates)
    assert found.matrix().tolist() == [[958, 542], [428, 1072]]
    (line,) = m.check_same("the accuracy of EfficientNet-B0", "67.70", "67.67")
    assert "67.70 and as 67.67" in line


def test_s1_lead_is_noise_and_fraction_printed_as_percent() -> None:
    (line,) = m.check_auc_difference("0.7270", "0.7243", positives=1500, negatives=1500)
    assert "0.0027, less than one standard error 0.0092" in line
    assert m.check_auc_difference("0.80", "0.72", positives=1500, negatives=1500) == []
    assert m.check_unit("accuracy", "0.49%")
    assert m.check_unit("accuracy", "49%") == m.check_unit("accuracy", "0.49") == []


@pytest.mark.parametrize("name", S3)
def test_s3_accuracies_are_off_except_that_of_resnet18(name: str) -> None:
    accuracy, precision, sensitivity = S3[name]
    lines = m.check_rates(500, 500, accuracy=accuracy, precision=precision, sensitivity=sensitivity)
    assert bool(lines) == (name != "ResNet18")


def test_s3_overall_area_is_no_mean_of_the_classes() -> None:
    (line,) = m.check_mean(["0.964", "0.897", "0.849"], "0.880")
    assert line.endswith("0.9033")
    assert m.check_mean(["0.953", "0.927", "0.894"], "0.925") == []


def test_s0_brain_rows_against_the_printed_accuracy() -> None:
    rows = {
        "glioma": ClassRow(300, "98.68", "100.00", "99.34"),
        "meningioma": ClassRow(306, "90.88", "97.71", "94.17"),
        "no tumor": ClassRow(405, "99.75", "99.51", "99.63"),
        "pituitary": ClassRow(300, "98.68", "100.00", "99.34"),
    }
    lines = m.check_classes(rows, accuracy="97%")
    assert len(lines) == 3
    assert "accuracy is printed as 97%, but the sensitivities of the rows give 99.3%" in lines[0]
    assert "1311 images" in lines[1]
    assert lines[2] == "the rows of glioma and pituitary are the same in every figure"


def test_s0_chest_row_that_its_neighbors_deny() -> None:
    # the class sizes are those that the other figures of the document fit best
    rows = {
        "normal": ClassRow(519, f1="95"),
        "pneumonia": ClassRow(440, "98", "89", "93"),
        "tuberculosis": ClassRow(417, "98", "86", "91"),
    }
    (line,) = m.check_classes(rows, accuracy="91%")
    assert line.startswith("F1 of normal is printed as 95, but the other rows leave 8")


def test_s0_literature_harmonic_means() -> None:
    assert m.check_f1("0.7292", "0.7955", "0.7609") == []
    for row in (
        ("0.7451", "0.8409", "0.7378"),
        ("0.7308", "0.8083", "0.8072"),
        ("0.7762", "0.9167", "0.8590"),
    ):
        assert m.check_f1(*row)


@settings(max_examples=50, deadline=None)
@given(st.tuples(*[st.integers(0, 30)] * 4), st.integers(2, 4))
def test_a_true_table_is_never_accused(cells: tuple[int, ...], digits: int) -> None:
    tp, fp, fn, tn = cells
    counts = m.Counts(*(np.array(c) for c in cells))
    names = ("accuracy", "precision", "sensitivity", "specificity", "f1", "mcc")
    exact = {name: float(m.metrics[name](counts)) for name in names}
    rates = {name: f"{v:.{digits}f}" for name, v in exact.items() if not np.isnan(v)}
    assert m.check_counts(*cells, n=sum(cells), **rates) == []
    if tp + fn and tn + fp:
        assert m.check_rates(tp + fn, tn + fp, **rates) == []


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 3))
def test_a_true_class_table_is_never_accused(seed: int, digits: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, 30, (3, 3)) + 20 * np.eye(3, dtype=int)
    counts = m.one_vs_rest(matrix)
    p, r, f = (100 * x(counts) for x in (m.precision, m.sensitivity, m.f1))
    rows = {
        str(k): ClassRow(
            int(matrix[k].sum()),
            f"{p[k]:.{digits}f}%",
            f"{r[k]:.{digits}f}%",
            f"{f[k]:.{digits}f}%",
        )
        for k in range(3)
    }
    accuracy = f"{100 * float(m.multiclass_accuracy(matrix)):.{digits}f}%"
    lines = m.check_classes(rows, accuracy=accuracy)
    assert [line for line in lines if "same in every figure" not in line] == []
    rows["0"] = ClassRow(rows["0"].support, f1=rows["0"].f1)
    assert m.check_classes(rows, accuracy=accuracy) == []


def test_a_sensitivity_that_no_whole_number_gives() -> None:
    rows = {"a": ClassRow(10, "90%", "93%", "91%"), "b": ClassRow(10, "90%", "90%", "90%")}
    assert "no whole number of its 10 images" in m.check_classes(rows)[0]


def test_own_table_is_checked() -> None:
    labels, p = [1, 0, 1, 0], [0.9, 0.2, 0.3, 0.6]
    table = m.measure_binary(labels, p, threshold=0.5, n_boot=20)
    counts = m.count(labels, p, threshold=0.5)
    assert m.check_measurements(table, counts) == []
    other = m.count(labels, p, threshold=0.1)
    lines = m.check_measurements(table, other)
    assert "sensitivity is 0.5, but the counts give 1" in lines
    assert not any(line.startswith("accuracy") for line in lines)


def test_figures_and_refusals() -> None:
    assert (printed("66").low, printed("66").high) == pytest.approx((0.655, 0.665))
    assert (printed(0.5).low, printed("1.0").high) == pytest.approx((0.45, 1.05))
    with pytest.raises(MetricError, match="no printed figure"):
        printed("high")
    with pytest.raises(MetricError, match="not finite"):
        printed("nan")
    with pytest.raises(UnknownNameError, match="did you mean 'accuracy'"):
        m.check_counts(1, 1, 1, 1, acuracy="50%")
    with pytest.raises(MetricError, match="at least 1"):
        m.check_rates(0, 10, accuracy="50%")
    with pytest.raises(MetricError, match="to average"):
        m.check_mean([], "0.5")
    with pytest.raises(MetricError, match="two classes"):
        m.check_classes({"a": ClassRow(3)})
    assert m.check_sum({"a": 1, "b": 2}, 3) == []
