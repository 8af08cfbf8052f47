"""Generated images whose finding is easy to learn, and recipes that are quick."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from lucidray.config import from_mapping, merge
from lucidray.datasets.table import COLUMNS, ImageTable
from lucidray.training.recipe import Recipe

torch.set_num_threads(1)

SMALL = {
    "image": {"size": 32, "normalization": "unit", "channels": 1},
    "model": {"backbone": "baseline_cnn", "in_channels": 1},
    "phases": [{"epochs": 2, "batch_size": 8, "learning_rate": 0.01}],
    "precision": "fp32",
}


def small(**changes: object) -> Recipe:
    """A quick recipe with some keys changed (dots as double underscores)."""
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    return from_mapping(Recipe, merge(SMALL, dotted), where="test")


def make_table(folder: Path, count: int = 32, classes: int = 0) -> ImageTable:
    """Write images whose brightness in a corner shows the finding, two images a patient."""
    rng = np.random.default_rng(0)
    names = [f"class_{k}" for k in range(classes)] or ["Pneumonia", "Effusion"]
    rows = []
    for index in range(count):
        pixels = rng.integers(60, 120, (40, 40))
        if classes:
            labels = np.eye(classes)[index % classes]
        else:
            labels = np.array([index // 2 % 2, index // 4 % 2])
        for place, present in enumerate(labels):
            pixels[4:16, 4 + 12 * place : 14 + 12 * place] += int(100 * present)
        path = folder / f"{index}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        split = "validation" if index % 16 >= 10 else "train"
        facts = (str(path), str(index), f"p{index // 2}", split, None, None, None, None)
        rows.append(dict(zip(COLUMNS, facts, strict=True)) | dict(zip(names, labels, strict=True)))
    frame = pd.DataFrame(rows).astype(dict.fromkeys(names, np.float32))
    return ImageTable("generated", tuple(names), frame, exclusive=classes > 0)
