"""The experiment itself: every network trained, asked, measured and told."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from lucidray.images.thinning import FoundBoxes
from lucidray.papers.arm_run import ArmRun, Steps, tell_run
from lucidray.papers.catalog import Outcome, Plan, Progress
from lucidray.papers.multitask_boxes import locating
from lucidray.papers.multitask_boxes.images import Divided, Fold, divide
from lucidray.papers.multitask_boxes.measuring import COHORTS, Reading, Told, measure
from lucidray.papers.multitask_boxes.page import build, printable
from lucidray.papers.multitask_boxes.pictures import make_panels
from lucidray.papers.multitask_boxes.protocol import Settings, settings
from lucidray.papers.multitask_boxes.published import BY_BOTH, BY_BOXES, MULTI, TWIN, Network
from lucidray.papers.multitask_boxes.recipes import multi_recipe, single_recipe
from lucidray.papers.multitask_boxes.story import Story, plain
from lucidray.papers.pretrained import find_weights
from lucidray.papers.spreading import each
from lucidray.records import Float64, Measurement
from lucidray.report import write_report
from lucidray.report.provenance import versions
from lucidray.training import Recipe, Run, predict, predict_boxes, train
from lucidray.training.box_evaluation import measure_found
from lucidray.training.boxes import boxes_by_image
from lucidray.training.fit import patients
from lucidray.training.pixels import CachedPixels
from lucidray.training.weights import write_text


@dataclass(frozen=True)
class Job:
    """One training.

    Args:
        arm: The arm's name.
        title: What a reader sees of it.
        seed: Of the training.
        fold: What it learns from, and whom it is asked about.
        recipe: How it learns.
    """

    arm: str
    title: str
    seed: int
    fold: Fold
    recipe: Recipe

    @property
    def place(self) -> str:
        """Its folder, relative to the experiment's."""
        return "/".join(filter(None, ("runs", self.arm, f"seed_{self.seed}", self.fold.name)))


@dataclass(frozen=True)
class Trained:
    """One run with what it says.

    Args:
        job: What it was to learn.
        run: The finished run.
        told: How training went.
        logits: float64 ``(A, F)`` of the test images that it was asked about.
    """

    job: Job
    run: Run
    told: ArmRun
    logits: Float64


def run_multitask_boxes(plan: Plan, progress: Progress | None = None) -> Outcome:
    """Run the experiment and write its page and numbers.

    Args:
        plan: What is asked for.
        progress: Told how far the whole thing is.
    """
    chosen = settings(plan.mode, plan.scale, pretrained=plan.weights is not None)
    first = Steps(progress, 1).within(0, "images")
    divided = divide(plan.data, plan.out, chosen, progress=first)
    jobs = make_jobs(plan, chosen, divided)
    steps = Steps(progress, len(jobs) + 2)
    tells = [steps.within(index, job.title) for index, job in enumerate(jobs, start=1)]
    trained = each(plan, _train, [(job, divided) for job in jobs], tells)
    last = steps.within(len(jobs) + 1, "measuring")
    story = _tell(plan, chosen, divided, trained, last)
    report = write_report(build(story), plan.out / "report.html")
    numbers = {**plain(story), "tables": printable(story)}
    results = plan.out / "results.json"
    write_text(results, json.dumps(numbers, indent=2, allow_nan=False) + "\n")
    last(1, 1)
    return Outcome(report, results, numbers)


def make_jobs(plan: Plan, chosen: Settings, divided: Divided) -> list[Job]:
    """List all trainings: the multi-task network, its twin, then the single-task networks."""
    names = dict.fromkeys((*(network.name for network in chosen.networks), chosen.backbone))
    weights = find_weights(names, None if chosen.substitute else plan.weights)
    known, shared = divided.findings, weights[chosen.backbone]
    jobs = []
    for seed in range(plan.seeds):
        for arm, title, part in ((MULTI, "Multi-task", chosen.detection), (TWIN, "Twin", 0.0)):
            recipe = multi_recipe(seed, known, chosen, shared, detection=part)
            jobs += [Job(arm, title, seed, fold, recipe) for fold in divided.folds]
        for network in chosen.networks:
            recipe = single_recipe(network, seed, known, chosen, weights[network.name])
            jobs.append(Job(network.name, network.title, seed, divided.plain, recipe))
    return jobs


