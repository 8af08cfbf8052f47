"""The closed form of Grad-CAM for vision transformers that classify by their class token.

The explained layer is ``A = blocks[-1].norm1(z)``, one vector a token. Only the class token's
query of the last block matters for the logits, so no other is computed. A logit depends on the
patch tokens of ``A`` through their keys and values alone, and both are linear in ``A``, so the
mean over patches (Grad-CAM's weight) commutes with ``W_K`` and ``W_V``. With ``p`` the class
token's attention in one head, ``o = sum_t p_t v_t``, ``g`` the gradient of the logit by ``o``,
``s`` the scale of the scores and ``N`` patches::

    mean_t d/dV_t = (1/N) (sum over patches of p_t) g
    mean_t d/dK_t = (s/N) (sum over patches of p_t (g.v_t - g.o)) q
                  = (s/N) (sum over prefix tokens of p_t (g.o - g.v_t)) q

since ``p_t (g.v_t - g.o)`` sums to nothing over all tokens. ``g`` itself is found by a backward
pass through the tail of the network on one token only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from timm.layers.attention import Attention
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from lucidray.explain.method import chosen, differentiable, token_grid


def fits(model: nn.Module) -> bool:
    """Say whether a model is a ViT whose class token alone is classified."""
    vit: Any = getattr(model, "backbone", None)
    if type(vit) is not VisionTransformer or getattr(model, "pool", None) is not None:
        return False
    block: Any = vit.blocks[-1]
    if type(block) is not Block or len(vit.blocks) < 2:
        return False
    if type(block.attn) is not Attention:
        return False
    gated = getattr(block.attn, "gate", None) is not None
    plain_keys = isinstance(block.attn.k_norm, nn.Identity) and not gated
    pooled = getattr(vit, "attn_pool", None) is not None
    return vit.global_pool == "token" and plain_keys and not pooled


#: From model, attention output ``(B, heads * d)``, class token ``(B, C)`` and targets to logits,
#: chosen targets and d logit / d output ``(B, F, heads * d)``.
TailGradient = Callable[
    [nn.Module, Tensor, Tensor, Sequence[int] | None], tuple[Tensor, list[int], Tensor]
]


def explain_tokens(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    tail_gradient: TailGradient | None = None,
) -> tuple[Tensor, Tensor]:
    """Return logits and Grad-CAM maps of a ViT, never attending from any but the class token.

    Args:
        model: A classifier that `fits`, in evaluation mode.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        tail_gradient: How the gradient by the attention's output is found; None: by autograd.
            A graph for export, which knows no autograd, brings its own formula.

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), h, w)``, raw, signed, float32.

    Source: derived above from arXiv:1610.02391, equations 1 and 2.
    Deviates: no.
    """
    vit: Any = model.backbone
    with torch.no_grad():
        tokens = _before_last_block(vit, x)
        read = _read(vit.blocks[-1], tokens)
    find = tail_gradient or _tail_gradient
    logits, wanted, gradient = find(model, read.output, tokens[:, 0], targets)
    prefix, rows, columns = token_grid(model, tokens.shape[1])
    with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
        weights = _mean_gradient(vit.blocks[-1].attn, read, gradient, prefix)
        maps = weights @ read.normed[:, prefix:].float().transpose(1, 2)
    return logits, maps.view(-1, len(wanted), rows, columns)


class _Reading(NamedTuple):
    """What the class token reads in the last block."""

    normed: Tensor  # (B, T, C), the explained layer
    query: Tensor  # (B, heads, d)
    values: Tensor  # (B, heads, T, d)
    attention: Tensor  # (B, heads, T)
    output: Tensor  # (B, heads * d)


def _before_last_block(vit: Any, x: Tensor) -> Tensor:
    patches, prefix = vit.forward_intermediates(
        x,
        indices=[len(vit.blocks) - 2],
        return_prefix_tokens=True,
        stop_early=True,
        output_fmt="NLC",
        intermediates_only=True,
    )[0]
    return torch.cat([prefix, patches], 1)


def _read(block: Any, tokens: Tensor) -> _Reading:
    attention = block.attn
    normed: Tensor = block.norm1(tokens)
    query = attention.q_norm(_by_head(attention, _projected(attention, normed[:, 0], 0)))
    keys = _by_head(attention, _projected(attention, normed, 1)).transpose(1, 2)
    values = _by_head(attention, _projected(attention, normed, 2)).transpose(1, 2)
    scores = (keys @ query.unsqueeze(-1)).squeeze(-1) * attention.scale
    shares = scores.softmax(-1)
    output = (shares.unsqueeze(-2).to(values.dtype) @ values).squeeze(-2).flatten(1)
    return _Reading(normed, query, values, shares, output)


def _by_head(attention: Any, tokens: Tensor) -> Tensor:
    return tokens.reshape(*tokens.shape[:-1], attention.num_heads, attention.head_dim)


def _projected(attention: Any, tokens: Tensor, part: int) -> Tensor:
    """Apply the part of the joint projection that makes queries (0), keys (1) or values (2)."""
    rows = slice(part * attention.attn_dim, (part + 1) * attention.attn_dim)
    bias = attention.qkv.bias
    return functional.linear(
        tokens, attention.qkv.weight[rows], None if bias is None else bias[rows]
    )


def _tail(model: Any, output: Tensor, token: Tensor) -> Tensor:
    """Carry the class token from the last attention's output to the logits."""
    vit = model.backbone
    block = vit.blocks[-1]
    attended = block.attn.proj(block.attn.norm(output))
    token = token + block.drop_path1(block.ls1(attended))
    token = token + block.drop_path2(block.ls2(block.mlp(block.norm2(token))))
    logits: Tensor = model.head(vit.head_drop(vit.fc_norm(vit.norm(token))))
    return logits


