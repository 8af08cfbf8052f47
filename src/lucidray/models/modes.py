"""Training mode for what moves, evaluation mode for what is frozen."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

_Network = TypeVar("_Network", bound=nn.Module)


def set_mode(model: _Network, training: bool) -> _Network:
    """Set a network's mode, but leave every module whose weights are all frozen in evaluation mode.

    Each module is looked at once and touched only where its mode changes: setting an attribute of
    a module is slow, and a training does this several times an epoch.

    Args:
        model: Changed in place. A part with a ``train`` of its own is asked to set its mode itself.
        training: Whether what moves is to be in training mode.

    Returns:
        The network.
    """
    frozen: set[nn.Module] = set()
    if training:
        _survey(model, frozen)
    _set(model, training, frozen)
    return model


def _survey(module: nn.Module, frozen: set[nn.Module]) -> tuple[bool, bool]:
    """Add what is frozen; return whether the module has weights, and whether any of them moves."""
    parts = [_survey(child, frozen) for child in module._modules.values() if child is not None]
    own = (weight for weight in module._parameters.values() if weight is not None)
    parts += [(True, weight.requires_grad) for weight in own]
    has, moves = any(part[0] for part in parts), any(part[1] for part in parts)
    if has and not moves:
        frozen.add(module)
    return has, moves


def _set(module: nn.Module, training: bool, frozen: set[nn.Module]) -> None:
    training = training and module not in frozen
    if module.training is not training:
        module.training = training
    for child in module.children():
        if type(child).train is nn.Module.train:
            _set(child, training, frozen)
        else:
            child.train(training)
