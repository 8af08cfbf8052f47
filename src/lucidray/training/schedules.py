"""Optimizers and learning-rate schedules by name; schedules are pure functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from torch.nn import Module, Parameter

from lucidray.errors import ModelError
from lucidray.registry import Registry

#: ``schedule(step, steps) -> factor`` of the recipe's learning rate.
Schedule = Callable[[int, int], float]
OptimizerBuilder = Callable[[list[dict[str, object]], float], torch.optim.Optimizer]

schedulers = Registry[Schedule]("scheduler")
optimizers = Registry[OptimizerBuilder]("optimizer")


@schedulers.register("none", source="Robbins and Monro 1951")
def constant(step: int, steps: int) -> float:  # noqa: ARG001
    """Keep the learning rate."""
    return 1.0


@schedulers.register("plateau", source="Keras ReduceLROnPlateau")
def plateau(step: int, steps: int) -> float:  # noqa: ARG001
    """Keep the learning rate until the monitored metric stalls, then cut it (see `Watch`)."""
    return 1.0


@schedulers.register("cosine", source="Loshchilov and Hutter 2017, equation 5, without restarts")
def cosine(step: int, steps: int) -> float:
    """Fall from 1 to 0 along half a cosine.

    >>> [round(cosine(step, 4), 3) for step in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """
    return 0.5 * (1 + math.cos(math.pi * step / max(1, steps)))


@schedulers.register("onecycle", source="Smith and Topin 2018, as torch's OneCycleLR")
def onecycle(step: int, steps: int) -> float:
    """Rise from 1/25 to 1 over 30 % of the steps, then fall to 1/250000, both along cosines.

    Deviates: momentum is not cycled.
    """
    top = 0.3 * steps - 1
    if step <= top:
        return _ease(1 / 25, 1.0, step / top)
    return _ease(1.0, 1 / 25e4, (step - top) / max(1e-12, steps - 1 - top))


def factor(name: str, step: int, steps: int, *, warmup: int = 0) -> float:
    """Return the factor by which the learning rate is multiplied at a step.

    Args:
        name: A registered schedule.
        step: Steps taken so far in this phase.
        steps: Steps of the whole phase.
        warmup: Steps over which the rate first rises linearly from near 0; the schedule follows.

    Raises:
        UnknownNameError: No such schedule.

    >>> [factor("none", step, 10, warmup=4) for step in (0, 3, 4)]
    [0.25, 1.0, 1.0]
    """
    schedule = schedulers[name]
    if step < warmup:
        return (step + 1) / warmup * schedule(0, max(1, steps - warmup))
    return schedule(step - warmup, max(1, steps - warmup))


def _ease(start: float, end: float, part: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * min(1.0, part)))


@optimizers.register("adam", source="Kingma and Ba 2015")
def adam(groups: list[dict[str, object]], rate: float) -> torch.optim.Optimizer:
    """Adam with torch's defaults (weight decay as L2)."""
    return torch.optim.Adam(groups, lr=rate, fused=True)


@optimizers.register("adamw", source="Loshchilov and Hutter 2019")
def adamw(groups: list[dict[str, object]], rate: float) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay."""
    return torch.optim.AdamW(groups, lr=rate, fused=True)


@optimizers.register("sgd", source="Sutskever et al. 2013")
def sgd(groups: list[dict[str, object]], rate: float) -> torch.optim.Optimizer:
    """Stochastic gradient descent with Nesterov momentum 0.9."""
    return torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True, fused=True)


def build_optimizer(
    name: str, model: Module, *, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Build an optimizer over what a model leaves trainable.

    Args:
        name: A registered optimizer.
        model: Parameters that require no gradient are left out.
        learning_rate: Step size at factor 1.
        weight_decay: Applied to weights only, never to biases and normalization (1-D parameters).

    Raises:
        UnknownNameError: No such optimizer.
        ModelError: Nothing is trainable.
    """
    moving = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not moving:
        raise ModelError(
            "the policy leaves nothing to train; choose another, for example 'classifier_only'."
        )
    groups = list(_groups(moving, weight_decay))
    return optimizers[name](groups, learning_rate)


def _groups(parameters: Iterable[Parameter], decay: float) -> Iterator[dict[str, object]]:
    chosen = list(parameters)
    weights = [parameter for parameter in chosen if parameter.ndim > 1]
    others = [parameter for parameter in chosen if parameter.ndim <= 1]
    for members, rate in ((weights, decay), (others, 0.0)):
        if members:
            yield {"params": members, "weight_decay": rate}
