"""Measure a run on images that it has not seen, at its own operating points."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lucidray.bundle.metadata import Known
from lucidray.datasets.table import ImageTable
from lucidray.errors import DataError
from lucidray.metrics import measure_binary, measure_multiclass, measure_multilabel
from lucidray.records import Float32, Measurement
from lucidray.training.box_evaluation import measure_boxes
from lucidray.training.fit import patients
from lucidray.training.metadata import beside, known_rows, read_rule
from lucidray.training.pixels import CachedPixels, Progress, cache_folder
from lucidray.training.prediction import Predictions, predict_pixels, with_metadata
from lucidray.training.run import Run, plain
from lucidray.training.task import labeled_rows

Measured = Mapping[str, Mapping[str, Measurement]]

#: What stands at the top of the JSON, each with its interval beside it.
HEADLINES = (
    *("auc", "balanced_accuracy", "accuracy", "sensitivity", "specificity"),
    *("average_precision", "precision", "f1", "detection_ap50", "detection_ap"),
)


@dataclass(frozen=True)
class Evaluation:
    """How well a run does on a set of images.

    Args:
        images: What was measured, one row an image.
        findings: F names.
        labels: float32 ``(N, F)``: 1, 0 or nan.
        predictions: Of the same images.
        patients: The patient of each image.
        operating_points: The run's own, chosen on its validation images.
        measurements: By finding and name; for several findings also ``"macro"``, ``"weighted"``
            and ``"micro"``, and where findings exclude each other ``"overall"``.
        seen: How many of the images the run has learned from or validated on, byte for byte; any
            but zero makes the measurements too good.
        beside: Of a run that takes metadata: the AUC of the ``"film"`` alone, of the ``"metadata"``
            alone (a model that has seen no film) and of both ``"together"``, by finding.
        missing: Share of these images in which each attribute that the run takes is missing.
    """

    images: ImageTable
    findings: tuple[str, ...]
    labels: Float32
    predictions: Predictions
    patients: tuple[str, ...]
    operating_points: Mapping[str, float]
    measurements: Measured
    seen: int = 0
    beside: Measured = field(default_factory=dict)
    missing: Mapping[str, float] = field(default_factory=dict)

    def headline(self, name: str) -> Measurement | None:
        """Return the one number that stands for all findings: overall, else macro; None: none."""
        for group in ("overall", "macro", self.findings[0]):
            if name in self.measurements.get(group, {}):
                return self.measurements[group][name]
        return None

    def _metadata_json(self) -> dict[str, Any]:
        if not self.beside:
            return {}
        auc = {
            kind: {name: measurement_json(value) for name, value in values.items()}
            for kind, values in self.beside.items()
        }
        return {"metadata": {"auc": auc, "missing": self.missing}}

    def to_json(self) -> dict[str, Any]:
        """Return plain values: headline numbers, their intervals, and all by finding."""
        found = {name: self.headline(name) for name in HEADLINES}
        heads = {name: value for name, value in found.items() if value is not None}
        values: dict[str, Any] = plain(
            {
                "data": self.images.name,
                "images": len(self.labels),
                "seen_in_training": self.seen,
                "patients": len(set(self.patients)),
                "findings": self.findings,
                **{name: value.value for name, value in heads.items()},
                "intervals": {name: (value.low, value.high) for name, value in heads.items()},
                "operating_points": self.operating_points,
                "measurements": {
                    group: {name: measurement_json(value) for name, value in values.items()}
                    for group, values in self.measurements.items()
                },
                **self._metadata_json(),
            }
        )
        return values


def missing_shares(attributes: Sequence[str], known: Sequence[Known]) -> dict[str, float]:
    """Return of each attribute the share of films in which it is missing."""
    return {
        name: sum(each.get(name) is None for each in known) / max(len(known), 1)
        for name in attributes
    }


def evaluate(
    run: Run,
    table: ImageTable,
    *,
    n_boot: int = 2000,
    cache: str | Path | None = None,
    batch_size: int = 32,
    progress: Progress | None = None,
    reading: Progress | None = None,
) -> Evaluation:
    """Predict a table's images and measure the predictions.

    Args:
        run: A finished run.
        table: Images that the run has not learned from; its findings must include the run's.
        n_boot: Bootstrap replicates, drawn by patient; 0: no intervals.
        cache: Folder of decoded pixels; None: the user's cache folder.
        batch_size: Images at a time.
        progress: Called with images done and in all, over all members.
        reading: Called before that with images decoded and in all.

    Returns:
        The measurements. Rates are at the run's own operating points; where findings exclude each
        other, of the likeliest one. Of a run with a detector also ``detection_ap50`` and
        ``detection_ap`` of each finding with boxes, and under ``"macro"`` their means.

    Raises:
        DataError: No image is labeled with the run's findings.
        UnknownNameError: The table lacks a finding of the run.
    """
    table = table.present()
    table = table.where(labeled_rows(table, run.findings))
    if not len(table):
        raise DataError(
            f"no image of '{table.name}' is here and labeled with {', '.join(run.findings)}."
        )
    folder = cache_folder() if cache is None else Path(cache)
    pixels = CachedPixels(table.paths(), run.recipe.image, folder, reading)
    pixels.check()
    film = predict_pixels(run, pixels, batch_size=batch_size, progress=progress)
    labels, groups = table.labels(run.findings), patients(table)
    rule, known = read_rule(run), known_rows(table)
    found = film if rule is None else with_metadata(film, rule, known, exclusive=run.exclusive)
    apart: dict[str, dict[str, Measurement]] = {}
    if rule is not None:
        answers = {
            "film": film.logits,
            "metadata": rule.alone(known).astype(np.float32),
            "together": found.logits,
        }
        apart = beside(labels, answers, run.findings, groups=groups, n_boot=n_boot)
    measured = measure(run, labels, found.probabilities, groups, n_boot=n_boot)
    if run.detects:
        boxes = measure_boxes(run, table, pixels, groups, n_boot=n_boot)
        measured = {name: {**values, **boxes.get(name, {})} for name, values in measured.items()}
    return Evaluation(
        images=table,
        findings=run.findings,
        labels=labels,
        predictions=found,
        patients=tuple(groups),
        operating_points=dict(run.operating_points),
        measurements=measured,
        beside=apart,
        missing=missing_shares(run.recipe.data.metadata, known),
        seen=count_seen(run, pixels),
    )


def measure(
    run: Run, labels: Float32, probabilities: Float32, groups: list[str], *, n_boot: int = 2000
) -> Measured:
    """Measure probabilities at a run's operating points.

    Args:
        run: Gives findings and operating points.
        labels: ``(N, F)``: 1, 0 or nan.
        probabilities: ``(N, F)``.
        groups: The patient of each image.
        n_boot: Bootstrap replicates; 0: no intervals.

    Returns:
        Measurements by finding (or average) and name.
    """
    points, names = run.operating_points, run.findings
    if run.exclusive:
        return measure_multiclass(
            labels, probabilities, classes=names, groups=groups, n_boot=n_boot
        )
    if len(names) == 1:
        threshold = points.get(names[0])
        single = measure_binary(
            labels[:, 0], probabilities[:, 0], threshold=threshold, groups=groups, n_boot=n_boot
        )
        return {names[0]: single}
    return measure_multilabel(
        labels, probabilities, findings=names, thresholds=points, groups=groups, n_boot=n_boot
    )


def count_seen(run: Run, pixels: CachedPixels) -> int:
    """Count the images that a run has learned from or validated on, byte for byte."""
    with (run.folder / "split.csv").open(encoding="utf-8", newline="") as file:
        known = {row["sha256"] for row in csv.DictReader(file)} - {""}
    return sum(digest in known for digest in pixels.digests())


def measurement_json(value: Measurement) -> dict[str, Any]:
    """Return a measurement as plain values."""
    return {
        "value": value.value,
        "low": value.low,
        "high": value.high,
        "count": value.count,
        "chance": value.chance,
        "undefined": value.undefined,
    }
