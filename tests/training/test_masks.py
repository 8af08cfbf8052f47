"""Training of masks: data, augmentation, loss, run folder, resume, evaluation."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from training_stand_ins import make_table, small

from lucidray.datasets.table import COLUMNS, ImageTable
from lucidray.errors import ConfigError, DataError, RunError, ShapeError, UnknownNameError
from lucidray.metrics.segmentation import count_pixels, dice
from lucidray.training import Recipe, Run, evaluate_masks, train
from lucidray.training.augmentation import Augment, augment, augment_masked
from lucidray.training.judging import MaskJudge
from lucidray.training.mask_loss import mask_loss
from lucidray.training.masks import predict_masks, prepare_masks, split_by_source
from lucidray.training.pixels import CachedPixels
from lucidray.training.recipe import Data


def mask_recipe(**changes: object) -> Recipe:
    return small(
        **{
            "model": {"backbone": "regnetx_002", "in_channels": 1, "decoder": [8]},
            "data": {"official": False, "validation": 0.25, "test": 0.25},
            "phases": [
                {"epochs": 12, "batch_size": 4, "learning_rate": 0.02, "monitor": "val_dice"}
            ],
            **changes,
        }
    )


def make_films(folder: Path, count: int = 24) -> ImageTable:
    """Write films of two hospitals whose lungs are bright rectangles, with their masks."""
    rng, rows = np.random.default_rng(0), []
    for index in range(count):
        mask = np.zeros((40, 48), bool)
        top, left = rng.integers(4, 10, 2)
        mask[top : top + 24, left : left + 10] = mask[top : top + 24, left + 16 : left + 28] = True
        pixels = rng.integers(40, 80, mask.shape) + 120 * mask
        paths = [folder / f"{index}.png", folder / f"{index}_mask.png"]
        Image.fromarray(pixels.astype(np.uint8)).save(paths[0])
        Image.fromarray(mask).save(paths[1])
        source = "North" if index % 4 else "South"
        facts = (str(paths[0]), str(index), f"p{index}", None, None, None, None, source)
        rows.append(dict(zip(COLUMNS, facts, strict=True)) | {"mask": (str(paths[1]),)})
    return ImageTable("films", (), pd.DataFrame(rows))


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> ImageTable:
    """24 films with lung masks, a quarter of them from the smaller hospital."""
    return make_films(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def run(films: ImageTable, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of masks."""
    return train(mask_recipe(ema=0.5), films, tmp_path_factory.mktemp("masks") / "run")


def test_a_run_learns_masks_and_leaves_its_folder(run: Run, films: ImageTable) -> None:
    names = {path.name for path in run.folder.iterdir()}
    assert names == {
        *("run.json", "status", "best.safetensors", "last.safetensors", "history.csv"),
        *("split.csv", "validation.npz", "operating_points.json", "log"),
    }
    with (run.folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["val_dice"]) > 0.8 > float(rows[0]["val_dice"])
    assert run.findings == ("Lungs",) and run.operating_points == {"Lungs": 0.5}
    with np.load(run.folder / "validation.npz") as known:
        best = max(float(row["val_dice"]) for row in rows)
        assert known["dice"].mean() == pytest.approx(best, abs=1e-4)
        assert known["dice"].shape == known["images"].shape == (run.facts["data"]["validation"],)


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(
    run: Run, films: ImageTable, cache: Path, tmp_path: Path
) -> None:
    def stop(done: int, total: int) -> None:
        if done == 16:
            raise KeyboardInterrupt

    recipe = mask_recipe(ema=0.5)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, films, tmp_path / "run", save_every_s=0, progress=stop)
    again = train(recipe, films, tmp_path / "run", resume=True)
    for name in ("best.safetensors", "last.safetensors"):
        first, second = load_file(run.folder / name), load_file(again.folder / name)
        torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_other_masks_are_other_data(
    run: Run, films: ImageTable, cache: Path, tmp_path: Path
) -> None:
    known = prepare_masks(mask_recipe(), films)
    rows = films.rows.assign(mask=[films.rows["mask"][(i + 1) % 24] for i in range(24)])
    other = prepare_masks(mask_recipe(), ImageTable("films", (), rows))
    assert run.facts["digest"] == known.digest != other.digest


