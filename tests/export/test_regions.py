"""Networks that look twice: trained by a recipe, exported, read, and explained branch by branch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from lucidray.bundle import load_bundle
from lucidray.bundle.card import Card
from lucidray.bundle.engines import Outputs
from lucidray.bundle.reference import make_images, region_difference, verify
from lucidray.cli import app
from lucidray.config import from_mapping, to_mapping
from lucidray.datasets.table import ImageTable
from lucidray.errors import BundleError, ConfigError, ExportError, LeakageError
from lucidray.export import export_bundle, export_run
from lucidray.export.from_run import finding_codes
from lucidray.export.parity import answer
from lucidray.images.preprocessing import Preprocessing
from lucidray.models import ModelSpec, RegionClassifier, RegionSpec, build_region_classifier
from lucidray.models.segmenter import build_segmenter
from lucidray.pipeline import diagnose
from lucidray.training import Recipe, Run, load_run, open_reader, train

Films = Callable[[Path, int, int], ImageTable]
FINDINGS = ("Pneumonia", "Effusion")
VALUES = {
    "image": {"size": 64, "normalization": "unit", "channels": 1, "fit": "letterbox"},
    "model": {"backbone": "baseline_cnn", "in_channels": 1},
    "phases": [{"epochs": 1, "batch_size": 8, "learning_rate": 0.01}],
    "precision": "fp32",
}


def recipe_of(**changes: object) -> Recipe:
    return from_mapping(Recipe, VALUES | changes, where="test")


@pytest.fixture(scope="module")
def place(films_of: Films, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ImageTable]:
    folder = tmp_path_factory.mktemp("regions")
    (folder / "images").mkdir()
    return folder, films_of(folder / "images", 48, 0)


@pytest.fixture(scope="module")
def first(place: tuple[Path, ImageTable]) -> Run:
    """A first stage: its heat maps say where to look again."""
    folder, table = place
    return train(recipe_of(), table, folder / "first", cache=folder / "cache")


@pytest.fixture(scope="module")
def twice(place: tuple[Path, ImageTable], first: Run) -> Run:
    """Two networks that look again where the first stage's heat map is strong."""
    folder, table = place
    model = {
        "backbone": "test_resnet",
        "in_channels": 1,
        "region": {"source": "heat", "run": str(first.folder)},
    }
    recipe = recipe_of(model=model, seeds=[0, 1], test_time_augmentation="flip")
    return train(recipe, table, folder / "twice", cache=folder / "cache")


