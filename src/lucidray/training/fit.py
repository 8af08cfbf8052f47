"""Train a recipe: from a data folder to a run folder."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lucidray.config import to_mapping
from lucidray.datasets.table import ImageTable
from lucidray.records import Float32
from lucidray.training.box_points import box_points
from lucidray.training.boxes import prepare_boxed
from lucidray.training.crew import crew, first, leads, one_by_one, size
from lucidray.training.finder import check_finder, with_finder
from lucidray.training.frozen import validation_logits
from lucidray.training.job import Job, Row
from lucidray.training.machine import Machine, this_machine
from lucidray.training.masks import overlaps, predict_masks, prepare_masks
from lucidray.training.member import train_member
from lucidray.training.metadata import fit_metadata, fuse, read_rule
from lucidray.training.operating_point import choose_points
from lucidray.training.order import batches
from lucidray.training.pixels import Progress
from lucidray.training.prediction import Predictions, as_predictions
from lucidray.training.processor import choose_accelerator, keep_memory
from lucidray.training.recipe import Recipe
from lucidray.training.run import (
    Run,
    begin,
    check_free,
    load_run,
    new_network,
    plain,
    read_status,
    write_json,
    write_status,
)
from lucidray.training.stage import write_history
from lucidray.training.task import Task, check_task_monitors, prepare_task
from lucidray.training.varied import varied_logits
from lucidray.training.weights import write_text, write_whole


def train(
    recipe: Recipe,
    data: str | Path | ImageTable | Task,
    out: str | Path,
    *,
    resume: bool = False,
    devices: int = 1,
    cache: str | Path | None = None,
    features: str | Path | None = None,
    save_every_s: float = 300.0,
    progress: Progress | None = None,
    reading: Progress | None = None,
) -> Run:
    """Train a recipe and leave a run folder.

    Where torchrun or Ray Train started several processes that all call this, they train together as
    `devices` processes do.

    The folder holds ``run.json`` (recipe, versions, seeds, digest of the data, timing),
    ``status``, the weights of each member (``best``, ``last``), ``history.csv``, ``split.csv``,
    ``validation.npz``, ``operating_points.json`` and ``log/`` for TensorBoard.

    Args:
        recipe: What to train.
        data: A data set's folder, its table, or what `prepare_task` made of it for a recipe with
            the same ``[data]`` and ``[image]``.
        out: The run folder: new, empty, or with `resume` a run that was stopped.
        resume: Go on with a run that was stopped, wherever it was; the result is the same as if
            it had not been. A finished run is returned as it is.
        devices: Processes (or GPUs) that share each batch; from two on by
            DistributedDataParallel.
        cache: Folder of decoded pixels; None: the user's cache folder.
        features: Folder in which what frozen beginnings make of the images stays for other runs;
            None: each run computes its own.
        save_every_s: Seconds after which a state is kept within an epoch.
        progress: Called with training steps done and in all.
        reading: Called before that with images decoded and in all, first of the training split,
            then of the validation split; and again where they are sent through a frozen beginning.

    Returns:
        The finished run.

    Raises:
        RunError: `out` is in the way, or belongs to another recipe or other data.
        DataError: The data cannot be learned from as the recipe wants it.
        UnknownNameError: There is no such backbone, finding or data set.
        WeightsError: The weights to start from cannot be had.
        KeyboardInterrupt: The user stopped it; ``resume`` goes on.
    """
    folder, started = Path(out), time.monotonic()
    recipe = with_finder(recipe)
    keep_memory()
    with crew(choose_accelerator()):
        first(partial(_check, recipe, folder, resume))
        cached = None if cache is None else Path(cache)
        task = one_by_one(lambda: _task(recipe, data, cached, reading))
        machine = this_machine(recipe.precision, devices=size() if size() > 1 else devices)
        begun = first(partial(begin, folder, recipe, _facts(task, machine), resume=resume))
        if resume and first(partial(read_status, folder)) == "finished":
            return load_run(folder)
        machine = replace(machine, **begun["machine"])
        with _status(folder) if leads() else nullcontext(), torch.random.fork_rng():
            steps = _Steps(recipe, task, progress)
            shared = None if features is None else Path(features)
            job = Job(recipe, task, machine, folder, save_every_s, steps, reading, shared)
            first(partial(_write_split, folder / "split.csv", task))
            members = _train_members(job)
            conclude = _conclude_masks if recipe.model.decoder else _conclude
            first(partial(conclude, job, begun, members, started))
        first(partial(read_status, folder))  # the others read the run only once it is finished
    return load_run(folder)


def _check(recipe: Recipe, folder: Path, resume: bool) -> None:
    """Refuse a folder that is in the way, and a network that cannot be."""
    if not (resume and (folder / "run.json").is_file()):
        check_free(folder)
        _check_network(recipe)


def _task(
    recipe: Recipe,
    data: str | Path | ImageTable | Task,
    cache: Path | None,
    reading: Progress | None,
) -> Task:
    if isinstance(data, Task):
        check_task_monitors(recipe, data)
        check_finder(recipe, data.table)
        return data
    task = prepare(recipe, data, cache=cache, progress=reading)
    check_finder(recipe, task.table)
    return task


def prepare(
    recipe: Recipe,
    data: str | Path | ImageTable,
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Task:
    """Read, split and decode what a recipe learns: findings, boxes or masks; as `prepare_task`."""
    if recipe.model.decoder:
        return prepare_masks(recipe, data, cache=cache, progress=progress)
    if recipe.model.detector != "none":
        return prepare_boxed(recipe, data, cache=cache, progress=progress)
    return prepare_task(recipe, data, cache=cache, progress=progress)


def _check_network(recipe: Recipe) -> None:
    """Build the network once, so that no folder is begun for one that cannot be."""
    with torch.random.fork_rng():
        new_network(recipe, ("any",), exclusive=False, pretrained=True)


def _facts(task: Task, machine: Machine) -> dict[str, Any]:
    return {
        "findings": list(task.findings),
        "exclusive": task.exclusive,
        "digest": task.digest,
        "machine": asdict(machine),
        "data": {
            "name": task.table.name,
            "findings_left_out": [n for n in task.table.findings if n not in task.findings],
            "terms": task.table.terms,
            "train": len(task.train.examples),
            "validation": len(task.validation.examples),
        },
    }


def _train_members(job: Job) -> list[dict[str, Any]]:
    rows: list[Row] = []
    members = []
    for seed in job.recipe.seeds:
        done, member = train_member(job, seed, rows)
        rows += done
        members.append(member)
    first(partial(write_history, job.folder / "history.csv", rows))
    return members


def _conclude(job: Job, begun: dict[str, Any], members: list[dict[str, Any]], since: float) -> None:
    folder, task = job.folder, job.task
    run = _finished(job, begun, members, since)
    models = run.models()
    logits = validation_logits(job, models)
    fused = _with_metadata(job, logits)
    found = as_predictions(task.findings, fused, exclusive=task.exclusive)
    copies = job.recipe.operating_point.varied
    varied = _fused(run, task.validation.table, varied_logits(job, models, copies))
    _write_predictions(folder / "validation.npz", found, task, varied.numpy())
    points = choose_points(
        job.recipe.operating_point,
        task.findings,
        task.validation.examples.labels,
        found,
        patients(task.validation.table),
        varied=[as_predictions(task.findings, each, exclusive=task.exclusive) for each in varied],
    )
    write_json(folder / "operating_points.json", points)
    if run.detects:
        write_json(folder / "box_points.json", box_points(job, run))
    _close(run)


def _with_metadata(job: Job, film: Tensor) -> Tensor:
    """Join validation logits with metadata, where the recipe asks for it, and keep the rule."""
    recipe, task = job.recipe, job.task
    if not recipe.data.metadata:
        return film
    rule, joined = fit_metadata(
        recipe.data.metadata,
        task.train.table,
        task.validation.table,
        film.numpy(),
        task.findings,
        exclusive=task.exclusive,
        groups=patients(task.validation.table),
    )
    write_json(job.folder / "metadata.json", to_mapping(rule))
    return torch.from_numpy(joined)


def _fused(run: Run, table: ImageTable, film: Tensor) -> Tensor:
    """Join copies of logits with metadata by the rule that the run keeps; without one not."""
    rule = read_rule(run)
    if rule is None or not len(film):
        return film
    return torch.stack([torch.from_numpy(fuse(rule, each.numpy(), table)) for each in film])


def _conclude_masks(
    job: Job, begun: dict[str, Any], members: list[dict[str, Any]], since: float
) -> None:
    run = _finished(job, begun, members, since)
    known = job.task.validation
    found = predict_masks(run.segmenters(), known.examples.pixels, job.recipe)
    values = overlaps(found, known.examples)
    names = known.table.rows["image"].to_numpy(dtype=str)
    _write_arrays(job.folder / "validation.npz", images=names, **values)
    point = {"threshold": 0.5, "chosen_by": "fixed"}
    write_json(job.folder / "operating_points.json", dict.fromkeys(job.task.findings, point))
    _close(run)


def _finished(job: Job, begun: dict[str, Any], members: list[dict[str, Any]], since: float) -> Run:
    spent = begun.get("seconds", 0.0) + time.monotonic() - since
    facts = begun | {"members": members, "seconds": spent}
    return Run(job.folder, job.recipe, job.task.findings, job.task.exclusive, {}, facts)


def _close(run: Run) -> None:
    write_json(run.folder / "run.json", plain(run.facts))
    shutil.rmtree(run.folder / "checkpoints", ignore_errors=True)


def patients(table: ImageTable) -> list[str]:
    """Return the patient of each row; an image without one is its own patient."""
    known = table.rows["patient"].notna()
    names = "patient " + table.rows["patient"].astype(str)
    return list(names.where(known, "image " + table.rows["image"].astype(str)))


def _write_split(path: Path, task: Task) -> None:
    known = {
        image: digest
        for part in (task.train, task.validation)
        for image, digest in zip(part.table.rows["image"], part.digests, strict=True)
    }
    rows = task.table.rows[["image", "split"]]
    told = rows.assign(sha256=rows["image"].map(known), patient=patients(task.table))
    write_text(path, told.to_csv(index=False))


def _write_predictions(path: Path, found: Predictions, task: Task, varied: Float32) -> None:
    _write_arrays(
        path,
        logits=found.logits,
        probabilities=found.probabilities,
        labels=task.validation.examples.labels,
        findings=np.array(task.findings),
        images=task.validation.table.rows["image"].to_numpy(dtype=str),
        patients=np.array(patients(task.validation.table)),
        varied_logits=varied,
    )


def _write_arrays(path: Path, **arrays: npt.NDArray[Any]) -> None:
    def write(beside: Path) -> None:
        with beside.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    write_whole(path, write)


@contextmanager
def _status(folder: Path) -> Iterator[None]:
    write_status(folder, "running")
    try:
        yield
    except KeyboardInterrupt:
        write_status(folder, "interrupted")
        raise
    except BaseException:
        write_status(folder, "failed")
        raise
    write_status(folder, "finished")


@dataclass(frozen=True)
class _Steps:
    """Counts training steps over all members and phases for a progress bar."""

    recipe: Recipe
    task: Task
    progress: Progress | None

    def __call__(self, seed: int, number: int, done: int) -> None:
        if self.progress is None:
            return
        images = np.arange(len(self.task.train.examples))
        phases = [
            phase.epochs * len(batches(images, phase.batch_size)) for phase in self.recipe.phases
        ]
        before = self.recipe.seeds.index(seed) * sum(phases) + sum(phases[:number])
        self.progress(before + done, len(self.recipe.seeds) * sum(phases))
