"""Measure how far a model's heat maps can be trusted: every method, every finding, every aspect."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lucidray.datasets import ImageTable
from lucidray.errors import ConfigError, DataError, ImageError, ModelError, unknown_name
from lucidray.metrics.faithfulness_fill import Link, Removal
from lucidray.metrics.localization_table import MapTable
from lucidray.metrics.resampling import Progress
from lucidray.trust import aspects as measuring
from lucidray.trust.cases import draw_cases, measure_groups
from lucidray.trust.effort import METHODS, Effort
from lucidray.trust.films import Film, Frame, Outline, choose_films, read_frame
from lucidray.trust.result import Aspect, FindingTrust, MethodTrust, Picture, TrustReport
from lucidray.trust.store import Store
from lucidray.trust.subject import Subject
from lucidray.trust.verdict import verdict

#: Makes the progress of one stage of the work, by its name.
Stages = Callable[[str], Progress]

_BATCH = 8


@dataclass(frozen=True)
class _Work:
    """What all stages of one finding share."""

    subject: Subject
    finding: str
    methods: tuple[str, ...]
    frames: tuple[Frame, ...]
    squares: Store
    maps: Mapping[str, Store]
    effort: Effort
    stage: Stages

    @property
    def options(self) -> dict[str, Any]:
        """Bootstrap settings."""
        return {"n_boot": self.effort.n_boot, "seed": self.effort.seed}

    def first(self, count: int) -> tuple[Any, list[str]]:
        """Return the first squares and their patients."""
        count = min(count, len(self.frames))
        return self.squares.first(count), [f.film.patient for f in self.frames[:count]]


def measure_trust(
    subject: Subject,
    table: ImageTable,
    *,
    findings: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    effort: Effort | None = None,
    outline: Outline | None = None,
    lungs: str = "",
    selection: str = "",
    remarks: Iterable[str] = (),
    stage: Stages | None = None,
) -> TrustReport:
    """Measure the explanations of a model on labeled images.

    Films that show a finding are chosen (those whose place is marked, if any are), explained by
    every method and measured. Raw maps lie on disk meanwhile.

    Args:
        subject: The model: `BundleSubject`, or `network.open_subject` of a run.
        table: Images that it has not learned from.
        findings: Which of its findings; None: those whose place is marked, else all.
        methods: Registered methods; None: `effort.METHODS`, those that cannot explain the model
            left out.
        effort: How much to spend; None: the defaults.
        outline: Outlines lungs where the data set brings no outlines; None: nothing does.
        lungs: What outlines them, in words.
        selection: Which images these are, in words.
        remarks: What a reader must know before any figure.
        stage: Told of each stage by name, gives what is called with parts done and in all.

    Returns:
        The report; the same arguments give the same figures.

    Raises:
        UnknownNameError: The model does not judge a finding, or cannot be asked for a method.
        ModelError: A method that was named cannot explain this model.
        DataError: No film shows a finding, or none can be read.
    """
    began, effort = time.monotonic(), effort or Effort()
    wanted = choose_findings(subject, table, findings)
    chosen = _methods(subject, methods)
    films = {name: choose_films(table, name, effort.images, effort.seed) for name in wanted}
    found: list[FindingTrust] = []
    pictures: dict[str, Picture] = {}
    told, left_out = list(remarks), dict[str, str]()
    for name, several in films.items():
        label = "" if len(films) == 1 else f" of {name}"
        with tempfile.TemporaryDirectory(prefix="lucidray-trust-") as folder:
            part, drawn, unread = _measure_finding(
                subject,
                name,
                several,
                chosen,
                left_out,
                effort,
                outline,
                lungs,
                Path(folder),
                _labeled(stage, label),
                strict=methods is not None,
            )
        found.append(part)
        pictures |= {f"{name}/{key}": picture for key, picture in drawn.items()}
        if unread:
            told.append(f"{unread} films of {name} could not be read and are left out.")
    return TrustReport(
        subject.name,
        subject.kind,
        subject.network,
        table.name,
        selection,
        _simulated(table),
        tuple(found),
        effort,
        left_out,
        tuple(told),
        provenance=dict(subject.provenance),
        seconds=time.monotonic() - began,
        pictures=pictures,
    )


def _measure_finding(
    subject: Subject,
    finding: str,
    films: Sequence[Film],
    methods: tuple[str, ...],
    left_out: dict[str, str],
    effort: Effort,
    outline: Outline | None,
    lungs: str,
    folder: Path,
    stage: Stages,
    *,
    strict: bool,
) -> tuple[FindingTrust, dict[str, Picture], int]:
    squares = Store(folder / "squares.npy", len(films))
    frames = _read(films, finding, subject, squares, effort, outline, stage("Reading films"))
    if not frames:
        raise DataError(f"none of the {len(films)} films of {finding} can be read.")
    able = _able(subject, squares, finding, methods, left_out, strict=strict)
    maps = _explain(subject, squares, finding, able, folder, stage("Explaining films"))
    work = _Work(subject, finding, able, frames, squares, maps, effort, stage)
    parts, places, outside = _measure(work)
    told, pictures = [], dict[str, Picture]()
    for name in able:
        by, measure = (places[name], "map_iou") if places[name][0] else (outside[name], _OUTSIDE)
        cases, drawn = draw_cases(name, maps[name], frames, *by, measure, effort.cases)
        groups = measure_groups(by[0], by[1], frames, measure, work.options)
        told.append(MethodTrust(name, verdict(finding, parts[name]), parts[name], groups, cases))
        pictures |= drawn
    result = FindingTrust(
        finding,
        len(frames),
        len({frame.film.patient for frame in frames}),
        _truth(frames),
        _lung_source(frames, lungs),
        tuple(told),
        measuring.measure_agreement(maps, frames, effort),
    )
    return result, pictures, len(films) - len(frames)


_OUTSIDE = "outside_lungs"
_Placed = dict[str, tuple[MapTable | None, list[int]]]


def _measure(work: _Work) -> tuple[dict[str, dict[str, Aspect]], _Placed, _Placed]:
    """Return all aspects by method, and the tables of place and of lungs."""
    effort, maps, frames = work.effort, work.maps, work.frames
    tick = work.stage("Measuring place")
    places: _Placed = {}
    outside: _Placed = {}
    found: dict[str, dict[str, Aspect]] = {}
    for number, (name, store) in enumerate(maps.items(), start=1):
        places[name] = measuring.measure_place(store, frames, work.options)
        outside[name] = measuring.measure_lungs(store, frames, work.options)
        found[name] = {
            "localization": _aspect(places[name][0], measuring.NO_MARKS),
            "tag": measuring.measure_tag(store, frames, work.options),
            "lungs": _aspect(outside[name][0], measuring.NO_LUNGS),
            "sparseness": measuring.measure_sparseness(store, frames, work.options),
        }
        tick(number, len(maps))
    _add(found, "faithfulness", _removed(work, "Removing what maps mark", effort.fill))
    _add(found, "road", _removed(work, "Imputing what maps mark", "road"))
    sane = measuring.measure_sanity(
        work.subject,
        work.squares,
        maps,
        work.finding,
        frames,
        effort,
        progress=work.stage("Forgetting the network"),
    )
    _add(found, "sanity", sane)
    tick = work.stage("Disturbing films")
    noisy, moved = work.first(effort.noise_images), work.first(effort.moved_images)
    for number, name in enumerate(maps, start=1):
        asked = (work.finding, name)
        found[name]["noise"] = measuring.measure_noise(
            work.subject, noisy[0], *asked, noisy[1], effort
        )
        found[name]["moves"] = measuring.measure_moves(
            work.subject, moved[0], *asked, moved[1], effort
        )
        tick(number, len(maps))
    return found, places, outside


def _removed(work: _Work, label: str, fill: Any) -> dict[str, Aspect]:
    effort, road = work.effort, fill == "road"
    link: Link = "softmax" if work.subject.exclusive else "sigmoid"
    removal = Removal(
        fill=fill,
        steps=effort.road_steps if road else effort.removal_steps,
        random_orders=effort.random_orders,
        link=link,
        seed=effort.seed,
    )
    return measuring.measure_removal(
        work.subject,
        work.squares,
        work.maps,
        work.subject.findings.index(work.finding),
        work.frames,
        removal,
        count=effort.road_images if road else effort.removal_images,
        options=work.options,
        progress=work.stage(label),
    )


def _read(
    films: Sequence[Film],
    finding: str,
    subject: Subject,
    squares: Store,
    effort: Effort,
    outline: Outline | None,
    progress: Progress,
) -> tuple[Frame, ...]:
    frames = []
    for number, film in enumerate(films, start=1):
        try:
            square, frame = read_frame(
                film, finding, subject.preprocessing, grid=effort.grid, outline=outline
            )
        except ImageError:
            continue
        squares.add(square)
        frames.append(frame)
        progress(number, len(films))
    return tuple(frames)


def _able(
    subject: Subject,
    squares: Store,
    finding: str,
    methods: Sequence[str],
    left_out: dict[str, str],
    *,
    strict: bool,
) -> tuple[str, ...]:
    """Return the methods that can explain this model; with `strict` all must."""
    able = []
    for name in methods:
        try:
            subject.explain(squares.first(1), finding, name)
        except ModelError as error:
            if strict:
                raise
            left_out[name] = str(error)
            continue
        able.append(name)
    if not able:
        raise ModelError(
            "none of the usual methods can explain this model. Name others with methods: "
            f"{', '.join(subject.methods)}."
        )
    return tuple(able)


def _explain(
    subject: Subject,
    squares: Store,
    finding: str,
    methods: Sequence[str],
    folder: Path,
    progress: Progress,
) -> dict[str, Store]:
    count = len(squares)
    maps = {name: Store(folder / f"{name}.npy", count) for name in methods}
    for number, (name, store) in enumerate(maps.items()):
        for start in range(0, count, _BATCH):
            places = list(range(start, min(start + _BATCH, count)))
            for raw in subject.explain(squares.take(places), finding, name):
                store.add(raw)
            progress(number * count + len(store), len(methods) * count)
    return maps


def _add(found: dict[str, dict[str, Aspect]], aspect: str, by_method: Mapping[str, Aspect]) -> None:
    for name, each in by_method.items():
        found[name][aspect] = each


def _aspect(table: MapTable | None, missing: str) -> Aspect:
    return Aspect(missing=missing) if table is None else measuring.as_aspect(table)


def choose_findings(
    subject: Subject, table: ImageTable, findings: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Return the findings that are measured: those named, else those whose place is marked.

    Args:
        subject: Must judge them.
        table: Must show them; where it marks no place, all that it shows are measured.
        findings: None: none are named.

    Raises:
        UnknownNameError: The model does not judge one that is named.
        DataError: The images show nothing that the model judges.
    """
    for name in findings or ():
        if name not in subject.findings:
            raise unknown_name("finding of this model", name, subject.findings)
    if findings:
        return tuple(dict.fromkeys(findings))
    here = table.present()
    known = [name for name in subject.findings if name in table.findings]
    shown = [name for name in known if (here.labels([name])[:, 0] == 1).any()]
    if not shown:
        raise DataError(
            f"no image of '{table.name}' shows what '{subject.name}' judges: "
            f"{', '.join(subject.findings)}. Name a data set that labels one of them."
        )
    boxed = set(here.boxes["finding"])
    masked = {name for each in here.rows.get("mask_files", ()) for name in each}
    marked = [name for name in shown if name in boxed | masked]
    return tuple(marked or shown)


def _methods(subject: Subject, methods: Sequence[str] | None) -> tuple[str, ...]:
    if methods is None:
        return tuple(name for name in METHODS if name in subject.methods) or subject.methods
    if not methods:
        raise ConfigError("no method is named; name at least one, or leave methods out.")
    for name in methods:
        if name not in subject.methods:
            raise unknown_name(f"explanation method of a {subject.kind}", name, subject.methods)
    return tuple(dict.fromkeys(methods))


def _labeled(stage: Stages | None, label: str) -> Stages:
    if stage is None:
        return lambda _: lambda _done, _total: None
    return lambda name: stage(f"{name}{label}")


def _simulated(table: ImageTable) -> bool:
    return bool((table.rows["source"] == "phantom").any())


def _truth(frames: Sequence[Frame]) -> str:
    kinds = {frame.truth for frame in frames} - {""}
    return "masks" if "masks" in kinds else "boxes" if kinds else ""


def _lung_source(frames: Sequence[Frame], named: str) -> str:
    known = np.array([frame.lungs is not None for frame in frames])
    if not known.any():
        return ""
    return named or "the data set's own outlines"
