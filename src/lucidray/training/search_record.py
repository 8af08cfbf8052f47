"""What a search writes down: ``trials.json`` and ``ranking.csv``."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from lucidray.config import merge, to_mapping
from lucidray.errors import RunError
from lucidray.training.monitor import rises
from lucidray.training.places import find_places, follow
from lucidray.training.recipe import Phase, Recipe
from lucidray.training.run import Run, load_run, plain, write_json
from lucidray.training.search_space import Search, Settings
from lucidray.training.weights import fingerprint, write_text

Status = Literal["running", "finished", "failed"]

#: What may differ where a search is resumed.
_BUDGET = ("trials", "minutes")


@dataclass(frozen=True)
class Trial:
    """One combination of values and what came of it.

    Args:
        number: From 0, in the order in which they are tried.
        settings: Dotted key of the recipe → value.
        key: The same for recipes that train the same.
        folder: Its run folder, relative to the search's.
        same_as: Number of an earlier trial that trains the same, whose result is taken.
        status: ``"running"``, ``"finished"`` or ``"failed"``.
        value: The metric; nan unless finished.
        epoch: The epoch whose weights were kept, from 1.
        seconds: How long training took.
        reason: Why it failed.
    """

    number: int
    settings: Settings
    key: str
    folder: str
    same_as: int | None = None
    status: Status = "running"
    value: float = math.nan
    epoch: int | None = None
    seconds: float = 0.0
    reason: str = ""


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


def same_training(recipe: Recipe, folder: Path | None = None) -> str:
    """Return a key that is the same for recipes that train the same.

    Settings that have no effect, such as the factor of a plateau that is not watched for, and the
    second name of a policy, do not change it.

    Args:
        recipe: The recipe.
        folder: From which its files are seen, so that a search that is moved with them has the same
            keys; None: files are named as the recipe names them.

    >>> one = Recipe(phases=(Phase(policy="frozen", fraction=0.5),))
    >>> same_training(one) == same_training(Recipe(phases=(Phase(policy="classifier_only"),)))
    True
    """
    model = recipe.model if recipe.model.hidden else replace(recipe.model, dropout_after=0.0)
    phases = tuple(_effective(phase) for phase in recipe.phases)
    bare = replace(recipe, model=model, phases=phases)
    told = to_mapping(bare)
    told = told if folder is None else merge(told, find_places(told, folder))
    return fingerprint([json.dumps(told, sort_keys=True)])[:16]


def _effective(phase: Phase) -> Phase:
    if phase.policy == "frozen":
        phase = replace(phase, policy="classifier_only")
    if phase.policy != "last_n_layers":
        phase = replace(phase, layer_count=None)
    if phase.policy != "last_fraction":
        phase = replace(phase, fraction=0.25)
    if phase.scheduler != "plateau":
        phase = replace(phase, plateau_patience=2, plateau_factor=0.2)
    return phase


def count_passes(features: Path) -> int:
    """Return how often all images were sent through a frozen beginning.

    Args:
        features: The folder of what these made.
    """
    return len(list(features.glob("features-*-train.shape.pt")))


def read_record(folder: Path, base: Mapping[str, Any], plan: Search) -> tuple[list[Trial], int]:
    """Return the trials of a search that was begun, and its feature passes; none where none was.

    Args:
        folder: The search's.
        base: The recipe's own values.
        plan: What is searched.

    Raises:
        RunError: The folder holds another search, or its record is damaged.
    """
    path = folder / "trials.json"
    if not path.is_file():
        return [], 0
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        trials, passes = [_trial(row) for row in found["trials"]], int(found["feature_passes"])
        before, now = found["given"], _given(base, plan)
        before["recipe"] = follow(before["recipe"], found.get("places", {}), base, folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is damaged: {error}. Search anew in another folder.") from error
    changed = [key for key in now if before.get(key) != now[key]]
    if changed:
        raise RunError(
            f"the search in {folder} was begun with another {' and '.join(changed)}; resume it "
            "with the same recipe, or search in a new folder."
        )
    return trials, passes


def _trial(row: dict[str, Any]) -> Trial:
    return Trial(**row | {"value": math.nan if row["value"] is None else row["value"]})


def _given(base: Mapping[str, Any], plan: Search) -> dict[str, Any]:
    """Return what a resumed search must share, as JSON knows it."""
    searched = {key: value for key, value in to_mapping(plan).items() if key not in _BUDGET}
    given: dict[str, Any] = json.loads(json.dumps({"recipe": dict(base), "search": searched}))
    return given


def write_record(found: Found, base: Mapping[str, Any]) -> None:
    """Write ``trials.json`` and ``ranking.csv``.

    Args:
        found: What the search came to so far.
        base: The recipe's own values.
    """
    given = {"given": _given(base, found.search), "places": find_places(base, found.folder)}
    write_json(found.folder / "trials.json", describe(found) | given)
    columns = ["rank", "trial", *found.search.values, found.metric, "epoch", "seconds", "run"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for rank, trial in enumerate(found.ranked(), start=1):
        settings = [trial.settings[key] for key in found.search.values]
        facts = [trial.value, trial.epoch, round(trial.seconds, 3), trial.folder]
        writer.writerow([rank, trial.number, *settings, *facts])
    write_text(found.folder / "ranking.csv", text.getvalue())


def describe(found: Found) -> dict[str, Any]:
    """Return a search in plain values; nan becomes None."""
    ranked = found.ranked()
    described: dict[str, Any] = plain(
        {
            "metric": found.metric,
            "strategy": found.search.strategy,
            "best": ranked[0].number if ranked else None,
            "ranking": [trial.number for trial in ranked],
            "feature_passes": found.feature_passes,
            "seconds": math.fsum(trial.seconds for trial in found.trials),
            "trials": [asdict(trial) for trial in found.trials],
        }
    )
    return described