def test_masks_take_the_way_of_their_images(films: ImageTable, cache: Path) -> None:
    image = {"image.fit": "letterbox", "image.crop": [0.0, 0.9, 0.1, 1.0]}
    task = prepare_masks(small(**{**vars_of(mask_recipe()), **image}), films)
    masks, count = task.train.examples.masks, len(task.train.examples)
    pixels = task.train.examples.pixels[np.arange(count)]
    assert masks is not None and masks.shape == (count, 1, 32, 32)
    inside, outside = pixels[masks[:, 0] == 255], pixels[masks[:, 0] == 0]
    assert inside.min() > 140 > outside.max()


def vars_of(recipe: Recipe) -> dict[str, object]:
    return {"model": {"backbone": recipe.model.backbone, "in_channels": 1, "decoder": [8]},
            "data": {"official": False, "validation": 0.25, "test": 0.25}}  # fmt: skip


def test_each_hospital_gives_its_share_to_each_part(films: ImageTable) -> None:
    split = split_by_source(films, Data(validation=0.25, test=0.25)).rows
    counts = pd.crosstab(split["source"], split["split"])
    assert counts.loc["North"].between(4, 10).all() and counts.loc["South"].between(1, 4).all()
    assert list(split.columns) == list(films.rows.columns)


def test_evaluation_is_on_the_pixels_of_the_files(run: Run, films: ImageTable) -> None:
    found = evaluate_masks(run, films, n_boot=50)
    learned = run.facts["data"]
    assert len(found.values) == 24 and found.seen == learned["train"] + learned["validation"]
    measured = found.measurements["Lungs"]
    assert measured["dice"].value == pytest.approx(found.values["dice"].mean())
    assert 0.8 < measured["dice"].low <= measured["dice"].value <= measured["dice"].high <= 1
    north = found.values[found.values["source"] == "North"]
    assert found.subgroups["source"]["North"]["dice"].value == pytest.approx(north["dice"].mean())
    told = json.loads(json.dumps(found.to_json()))
    assert told["images"] == 24 and told["by_image"][3]["image"] == "3"
    assert told["measurements"]["Lungs"]["hd95"]["value"] == pytest.approx(measured["hd95"].value)


def test_mirror_images_are_averaged_in(run: Run, films: ImageTable, cache: Path) -> None:
    pixels = CachedPixels(films.paths()[:3], run.recipe.image, cache)
    recipe = mask_recipe(test_time_augmentation="flip")
    members = run.segmenters()
    found = np.stack(list(predict_masks(members, pixels, recipe, batch_size=2)))
    x = torch.from_numpy(pixels[np.arange(3)])[:, None].float() / 255
    with torch.no_grad():
        mean = (members[0](x) + members[0](x.flip(-1)).flip(-1)) / 2
    np.testing.assert_allclose(found, mean.sigmoid().numpy(), atol=1e-5)


def test_what_asks_for_findings_is_told(run: Run) -> None:
    with pytest.raises(RunError, match="makes masks"):
        run.models()


