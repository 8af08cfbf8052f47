"""EigenCAM: what a layer's channels have in common, whatever the finding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lucidray.explain.activations import layer_maps
from lucidray.explain.method import chosen, evaluating, explainers, prepare


@explainers.register(
    "eigen_cam",
    source="arXiv:2008.00299, equations 2 to 4",
    needs="a map or tokens",
    cost="1 forward",
    class_specific=False,
    odd=False,
)
def eigen_cam(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
    centered: bool = False,
) -> tuple[Tensor, Tensor]:
    """Explain by the first principal component of a layer's channels.

    It knows no finding: every target, and its absence, has the same map.

    Args:
        model: A classifier, or any network that returns logits ``(B, F)``.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: The layer, or its name; None = chosen as for ``grad_cam``.
        sign: Without effect.
        centered: Whether each channel's mean is removed first, as pytorch-grad-cam does.

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), h, w)``: raw, float32; turned so that they
        rise with the sum of all channels.

    Raises:
        ModelError: There is no such layer, or its output is neither a map nor tokens.
        ShapeError: The images or the targets do not fit.

    Source: Muhammad and Yeasin, Eigen-CAM, arXiv:2008.00299, equations 2 to 4.
    Deviates: the sign, which the decomposition leaves open, is fixed as said above; peers leave
        it to chance, so that their map may be upside down.
    """
    del sign
    x = prepare(model, x)
    with evaluating(model):
        logits, maps = layer_maps(model, x, layer)
    wanted = chosen(targets, logits.shape[-1])
    with torch.no_grad():
        found = _first_component(maps.flatten(2).double(), centered=centered)
    found = found.float().view(len(maps), 1, *maps.shape[2:])
    return logits, found.repeat(1, len(wanted), 1, 1)


def _first_component(channels: Tensor, *, centered: bool) -> Tensor:
    """Project pixels on the first right singular vector of ``(B, pixels, C)``; given ``(B, C, N)``.

    The smaller of the two Gram matrices is decomposed.
    """
    if centered:
        channels = channels - channels.mean(2, keepdim=True)
    if channels.shape[1] <= channels.shape[2]:
        direction = torch.linalg.eigh(channels @ channels.mT).eigenvectors[..., -1:]
        found = (channels * direction).sum(1)
    else:
        values, vectors = torch.linalg.eigh(channels.mT @ channels)
        found = vectors[..., -1] * values[..., -1:].clamp(min=0).sqrt()
    brightness = channels.sum(1)
    turned = (found * brightness).sum(1, keepdim=True) < 0
    return torch.where(turned, -found, found)
