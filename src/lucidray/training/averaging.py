"""The running average of weights: what is validated and kept instead of the weights themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import Module


def moving_names(model: Module) -> list[str]:
    """Name the entries of a model's state that training changes.

    Args:
        model: In training mode, with its frozen parts in evaluation mode.

    Returns:
        Trainable parameters, and buffers of modules in training mode, in the model's order.
    """
    moving = {name for name, weight in model.named_parameters() if weight.requires_grad}
    for prefix, module in model.named_modules():
        if module.training:
            names = (name for name, _ in module.named_buffers(recurse=False))
            moving.update(f"{prefix}.{name}" if prefix else name for name in names)
    return [name for name in model.state_dict() if name in moving]


def moving_state(model: Module, names: list[str]) -> dict[str, Tensor]:
    """Copy the named entries of a model's state."""
    state = model.state_dict()
    return {name: state[name].detach().clone() for name in names}


def load_moving(model: Module, state: Mapping[str, Tensor]) -> None:
    """Put copied entries back into a model, in place."""
    own = model.state_dict()
    with torch.no_grad():
        for name, value in state.items():
            own[name].copy_(value)


class Average:
    """An exponential moving average of what training changes in a model.

    Args:
        model: The model averaged.
        names: Which entries of its state move (see `moving_names`).
        decay: How much of the average stays at each step; less at first, when the average is
            still mostly the start: min(decay, (1 + t) / (10 + t)) at step t.

    Source:
        Polyak and Juditsky 1992; the warm-up is TensorFlow's ``ExponentialMovingAverage``.
    """

    def __init__(self, model: Module, names: list[str], decay: float) -> None:
        self.model = model
        self.decay = decay
        self.steps = 0
        self.state = moving_state(model, names)

    def update(self) -> None:
        """Take in the model's present weights."""
        part = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        current = self.model.state_dict()
        with torch.no_grad():
            for name, average in self.state.items():
                if average.is_floating_point():
                    average.lerp_(current[name], part)
                else:
                    average.copy_(current[name])

    def to(self, device: torch.device) -> None:
        """Move the average to where the model is."""
        self.state = {name: value.to(device) for name, value in self.state.items()}

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Lend the average to the model for a while."""
        own = moving_state(self.model, list(self.state))
        load_moving(self.model, self.state)
        try:
            yield
        finally:
            load_moving(self.model, own)
