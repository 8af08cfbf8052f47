"""A search: what is shared is done once, equal trials are trained once, a kill loses nothing."""

from __future__ import annotations

import csv
import json
import math
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_stand_ins import SMALL

from lucidray.config import from_mapping, merge
from lucidray.datasets.table import ImageTable
from lucidray.errors import ConfigError, MissingExtraError, RunError, UnknownNameError
from lucidray.models.baseline_cnn import BaselineCNN
from lucidray.training import train
from lucidray.training.search import run_search
from lucidray.training.search_record import Found, describe, same_training
from lucidray.training.search_space import Range, Search, load_search, resolve
from lucidray.training.search_strategies import Tried, strategies

RATE, DROPOUT, POLICY = "phases.0.learning_rate", "model.dropout_before", "phases.0.policy"
BASE = merge(SMALL, {"phases.0.optimizer": "sgd", "phases.0.monitor": "val_auc"})
GRID = {POLICY: ["classifier_only", "last_block"], RATE: [0.1, 0.01], DROPOUT: [0.0, 0.2]}


def plan(values: object = GRID, **options: object) -> Search:
    return from_mapping(Search, {"values": values, **options}, where="test")


@pytest.fixture(scope="module")
def grid(
    table: ImageTable, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Found, list[int]]:
    """A grid of eight, and the batches that went through the network's beginning."""
    seen: list[int] = []
    whole = BaselineCNN.forward_features
    with pytest.MonkeyPatch.context() as patch:

        def counted(self: BaselineCNN, x: torch.Tensor) -> torch.Tensor:
            if x.device.type != "meta":
                seen.append(len(x))
            return whole(self, x)

        patch.setattr(BaselineCNN, "forward_features", counted)
        folder = tmp_path_factory.mktemp("search") / "grid"
        return run_search(BASE, plan(), table, folder, cache=cache), seen


def test_a_grid_tries_all_and_ranks_them(grid: tuple[Found, list[int]]) -> None:
    found, _ = grid
    assert [trial.status for trial in found.trials] == ["finished"] * 8
    assert len({tuple(trial.settings.items()) for trial in found.trials}) == 8
    assert found.trials[1].settings == {POLICY: "classifier_only", RATE: 0.1, DROPOUT: 0.2}
    values = [trial.value for trial in found.ranked()]
    assert values == sorted(values, reverse=True)
    best = found.run(found.best)
    assert found.best.value == best.facts["members"][0]["val_auc"]
    assert best.recipe.phases[0].learning_rate == found.best.settings[RATE]


def test_frozen_configurations_share_one_pass(grid: tuple[Found, list[int]]) -> None:
    found, seen = grid
    assert sum(seen) == 20 + 12, "four head-only trials: one pass over 20 + 12 images"
    assert found.feature_passes == 2, "one of the whole backbone, one up to its last block"
    assert not (found.folder / "features").exists()


