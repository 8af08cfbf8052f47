"""One phase of any network, resumed where it was stopped: what every training is made of."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor, nn

from lucidray.errors import RunError
from lucidray.training.averaging import load_moving
from lucidray.training.crew import leads
from lucidray.training.job import Row
from lucidray.training.learner import Learner
from lucidray.training.machine import Machine, fit
from lucidray.training.recipe import Phase
from lucidray.training.setting import Setting, State
from lucidray.training.weights import (
    load_state,
    load_weights,
    save_state,
    save_weights,
    write_text,
)


@dataclass(frozen=True)
class Keeper:
    """Writes down a phase in progress.

    Args:
        place: Folder of its checkpoints.
        history: A ``history.csv``.
        earlier: Epochs of earlier members and phases.
    """

    place: Path
    history: Path
    earlier: Sequence[Row] = field(default_factory=list)

    def save(self, state: State) -> None:
        """Keep a state, and the history up to it."""
        save_state(self.place / "state.pt", state)
        if state["position"][1] == 0:
            write_history(self.history, [*self.earlier, *state["rows"]])

    def save_best(self, weights: dict[str, Tensor]) -> None:
        """Keep the weights of the best epoch so far."""
        save_weights(self.place / "best.safetensors", weights)


def train_stage(
    model: nn.Module, setting: Setting, machine: Machine, place: Path, *, key: str = ""
) -> tuple[list[Row], int]:
    """Train a network of any kind through one phase, or take up what `place` holds of it.

    Args:
        model: Frozen as the phase wants it; its ``train()`` leaves what is frozen in evaluation
            mode. Changed in place: it ends with the weights that the phase keeps.
        setting: What the phase is; its ``save`` and ``save_best`` are the folder's own.
        machine: Where to compute.
        place: Folder of weights, history and the interrupted state.
        key: Changes with everything that the result depends on; ``""``: nobody asks.

    Returns:
        All epochs, and the index of the one whose weights are kept.

    Raises:
        KeyboardInterrupt: The user stopped it; the next call goes on.
        RunError: `place` holds a phase under another key.
    """
    place.mkdir(parents=True, exist_ok=True)
    _claim(place / "key.txt", key)
    record = place / f"phase_{setting.number}.json"
    if not record.is_file():
        keeper = Keeper(place, place / "history.csv")
        run_phase(
            model,
            replace(setting, save=keeper.save, save_best=keeper.save_best),
            machine,
            place,
            log=place / "log",
        )
    done = json.loads(record.read_text(encoding="utf-8"))
    load_weights(place / f"phase_{setting.number}.safetensors", model)
    return done["rows"], int(done["epoch"])


def _claim(path: Path, key: str) -> None:
    found = path.read_text(encoding="utf-8").strip() if path.is_file() else key
    if found != key:
        raise RunError(
            f"{path.parent} was begun with other settings, data or weights; resume it with the "
            "same, or train into a new folder."
        )
    write_text(path, key + "\n")


def run_phase(
    model: nn.Module, setting: Setting, machine: Machine, place: Path, *, log: Path
) -> None:
    """Train what is left of one phase and write its weights and record.

    Args:
        model: As for `train_stage`.
        setting: What the phase is.
        machine: Where to compute.
        place: Folder of checkpoints.
        log: Folder for TensorBoard.
    """
    state = load_state(place / "state.pt")
    if state is not None and state["phase"] != setting.number:
        state = None
    learner = Learner(model, setting, state)
    if not learner.finished:
        fit(learner, machine, log)
        if machine.devices > 1 and leads():
            learner = Learner(model, setting, load_state(place / "state.pt"))
    if leads():
        _finish(learner, setting.phase, place, setting.number)


def _finish(learner: Learner, phase: Phase, place: Path, number: int) -> None:
    model = learner.model.cpu()
    load_moving(model, {name: value.cpu() for name, value in learner.kept_weights().items()})
    save_weights(place / "last.safetensors", model.state_dict())
    if phase.keep == "best":
        load_moving(model, load_weights(place / "best.safetensors"))
    save_weights(place / f"phase_{number}.safetensors", model.state_dict())
    epoch = learner.watch.epoch if phase.keep == "best" else len(learner.rows) - 1
    record = {"epoch": epoch, "rows": learner.rows}
    write_text(place / f"phase_{number}.json", json.dumps(record))
    (place / "state.pt").unlink(missing_ok=True)


def write_history(path: Path, rows: Sequence[Row]) -> None:
    """Write epochs as CSV; a metric that an epoch lacks is left empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