def test_images_without_masks_are_refused(tmp_path: Path, films: ImageTable, cache: Path) -> None:
    with pytest.raises(DataError, match="has no lung masks"):
        train(mask_recipe(), make_table(tmp_path), tmp_path / "run")
    with pytest.raises(UnknownNameError, match="Lungs"):
        train(mask_recipe(data__findings=["Pneumonia"]), films, tmp_path / "run")
    Image.fromarray(np.ones((40, 40), bool)).save(tmp_path / "square.png")
    wrong = films.rows.assign(mask=[(str(tmp_path / "square.png"),)] * 24)
    with pytest.raises(DataError, match="same rectangle"):
        train(mask_recipe(), ImageTable("films", (), wrong), tmp_path / "run")
    with pytest.raises(DataError, match="for validation"):
        few = films.where(np.arange(24) == 1)
        train(mask_recipe(data__validation=0.1), few, tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"mixup": 0.3}, "leave out model.decoder"),
        ({"loss": {"gamma": 1.0}}, "leave out model.decoder"),
        ({"phases__0__monitor": "val_auc"}, "val_dice"),
    ],
)
def test_settings_of_findings_are_refused(change: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        mask_recipe(**change)


def test_masks_are_not_monitored_where_there_are_none() -> None:
    with pytest.raises(ConfigError, match="without a decoder"):
        small(phases__0__monitor="val_dice")


GEOMETRIC = {"rotate": 20, "zoom": 0.3, "shift": 0.2, "flip": 0.5, "shear": 0.1}


@pytest.mark.parametrize("padding", ["reflect", "zeros", "border"])
def test_masks_move_with_their_images(padding: str) -> None:
    masks = torch.zeros(6, 2, 24, 24)
    masks[:, 0, 6:16, 4:12] = masks[:, 1, 2:8, 12:22] = 1
    images = masks[:, :1] * 0.8
    options = Augment(**GEOMETRIC, padding=padding)
    moved, followed = augment_masked(images, masks, options, torch.Generator().manual_seed(1))
    torch.testing.assert_close(moved, followed[:, :1] * 0.8)
    assert (moved - images).abs().max() > 0.1
    alone = augment(images, options, torch.Generator().manual_seed(1))
    torch.testing.assert_close(moved, alone, rtol=0, atol=0)


def test_new_margins_bring_their_masks() -> None:
    torch.manual_seed(0)
    masks = (torch.rand(64, 1, 16, 16) > 0.5).float()
    images = masks * 0.5 + 0.25
    options = Augment(reframe=0.3)
    framed, followed = augment_masked(images, masks, options, torch.Generator().manual_seed(1))
    own = ((framed - 0.25).abs() < 1e-6) | ((framed - 0.75).abs() < 1e-6)
    torch.testing.assert_close(followed[own], (framed[own] - 0.25) * 2)
    assert own.float().mean() < 0.95 and followed[~own].max() == 0


def test_intensities_leave_masks_alone() -> None:
    images, masks = torch.rand(4, 1, 16, 16), torch.ones(4, 1, 16, 16)
    options = Augment(gamma=0.5, noise=0.1, style=1.0, chance=0.7)
    changed, kept = augment_masked(images, masks, options, torch.Generator().manual_seed(0))
    assert kept is masks and not torch.equal(changed, images)


def test_the_loss_by_hand() -> None:
    logits, target = torch.zeros(1, 1, 2, 2), torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
    overlap = (2 * 1 + 1) / (2 + 2 + 1)
    assert mask_loss(logits, target).item() == pytest.approx(np.log(2) + 1 - overlap)
    empty = torch.zeros(1, 1, 8, 8)
    assert mask_loss(empty - 20, empty).item() < 1e-6 < 0.9 < mask_loss(empty + 20, empty).item()
    with pytest.raises(ShapeError, match="both must be"):
        mask_loss(logits, target[0])


def test_an_epoch_is_judged_image_by_image() -> None:
    torch.manual_seed(0)
    logits, truth = torch.randn(5, 1, 9, 9), (torch.rand(5, 1, 9, 9) > 0.6).float()
    truth[4], logits[4] = 0, -5
    judge = MaskJudge(mask_loss)
    kept = torch.cat([judge.keep(logits[:2], truth[:2]), judge.keep(logits[2:], truth[2:])])
    found = judge.measure(kept)
    assert found["val_loss"] == pytest.approx(mask_loss(logits, truth).item(), rel=1e-5)
    each = dice(count_pixels(truth.bool().numpy(), (logits > 0).numpy()))
    assert found["val_dice"] == pytest.approx(each[:4].mean())
    assert np.isnan(each[4])
