"""Runs that are moved or copied together go on, wherever they are and whatever they were called."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file
from training_stand_ins import SMALL, small

from lucidray.config import from_mapping, merge, to_mapping
from lucidray.datasets.table import ImageTable
from lucidray.errors import RunError
from lucidray.training import Pretraining, Run, Search, load_run, predict, pretrain, train
from lucidray.training.places import at_home, find_places, follow
from lucidray.training.recipe import Recipe
from lucidray.training.search import run_search


class Killed(BaseException):
    """Ends a training as a kill does."""


def second(tree: Path) -> Recipe:
    """A recipe that goes on from another run of its tree."""
    first = tree / "first"
    return small(
        model__weights=str(first / "best.safetensors"),
        data__split_from=str(first),
        phases__0__epochs=3,
    )


@pytest.fixture(scope="module")
def tree(table: ImageTable, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, and one that goes on from it and was killed in its second epoch."""
    tree = tmp_path_factory.mktemp("tree") / "runs"
    train(small(), table, tree / "first", cache=cache)

    def kill(done: int, total: int) -> None:
        if done > total // 2:
            raise Killed

    with pytest.raises(Killed):
        train(second(tree), table, tree / "second", cache=cache, progress=kill, save_every_s=0)
    return tree


def resumed(tree: Path, table: ImageTable, cache: Path) -> Run:
    return train(second(tree), table, tree / "second", cache=cache, resume=True)


def test_a_moved_tree_goes_on_to_the_same_end(
    tree: Path, table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.move(shutil.copytree(tree, tmp_path / "copy"), tmp_path / "elsewhere"))
    there, here = resumed(moved, table, cache), resumed(tree, table, cache)
    assert there.recipe == second(moved)
    for name, value in load_file(here.weights[0]).items():
        assert value.equal(load_file(there.weights[0])[name]), name
    again = Path(shutil.move(moved, tmp_path / "third"))
    run = load_run(again / "second")
    assert run.recipe == second(again), "a finished run names its files where they are"
    part = table.split("validation")
    assert (predict(run, part, cache=cache).logits == predict(here, part, cache=cache).logits).all()


def test_runs_kept_before_places_are_read_and_go_on_where_they_are(
    tree: Path, table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    old = shutil.copytree(tree, tmp_path / "old")
    path = old / "second" / "run.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    del facts["places"]
    path.write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(RunError, match=r"begun with recipe\.(data|model)"):
        resumed(old, table, cache)
    given = second(tree)
    run = train(given, table, old / "second", cache=cache, resume=True)
    assert run.recipe.data.split_from == str(tree / "first")


def test_other_weights_are_another_recipe(
    tree: Path, table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    shutil.copytree(tree, tmp_path / "copy")
    other = merge_weights(
        second(tmp_path / "copy"), tmp_path / "copy" / "first" / "last.safetensors"
    )
    with pytest.raises(RunError, match=r"model\.weights"):
        train(other, table, tmp_path / "copy" / "second", cache=cache, resume=True)


def merge_weights(recipe: Recipe, weights: Path) -> Recipe:
    changed = merge(to_mapping(recipe), {"model.weights": str(weights)})
    return from_mapping(Recipe, changed, where="test")


def test_a_moved_search_knows_its_trials(
    tree: Path, table: ImageTable, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lucidray.training import search_trials

    def plan(trials: int) -> Search:
        values = {"phases.0.policy": ["frozen", "classifier_only"]}
        return from_mapping(Search, {"values": values, "trials": trials}, where="test")

    def base(tree: Path) -> dict[str, object]:
        return merge(SMALL, {"model.weights": str(tree / "first" / "best.safetensors")})

    here = shutil.copytree(tree, tmp_path / "here")
    run_search(base(here), plan(1), table, here / "search", cache=cache)
    moved = Path(shutil.move(here, tmp_path / "there"))
    monkeypatch.setattr(search_trials, "train", None)  # nothing is left to be trained
    found = run_search(base(moved), plan(2), table, moved / "search", cache=cache, resume=True)
    assert [trial.same_as for trial in found.trials] == [None, 0]
    assert found.run(found.best).recipe.model.weights == str(moved / "first" / "best.safetensors")


def test_a_moved_pretraining_is_taken_up(
    tree: Path, table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    def recipe(tree: Path) -> Pretraining:
        own = {key: SMALL[key] for key in ("image", "model")}
        given = merge(own, {"model.weights": str(tree / "first" / "best.safetensors")})
        phase = {"phase": {"epochs": 1, "batch_size": 8}, "method": "triplet"}
        return from_mapping(Pretraining, given | phase, where="test")

    here = shutil.copytree(tree, tmp_path / "here")
    pretrain(recipe(here), table, here / "triplets", cache=cache)
    moved = Path(shutil.move(here, tmp_path / "there"))
    found = pretrain(recipe(moved), table, moved / "triplets", cache=cache, resume=True)
    assert found.epoch == 0
    with pytest.raises(RunError, match="another pretraining"):
        pretrain(recipe(tree), table, moved / "triplets", cache=cache, resume=True)


def test_words_are_no_places_and_what_is_gone_keeps_its_name(tmp_path: Path) -> None:
    for word in ("none", "imagenet", "torchxrayvision:densenet121-res224-all"):
        assert find_places({"model": {"weights": word}}, tmp_path) == {}
    kept = {"model": {"weights": "/gone/best.safetensors"}}
    places = {"model.weights": "../gone/best.safetensors"}
    assert at_home(kept, places, tmp_path / "run") == kept
    assert follow(kept, {}, {"model": {"weights": "here.safetensors"}}, tmp_path) == kept
