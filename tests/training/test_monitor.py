"""What is watched: values against scikit-learn, directions, patience."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from lucidray.errors import UnknownNameError
from lucidray.training.monitor import Watch, check_monitor, measure_epoch, monitors, rises

RNG = np.random.default_rng(0)
LABELS = (RNG.random((60, 2)) < 0.4).astype(np.float32)
PROBABILITIES = np.clip(LABELS * 0.3 + RNG.random((60, 2)) * 0.7, 0, 1).astype(np.float32)
CLASSES = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, 60)]
SHARES = RNG.dirichlet(np.ones(3), 60).astype(np.float32)


def test_values_are_means_of_scikit_learn_s() -> None:
    ours = measure_epoch(LABELS, PROBABILITIES, exclusive=False)
    called = PROBABILITIES >= 0.5
    assert ours["val_auc"] == pytest.approx(sklearn_metrics.roc_auc_score(LABELS, PROBABILITIES))
    f1 = sklearn_metrics.f1_score(LABELS, called, average="macro")
    assert ours["val_f1"] == pytest.approx(f1)
    assert ours["val_accuracy"] == pytest.approx((called == LABELS).mean())


def test_values_of_exclusive_findings_are_scikit_learn_s() -> None:
    ours = measure_epoch(CLASSES, SHARES, exclusive=True)
    truth, called = CLASSES.argmax(1), SHARES.argmax(1)
    assert ours["val_accuracy"] == pytest.approx((truth == called).mean())
    balanced = sklearn_metrics.balanced_accuracy_score(truth, called)
    assert ours["val_balanced_accuracy"] == pytest.approx(balanced)
    auc = sklearn_metrics.roc_auc_score(CLASSES, SHARES, average="macro")
    assert ours["val_auc"] == pytest.approx(auc)


@pytest.mark.parametrize("name", [name for name in monitors() if not name.endswith("loss")])
def test_everything_that_can_be_monitored_can_be_measured(name: str) -> None:
    several = measure_epoch(CLASSES, SHARES, exclusive=True, also=name)
    each = measure_epoch(LABELS, PROBABILITIES, exclusive=False, also=name)
    assert math.isfinite({**each, **several}[name])


def test_directions_and_names() -> None:
    assert rises("val_auc") and not rises("val_loss") and not rises("val_brier")
    with pytest.raises(UnknownNameError, match="did you mean 'val_auc'"):
        check_monitor("val_auk")


def test_undefined_values_never_improve() -> None:
    watch = Watch(higher_is_better=True, patience=2).see(math.nan, 0).see(0.5, 1)
    assert watch.improved and watch.epoch == 1
    assert watch.see(math.nan, 2).see(math.nan, 3).exhausted
    assert not Watch(higher_is_better=True).see(0.5, 0).see(0.4, 1).exhausted