def _train(plan: Plan, job: Job, divided: Divided, progress: Callable[[int, int], None]) -> Trained:
    folder, cache = plan.out / job.place, plan.out / "pixels"
    run = train(
        job.recipe, job.fold.table, folder, resume=plan.resume, cache=cache, progress=progress
    )
    asked = divided.test.where(job.fold.asked)
    logits = predict(run, asked, cache=cache).logits.astype(np.float64)
    return Trained(job, run, tell_run(run, job.arm, job.seed, job.place), logits)


def _tell(
    plan: Plan,
    chosen: Settings,
    divided: Divided,
    trained: list[Trained],
    progress: Callable[[int, int], None],
) -> Story:
    test = divided.test
    labels, keys = test.labels(divided.findings), patients(test)
    seeds = [_found(plan, trained, divided, seed) for seed in range(plan.seeds)]
    found = seeds[0]
    arms = tuple(_reading(arm, trained, divided) for arm in arms_of(chosen))
    by_boxes = _by_boxes(seeds, trained, divided)
    by_head = next(reading for reading in arms if reading.arm == MULTI)
    readings = (*arms, by_boxes, _by_both(by_head, by_boxes))
    told = _cohorts(chosen, divided, readings, keys)
    progress(1, 5)
    detected = _detected(chosen, divided, found)
    progress(2, 5)
    cases = locating.find_cases(
        boxes_by_image(test, divided.findings), _shapes(plan, trained, divided), keys
    )
    boxes = _boxes(chosen, divided, trained, found, cases)
    located = locating.locate(boxes, cases, n_boot=chosen.replicates)
    progress(4, 5)
    return Story(
        plan,
        chosen,
        divided,
        tuple(item.told for item in trained),
        labels,
        readings,
        told,
        _leak(divided, readings, keys, chosen),
        detected,
        located,
        make_panels(divided, cases, boxes, located, chosen.panels),
        _commands(plan),
        versions(),
    )


def arms_of(chosen: Settings) -> tuple[str, ...]:
    """Return the arms in the order of the tables."""
    return (*(network.name for network in chosen.networks), TWIN, MULTI)


def _of(arm: str, trained: list[Trained], seed: int) -> list[Trained]:
    return [item for item in trained if item.job.arm == arm and item.job.seed == seed]


def _reading(arm: str, trained: list[Trained], divided: Divided) -> Reading:
    """Join what the networks of an arm say, each about the images that it was asked about."""
    seeds = 1 + max(item.job.seed for item in trained)
    shape = (seeds, len(divided.test), len(divided.findings))
    said, points = np.full(shape, np.nan), np.full(shape, 0.5)
    for seed in range(seeds):
        for item in _of(arm, trained, seed):
            asked, own = item.job.fold.asked, item.run.operating_points
            said[seed, asked] = expit(item.logits)
            points[seed, asked] = [own.get(name, 0.5) for name in divided.findings]
    return Reading(arm, said, points)


def _cohorts(
    chosen: Settings, divided: Divided, readings: tuple[Reading, ...], keys: list[str]
) -> dict[str, Told]:
    labels = divided.test.labels(divided.findings)
    present = divided.with_finding()
    return {
        cohort: measure(
            labels,
            keys,
            divided.findings,
            readings,
            compared=(TWIN, MULTI),
            kept=kept,
            n_boot=chosen.replicates,
        )
        for cohort, kept in zip(COHORTS, (np.ones(len(labels), bool), present), strict=True)
    }


def _leak(
    divided: Divided, readings: tuple[Reading, ...], keys: list[str], chosen: Settings
) -> dict[str, Told]:
    """Measure apart the test images with a finding that were learned from and those that were not.

    Empty where none was, or all were.
    """
    present, learned = divided.with_finding(), divided.learned
    parts = {"learned from": present & learned, "not learned from": present & ~learned}
    if not all(part.any() for part in parts.values()):
        return {}
    labels = divided.test.labels(divided.findings)
    return {
        name: measure(
            labels,
            keys,
            divided.findings,
            readings,
            compared=(TWIN, MULTI),
            kept=kept,
            n_boot=chosen.replicates,
        )
        for name, kept in parts.items()
    }


