"""Segmenters in bundles: the graph answers as torch does, and what does not fit is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from lucidray.bundle import load_bundle
from lucidray.bundle.card import Card, FindingCode, OperatingPoint
from lucidray.bundle.reference import verify_bundle
from lucidray.config import from_mapping
from lucidray.datasets.table import COLUMNS, ImageTable
from lucidray.errors import ExportError
from lucidray.export import export_bundle, export_run, performance_of
from lucidray.images.preprocessing import Preprocessing
from lucidray.images.read import read_xray
from lucidray.models import ModelSpec, Segmenter, build_model, build_segmenter
from lucidray.training import Recipe, Run, evaluate_masks, train

torch.set_num_threads(1)

IMAGE = Preprocessing(size=32, channels=1, normalization="zscore", fit="letterbox")


def make_segmenter(seed: int = 0) -> Segmenter:
    torch.manual_seed(seed)
    spec = ModelSpec("regnetx_002", in_channels=1, decoder=(8, 8))
    model = build_segmenter(spec, ("Lungs",), image_size=32).eval()
    model.head.weight.data *= 10
    return model


def make_card(**changes: object) -> Card:
    values = {
        "name": "masks",
        "summary": "Random masks.",
        "findings": (FindingCode("Lungs"),),
        "exclusive": False,
        "preprocessing": IMAGE,
        "network": "regnetx_002",
        "task": "segmentation",
        "operating_points": {"Lungs": OperatingPoint(0.5)},
    }
    return Card(**{**values, **changes})


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of two segmenters, mirror images averaged in."""
    models = [make_segmenter(0), make_segmenter(1)]
    return export_bundle(models, make_card(flip=True), tmp_path_factory.mktemp("pair") / "x.lucid")


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_the_graph_answers_as_torch_does(pair: Path, engine: str) -> None:
    bundle = load_bundle(pair, engine=engine, threads=1)
    assert verify_bundle(bundle).passed
    assert bundle.card.map_shape == (32, 32) and bundle.card.members == 2
    image = np.random.default_rng(0).random((40, 50)).astype(np.float32)
    answer = bundle.answer(image)
    assert np.ptp(answer.maps) > 0.1
    np.testing.assert_allclose(answer.probabilities, answer.maps.mean((2, 3)), atol=1e-6)
    odds = np.log(answer.probabilities / (1 - answer.probabilities))
    np.testing.assert_allclose(answer.logits, odds, atol=1e-4)


def test_members_and_mirror_images_are_averaged(pair: Path) -> None:
    pixels = np.random.default_rng(1).random((32, 32)).astype(np.float32)
    x = torch.from_numpy((pixels - pixels.mean()) / pixels.std())[None, None]
    with torch.no_grad():
        logits = [
            model(view).flip(-1) if mirrored else model(view)
            for model in (make_segmenter(0), make_segmenter(1))
            for mirrored, view in enumerate((x, x.flip(-1)))
        ]
    expected = torch.stack(logits).mean(0).sigmoid().numpy()
    np.testing.assert_allclose(load_bundle(pair).answer(pixels).maps, expected, atol=1e-5)


def test_a_card_of_another_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="says classification"):
        export_bundle([make_segmenter()], make_card(task="classification"), tmp_path / "x.lucid")
    judge = build_model(ModelSpec("baseline_cnn", in_channels=1), ("Lungs",), image_size=32)
    with pytest.raises(ExportError, match="says segmentation"):
        export_bundle([judge], make_card(), tmp_path / "x.lucid")
    with pytest.raises(ExportError, match="the preprocessing makes 3"):
        wide = Preprocessing(size=32, channels=3)
        export_bundle([make_segmenter()], make_card(preprocessing=wide), tmp_path / "x.lucid")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> ImageTable:
    """16 films with bright lungs and their masks."""
    folder, rng, rows = tmp_path_factory.mktemp("films"), np.random.default_rng(0), []
    for index in range(16):
        mask = np.zeros((40, 48), bool)
        top, left = rng.integers(4, 10, 2)
        mask[top : top + 24, left : left + 10] = mask[top : top + 24, left + 16 : left + 28] = True
        pixels = (rng.integers(40, 80, mask.shape) + 120 * mask).astype(np.uint8)
        paths = [str(folder / f"{index}{name}.png") for name in ("", "_mask")]
        for path, array in zip(paths, (pixels, mask), strict=True):
            Image.fromarray(array).save(path)
        split = "validation" if index % 4 == 0 else "train"
        facts = (paths[0], str(index), f"p{index}", split, None, None, None, f"H{index % 2}")
        rows.append(dict(zip(COLUMNS, facts, strict=True)) | {"mask": (paths[1],)})
    return ImageTable("films", (), pd.DataFrame(rows), terms="free")


@pytest.fixture(scope="module")
def run(films: ImageTable, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A short training of masks."""
    values = {
        "image": {"size": 32, "normalization": "zscore", "channels": 1, "fit": "letterbox"},
        "model": {"backbone": "regnetx_002", "in_channels": 1, "decoder": [8]},
        "phases": [{"epochs": 12, "batch_size": 4, "learning_rate": 0.02}],
        "precision": "fp32",
    }
    recipe = from_mapping(Recipe, values, where="test")
    return train(
        recipe,
        films,
        tmp_path_factory.mktemp("run") / "run",
        cache=Path(tmp_path_factory.mktemp("cache")),
    )


def test_a_run_of_masks_becomes_a_bundle_that_outlines_alike(
    run: Run, films: ImageTable, tmp_path: Path
) -> None:
    found = evaluate_masks(run, films, n_boot=20, cache=tmp_path / "cache")
    known = performance_of(found.to_json(), where="films")
    file = export_run(run, tmp_path / "outlines.lucid", performance=[known])
    bundle = load_bundle(file)
    assert bundle.task == "segmentation" and bundle.card.training.terms == "free"
    assert bundle.card.findings[0].snomed == "39607008"
    estimate = bundle.card.performance[0].measurements["Lungs"]["dice"]
    assert estimate.value == pytest.approx(found.measurements["Lungs"]["dice"].value)
    assert set(bundle.card.performance[0].subgroups["source"]) == {"H0", "H1"}
    for index in range(3):
        xray = read_xray(films.paths()[index])
        truth = np.asarray(Image.open(films.rows["mask"][index][0]))
        mask = bundle.segment(xray)
        overlap = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
        assert overlap == pytest.approx(found.values["dice"][index], abs=0.01)
        assert overlap > 0.8