@pytest.fixture(scope="module")
def path(twice: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_run(twice, tmp_path_factory.mktemp("bundle") / "twice.lucid")


def films(run: Run) -> list[Path]:
    return sorted((run.folder.parent / "images").glob("*.png"))[:3]


def test_it_is_trained_by_a_recipe_and_travels_without_its_first_stage(
    twice: Run, first: Run, tmp_path: Path
) -> None:
    finder = twice.recipe.model.region.finder
    assert finder["size"] == 64 and finder["findings"] == list(FINDINGS)
    (model, other) = twice.models()
    assert isinstance(model, RegionClassifier) and model.backbone.size == 64
    wanted = first.models()[0].state_dict()
    held = model.backbone.boxes.marks.model.state_dict()
    assert all(torch.equal(held[name], value) for name, value in wanted.items())
    assert not torch.equal(model.backbone.film.conv1[0].weight, other.backbone.film.conv1[0].weight)
    away = tmp_path / "moved"
    shutil.copytree(twice.folder, away)
    raw = json.loads((away / "run.json").read_text())
    raw["recipe"]["model"]["region"]["run"] = "gone"
    (away / "run.json").write_text(json.dumps(raw))
    x = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(load_run(away).models()[0](x), model(x))


def test_a_bundle_gives_what_the_run_gives_for_each_branch(twice: Run, path: Path) -> None:
    assert verify(path).passed and verify(path).region_difference <= 1e-4
    bundle = load_bundle(path)
    assert "heat" in bundle.card.region and "film and region" in bundle.card.network
    reader = open_reader(twice)
    for film in films(twice):
        wanted = diagnose(film, reader, method="closed_form")
        found = diagnose(film, bundle)
        np.testing.assert_allclose(found.prediction.logits, wanted.prediction.logits, atol=1e-5)
        total = {each.finding: each.values for each in found.attributions}
        parts = {}
        for branch in ("film", "region"):
            own = open_reader(twice, options={"branch": branch})
            theirs = diagnose(film, own, method="closed_form").attributions
            mine = diagnose(film, bundle, method=f"{branch}_branch").attributions
            for one, other in zip(mine, theirs, strict=True):
                span = np.abs(other.values).max()
                np.testing.assert_allclose(one.values, other.values, atol=1e-4 * span)
                parts.setdefault(one.finding, []).append(one.values)
        for finding, values in parts.items():
            np.testing.assert_allclose(sum(values), total[finding], atol=1e-4)


def test_the_region_comes_to_the_files_pixels(path: Path, twice: Run) -> None:
    bundle, film = load_bundle(path), films(twice)[0]
    region = bundle.predict(np.asarray(Image.open(film))).region
    assert region is not None
    with Image.open(film) as opened:
        width, height = opened.size
    x_min, y_min, x_max, y_max = region.box
    assert 0 <= x_min < x_max <= width and 0 <= y_min < y_max <= height
    values = diagnose(film, bundle, method="region_branch").attributions[0].values
    outside = np.ones(values.shape, bool)
    # Maps grow bilinearly from a grid of 2 pixels a cell of the branch's own, hence the margin.
    margin = 64 / region.maps.shape[-1]
    outside[
        max(int(y_min - margin), 0) : int(y_max + margin) + 1,
        max(int(x_min - margin), 0) : int(x_max + margin) + 1,
    ] = False
    assert not values[outside].any() and values.any()


def test_read_and_explain_tell_of_it(path: Path, twice: Run, tmp_path: Path) -> None:
    shell, film = CliRunner(), films(twice)[0]
    out = tmp_path / "out"
    done = shell.invoke(app, ["read", str(film), "--bundle", str(path), "--out", str(out)])
    assert done.exit_code == 0, done.output
    line = json.loads((out / "results.jsonl").read_text().splitlines()[0])
    assert len(line["region"]) == 4
    if "maps" in line["files"]:
        with np.load(out / line["files"]["maps"]) as saved:
            assert saved["region_maps"].shape == saved["maps"].shape
    command = ["explain", str(twice.folder), str(film), "--out", str(tmp_path / "maps")]
    done = shell.invoke(app, [*command, "--method", "closed_form", "--set", "branch=region"])
    assert done.exit_code == 0, done.output
    assert "second look" in shell.invoke(app, ["bundle", "info", str(path)]).output


def test_a_bundle_that_looks_once_has_no_branches(first: Run, tmp_path: Path) -> None:
    bundle = load_bundle(export_run(first, tmp_path / "once.lucid"))
    assert bundle.predict(make_images(64)[0]).region is None
    with pytest.raises(BundleError, match="holds grad_cam maps only"):
        diagnose(films(first)[0], bundle, method="region_branch")


@pytest.mark.parametrize("source", ["crop", "lungs"])
def test_other_regions_come_through(source: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    lungs = ModelSpec("test_resnet", in_channels=1, decoder=(8, 8))
    finder = {
        "model": to_mapping(lungs), "size": 32, "findings": ["Lungs"], "exclusive": False,
    }  # fmt: skip
    region = RegionSpec("lungs", finder=finder) if source == "lungs" else RegionSpec("crop")
    model = build_region_classifier(
        ModelSpec("baseline_cnn", in_channels=1, region=region), FINDINGS, image_size=64
    ).eval()
    config = Preprocessing(size=64, normalization="unit", channels=1)
    card = Card("x", "x", finding_codes(FINDINGS), False, config, "x", region="somewhere")
    path = export_bundle([model], card, tmp_path / "x.lucid")
    assert verify(path).passed
    image = make_images(64)[1]
    found, wanted = load_bundle(path).answer(image), answer([model], card, image)
    assert found.region is not None and wanted.region is not None
    np.testing.assert_allclose(found.region, wanted.region, atol=1e-3)
    np.testing.assert_allclose(found.maps, wanted.maps, atol=1e-4 * np.ptp(wanted.maps))
    if source == "lungs":
        outlines = build_segmenter(lungs, ("Lungs",), image_size=32)
        held = model.backbone.boxes.marks.model.state_dict()
        assert outlines.state_dict().keys() == held.keys()


def test_members_look_twice_or_none(twice: Run, first: Run, tmp_path: Path) -> None:
    card = Card(
        "x", "x", finding_codes(FINDINGS), False, twice.recipe.image, "x", region="somewhere"
    )
    with pytest.raises(ExportError, match="look twice, or none"):
        export_bundle([twice.models()[0], first.models()[0]], card, tmp_path / "x.lucid")


def test_a_first_stage_must_fit(place: tuple[Path, ImageTable], first: Run, tmp_path: Path) -> None:
    _, table = place
    region = {"source": "lungs", "run": str(first.folder)}
    with pytest.raises(ConfigError, match=r"region\.source = 'heat'"):
        train(recipe_of(model=VALUES["model"] | {"region": region}), table, tmp_path / "a")
    region["source"] = "heat"
    model = VALUES["model"] | {"region": region}
    image = VALUES["image"] | {"normalization": "zscore"}
    with pytest.raises(ConfigError, match="normalization = 'zscore', not 'unit'"):
        train(recipe_of(model=model, image=image), table, tmp_path / "b")
    copy = tmp_path / "first"
    shutil.copytree(first.folder, copy)
    split = pd.read_csv(copy / "split.csv", dtype=str)
    split.assign(split="train").to_csv(copy / "split.csv", index=False)
    region["run"] = str(copy)
    with pytest.raises(LeakageError, match="split_from"):
        train(recipe_of(model=model), table, tmp_path / "c", cache=place[0] / "cache")
    assert not (tmp_path / "c").exists()


def test_differences_of_regions_are_parts_of_their_range() -> None:
    none = np.zeros((1, 1), np.float32)
    maps = np.array([[[[0.0, 2.0]]]], np.float32)
    box = np.array([[0, 0, 32, 64]], np.float32)
    told = Outputs(none, none, maps, none, region_maps=maps, region=box)
    assert region_difference([told], [told]) == 0
    assert region_difference([told._replace(region=box + 16)], [told]) == pytest.approx(0.25)
    assert np.isnan(region_difference([told], [told._replace(region_maps=None)]))
    assert replace(RegionSpec("crop"), margin=0.2).margin == 0.2
