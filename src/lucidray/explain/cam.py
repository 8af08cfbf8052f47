"""Class activation mapping: the first of its family, for a mean and one linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lucidray.errors import ModelError
from lucidray.explain.closed_form import head_layers, refuse_branches
from lucidray.explain.method import chosen, evaluating, explainers, prepare


@explainers.register(
    "cam",
    source="arXiv:1512.04150, equation 2",
    needs="a mean-pooled map and one linear layer",
    cost="1 forward",
    class_specific=True,
    odd=True,
)
def cam(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Explain by the pooled map's channels, each weighted as the linear head weighs it.

    The map's mean over pixels, plus the bias, is the logit.

    Args:
        model: A classifier whose head is a mean over the map and one linear layer.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: Must be None: what is pooled is explained.
        sign: 1 explains a logit, -1 its absence.

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), h, w)``: raw, signed, float32; positive
        speaks for the target.

    Raises:
        ModelError: The head is another, or a layer was named.
        ShapeError: The images or the targets do not fit.

    Source: Zhou et al., Learning Deep Features for Discriminative Localization, arXiv:1512.04150,
        equation 2.
    Deviates: no. Where an architecture pools its last map by maxima before the mean (VGG), the
        map is that after those.
    """
    refuse_branches(model, layer)
    weight = _head(model)
    if layer is not None or weight is None:
        raise ModelError(
            "CAM needs a classifier with a mean-pooled map and one linear layer, and layer=None. "
            'Use method "grad_cam", which is CAM where CAM is defined, divided by its pixels.'
        )
    x = prepare(model, x)
    inner: Any = model
    with evaluating(model), torch.no_grad():
        features = inner.features(x)
        logits: Tensor = inner.classify(features)
        wanted = chosen(targets, logits.shape[-1])
        maps = inner.pool.before(features).float()
        with torch.autocast(x.device.type, enabled=False):
            found = torch.einsum("tc,bchw->bthw", weight.detach().float()[wanted], maps)
    return logits, sign * found


def _head(model: Any) -> Tensor | None:
    if getattr(getattr(model, "pool", None), "kind", None) != "avg":
        return None
    steps = head_layers(model) or []
    return steps[0].weight if len(steps) == 1 and isinstance(steps[0], nn.Linear) else None
