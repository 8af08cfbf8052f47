"""Recipes: read from TOML, written back the same, refused with the key that is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training_stand_ins import make_table

from lucidray.config import from_mapping, to_mapping
from lucidray.datasets.table import ImageTable
from lucidray.errors import ConfigError, DataError
from lucidray.training import Data, Recipe, load_recipe
from lucidray.training.operating_point import choose_points
from lucidray.training.prediction import Predictions
from lucidray.training.recipe import OperatingPoint
from lucidray.training.task import choose_findings, prepare_task, split_table

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid_and_round_trip(path: Path) -> None:
    recipe = load_recipe(path)
    assert from_mapping(Recipe, to_mapping(recipe), where="again") == recipe


def test_an_empty_file_is_a_recipe_and_keys_can_be_set(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("")
    assert load_recipe(tmp_path / "a.toml") == Recipe()
    (tmp_path / "b.toml").write_text("seeds = [1]\n[[phases]]\nepochs = 3\n")
    overrides = {"phases.0.epochs": 7, "model.backbone": "resnet18", "augment.rotate": 20}
    recipe = load_recipe(tmp_path / "b.toml", overrides=overrides)
    assert (recipe.phases[0].epochs, recipe.model.backbone, recipe.seeds) == (7, "resnet18", (1,))
    assert recipe.augment.rotate == 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sedes = [1]", "did you mean 'seeds'"),
        ("seeds = []", "'seeds'"),
        ("seeds = [1, 1]", "must differ"),
        ("phases = []", "'phases'"),
        ("[model]\nin_channels = 1", "image.channels is 3"),
        ("[augment]\nrotat = 1", "did you mean 'rotate'"),
        ("[loss]\nname = 'focl'", "did you mean 'focal'"),
        ("[[phases]]\npolicy = 'ful'", "did you mean 'full'"),
        ("[[phases]]\npolicy = 'last_n_layers'", "needs layer_count"),
        ("[[phases]]\nmonitor = 'val_auk'", "did you mean 'val_auc'"),
        ("[[phases]]\noptimizer = 'adm'", "did you mean 'adam'"),
        ("[[phases]]\nscheduler = 'cosin'", "did you mean 'cosine'"),
        ("[[phases]]\nepochs = 0", "'phases.0.epochs'"),
        ("[[phases]]\nepochs = 2\nwarmup_epochs = 2.0", "warm-up must end"),
        ("[[phases]]\nlearning_rate = -1.0", "'phases.0.learning_rate'"),
        ("[operating_point]\nmethod = 'fixed'\nvalue = 2.0", "at most 1"),
        ("[operating_point]\nvaried = 3", "varies nothing"),
        ("ema = 1.0", "'ema'"),
        ("precision = 'fp8'", "'precision'"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_recipe(tmp_path / "recipe.toml")


def test_two_exclusive_classes_become_one_finding(table: ImageTable, classes: ImageTable) -> None:
    rows = table.rows.rename(columns={"Effusion": "Normal"})
    pair = ImageTable("pair", ("Normal", "Pneumonia"), rows, exclusive=True)
    assert choose_findings(pair, ()) == (("Pneumonia",), False)
    assert choose_findings(pair, ("Normal", "Pneumonia")) == (("Normal", "Pneumonia"), True)
    assert choose_findings(classes, ()) == (classes.findings, True)
    assert choose_findings(classes, classes.findings[:2]) == (classes.findings[:2], False)
    assert choose_findings(table, ()) == (table.findings, False)


def test_validation_is_drawn_by_patient_or_taken_as_it_is(table: ImageTable) -> None:
    own = split_table(table, Data())
    assert (own.rows["split"] == table.rows["split"]).all()
    drawn = split_table(table, Data(keep_validation=False, validation=0.4, split_seed=3))
    assert (drawn.rows["split"] != table.rows["split"]).any()
    assert drawn.rows.groupby("patient")["split"].nunique().max() == 1


def test_the_digest_follows_files_labels_and_preprocessing(cache: Path, tmp_path: Path) -> None:
    recipe = from_mapping(Recipe, {"image": {"size": 16}}, where="test")
    table = make_table(tmp_path, 32)
    first = prepare_task(recipe, table, cache=cache).digest
    assert prepare_task(recipe, table, cache=cache).digest == first
    larger = from_mapping(Recipe, {"image": {"size": 24}}, where="test")
    assert prepare_task(larger, table, cache=cache).digest != first
    flipped = table.rows.assign(Effusion=1 - table.rows["Effusion"])
    other = ImageTable(table.name, table.findings, flipped)
    assert prepare_task(recipe, other, cache=cache).digest != first


def test_findings_without_both_classes_in_validation_have_no_operating_point() -> None:
    labels = np.array([[1, 0], [0, 0], [1, 0], [0, 0]], np.float32)
    probabilities = np.array([[0.9, 0.2], [0.1, 0.3], [0.8, 0.1], [0.3, 0.2]], np.float32)
    found = Predictions(("a", "b"), probabilities, probabilities)
    points = choose_points(OperatingPoint(), ("a", "b"), labels, found, list("pqrs"))
    assert set(points) == {"a"} and 0.3 < points["a"]["threshold"] <= 0.8
    fixed = choose_points(OperatingPoint("fixed", 0.4), ("a", "b"), labels, found, list("pqrs"))
    assert fixed["a"]["threshold"] == pytest.approx(0.4)


def test_an_operating_point_can_stand_varied_images_too() -> None:
    labels = np.array([[0], [0], [1], [1]], np.float32)

    def says(*values: float) -> Predictions:
        column = np.array(values, np.float32)[:, None]
        return Predictions(("a",), column, column)

    own, shifted = says(0.1, 0.2, 0.8, 0.9), says(0.5, 0.6, 0.9, 0.9)
    alone = choose_points(OperatingPoint(), ("a",), labels, own, list("pqrs"))["a"]
    both = choose_points(OperatingPoint(), ("a",), labels, own, list("pqrs"), varied=[shifted])["a"]
    assert alone["threshold"] < 0.6 < both["threshold"] <= 0.8
    assert both["chosen_by"].endswith("with 1 varied copies of each image")
    assert both["sensitivity"]["value"] == both["specificity"]["value"] == 1.0
    assert both["sensitivity"]["count"] == alone["sensitivity"]["count"] == 2


def test_a_set_without_training_images_is_refused(table: ImageTable) -> None:
    rows = table.rows.assign(split="validation")
    with pytest.raises(DataError, match="no labeled images for train"):
        prepare_task(Recipe(), ImageTable("none", table.findings, rows))


def test_a_monitor_that_validation_leaves_undefined_is_refused_before_training(
    table: ImageTable, cache: Path
) -> None:
    sick = table.rows.assign(split="train", patient=None)
    last = sick.index[sick["Effusion"] == 1][-3:]
    sick.loc[last, "split"] = "validation"
    one_class = ImageTable(table.name, table.findings, sick)
    data = {"findings": ["Effusion"]}
    phases = [{"monitor": "val_auc"}]
    recipe = from_mapping(Recipe, {"data": data, "phases": phases}, where="test")
    with pytest.raises(DataError, match="val_auc is not defined on the 3 validation images"):
        prepare_task(recipe, one_class, cache=cache)
    plain = from_mapping(Recipe, {"data": data}, where="test")
    assert len(prepare_task(plain, one_class, cache=cache).validation.table) == 3


def test_the_splits_of_another_run_are_taken_as_they_are(table: ImageTable, tmp_path: Path) -> None:
    rows = table.rows.assign(split=["test"] * 5 + ["train"] * 20 + ["validation"] * 7)
    rows[["image", "split"]].iloc[1:].to_csv(tmp_path / "split.csv", index=False)
    found = split_table(table, Data(split_from=str(tmp_path))).rows["split"]
    assert found.isna().tolist() == [True] + [False] * 31
    assert list(found[1:]) == list(rows["split"][1:])
    with pytest.raises(DataError, match="holds no splits"):
        split_table(table, Data(split_from=str(tmp_path / "none")))
    (tmp_path / "split.csv").write_text("image,split\nother,train\n", encoding="utf-8")
    with pytest.raises(DataError, match="none of the 32 images"):
        split_table(table, Data(split_from=str(tmp_path)))
