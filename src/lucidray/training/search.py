"""Train many recipes that differ in a few values, and rank them; what they share is done once.

Trials share decoded pixels, and what frozen beginnings make of the images; a trial whose recipe
trains the same as an earlier one is not trained again.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lucidray.datasets.table import ImageTable
from lucidray.errors import ConfigError, ModelError, RunError
from lucidray.training.fit import prepare, train
from lucidray.training.monitor import USUAL, rises
from lucidray.training.pixels import Progress
from lucidray.training.recipe import Recipe
from lucidray.training.run import Run, check_free, load_run
from lucidray.training.search_record import (
    Trial,
    count_passes,
    read_record,
    same_training,
    write_record,
)
from lucidray.training.search_space import Search, resolve
from lucidray.training.search_strategies import Tried, strategies
from lucidray.training.setting import ignore
from lucidray.training.task import Task

#: Progress of one trial is told in so many steps.
_STEPS = 1000


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Args:
        folder: Where it lies: ``trials.json``, ``ranking.csv`` and one run folder a trial.
        search: What was searched.
        metric: What ranks the trials.
        trials: All, in the order in which they were tried.
        feature_passes: How often all images were sent through a frozen beginning.
    """

    folder: Path
    search: Search
    metric: str
    trials: tuple[Trial, ...]
    feature_passes: int

    def ranked(self) -> list[Trial]:
        """Return the finished trials, best first; those that equal an earlier one left out."""
        known = [trial for trial in self.trials if trial.status == "finished"]
        unique = [trial for trial in known if trial.same_as is None]
        sign = -1.0 if rises(self.metric) else 1.0
        return sorted(unique, key=lambda trial: (sign * trial.value, trial.number))

    @property
    def best(self) -> Trial:
        """The best trial.

        Raises:
            RunError: None was trained to its end.
        """
        ranked = self.ranked()
        if not ranked:
            raise RunError(f"no trial of {self.folder} was trained to its end: {self._why()}")
        return ranked[0]

    def _why(self) -> str:
        reasons = dict.fromkeys(trial.reason for trial in self.trials if trial.reason)
        return " ".join(reasons) or "none has begun."

    def run(self, trial: Trial) -> Run:
        """Return a trial's run."""
        source = trial if trial.same_as is None else self.trials[trial.same_as]
        return load_run(self.folder / source.folder)


def run_search(
    base: Mapping[str, Any],
    plan: Search,
    data: str | Path | ImageTable,
    out: str | Path,
    *,
    resume: bool = False,
    cluster: str | None = None,
    cache: str | Path | None = None,
    progress: Progress | None = None,
    reading: Progress | None = None,
) -> Found:
    """Search for the values with which a recipe trains best.

    The folder holds ``trials.json`` (the search and every trial), ``ranking.csv``, and under
    ``trials/`` one run folder a trial, as `lucidray.training.train` leaves it. A trial whose
    training diverges is written down as failed, and the search goes on.

    Args:
        base: The recipe's own values, as a TOML file holds them.
        plan: What is varied.
        data: A data set's folder, or its table.
        out: The folder: new, empty, or with `resume` a search that was stopped.
        resume: Go on with a search that was stopped; finished trials stay, the one that was
            stopped goes on, and the result is the same as if nothing had happened. More trials or
            minutes than before may be asked for.
        cluster: Address of a Ray cluster whose workers train the trials, several at a time;
            ``"local"``: one that is started on this machine. None: this process trains all.
        cache: Folder of decoded pixels; None: the user's cache folder.
        progress: Called with thousandths of trials done and in all.
        reading: Called with images decoded, or sent through a frozen beginning, and in all.

    Returns:
        All trials. The value of the best is too good, as it was chosen by it: measure the best
        on test images.

    Raises:
        UnknownNameError: No such strategy, metric or key.
        ConfigError: A value does not fit, or the metric is not measured.
        RunError: `out` is in the way, or holds another search.
        MissingExtraError: A Bayesian search needs Optuna, a cluster Ray.
        ClusterError: There is no such cluster, or its workers keep dying.
    """
    folder = Path(out)
    strategies.entry(plan.strategy)
    metric = _check(base, plan)
    if not (resume and (folder / "trials.json").is_file()):
        check_free(folder)
    given = Given(base, data, folder, None if cache is None else Path(cache), reading)
    trials, passes = read_record(folder, base, plan) if resume else ([], 0)
    earlier = 0 if given.features.is_dir() else passes
    found = Found(folder, plan, metric, tuple(trials), passes)
    if cluster is None:
        found = _in_turn(given, found, earlier, progress)
    else:
        from lucidray.cluster import connected
        from lucidray.training.search_apart import search_apart

        with connected(cluster):
            found = search_apart(given, found, earlier, progress or ignore)
    shutil.rmtree(given.features, ignore_errors=True)
    return found


def _in_turn(given: Given, found: Found, earlier: int, progress: Progress | None) -> Found:
    """Make the trials of a search one after the other, in this process."""
    trials, budget, number = list(found.trials), found.search.budget, 0
    while wants_more(found.search, number, trials):
        if number == len(trials):
            trials.append(propose(given, found, trials))
        write_record(replace(found, trials=tuple(trials)), given.base)
        trial, tell = settled(trials[number], trials), _within(progress, number, budget)
        if trial.status == "running":
            trial = train_trial(given, trial, found.metric, tell)
        trials[number] = trial
        passes = earlier + count_passes(given.features)
        found = replace(found, trials=tuple(trials), feature_passes=passes)
        write_record(found, given.base)
        tell(1, 1)
        number += 1
    return found


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


def _check(base: Mapping[str, Any], plan: Search) -> str:
    """Refuse, before any training, what some trial could not be; return the metric."""
    if plan.strategy == "grid":
        recipes = [resolve(base, settings) for settings in plan.combinations()]
    else:
        recipes = [resolve(base, strategies["random"](plan, (), True))]
        for key, choices in plan.values.items():
            ends = choices if isinstance(choices, tuple) else (choices.at(0), choices.at(1))
            recipes += [resolve(base, {key: value}) for value in ends]
    metric = plan.metric or recipes[0].phases[-1].monitor
    measured = {"val_loss", "train_loss", *(f"val_{name}" for name in USUAL)}
    if metric not in measured and any(r.phases[-1].monitor != metric for r in recipes):
        raise ConfigError(
            f"metric is '{metric}', which not all trials measure. Let every recipe's last phase "
            f"monitor it, or choose one of: {', '.join(sorted(measured))}."
        )
    return metric


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
    key = same_training(resolve(given.base, settings))
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


def _within(progress: Progress | None, number: int, trials: int) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        if progress is not None:
            progress(_STEPS * number + _STEPS * done // max(total, 1), _STEPS * trials)

    return tell
