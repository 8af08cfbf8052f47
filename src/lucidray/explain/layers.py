"""Which layer is explained: by name, or chosen by the architecture."""

from __future__ import annotations

import difflib
from typing import Any

import torch
from torch import Tensor, nn

from lucidray.errors import ModelError


def find_layer(model: nn.Module, layer: str | nn.Module) -> nn.Module:
    """Return a layer of a model.

    Args:
        model: The model, or a classifier whose backbone holds the layer.
        layer: The layer, or its dotted name in the model or in its backbone.

    Raises:
        ModelError: There is no such layer; the message names the nearest.
    """
    if isinstance(layer, nn.Module):
        if all(layer is not module for module in model.modules()):
            raise ModelError("the layer is no part of the model; take one of model.modules().")
        return layer
    body = getattr(model, "backbone", model)
    for root in (model, body):
        try:
            return root.get_submodule(layer)
        except AttributeError:
            continue
    near = difflib.get_close_matches(layer, [name for name, _ in body.named_modules()], n=3)
    raise ModelError(
        f"the model has no layer '{layer}'; "
        + (f"the nearest are {', '.join(near)}." if near else "see model.named_modules().")
    )


def token_layer(model: nn.Module) -> nn.Module | None:
    """Return a transformer's explained layer: the first norm of its last block.

    What follows it mixes the tokens only once more, so that its gradient is not lost in the class
    token (the recommendation of pytorch-grad-cam's authors).

    Returns:
        The layer; None where the model is no row of transformer blocks.
    """
    blocks: Any = getattr(getattr(model, "backbone", model), "blocks", None)
    if not isinstance(blocks, (nn.Sequential, nn.ModuleList)) or not len(blocks):
        return None
    norm = getattr(blocks[-1], "norm1", None)
    return norm if isinstance(norm, nn.Module) else None


def last_map_layer(model: nn.Module, x: Tensor) -> nn.Module:
    """Find the last layer of any network whose output is a map.

    Args:
        model: Any network, in evaluation mode.
        x: Images ``(B, C, H, W)``; one of them is sent through.

    Raises:
        ModelError: There is none; the caller must name a layer.
    """
    last: list[nn.Module] = []

    def note(module: nn.Module, _: Any, out: Any) -> None:
        if isinstance(out, Tensor) and out.ndim == 4 and min(out.shape[2:]) > 1:
            last[:] = [module]

    leaves = [module for module in model.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(note) for leaf in leaves]
    try:
        with torch.no_grad():
            model(x[:1])
    finally:
        for hook in hooks:
            hook.remove()
    if not last:
        raise ModelError("no layer of this model makes a map; name the layer to be explained.")
    return last[0]
