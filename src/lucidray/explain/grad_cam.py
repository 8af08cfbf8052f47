"""Grad-CAM by gradients: any model, any layer."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lucidray.explain.activations import as_map, blend, jacobian, record
from lucidray.explain.method import chosen, differentiable, evaluating, explainers, prepare


@explainers.register(
    "grad_cam",
    source="arXiv:1610.02391, equations 1 and 2",
    needs="a map or tokens",
    cost="1 forward, F backward to the layer; 1 forward where `closed_form` holds",
    class_specific=True,
    odd=True,
)
def grad_cam(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Explain by a layer's channels, each weighted by its mean gradient.

    One forward pass, and batched backward passes for the targets, which end at the layer.

    Args:
        model: A classifier, or any network that returns logits ``(B, F)``.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: The layer, or its name; None = chosen: the map that a classifier pools (after the
            last ReLU), the patch tokens of a transformer's ``blocks[-1].norm1``, or the last map
            of any other network.
        sign: 1 explains a logit, -1 its absence (a binary model's negative class).

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), h, w)``: raw, signed, float32; positive
        speaks for the target.

    Raises:
        ModelError: There is no such layer, or its output is neither a map nor tokens.
        ShapeError: The images or the targets do not fit.

    Source: Selvaraju et al., Grad-CAM, arXiv:1610.02391, equations 1 and 2.
    Deviates: the ReLU of equation 2 is left to ``images.render``, so that evidence against a
        finding is kept; gradients are of the logit, as in the paper.
    """
    x = prepare(model, x)
    with evaluating(model), differentiable():
        logits, activation = record(model, x.clone(), layer)
        wanted = chosen(targets, logits.shape[-1])
        slopes = jacobian(logits, activation, wanted, sign=sign)
    values, slopes = as_map(model, activation), as_map(model, slopes, lead=2)
    return logits.detach(), blend(slopes.mean((3, 4), keepdim=True), values)
