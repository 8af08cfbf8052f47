"""XGrad-CAM: gradients averaged where a channel is active."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lucidray.explain.activations import blend, evidence
from lucidray.explain.method import explainers

#: A channel whose values cancel to a smaller share of their size than this has no weight.
_CANCELED = 1e-6


@explainers.register(
    "xgrad_cam",
    source="arXiv:2008.02312, equation 8",
    needs="a map or tokens",
    cost="1 forward, F backward to the layer; 1 forward behind a mean and a linear or MLP head",
    class_specific=True,
    odd=True,
)
def xgrad_cam(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Explain by a layer's channels, each weighted by its gradient where it is active.

    A channel's weight is ``sum_ij g_ij A_ij / sum_ij A_ij``. Behind a mean and a linear head
    that is Grad-CAM's weight.

    Args:
        model: A classifier, or any network that returns logits ``(B, F)``.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: The layer, or its name; None = chosen as for ``grad_cam``. Best one that is not
            negative (after a ReLU), as the paper assumes.
        sign: 1 explains a logit, -1 its absence.

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), h, w)``: raw, signed, float32; positive
        speaks for the target.

    Raises:
        ModelError: There is no such layer, or its output is neither a map nor tokens.
        ShapeError: The images or the targets do not fit.

    Source: Fu et al., Axiom-based Grad-CAM, arXiv:2008.02312, equation 8.
    Deviates: the last ReLU is left to ``images.render``. A channel without activity, or whose
        values cancel out, has weight 0; no epsilon is added, which would shrink small maps.
    """
    found = evidence(model, x, targets, layer=layer, sign=sign)
    if found.slopes.shape[-1] == 1:
        return found.logits, blend(found.slopes, found.maps)
    total, size = found.maps.sum((2, 3)), found.maps.abs().sum((2, 3))
    active = total.abs() > _CANCELED * size
    scale = torch.where(active, 1 / torch.where(active, total, 1), 0)
    weights = torch.einsum("btchw,bchw->btc", found.slopes, found.maps) * scale[:, None]
    return found.logits, blend(weights[..., None, None], found.maps)