def test_shared_features_train_what_a_run_of_its_own_trains(
    grid: tuple[Found, list[int]], table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    found, _ = grid
    for number in (3, 6):
        trial = found.trials[number]
        alone = train(resolve(BASE, trial.settings), table, tmp_path / str(number), cache=cache)
        ours = found.folder / trial.folder / "best.safetensors"
        torch.testing.assert_close(load_file(alone.weights[0]), load_file(ours), rtol=0, atol=0)


def test_the_record_is_plain_and_whole(grid: tuple[Found, list[int]]) -> None:
    found, _ = grid
    record = json.loads((found.folder / "trials.json").read_text(encoding="utf-8"))
    assert record["best"] == found.best.number
    assert len(record["trials"]) == 8
    assert record["feature_passes"] == describe(found)["feature_passes"] == 2
    with (found.folder / "ranking.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["trial"]) for row in rows] == record["ranking"]
    assert float(rows[0]["val_auc"]) == found.best.value


def test_equal_trials_are_trained_once(
    table: ImageTable, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lucidray.training import search_trials as module

    trained: list[Path] = []
    monkeypatch.setattr(module, "train", lambda *a, **k: (trained.append(a[2]), train(*a, **k))[1])
    values = {POLICY: ["frozen", "classifier_only"], "phases.0.plateau_factor": [0.2, 0.5]}
    found = run_search(BASE, plan(values), table, tmp_path / "s", cache=cache)
    assert len(trained) == 1
    assert [trial.same_as for trial in found.trials] == [None, 0, 0, 0]
    assert {trial.value for trial in found.trials} == {found.best.value}
    assert [trial.number for trial in found.ranked()] == [0]
    assert found.run(found.trials[3]).folder == tmp_path / "s" / "trials" / "000"


def test_a_killed_search_goes_on_to_the_same_end(
    grid: tuple[Found, list[int]], table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    def kill(done: int, total: int) -> None:
        assert total == 8000
        if done > 2500:
            raise Killed

    folder = tmp_path / "s"
    with pytest.raises(Killed):
        run_search(BASE, plan(), table, folder, cache=cache, progress=kill)
    record = json.loads((folder / "trials.json").read_text(encoding="utf-8"))
    assert [trial["status"] for trial in record["trials"]] == ["finished", "finished", "running"]
    with pytest.raises(RunError, match="in the way"):
        run_search(BASE, plan(), table, folder, cache=cache)
    with pytest.raises(RunError, match="begun with another search"):
        run_search(BASE, plan(seed=1), table, folder, cache=cache, resume=True)
    kept = (folder / "trials/000/run.json").stat().st_mtime_ns
    resumed = run_search(BASE, plan(), table, folder, cache=cache, resume=True)
    assert (folder / "trials/000/run.json").stat().st_mtime_ns == kept
    assert [t.value for t in resumed.trials] == [t.value for t in grid[0].trials]
    assert resumed.feature_passes == 2
    assert run_search(BASE, plan(), table, folder, cache=cache, resume=True) == resumed


def test_a_diverging_trial_fails_alone(table: ImageTable, cache: Path, tmp_path: Path) -> None:
    values = {RATE: [1e30, 0.01]}
    found = run_search(BASE, plan(values), table, tmp_path / "s", cache=cache)
    assert [trial.status for trial in found.trials] == ["failed", "finished"]
    assert "lower the learning rate" in found.trials[0].reason
    assert found.best.number == 1
    again = run_search(BASE, plan(values), table, tmp_path / "s", cache=cache, resume=True)
    assert again.trials == found.trials


def test_a_budget_ends_a_search_and_can_be_raised(
    table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    first = run_search(BASE, plan(trials=1), table, tmp_path / "s", cache=cache)
    assert len(first.trials) == 1
    short = run_search(
        BASE, plan(trials=3, minutes=1e-9), table, tmp_path / "s", cache=cache, resume=True
    )
    assert len(short.trials) == 1
    more = run_search(BASE, plan(trials=2), table, tmp_path / "s", cache=cache, resume=True)
    assert len(more.trials) == 2


def test_random_search_repeats_itself_and_no_combination() -> None:
    def draw(search: Search, count: int) -> list[dict[str, object]]:
        tried: list[Tried] = []
        for _ in range(count):
            tried.append(Tried(strategies["random"](search, tried, True), 0.5))
        return [dict(each.settings) for each in tried]

    finite = plan(strategy="random", seed=3)
    all_of_it = draw(finite, 8)
    assert finite.budget == 8
    assert len({tuple(each.items()) for each in all_of_it}) == 8
    assert draw(finite, 8) == all_of_it
    assert draw(plan(strategy="random", seed=4), 8) != all_of_it
    endless = plan({RATE: {"low": 1e-5, "high": 1e-1, "log": True}}, strategy="random")
    rates = [float(each[RATE]) for each in draw(endless, 200)]  # type: ignore[arg-type]
    assert endless.budget == 20 and len(set(rates)) == 200
    assert 1e-5 <= min(rates) < 1e-4 and 1e-2 < max(rates) <= 1e-1
    assert sum(rate < 1e-3 for rate in rates) == pytest.approx(100, abs=30)


@pytest.mark.parametrize("rising", [True, False])
def test_bayesian_search_draws_where_values_are_good(rising: bool) -> None:
    space = {RATE: {"low": 1e-5, "high": 1e-1, "log": True}, DROPOUT: [0.0, 0.2, 0.5]}

    def run(strategy: str, seed: int) -> list[Tried]:
        search, tried = plan(space, strategy=strategy, trials=40, seed=seed), []
        for number in range(40):
            settings = strategies[strategy](search, tried, rising)
            loss = abs(math.log10(float(settings[RATE])) + 3) + float(settings[DROPOUT])
            value = math.nan if number == 2 else (-loss if rising else loss)
            tried.append(Tried(settings, value))
        return tried

    def late(strategy: str) -> float:
        runs = [run(strategy, seed) for seed in range(4)]
        return sum(abs(each.value) for tried in runs for each in tried[20:]) / 80

    assert late("bayesian") < 0.75 * late("random")
    first, again = run("bayesian", 0), run("bayesian", 0)
    assert [each.settings for each in first] == [each.settings for each in again]


def test_bayesian_search_without_optuna_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"lucidray\[search\]"):
        strategies["bayesian"](plan(strategy="bayesian"), [], True)


def test_a_bayesian_search_trains_and_resumes(
    table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    values = {RATE: {"low": 1e-3, "high": 0.1, "log": True}, POLICY: ["classifier_only", "full"]}
    wanted = plan(values, strategy="bayesian", trials=3, metric="val_loss")
    found = run_search(BASE, wanted, table, tmp_path / "s", cache=cache)
    assert found.best.value == min(trial.value for trial in found.trials)
    (tmp_path / "again").mkdir()
    part = plan(values, strategy="bayesian", trials=2, metric="val_loss")
    run_search(BASE, part, table, tmp_path / "again", cache=cache)
    resumed = run_search(BASE, wanted, table, tmp_path / "again", cache=cache, resume=True)
    assert [t.settings for t in resumed.trials] == [t.settings for t in found.trials]


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ({RATE: []}, {}, "has no values to try"),
        ({}, {}, "at least 1"),
        ({RATE: {"low": 1.0, "high": 0.1}}, {}, "low must be less"),
        ({RATE: {"low": 0.0, "high": 0.1, "log": True}}, {}, "lies above 0"),
        ({RATE: [0.1]}, {"trails": 3}, "did you mean 'trials'"),
    ],
)
def test_a_search_that_cannot_be_is_refused(
    values: object, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(values, **options)


def test_wrong_keys_are_refused_before_any_training(
    table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    for values, options, message in (
        ({"phases.0.learning_rat": [1]}, {}, "did you mean 'learning_rate'"),
        ({RATE: [0.1, -1]}, {}, "greater than 0"),
        ({RATE: {"low": -1, "high": 0.1}}, {"strategy": "random"}, "greater than 0"),
        ({RATE: {"low": 0.01, "high": 0.1}}, {}, "add steps"),
        ({RATE: [0.1]}, {"metric": "val_brier"}, "not all trials measure"),
        ({RATE: [0.1]}, {"strategy": "gird"}, "did you mean 'grid'"),
    ):
        with pytest.raises((ConfigError, UnknownNameError), match=message):
            run_search(BASE, plan(values, **options), table, tmp_path / "s", cache=cache)
        assert not (tmp_path / "s").exists()


def test_a_range_gives_a_grid_its_steps() -> None:
    spread = Range(1e-4, 1e-2, log=True, steps=3)
    assert spread.points() == (1e-4, 1e-3, 1e-2)
    assert Range(1, 3, whole=True, steps=9).points() == (1, 2, 3)
    assert plan({RATE: {"low": 1e-4, "high": 1e-2, "log": True, "steps": 3}}).size == 3


def test_what_does_not_train_differently_has_the_same_key() -> None:
    def key(**changes: object) -> str:
        return same_training(resolve(BASE, {k.replace("__", "."): v for k, v in changes.items()}))

    assert key() == key(phases__0__layer_count=7, model__dropout_after=0.5)
    assert key(phases__0__policy="frozen") == key(phases__0__policy="classifier_only")
    for changed in ({"seeds": [1]}, {"phases__0__epochs": 3}, {"model__dropout_before": 0.1}):
        assert key(**changed) != key()


def test_a_search_is_read_from_a_recipe_with_a_table(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(
        '[search]\ntrials = 3\n[search.values]\n"model.dropout_before" = [0.1, 0.2]\n'
        '[model]\nbackbone = "resnet18"\n',
        encoding="utf-8",
    )
    base, found = load_search(path, overrides={"search.trials": 1, "seeds": [7]})
    assert base == {"model": {"backbone": "resnet18"}, "seeds": [7]}
    assert (found.trials, found.strategy, found.size) == (1, "grid", 2)
    path.write_text('[model]\nbackbone = "resnet18"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"has no table \[search\]"):
        load_search(path)
