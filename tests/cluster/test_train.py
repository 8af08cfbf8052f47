"""``lucidray train --cluster``: two workers learn what one process does; one may be killed."""

from __future__ import annotations

import csv
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lucidray.errors import ClusterError, DataError
from lucidray.training import Run, fit_apart, load_recipe, load_run, train
from lucidray.training.fit_apart import train_apart

#: A network without batch normalization, and batches (of 22 images) that two workers can halve.
SHARED = {
    "image.channels": 3,
    "model": {"backbone": "test_convnext", "weights": "none"},
    "phases": [
        {"policy": "full", "optimizer": "sgd", "epochs": 8, "batch_size": 8, "learning_rate": 0.05}
    ],
}


def history(run: Run) -> list[dict[str, float]]:
    with (run.folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{k: float(v) for k, v in row.items() if k != "seconds"} for row in rows]


def test_two_workers_learn_what_one_process_does_though_one_is_killed(
    work: Path, cluster: str, monkeypatch: pytest.MonkeyPatch, command: Any
) -> None:
    mark, whole = work / "trained", fit_apart._work

    def killed_once(config: dict[str, Any]) -> None:
        def wait_and_die() -> None:
            while not any((work / "two" / "checkpoints").rglob("state.pt")):
                time.sleep(0.01)
            mark.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)

        if not mark.exists() and os.environ["RANK"] == "1":
            threading.Thread(target=wait_and_die, daemon=True).start()
        whole(config)

    monkeypatch.setattr(fit_apart, "_work", killed_once)
    torch.set_num_threads(1)
    recipe = load_recipe(work / "recipe.toml", overrides=SHARED)
    alone = train(recipe, work / "films", work / "one")
    out = work / "two"
    together = train_apart(recipe, work / "films", out, cluster=cluster, workers=2)
    assert mark.exists(), "no worker was killed"
    assert together.facts["machine"]["devices"] == 2
    torch.testing.assert_close(
        load_file(together.weights[0]), load_file(alone.weights[0]), rtol=1e-4, atol=1e-6
    )
    # Losses, not ranks: of films that a network hardly tells apart a float's last digit decides.
    for ours, theirs in zip(history(together), history(alone), strict=True):
        for name in ("train_loss", "val_loss", "learning_rate"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-4)
    assert not list(work.glob(".two*")), "Ray's own files are left behind"
    given = ("--data", work / "films", "--out", out, "--devices", 2, "--cluster", cluster)
    assert command("train", work / "recipe.toml", *given) == 2, "a folder that is in the way"
    assert load_run(out).operating_points == together.operating_points


def test_what_workers_refuse_and_too_many_of_them_are_told(work: Path, cluster: str) -> None:
    wrong = load_recipe(work / "recipe.toml", overrides={"data.findings": ["Normal", "Pneumonia"]})
    empty = work / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="empty"):
        train_apart(wrong, empty, work / "none", cluster=cluster, workers=1)
    with pytest.raises(ClusterError, match="the cluster has 2 processors"):
        train_apart(wrong, work / "films", work / "many", cluster=cluster, workers=9)
