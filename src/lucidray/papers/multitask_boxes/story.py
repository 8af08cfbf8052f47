"""All that the page and the results file tell, in one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lucidray.papers.arm_run import ArmRun
from lucidray.papers.catalog import Plan
from lucidray.papers.multitask_boxes.images import Divided
from lucidray.papers.multitask_boxes.locating import Located
from lucidray.papers.multitask_boxes.measuring import COHORTS, Reading, Told
from lucidray.papers.multitask_boxes.protocol import Settings
from lucidray.papers.multitask_boxes.published import BY_BOTH, BY_BOXES, MULTI, TWIN
from lucidray.papers.wording import plain_estimate, plain_value
from lucidray.records import Float32, Measurement
from lucidray.report import Panels


@dataclass(frozen=True)
class Story:
    """Everything that an experiment found.

    Args:
        plan: What was asked for.
        chosen: Every number of the protocol.
        divided: The images and their splits.
        runs: All trainings.
        labels: float32 ``(T, F)`` of the test images.
        readings: What the arms say of them.
        told: Cohort → how well they tell findings.
        leak: The same for test images learned from and not; empty where there is no leak.
        detected: Cohort → finding (or ``"macro"``) → average precision of boxes.
        located: How well Grad-CAM boxes and found boxes lie.
        panels: Films with true and found boxes.
        commands: Command lines that make this page again.
        versions: Of the software.
    """

    plan: Plan
    chosen: Settings
    divided: Divided
    runs: tuple[ArmRun, ...]
    labels: Float32
    readings: tuple[Reading, ...]
    told: Mapping[str, Told]
    leak: Mapping[str, Told]
    detected: Mapping[str, Mapping[str, Mapping[str, Measurement]]]
    located: Located
    panels: Panels
    commands: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms, in the order of the tables."""
        return tuple(reading.arm for reading in self.readings)

    @property
    def main(self) -> Told:
        """The cohort that the summary speaks of: all films, or those that were learned from."""
        return self.told[COHORTS[1] if self.chosen.positives_only else COHORTS[0]]

    @property
    def main_cohort(self) -> str:
        """Its name."""
        return COHORTS[1] if self.chosen.positives_only else COHORTS[0]

    def title(self, arm: str) -> str:
        """Return what a reader sees of an arm."""
        titles = {network.name: network.title for network in self.chosen.networks}
        own = {
            MULTI: "Multi-task",
            TWIN: "Twin (λ = 0)",
            BY_BOXES: "Multi-task, by its boxes",
            BY_BOTH: "Multi-task, by both",
        }
        return {**own, **titles}[arm]


def plain(story: Story) -> dict[str, Any]:
    """Return the story's numbers as plain JSON values; nan becomes None."""
    return {
        "paper": "multitask_boxes",
        "mode": story.plan.mode,
        "scale": story.plan.scale,
        "phantoms": story.divided.phantoms,
        "official_test": story.divided.official,
        "substitute_schedule": story.chosen.substitute,
        "settings": plain_value(asdict(story.chosen)),
        "findings": list(story.divided.findings),
        "data": {
            "images": {name: dict(counts) for name, counts in story.divided.counts().items()},
            "test_images_learned_from": int(story.divided.learned.sum()),
            "folds": len(story.divided.folds),
        },
        "runs": [_run(run) for run in story.runs],
        "cohorts": {name: _told(told) for name, told in story.told.items()},
        "leak": {name: _told(told) for name, told in story.leak.items()},
        "detection": {
            cohort: {
                finding: {name: _measurement(value) for name, value in measures.items()}
                for finding, measures in found.items()
            }
            for cohort, found in story.detected.items()
        },
        "localization": {
            "cases": story.located.cases,
            "without_box": dict(story.located.empty),
            "values": _located(story.located),
        },
        "commands": list(story.commands),
        "versions": dict(story.versions),
    }


def _told(told: Told) -> dict[str, Any]:
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for (arm, finding, name), item in told.values.items():
        found.setdefault(arm, {}).setdefault(finding, {})[name] = plain_estimate(item)
    return {
        "images": told.images,
        "positives": dict(told.positives),
        "arms": found,
        "gain": {name: plain_estimate(item) for name, item in told.gain.items()},
        "gain_p": plain_value(dict(told.p_values)),
        "rates": plain_value({arm: dict(rates) for arm, rates in told.rates.items()}),
    }


def _located(located: Located) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    for (whose, name), item in located.values.items():
        found.setdefault(whose, {})[name] = plain_estimate(item)
    return found


def _measurement(value: Measurement) -> dict[str, Any]:
    return {
        "value": plain_value(value.value),
        "low": plain_value(value.low),
        "high": plain_value(value.high),
    }


def _run(run: ArmRun) -> dict[str, Any]:
    return {
        "arm": run.arm,
        "seed": run.seed,
        "folder": run.folder,
        "best_epoch": run.best_epoch,
        "parameters": run.trainable + run.frozen,
        "seconds": plain_value(run.seconds),
    }