def _by_boxes(seeds: list[list[FoundBoxes]], trained: list[Trained], divided: Divided) -> Reading:
    """Judge findings by their surest box alone; of a finding without one the score is 0."""
    shape = (len(seeds), len(divided.test), len(divided.findings))
    said, points = np.zeros(shape), np.full(shape, 0.5)
    for seed, found in enumerate(seeds):
        for row, image in enumerate(found):
            np.maximum.at(said[seed, row], image.findings, image.scores.astype(np.float64))
        for item in _of(MULTI, trained, seed):
            own = json.loads((item.run.folder / "box_points.json").read_text(encoding="utf-8"))
            points[seed, item.job.fold.asked] = [
                own.get(name, {}).get("threshold", 0.5) for name in divided.findings
            ]
    return Reading(BY_BOXES, said, points)


def _by_both(head: Reading, boxes: Reading) -> Reading:
    """Judge findings by the mean of what the head and the surest box say."""
    said = (head.probabilities + boxes.probabilities) / 2
    return Reading(BY_BOTH, said, (head.thresholds + boxes.thresholds) / 2)


def _found(plan: Plan, trained: list[Trained], divided: Divided, seed: int) -> list[FoundBoxes]:
    """Return the boxes that a seed's networks find in each test image."""
    found: dict[int, FoundBoxes] = {}
    for item in _of(MULTI, trained, seed):
        rows = np.flatnonzero(item.job.fold.asked)
        asked = divided.test.where(item.job.fold.asked)
        boxes = predict_boxes(item.run, asked, cache=plan.out / "pixels")
        found |= {int(row): box for row, box in zip(rows, boxes, strict=True)}
    return [found[row] for row in range(len(divided.test))]


def _shapes(plan: Plan, trained: list[Trained], divided: Divided) -> list[tuple[int, int]]:
    image = trained[0].run.recipe.image
    pixels = CachedPixels(divided.test.paths(), image, plan.out / "pixels")
    return [pixels.cache.geometry(index).source_shape for index in range(len(pixels))]


def _detected(
    chosen: Settings, divided: Divided, found: list[FoundBoxes]
) -> dict[str, Mapping[str, Mapping[str, Measurement]]]:
    """Measure boxes on images with boxes, and on both cohorts."""
    test = divided.test
    truth = boxes_by_image(test, divided.findings)
    labels, keys = test.labels(divided.findings), patients(test)
    present = divided.with_finding()
    cohorts = {
        "films with boxes": np.array([bool(len(each)) for each in truth]),
        COHORTS[1]: present,
        COHORTS[0]: np.ones(len(test), bool),
    }
    measured: dict[str, Mapping[str, Mapping[str, Measurement]]] = {}
    for name, kept in cohorts.items():
        rows = np.flatnonzero(kept)
        measured[name] = measure_found(
            divided.findings,
            labels[rows],
            [found[row] for row in rows],
            [truth[row] for row in rows],
            [keys[row] for row in rows],
            [(1, 1)] * len(rows),
            n_boot=chosen.replicates,
        )
    return measured


def _boxes(
    chosen: Settings,
    divided: Divided,
    trained: list[Trained],
    found: list[FoundBoxes],
    cases: locating.Cases,
) -> dict[str, dict[int, Float64]]:
    """Return whose boxes lie where in each case: maps of every arm, the detector, the mean box."""
    boxes: dict[str, dict[int, Float64]] = {}
    for arm in arms_of(chosen):
        own: dict[int, Float64] = {}
        for item in _of(arm, trained, 0):
            own |= locating.map_boxes_of(item.run, divided.test, cases, item.job.fold.asked)
        boxes[f"Grad-CAM, {title_of(arm, chosen.networks)}"] = own
    boxes["detector, surest box"] = locating.surest(found, cases)
    taught = divided.folds[0].table.split("train")
    boxes[locating.MEAN_BOX] = locating.mean_boxes(taught, cases, divided.findings)
    return boxes


def title_of(arm: str, networks: tuple[Network, ...]) -> str:
    """Return what a reader sees of an arm."""
    titles = {network.name: network.title for network in networks}
    return {MULTI: "multi-task", TWIN: "twin", **titles}[arm]


def _commands(plan: Plan) -> tuple[str, ...]:
    weights = f" --weights {plan.weights}" if plan.weights else ""
    return (
        f"lucidray paper run multitask_boxes --data {plan.data} --out {plan.out} --mode "
        f"{plan.mode} --scale {plan.scale} --seeds {plan.seeds}{weights}",
    )
