"""The experiment itself: all arms trained, read, measured, explained and told."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit

from lucidray.datasets import ImageTable
from lucidray.metrics import fit_platt
from lucidray.papers.arm_run import ArmRun, Steps, tell_run
from lucidray.papers.catalog import Outcome, Plan, Progress
from lucidray.papers.diagnosing import Reading
from lucidray.papers.lung_crop.masking import LungCrops, crop_to_lungs
from lucidray.papers.lung_crop.measure import measure
from lucidray.papers.lung_crop.page import build, printable
from lucidray.papers.lung_crop.pictures import look
from lucidray.papers.lung_crop.protocol import Settings, settings
from lucidray.papers.lung_crop.published import ARMS, LUNG_MASK, PUBLISHED_ARMS
from lucidray.papers.lung_crop.recipes import build_recipe
from lucidray.papers.lung_crop.shrinking import shrink_first
from lucidray.papers.lung_crop.splitting import FINDING, Divided, divide
from lucidray.papers.lung_crop.story import Story, plain
from lucidray.papers.spreading import each
from lucidray.records import Float64
from lucidray.report import write_report
from lucidray.report.provenance import versions
from lucidray.training import Run, predict, train
from lucidray.training.weights import write_text


@dataclass(frozen=True)
class Trained:
    """One run with what it says.

    Args:
        run: The finished run.
        told: How training went.
        validation: float64 ``(V,)`` logits of the validation images.
        test: float64 ``(N,)`` logits of the test images.
    """

    run: Run
    told: ArmRun
    validation: Float64
    test: Float64


def run_lung_crop(plan: Plan, progress: Progress | None = None) -> Outcome:
    """Run the experiment and write its page and numbers.

    Args:
        plan: What is asked for.
        progress: Told how far the whole thing is.
    """
    chosen = settings(plan.mode, plan.scale, pretrained=plan.weights is not None)
    arms = ARMS if chosen.mask_arm else PUBLISHED_ARMS
    jobs = [(arm.name, seed) for arm in arms for seed in range(plan.seeds)]
    steps = Steps(progress, len(jobs) + 2)
    divided, crops = _images(plan, chosen, steps.within(0, "images"))
    tables = {arm.name: divided.table for arm in arms}
    if crops is not None:
        tables[LUNG_MASK.name] = crops.table
    calls = [(chosen, tables[arm], arm, seed) for arm, seed in jobs]
    tells = [steps.within(index, arm) for index, (arm, _) in enumerate(jobs, start=1)]
    trained = dict(zip(jobs, each(plan, _train, calls, tells), strict=True))
    last = steps.within(len(jobs) + 1, "measuring")
    story = _tell(plan, chosen, divided, crops, trained)
    report = write_report(build(story), plan.out / "report.html")
    numbers = {**plain(story), "tables": printable(story)}
    results = plan.out / "results.json"
    write_text(results, json.dumps(numbers, indent=2, allow_nan=False) + "\n")
    last(1, 1)
    return Outcome(report, results, numbers)


def _images(
    plan: Plan, chosen: Settings, progress: Callable[[int, int], None]
) -> tuple[Divided, LungCrops | None]:
    divided = divide(plan.data, chosen)
    if not chosen.crop_first:
        small = plan.out / "shrunk" / str(chosen.size)
        table = shrink_first(divided.table, chosen.size, small, progress=progress)
        divided = replace(divided, table=table)
    if not chosen.mask_arm:
        return divided, None
    return divided, crop_to_lungs(divided.table, plan.out / "lungs", progress=progress)


def _train(
    plan: Plan,
    chosen: Settings,
    table: ImageTable,
    arm: str,
    seed: int,
    progress: Callable[[int, int], None],
) -> Trained:
    recipe = build_recipe(arm, seed, chosen, plan.weights)
    folder = plan.out / "runs" / arm / f"seed_{seed}"
    cache = plan.out / "pixels"
    run = train(recipe, table, folder, resume=plan.resume, cache=cache, progress=progress)
    parts = (table.split("validation"), table.split("test"))
    validation, test = (predict(run, part, cache=cache).logits[:, 0] for part in parts)
    told = tell_run(run, arm, seed, folder.relative_to(plan.out).as_posix())
    return Trained(run, told, validation.astype(np.float64), test.astype(np.float64))


def _tell(
    plan: Plan,
    chosen: Settings,
    divided: Divided,
    crops: LungCrops | None,
    trained: Mapping[tuple[str, int], Trained],
) -> Story:
    table = divided.table.split("test")
    labels = table.labels()[:, 0].astype(np.float64)
    patients = table.rows["patient"].to_numpy(dtype=str)
    arms = dict.fromkeys(arm for arm, _ in trained)
    readings = tuple(_reading(arm, trained, plan.seeds) for arm in arms)
    measured = measure(labels, patients, readings, n_boot=chosen.replicates)
    runs = {arm: trained[arm, 0].run for arm in arms}
    looked = look(runs, readings, table, chosen, crops.boxes if crops else {})
    return Story(
        plan,
        chosen,
        divided,
        tuple(item.told for item in trained.values()),
        labels,
        patients,
        table.rows["kind"].to_numpy(dtype=str),
        readings,
        _calibrated(divided, trained),
        measured,
        looked.panels,
        looked.empty_maps,
        _commands(plan),
        versions(),
    )


def _reading(arm: str, trained: Mapping[tuple[str, int], Trained], seeds: int) -> Reading:
    mine = [trained[arm, seed] for seed in range(seeds)]
    points = tuple(float(item.run.operating_points[FINDING]) for item in mine)
    return Reading(arm, np.stack([expit(item.test) for item in mine]), points)


def _calibrated(divided: Divided, trained: Mapping[tuple[str, int], Trained]) -> dict[str, Float64]:
    truth = divided.table.split("validation").labels()[:, 0]
    found: dict[str, list[Float64]] = {}
    for (arm, _), item in trained.items():
        found.setdefault(arm, []).append(fit_platt(truth, item.validation).apply(item.test))
    return {arm: np.stack(rows) for arm, rows in found.items()}


def _commands(plan: Plan) -> tuple[str, ...]:
    weights = f" --weights {plan.weights}" if plan.weights else ""
    return (
        f"lucidray paper run lung_crop --data {plan.data} --out {plan.out} --mode {plan.mode} "
        f"--scale {plan.scale} --seeds {plan.seeds}{weights}",
    )
