"""The experiment itself: every network trained, asked, measured and told."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from lucidray.papers.arm_run import Steps
from lucidray.papers.catalog import Outcome, Plan, Progress
from lucidray.papers.gaze_cooperative.exporting import SPENT, export_cooperative
from lucidray.papers.gaze_cooperative.films import SPLITS, Divided, divide
from lucidray.papers.gaze_cooperative.measure import Looked, Measured, measure
from lucidray.papers.gaze_cooperative.page import build, printable
from lucidray.papers.gaze_cooperative.pictures import make_panels
from lucidray.papers.gaze_cooperative.protocol import Settings, settings
from lucidray.papers.gaze_cooperative.published import ARMS, FINDINGS, GRAD_CAM, JUDGES, LOOKERS
from lucidray.papers.gaze_cooperative.stages import Films, Ground, Tell, prepare
from lucidray.papers.gaze_cooperative.story import Story, plain
from lucidray.papers.gaze_cooperative.training import PARTS, Seed, train_apart, train_seed
from lucidray.report import write_report
from lucidray.report.provenance import versions
from lucidray.training.fit import patients
from lucidray.training.weights import write_text


def run_gaze_cooperative(plan: Plan, progress: Progress | None = None) -> Outcome:
    """Run the experiment and write its page and numbers.

    Args:
        plan: What is asked for.
        progress: Told how far the whole thing is.

    Raises:
        ConfigError: Weights are given, but not of both backbones.
        DataError: The eye-gaze tables are there without films, or a finding has too few.
        RunError: The folder holds trainings of other settings.
    """
    chosen = settings(plan.mode, plan.scale, pretrained=plan.weights is not None)
    story = tell(plan, chosen, train_and_measure(plan, chosen, progress))
    report = write_report(build(story), plan.out / "report.html")
    numbers = {**plain(story), "tables": printable(story)}
    results = plan.out / "results.json"
    write_text(results, json.dumps(numbers, indent=2, allow_nan=False) + "\n")
    return Outcome(report, results, numbers)


def tell(plan: Plan, chosen: Settings, done: Done) -> Story:
    """Put everything that was found into one value, pictures and bundle included."""
    test, first = done.ground.parts["test"], done.seeds[0]
    bundle = ""
    if chosen.careful:
        args = (first.network, done.ground, done.divided, done.measured)
        bundle = export_cooperative(*args, seed=0).name
    runs = [(seed.triplets, *(seed.saw[arm.name].told for arm in ARMS)) for seed in done.seeds]
    return Story(
        plan,
        chosen,
        done.divided,
        tuple(run for several in runs for run in several),
        done.measured,
        len(set(patients(test.table))),
        make_panels(test, first, done.measured, chosen.panels),
        bundle,
        "" if bundle else SPENT,
        _commands(plan),
        versions(),
    )


def _commands(plan: Plan) -> tuple[str, ...]:
    weights = f" --weights {plan.weights}" if plan.weights else ""
    return (
        f"lucidray paper run gaze_cooperative --data {plan.data} --out {plan.out} "
        f"--mode {plan.mode} --scale {plan.scale} --seeds {plan.seeds}{weights}",
    )


@dataclass(frozen=True)
class Done:
    """All that was trained and measured.

    Args:
        divided: The films.
        ground: The films decoded, with gaze.
        seeds: What each seed's networks make of the test films.
        measured: The numbers.
    """

    divided: Divided
    ground: Ground
    seeds: tuple[Seed, ...]
    measured: Measured


def train_and_measure(plan: Plan, chosen: Settings, progress: Progress | None = None) -> Done:
    """Run every training and every measurement; those that lie in the folder are taken up.

    Args:
        plan: What is asked for.
        chosen: Every number of the protocol.
        progress: Told how far the whole thing is.
    """
    steps = Steps(progress, 2 + plan.seeds * len(PARTS))
    divided = divide(plan.data, plan.out, chosen, progress=steps.within(0, "films"))
    ground = Ground(chosen, _parts(divided, chosen, plan), plan.out)
    if plan.cluster:
        train_apart(plan, divided, ground, steps)
    seeds = []
    for seed in range(plan.seeds):

        def tell(number: int, name: str, seed: int = seed) -> Tell:
            return steps.within(1 + seed * len(PARTS) + number, name)

        seeds.append(train_seed(plan, divided, ground, seed, tell))
    last = steps.within(1 + plan.seeds * len(PARTS), "measuring")
    measured = _measure(ground, tuple(seeds), chosen)
    last(1, 1)
    return Done(divided, ground, tuple(seeds), measured)


def _parts(divided: Divided, chosen: Settings, plan: Plan) -> dict[str, Films]:
    table, cache = divided.table, plan.out / "pixels"
    splits = SPLITS if (table.rows["split"] == "validation").any() else ("train", "test")
    parts = prepare(table, chosen, cache, splits)
    return {"validation": parts["test"]} | parts


def _measure(ground: Ground, seeds: tuple[Seed, ...], chosen: Settings) -> Measured:
    test, train = ground.parts["test"], ground.parts["train"]
    prior = train.levels[:, 0].astype(np.float64)
    prior /= prior.sum((1, 2), keepdims=True)
    looked = Looked(test.places, test.seconds, chosen.sigma_share * chosen.size, prior.mean(0))
    return measure(
        test.table.labels(FINDINGS),
        np.array(patients(test.table)),
        {arm: [seed.saw[arm].logits for seed in seeds] for arm in JUDGES},
        {arm: [seed.saw[arm].gaze for seed in seeds] for arm in (*LOOKERS, GRAD_CAM)},
        looked,
        n_boot=chosen.replicates,
    )
