"""The trials of a search: what they share, which comes next, and how one is trained.

Trials share decoded pixels, and what frozen beginnings make of the images; a trial whose recipe
trains the same as an earlier one is not trained again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lucidray.datasets.table import ImageTable
from lucidray.errors import ModelError
from lucidray.training.fit import prepare, train
from lucidray.training.monitor import rises
from lucidray.training.pixels import Progress
from lucidray.training.recipe import Recipe
from lucidray.training.run import Run
from lucidray.training.search_record import Found, Trial, same_training
from lucidray.training.search_space import Search, resolve
from lucidray.training.search_strategies import Tried, strategies
from lucidray.training.task import Task


@dataclass(frozen=True)
class Given:
    """What all trials have in common.

    Args:
        base: The recipe's own values.
        data: The data set's folder, or its table.
        folder: The search's.
        cache: Folder of decoded pixels; None: the user's cache folder.
        reading: Told of images decoded.
        tasks: What was made of the data, by ``[data]``, ``[image]`` and kind of task.
    """

    base: Mapping[str, Any]
    data: str | Path | ImageTable
    folder: Path
    cache: Path | None
    reading: Progress | None
    tasks: dict[tuple[str, str, str], Task] = field(default_factory=dict)

    @property
    def features(self) -> Path:
        """Folder of what frozen beginnings make."""
        return self.folder / "features"

    def task(self, recipe: Recipe) -> Task:
        """Prepare the data of a recipe, once for all that read it alike."""
        model = recipe.model
        key = (repr(recipe.data), repr(recipe.image), f"{model.detector} {bool(model.decoder)}")
        if key not in self.tasks:
            self.tasks[key] = prepare(recipe, self.data, cache=self.cache, progress=self.reading)
        return self.tasks[key]


def wants_more(plan: Search, number: int, trials: Sequence[Trial]) -> bool:
    """Tell whether a trial is to be looked at: it was made already, or there is budget for it.

    Args:
        plan: What is searched.
        number: Of the trial.
        trials: Those that were proposed so far.
    """
    if number >= plan.budget:
        return False
    spent = sum(trial.seconds for trial in trials)
    done = number < len(trials) and trials[number].status != "running"
    return done or plan.minutes is None or spent < 60 * plan.minutes


def propose(given: Given, found: Found, earlier: Sequence[Trial]) -> Trial:
    """Return the trial that comes next.

    Args:
        given: What all trials have in common.
        found: Says what is searched, and by what trials are ranked.
        earlier: Those before it; one that has not ended counts as one that failed.
    """
    plan = found.search
    tried = [Tried(trial.settings, trial.value) for trial in earlier]
    settings = dict(strategies[plan.strategy](plan, tried, rises(found.metric)))
    key = same_training(resolve(given.base, settings), given.folder)
    twin = next((t.number for t in earlier if t.key == key and t.same_as is None), None)
    number = len(earlier)
    return Trial(number, settings, key, folder=f"trials/{number:03d}", same_as=twin)


def settled(trial: Trial, trials: Sequence[Trial]) -> Trial:
    """Return a trial with what came of the one that it equals; itself where it equals none."""
    if trial.same_as is None:
        return trial
    twin = trials[trial.same_as]
    return replace(
        twin, number=trial.number, settings=trial.settings, same_as=twin.number, seconds=0.0
    )


def train_trial(given: Given, trial: Trial, metric: str, progress: Progress | None = None) -> Trial:
    """Train a trial, from wherever it was stopped, and return it with what came of it.

    Args:
        given: What all trials have in common.
        trial: The trial; it equals no earlier one.
        metric: What ranks it.
        progress: Called with training steps done and in all.

    Returns:
        The trial; failed where its training diverged.
    """
    recipe = resolve(given.base, trial.settings)
    folder = given.folder / trial.folder
    try:
        run = train(
            recipe, given.task(recipe), folder,
            resume=(folder / "run.json").is_file(), cache=given.cache, features=given.features,
            progress=progress, reading=given.reading,
        )  # fmt: skip
    except ModelError as error:
        return replace(trial, status="failed", reason=str(error))
    return judged(trial, run, metric)


def judged(trial: Trial, run: Run, metric: str) -> Trial:
    """Return a trial with what its run came to: the mean over the run's members.

    Args:
        trial: The trial.
        run: Its finished run.
        metric: What ranks it.
    """
    members = run.facts["members"]
    value = math.fsum(float(member[metric]) for member in members) / len(members)
    epochs = max(int(member["epoch"]) for member in members) + 1
    return replace(
        trial, status="finished", value=value, epoch=epochs, seconds=float(run.facts["seconds"])
    )
