"""Explanations that read a vision transformer's attention: raw, rolled out, and by relevance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lucidray.explain.attending import attentions, catching, checked, patches, readers
from lucidray.explain.method import (
    chosen,
    differentiable,
    evaluating,
    explainers,
    no_layer,
    prepare,
)


@explainers.register(
    "raw_attention",
    source="arXiv:2104.14294, figure 1",
    needs="a vision transformer",
    cost="1 forward",
    class_specific=False,
    odd=False,
)
def raw_attention(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Explain by what the class token attends to in the last block, the mean over heads.

    It knows no finding: every target, and its absence, has the same map.

    Args:
        model: A vision transformer, or a classifier on one.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: Must be None.
        sign: Without effect.

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), h, w)``, one cell a patch: float32, never
        negative; they add up to the attention that prefix tokens leave. Where the patches' mean
        is classified, the mean over what they attend to.

    Raises:
        ModelError: The model is no such transformer, or a layer was named.
        ShapeError: The images or the targets do not fit.

    Source: Caron et al., Emerging Properties in Self-Supervised Vision Transformers,
        arXiv:2104.14294, figure 1.
    Deviates: the mean over heads; the figure shows heads one by one.
    """
    del sign
    no_layer(layer, "raw_attention")
    logits, caught = _attend(model, x, "raw_attention")
    last = caught[-1].float().mean(1)
    found = readers(model, last.shape[-1]).to(last) @ last
    return logits, _for_all(patches(model, found), chosen(targets, logits.shape[-1]))


@explainers.register(
    "attention_rollout",
    source="arXiv:2005.00928, section 3",
    needs="a vision transformer",
    cost="1 forward",
    class_specific=False,
    odd=False,
)
def attention_rollout(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Explain by attention followed through all blocks, half of each step being the token itself.

    It knows no finding: every target, and its absence, has the same map.

    Args:
        model: A vision transformer, or a classifier on one.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: Must be None.
        sign: Without effect.

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), h, w)``, one cell a patch: float32, never
        negative, adding up to 1 less the prefix tokens' share.

    Raises:
        ModelError: The model is no such transformer, or a layer was named.
        ShapeError: The images or the targets do not fit.

    Source: Abnar and Zuidema, Quantifying Attention Flow in Transformers, arXiv:2005.00928,
        section 3; heads are averaged.
    Deviates: no. Only the row that is read is multiplied through, not the whole matrix.
    """
    del sign
    no_layer(layer, "attention_rollout")
    logits, caught = _attend(model, x, "attention_rollout")
    row = readers(model, caught[0].shape[-1]).to(logits.device).repeat(len(logits), 1, 1)
    for attention in reversed(caught):
        row = 0.5 * row + 0.5 * row @ attention.float().mean(1)
    return logits, _for_all(patches(model, row[:, 0]), chosen(targets, logits.shape[-1]))


@explainers.register(
    "attention_relevance",
    source="arXiv:2103.15679, equations 5 and 6",
    needs="a vision transformer",
    cost="1 forward, F backward",
    class_specific=True,
    odd=False,
)
def attention_relevance(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Explain by attention, each head's weighted by its gradient, followed through all blocks.

    With ``A`` a block's attention, ``C = mean over heads of relu(dA * A)``, and relevance grows
    from block to block as ``R + C R``, beginning with the identity.

    Args:
        model: A vision transformer, or a classifier on one.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: Must be None.
        sign: 1 explains a logit, -1 its absence, which is no mirror image.

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), h, w)``, one cell a patch: float32, never
        negative.

    Raises:
        ModelError: The model is no such transformer, or a layer was named.
        ShapeError: The images or the targets do not fit.

    Source: Chefer, Gur and Wolf, Generic Attention-model Explainability, arXiv:2103.15679,
        equations 5 and 6 (self-attention only).
    Deviates: no. Only the row that is read is multiplied through, not the whole matrix.
    """
    no_layer(layer, "attention_relevance")
    x = prepare(model, x)
    modules = attentions(model, "attention_relevance")
    with evaluating(model), differentiable(), catching(modules) as caught:
        logits: Tensor = model(x.clone().requires_grad_())
        caught = checked(caught, modules)
        wanted = chosen(targets, logits.shape[-1])
        slopes = [
            torch.autograd.grad(sign * logits[:, target].sum(), caught, retain_graph=True)
            for target in wanted
        ]
    values = [each.detach().float() for each in caught]
    start = readers(model, values[0].shape[-1]).to(values[0])
    maps = [patches(model, _relevance(start, values, slope)) for slope in slopes]
    return logits.detach(), torch.stack(maps, 1)


def _relevance(start: Tensor, attentions: Sequence[Tensor], slopes: Sequence[Tensor]) -> Tensor:
    """Follow what is read, ``(T,)``, back to the first block: ``(B, T)``."""
    row = start.repeat(len(attentions[0]), 1, 1)
    for attention, slope in zip(reversed(attentions), reversed(slopes), strict=True):
        row = row + row @ (slope.float() * attention).clamp(min=0).mean(1)
    return row[:, 0]


def _attend(model: nn.Module, x: Tensor, method: str) -> tuple[Tensor, list[Tensor]]:
    modules = attentions(model, method)
    x = prepare(model, x)
    with evaluating(model), torch.no_grad(), catching(modules) as caught:
        logits: Tensor = model(x)
    return logits, checked(caught, modules)


def _for_all(maps: Tensor, targets: Sequence[int]) -> Tensor:
    return maps[:, None].repeat(1, len(targets), 1, 1)
