"""A search whose trials are trained by the workers of a cluster, several at a time, by Ray Tune.

Proposals are ours: those of a grid and at random are the same as in one process, and so are the
results. A Bayesian search does not know yet what the trials that are still running will come to.
"""

from __future__ import annotations

import json
import math
import pickle
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lucidray.cluster.session import RETRIES, load_ray, work_in
from lucidray.errors import ClusterError, LucidRayError
from lucidray.training.search_record import Found, Trial, count_passes, write_record
from lucidray.training.search_space import resolve
from lucidray.training.search_trials import Given, propose, settled, train_trial, wants_more

#: Told of trials done and in all.
Tell = Callable[[int, int], None]


class Course:
    """A search in progress: what is tried next, and what came of it.

    Args:
        given: What all trials have in common.
        found: What the search came to before.
        passes: Passes through frozen beginnings whose results are gone.
        tell: Told of trials done and in all.
    """

    def __init__(self, given: Given, found: Found, passes: int, tell: Tell) -> None:
        self.given, self.found, self.passes, self.tell = given, found, passes, tell
        self.trials = list(found.trials)
        self.number = 0
        self.error: LucidRayError | None = None

    def next(self) -> Trial | None:
        """Return the next trial that is to be trained; None: there is none."""
        while self.error is None and wants_more(self.found.search, self.number, self.trials):
            number, self.number = self.number, self.number + 1
            if number == len(self.trials):
                self.trials.append(propose(self.given, self.found, self._settled()))
            trial = self.trials[number]
            if trial.status == "running" and trial.same_as is None:
                self._write()
                return trial
        return None

    def take(self, number: int, result: Mapping[str, Any] | None) -> None:
        """Write down what came of a trial; None: its workers kept dying."""
        if result is None:
            self.error = ClusterError(
                f"workers died {RETRIES + 1} times over trial {number:03d}. What was finished is "
                "kept. Give each worker more memory, then go on with --resume."
            )
        elif "error" in result:
            self.error = pickle.loads(bytes.fromhex(result["error"]))  # noqa: S301 - our worker's
        else:
            known = {**result, "value": math.nan if result["value"] is None else result["value"]}
            self.trials[number] = replace(self.trials[number], **known)
        self._write()
        self.tell(sum(trial.status != "running" for trial in self.trials), self.found.search.budget)

    def end(self) -> Found:
        """Return what the search came to.

        Raises:
            LucidRayError: What stopped it.
        """
        self._write()
        if self.error is not None:
            raise self.error
        return self.found

    def _write(self) -> None:
        passes = self.passes + count_passes(self.given.features)
        self.found = replace(self.found, trials=self._settled(), feature_passes=passes)
        write_record(self.found, self.given.base)

    def _settled(self) -> tuple[Trial, ...]:
        return tuple(settled(trial, self.trials) for trial in self.trials)


def search_apart(given: Given, found: Found, passes: int, tell: Tell) -> Found:
    """Make the trials of a search on the cluster that this process is part of.

    Every machine must see the search's folder and the data under the same path.

    Args:
        given: What all trials have in common.
        found: What the search came to before.
        passes: Passes through frozen beginnings whose results are gone.
        tell: Told of trials done and in all.

    Raises:
        LucidRayError: As a search in one process does.
        ClusterError: Workers kept dying over a trial.
    """
    course = Course(given, found, passes, tell)
    begun = course.next()
    if begun is None:
        return course.end()
    given.task(resolve(given.base, begun.settings))  # decoded here, once for all
    course.number = begun.number
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own deprecations
        _tune(course)
    return course.end()


def _tune(course: Course) -> None:
    from ray import tune

    storage = course.given.folder / "tune"
    whole = replace(course.given, folder=course.given.folder.absolute(), reading=None, tasks={})
    card = {"gpu": 1} if load_ray().cluster_resources().get("GPU") else {}
    told = {"given": whole, "metric": course.found.metric, "here": Path.cwd()}
    trainable = tune.with_parameters(_trial, **told)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1, **card}),
        tune_config=tune.TuneConfig(
            search_alg=_proposals(course), num_samples=-1, metric="value", mode="max"
        ),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(storage.absolute()),
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    finally:
        shutil.rmtree(storage, ignore_errors=True)


def _trial(config: dict[str, Any], *, given: Given, metric: str, here: Path) -> None:
    """Train one trial in a worker, from wherever an earlier worker stopped."""
    from ray import tune

    trial = Trial(**json.loads(config["trial"]) | {"value": math.nan})
    try:
        work_in(here)
        done = train_trial(given, trial, metric)
    except LucidRayError as error:
        tune.report({"value": 0.0, "error": pickle.dumps(error).hex()})
        return
    value = None if math.isnan(done.value) else done.value
    facts = {name: getattr(done, name) for name in ("status", "epoch", "seconds", "reason")}
    tune.report({"value": value or 0.0, "facts": json.dumps(facts | {"value": value})})


def _proposals(course: Course) -> Any:
    from ray.tune.search import Searcher

    class Proposals(Searcher):
        """What Ray Tune asks for the next trial, and tells what came of one."""

        def __init__(self) -> None:
            super().__init__(metric="value", mode="max")
            self.numbers: dict[str, int] = {}

        def suggest(self, trial_id: str) -> Any:
            trial = course.next()
            if trial is None:
                return Searcher.FINISHED
            self.numbers[trial_id] = trial.number
            return {"trial": json.dumps({**vars(trial), "value": None})}

        def on_trial_complete(
            self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
        ) -> None:
            course.take(self.numbers.pop(trial_id), None if error else _facts(result))

        def save(self, checkpoint_path: str) -> None:
            """Keep nothing, in a file that Ray wants: ``trials.json`` holds all."""
            Path(checkpoint_path).touch()

        def restore(self, checkpoint_path: str) -> None:
            """Nothing was kept."""

    return Proposals()


def _facts(result: dict[str, Any] | None) -> dict[str, Any] | None:
    if result is None or "error" in result:
        return result
    facts: dict[str, Any] = json.loads(result["facts"])
    return facts
