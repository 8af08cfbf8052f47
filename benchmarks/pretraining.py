"""What pretraining is worth: a linear probe and fine-tuning, against random weights.

A backbone starts from random weights, or from what SimCLR, masked restoring or triplets made of the
same training films. Then a head alone is trained on it (the linear probe), and everything is; both
on all labeled training films and on a tenth of the patients. Each is measured on held-out patients,
and against its twin that started from random weights: the same films, order, epochs and rates.

    python benchmarks/pretraining.py DATA --out FOLDER                # about 15 minutes of one core
    python benchmarks/pretraining.py DATA --out FOLDER --films 200 --epochs 1     # a smoke test

Goes on where it was stopped. One seed: intervals are over patients, not over trainings. Triplets
know the findings of the films that they learn from; the two others do not.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lucidray.config import from_mapping
from lucidray.datasets import ImageTable, load_dataset
from lucidray.datasets.split import assign_splits
from lucidray.metrics import compare_binary
from lucidray.training import (
    Evaluation,
    Pretraining,
    Recipe,
    evaluate,
    pretrain,
    train,
)
from lucidray.training.fit import patients

STARTS = ("random", "simclr", "masked", "triplet")
WAYS = {"linear probe": "classifier_only", "all of it": "full"}
SHARES = (1.0, 0.1)


@dataclass(frozen=True)
class Plan:
    """What is trained, and on how much.

    Args:
        out: Folder of all runs.
        backbone: A timm name.
        size: Edge of the images in pixels.
        epochs: Of pretraining, and of each training on findings.
        finding: What is judged.
    """

    out: Path
    backbone: str
    size: int
    epochs: tuple[int, int]
    finding: str

    def shared(self) -> dict[str, Any]:
        """Return what pretraining and training have in common."""
        return {
            "data": {"findings": [self.finding], "validation": 0.15},
            "image": {"size": self.size, "channels": 1, "normalization": "zscore"},
            "model": {"backbone": self.backbone, "in_channels": 1},
            "precision": "fp32",
        }

    def pretraining(self, method: str) -> Pretraining:
        """Return the pretraining by a method."""
        phase = {
            "epochs": self.epochs[0], "batch_size": 64, "learning_rate": 1e-3, "warmup_epochs": 0.5,
        }  # fmt: skip
        values = self.shared() | {"method": method, "patch": self.size // 8, "phase": phase}
        return from_mapping(Pretraining, values, where="benchmark")

    def recipe(self, way: str, weights: str) -> Recipe:
        """Return the recipe that goes on from some weights, by probe or as a whole."""
        probe = WAYS[way] == "classifier_only"
        phase = {
            "policy": WAYS[way],
            "epochs": 60 if probe else self.epochs[1],
            "batch_size": 32,
            "learning_rate": 1e-2 if probe else 1e-3,
            "monitor": "val_loss",
        }
        values = self.shared()
        values["model"] = values["model"] | {"weights": weights}
        return from_mapping(Recipe, values | {"phases": [phase]}, where="benchmark")


def main() -> None:
    """Pretrain, train, measure, print, and keep it all as JSON."""
    options = _options()
    torch.set_num_threads(options.threads)
    plan = Plan(
        options.out, options.backbone, options.size, (options.pretrain_epochs, options.epochs),
        options.finding,
    )  # fmt: skip
    table = _table(options.data, options.films)
    counts = table.rows["split"].value_counts()
    print(f"{table.name}: {counts['train']} films to learn from, {counts['test']} to measure on.")
    rows: list[dict[str, Any]] = []
    for way in options.ways:
        for share in SHARES:
            twin: Evaluation | None = None
            for start in options.starts:
                found = _trained(plan, table, start, way, share)
                rows.append(_row(found, twin, start=start, way=way, share=share))
                twin = twin or found
                _tell(rows[-1])
                text = json.dumps(rows, indent=1) + "\n"
                (plan.out / "results.json").write_text(text, encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--backbone", default="resnet10t")
    parser.add_argument("--finding", default="Pneumonia")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument(
        "--films", type=int, default=1600, help="to learn from; half as many tested"
    )
    parser.add_argument("--pretrain-epochs", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=6, help="of training all of it")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=STARTS)
    parser.add_argument("--ways", nargs="+", choices=tuple(WAYS), default=tuple(WAYS))
    return parser.parse_args()


def _table(folder: Path, films: int) -> ImageTable:
    """Split by patient anew, and keep some patients of each part."""
    table = assign_splits(
        load_dataset(folder).present(), validation=0.15, test=0.25, seed=0, official=False,
        keep_validation=False,
    )  # fmt: skip
    wanted = {"train": films, "validation": films // 6, "test": films // 2}
    keep = np.zeros(len(table), dtype=bool)
    for split, count in wanted.items():
        keep |= _some(table, split, count)
    return table.where(keep)


def _some(table: ImageTable, split: str, count: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Mark about so many films of a split, patients whole, in an order of their own."""
    inside = (table.rows["split"] == split).to_numpy()
    names = np.array(patients(table))
    order = np.random.default_rng(1).permutation(np.unique(names[inside]))
    sizes = [int((names[inside] == name).sum()) for name in order]
    chosen = order[: int(np.searchsorted(np.cumsum(sizes), count)) + 1]
    return np.asarray(inside & np.isin(names, chosen))


def _trained(plan: Plan, table: ImageTable, start: str, way: str, share: float) -> Evaluation:
    weights = "none"
    if start != "random":
        folder = plan.out / f"pretrained_{start}"
        weights = str(folder / "backbone.safetensors")
        if not Path(weights).is_file():
            pretrain(plan.pretraining(start), table, folder, resume=folder.exists())
    name = f"{start}_{WAYS[way]}_{share:g}"
    part = table
    if share < 1:
        learned = int((table.rows["split"] == "train").sum() * share)
        part = table.where(_some(table, "train", learned) | _others(table))
    place = plan.out / name
    run = train(plan.recipe(way, weights), part, place, resume=place.exists())
    return evaluate(run, table.split("test"), n_boot=2000)


def _others(table: ImageTable) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.asarray((table.rows["split"] != "train").to_numpy(), dtype=bool)


def _row(found: Evaluation, twin: Evaluation | None, **facts: Any) -> dict[str, Any]:
    auc = found.measurements[found.findings[0]]["auc"]
    row = facts | {"auc": [auc.value, auc.low, auc.high], "films": auc.count}
    if twin is None:
        return row
    gap = compare_binary(
        found.labels[:, 0],
        found.predictions.probabilities[:, 0],
        twin.predictions.probabilities[:, 0],
        groups=found.patients,
        only=["auc"],
    )["auc"].difference
    return row | {"gain": [gap.value, gap.low, gap.high]}


def _tell(row: dict[str, Any]) -> None:
    auc = "{:.3f} [{:.3f}, {:.3f}]".format(*row["auc"])
    gain = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*row["gain"]) if "gain" in row else ""
    print(f"{row['share']:4.0%} labels  {row['way']:13} {row['start']:8} {auc}  {gain}", flush=True)


if __name__ == "__main__":
    main()
