"""Training one member of an ensemble: phase after phase, from wherever it was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lucidray.errors import DataError
from lucidray.models.classifier import Classifier
from lucidray.models.detector import Detector
from lucidray.models.freezing import freeze
from lucidray.models.segmenter import Segmenter
from lucidray.training.box_judging import BoxJudge
from lucidray.training.boxes import DetectionLoss
from lucidray.training.crew import first
from lucidray.training.frozen import frozen_once
from lucidray.training.job import Job, Row
from lucidray.training.judging import FindingJudge, Judge, MaskJudge
from lucidray.training.loss import build_loss
from lucidray.training.mask_loss import mask_loss
from lucidray.training.order import derive_seed
from lucidray.training.run import new_network
from lucidray.training.setting import Setting, ignore
from lucidray.training.stage import Keeper, run_phase
from lucidray.training.weights import load_weights, save_weights


def train_member(job: Job, seed: int, earlier: Sequence[Row]) -> tuple[list[Row], dict[str, Any]]:
    """Train one model through all phases.

    Args:
        job: What and where.
        seed: Of this member: of its start, its order of images and its augmentation.
        earlier: Epochs of earlier members, for the history.

    Returns:
        The epochs of this member, and for ``run.json`` the names of its weights with the epoch
        that they are of.
    """
    place = job.place(seed)
    place.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(derive_seed(seed))
    task = job.task
    model = new_network(job.recipe, task.findings, exclusive=task.exclusive, pretrained=True)
    model = model.to(memory_format=torch.channels_last)
    rows: list[Row] = []
    chosen: Row = {}
    for number in range(len(job.recipe.phases)):
        record = place / f"phase_{number}.json"
        if not first(record.is_file):
            _train_phase(job, model, seed, number, [*earlier, *rows])
            first(record.is_file)  # the others wait until it is written
        done = json.loads(record.read_text(encoding="utf-8"))
        load_weights(place / f"phase_{number}.safetensors", model)
        rows += done["rows"]
        chosen = done["rows"][done["epoch"]]
    return rows, first(partial(_publish, job, seed, chosen))


def _publish(job: Job, seed: int, chosen: Row) -> dict[str, Any]:
    suffix = f".seed_{seed}" if len(job.recipe.seeds) > 1 else ""
    last = f"phase_{len(job.recipe.phases) - 1}"
    sources = {f"best{suffix}": last, f"last{suffix}": "last"}
    for name, source in sources.items():
        state = load_weights(job.place(seed) / f"{source}.safetensors")
        save_weights(job.folder / f"{name}.safetensors", state)
    return {"weights": f"best{suffix}.safetensors", "last": f"last{suffix}.safetensors"} | chosen


def _train_phase(
    job: Job, model: Classifier | Segmenter, seed: int, number: int, earlier: Sequence[Row]
) -> None:
    phase, place = job.recipe.phases[number], job.place(seed)
    freeze(model, phase.policy, layer_count=phase.layer_count, fraction=phase.fraction)
    keeper = Keeper(place, job.folder / "history.csv", earlier)
    setting = _setting(job, model, seed, number, keeper)
    run_phase(model, setting, job.machine, place, log=job.folder / "log")


def _setting(
    job: Job, model: Classifier | Segmenter, seed: int, number: int, keeper: Keeper
) -> Setting:
    recipe = job.recipe
    train, validation, network = frozen_once(job, model)
    loss, judge = _loss_and_judge(job, model, recipe.phases[number].monitor)
    return Setting(
        phase=recipe.phases[number],
        number=number,
        seed=seed,
        train=train,
        validation=validation,
        loss=loss,
        judge=judge,
        network=network,
        augment=recipe.augment,
        mixup=recipe.mixup,
        ema=recipe.ema,
        clip_gradient=recipe.clip_gradient,
        balanced=recipe.balanced,
        save=keeper.save,
        save_best=keeper.save_best,
        save_every_s=job.save_every_s,
        step_done=partial(job.step_done, seed, number) if job.machine.devices == 1 else ignore,
    )


def _loss_and_judge(
    job: Job, model: Classifier | Segmenter, monitor: str
) -> tuple[Callable[[Any, Any], Tensor], Judge]:
    task = job.task
    if task.train.examples.masks is not None:
        return mask_loss, MaskJudge(mask_loss)
    loss = build_loss(job.recipe.loss, task.train.examples.labels, exclusive=task.exclusive)
    labels = task.validation.examples.labels
    judge = FindingJudge(loss, labels, task.exclusive, monitor)
    if not isinstance(model, Detector):
        return loss, judge
    boxes = task.validation.examples.boxes
    if boxes is None:
        raise DataError("the images were prepared without boxes; prepare them by `prepare_boxed`.")
    return DetectionLoss(loss, model, job.recipe.loss.detection), BoxJudge(judge, model, boxes)
