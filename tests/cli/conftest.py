"""A tiny data set, recipe and trained run that all tests of the command line share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lucidray.cli import app
from lucidray.cli.mistakes import run

torch.set_num_threads(1)

RECIPE = """
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


@dataclass(frozen=True)
class Answer:
    """What a command left behind: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        """Return the one JSON object that standard output must be."""
        lines = self.out.splitlines()
        assert len(lines) == 1, f"not one line: {self.out}{self.err}"
        value = json.loads(lines[0])
        assert isinstance(value, dict)
        return value


Command = Callable[..., Answer]


@pytest.fixture
def lucidray(capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process."""

    def call(*argv: object) -> Answer:
        capfd.readouterr()
        code = run(app, [str(word) for word in argv])
        said = capfd.readouterr()
        return Answer(code, said.out, said.err)

    return call


def write_films(folder: Path, classes: tuple[str, ...], count: int = 16, seed: int = 0) -> Path:
    """Write class folders whose classes differ by where the film is bright."""
    rng = np.random.default_rng(seed)
    for place, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(60, 120, (40, 40))
            pixels[4:16, 4 + 12 * place : 14 + 12 * place] += 100
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep decoded pixels out of the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUCIDRAY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data set ``mine`` (a space and an umlaut in its name) and a recipe."""
    folder = tmp_path_factory.mktemp("wörk [1] place")
    write_films(folder / "mine", ("normal", "pneumonia"))
    write_films(folder / "new", ("normal", "pneumonia"), 6, seed=1)
    write_films(folder / "other", ("normal", "fracture"), 2, seed=2)
    write_films(folder / "one_class", ("pneumonia",), 6, seed=3)
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    (folder / "file").write_text("text", encoding="utf-8")
    (folder / "empty").mkdir()
    return folder


@pytest.fixture(scope="session")
def trained(work: Path) -> Path:
    """A finished run."""
    folder = work / "runs" / "first"
    argv = ["train", work / "recipe.toml", "--data", work / "mine", "--out", folder]
    assert run(app, [str(word) for word in argv]) == 0
    return folder


@pytest.fixture
def here(work: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in the folder of `work`, as a user does."""
    monkeypatch.chdir(work)
    return work
