"""Train many recipes that differ in a few values, and rank them; what they share is done once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lucidray.datasets.table import ImageTable
from lucidray.errors import ConfigError
from lucidray.training.monitor import USUAL
from lucidray.training.pixels import Progress
from lucidray.training.run import check_free
from lucidray.training.search_record import Found, count_passes, read_record, write_record
from lucidray.training.search_space import Search, resolve
from lucidray.training.search_strategies import strategies
from lucidray.training.search_trials import Given, propose, settled, train_trial, wants_more
from lucidray.training.setting import ignore

#: Progress of one trial is told in so many steps.
_STEPS = 1000


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


def _within(progress: Progress | None, number: int, trials: int) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        if progress is not None:
            progress(_STEPS * number + _STEPS * done // max(total, 1), _STEPS * trials)

    return tell
