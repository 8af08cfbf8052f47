"""Gradients of logits by the image: what gradient, SmoothGrad and integrated gradients share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from lucidray.errors import unknown_name
from lucidray.explain.activations import jacobian
from lucidray.explain.method import chosen, differentiable
from lucidray.explain.perturbing import Counter, spans

#: How the channels of the image become one map: their sum, the derivative by a grey change of
#: the normalized image; or the largest absolute value, without a sign, as in Simonyan et al.
Channels: TypeAlias = Literal["sum", "max_abs"]


def input_gradients(
    model: nn.Module, x: Tensor, targets: Sequence[int] | None, *, sign: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return logits and d (sign x logit) / d image, all targets from one forward pass.

    Args:
        model: A network in evaluation mode.
        x: Images ``(B, C, H, W)``, prepared.
        targets: Indices of logits; None = all.
        sign: Factor of all.

    Returns:
        Logits ``(B, F)`` and float32 gradients ``(B, T, C, H, W)``.
    """
    with differentiable():
        leaf = x.detach().clone().requires_grad_()
        logits: Tensor = model(leaf.clone())
        wanted = chosen(targets, logits.shape[-1])
        gradients = jacobian(logits, leaf, wanted, sign=sign)
    return logits.detach(), gradients.float()


def mean_gradients(
    model: nn.Module,
    make: Callable[[range], Tensor],
    weights: Tensor,
    targets: list[int],
    *,
    batch_size: int,
    counter: Counter,
) -> Tensor:
    """Return the weighted sum of the gradients at many points of one image.

    Args:
        model: A network in evaluation mode.
        make: Makes the inputs of a span of the points' numbers, ``(N, C, H, W)``.
        weights: One a point.
        targets: Indices of logits.
        batch_size: Points a forward pass.
        counter: Told of each batch.

    Returns:
        float32 ``(T, C, H, W)``.
    """
    total: Tensor | float = 0.0
    for span in spans(len(weights), batch_size):
        _, gradients = input_gradients(model, make(span), targets)
        part = weights[span.start : span.stop].to(gradients).view(-1, 1, 1, 1, 1)
        total = total + (part * gradients).sum(0)
        counter.add(len(span))
    return torch.as_tensor(total)


def to_map(gradients: Tensor, channels: Channels) -> Tensor:
    """Turn ``(..., C, H, W)`` into maps ``(..., H, W)``.

    Raises:
        UnknownNameError: There is no such way.
    """
    if channels == "sum":
        return gradients.sum(-3)
    if channels == "max_abs":
        return gradients.abs().amax(-3)
    raise unknown_name("way to join channels", channels, ("sum", "max_abs"))
