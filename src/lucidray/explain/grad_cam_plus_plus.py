"""Grad-CAM++: weights from where a channel speaks for the finding."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lucidray.explain.activations import blend, evidence
from lucidray.explain.method import explainers


@explainers.register(
    "grad_cam_plus_plus",
    source="arXiv:1710.11063, equations 7, 10 and 19",
    needs="a map or tokens",
    cost="1 forward, F backward to the layer; 1 forward behind a mean and a linear or MLP head",
    class_specific=True,
    odd=False,
)
def grad_cam_plus_plus(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Explain by a layer's channels, each weighted by its positive gradients.

    With ``g`` the gradient of a logit by channel ``A_k``, a channel's weight is
    ``sum_ij relu(g_ij) / (2 + g_ij sum_ab A_ab)``, which is equation 19 with ``g ** 2`` canceled.

    Args:
        model: A classifier, or any network that returns logits ``(B, F)``.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: The layer, or its name; None = chosen as for ``grad_cam``.
        sign: 1 explains a logit, -1 its absence, which is no mirror image: other gradients count.

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), h, w)``: raw, float32; negative only where
        the layer itself is.

    Raises:
        ModelError: There is no such layer, or its output is neither a map nor tokens.
        ShapeError: The images or the targets do not fit.

    Source: Chattopadhyay et al., Grad-CAM++, arXiv:1710.11063, equations 7, 10 and 19, where the
        class score is ``exp(logit)``.
    Deviates: the factor ``exp(logit)``, common to all pixels of a map, is left out. In a layer that
        may be negative (SiLU, tokens) ``sum A`` counts its positive part only; else the
        denominator may vanish. No epsilon is added, which would shrink small gradients.
    """
    found = evidence(model, x, targets, layer=layer, sign=sign)
    total = found.maps.clamp(min=0).sum((2, 3))[:, None, :, None, None]
    rise = found.slopes.clamp(min=0)
    pixels = found.maps.shape[2] * found.maps.shape[3]
    weights = pixels * (rise / (2 + rise * total)).mean((3, 4), keepdim=True)
    return found.logits, blend(weights, found.maps)
