"""From a run to a bundle: measured, gated, lowered in precision, and only then put in place."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, overload

import numpy as np

from lucidray.bundle.card import Performance
from lucidray.bundle.estimate import Estimate
from lucidray.bundle.gate import Gate
from lucidray.cli.choosing import choose_images, load_images, seen_images
from lucidray.cli.progress import Bars
from lucidray.config import load_toml
from lucidray.datasets import ImageTable
from lucidray.datasets.scanning import image_files
from lucidray.errors import ConfigError, DataError
from lucidray.export import (
    About,
    UncertaintySettings,
    export_run,
    lower_precision,
    performance_of,
)
from lucidray.export.calibration import Method
from lucidray.export.gate import FEWEST, add_gate, set_gate
from lucidray.images.read import read_xray
from lucidray.metrics import age_bands, measure_subgroups
from lucidray.records import XRay
from lucidray.training import (
    Evaluation,
    MaskEvaluation,
    Run,
    evaluate,
    evaluate_masks,
    load_run,
)

#: Films that a gate is fitted to at most; more gain nothing.
GATE_FILMS = 1000

#: Images of each folder of outliers or further films that it is fitted to at most.
OUTLIERS = 500

_ATTRIBUTES = {"sex": "sex", "view_position": "view position", "source": "source"}
_SUBGROUP_METRICS = ("auc", "sensitivity", "specificity")
_SUBGROUP_BOOT = 500


@dataclass(frozen=True)
class Order:
    """What is to be exported.

    Args:
        run: The run's folder.
        out: The bundle's file.
        data: Labeled images to measure it on; None: nothing is measured.
        name: Which data set that is; None: recognized.
        split: Which of its images; see `choose_images`.
        precision: ``"fp32"``, ``"fp16"``, ``"bf16"``, ``"int8"`` or ``"int8_weights"``.
        calibration: ``"auto"``, ``"platt"``, ``"temperature"`` or ``"none"``.
        about: TOML file with what only the author knows; None: nothing is known.
        gate: Whether a gate is fitted.
        n_boot: Bootstrap replicates of the intervals.
        findings: Which of the run's findings the bundle is to tell; empty: all.
        outliers: Folders of images that the gate is to refuse, beside generated ones.
        refer_by: Findings whose uncertainty hands an image to a person; empty: all.
        accept: Folders of films that the gate is to accept, beside those learned from.
    """

    run: Path
    out: Path
    data: Path | None
    name: str | None
    split: str
    precision: str
    calibration: Method
    about: Path | None
    gate: bool
    n_boot: int
    findings: tuple[str, ...] = ()
    outliers: tuple[Path, ...] = ()
    refer_by: tuple[str, ...] = ()
    accept: tuple[Path, ...] = ()


class Films(Sequence[XRay]):
    """Films of files, each read when it is asked for.

    Args:
        paths: The files.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.paths)

    @overload
    def __getitem__(self, at: int) -> XRay: ...
    @overload
    def __getitem__(self, at: slice) -> Films: ...
    def __getitem__(self, at: int | slice) -> XRay | Films:
        """Read one, or return some of them unread."""
        return Films(self.paths[at]) if isinstance(at, slice) else read_xray(self.paths[at])

    def __iter__(self) -> Iterator[XRay]:
        """Read one after the other."""
        return map(read_xray, self.paths)


def export(order: Order, stage: Bars) -> tuple[Path, list[str]]:
    """Export a run as a bundle.

    Args:
        order: What is wanted.
        stage: Makes the bars of the stages of the work.

    Returns:
        The bundle's file, and notes on what could not be done.

    Raises:
        LucidRayError: Anything that cannot be; then nothing is written.
    """
    about = About() if order.about is None else load_toml(order.about, About)
    run = load_run(order.run)
    run = run.only(order.findings) if order.findings else run
    table = None if order.data is None else load_images(order.data, order.name, run)
    if table is None and order.precision != "fp32":
        raise ConfigError(
            f"what --precision {order.precision} costs is measured before it is accepted; add "
            "--data DIR with labeled images."
        )
    measured = () if table is None else (_performance(run, table, order, stage),)
    if run.recipe.model.decoder and order.precision != "fp32":
        raise ConfigError(
            f"--precision {order.precision} is for runs that judge findings; leave it out."
        )
    order.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".lucidray-", dir=order.out.parent) as folder:
        made = Path(folder) / order.out.name
        stage("Writing the graph and comparing it with torch")(0, 1)
        export_run(
            run,
            made,
            calibration=order.calibration,
            uncertainty=UncertaintySettings(findings=order.refer_by),
            performance=measured,
            about=about,
        )
        notes = gated(made, run, table, order, stage)
        if order.precision != "fp32" and table is not None:
            made = _lowered(made, run, table, order, stage)
        made.replace(order.out)
    return order.out, notes


def _performance(run: Run, table: ImageTable, order: Order, stage: Bars) -> Performance:
    chosen = choose_images(table, run, order.split, stage("Telling new images from seen ones"))
    reading, measuring = stage("Reading images"), stage("Measuring")
    if run.recipe.model.decoder:
        outlined = evaluate_masks(
            run, chosen, n_boot=order.n_boot, reading=reading, progress=measuring
        )
        return performance_of(outlined.to_json(), where=_where(outlined, order.split))
    found = evaluate(
        run,
        chosen,
        n_boot=order.n_boot,
        reading=reading,
        progress=measuring,
    )
    return told_of(found, order.split)


