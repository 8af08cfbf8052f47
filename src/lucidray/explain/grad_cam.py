"""Grad-CAM by gradients: any model, any layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lucidray.errors import ModelError
from lucidray.explain.layers import find_layer, last_map_layer, token_layer
from lucidray.explain.method import (
    Explainable,
    chosen,
    differentiable,
    evaluating,
    explainers,
    prepare,
    token_grid,
)


@explainers.register("grad_cam", source="arXiv:1610.02391, equations 1 and 2", needs="gradients")
def grad_cam(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Explain by a layer's channels, each weighted by its mean gradient.

    One forward pass, and one backward pass a target, which ends at the layer.

    Args:
        model: A classifier, or any network that returns logits ``(B, F)``.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: The layer, or its name; None = chosen: the map that a classifier pools (after the
            last ReLU), the patch tokens of a transformer's ``blocks[-1].norm1``, or the last map
            of any other network.
        sign: 1 explains a logit, -1 its absence (a binary model's negative class).

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), h, w)``: raw, signed, float32; positive
        speaks for the target.

    Raises:
        ModelError: There is no such layer, or its output is neither a map nor tokens.
        ShapeError: The images or the targets do not fit.

    Source: Selvaraju et al., Grad-CAM, arXiv:1610.02391, equations 1 and 2.
    Deviates: the ReLU of equation 2 is left to ``images.render``, so that evidence against a
        finding is kept; gradients are of the logit, as in the paper.
    """
    x = prepare(model, x)
    with evaluating(model), differentiable():
        x = x.clone()
        logits, activation = _record(model, x, layer)
        wanted = chosen(targets, logits.shape[-1])
        maps = [
            _weighted(model, activation, gradient)
            for gradient in _gradients(logits, activation, wanted)
        ]
    return logits.detach(), sign * torch.stack(maps, 1)


def _record(model: nn.Module, x: Tensor, layer: str | nn.Module | None) -> tuple[Tensor, Tensor]:
    """Return logits and the activation that they are to be differentiated by."""
    if layer is None and isinstance(model, Explainable):
        with torch.no_grad():
            features = model.features(x)
        if features.ndim == 4:
            activation = features.detach().requires_grad_()
            return model.classify(activation.clone()), activation
    if layer is None:
        found = token_layer(model) or last_map_layer(model, x)
    else:
        found = find_layer(model, layer)
    return _hooked(model, x, found)


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


def _gradients(logits: Tensor, activation: Tensor, targets: list[int]) -> list[Tensor]:
    if not logits.requires_grad:
        raise ModelError("the logits do not depend on that layer; name another layer.")
    return [
        torch.autograd.grad(logits[:, target].sum(), activation, retain_graph=True)[0]
        for target in targets
    ]


def _weighted(model: nn.Module, activation: Tensor, gradient: Tensor) -> Tensor:
    values, slopes = activation.detach().float(), gradient.float()
    if values.ndim == 3:
        prefix, rows, columns = token_grid(model, values.shape[1])
        values, slopes = (t[:, prefix:].transpose(1, 2) for t in (values, slopes))
        shape = (*values.shape[:2], rows, columns)
        values, slopes = values.reshape(shape), slopes.reshape(shape)
    elif _channels_last(model, values):
        values, slopes = (t.permute(0, 3, 1, 2) for t in (values, slopes))
    weights = slopes.mean((2, 3), keepdim=True)
    return (weights * values).sum(1)


def _channels_last(model: nn.Module, values: Tensor) -> bool:
    """Say whether a layer's output has its channels last, as Swin's have."""
    body: Any = getattr(model, "backbone", model)
    inside = str(getattr(body, "output_fmt", "")).upper().endswith("NHWC")
    return inside and values.shape[1] == values.shape[2]
