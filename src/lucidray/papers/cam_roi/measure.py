"""What came out: all networks on the same test images, with paired intervals and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lucidray.metrics.confusion import f1, precision, sensitivity
from lucidray.metrics.inputs import Statistic, cluster_matrix, encode_groups, ratio
from lucidray.metrics.intervals import holm
from lucidray.metrics.multiclass import (
    class_log_losses,
    confusion_matrix,
    matrix_statistic,
    multiclass_accuracy,
    multiclass_balanced_accuracy,
    one_vs_rest,
)
from lucidray.metrics.resampling import Estimate, bootstrap_p_value, estimate
from lucidray.metrics.statistics import mcnemar
from lucidray.papers.cam_roi.material import Int
from lucidray.papers.cam_roi.phases import Arm
from lucidray.records import Bool, Float32, Float64

ACCURACY = "accuracy"
BALANCED = "balanced accuracy"
MACRO_F1 = "macro F1"
LOSS = "loss"


@dataclass(frozen=True)
class Difference:
    """How ROI images differ from full ones, for one network and strategy.

    Args:
        arm: The arm that is given ROI images.
        accuracy: Its accuracy minus that on full images, with its interval.
        bootstrap_p: Two-sided, from the paired bootstrap.
        mcnemar_p: One a seed.
        adjusted_p: The first seed's of `mcnemar_p`, by Holm over all differences of a set.
        gained: Images that only ROI gets right, first seed.
        lost: Images that only the full image gets right, first seed.
    """

    arm: Arm
    accuracy: Estimate
    bootstrap_p: float
    mcnemar_p: tuple[float, ...]
    adjusted_p: float
    gained: int
    lost: int


@dataclass(frozen=True)
class Measured:
    """All numbers of one data set and one selection of its test images.

    Args:
        values: Arm → quantity → value with its interval (mean of the seeds).
        by_seed: Arm → one accuracy a seed.
        matrices: Arm → float64 ``(K, K)`` confusion matrix, first seed: rows truth.
        differences: ROI against full.
        images: Number of test images.
        groups: Number of groups of copies among them.
    """

    values: Mapping[Arm, Mapping[str, Estimate]]
    by_seed: Mapping[Arm, tuple[float, ...]]
    matrices: Mapping[Arm, Float64]
    differences: tuple[Difference, ...]
    images: int
    groups: int

    def difference(self, arm: Arm) -> Difference:
        """Return how an arm differs from the same network on full images."""
        return next(item for item in self.differences if item.arm == arm)


def class_quantity(what: str, name: str) -> str:
    """Return the name of a quantity of one class.

    >>> class_quantity("recall", "Glioma")
    'recall, Glioma'
    """
    return f"{what}, {name}"


def softmax(logits: Float64) -> Float64:
    """Turn logits ``(..., K)`` into probabilities."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def measure(
    truth: Int,
    groups: Int,
    logits: Mapping[Arm, Float64 | Float32],
    classes: Sequence[str],
    *,
    n_boot: int = 2000,
) -> Measured:
    """Measure all arms on the same images.

    Args:
        truth: int ``(N,)`` class indices.
        groups: int ``(N,)``, copies of one picture share a number.
        logits: Arm → ``(S, N, K)``, one slice a seed.
        classes: K names.
        n_boot: Bootstrap replicates.

    Returns:
        Values are means over the seeds; intervals are over groups, the same drawn for all arms.
    """
    cluster, count = encode_groups(groups, len(truth))
    statistics = {
        arm: [_statistics(truth, one, cluster, count, classes) for one in values]
        for arm, values in logits.items()
    }
    pairs = [(arm, _base(arm)) for arm in logits if arm.phase == 2 and arm.view != "full"]

    def panel(weights: Float64) -> dict[tuple[str, str], Float64]:
        values: dict[tuple[str, str], Float64] = {}
        for arm, seeds in statistics.items():
            found = [one(weights) for one in seeds]
            for name in found[0]:
                values[arm.name, name] = np.mean([one[name] for one in found], axis=0)
        for arm, base in pairs:
            values[_minus(arm), ACCURACY] = values[arm.name, ACCURACY] - values[base.name, ACCURACY]
        return values

    found = estimate(panel, count, n_boot=n_boot)
    right = {arm: values.argmax(axis=2) == truth for arm, values in logits.items()}
    return Measured(
        {
            arm: {name: one for (owner, name), one in found.items() if owner == arm.name}
            for arm in logits
        },
        {arm: tuple(float(one) for one in hits.mean(axis=1)) for arm, hits in right.items()},
        {
            arm: confusion_matrix(truth, values[0].argmax(axis=1), classes=len(classes))
            for arm, values in logits.items()
        },
        _differences({pair: found[_minus(pair[0]), ACCURACY] for pair in pairs}, right),
        len(truth),
        count,
    )


def _minus(arm: Arm) -> str:
    return f"{arm.name} - full"


def _base(arm: Arm) -> Arm:
    return Arm(arm.phase, arm.role, arm.strategy, "full")


def _differences(
    found: Mapping[tuple[Arm, Arm], Estimate], right: Mapping[Arm, Bool]
) -> tuple[Difference, ...]:
    tests = {
        (arm, base): tuple(
            mcnemar(full, roi) for full, roi in zip(right[base], right[arm], strict=True)
        )
        for arm, base in found
    }
    adjusted = holm(np.array([values[0] for values in tests.values()]))
    return tuple(
        Difference(
            arm,
            one,
            bootstrap_p_value(one.replicates) if len(one.replicates) else float("nan"),
            tests[arm, base],
            float(p),
            int((right[arm][0] & ~right[base][0]).sum()),
            int((right[base][0] & ~right[arm][0]).sum()),
        )
        for ((arm, base), one), p in zip(found.items(), adjusted, strict=True)
    )


def _statistics(
    truth: Int, logits: Float64 | Float32, cluster: Int, count: int, classes: Sequence[str]
) -> _Several:
    called = logits.argmax(axis=1)
    cells = matrix_statistic(truth, called, cluster, count, len(classes))
    losses = class_log_losses(truth, softmax(logits.astype(np.float64)))
    return _Several(cells, _mean(losses, cluster, count), tuple(classes))


@dataclass(frozen=True)
class _Several:
    """All quantities of one network from one confusion matrix and its losses."""

    cells: Statistic
    loss: Statistic
    classes: tuple[str, ...]

    def __call__(self, weights: Float64) -> dict[str, Float64]:
        matrix = self.cells(weights)
        counts = one_vs_rest(matrix)
        rates = {"precision": precision(counts), "recall": sensitivity(counts), "F1": f1(counts)}
        found = {
            ACCURACY: multiclass_accuracy(matrix),
            BALANCED: multiclass_balanced_accuracy(matrix),
            MACRO_F1: np.mean(rates["F1"], axis=0),
            LOSS: self.loss(weights),
        }
        for what, values in rates.items():
            for name, one in zip(self.classes, values, strict=True):
                found[class_quantity(what, name)] = one
        return found


def _mean(values: Float64, cluster: Int, count: int) -> Statistic:
    rows = np.zeros(len(values), np.int64)
    sums = cluster_matrix(rows, cluster, (1, count), values)
    sizes = cluster_matrix(rows, cluster, (1, count))
    return lambda weights: ratio((sums @ weights)[0], (sizes @ weights)[0])
