"""The attention of a vision transformer's blocks: caught as it is made, read as a map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lucidray.errors import ModelError
from lucidray.explain.method import token_grid


def attentions(model: nn.Module, method: str) -> list[Any]:
    """Return the attention of each block of a transformer whose tokens all attend to each other.

    Args:
        model: A vision transformer, or a classifier on one.
        method: Who asks, for the message.

    Raises:
        ModelError: The model is none.
    """
    body: Any = getattr(model, "backbone", model)
    blocks = getattr(body, "blocks", None)
    found: list[Any] = []
    if isinstance(blocks, (nn.Sequential, nn.ModuleList)):
        found = [getattr(block, "attn", None) for block in blocks]
    known = all(isinstance(getattr(each, "attn_drop", None), nn.Module) for each in found)
    if not found or not known or getattr(body, "global_pool", None) not in {"token", "avg"}:
        raise ModelError(
            f"{method} reads the attention of a vision transformer whose class token, or the mean "
            "of whose patch tokens, is classified; this model is none. "
            'Use method "grad_cam", which explains any model.'
        )
    return found


@contextmanager
def catching(modules: Sequence[Any]) -> Iterator[list[Tensor]]:
    """Catch the attention ``(B, heads, T, T)`` of each block of the forward passes within.

    Fused attention, which never makes this matrix, is put aside for as long.

    Args:
        modules: What `attentions` returned.

    Yields:
        A list that fills, in the order of the blocks.
    """
    caught: list[Tensor] = []

    def catch(_module: nn.Module, inputs: tuple[Tensor, ...], _out: Tensor) -> None:
        caught.append(inputs[0])

    fused = [getattr(module, "fused_attn", None) for module in modules]
    hooks = [module.attn_drop.register_forward_hook(catch) for module in modules]
    try:
        for module in modules:
            module.fused_attn = False
        yield caught
    finally:
        for hook in hooks:
            hook.remove()
        for module, before in zip(modules, fused, strict=True):
            if before is None:
                del module.fused_attn
            else:
                module.fused_attn = before


def checked(caught: Sequence[Tensor], modules: Sequence[Any]) -> list[Tensor]:
    """Return the attentions, which must be one a block and head, of all tokens to all.

    Raises:
        ModelError: They are not (windows, differences of two attentions).
    """
    heads = [getattr(module, "num_heads", None) for module in modules]
    sizes = {each.shape[-2:] for each in caught}
    whole = [each.shape[1] if each.ndim == 4 else None for each in caught] == heads
    if not whole or len(sizes) != 1 or len(set(*sizes)) != 1:
        raise ModelError(
            "the attention of this model is not one matrix of all tokens a block; "
            'use method "grad_cam".'
        )
    return list(caught)


def readers(model: nn.Module, tokens: int) -> Tensor:
    """Return the share of each token in what is classified, ``(T,)``, adding up to 1.

    All is the class token's, or the patches' alike where their mean is classified.
    """
    body: Any = getattr(model, "backbone", model)
    prefix, rows, columns = token_grid(model, tokens)
    shares = torch.zeros(tokens)
    if body.global_pool == "token":
        shares[0] = 1
    else:
        shares[prefix:] = 1 / (rows * columns)
    return shares


def patches(model: nn.Module, values: Tensor) -> Tensor:
    """Lay values of all tokens ``(..., T)`` out as a map of the patches ``(..., h, w)``."""
    prefix, rows, columns = token_grid(model, values.shape[-1])
    return values[..., prefix:].reshape(*values.shape[:-1], rows, columns)
