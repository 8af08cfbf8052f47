"""The page that ``lucidray evaluate --html`` and ``lucidray demo`` write."""

from __future__ import annotations

import csv
import shlex
import sys
from pathlib import Path

import numpy as np

from lucidray.cli.progress import Tick
from lucidray.images.color_maps import color_table
from lucidray.images.read import read_xray
from lucidray.images.render import overlay, to_rgb
from lucidray.pipeline import diagnose
from lucidray.records import Float32
from lucidray.report import Legend, Note, Panel, Panels, write_report
from lucidray.report.evaluation import Account, Judged, evaluation_report
from lucidray.training import Evaluation, Run, RunReader, open_reader

#: Below this part of its maximum a map is not drawn.
_THRESHOLD = 0.2

#: Subgroups that a table may know.
_ATTRIBUTES = {"sex": "sex", "view_position": "view position", "source": "source"}


def write_page(
    found: Evaluation,
    run: Run,
    path: Path,
    *,
    title: str = "",
    lede: str = "",
    progress: Tick | None = None,
) -> Path:
    """Write the report of an evaluation, with explained images.

    Args:
        found: The evaluation.
        run: The run that was evaluated.
        path: The HTML file.
        title: The page's heading; empty: backbone and data set.
        lede: A sentence under the heading; empty: what was judged on what.
        progress: Called with images explained and in all.
    """
    judged = Judged(
        found.findings,
        found.labels.astype(np.float64),
        found.predictions.probabilities.astype(np.float64),
        groups=np.array(found.patients),
        operating_points=found.operating_points,
        exclusive=run.exclusive,
        attributes=_attributes(found),
    )
    account = Account(
        title=title or f"{run.recipe.model.backbone} on {found.images.name}",
        lede=lede or _lede(found, run),
        history=_history(run),
        panels=_panels(found, open_reader(run), progress),
        commands=(shlex.join(["lucidray", *sys.argv[1:]]),),
        notes=_metadata(found),
    )
    return write_report(evaluation_report(judged, account), path)


def _metadata(found: Evaluation) -> tuple[Note, ...]:
    """Set the film, metadata and both side by side, so that none is taken for the other."""
    if not found.beside:
        return ()
    titles = {"film": "the film alone", "metadata": "metadata alone", "together": "both"}
    lines = [
        f"AUC by {titles[kind]}: " + ", ".join(f"{name} {each}" for name, each in values.items())
        for kind, values in found.beside.items()
    ]
    gaps = ", ".join(f"{name} in {share:.0%}" for name, share in found.missing.items())
    return (
        Note(
            (
                "This model takes metadata beside the film. What metadata alone tell, the film "
                "need not show.",
                *lines,
                f"Missing, so counted as average: {gaps}. The explained images below are files "
                "without a table, so only what their own tags say counts there.",
            )
        ),
    )


def _lede(found: Evaluation, run: Run) -> str:
    patients = len(set(found.patients))
    return (
        f"{len(found.labels):,} images of {patients:,} patients, judged by a model that was "
        f"trained on {run.facts['data']['train']:,} images of {run.facts['data']['name']}."
    )


def _attributes(found: Evaluation) -> dict[str, np.ndarray]:
    rows = found.images.rows
    return {
        name: rows[column].to_numpy(dtype=object)
        for column, name in _ATTRIBUTES.items()
        if rows[column].nunique() > 1
    }


def _history(run: Run) -> dict[str, dict[str, list[float]]]:
    """Read the first member's curves: quantity → part → one value an epoch."""
    curves: dict[str, dict[str, list[float]]] = {}
    with (run.folder / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["seed"] == str(run.recipe.seeds[0])]
    for column in rows[0] if rows else ():
        part, _, quantity = column.partition("_")
        if part in ("train", "val") and quantity in ("loss", "auc"):
            name = {"train": "train", "val": "validation"}[part]
            curves.setdefault(quantity, {})[name] = [float(row[column] or "nan") for row in rows]
    return curves


def _panels(
    found: Evaluation, reader: RunReader, progress: Tick | None, *, most: int = 12
) -> Panels:
    """Explain typical images: for each finding in turn one that is right and one that is wrong."""
    cases = list(dict.fromkeys(_cases(found)))[:most]
    legend = Legend(color_table("inferno"), "0", "its maximum", "positive part of the map")
    caption = (
        "Grad-CAM of the logit on the film's own pixels. A map shows where the model looked, "
        "not the outline of a lesion."
    )
    panels = []
    for number, case in enumerate(cases, start=1):
        panels.append(_panel(found, reader, *case))
        if progress is not None:
            progress(number, len(cases))
    return Panels(tuple(panels), caption, legend)


def _cases(found: Evaluation) -> list[tuple[int, int]]:
    """Return (image, finding) pairs, taking turns over findings."""
    turns: list[list[tuple[int, int]]] = []
    for column in range(len(found.findings)):
        right, wrong = _right_and_wrong(found, column)
        turns.append([(row, column) for row in (*_typical(found, right, column), *wrong)])
    longest = max((len(turn) for turn in turns), default=0)
    return [turn[i] for i in range(longest) for turn in turns if i < len(turn)]


def _right_and_wrong(found: Evaluation, column: int) -> tuple[np.ndarray, list[int]]:
    label = found.labels[:, column]
    probability = found.predictions.probabilities[:, column]
    called = probability >= np.float32(found.operating_points.get(found.findings[column], 0.5))
    wrong = np.flatnonzero((label == 1) != called)
    wrong = wrong[~np.isnan(label[wrong])]
    farthest = wrong[np.argsort(-np.abs(probability[wrong] - label[wrong]), kind="stable")]
    return np.flatnonzero((label == 1) & called), [int(row) for row in farthest[:2]]


def _typical(found: Evaluation, rows: np.ndarray, column: int) -> list[int]:
    probability: Float32 = found.predictions.probabilities[rows, column]
    if not len(rows):
        return []
    order = np.argsort(np.abs(probability - np.median(probability)), kind="stable")
    return [int(row) for row in rows[order[:2]]]


def _panel(found: Evaluation, reader: RunReader, row: int, column: int) -> Panel:
    finding = found.findings[column]
    xray = read_xray(found.images.rows["path"].iloc[row])
    diagnosis = diagnose(xray, reader, findings=[finding])
    attribution = diagnosis.attributions[0]
    probability = float(diagnosis.prediction.probabilities[column])
    present = bool(found.labels[row, column] == 1)
    right = diagnosis.prediction.positive(finding) == present
    shown = overlay(xray.pixels, attribution.values, threshold=_THRESHOLD)
    status = "" if attribution.status == "ok" else attribution.status.replace("_", " ")
    return Panel(
        (("film", to_rgb(xray.pixels)), (status or "where the model looked", shown)),
        f"{finding}: {'present' if present else 'absent'}",
        (("probability", f"{probability:.2f}"),),
        "good" if right else "bad",
    )
