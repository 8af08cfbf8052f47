"""Whether runs can be joined: they judge the same, and none has seen what another is tested on."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np

from lucidray.errors import ExportError, LeakageError
from lucidray.export.trained_run import TrainedRun, Validation, validation_of


def check_members(runs: Sequence[TrainedRun]) -> None:
    """Refuse runs that cannot be joined.

    Args:
        runs: Finished runs.

    Raises:
        ExportError: They are fewer than two or one stands there twice, or they differ in task,
            findings, or what is done to a film before the last step.
        LeakageError: One has learned from a patient whom another keeps for validation or test.
    """
    if len(runs) < 2:
        raise ExportError(f"an ensemble has two runs at least; {len(runs)} came. Name another run.")
    if len({run.folder.resolve() for run in runs}) != len(runs):
        raise ExportError("one run was named twice; each counts once. Leave the second out.")
    first = runs[0]
    for run in runs:
        _check_kind(run)
        _check_alike(first, run)
    for learner, keeper in permutations(runs, 2):
        _check_apart(learner, keeper)


def shared_validation(runs: Sequence[TrainedRun]) -> tuple[Validation, list[Validation]]:
    """Return the runs' answers to the validation images that they share, in one order.

    Args:
        runs: Runs that `check_members` lets pass.

    Returns:
        The first run's answers, and those of all, image by image the same.

    Raises:
        ExportError: They were not validated on the same images, or these are labeled otherwise.
    """
    answers = [validation_of(run) for run in runs]
    first = answers[0]
    ordered = []
    for run, each in zip(runs, answers, strict=True):
        place = {image: row for row, image in enumerate(each.images.tolist())}
        if set(place) != set(first.images.tolist()):
            raise ExportError(
                f"{run.folder.name} was validated on other images than {runs[0].folder.name}, so "
                "no weights can be fitted on both. Train it with data.split_from = the first run's "
                "folder."
            )
        order = [place[image] for image in first.images.tolist()]
        same = replace(each, images=first.images, logits=each.logits[order], varied=None,
                       labels=each.labels[order], patients=first.patients)  # fmt: skip
        if not np.array_equal(same.labels, first.labels, equal_nan=True):
            raise ExportError(
                f"{run.folder.name} and {runs[0].folder.name} label the same validation images "
                "otherwise; train both on the same table."
            )
        ordered.append(same)
    return replace(first, varied=None), ordered


def _check_kind(run: TrainedRun) -> None:
    model = run.recipe.model
    if run.recipe.data.metadata:
        raise ExportError(
            f"{run.folder.name} takes metadata beside the film; only runs that look at the film "
            "alone can be joined. Export it by itself, or train it without data.metadata."
        )
    if model.decoder or model.detector != "none":
        what = "outlines regions" if model.decoder else "finds boxes"
        raise ExportError(f"{run.folder.name} {what}; only runs that judge findings can be joined.")


def _check_alike(first: TrainedRun, run: TrainedRun) -> None:
    for what, mine, theirs in (
        ("judges", list(run.findings), list(first.findings)),
        ("has exclusive findings", run.exclusive, first.exclusive),
        ("reads films with", _seen_as(run), _seen_as(first)),
        ("has test_time_augmentation", run.recipe.test_time_augmentation,
         first.recipe.test_time_augmentation),
    ):  # fmt: skip
        if mine != theirs:
            raise ExportError(
                f"{run.folder.name} {what}: {mine}, but {first.folder.name}: {theirs}; the runs of "
                "an ensemble share all of that. Train one of them again."
            )


def _seen_as(run: TrainedRun) -> dict[str, object]:
    """Return what is done to a film but for the normalization, which each run has for itself."""
    told = vars(run.recipe.image)
    return {name: told[name] for name in told if name not in {"normalization", "channels"}}


def _check_apart(learner: TrainedRun, keeper: TrainedRun) -> None:
    """Refuse where one run learned from images or patients that another keeps apart."""
    learned, kept = _rows(learner, {"train"}), _rows(keeper, {"validation", "test"})
    for what in ("patient", "image", "sha256"):
        both = {row.get(what) for row in learned} & {row.get(what) for row in kept} - {None, ""}
        if both:
            raise LeakageError(
                f"{learner.folder.name} has learned from {len(both):,} of the {_PLURAL[what]} that "
                f"{keeper.folder.name} keeps for validation or test, so nothing measured of both "
                "together would be true. Train one with data.split_from = the other's folder."
            )


_PLURAL = {"patient": "patients", "image": "images", "sha256": "files"}


def _rows(run: TrainedRun, splits: set[str]) -> list[dict[str, str]]:
    path = run.folder / "split.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [row for row in csv.DictReader(file) if row["split"] in splits]
    except (OSError, KeyError) as error:
        raise ExportError(
            f"{run.folder.name} has no readable split.csv; name a finished run."
        ) from error
