"""Generated films in the layout of the pediatric pneumonia set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def film(rng: np.random.Generator, ill: bool, side: int = 48) -> Image.Image:
    """Draw two dark lungs in a bright chest; an ill one has a bright patch in one of them."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    grey = 0.75 - 0.1 * np.abs(columns - 0.5)
    for center in (0.33, 0.67):
        lung = ((rows - 0.5) / 0.28) ** 2 + ((columns - center) / 0.13) ** 2 < 1
        grey = np.where(lung, 0.25, grey)
    if ill:
        at = rng.choice([0.33, 0.67]), rng.uniform(0.4, 0.65)
        grey = grey + 0.35 * np.exp(-((rows - at[1]) ** 2 + (columns - at[0]) ** 2) / 0.008)
    noisy = np.clip(grey + rng.normal(0, 0.03, grey.shape), 0, 1)
    return Image.fromarray((noisy * 255).astype(np.uint8))


def write_films(root: Path, *, patients: int, split: str = "train", seed: int = 0) -> None:
    """Write films of normal and of ill children, one to three each, by the publisher's names."""
    rng = np.random.default_rng(seed)
    for folder in ("NORMAL", "PNEUMONIA"):
        (root / split / folder).mkdir(parents=True, exist_ok=True)
    first = 1 + 1000 * seed
    for person in range(first, first + patients):
        for number in range(1 + person % 3):
            name = f"NORMAL2-IM-{person:04d}-{number + 1:04d}.jpeg"
            film(rng, ill=False).save(root / split / "NORMAL" / name, quality=95)
            kind = "virus" if person % 2 else "bacteria"
            name = f"person{person}_{kind}_{person * 10 + number}.jpeg"
            film(rng, ill=True).save(root / split / "PNEUMONIA" / name, quality=95)


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a training split only, as one often finds it."""
    root = tmp_path_factory.mktemp("films")
    write_films(root, patients=30)
    return root


@pytest.fixture(scope="session")
def films_with_test(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the publisher's three splits."""
    root = tmp_path_factory.mktemp("films_with_test")
    write_films(root, patients=24)
    write_films(root, patients=4, split="val", seed=1)
    write_films(root, patients=8, split="test", seed=2)
    return root


@pytest.fixture
def few_films(tmp_path: Path) -> Path:
    """A folder with many ill and a single normal child."""
    write_films(tmp_path, patients=5)
    for path in (tmp_path / "train" / "NORMAL").iterdir():
        if "IM-0001" not in path.name:
            path.unlink()
    return tmp_path
