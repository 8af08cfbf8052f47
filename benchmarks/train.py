"""How fast training is, as ratios measured in one run.

1. A frozen backbone, 10 epochs: what a whole `lucidray.training.train` costs in feature passes,
   one feature pass being every image sent through the backbone once in the same precision.
2. Full fine-tuning: images per second of `train` with its own choices (bfloat16 where the
   processor gains, channels last, memory kept) against the plain float32 loop in torch. Each is
   measured in processes of its own, in turns, because the memory setting holds for a process.

    python benchmarks/train.py            # about ten minutes on two cores
    python benchmarks/train.py --quick    # smaller network and fewer images, about one minute
    python benchmarks/train.py --clock cpu --threads 1    # where others use the machine too
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from lucidray.config import from_mapping
from lucidray.datasets.table import COLUMNS, ImageTable
from lucidray.models import build_model, freeze, split_at_frozen
from lucidray.training import Recipe, prepare_task, this_machine, train
from lucidray.training.inputs import Normalized, to_unit

#: What tells the time (``--clock``).
CLOCK: dict[str, Callable[[], float]] = {"now": time.perf_counter}

GOAL_PASSES, GOAL_SPEED = 1.3, 3.5


def main() -> None:
    """Measure both and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller and sooner")
    parser.add_argument("--backbone", default=None, help="default: densenet121, quick: resnet18")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: processor seconds of the process; take it with --threads 1 on a shared machine",
    )
    parser.add_argument("--rounds", type=int, default=3, help="processes of each kind")
    parser.add_argument("--worker", choices=("plain", "ours", "frozen"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.clock == "cpu":
        CLOCK["now"] = time.process_time
    options.backbone = options.backbone or ("resnet18" if options.quick else "densenet121")
    torch.set_num_threads(options.threads)
    if options.worker:
        print(json.dumps(WORKERS[options.worker](options)))
        return
    precision = this_machine().precision
    print(
        f"{options.backbone}, 224 x 224, {options.threads} threads, {options.clock} clock, "
        f"chosen precision {precision}"
    )
    report_frozen(run_worker("frozen"))
    report_speed(options)


def report_frozen(found: dict[str, float]) -> None:
    """Print what a frozen training costs."""
    print(
        f"frozen backbone, 10 epochs, {found['images']:.0f} images: {found['train']:.1f} s; "
        f"one feature pass {found['pass']:.1f} s; ratio {found['train'] / found['pass']:.2f} "
        f"(goal <= {GOAL_PASSES})"
    )


def report_speed(options: argparse.Namespace) -> None:
    """Run both loops in turns and print their speeds."""
    rates: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(1 if options.quick else options.rounds):
        for kind, known in rates.items():
            known.append(run_worker(kind)["rate"])
    for kind, known in rates.items():
        spread = f"{min(known):.1f} to {max(known):.1f}"
        print(f"full fine-tuning, {kind}: {statistics.median(known):.1f} images/s ({spread})")
    ratio = statistics.median(rates["ours"]) / statistics.median(rates["plain"])
    print(f"full fine-tuning, ours / plain fp32: {ratio:.2f} (goal >= {GOAL_SPEED}, aim 5.5)")


def run_worker(kind: str) -> Any:
    """Run this file again as a worker and return what it measured."""
    command = [sys.executable, __file__, *sys.argv[1:], "--worker", kind]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure_plain(options: argparse.Namespace) -> dict[str, float]:
    """Train as one writes it without thinking: float32, rows first, Adam."""
    model = build_model(recipe(options).model, ["Finding"]).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    images, labels = torch.randn(32, 3, 224, 224), torch.randint(0, 2, (32, 1)).float()
    marks = []
    for _ in range(4):
        marks.append(CLOCK["now"]())
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(images), labels)
        loss.backward()
        optimizer.step()
    return {"rate": rate([*marks, CLOCK["now"]()])}


def measure_ours(options: argparse.Namespace) -> dict[str, float]:
    """Train a recipe, and look at the clock after each step."""
    marks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        table = make_table(place, 32 * (5 if options.quick else 8) + 4, validation=4)
        train(
            recipe(options, policy="full", epochs=1),
            table,
            place / "run",
            cache=place,
            progress=lambda *_: marks.append(CLOCK["now"]()),
        )
    return {"rate": rate(marks)}


def measure_frozen(options: argparse.Namespace) -> dict[str, float]:
    """Train a head for ten epochs, and send the same images through the backbone once."""
    count = 128 if options.quick else 512
    chosen = recipe(options, policy="frozen", epochs=10)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        table = make_table(place, count, validation=count // 8)
        small = make_table(place / "small", 16, validation=4)
        train(chosen, small, place / "warm", cache=place)
        task = prepare_task(chosen, table, cache=place)
        feature_pass(chosen, task)
        before = feature_pass(chosen, task)
        start = CLOCK["now"]()
        train(chosen, table, place / "run", cache=place)
        spent = CLOCK["now"]() - start
        after = feature_pass(chosen, task)
    return {"train": spent, "pass": (before + after) / 2, "images": count}


def feature_pass(chosen: Recipe, task: Any) -> float:
    """Return the seconds that one pass of all images through the frozen backbone takes."""
    model = build_model(chosen.model, ["Finding"]).to(memory_format=torch.channels_last).train()
    freeze(model, "frozen")
    split = split_at_frozen(model)
    if split is None:
        raise SystemExit(f"{chosen.model.backbone} cannot be split")
    trunk, machine = Normalized(split.trunk, chosen.image), this_machine()
    start = CLOCK["now"]()
    for part in (task.train.examples, task.validation.examples):
        for first in range(0, len(part), 32):
            indices = np.arange(first, min(first + 32, len(part)))
            with torch.no_grad(), machine.autocast():
                trunk(to_unit(part.fetch(indices)[0]))
    return CLOCK["now"]() - start


def rate(marks: list[float]) -> float:
    """Return images per second from the ends of steps, the first step left out as warm-up."""
    steps = np.diff(marks)[1:]
    return 32 / float(np.median(steps))


def recipe(options: argparse.Namespace, **phase: Any) -> Recipe:
    """Return a recipe with every default but the network and the length."""
    values = {
        "data": {"findings": ["Finding"]},
        "model": {"backbone": options.backbone},
        "phases": [{"batch_size": 32, "learning_rate": 1e-4, **phase}],
    }
    return from_mapping(Recipe, values, where="benchmark")


def make_table(folder: Path, count: int, *, validation: int) -> ImageTable:
    """Write images of noise and return their table."""
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(0)
    rows = []
    for index in range(count):
        path = folder / f"{index}.png"
        Image.fromarray(generator.integers(0, 256, (224, 224), np.uint8)).save(path)
        split = "validation" if index < validation else "train"
        facts = (str(path), str(index), str(index), split, None, None, None, None)
        rows.append(dict(zip(COLUMNS, facts, strict=True)) | {"Finding": np.float32(index % 2)})
    return ImageTable("noise", ("Finding",), pd.DataFrame(rows))


WORKERS = {"plain": measure_plain, "ours": measure_ours, "frozen": measure_frozen}

if __name__ == "__main__":
    main()
