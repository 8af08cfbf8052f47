"""Tiny networks, and runs of them that were really trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from PIL import Image

from lucidray.config import from_mapping
from lucidray.datasets.table import COLUMNS, ImageTable
from lucidray.models import Classifier, ModelSpec, build_model
from lucidray.models.heads import build_head
from lucidray.training import Recipe, Run, train

torch.set_num_threads(1)

FINDINGS = ("Pneumonia", "Effusion")


def make_model(
    backbone: str = "baseline_cnn",
    size: int = 32,
    findings: tuple[str, ...] = FINDINGS,
    *,
    seed: int = 0,
    exclusive: bool = False,
    **spec: object,
) -> Classifier:
    torch.manual_seed(seed)
    described = ModelSpec(backbone=backbone, **spec)
    return build_model(described, findings, exclusive=exclusive, image_size=size).eval()


def make_transformer(
    hidden: tuple[int, ...] = (), seed: int = 0, *, width: int = 24, scale: float | None = 0.5
) -> Classifier:
    """A vision transformer of two blocks."""
    torch.manual_seed(seed)
    vit = timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=width, depth=2, num_heads=3, num_classes=0,
        init_values=scale,
    )  # fmt: skip
    head = build_head(width, 2, hidden=hidden, activation="gelu")
    spec = ModelSpec("vit_small", head="mlp" if hidden else "linear", hidden=hidden)
    return Classifier(vit, None, head, findings=FINDINGS, spec=spec, image_size=32).eval()


def make_table(folder: Path, count: int, classes: int) -> ImageTable:
    """Images whose brightness in a corner shows the finding, two images a patient."""
    rng = np.random.default_rng(0)
    names = [f"class_{k}" for k in range(classes)] or list(FINDINGS)
    rows = []
    for index in range(count):
        pixels = rng.integers(60, 120, (40, 36))
        labels = np.array([index // 2 % 2, index // 4 % 2])
        if classes:
            labels = np.eye(classes)[index % classes]
        for place, present in enumerate(labels):
            pixels[4:16, 2 + 11 * place : 12 + 11 * place] += int(60 * present)
        path = folder / f"{index}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        split = "validation" if index % 16 >= 8 else "train"
        facts = (str(path), str(index), f"p{index // 2}", split, None, None, None, None)
        rows.append(dict(zip(COLUMNS, facts, strict=True)) | dict(zip(names, labels, strict=True)))
    frame = pd.DataFrame(rows).astype(dict.fromkeys(names, np.float32))
    return ImageTable("generated", tuple(names), frame, exclusive=classes > 0)


def make_run(folder: Path, monkeypatch: pytest.MonkeyPatch, classes: int, **recipe: object) -> Run:
    monkeypatch.setenv("LUCIDRAY_CACHE", str(folder / "cache"))
    (folder / "images").mkdir()
    values = {
        "image": {"size": 32, "normalization": "unit", "channels": 1, "fit": "letterbox"},
        "model": {"backbone": "baseline_cnn", "in_channels": 1},
        "phases": [{"epochs": 2, "batch_size": 8, "learning_rate": 0.01}],
        "precision": "fp32",
        **recipe,
    }
    table = make_table(folder / "images", 48, classes)
    return train(from_mapping(Recipe, values, where="test"), table, folder / "run")


@pytest.fixture(scope="session")
def films_of() -> Callable[[Path, int, int], ImageTable]:
    """Writes the generated films of `make_table`."""
    return make_table


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An ensemble of two networks with two findings, the mirror image averaged in."""
    with pytest.MonkeyPatch.context() as patch:
        return make_run(
            tmp_path_factory.mktemp("run"), patch, 0, seeds=[0, 1],
            test_time_augmentation="flip",
        )  # fmt: skip


@pytest.fixture(scope="session")
def exclusive_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A network that tells three classes apart."""
    with pytest.MonkeyPatch.context() as patch:
        return make_run(tmp_path_factory.mktemp("classes"), patch, 3)
