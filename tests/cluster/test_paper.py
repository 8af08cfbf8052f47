"""``lucidray paper run --cluster``: the numbers of one process, wherever arms are trained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lucidray.datasets.phantom import PhantomConfig, write_phantoms
from lucidray.papers import Plan, papers, run
from lucidray.papers.spreading import each, quietly
from lucidray.papers.transfer_grid import experiment
from lucidray.papers.transfer_grid.protocol import Settings, Source, settings


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated films in the layout of the pediatric pneumonia set."""
    root, rng = tmp_path_factory.mktemp("films"), np.random.default_rng(0)
    for place, name in enumerate(("NORMAL", "PNEUMONIA")):
        (root / "train" / name).mkdir(parents=True)
        for person in range(1, 25):
            pixels = rng.integers(60, 120, (48, 48))
            pixels[8:40, 6 + 20 * place : 18 + 20 * place] += 90
            file = f"NORMAL2-IM-{person:04d}-0001.jpeg"
            if place:
                file = f"person{person}_{'virus' if person % 2 else 'bacteria'}_{person}.jpeg"
            Image.fromarray(pixels.astype(np.uint8)).save(root / "train" / name / file, quality=95)
    return root


def numbers(outcome: Any) -> Any:
    """Return results without times."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: timeless(v) for k, v in value.items() if "second" not in k}
        return [timeless(v) for v in value] if isinstance(value, list) else value

    return timeless(json.loads(outcome.results.read_text(encoding="utf-8")))


def test_arms_on_workers_come_to_the_numbers_of_one_process(
    films: Path, cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    found = []
    for name, where in (("alone", None), ("apart", cluster)):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)  # results name their folder
        asked = {"mode": "faithful", "scale": "smoke", "cluster": where}
        found.append(run(papers["lung_crop"], films, "out", **asked))
        found[-1] = numbers(found[-1])
    assert found[0] == found[1]
    assert found[0]["runs"]


def tiny(*asked: Any, **options: Any) -> Settings:
    """Return scale smoke, smaller still: four networks, the sources of two, a grid of two."""
    return replace(
        settings(*asked, **options),
        size=32,
        images=40,
        epochs=1,
        grid_epochs=1,
        grid_policies=("last_block",),
        grid_rates=(1e-3,),
        grid_batches=(16,),
        replicates=20,
        source=Source(images=16, size=128, epochs=1),
    )


@pytest.mark.slow
def test_sources_arms_and_a_grid_on_workers_come_to_the_numbers_of_one_process(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(experiment, "settings", tiny)
    data = tmp_path / "films"
    write_phantoms(data, 60, PhantomConfig(size=128, abundance=1.2, images_per_patient=1.5), seed=5)
    found = []
    for name, where in (("alone", None), ("apart", cluster)):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)  # results name their folder
        asked = {"mode": "faithful", "scale": "smoke", "cluster": where}
        found.append(numbers(run(papers["transfer_grid"], data, "out", **asked)))
    assert found[0] == found[1]
    assert len(found[0]["grid"]["settings"]) == 2
    assert {told["arm"] for told in found[0]["runs"]} > {"cnn", "densenet121"}


def test_parts_are_done_in_order_here_and_there(cluster: str, tmp_path: Path) -> None:
    def part(plan: Plan, number: int, tell: Any) -> tuple[int, str]:
        tell(1, 2)
        return number, plan.cluster

    plan, told = Plan(tmp_path, tmp_path), list[tuple[int, int]]()
    calls, tells = [(1,), (2,)], [lambda done, total: told.append((done, total))] * 2
    assert each(plan, part, calls, tells) == [(1, ""), (2, "")]
    assert told == [(1, 2)] * 2
    apart = Plan(tmp_path, tmp_path, cluster=cluster)
    assert each(apart, part, calls, tells) == [(1, ""), (2, "")]
    assert told[2:] == [(1, 1)] * 2
    assert quietly(1, "part")(1, 2) is quietly
