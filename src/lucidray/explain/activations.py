"""What an inner layer of a network says, and how its logits hang on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lucidray.errors import ModelError
from lucidray.explain.closed_form import evenly_pooled, pooled_jacobian, refuse_branches
from lucidray.explain.layers import find_layer, last_map_layer, token_layer
from lucidray.explain.method import (
    Explainable,
    chosen,
    differentiable,
    evaluating,
    prepare,
    token_grid,
)

#: Copies of a layer's output that one batched backward pass may carry.
_COPIES = 32


class Evidence(NamedTuple):
    """A layer's map and its slopes.

    Args:
        logits: ``(B, F)``, all of the model's.
        maps: float32 ``(B, C, h, w)``, the layer's output.
        slopes: float32 ``(B, T, C, h, w)``, d (sign x logit of each target) / d map; ``(B, T, C, 1,
            1)`` where they are the same at each pixel.
    """

    logits: Tensor
    maps: Tensor
    slopes: Tensor


def evidence(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
) -> Evidence:
    """Return a layer's map and the slopes of all targets by it.

    Behind a mean and a linear or MLP head the slopes are known without a backward pass.
    Elsewhere one batched backward pass serves all targets; it ends at the layer.

    Args:
        model: A classifier, or any network that returns logits ``(B, F)``.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: The layer, or its name; None = chosen by the architecture.
        sign: 1 explains a logit, -1 its absence.

    Raises:
        ModelError: There is no such layer, or its output is neither a map nor tokens.
        ShapeError: The images or the targets do not fit.
    """
    refuse_branches(model, layer)
    x = prepare(model, x)
    with evaluating(model):
        if layer is None and evenly_pooled(model):
            return _pooled_evidence(model, x, targets, sign)
        with differentiable():
            logits, activation = record(model, x.clone(), layer)
            wanted = chosen(targets, logits.shape[-1])
            slopes = jacobian(logits, activation, wanted, sign=sign)
    return Evidence(logits.detach(), as_map(model, activation), as_map(model, slopes, lead=2))


def _pooled_evidence(model: Any, x: Tensor, targets: Sequence[int] | None, sign: float) -> Evidence:
    with torch.no_grad():
        features: Tensor = model.features(x)
        logits, slopes = pooled_jacobian(model, features, targets)
        slopes = slopes.expand(len(x), *slopes.shape[-2:])[..., None, None]
    pixels = features.shape[2] * features.shape[3]
    return Evidence(logits, features.float(), sign * slopes / pixels)


def layer_maps(
    model: nn.Module, x: Tensor, layer: str | nn.Module | None = None
) -> tuple[Tensor, Tensor]:
    """Return logits and a layer's float32 map ``(B, C, h, w)``, without any gradient.

    Args:
        model: A network in evaluation mode.
        x: Images ``(B, C, H, W)``, prepared.
        layer: The layer, or its name; None = chosen by the architecture.

    Raises:
        ModelError: There is no such layer, or its output is neither a map nor tokens.
    """
    with torch.no_grad():
        logits, activation = record(model, x, layer)
        return logits, as_map(model, activation)


def record(
    model: nn.Module, x: Tensor, layer: str | nn.Module | None = None
) -> tuple[Tensor, Tensor]:
    """Return logits and the activation, in the layer's own layout, that they hang on."""
    refuse_branches(model, layer)
    if layer is None and isinstance(model, Explainable):
        with torch.no_grad():
            features = model.features(x)
        if features.ndim == 4:
            activation = features.detach().requires_grad_()
            return model.classify(activation.clone()), activation
    return _hooked(model, x, explained_layer(model, x, layer))


def explained_layer(model: nn.Module, x: Tensor, layer: str | nn.Module | None) -> nn.Module:
    """Return the named layer, or the one that the architecture chooses."""
    if layer is not None:
        return find_layer(model, layer)
    return token_layer(model) or last_map_layer(model, x)


def _hooked(model: nn.Module, x: Tensor, layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Run the model; all before the layer's last call stays out of the graph."""
    caught: list[Tensor] = []

    def catch(_module: nn.Module, _inputs: Any, out: Any) -> Tensor:
        if not isinstance(out, Tensor) or out.ndim not in (3, 4):
            raise ModelError(
                "the output of that layer is neither a map (B, C, h, w) nor tokens (B, T, C); "
                "name another layer."
            )
        activation = out.detach().requires_grad_()
        caught[:] = [activation]
        return activation.clone()

    hook = layer.register_forward_hook(catch)
    try:
        logits: Tensor = model(x)
    finally:
        hook.remove()
    if not caught:
        raise ModelError("that layer does not take part in the forward pass; name another layer.")
    return logits, caught[0]


def jacobian(
    logits: Tensor, activation: Tensor, targets: Sequence[int], *, sign: float = 1.0
) -> Tensor:
    """Return d (sign x logit) / d activation, ``(B, T, ...)``, many targets a backward pass.

    Args:
        logits: ``(B, F)``, made from the activation.
        activation: ``(B, ...)``, a leaf of the graph.
        targets: Indices of logits.
        sign: Factor of all.

    Raises:
        ModelError: The logits do not hang on the activation.
    """
    if not logits.requires_grad:
        raise ModelError("the logits do not depend on that layer; name another layer.")
    seeds = sign * torch.eye(logits.shape[-1], device=logits.device, dtype=logits.dtype)[targets]
    seeds = seeds[:, None].expand(-1, len(logits), -1)
    step = max(1, _COPIES // len(activation))
    found = [
        torch.autograd.grad(logits, activation, part, retain_graph=True, is_grads_batched=True)[0]
        for part in torch.split(seeds, step)
    ]
    return torch.cat(found).transpose(0, 1)


def as_map(model: nn.Module, values: Tensor, lead: int = 1) -> Tensor:
    """Lay a layer's output, or the slopes by it, out as a float32 map.

    Args:
        model: The network that the layer is part of.
        values: ``(..., C, h, w)``, ``(..., h, w, C)`` as Swin has it, or tokens ``(..., T, C)``,
            whose prefix is left out.
        lead: Number of dimensions before these.

    Returns:
        ``(..., C, h, w)``, outside the graph.
    """
    flat = values.detach().float().flatten(0, lead - 1)
    if flat.ndim == 3:
        prefix, rows, columns = token_grid(model, flat.shape[1])
        flat = flat[:, prefix:].transpose(1, 2).reshape(len(flat), -1, rows, columns)
    elif channels_last(model, flat):
        flat = flat.permute(0, 3, 1, 2)
    return flat.reshape(*values.shape[:lead], *flat.shape[1:])


def channels_last(model: nn.Module, values: Tensor) -> bool:
    """Say whether a layer's output ``(B, ., ., .)`` has its channels last, as Swin's have."""
    body: Any = getattr(model, "backbone", model)
    inside = str(getattr(body, "output_fmt", "")).upper().endswith("NHWC")
    return inside and values.shape[1] == values.shape[2]


def blend(weights: Tensor, maps: Tensor) -> Tensor:
    """Add a layer's channels up, each times its weights.

    Args:
        weights: ``(B, T, C, h, w)``, or ``(B, T, C, 1, 1)`` for one weight a channel.
        maps: ``(B, C, h, w)``.

    Returns:
        ``(B, T, h, w)``.
    """
    with torch.autocast(maps.device.type, enabled=False):
        if weights.shape[-2:] == (1, 1):
            return torch.einsum("btc,bchw->bthw", weights[..., 0, 0], maps)
        return torch.einsum("btchw,bchw->bthw", weights, maps)
