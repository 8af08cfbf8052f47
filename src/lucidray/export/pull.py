"""Derivatives of a network's last layers, by formula: a graph holds no gradients.

Each layer gives its output and a function that pulls cotangents back through it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from timm.layers.drop import DropPath
from timm.layers.mlp import Mlp
from timm.models.vision_transformer import LayerScale  # type: ignore[attr-defined]
from torch import Tensor, nn

from lucidray.errors import ExportError

#: Takes ``(B or 1, F, D_out)``, gives ``(B or 1, F, D_in)``.
Pull = Callable[[Tensor], Tensor]


def differentiate(
    layers: Iterable[nn.Module], x: Tensor, *, channels: int | None = None
) -> tuple[Tensor, Pull]:
    """Run layers one after the other and return how to go back.

    Args:
        layers: Linear, layer norm, layer scale, ReLU, GELU, and whatever does nothing in
            evaluation; sequences and transformer MLPs of these.
        x: ``(B, D)``.
        channels: Where `x` is a flattened map of so many channels, the way back ends in channels:
            the derivatives of a channel's pixels, summed.

    Returns:
        The output ``(B, D_out)``, and the way back.

    Raises:
        ExportError: A layer's derivative is not known here.
    """
    pulls: list[Pull] = []
    for layer in _flat(layers):
        fold = channels if not any(pull is not _same for pull in pulls) else None
        x, pull = _step(layer, x, fold)
        pulls.append(pull)

    def back(cotangent: Tensor) -> Tensor:
        for pull in reversed(pulls):
            cotangent = pull(cotangent)
        return cotangent

    return x, back


def _flat(layers: Iterable[nn.Module]) -> Iterator[nn.Module]:
    for layer in layers:
        if isinstance(layer, nn.Sequential):
            yield from _flat(layer)
        elif isinstance(layer, Mlp):
            yield from _flat((layer.fc1, layer.act, layer.norm, layer.fc2))
        else:
            yield layer


def _step(layer: nn.Module, x: Tensor, fold: int | None) -> tuple[Tensor, Pull]:
    if isinstance(layer, nn.Linear):
        return layer(x), _through_linear(layer.weight, fold)
    if isinstance(layer, nn.LayerNorm):
        return _through_layer_norm(layer, x)
    if isinstance(layer, (nn.ReLU, nn.GELU)):
        slope = _slope(layer, x)[:, None]
        return layer(x), lambda cotangent: cotangent * slope
    if isinstance(layer, LayerScale):
        return x * layer.gamma, lambda cotangent: cotangent * layer.gamma
    if isinstance(layer, (nn.Identity, nn.Dropout, DropPath)):
        return x, _same
    raise ExportError(
        f"the derivative of a {type(layer).__name__} layer is not known to the export; use a head "
        "of linear layers with ReLU or GELU."
    )


def _same(cotangent: Tensor) -> Tensor:
    return cotangent


def _through_linear(weight: Tensor, fold: int | None) -> Pull:
    if fold is not None and fold != weight.shape[1]:
        weight = weight.view(len(weight), fold, -1).sum(2)
    return lambda cotangent: torch.matmul(cotangent, weight)


def _through_layer_norm(layer: nn.LayerNorm, x: Tensor) -> tuple[Tensor, Pull]:
    centered = x - x.mean(-1, keepdim=True)
    inverse = torch.rsqrt(centered.square().mean(-1, keepdim=True) + layer.eps)
    normal = centered * inverse
    weight = torch.ones(()) if layer.weight is None else layer.weight

    def pull(cotangent: Tensor) -> Tensor:
        scaled, along = cotangent * weight, normal[:, None]
        level = scaled.mean(-1, keepdim=True) + along * (scaled * along).mean(-1, keepdim=True)
        return (scaled - level) * inverse[:, None]

    output = normal * weight
    return (output if layer.bias is None else output + layer.bias), pull


def _slope(layer: nn.ReLU | nn.GELU, z: Tensor) -> Tensor:
    if isinstance(layer, nn.ReLU):
        return (z > 0).to(z.dtype)
    if layer.approximate == "tanh":
        root = math.sqrt(2 / math.pi)
        bent = torch.tanh(root * (z + 0.044715 * z**3))
        return 0.5 * (1 + bent) + 0.5 * z * (1 - bent**2) * root * (1 + 3 * 0.044715 * z**2)
    density = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return 0.5 * (1 + torch.erf(z / math.sqrt(2))) + z * density
