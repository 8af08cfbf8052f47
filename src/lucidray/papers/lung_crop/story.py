"""All that the page and the results file tell, in one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lucidray.metrics.resampling import Estimate
from lucidray.papers.catalog import Plan
from lucidray.papers.lung_crop.measure import Measured, Reading
from lucidray.papers.lung_crop.protocol import Settings
from lucidray.papers.lung_crop.splitting import Divided
from lucidray.records import Float64
from lucidray.report import Panels

#: Quantity → part → one value an epoch.
History = Mapping[str, Mapping[str, Sequence[float]]]


@dataclass(frozen=True)
class ArmRun:
    """One finished training.

    Args:
        arm: The arm's name.
        seed: Its seed.
        folder: Where it lies, relative to the results.
        history: How it went.
        best_epoch: The epoch whose weights were kept, from 1; None: unknown.
        trainable: Numbers that training could change.
        frozen: Numbers that it could not.
        seconds: How long training took; nan: unknown.
    """

    arm: str
    seed: int
    folder: str
    history: History
    best_epoch: int | None
    trainable: int
    frozen: int
    seconds: float = float("nan")


@dataclass(frozen=True)
class Story:
    """Everything that an experiment found.

    Args:
        plan: What was asked for.
        chosen: Every number of the protocol.
        divided: The images and their splits.
        runs: All trainings, by arm and seed.
        labels: float64 ``(N,)`` of the test images: 1 pneumonia, 0 normal.
        patients: ``(N,)`` their patients.
        kinds: ``(N,)`` normal, bacteria or virus.
        readings: What the arms say of the test images.
        calibrated: Arm → float64 ``(S, N)``, probabilities after Platt scaling on validation.
        measured: The numbers.
        panels: Title of a group → explained images, both arms side by side.
        empty_maps: Arm → how many of the explained images had no evidence, and of how many.
        commands: Command lines that make this page again.
        versions: Of the software.
    """

    plan: Plan
    chosen: Settings
    divided: Divided
    runs: tuple[ArmRun, ...]
    labels: Float64
    patients: npt.NDArray[np.str_]
    kinds: npt.NDArray[np.str_]
    readings: tuple[Reading, ...]
    calibrated: Mapping[str, Float64]
    measured: Measured
    panels: Mapping[str, Panels] = field(default_factory=dict)
    empty_maps: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def reading(self, arm: str) -> Reading:
        """Return what one arm says."""
        return next(item for item in self.readings if item.arm == arm)


def show(found: Estimate, *, signed: bool = False, places: int = 3) -> str:
    """Write an estimate with its interval; none where all replicates agree and tell nothing.

    >>> show(Estimate(0.95123, 0.93, 0.97, np.empty(0)))
    '0.951 [0.930, 0.970]'
    >>> show(Estimate(-0.0104, -0.03, 0.01, np.empty(0)), signed=True)
    '−0.010 [−0.030, +0.010]'
    """
    sign = "+" if signed else ""
    text = f"{found.value:{sign}.{places}f}"
    if np.isfinite(found.low) and np.isfinite(found.high) and found.low < found.high:
        text += f" [{found.low:{sign}.{places}f}, {found.high:{sign}.{places}f}]"
    return text.replace("-", "−")


def show_p(value: float) -> str:
    """Write a p-value.

    >>> show_p(0.0004), show_p(0.0312), show_p(float("nan"))
    ('< 0.001', '0.031', 'undefined')
    """
    if not np.isfinite(value):
        return "undefined"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def plain(story: Story) -> dict[str, Any]:
    """Return the story's numbers as plain JSON values; nan becomes None."""
    measured = story.measured
    return {
        "paper": "lung_crop",
        "mode": story.plan.mode,
        "scale": story.plan.scale,
        "substitute_schedule": story.chosen.substitute,
        "settings": {name: _json(value) for name, value in vars(story.chosen).items()},
        "data": {
            "available_images": story.divided.available,
            "images": story.divided.counts(),
            "patients": story.divided.patients(),
            "official_test": story.divided.official_test,
            "patients_in_train_and_validation": story.divided.shared_patients,
        },
        "runs": [_run(run, story) for run in story.runs],
        "values": {
            arm: {name: _estimate(item) for name, item in values.items()}
            for arm, values in measured.values.items()
        },
        "by_seed": {
            arm: {name: [_json(value) for value in values] for name, values in found.items()}
            for arm, found in measured.by_seed.items()
        },
        "differences": {
            item.name: {**_estimate(item.estimate), "p_value": _json(item.p_value)}
            for item in measured.differences
        },
        "mcnemar_p": list(measured.mcnemar),
        "clustered_p": list(measured.clustered),
        "empty_maps": {arm: list(pair) for arm, pair in story.empty_maps.items()},
        "commands": list(story.commands),
        "versions": dict(story.versions),
    }


def _run(run: ArmRun, story: Story) -> dict[str, Any]:
    reading = story.reading(run.arm)
    return {
        "arm": run.arm,
        "seed": run.seed,
        "folder": run.folder,
        "best_epoch": run.best_epoch,
        "trainable": run.trainable,
        "frozen": run.frozen,
        "seconds": _json(run.seconds),
        "threshold": _json(reading.thresholds[run.seed]),
        "history": {
            quantity: {part: [_json(value) for value in values] for part, values in parts.items()}
            for quantity, parts in run.history.items()
        },
    }


def _estimate(found: Estimate) -> dict[str, Any]:
    alike = found.low == found.high
    low, high = (float("nan"),) * 2 if alike else (found.low, found.high)
    return {"value": _json(found.value), "low": _json(low), "high": _json(high)}


def _json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
