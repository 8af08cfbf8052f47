"""What an export reads of a finished run: its validation answers, operating points and training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lucidray.bundle.card import Estimate, OperatingPoint, Training
from lucidray.bundle.metadata import MetadataRule, load_rule
from lucidray.config import from_mapping, to_mapping
from lucidray.errors import ExportError
from lucidray.models.classifier import Classifier
from lucidray.models.segmenter import Segmenter
from lucidray.records import Float32


class TrainedRun(Protocol):
    """What a run folder holds, as `lucidray.training.run.load_run` gives it."""

    @property
    def folder(self) -> Path:
        """Where it lies."""

    @property
    def recipe(self) -> Any:
        """What it was trained by: `image`, `model`, `test_time_augmentation`, `seeds`."""

    @property
    def findings(self) -> tuple[str, ...]:
        """What it tells."""

    @property
    def exclusive(self) -> bool:
        """Whether exactly one finding holds."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """All of ``run.json``."""

    def models(self) -> Sequence[Classifier]:
        """Return the members with their best weights."""

    def segmenters(self) -> Sequence[Segmenter]:
        """Return the members of a run that makes masks."""


@dataclass(frozen=True)
class Validation:
    """Answers to validation images.

    Args:
        images: ``(N,)`` ids.
        logits: ``(N, F)``.
        labels: ``(N, F)``: 1, 0 or nan.
        patients: ``(N,)`` keys; None: not known.
        varied: ``(copies, N, F)`` logits of variants of the images; None: none were made.
    """

    images: npt.NDArray[np.str_]
    logits: Float32
    labels: Float32
    patients: npt.NDArray[np.str_] | None
    varied: Float32 | None


def training_of(run: TrainedRun) -> Training:
    """Return what a card tells of a run's training."""
    data = run.facts["data"]
    return Training(
        data=str(data["name"]),
        terms=str(data["terms"]) or "not stated",
        images=int(data["train"]),
        validation_images=int(data["validation"]),
        digest=str(run.facts["digest"]),
        recipe=without_places(to_mapping(run.recipe)),
        seeds=tuple(run.recipe.seeds),
    )


def without_places(values: Any) -> Any:
    """Shorten absolute paths to their last two parts: where files lay is nobody's business."""
    if isinstance(values, Mapping):
        return {key: without_places(value) for key, value in values.items()}
    if isinstance(values, list):
        return [without_places(value) for value in values]
    if isinstance(values, str) and Path(values).is_absolute():
        return str(Path(*Path(values).parts[-2:]))
    return values


def validation_of(run: TrainedRun) -> Validation:
    """Return a run's answers to its validation images, of the findings that it tells.

    Raises:
        ExportError: They are missing or damaged.
    """
    folder, told = run.folder, list(run.facts["findings"])
    columns = [told.index(name) for name in run.findings]
    try:
        with np.load(folder / "validation.npz", allow_pickle=False) as saved:
            patients = saved["patients"] if "patients" in saved.files else None
            varied = saved["varied_logits"] if "varied_logits" in saved.files else None
            return Validation(
                saved["images"],
                saved["logits"][:, columns],
                saved["labels"][:, columns],
                patients,
                None if varied is None else varied[..., columns],
            )
    except (OSError, KeyError, ValueError) as error:
        raise ExportError(
            f"{folder.name} has no readable validation.npz, which calibration is fitted on; train "
            "it anew, or name a finished run."
        ) from error


def metadata_of(run: TrainedRun) -> MetadataRule | None:
    """Return what metadata add to a run's logits, of the findings that it tells; None: nothing.

    Raises:
        ExportError: The run takes metadata, but its rule is missing or damaged.
    """
    if not run.recipe.data.metadata:
        return None
    try:
        return load_rule(run.folder / "metadata.json", run.facts["findings"], run.findings)
    except (OSError, ValueError) as error:
        raise ExportError(
            f"{run.folder.name} has no readable metadata.json; name a finished run."
        ) from error


def points_of(folder: Path) -> dict[str, OperatingPoint]:
    """Return the operating points of a run folder, on uncalibrated probabilities.

    Raises:
        ExportError: They are missing or damaged.
    """
    path = folder / "operating_points.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return {name: _point(point) for name, point in values.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExportError(
            f"{folder.name} has no readable operating_points.json; name a finished run."
        ) from error


def _point(values: Mapping[str, Any]) -> OperatingPoint:
    plain = {
        "threshold": values["threshold"],
        "chosen_by": values["chosen_by"],
        "sensitivity": to_mapping(estimate_of(values["sensitivity"])),
        "specificity": to_mapping(estimate_of(values["specificity"])),
    }
    return from_mapping(OperatingPoint, plain, where="operating_points.json")


def estimate_of(values: Mapping[str, Any]) -> Estimate:
    """Turn a measurement's plain values into an estimate."""
    return Estimate(
        values["value"], values.get("low"), values.get("high"), int(values.get("count") or 0)
    )
