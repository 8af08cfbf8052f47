"""Fit a bundle's calibration on validation answers, and carry its operating points along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from lucidray.bundle.card import Calibration, Estimate, OperatingPoint
from lucidray.errors import MetricError, unknown_name
from lucidray.export.parity import calibrate
from lucidray.metrics import brier, ece, fit_platt, fit_temperature, log_loss, robust_youden
from lucidray.records import Float32

Method = Literal["auto", "platt", "temperature", "none"]
METHODS = ("auto", "platt", "temperature", "none")

_MEASURES = {"ece": ece, "brier": brier, "log_loss": log_loss}


def fit_calibration(
    findings: Sequence[str],
    logits: Float32,
    labels: Float32,
    *,
    exclusive: bool,
    method: Method = "auto",
    images: str = "validation images of the training",
) -> Calibration:
    """Fit how logits become probabilities.

    Args:
        findings: F names.
        logits: ``(N, F)`` of validation images.
        labels: ``(N, F)``: 1, 0 or nan.
        exclusive: Whether exactly one finding holds.
        method: ``"auto"``: Platt scaling for each finding, one temperature where findings exclude
            each other.
        images: What the images are, in words.

    Returns:
        The calibration, with what it changed on these very images (so the gain is optimistic). A
        finding with one class only, or ranked worse than chance, keeps its own sigmoid.

    Raises:
        UnknownNameError: No such method.
        MetricError: No image is labeled.
    """
    if method not in METHODS:
        raise unknown_name("calibration", method, METHODS)
    if method == "auto":
        method = "temperature" if exclusive else "platt"
    if method == "none":
        return Calibration()
    if method == "temperature" or exclusive:
        fit = Calibration("temperature", temperature=_temperature(logits, labels, exclusive))
    else:
        fit, left = _platt(findings, logits, labels)
        images += f"; not fitted for {', '.join(left)}" if left else ""
    measured = _measured(logits, labels, fit, exclusive=exclusive)
    return replace(fit, fitted_on=images, images=len(labels), measurements=measured)


def carry_points(
    points: Mapping[str, OperatingPoint], findings: Sequence[str], fit: Calibration
) -> dict[str, OperatingPoint]:
    """Move thresholds of plain sigmoids to where calibration puts them, so that calls stay equal.

    Args:
        points: By finding, on uncalibrated probabilities.
        findings: F names.
        fit: A calibration of findings that do not exclude each other.

    >>> point = {"Mass": OperatingPoint(0.5)}
    >>> fit = Calibration("platt", slopes=(2.0,), intercepts=(0.0,))
    >>> carry_points(point, ["Mass"], fit)["Mass"].threshold
    0.5
    """
    moved = {}
    for name, point in points.items():
        line = logit(np.float64(point.threshold)) / fit.temperature
        if fit.method == "platt":
            index = list(findings).index(name)
            line = line * fit.slopes[index] + fit.intercepts[index]
        moved[name] = replace(point, threshold=float(expit(line)))
    return moved


def choose_points(
    findings: Sequence[str], labels: Float32, probabilities: Float32
) -> dict[str, OperatingPoint]:
    """Choose the operating point of each finding anew, where calibration reorders images.

    Args:
        findings: F names.
        labels: ``(N, F)`` of validation images.
        probabilities: ``(N, F)``, calibrated.

    Returns:
        Points by finding; a finding with one class only has none.
    """
    chosen = {}
    for name, truth, values in zip(findings, labels.T, probabilities.T, strict=True):
        try:
            point = robust_youden(truth, values)
        except MetricError:
            continue
        rates = {
            each.name: Estimate(each.value, each.low, each.high, each.count)
            for each in (point.sensitivity, point.specificity)
        }
        chosen[name] = OperatingPoint(point.threshold, point.chosen_by, **rates)
    return chosen


def _platt(
    findings: Sequence[str], logits: Float32, labels: Float32
) -> tuple[Calibration, list[str]]:
    slopes, intercepts, left = [], [], []
    for name, values, truth in zip(findings, logits.T, labels.T, strict=True):
        slope, intercept = _fit_one(truth, values)
        if not slope > 0:
            left.append(name)
            slope, intercept = 1.0, 0.0
        slopes.append(slope)
        intercepts.append(intercept)
    return Calibration("platt", slopes=tuple(slopes), intercepts=tuple(intercepts)), left


def _fit_one(truth: Float32, values: Float32) -> tuple[float, float]:
    try:
        fit = fit_platt(truth, values)
    except MetricError:
        return 0.0, 0.0
    return float(fit.slope), float(fit.intercept)


def _temperature(logits: Float32, labels: Float32, exclusive: bool) -> float:
    if exclusive or logits.shape[1] == 1:
        pair = (labels, logits) if exclusive else (labels[:, 0], logits[:, 0])
        return float(fit_temperature(*pair).value)
    known = np.isfinite(labels)
    return float(fit_temperature(labels[known], logits[known]).value)


def _measured(
    logits: Float32, labels: Float32, fit: Calibration, *, exclusive: bool
) -> dict[str, Estimate]:
    measured = {}
    for when, calibration in (("before", Calibration()), ("after", fit)):
        probabilities = calibrate(logits, calibration, exclusive=exclusive)
        for name, measure in _MEASURES.items():
            values = [
                _value(measure, truth, column)
                for truth, column in zip(labels.T, probabilities.T, strict=True)
            ]
            finite = [value for value in values if np.isfinite(value)]
            mean = float(np.mean(finite)) if finite else None
            measured[f"{name}_{when}"] = Estimate(mean, count=len(labels))
    return measured


def _value(
    measure: object, truth: npt.NDArray[np.floating], column: npt.NDArray[np.floating]
) -> float:
    try:
        return float(measure(truth, column))  # type: ignore[operator]
    except MetricError:
        return float("nan")
