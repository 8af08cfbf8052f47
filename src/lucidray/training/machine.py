"""Running a phase with Lightning on the machine at hand."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as lightning
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger

from lucidray.errors import ConfigError
from lucidray.training.crew import size, size_here
from lucidray.training.learner import Learner
from lucidray.training.processor import Precision, choose_accelerator, choose_precision
from lucidray.training.shared_norms import SharedNorms

#: What Lightning and TensorBoard warn of although it is meant so here.
_MEANT = (
    ".*does not have many workers.*",
    ".*IterableDataset.* has `__len__` defined.*",
    ".*GPU available but not used.*",
    ".*The number of training batches.*smaller than the logging interval.*",
    ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
    ".*Trying to infer the `batch_size`.*",
    ".*is not writable.*",
    ".*module\\(s\\) in eval mode at the start of training.*",
)

_LOGGERS = tuple(logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric"))


@dataclass(frozen=True)
class Machine:
    """Where and how precisely to compute.

    Args:
        accelerator: ``"cpu"`` or ``"cuda"``.
        precision: ``"bf16"`` (mixed) or ``"fp32"``.
        devices: Processes that share each batch.
    """

    accelerator: str = "cpu"
    precision: Literal["bf16", "fp32"] = "fp32"
    devices: int = 1

    def __post_init__(self) -> None:
        if self.devices < 1:
            raise ConfigError(f"devices is {self.devices}; expected 1 or more.")

    @property
    def device(self) -> torch.device:
        """The device on which single-process work runs."""
        return torch.device(self.accelerator)

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which Lightning runs each step."""
        bf16 = self.precision == "bf16"
        return torch.autocast(
            self.accelerator, dtype=torch.bfloat16, enabled=bf16, cache_enabled=False
        )


def this_machine(precision: Precision = "auto", *, devices: int = 1) -> Machine:
    """Choose accelerator and precision."""
    accelerator = choose_accelerator()
    return Machine(accelerator, choose_precision(precision, accelerator), devices)


def fit(learner: Learner, machine: Machine, log: Path) -> None:
    """Train what is left of a phase.

    Args:
        learner: Changed in place (with one device; with several, read its saved state).
        machine: Where to compute.
        log: Folder for TensorBoard's logs.

    Raises:
        KeyboardInterrupt: The user stopped it; what was saved goes on from there.
    """
    watcher, handler = _Interruption(), signal.getsignal(signal.SIGINT)
    with quiet():
        trainer = _trainer(learner, machine, log, watcher)
        try:
            trainer.fit(learner)
        except SystemExit:
            if not watcher.seen:
                raise
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from None


def _trainer(learner: Learner, machine: Machine, log: Path, watcher: Callback) -> Any:
    setting = learner.setting
    version = f"seed_{setting.seed}_phase_{setting.number}"
    return lightning.Trainer(
        accelerator="gpu" if machine.accelerator == "cuda" else machine.accelerator,
        **_together(machine),
        precision="bf16-mixed" if machine.precision == "bf16" else "32-true",
        logger=TensorBoardLogger(log, name="", version=version),
        callbacks=[watcher],
        max_epochs=setting.phase.epochs - learner.epoch,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        reload_dataloaders_every_n_epochs=1,
        inference_mode=False,
    )


def _together(machine: Machine) -> dict[str, Any]:
    """Return how Lightning shares the work: not at all, among its own processes, or a crew's."""
    if machine.devices == 1:
        return {"devices": 1}
    norms = SharedNorms()
    if size() > 1:
        return {"devices": size_here(), "strategy": "ddp", "plugins": [_Crew(), norms]}
    plugins = [_Spawned(), norms]
    return {"devices": machine.devices, "strategy": "ddp_spawn", "plugins": plugins}


class _Spawned(LightningEnvironment):
    """Processes that Lightning spawns: each is told who it is, and to be quiet."""

    def set_global_rank(self, rank: int) -> None:
        _hush()
        super().set_global_rank(rank)


class _Crew(TorchElasticEnvironment):
    """Processes that are there already, on each machine as many as there happen to be."""

    def validate_settings(self, num_devices: int, num_nodes: int) -> None:
        """Ask nothing of their number."""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning from telling what we know, for a while."""
    levels = [logger.level for logger in _LOGGERS]
    with warnings.catch_warnings():
        _hush()
        try:
            yield
        finally:
            for logger, level in zip(_LOGGERS, levels, strict=True):
                logger.setLevel(level)


def _hush() -> None:
    for message in _MEANT:
        warnings.filterwarnings("ignore", message=message)
    for logger in _LOGGERS:
        logger.setLevel(logging.ERROR)


class _Interruption(Callback):
    """Remembers a Ctrl-C, which Lightning turns into the end of the process."""

    def __init__(self) -> None:
        self.seen = False

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:  # noqa: ARG002
        self.seen = isinstance(exception, KeyboardInterrupt)
