"""The experiment itself: every network trained, read, explained, measured and told."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from lucidray.papers.arm_run import ArmRun, Steps, tell_run
from lucidray.papers.cam_depth.comparing import compare
from lucidray.papers.cam_depth.explaining import choose_cases, explain_images, make_panels
from lucidray.papers.cam_depth.images import (
    FINDING,
    Divided,
    divide,
    masks_on_input,
    mean_mask,
    positives,
)
from lucidray.papers.cam_depth.locating import Located, Maps, locate, measure_maps
from lucidray.papers.cam_depth.page import build, printable
from lucidray.papers.cam_depth.protocol import Settings, settings
from lucidray.papers.cam_depth.published import Network
from lucidray.papers.cam_depth.recipes import build_recipe, weights_of
from lucidray.papers.cam_depth.story import Story, plain
from lucidray.papers.catalog import Outcome, Plan, Progress
from lucidray.papers.diagnosing import Reading, diagnose
from lucidray.papers.spreading import each
from lucidray.records import Bool, Float64
from lucidray.report import Panels, write_report
from lucidray.report.provenance import versions
from lucidray.training import Recipe, Run, predict, train
from lucidray.training.fit import patients
from lucidray.training.weights import write_text


@dataclass(frozen=True)
class Trained:
    """One run with what it says.

    Args:
        run: The finished run.
        told: How training went.
        test: float64 ``(N,)`` logits of the test images.
    """

    run: Run
    told: ArmRun
    test: Float64


def run_cam_depth(plan: Plan, progress: Progress | None = None) -> Outcome:
    """Run the experiment and write its page and numbers.

    Args:
        plan: What is asked for.
        progress: Told how far the whole thing is.
    """
    chosen = settings(plan.mode, plan.scale, pretrained=plan.weights is not None)
    weights = weights_of(chosen, plan.weights)
    jobs = [(network, seed) for network in chosen.networks for seed in range(plan.seeds)]
    steps = Steps(progress, len(jobs) + 2)
    divided = divide(plan.data, plan.out, chosen, progress=steps.within(0, "images"))
    calls = [
        (build_recipe(network, seed, chosen, weights[network.name]), divided, network, seed)
        for network, seed in jobs
    ]
    tells = [steps.within(index, network.title) for index, (network, _) in enumerate(jobs, start=1)]
    names = [(network.name, seed) for network, seed in jobs]
    trained = dict(zip(names, each(plan, _train, calls, tells), strict=True))
    last = steps.within(len(jobs) + 1, "explaining")
    story = _tell(plan, chosen, divided, trained, last)
    report = write_report(build(story), plan.out / "report.html")
    numbers = {**plain(story), "tables": printable(story)}
    results = plan.out / "results.json"
    write_text(results, json.dumps(numbers, indent=2, allow_nan=False) + "\n")
    last(1, 1)
    return Outcome(report, results, numbers)


def _train(
    plan: Plan,
    recipe: Recipe,
    divided: Divided,
    network: Network,
    seed: int,
    progress: Callable[[int, int], None],
) -> Trained:
    folder = plan.out / "runs" / network.name / f"seed_{seed}"
    cache = plan.out / "pixels"
    run = train(recipe, divided.table, folder, resume=plan.resume, cache=cache, progress=progress)
    test = predict(run, divided.table.split("test"), cache=cache).logits[:, 0]
    told = tell_run(run, network.name, seed, folder.relative_to(plan.out).as_posix())
    return Trained(run, told, test.astype(np.float64))


def _tell(
    plan: Plan,
    chosen: Settings,
    divided: Divided,
    trained: Mapping[tuple[str, int], Trained],
    progress: Callable[[int, int], None],
) -> Story:
    test, shown = divided.table.split("test"), positives(divided.table)
    labels, keys = test.labels()[:, 0].astype(np.float64), np.array(patients(test))
    readings = tuple(_reading(network.name, trained, plan.seeds) for network in chosen.networks)
    masks = list(masks_on_input(shown, chosen.size))
    owners, prior = np.array(patients(shown)), mean_mask(divided.table, chosen.size)
    maps: dict[str, list[Maps]] = {}
    for done, ((name, _), item) in enumerate(trained.items()):
        progress(done, len(trained) + 1)
        found = explain_images(item.run, shown)
        maps.setdefault(name, []).append(measure_maps(found, masks, prior, chosen))
    located = locate(maps, masks, owners, n_boot=chosen.replicates)
    return Story(
        plan,
        chosen,
        divided,
        tuple(item.told for item in trained.values()),
        labels,
        keys,
        readings,
        diagnose(labels, keys, readings, n_boot=chosen.replicates),
        located,
        compare(located.differences_of(), owners, located.differences),
        _panels(chosen, divided, masks, trained, readings, located),
        _commands(plan),
        versions(),
    )


def _reading(name: str, trained: Mapping[tuple[str, int], Trained], seeds: int) -> Reading:
    mine = [trained[name, seed] for seed in range(seeds)]
    points = tuple(float(item.run.operating_points[FINDING]) for item in mine)
    return Reading(name, np.stack([expit(item.test) for item in mine]), points)


def _panels(
    chosen: Settings,
    divided: Divided,
    masks: list[Bool],
    trained: Mapping[tuple[str, int], Trained],
    readings: tuple[Reading, ...],
    located: Located,
) -> Panels:
    test = divided.table.split("test")
    ill = np.flatnonzero(test.labels()[:, 0] == 1)
    differences = located.differences_of()
    cases = choose_cases(list(differences.values()), chosen.panels)
    facts = [
        [
            (network.title, f"says {reading.probabilities[0, ill[case]]:.2f}, difference "
             f"{differences[network.name][case]:+.2f}".replace("-", "−"))
            for network, reading in zip(chosen.networks, readings, strict=True)
        ]
        for case in cases
    ]  # fmt: skip
    runs = [(network, trained[network.name, 0].run) for network in chosen.networks]
    return make_panels(cases, positives(divided.table), masks, runs, facts)


def _commands(plan: Plan) -> tuple[str, ...]:
    weights = f" --weights {plan.weights}" if plan.weights else ""
    return (
        f"lucidray paper run cam_depth --data {plan.data} --out {plan.out} --mode {plan.mode} "
        f"--scale {plan.scale} --seeds {plan.seeds}{weights}",
    )
