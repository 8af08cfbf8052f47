"""One phase of training as a Lightning module: what happens in a step and at an epoch's end.

What an epoch does depends on seed, phase and epoch alone, and what a step draws on the step
besides. So a state that was saved anywhere continues to the same result.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lucidray.errors import DataError, ModelError
from lucidray.training.augmentation import augment, augment_boxed, augment_masked
from lucidray.training.averaging import Average, load_moving, moving_names, moving_state
from lucidray.training.inputs import Boxed, Gazed, Targets, mix, share, to_unit
from lucidray.training.monitor import Watch, rises
from lucidray.training.order import Indices, batches, derive_seed, epoch_order, whole_batches
from lucidray.training.schedules import build_optimizer, factor
from lucidray.training.setting import Batches, Setting, State


class Learner(lightning.LightningModule):
    """A phase in progress.

    Args:
        model: Frozen as the phase wants it; changed in place.
        setting: What the phase is.
        state: What `Setting.save` was given, to go on from there.
    """

    def __init__(self, model: nn.Module, setting: Setting, state: State | None = None) -> None:
        super().__init__()
        self.model = model.train()
        self.setting = setting
        self.names = moving_names(model)
        self.epoch, self.step = 0, 0
        self.rate, self.rate_cut, self.seconds = 0.0, 1.0, 0.0
        self.loss_sum, self.loss_count = torch.zeros(()), 0
        self.rows: list[dict[str, float]] = []
        phase = setting.phase
        self.watch = Watch(rises(phase.monitor), phase.patience)
        self.plateau = Watch(rises(phase.monitor), phase.plateau_patience)
        self.optimizer_state: State | None = None
        self.average = Average(model, self.names, setting.ema) if setting.ema else None
        self._values: dict[str, float] = {}
        self._seen: list[tuple[Tensor, Tensor]] = []
        self._lent = ExitStack()
        self._since = self._saved = time.monotonic()
        if state is not None:
            self._restore(state)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done or patience has run out."""
        return self.epoch >= self.setting.phase.epochs or self.watch.exhausted

    # What is learned from.

    def train_dataloader(self) -> DataLoader[Any]:
        """Return what is left of the present epoch."""
        plan = list(enumerate(self._plan()))[self.step :]
        return DataLoader(Batches(self.setting.train, plan), batch_size=None)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return this process's share of the validation images, as many as every other's.

        Else one would wait for the others in vain; an image that two are given counts once.
        """
        size, world = self.setting.phase.batch_size, self.trainer.world_size
        count = len(self.setting.validation)
        order = np.resize(np.arange(count), -(-count // world) * world)
        order = order[self.trainer.global_rank :: world]
        plan = [(0, order[start : start + size]) for start in range(0, len(order), size)]
        return DataLoader(Batches(self.setting.validation, plan), batch_size=None)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Build the phase's optimizer, as it was where the phase goes on."""
        phase = self.setting.phase
        optimizer = build_optimizer(
            phase.optimizer,
            self.model,
            learning_rate=phase.learning_rate,
            weight_decay=phase.weight_decay,
        )
        if self.optimizer_state is not None:
            optimizer.load_state_dict(self.optimizer_state)
        return optimizer

    # A step.

    def on_fit_start(self) -> None:
        """Bring the averaged weights to the model's device."""
        if self.average is not None:
            self.average.to(self.device)

    def on_train_epoch_start(self) -> None:
        """Put what moves into training mode, and only that."""
        self.model.train()
        self._since = time.monotonic()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Set the learning rate of the step."""
        self.rate = self._rate()
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.rate

    def training_step(self, batch: tuple[Tensor, Targets, int, Any], batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return the loss of one batch."""
        inputs, targets, step, _ = batch
        setting = self.setting
        parts = (setting.seed, setting.number, self.epoch, step)
        _seed(derive_seed(*parts, self.global_rank), inputs.device)
        together = derive_seed(*parts, 0)
        inputs, targets = self._vary(inputs, targets, together)
        if setting.mixup and isinstance(targets, Tensor):
            inputs, targets = mix(inputs, targets, setting.mixup, together)
        if self._varies_together():
            inputs, targets = share(inputs, targets, self.global_rank, self.trainer.world_size)
        loss = setting.loss(setting.network(inputs), targets)
        self.loss_sum = self.loss_sum.to(loss.device) + loss.detach() * len(targets)
        self.loss_count += len(targets)
        return loss

    def configure_gradient_clipping(
        self,
        optimizer: Any,  # noqa: ARG002
        gradient_clip_val: Any = None,  # noqa: ARG002
        gradient_clip_algorithm: Any = None,  # noqa: ARG002
    ) -> None:
        """Clip by norm; Lightning's own clipping refuses fused optimizers in bfloat16."""
        if self.setting.clip_gradient:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.setting.clip_gradient)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Average the weights, and keep the state if it is time."""
        if self.average is not None:
            self.average.update()
        self.step += 1
        self.setting.step_done(self.epoch * self._steps() + self.step)
        late = time.monotonic() - self._saved >= self.setting.save_every_s
        if late and self.step < self._steps():
            self._keep()

    # The end of an epoch.

    def on_validation_epoch_start(self) -> None:
        """Lend the averaged weights to the model."""
        self._seen = []
        if self.average is not None:
            self._lent.enter_context(self.average.in_place())

    def validation_step(self, batch: tuple[Tensor, Targets, int, Tensor], batch_idx: int) -> None:  # noqa: ARG002
        """Keep of one batch what it is judged by."""
        inputs, targets, _, indices = batch
        if inputs.dtype == torch.uint8:
            inputs = to_unit(inputs)
        kept = self.setting.judge.keep(self.setting.network(inputs), _unit(targets))
        self._seen.append((indices.cpu(), kept.cpu()))

    def on_validation_epoch_end(self) -> None:
        """Measure what all processes kept."""
        self._lent.close()
        gathered = self._gathered()
        kept = torch.zeros(len(self.setting.validation), gathered[0][1].shape[1])
        for indices, values in gathered:
            kept[indices] = values
        self._check_finite("largest validation logit", float(kept.abs().max()))
        self._values = self.setting.judge.measure(kept)
        self._check_finite("validation loss", self._values["val_loss"])

    def on_train_epoch_end(self) -> None:
        """Write the epoch down, judge it, and keep the state."""
        row = self._row()
        self.rows.append(row)
        for logger in self.trainer.loggers:
            logger.log_metrics(row, step=self.epoch)
        self._judge(row[self.setting.phase.monitor])
        self.epoch, self.step = self.epoch + 1, 0
        self.loss_sum, self.loss_count, self.seconds = torch.zeros(()), 0, 0.0
        self._since = time.monotonic()
        self._keep()
        self.trainer.should_stop = self.finished

    def _row(self) -> dict[str, float]:
        total = torch.stack([self.loss_sum.cpu(), torch.tensor(float(self.loss_count))])
        total = self.trainer.strategy.reduce(total.to(self.device), reduce_op="sum").cpu()
        train_loss = float(total[0] / total[1])
        self._check_finite("training loss", train_loss)
        setting = self.setting
        row: dict[str, float] = {"seed": setting.seed, "phase": setting.number}
        row |= {"epoch": self.epoch, "seconds": self.seconds + time.monotonic() - self._since}
        row |= {"learning_rate": self.rate, "train_loss": train_loss}
        return row | self._values

    def _check_finite(self, what: str, value: float) -> None:
        if not np.isfinite(value):
            raise ModelError(
                f"the {what} is {value} in epoch {self.epoch + 1}; lower the learning rate, "
                "set clip_gradient = 1.0, or set precision to 'fp32'."
            )

    def _judge(self, value: float) -> None:
        if np.isnan(value):
            raise DataError(
                f"{self.setting.phase.monitor} is not defined on the validation images, probably "
                "because they show one class only. Keep more for validation, or monitor val_loss."
            )
        phase = self.setting.phase
        self.watch = self.watch.see(value, self.epoch)
        self.plateau = self.plateau.see(value, self.epoch)
        if self.watch.improved and self.trainer.is_global_zero:
            self.setting.save_best(self.kept_weights())
        if phase.scheduler == "plateau" and self.plateau.exhausted:
            self.rate_cut *= phase.plateau_factor
            self.plateau = self.plateau.rested()

    def kept_weights(self) -> dict[str, Tensor]:
        """Copy what moves, averaged where an average is kept."""
        if self.average is not None:
            return {name: value.clone() for name, value in self.average.state.items()}
        return moving_state(self.model, self.names)

    # What is kept.

    def _keep(self) -> None:
        self._saved = now = time.monotonic()
        self.seconds, self._since = self.seconds + now - self._since, now
        if not self.trainer.is_global_zero:
            return
        average = self.average
        self.setting.save(
            {
                "phase": self.setting.number,
                "position": (self.epoch, self.step, self.rate_cut, self.seconds),
                "loss": (float(self.loss_sum), self.loss_count),
                "watch": asdict(self.watch),
                "plateau": asdict(self.plateau),
                "rows": self.rows,
                "moving": moving_state(self.model, self.names),
                "average": None if average is None else (average.steps, average.state),
                "optimizer": self.trainer.optimizers[0].state_dict(),
            }
        )

    def _restore(self, state: State) -> None:
        self.epoch, self.step, self.rate_cut, self.seconds = state["position"]
        self.loss_sum, self.loss_count = torch.tensor(state["loss"][0]), state["loss"][1]
        self.watch, self.plateau = Watch(**state["watch"]), Watch(**state["plateau"])
        self.rows = state["rows"]
        self.optimizer_state = state["optimizer"]
        load_moving(self.model, state["moving"])
        if self.average is not None:
            self.average.steps, self.average.state = state["average"]

    def _plan(self) -> list[Indices]:
        setting = self.setting
        parts = (setting.seed, setting.number, self.epoch)
        order = epoch_order(setting.train.labels, balanced=setting.balanced, parts=parts)
        world, rank = self.trainer.world_size, self.trainer.global_rank
        if self._varies_together():
            return whole_batches(order, setting.phase.batch_size, world=world)
        return batches(order, setting.phase.batch_size, world=world, rank=rank)

    def _varies_together(self) -> bool:
        """Tell whether every process varies the whole batch, as one does, then takes its share.

        What is drawn for an image depends on the others of its batch, and some of it is theirs.
        """
        varied = self.setting.augment.active or self.setting.mixup > 0
        return varied and self.trainer.world_size > 1

    def _steps(self) -> int:
        order = np.arange(len(self.setting.train))
        return len(batches(order, self.setting.phase.batch_size, world=self.trainer.world_size))

    def _rate(self) -> float:
        phase, steps = self.setting.phase, self._steps()
        done = self.epoch * steps + self.step
        warmup = round(phase.warmup_epochs * steps)
        shape = factor(phase.scheduler, done, phase.epochs * steps, warmup=warmup)
        return phase.learning_rate * self.rate_cut * shape

    def _vary(self, inputs: Tensor, targets: Targets, seed: int) -> tuple[Tensor, Targets]:
        if inputs.dtype != torch.uint8:
            return inputs, targets
        generator = torch.Generator(device=inputs.device).manual_seed(seed)
        options = self.setting.augment
        if isinstance(targets, Boxed):
            images, boxes = augment_boxed(to_unit(inputs), targets.boxes, options, generator)
            return images, Boxed(targets.labels, boxes)
        if isinstance(targets, Gazed):
            film, gaze = to_unit(inputs[:, :1]), to_unit(targets.gaze)
            film, gaze = augment_masked(film, gaze, options, generator)
            return torch.cat([film, gaze], 1) if inputs.shape[1] == 2 else film, Gazed(
                targets.labels, gaze
            )
        if targets.ndim == 4:
            return augment_masked(to_unit(inputs), to_unit(targets), options, generator)
        return augment(to_unit(inputs), options, generator), targets

    def _gathered(self) -> list[tuple[Tensor, Tensor]]:
        if self.trainer.world_size == 1:
            return self._seen
        everyone: list[Any] = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(everyone, self._seen)
        return [pair for seen in everyone for pair in seen]


def _unit(targets: Targets) -> Targets:
    if isinstance(targets, Gazed):
        return Gazed(targets.labels, to_unit(targets.gaze))
    if isinstance(targets, Tensor) and targets.dtype == torch.uint8:
        return to_unit(targets)
    return targets


def _seed(seed: int, device: torch.device) -> None:
    """Seed what dropout draws from, there where it draws.

    ``torch.manual_seed`` also leaves word for cards of every make, each time with the caller's
    stack: milliseconds a step, which count where frozen parts are computed once.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
