"""One training: a network on the images of one data set, resumed where it was stopped."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lucidray.models import Classifier, count_parameters, split_at_frozen
from lucidray.papers.cam_roi.material import Int, Pixels
from lucidray.papers.cam_roi.networks import Input, feed
from lucidray.records import Float32
from lucidray.training.averaging import moving_names
from lucidray.training.weights import (
    load_state,
    load_weights,
    save_state,
    save_weights,
    write_text,
    write_whole,
)

#: Features of frozen parts are kept in memory up to so many bytes, and computed anew beyond.
_MEMORY = 3 * 2**30

#: Seconds after which a state is worth keeping.
_SAVE_EVERY = 60.0

_BATCH = 64


@dataclass(frozen=True)
class Task:
    """What is learned.

    Args:
        pixels: uint8 ``(N, S, S)`` or ``(N, S, S, 3)``.
        labels: int64 ``(N,)``.
        train: Row numbers that are learned from.
        validation: Row numbers that choose the epoch; empty: the last epoch counts.
        kind: What is fed.
    """

    pixels: Pixels
    labels: Int
    train: Int
    validation: Int
    kind: Input


@dataclass(frozen=True)
class Schedule:
    """How it is learned.

    Args:
        epochs: How many.
        batch_size: Images a step.
        learning_rate: Adam's.
        keep_best: Whether the epoch with the smallest validation loss counts.
        seed: Of the order of images and the dropout.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    keep_best: bool
    seed: int


@dataclass(frozen=True)
class Fitted:
    """A finished training.

    Args:
        logits: float32 ``(N, K)`` of all images.
        history: Quantity → part → one value an epoch.
        best_epoch: The epoch that counts, from 1.
        trainable: Numbers that training could change.
        frozen: Numbers that it could not.
        seconds: How long training took, the frozen part included.
    """

    logits: Float32
    history: Mapping[str, Mapping[str, list[float]]]
    best_epoch: int
    trainable: int
    frozen: int
    seconds: float


class Beginning:
    """The part of a network that does not change: images in, what the rest is given out.

    Args:
        trunk: The frozen part; None: nothing is frozen from the start on.
        model: Whose normalization is taken.
        task: The images.
        device: Where to compute.
    """

    def __init__(
        self,
        trunk: Callable[[Tensor], Tensor] | None,
        model: Classifier,
        task: Task,
        device: torch.device,
    ) -> None:
        self.trunk, self.model, self.task, self.device = trunk, model, task, device
        self.values: Tensor | None = None
        if trunk is not None:
            self.values = self._all()

    def __call__(self, rows: Int) -> Tensor:
        """Return what the rest is given for some images."""
        if self.values is not None:
            return self.values[torch.from_numpy(rows)].to(self.device)
        return self._some(rows)

    def _some(self, rows: Int) -> Tensor:
        inputs = feed(self.task.pixels[rows], self.task.kind, self.model).to(self.device)
        return inputs if self.trunk is None else self.trunk(inputs)

    def _all(self) -> Tensor | None:
        count = len(self.task.pixels)
        first = self._some(np.arange(min(_BATCH, count))).cpu()
        if first[0].numel() * first.element_size() * count > _MEMORY:
            return None
        values = torch.empty((count, *first.shape[1:]), dtype=first.dtype)
        values[: len(first)] = first
        for start in range(len(first), count, _BATCH):
            stop = min(start + _BATCH, count)
            values[start:stop] = self._some(np.arange(start, stop)).cpu()
        return values


