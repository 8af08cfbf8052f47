"""One local cluster of two worker processes, and a tiny data set, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("ray", reason="needs Ray: pip install 'lucidray[cluster]'")

from lucidray.cli import app
from lucidray.cli.mistakes import run
from lucidray.cluster import connected

RECIPE = """
precision = "fp32"

[data]
validation = 0.3

[image]
size = 32
channels = 1
normalization = "unit"

[model]
backbone = "baseline_cnn"
in_channels = 1

[[phases]]
epochs = 2
batch_size = 8
learning_rate = 0.01
"""

#: Runs a command line in this process and returns its exit code.
Command = Callable[..., int]


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """Be part of a cluster of two processors; its address serves every command."""
    with connected("local", cpus=2):
        yield "local"


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep decoded pixels out of the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUCIDRAY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def command() -> Command:
    """Run a command line in this process."""
    return lambda *argv: run(app, [str(word) for word in argv])


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe and 32 films of two classes that differ by where they are bright."""
    folder = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(0)
    for place, name in enumerate(("normal", "pneumonia")):
        (folder / "films" / name).mkdir(parents=True)
        for number in range(16):
            pixels = rng.integers(60, 120, (40, 40))
            pixels[4:16, 4 + 12 * place : 14 + 12 * place] += 100
            path = folder / "films" / name / f"{number:02d}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    return folder
