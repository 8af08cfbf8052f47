"""The experiment itself: both data sets, both phases, all seeds; measured and told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lucidray.errors import ConfigError
from lucidray.papers.cam_roi.fitting import Fitted
from lucidray.papers.cam_roi.material import Material, find_sets, prepare
from lucidray.papers.cam_roi.measure import Measured, measure
from lucidray.papers.cam_roi.page import build, printable
from lucidray.papers.cam_roi.phases import Arm, Explained, Place, Tell, run_phases
from lucidray.papers.cam_roi.pictures import examples
from lucidray.papers.cam_roi.protocol import Settings, settings
from lucidray.papers.cam_roi.story import Chapter, Story, plain
from lucidray.papers.catalog import Outcome, Plan, Progress
from lucidray.papers.spreading import each
from lucidray.records import Bool
from lucidray.report import write_report
from lucidray.report.provenance import versions
from lucidray.training.weights import write_text


def run_cam_roi(plan: Plan, progress: Progress | None = None) -> Outcome:
    """Run the experiment and write its page and numbers.

    Args:
        plan: What is asked for.
        progress: Told how far the whole thing is.

    Raises:
        ConfigError: A weights file is given; the six networks need six.
        WeightsError: Scale full, and ImageNet's weights cannot be reached.
        DataError: Neither data set is in the folder.
    """
    if plan.weights is not None:
        raise ConfigError(
            f"weights is {plan.weights.name}, but cam_roi has six backbones and one file fits one. "
            "Leave it out: scale full takes ImageNet's weights through timm, from its cache or "
            "the network; small and smoke start at random, and say so."
        )
    chosen = settings(plan.mode, plan.scale)
    found = find_sets(plan.data)
    parts = len(found) * (plan.seeds + 1)
    materials = [
        prepare(name, root, chosen, _counted(_part(progress, number, parts, f"{name}: "), "images"))
        for number, (name, root) in enumerate(found.items())
    ]
    calls: list[tuple[Place]] = []
    tells: list[Tell] = []
    for material in materials:
        for seed in range(plan.seeds):
            place = Place(material, chosen, seed, plan.out / "runs" / material.name, plan.resume)
            part, where = len(found) + len(calls), f"{material.name}, seed {seed}: "
            calls.append((place,))
            tells.append(_part(progress, part, parts, where))
    done = iter(each(plan, _phases, calls, tells))
    chapters = [
        _chapter(chosen, material, [next(done) for _ in range(plan.seeds)])
        for material in materials
    ]
    commands = (
        f"lucidray paper run cam_roi --data {plan.data} --out {plan.out} --mode {plan.mode} "
        f"--scale {plan.scale} --seeds {plan.seeds}",
    )
    story = Story(plan, chosen, tuple(chapters), commands, versions())
    report = write_report(build(story), plan.out / "report.html")
    numbers = {**plain(story), "tables": printable(story)}
    results = plan.out / "results.json"
    write_text(results, json.dumps(numbers, indent=2, allow_nan=False) + "\n")
    return Outcome(report, results, numbers)


def _part(progress: Progress | None, part: int, parts: int, where: str) -> Tell:
    """Lay the progress of the parts end to end, a thousand steps each."""

    def tell(done: int, total: int, what: str = "") -> None:
        if progress is not None:
            progress(1000 * part + round(1000 * done / max(total, 1)), 1000 * parts, where + what)

    return tell


def _counted(tell: Tell, what: str) -> Callable[[int, int], None]:
    return lambda done, total: tell(done, total, what)


Phases = tuple[dict[Arm, Fitted], Explained]


def _phases(plan: Plan, place: Place, tell: Tell) -> Phases:
    return run_phases(replace(place, resume=plan.resume), tell)


def _chapter(chosen: Settings, material: Material, done: list[Phases]) -> Chapter:
    runs, explained = [found for found, _ in done], [maps for _, maps in done]
    clean = material.clean()
    return Chapter(
        material,
        tuple(runs),
        tuple(explained),
        _measure(material, chosen, runs, np.ones(len(clean), bool)),
        _measure(material, chosen, runs, clean),
        examples(material, chosen, explained[0].maps),
    )


def _measure(
    material: Material, chosen: Settings, runs: list[dict[Arm, Fitted]], kept: Bool
) -> Measured:
    rows = material.rows("test")[kept]
    logits = {arm: np.stack([run[arm].logits[rows] for run in runs]) for arm in runs[0]}
    return measure(
        material.labels[rows],
        material.groups[rows],
        logits,
        material.classes,
        n_boot=chosen.replicates,
    )