def fit(
    make: Callable[[], Classifier],
    task: Task,
    plan: Schedule,
    folder: Path,
    *,
    key: str,
    resume: bool = True,
    keep_model: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """Train a network, or take up what `folder` holds of the same training.

    Args:
        make: Builds the network, frozen as it is to be; the same each time.
        task: What is learned.
        plan: How.
        folder: Where results and the interrupted state lie.
        key: Changes with everything that the result depends on; what lies in `folder` under
            another key is not used.
        resume: Whether what lies in `folder` is used at all.
        keep_model: Whether the weights are written too.
        progress: Called with epochs done and in all.
    """
    done = read_fitted(folder, key) if resume else None
    if done is not None and (not keep_model or (folder / "model.safetensors").is_file()):
        return done
    started = time.monotonic()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = make().to(device)
    counted = count_parameters(model)
    split = split_at_frozen(model)
    beginning = Beginning(None if split is None else split.trunk, model, task, device)
    rest: Callable[[Tensor], Tensor] = model if split is None else split.rest
    course = _Course(model, beginning, rest, task, plan, folder, key)
    history, best = course.run(started, resume=resume, progress=progress)
    logits = predict(model, beginning, rest, len(task.labels))
    seconds = course.spent + time.monotonic() - started
    found = Fitted(logits, history, best, counted.trainable, counted.frozen, seconds)
    if keep_model:
        save_weights(folder / "model.safetensors", model.state_dict())
    write_fitted(found, folder, key)
    return found


class _Course:
    """The epochs of one training."""

    def __init__(
        self,
        model: Classifier,
        beginning: Beginning,
        rest: Callable[[Tensor], Tensor],
        task: Task,
        plan: Schedule,
        folder: Path,
        key: str,
    ) -> None:
        self.model, self.beginning, self.rest = model, beginning, rest
        self.task, self.plan, self.folder, self.key = task, plan, folder, key
        self.moving = sorted(moving_names(model.train()))
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.Adam(weights, lr=plan.learning_rate)
        self.labels = torch.from_numpy(task.labels)
        self.spent = 0.0
        self.epoch = 0
        self.history: dict[str, list[float]] = {name: [] for name in _QUANTITIES}
        self.best: dict[str, Tensor] = {}
        self.best_epoch = plan.epochs

    def run(
        self, started: float, *, resume: bool, progress: Callable[[int, int], None] | None
    ) -> tuple[Mapping[str, Mapping[str, list[float]]], int]:
        if resume:
            self._take_up()
        saved = time.monotonic()
        while self.epoch < self.plan.epochs:
            self._epoch()
            if progress is not None:
                progress(self.epoch, self.plan.epochs)
            if time.monotonic() - saved > _SAVE_EVERY and self.epoch < self.plan.epochs:
                self._save(self.spent + time.monotonic() - started)
                saved = time.monotonic()
        if self.best:
            self._load(self.best)
        (self.folder / "state.pt").unlink(missing_ok=True)
        return _drawn(self.history), self.best_epoch

    def _epoch(self) -> None:
        torch.manual_seed(100_003 * self.plan.seed + self.epoch)
        rng = np.random.default_rng([self.plan.seed, self.epoch])
        order = rng.permutation(self.task.train)
        total, right = 0.0, 0
        self.model.train()
        for start in range(0, len(order), self.plan.batch_size):
            rows = order[start : start + self.plan.batch_size]
            if len(rows) == 1 and len(order) > 1:
                continue  # batch normalization needs two images
            loss, hits = self._step(rows)
            total, right = total + loss * len(rows), right + hits
        self.epoch += 1
        self.history["train_loss"].append(total / len(order))
        self.history["train_accuracy"].append(right / len(order))
        self._validate()

    def _step(self, rows: Int) -> tuple[float, int]:
        logits = self.rest(self.beginning(rows))
        wanted = self.labels[torch.from_numpy(rows)].to(logits.device)
        loss = functional.cross_entropy(logits, wanted)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return float(loss.detach()), int((logits.argmax(1) == wanted).sum())

    def _validate(self) -> None:
        rows = self.task.validation
        loss, accuracy = math.nan, math.nan
        if len(rows):
            logits = torch.from_numpy(_logits(self.model, self.beginning, self.rest, rows))
            wanted = self.labels[torch.from_numpy(rows)]
            loss = float(functional.cross_entropy(logits, wanted))
            accuracy = float((logits.argmax(1) == wanted).float().mean())
        before = [value for value in self.history["validation_loss"] if math.isfinite(value)]
        if self.plan.keep_best and math.isfinite(loss) and loss < min(before, default=math.inf):
            state = self.model.state_dict()
            self.best = {name: state[name].detach().cpu().clone() for name in self.moving}
            self.best_epoch = self.epoch
        self.history["validation_loss"].append(loss)
        self.history["validation_accuracy"].append(accuracy)

    def _save(self, spent: float) -> None:
        state = self.model.state_dict()
        save_state(
            self.folder / "state.pt",
            {
                "key": self.key,
                "epoch": self.epoch,
                "moving": {name: state[name] for name in self.moving},
                "optimizer": self.optimizer.state_dict(),
                "history": self.history,
                "best": self.best,
                "best_epoch": self.best_epoch,
                "seconds": spent,
            },
        )

    def _take_up(self) -> None:
        state = load_state(self.folder / "state.pt")
        if state is None or state["key"] != self.key:
            return
        self._load(state["moving"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history, self.best = state["history"], state["best"]
        self.epoch, self.best_epoch = state["epoch"], state["best_epoch"]
        self.spent = state["seconds"]

    def _load(self, weights: Mapping[str, Tensor]) -> None:
        self.model.load_state_dict(dict(weights), strict=False)


_QUANTITIES = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


def _drawn(history: Mapping[str, list[float]]) -> dict[str, dict[str, list[float]]]:
    return {
        quantity: {part: history[f"{part}_{quantity}"] for part in ("train", "validation")}
        for quantity in ("loss", "accuracy")
    }


def predict(
    model: Classifier, beginning: Beginning, rest: Callable[[Tensor], Tensor], count: int
) -> Float32:
    """Return float32 ``(count, K)``: the logits of all images."""
    return _logits(model, beginning, rest, np.arange(count))


def _logits(
    model: Classifier, beginning: Beginning, rest: Callable[[Tensor], Tensor], rows: Int
) -> Float32:
    model.eval()
    with torch.no_grad():
        parts = [
            rest(beginning(rows[start : start + _BATCH])).float().cpu()
            for start in range(0, len(rows), _BATCH)
        ]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)


def write_fitted(found: Fitted, folder: Path, key: str) -> None:
    """Write a finished training: logits, then the facts that declare it finished."""
    facts = asdict(found)
    logits = facts.pop("logits")
    write_whole(folder / "logits.npy", lambda path: _save_array(path, logits))
    plain = json.dumps({"key": key, **facts}, indent=2)
    write_text(folder / "fitted.json", plain.replace("NaN", "null") + "\n")


def _save_array(path: Path, values: Float32) -> None:
    with path.open("wb") as file:
        np.save(file, values, allow_pickle=False)


def read_fitted(folder: Path, key: str) -> Fitted | None:
    """Read a finished training; None where there is none under this key."""
    if not (folder / "fitted.json").is_file():
        return None
    facts = json.loads((folder / "fitted.json").read_text(encoding="utf-8"))
    if facts.pop("key") != key:
        return None
    history = {
        quantity: {
            part: [math.nan if value is None else float(value) for value in values]
            for part, values in parts.items()
        }
        for quantity, parts in facts.pop("history").items()
    }
    logits = np.load(folder / "logits.npy", allow_pickle=False)
    return Fitted(logits=logits, history=history, **facts)


def load_into(model: Classifier, folder: Path) -> Classifier:
    """Give a network the weights that `fit` wrote; return it in evaluation mode."""
    load_weights(folder / "model.safetensors", model)
    model.eval()
    return model
