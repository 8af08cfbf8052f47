"""Outlining lungs from the command line: train, evaluate, export, read."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lucidray.cli import app
from lucidray.cli.mistakes import run

RECIPE = """
[data]
validation = 0.25
test = 0.25

[image]
size = 32
channels = 1
normalization = "zscore"

[model]
backbone = "regnetx_002"
in_channels = 1
decoder = [8]

[[phases]]
epochs = 12
batch_size = 4
learning_rate = 0.02
monitor = "val_dice"
"""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 films of two hospitals with their masks, laid out as the publisher's, and a recipe."""
    folder, rng = tmp_path_factory.mktemp("lungs"), np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / "data" / kind).mkdir(parents=True)
    for index in range(24):
        mask = np.zeros((40, 48), bool)
        top, left = rng.integers(4, 10, 2)
        mask[top : top + 24, left : left + 10] = mask[top : top + 24, left + 16 : left + 28] = True
        pixels = (rng.integers(40, 80, mask.shape) + 120 * mask).astype(np.uint8)
        name = f"{'MCUCXR' if index % 3 == 0 else 'CHNCXR'}_{index:04}_{index % 2}.png"
        Image.fromarray(pixels).save(folder / "data" / "images" / name)
        Image.fromarray(mask).save(folder / "data" / "masks" / name)
    (folder / "recipe.toml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def trained(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a finished run of masks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUCIDRAY_CACHE", str(tmp_path_factory.mktemp("cache")))
        recipe = ("train", str(films / "recipe.toml"), "--data", str(films / "data"))
        assert run(app, [*recipe, "--out", str(films / "run")]) == 0
        yield films / "run"


def test_a_run_is_measured_by_overlap_on_films_that_it_has_not_seen(
    lucidray, films, trained, tmp_path
):
    table = tmp_path / "each.csv"
    found = lucidray("evaluate", trained, "--data", films / "data", "--csv", table, "--json").json()
    assert found["dice"] > 0.8 and found["seen_in_training"] == 0
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == found["images"] == 6
    assert np.mean([float(row["dice"]) for row in rows]) == pytest.approx(found["dice"])
    said = lucidray("evaluate", trained, "--data", films / "data", "--split", "train")
    assert "Montgomery" in said.out and "too good" in said.err.replace("\n", " ")


def test_a_finished_run_tells_its_overlap(lucidray, films, trained):
    again = ("train", films / "recipe.toml", "--data", films / "data", "--out", trained)
    said = lucidray(*again, "--resume")
    assert said.code == 0 and "Dice on the validation images: 0." in said.out


def test_a_page_of_outlines_does_not_exist(lucidray, films, trained, tmp_path):
    said = lucidray("evaluate", trained, "--data", films / "data", "--html", tmp_path / "x.html")
    assert said.code != 0 and "leave --html out" in " ".join(said.err.split())


def test_a_data_set_without_masks_is_refused(lucidray, trained, tmp_path):
    for label in ("normal", "sick"):
        (tmp_path / label).mkdir()
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / label / "a.png")
    said = lucidray("evaluate", trained, "--data", tmp_path)
    assert said.code != 0 and "has no lung masks" in " ".join(said.err.split())


def test_a_run_becomes_a_bundle_that_writes_masks(lucidray, films, trained, tmp_path):
    bundle = tmp_path / "outlines.lucid"
    said = lucidray("bundle", "export", trained, "--data", films / "data", "--out", bundle)
    assert said.code == 0, said.err
    info = lucidray("bundle", "info", bundle, "--json").json()
    card = info["card"]
    assert card["task"] == "segmentation" and card["gate"]["method"] == "quality"
    assert set(card["performance"][0]["subgroups"]["source"]) == {
        "Montgomery County",
        "Shenzhen No. 3 Hospital",
    }
    small = Image.open(films / "data" / "images" / "CHNCXR_0001_1.png")
    film = tmp_path / "film.png"
    small.resize((48 * 8, 40 * 8), Image.Resampling.BILINEAR).save(film)
    said = lucidray("read", film, "--bundle", bundle, "--out", tmp_path / "read", "--json").json()
    assert said["refused"] is None and said["findings"] == []
    mask = np.asarray(Image.open(tmp_path / "read" / "film.png")) > 0
    small = Image.open(films / "data" / "masks" / "CHNCXR_0001_1.png")
    truth = np.asarray(small.resize((48 * 8, 40 * 8))) > 0
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.8
    assert said["lung_area_share"] == pytest.approx(mask.mean(), abs=1e-5)


def test_a_lower_precision_is_refused(lucidray, films, trained, tmp_path):
    out = tmp_path / "low.lucid"
    given = ("--data", films / "data", "--out", out, "--precision", "fp16")
    said = lucidray("bundle", "export", trained, *given)
    assert said.code != 0 and "leave it out" in " ".join(said.err.split())
    assert not out.exists()
