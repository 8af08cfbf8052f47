"""From several runs to one bundle: joined, measured together, gated, and only then put in place."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lucidray.bundle.calibration import calibrate
from lucidray.bundle.card import Card, Performance
from lucidray.bundle.ensemble import How
from lucidray.cli.bundle_export import Order, gated, told_of
from lucidray.cli.choosing import choose_images, load_images
from lucidray.cli.progress import Bars
from lucidray.config import load_toml
from lucidray.datasets import ImageTable
from lucidray.errors import ExportError
from lucidray.export import About, card_of_ensemble, export_bundle
from lucidray.export.mixing import Mixture, join
from lucidray.training import Evaluation, Predictions, Run, evaluate, load_run, measure


def export_joined(
    order: Order, folders: Sequence[Path], how: How, stage: Bars
) -> tuple[Path, list[str]]:
    """Export several runs as one bundle.

    Args:
        order: What is wanted; its run is the first.
        folders: All runs.
        how: How their logits become one.
        stage: Makes the bars of the stages of the work.

    Returns:
        The bundle's file, and notes on what could not be done.

    Raises:
        LucidRayError: Anything that cannot be; then nothing is written.
    """
    about = About() if order.about is None else load_toml(order.about, About)
    runs = [load_run(folder) for folder in folders]
    card = card_of_ensemble(
        runs, order.out.stem, how=how, calibration=order.calibration, about=about
    )
    table = None if order.data is None else load_images(order.data, order.name, runs[0])
    if table is not None:
        card = replace(card, performance=(_performance(runs, card, table, order, stage),))
    order.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".lucidray-", dir=order.out.parent) as folder:
        made = Path(folder) / order.out.name
        stage("Writing the graph and comparing it with torch")(0, 1)
        export_bundle([model for run in runs for model in run.models()], card, made)
        notes = gated(made, runs[0], table, order, stage)
        made.replace(order.out)
    return order.out, notes


def _performance(
    runs: Sequence[Run], card: Card, table: ImageTable, order: Order, stage: Bars
) -> Performance:
    tick = stage("Telling new images from seen ones")
    chosen = choose_images(table, runs[0], order.split, tick)
    alone = [
        evaluate(
            run,
            chosen,
            n_boot=0,
            reading=stage("Reading images"),
            progress=stage(f"Run {number} of {len(runs)}"),
        )
        for number, run in enumerate(runs, start=1)
    ]
    return told_of(evaluate_joined(runs, card, alone, n_boot=order.n_boot), order.split)


def evaluate_joined(
    runs: Sequence[Run], card: Card, alone: Sequence[Evaluation], *, n_boot: int
) -> Evaluation:
    """Return what an ensemble does on images that each of its runs was measured on.

    Args:
        runs: The runs.
        card: The ensemble's card, which says how their logits become probabilities.
        alone: What each run does, on the same images.
        n_boot: Bootstrap replicates of the intervals.

    Raises:
        ExportError: The card is that of a single run.
    """
    rule, first = card.ensemble, alone[0]
    if rule is None:
        raise ExportError("the card tells of no ensemble; make it with card_of_ensemble.")
    mixture = Mixture(np.array(rule.weights), np.array(rule.intercepts))
    logits = join(np.stack([each.predictions.logits for each in alone]), mixture)
    shown = calibrate(logits, card.calibration, exclusive=card.exclusive)
    points = {name: point.threshold for name, point in card.operating_points.items()}
    judge = replace(runs[0], operating_points=points)
    return replace(
        first,
        predictions=Predictions(first.findings, logits, shown),
        operating_points=points,
        measurements=measure(judge, first.labels, shown, list(first.patients), n_boot=n_boot),
        seen=max(each.seen for each in alone),
    )
