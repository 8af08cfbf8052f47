"""HiResCAM: each value of a layer times its own gradient."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lucidray.explain.activations import blend, evidence
from lucidray.explain.method import explainers


@explainers.register(
    "hires_cam",
    source="arXiv:2011.08891",
    needs="a map or tokens",
    cost="1 forward, F backward to the layer; 1 forward behind a mean and a linear or MLP head",
    class_specific=True,
    odd=True,
)
def hires_cam(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Explain by a layer's values, each times its own gradient, added up over channels.

    Behind one linear layer the map, added up, is the logit without its bias: it shows exactly
    what the model used. Behind a mean and a linear head it equals Grad-CAM.

    Args:
        model: A classifier, or any network that returns logits ``(B, F)``.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: The layer, or its name; None = chosen as for ``grad_cam``.
        sign: 1 explains a logit, -1 its absence.

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), h, w)``: raw, signed, float32; positive
        speaks for the target.

    Raises:
        ModelError: There is no such layer, or its output is neither a map nor tokens.
        ShapeError: The images or the targets do not fit.

    Source: Draelos and Carin, HiResCAM, arXiv:2011.08891.
    Deviates: the ReLU is left to ``images.render``.
    """
    found = evidence(model, x, targets, layer=layer, sign=sign)
    return found.logits, blend(found.slopes, found.maps)
