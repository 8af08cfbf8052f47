"""Ablation-CAM: each channel is taken away, and the logits are looked at again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from lucidray.explain.activations import as_map, blend, channels_last, explained_layer, record
from lucidray.explain.closed_form import head_layers, refuse_branches
from lucidray.explain.method import (
    Explainable,
    chosen,
    evaluating,
    explainers,
    positive,
    prepare,
    token_grid,
)
from lucidray.explain.perturbing import Counter, Progress, look_again

#: From a layer's output for some images, and the images' numbers, to their logits.
_Rest = Callable[[Tensor, Tensor], Tensor]


@explainers.register(
    "ablation_cam",
    source="doi:10.1109/WACV45572.2020.9093360, equations 3 and 4",
    needs="a map or tokens",
    cost="1 forward behind a pooled linear head; else 1 + C runs of what follows the layer",
    class_specific=True,
    odd=True,
)
def ablation_cam(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> tuple[Tensor, Tensor]:
    """Explain by a layer's channels, each weighted by what its logit loses without it.

    Behind a pooled linear head the loss is known: the channel's pooled value times its weight.
    Elsewhere only what follows the layer is run again, once a channel for all findings: the head
    of a classifier, the last block of a vision transformer, the whole network for a named layer.

    Args:
        model: A classifier, or any network that returns logits ``(B, F)``.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: The layer, or its name; None = chosen as for ``grad_cam``.
        sign: 1 explains a logit, -1 its absence.
        batch_size: Ablated channels a run.
        progress: Called with the runs done and those there are.

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), h, w)``: raw, signed, float32; positive
        speaks for the target.

    Raises:
        ModelError: There is no such layer, or its output is neither a map nor tokens.
        ShapeError: The images or the targets do not fit.
        ConfigError: The batch is below 1.

    Source: Desai and Ramaswamy, Ablation-CAM, WACV 2020, equations 3 and 4.
    Deviates: the loss is not divided by the logit, a factor common to all channels, which would
        turn the map around where the logit is negative. The last ReLU is left to
        ``images.render``. Of tokens the patches' are ablated, not the class token's.
    """
    positive(batch_size=batch_size)
    refuse_branches(model, layer)
    x = prepare(model, x)
    with evaluating(model), torch.no_grad():
        if layer is None and _plain_head(model):
            logits, maps, losses = _closed_form(model, x, targets)
        else:
            logits, activation = record(model, x, layer)
            wanted, maps = chosen(targets, logits.shape[-1]), as_map(model, activation)
            rest = _rest(model, x, layer)
            counter = Counter(progress, len(x) * maps.shape[1])
            shape = (*maps.shape[:2], batch_size)
            left = _ablated(model, activation, rest, shape, counter)[..., wanted]
            losses = (logits.float()[:, None, wanted] - left).transpose(1, 2)
    return logits, sign * blend(losses[..., None, None], maps)


def _plain_head(model: nn.Module) -> list[Any]:
    """Return the one linear layer behind a pooled map; nothing where the head is another."""
    kind = getattr(getattr(model, "pool", None), "kind", None)
    steps: list[Any] = (head_layers(model) or []) if kind in {"avg", "max", "flatten"} else []
    return steps if len(steps) == 1 else []


def _closed_form(
    model: Any, x: Tensor, targets: Sequence[int] | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits, maps and losses ``(B, T, C)``: weight times pooled value."""
    features: Tensor = model.features(x)
    pooled: Tensor = model.embed(features)
    logits: Tensor = model.head(pooled)
    wanted = chosen(targets, logits.shape[-1])
    (linear,) = _plain_head(model)
    parts = linear.weight.float()[wanted] * pooled.float()[:, None]
    losses = parts.view(*parts.shape[:2], features.shape[1], -1).sum(3)
    return logits, features.float(), losses


def _ablated(
    model: nn.Module, activation: Tensor, rest: _Rest, shape: tuple[int, int, int], counter: Counter
) -> Tensor:
    """Return the logits without each channel, ``(B, C, F)``."""
    batch, channels, size = shape
    found = []
    for i in range(batch):

        def make(span: range, i: int = i) -> Tensor:
            return _without(model, activation[i], span)

        def run(ablated: Tensor, i: int = i) -> Tensor:
            return rest(ablated, torch.full((len(ablated),), i, device=ablated.device))

        found.append(look_again(run, channels, make, batch_size=size, counter=counter))
    return torch.stack(found)


def _without(model: nn.Module, activation: Tensor, channels: range) -> Tensor:
    """Repeat one image's activation, each time without another channel."""
    copies = activation.detach().repeat(len(channels), *[1] * activation.ndim)
    gone = torch.tensor(channels, device=copies.device)
    each = torch.arange(len(channels), device=copies.device)
    if copies.ndim == 3:
        prefix = token_grid(model, copies.shape[1])[0]
        copies[each, prefix:, gone] = 0
    elif channels_last(model, copies):
        copies[each, :, :, gone] = 0
    else:
        copies[each, gone] = 0
    return copies


def _rest(model: nn.Module, x: Tensor, layer: str | nn.Module | None) -> _Rest:
    """Return what follows the layer."""
    inner: Any = model
    if layer is None and isinstance(model, Explainable) and model.features(x[:1]).ndim == 4:
        return lambda activation, _: inner.classify(activation)
    found = explained_layer(model, x, layer)
    vit = getattr(model, "backbone", None)
    if layer is None and isinstance(vit, VisionTransformer) and isinstance(model, Explainable):
        return _last_block(model, vit, x, found)
    calls = _calls(model, found, x[:1])
    return lambda activation, images: _replaced(model, found, activation, x[images], calls)


def _last_block(model: Any, vit: Any, x: Tensor, norm: nn.Module) -> _Rest:
    """Return the run from the first norm of the last block on, its input kept."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        kept[:] = [inputs[0]]

    hook = vit.blocks[-1].register_forward_pre_hook(keep)
    try:
        model.features(x)
    finally:
        hook.remove()

    def after(tokens: Tensor) -> Tensor:
        return torch.as_tensor(model.classify(vit.norm(vit.blocks[-1](tokens))))

    return lambda activation, images: _replaced(after, norm, activation, kept[0][images], 1)


def _calls(model: nn.Module, layer: nn.Module, x: Tensor) -> int:
    """Count how often a forward pass calls a layer."""
    calls: list[None] = []
    hook = layer.register_forward_hook(lambda *_: calls.append(None))
    try:
        model(x)
    finally:
        hook.remove()
    return len(calls)


def _replaced(
    run: Callable[[Tensor], Tensor], layer: nn.Module, activation: Tensor, x: Tensor, calls: int
) -> Tensor:
    """Run with a layer's output, at its last call, replaced."""
    waiting = calls

    def replace(_module: nn.Module, _inputs: Any, out: Tensor) -> Tensor:
        nonlocal waiting
        waiting -= 1
        return out if waiting else activation

    hook = layer.register_forward_hook(replace)
    try:
        return run(x)
    finally:
        hook.remove()