def told_of(found: Evaluation, split: str) -> Performance:
    """Return what a card tells of an evaluation, subgroups included.

    Args:
        found: The evaluation.
        split: Which images it was, as the user named them.
    """
    plain = performance_of(found.to_json(), where=_where(found, split))
    return replace(plain, subgroups=subgroups_of(found))


def _where(found: Evaluation | MaskEvaluation, split: str) -> str:
    name = found.images.name
    if found.seen:
        return f"images of {name}, {found.seen:,} of which the model has learned from (too good)"
    return (
        f"the {split} split of {name}" if split not in {"auto", "all"} else f"new images of {name}"
    )


def subgroups_of(found: Evaluation) -> dict[str, dict[str, dict[str, Estimate]]]:
    """Return measures by sex, age, view and source, as far as the images' tables know them.

    Args:
        found: Probabilities of labeled images.
    """
    rows, groups = found.images.rows, {}
    for column, name in _ATTRIBUTES.items():
        if rows[column].nunique() > 1:
            groups[name] = rows[column].to_numpy(dtype=object)
    if rows["age_years"].notna().any():
        groups["age"] = age_bands(rows["age_years"].to_numpy(dtype=np.float64))
    return {name: _subgroup(found, values) for name, values in groups.items()}


def _subgroup(found: Evaluation, values: Any) -> dict[str, dict[str, Estimate]]:
    told: dict[str, dict[str, Estimate]] = {}
    for at, finding in enumerate(found.findings):
        labels = found.labels[:, at]
        if len(set(labels[~np.isnan(labels)].tolist())) < 2:
            continue
        table = measure_subgroups(
            labels,
            found.predictions.probabilities[:, at],
            values,
            threshold=found.operating_points.get(finding),
            groups=np.array(found.patients),
            n_boot=_SUBGROUP_BOOT,
        )
        for row in table.rows:
            for name in _SUBGROUP_METRICS:
                if name in row.measurements:
                    key = name if len(found.findings) == 1 else f"{finding} {name}"
                    told.setdefault(row.value, {})[key] = _estimate(row.measurements[name])
    return told


def _estimate(found: Any) -> Estimate:
    value, low, high = (each if np.isfinite(each) else None for each in (
        found.value, found.low, found.high
    ))  # fmt: skip
    return Estimate(value, low, high, found.count)


def gated(made: Path, run: Run, table: ImageTable | None, order: Order, stage: Bars) -> list[str]:
    """Fit a gate on films that a run learned from, or set one that needs none.

    Args:
        made: The bundle, as it was just written.
        run: The run.
        table: Labeled images; None: there are none.
        order: What is wanted.
        stage: Makes the bars of the stages of the work.

    Returns:
        Notes on what could not be done.
    """
    if not order.gate:
        return ["images that the model cannot judge are not refused (--no-gate)."]
    films = [] if table is None else _learned_from(run, table, stage)
    if len(films) < FEWEST:
        set_gate(made, Gate("quality"))
        why = "add --data with the films it learned from" if table is None else (
            f"--data holds {len(films)} of the films it learned from, {FEWEST} are needed"
        )  # fmt: skip
        return [
            f"only image quality is checked before a film is judged; to refuse others too, {why}."
        ]
    every = max(1, len(films) // GATE_FILMS)
    chosen = films[::every][:GATE_FILMS]
    more = [path for folder in order.accept for path in _images_of(folder, "accept")]
    chosen += [(path, str(path)) for path in more]
    add_gate(
        made,
        [path for path, _ in chosen],
        patients=[patient for _, patient in chosen],
        outliers={folder.name: _images_of(folder, "outliers") for folder in order.outliers},
        progress=stage("Fitting what is refused"),
    )
    return []


def _images_of(folder: Path, option: str) -> list[Path]:
    """Return some of a folder's images, spread over all of it."""
    found = list(image_files(folder))
    if not found:
        raise DataError(f"{folder} holds no images; --{option} names a folder of images.")
    every = max(1, len(found) // OUTLIERS)
    return found[::every][:OUTLIERS]


def _learned_from(run: Run, table: ImageTable, stage: Bars) -> list[tuple[Path, str]]:
    if "train" not in seen_images(run).values():
        return []
    try:
        chosen = choose_images(table, run, "train", stage("Telling new images from seen ones"))
    except DataError:
        return []
    patients = [str(each) for each in chosen.rows["patient"].fillna(chosen.rows["image"])]
    return list(zip(chosen.paths(), patients, strict=True))


def _lowered(made: Path, run: Run, table: ImageTable, order: Order, stage: Bars) -> Path:
    """Lower the precision, its loss measured on validation images, else on those measured on."""
    tick = stage("Telling new images from seen ones")
    known = "validation" in seen_images(run).values()
    try:
        chosen = choose_images(table, run, "validation" if known else order.split, tick)
    except DataError:
        chosen = choose_images(table, run, order.split, tick)
    low = made.parent / "low" / order.out.name
    lower_precision(
        made,
        low,
        cast("Any", order.precision),
        Films(chosen.paths()),
        chosen.labels(run.findings),
        progress=stage(f"Measuring what {order.precision} costs"),
    )
    return low
