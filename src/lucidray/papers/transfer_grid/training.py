"""Every training of the experiment: the source, the arms tuned by hand, the grid, the search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit

from lucidray.datasets.table import ImageTable
from lucidray.papers.arm_run import ArmRun, Steps, tell_run
from lucidray.papers.catalog import Plan
from lucidray.papers.diagnosing import Reading
from lucidray.papers.pretrained import find_weights
from lucidray.papers.spreading import each
from lucidray.papers.transfer_grid.material import FINDING, Divided, write_source
from lucidray.papers.transfer_grid.protocol import Settings
from lucidray.papers.transfer_grid.published import (
    B0_GRID,
    B0_MANUAL,
    CNN,
    CNN_SEARCHED,
    DENSENET121,
    RESNET18,
)
from lucidray.papers.transfer_grid.recipes import (
    build_cnn_search,
    build_grid,
    build_recipe,
    build_source,
)
from lucidray.papers.transfer_grid.searched import Searched, combine
from lucidray.training import Recipe, Run, predict, run_search, train

MANUAL = (CNN, RESNET18, DENSENET121, B0_MANUAL)


@dataclass(frozen=True)
class Pretrained:
    """What a network brings along.

    Args:
        role: Which network.
        weights: Its file, or ``"none"``.
        auc: Mean AUC over the findings of held-out phantoms; nan where weights were given.
        seconds: How long pretraining took.
    """

    role: str
    weights: str
    auc: float = float("nan")
    seconds: float = 0.0


@dataclass(frozen=True)
class Trained:
    """Everything that was trained.

    Args:
        sources: What each network brings along.
        runs: Arm → one run a seed.
        told: How the training of every run of the arms went.
        grid: The sixteen settings.
        cnn: The settings of the small network; None where it is not searched.
        readings: What the arms say of the test images.
    """

    sources: tuple[Pretrained, ...]
    runs: Mapping[str, tuple[Run, ...]]
    told: tuple[ArmRun, ...]
    grid: Searched
    cnn: Searched | None
    readings: tuple[Reading, ...]

    def run(self, arm: str) -> Run:
        """Return an arm's first run."""
        return self.runs[arm][0]


def count_steps(plan: Plan, chosen: Settings) -> int:
    """Return how many parts `train_all` reports."""
    sources = 0 if chosen.source is None else len(set(chosen.backbones.values())) + 1
    return sources + plan.seeds * (len(MANUAL) + 1 + chosen.search_cnn)


@dataclass
class _Parts:
    """Hands out the parts of the progress one after the other."""

    steps: Steps
    at: int

    def next(self, text: str) -> Callable[[int, int], None]:
        self.at += 1
        return self.steps.within(self.at - 1, text)


def train_all(plan: Plan, chosen: Settings, divided: Divided, steps: Steps, first: int) -> Trained:
    """Train everything, or take up what is there.

    Args:
        plan: What is asked for.
        chosen: Every number of the protocol.
        divided: The images.
        steps: Told how far it is.
        first: The number of its first part.
    """
    parts = _Parts(steps, first)
    sources = _sources(plan, chosen, parts)
    weights = {source.role: source.weights for source in sources}
    runs: dict[str, list[Run]] = {}
    jobs = [(seed, arm) for seed in range(plan.seeds) for arm in MANUAL]
    calls = [
        (
            build_recipe(arm.name, seed, chosen, weights.get(arm.name, "none")),
            divided.table,
            plan.out / "runs" / arm.name / f"seed_{seed}",
        )
        for seed, arm in jobs
    ]
    made = each(plan, _train, calls, [parts.next(arm.title) for _, arm in jobs])
    for (_, arm), run in zip(jobs, made, strict=True):
        runs.setdefault(arm.name, []).append(run)
    grid = _grid(plan, chosen, divided, weights[B0_MANUAL.name], parts)
    runs[B0_GRID.name] = list(grid.winners)
    cnn = _cnn(plan, chosen, divided, parts) if chosen.search_cnn else None
    if cnn is not None:
        runs[CNN_SEARCHED.name] = list(cnn.winners)
    told = [
        tell_run(run, arm, seed, run.folder.relative_to(plan.out).as_posix())
        for arm, own in runs.items()
        for seed, run in enumerate(own)
    ]
    readings = tuple(_reading(plan, divided, arm, own) for arm, own in runs.items())
    frozen = {arm: tuple(own) for arm, own in runs.items()}
    return Trained(sources, frozen, tuple(told), grid, cnn, readings)


def _train(
    plan: Plan,
    recipe: Recipe,
    data: ImageTable | Path,
    folder: Path,
    progress: Callable[[int, int], None],
) -> Run:
    cache = cache_of(plan)
    return train(recipe, data, folder, resume=plan.resume, cache=cache, progress=progress)


def cache_of(plan: Plan) -> Path:
    """Return the folder of decoded pixels."""
    return plan.out / "pixels"


def _sources(plan: Plan, chosen: Settings, parts: _Parts) -> tuple[Pretrained, ...]:
    if chosen.source is None:
        found = find_weights(chosen.backbones, plan.weights)
        return tuple(Pretrained(role, path) for role, path in found.items())
    phantoms = write_source(plan.out / "source", chosen.source, parts.next("source phantoms"))
    names = list(dict.fromkeys(chosen.backbones.values()))
    roles = {name: next(r for r, own in chosen.backbones.items() if own == name) for name in names}
    calls = [
        (
            build_source(name, chosen.source, chosen.size),
            phantoms,
            plan.out / "runs" / "source" / name,
        )
        for name in names
    ]
    runs = each(plan, _train, calls, [parts.next(f"source: {roles[name]}") for name in names])
    made = {
        name: Pretrained(
            roles[name],
            str(run.weights[0]),
            float(run.facts["members"][0]["val_auc"]),
            float(run.facts["seconds"]),
        )
        for name, run in zip(names, runs, strict=True)
    }
    return tuple(
        Pretrained(role, made[name].weights, made[name].auc, made[name].seconds)
        for role, name in chosen.backbones.items()
    )


def _grid(plan: Plan, chosen: Settings, divided: Divided, weights: str, parts: _Parts) -> Searched:
    return combine(
        [
            run_search(
                *build_grid(seed, chosen, weights), divided.table,
                plan.out / "runs" / "grid" / f"seed_{seed}",
                resume=plan.resume, cluster=plan.cluster or None,
                cache=cache_of(plan), progress=parts.next("grid"),
            )
            for seed in range(plan.seeds)
        ]
    )  # fmt: skip


def _cnn(plan: Plan, chosen: Settings, divided: Divided, parts: _Parts) -> Searched:
    return combine(
        [
            run_search(
                *build_cnn_search(seed, chosen), divided.table,
                plan.out / "runs" / "cnn_search" / f"seed_{seed}",
                resume=plan.resume, cluster=plan.cluster or None,
                cache=cache_of(plan), progress=parts.next("small network"),
            )
            for seed in range(plan.seeds)
        ]
    )  # fmt: skip


def _reading(plan: Plan, divided: Divided, arm: str, runs: list[Run]) -> Reading:
    test = divided.table.split("test")
    logits = [predict(run, test, cache=cache_of(plan)).logits[:, 0] for run in runs]
    points = tuple(float(run.operating_points[FINDING]) for run in runs)
    return Reading(arm, expit(np.stack(logits).astype(np.float64)), points)
