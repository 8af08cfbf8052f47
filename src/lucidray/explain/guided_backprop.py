"""Guided backpropagation: only positive gradients pass an activation on their way back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from lucidray.errors import ModelError
from lucidray.explain.input_gradients import Channels, input_gradients, to_map
from lucidray.explain.method import evaluating, explainers, no_layer, prepare

#: Rectifiers, however a network calls them.
_RECTIFIERS: frozenset[Callable[..., Any]] = frozenset(
    {
        torch.relu,
        torch.relu_,
        Tensor.relu,
        Tensor.relu_,
        functional.relu,
        functional.relu_,
        functional.relu6,
        functional.hardtanh,
        functional.leaky_relu,
        functional.elu,
        functional.silu,
        functional.gelu,
        functional.mish,
        functional.hardswish,
    }
)


@explainers.register(
    "guided_backprop",
    source="arXiv:1412.6806, section 3.4",
    needs="gradients, and rectifiers (ReLU and its kin)",
    cost="1 forward, F backward",
    class_specific=True,
    odd=False,
)
def guided_backprop(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
    channels: Channels = "sum",
) -> tuple[Tensor, Tensor]:
    """Explain by the gradient by the image, of which only positive parts pass each rectifier.

    It draws edges much more than it explains a finding: with random weights the picture hardly
    changes (Adebayo et al., arXiv:1810.03292).

    Args:
        model: Any network that returns logits ``(B, F)`` and has rectifiers.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: Must be None.
        sign: 1 explains a logit, -1 its absence, which is no mirror image.
        channels: As for ``gradient``.

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), H, W)``: raw, float32, signed unless
        ``channels="max_abs"``.

    Raises:
        ModelError: The network has no rectifier, or a layer was named.
        ShapeError: The images or the targets do not fit.

    Source: Springenberg et al., Striving for Simplicity, arXiv:1412.6806, section 3.4.
    Deviates: smooth rectifiers (SiLU, GELU) are guided as well: their own slope times the positive
        part of the gradient, which for a ReLU is the paper's rule. Functional and in-place calls
        are guided like modules; peers replace modules only, and miss them.
    """
    no_layer(layer, "guided_backprop")
    x = prepare(model, x)
    with evaluating(model):
        logits, gradients = guided_gradients(model, x, targets, sign=sign)
    return logits, to_map(gradients, channels)


def guided_gradients(
    model: nn.Module, x: Tensor, targets: Sequence[int] | None, *, sign: float
) -> tuple[Tensor, Tensor]:
    """Return logits and guided gradients ``(B, T, C, H, W)``.

    Raises:
        ModelError: The network has no rectifier.
    """
    with _Guidance() as guidance:
        found = input_gradients(model, x, targets, sign=sign)
    if not guidance.guided:
        raise ModelError(
            "the network has no rectifier (ReLU, SiLU, GELU, ...), so nothing is guided; "
            'use method "gradient".'
        )
    return found


class _Guidance(TorchFunctionMode):
    """Lets only positive gradients back into each rectifier; the network is not touched."""

    def __init__(self) -> None:
        super().__init__()
        self.guided = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        out: Any = func(*args, **(kwargs or {}))
        if func in _RECTIFIERS and isinstance(out, Tensor) and out.requires_grad:
            hooked: Any = out
            hooked.register_hook(_positive)
            self.guided += 1
        return out


def _positive(gradient: Tensor) -> Tensor:
    return gradient.clamp(min=0)
