"""Several processes train one model: as one does, quietly, whoever starts them."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from training_stand_ins import small

from lucidray.datasets.table import ImageTable
from lucidray.errors import ConfigError
from lucidray.training import Run, load_run, train
from lucidray.training.crew import first, leads, one_by_one, size, speaks

#: A network without batch normalization, and batches (10 and 4) that two processes can halve.
RECIPE = """
precision = "fp32"

[data]
validation = 0.42
split_seed = 1

[image]
size = 32
channels = 3
normalization = "unit"

[model]
backbone = "test_convnext"
weights = "none"

[[phases]]
policy = "full"
optimizer = "sgd"
epochs = 2
batch_size = 10
learning_rate = 0.05
"""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """25 films of two classes."""
    folder = tmp_path_factory.mktemp("crew")
    rng = np.random.default_rng(0)
    for place, name in enumerate(("normal", "pneumonia")):
        (folder / name).mkdir()
        for number in range(13 - place):
            pixels = rng.integers(60, 120, (40, 40))
            pixels[4:16, 4 + 12 * place : 14 + 12 * place] += 100
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number:02d}.png")
    return folder


def command(films: Path, out: Path) -> list[str]:
    (out.parent / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    recipe = str(out.parent / "recipe.toml")
    return ["train", recipe, "--data", str(films), "--out", str(out)]


def history(run: Run) -> list[dict[str, float]]:
    with (run.folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{k: float(v) for k, v in row.items() if k != "seconds"} for row in rows]


@pytest.mark.slow
def test_what_torchrun_starts_learns_what_one_process_does(films: Path, tmp_path: Path) -> None:
    own = {"LUCIDRAY_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    said = {}
    for name, start in (
        ("alone", []),
        ("together", ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]),
    ):
        said[name] = subprocess.run(
            [sys.executable, "-m", *start, "lucidray", *command(films, tmp_path / name)],
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            timeout=400,
        )
        assert said[name].returncode == 0, said[name].stderr
    alone, together = load_run(tmp_path / "alone"), load_run(tmp_path / "together")
    assert together.facts["machine"]["devices"] == 2
    assert together.facts["data"]["validation"] % 2, "one process must see an image more"
    torch.testing.assert_close(
        load_file(together.weights[0]), load_file(alone.weights[0]), rtol=1e-4, atol=1e-6
    )
    for ours, theirs in zip(history(together), history(alone), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5, nan_ok=True)
    shared, own_logits = (np.load(run.folder / "validation.npz") for run in (together, alone))
    np.testing.assert_allclose(shared["logits"], own_logits["logits"], rtol=1e-4, atol=1e-6)
    assert said["together"].stdout.count("Trained on") == 1
    assert "distributed_backend" not in said["together"].stdout + said["together"].stderr


@pytest.mark.slow
def test_processes_of_our_own_share_an_odd_number_of_images_quietly(
    table: ImageTable, cache: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    odd = table.where(np.arange(len(table)) != 31)
    recipe = small(phases__0__epochs=1, phases__0__batch_size=4)  # 11 images: 3 batches and 2
    run = train(recipe, odd, tmp_path / "run", devices=2)
    assert run.facts["data"]["validation"] == 11
    assert history(run)[0]["val_loss"] > 0
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


def test_a_process_of_its_own_leads_and_decides() -> None:
    assert (size(), leads(), speaks()) == (1, True, True)
    assert first(lambda: "decided") == one_by_one(lambda: "decided") == "decided"

    def refuse() -> None:
        raise ConfigError("not so")

    with pytest.raises(ConfigError, match="not so"):
        first(refuse)