def _tail_gradient(
    model: nn.Module, output: Tensor, token: Tensor, targets: Sequence[int] | None
) -> tuple[Tensor, list[int], Tensor]:
    """Return logits, targets and d logit / d output ``(B, F, heads * d)``.

    Each image's token is repeated once a target, so that one backward pass serves them all.
    """
    with torch.no_grad():
        logits = _tail(model, output, token)
    wanted = chosen(targets, logits.shape[-1])
    count = len(wanted)
    with differentiable():
        copies = output.detach().clone().repeat_interleave(count, 0).requires_grad_()
        repeated = _tail(model, copies, token.detach().clone().repeat_interleave(count, 0))
        own = repeated.view(-1, count, logits.shape[-1])[:, range(count), wanted]
        (gradient,) = torch.autograd.grad(own.sum(), copies)
    return logits, wanted, gradient.view(-1, count, output.shape[-1])


def _mean_gradient(attention: Any, read: _Reading, gradient: Tensor, prefix: int) -> Tensor:
    """Return the mean over patches of d logit / d ``A``, ``(B, F, C)``."""
    g = _by_head(attention, gradient.float())  # (B, F, heads, d)
    shares = read.attention.float()  # (B, heads, T)
    values = read.values[:, :, :prefix].float()  # (B, heads, prefix, d)
    output = _by_head(attention, read.output.float())  # (B, heads, d)
    surplus = torch.einsum("bfhd,bhpd->bfhp", g, output.unsqueeze(2) - values)
    on_scores = (surplus * shares[:, None, :, :prefix]).sum(-1, keepdim=True) * attention.scale
    by_key = (on_scores * read.query.float()[:, None]).flatten(2)
    by_value = (g * shares[..., prefix:].sum(-1)[:, None, :, None]).flatten(2)
    _, w_key, w_value = attention.qkv.weight.float().chunk(3)
    total: Tensor = by_key @ w_key + by_value @ w_value
    return total / (shares.shape[-1] - prefix)
