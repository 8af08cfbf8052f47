"""What calibration changed on validation images: errors, proper scores and reliability curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lucidray.bundle.card import Estimate, Reliability
from lucidray.metrics import metrics as measures
from lucidray.metrics import reliability_curve
from lucidray.metrics.inputs import Samples, finding_samples, ratio
from lucidray.metrics.resampling import Estimate as Interval
from lucidray.metrics.resampling import Key, Panel, estimate
from lucidray.records import Float32, Float64

#: Calibration error in bins of equal width and of equally many images, and two proper scores.
MEASURES = ("ece", "ece_equal_mass", "brier", "log_loss")

_BINS = 15
_DIGITS = 4


def measure_calibration(
    labels: Float32,
    answers: Mapping[str, Float32],
    *,
    groups: npt.ArrayLike | None = None,
    n_boot: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Measure several versions of the same probabilities, as means over findings.

    Args:
        labels: ``(N, F)``: 1, 0 or nan.
        answers: By version, for example ``"before"``: probabilities ``(N, F)``.
        groups: ``(N,)`` patient keys, for the intervals; None: each image is its own patient.
        n_boot: Bootstrap replicates; 0: no intervals.
        seed: Same seed, same intervals.

    Returns:
        By measure and version, for example ``"ece_before"``; None where nothing is labeled.
        Calibration errors have no interval: resampling makes them larger, see
        `lucidray.metrics.ece`.
    """
    panels = {}
    clusters = len(labels)
    for version, probabilities in answers.items():
        samples = finding_samples(labels, probabilities, groups)
        clusters = samples[0].clusters
        panels[version] = _panel(samples)

    def together(weights: Float64) -> dict[Key, Float64]:
        found = {version: panel(weights) for version, panel in panels.items()}
        return {(n, v): values[n, ""] for v, values in found.items() for n in MEASURES}

    found = estimate(together, clusters, n_boot=n_boot, seed=seed)
    count = int((~np.isnan(labels)).any(axis=1).sum())
    return {f"{name}_{version}": _estimate(name, e, count) for (name, version), e in found.items()}


def reliability(
    findings: Sequence[str], labels: Float32, probabilities: Float32
) -> dict[str, Reliability]:
    """Return predicted against observed frequency in 15 bins of equal width, by finding.

    Args:
        findings: F names.
        labels: ``(N, F)``: 1, 0 or nan.
        probabilities: ``(N, F)``.

    Returns:
        Findings without a label are left out.
    """
    curves = {}
    for name, truth, values in zip(findings, labels.T, probabilities.T, strict=True):
        found = reliability_curve(truth, values, bins=_BINS)
        if found.count.size:
            lines = (found.predicted, found.observed, found.low, found.high)
            mean, share, low, high = (tuple(line.round(_DIGITS).tolist()) for line in lines)
            curves[name] = Reliability(mean, share, low, high, tuple(found.count.tolist()))
    return curves


def _panel(samples: Sequence[Samples]) -> Panel:
    """Return the panel of the means over findings."""
    statistics = {
        name: [measures.entry(name).facts["statistic"](each) for each in samples if len(each)]
        for name in MEASURES
    }

    def panel(weights: Float64) -> dict[Key, Float64]:
        return {(name, ""): _mean(parts, weights) for name, parts in statistics.items()}

    def _mean(parts: Sequence[object], weights: Float64) -> Float64:
        nothing = np.full((1, weights.shape[1]), np.nan)
        values = np.stack([part(weights) for part in parts]) if parts else nothing  # type: ignore[operator]
        known = ~np.isnan(values)
        return ratio(np.where(known, values, 0).sum(axis=0), known.sum(axis=0))

    return panel


def _estimate(name: str, found: Interval, count: int) -> Estimate:
    value = found.value if np.isfinite(found.value) else None
    if name.startswith("ece") or not np.isfinite(found.low):
        return Estimate(value, count=count)
    return Estimate(value, found.low, found.high, count)
