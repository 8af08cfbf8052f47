"""Forget what a network has learned, layer by layer, to see whether its maps notice.

Cascading randomization re-initializes the head first, then the layer below it, and so on, and
yields the network after each step. Random weights are drawn so that signals keep their size: the
default initialization of convolutions lets them die out over a hundred layers, and a map of
nothing would pass every test.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lucidray.errors import ModelError
from lucidray.explain.method import evaluating, prepare

Mode = Literal["cascading", "independent"]


@dataclass(frozen=True)
class RandomizedModel:
    """A network some of whose layers are random.

    Args:
        layer: Name of the layer randomized last, the lowest of this step.
        layers: Names of all layers that are random now.
        model: The network, in evaluation mode. It is changed by the next step: use it before.
    """

    layer: str
    layers: tuple[str, ...]
    model: nn.Module


def randomize(
    model: nn.Module,
    x: Tensor,
    *,
    steps: int | None = 6,
    mode: Mode = "cascading",
    seed: int = 0,
    recalibrate: bool = True,
) -> Iterator[RandomizedModel]:
    """Yield a copy of a model with layers re-initialized, from the head down.

    Args:
        model: Any network; it is left untouched.
        x: A few images ``(B, C, H, W)``, normalized: they tell in which order layers are called,
            and give batch normalizations of the random network their statistics.
        steps: In how many steps of about as many layers; the last leaves nothing that was learned.
            None: one step a layer.
        mode: ``"cascading"``: all down to here are random; ``"independent"``: only those of this
            step, the rest as learned.
        seed: Same seed, same random weights.
        recalibrate: Whether batch normalizations take new statistics from `x` after each step;
            else random ones keep mean 0 and variance 1.

    Yields:
        The randomized network after each step.

    Raises:
        ModelError: The model has no weights, or a setting is out of range.

    Source: Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018, section 4.1.

    Deviates: weights are normal with variance 2 / fan-in, biases 0, normalizations the identity;
        other parameters (tokens, positions) are normal with the root mean square that they had.
        Random batch normalizations take new statistics, without which a deep random network
        outputs nothing or infinity.
    """
    if (steps is not None and steps < 1) or mode not in ("cascading", "independent"):
        raise ModelError(
            f"steps are {steps} and the mode is '{mode}'; expected at least one step, "
            "and 'cascading' or 'independent'."
        )
    images = prepare(model, x)
    names = called_layers(model, images)[::-1]
    groups = _groups(names, steps)
    work = copy.deepcopy(model).eval()
    done: tuple[str, ...] = ()
    for group in groups:
        if mode == "independent":
            work, done = copy.deepcopy(model).eval(), ()
        for name in group:
            _reinitialize(work.get_submodule(name), _generator(seed, names.index(name)))
        done += tuple(group)
        if recalibrate:
            _recalibrate(work, images, set(done))
        yield RandomizedModel(group[-1], done, work)


def called_layers(model: nn.Module, x: Tensor) -> list[str]:
    """Return the names of all modules with parameters of their own, in the order of their calls.

    Those that are not called by themselves (tokens, positions of a transformer) stand where their
    parent begins to be called.

    Args:
        model: Any network.
        x: Images ``(B, C, H, W)``; one is sent through.

    Raises:
        ModelError: No module has parameters.
    """
    owners = {
        module: name for name, module in model.named_modules() if list(_own_parameters(module))
    }
    if not owners:
        raise ModelError("the model has no weights, so there is nothing to randomize.")
    order: list[str] = []

    def note(module: nn.Module, _inputs: Any) -> None:
        if owners[module] not in order:
            order.append(owners[module])

    hooks = [module.register_forward_pre_hook(note) for module in owners]
    try:
        with evaluating(model), torch.no_grad():
            model(x[:1])
    finally:
        for hook in hooks:
            hook.remove()
    return [name for name in owners.values() if name not in order] + order


def _groups(names: list[str], steps: int | None) -> list[list[str]]:
    """Cut the layers into groups of about as many; the head stands alone at first."""
    if steps is None or steps >= len(names):
        return [[name] for name in names]
    if steps == 1:
        return [names]
    rest = names[1:]
    cuts = [round(k * len(rest) / (steps - 1)) for k in range(steps)]
    parts = [rest[a:b] for a, b in pairwise(cuts)]
    return [names[:1], *parts]


def _own_parameters(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return module.named_parameters(recurse=False)


def _generator(seed: int, place: int) -> torch.Generator:
    """Return the random numbers of one layer: the same in whatever steps it is reached."""
    return torch.Generator().manual_seed(seed * 1_000_003 + place)


def _reinitialize(module: nn.Module, generator: torch.Generator) -> None:
    normalizes = _is_normalization(module)
    with torch.no_grad():
        for name, parameter in _own_parameters(module):
            if normalizes:
                parameter.fill_(1.0 if name == "weight" else 0.0)
            elif name.endswith("bias"):
                parameter.zero_()
            else:
                spread = _spread(module, name, parameter)
                drawn = torch.randn(parameter.shape, generator=generator) * spread
                parameter.copy_(drawn.to(parameter))
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()


def _spread(module: nn.Module, name: str, parameter: Tensor) -> float:
    layers = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    weighs = isinstance(module, layers) or name.endswith("proj_weight")
    if weighs and parameter.ndim > 1:
        return math.sqrt(2 / parameter[0].numel())
    return float(parameter.detach().float().square().mean().sqrt())


def _is_normalization(module: nn.Module) -> bool:
    kinds = (_BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d)
    return isinstance(module, kinds) or "norm" in type(module).__name__.lower()


def _recalibrate(model: nn.Module, x: Tensor, layers: set[str]) -> None:
    """Give random batch normalizations the statistics of `x`; learned ones keep their own."""
    modules = [model.get_submodule(name) for name in sorted(layers)]
    own = [m for m in modules if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not own:
        return
    moments = [norm.momentum for norm in own]
    try:
        for norm in own:
            norm.reset_running_stats()
            norm.momentum, norm.training = None, True
        with torch.no_grad():
            model(x)
    finally:
        for norm, momentum in zip(own, moments, strict=True):
            norm.momentum, norm.training = momentum, False
