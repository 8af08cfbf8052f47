"""Choose the probability at and above which a finding counts as present, on validation only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from lucidray.errors import MetricError
from lucidray.metrics import operating_points as rules
from lucidray.records import Float32
from lucidray.training.prediction import Predictions
from lucidray.training.recipe import OperatingPoint
from lucidray.training.run import plain


def choose_points(
    rule: OperatingPoint,
    findings: tuple[str, ...],
    labels: Float32,
    found: Predictions,
    groups: list[str],
    *,
    varied: Sequence[Predictions] = (),
) -> dict[str, Any]:
    """Choose an operating point for each finding, on validation images.

    Args:
        rule: The recipe's.
        findings: F names.
        labels: ``(N, F)``.
        found: Predictions of the same images.
        groups: The patient of each image.
        varied: Predictions of variants of all of them, to choose on as well.

    Returns:
        By finding: the point with what it did on the validation images themselves. A finding that
        validation shows only present or only absent (or too seldom to be sure of a sensitivity)
        has none.
    """
    chosen = {}
    for index, name in enumerate(findings):
        answers = [each.probabilities[:, index] for each in (found, *varied)]
        try:
            point = _point(rule, labels[:, index], answers, groups)
        except MetricError:
            continue
        chosen[name] = plain(asdict(point))
    return chosen


def _point(
    rule: OperatingPoint, labels: Float32, answers: list[Float32], groups: list[str]
) -> rules.OperatingPoint:
    times = len(answers)
    point = _choose(rule, np.tile(labels, times), np.concatenate(answers), groups * times)
    if times == 1:
        return point
    at_own = rules.at_threshold(labels, answers[0], point.threshold, groups=groups)
    told = f"{point.chosen_by}; with {times - 1} varied copies of each image"
    return replace(at_own, name=point.name, chosen_by=told)


def _choose(
    rule: OperatingPoint, labels: Float32, probabilities: Float32, groups: list[str]
) -> rules.OperatingPoint:
    value = rule.value
    if rule.method == "youden":
        return rules.youden(labels, probabilities, groups=groups)
    if rule.method == "f_beta":
        return rules.best_f_beta(labels, probabilities, beta=value or 1.0, groups=groups)
    if rule.method == "sensitivity":
        return rules.sensitivity_constrained(
            labels, probabilities, target=value or 0.95, groups=groups
        )
    if rule.method == "fixed":
        return rules.at_threshold(labels, probabilities, value or 0.5, groups=groups)
    return rules.robust_youden(labels, probabilities, groups=groups)
