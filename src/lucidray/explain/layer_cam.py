"""LayerCAM: each value of a layer times its own gradient, where that is positive."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lucidray.explain.activations import blend, evidence
from lucidray.explain.method import explainers


@explainers.register(
    "layer_cam",
    source="doi:10.1109/TIP.2021.3089943, equations 4 to 6",
    needs="a map or tokens",
    cost="1 forward, F backward to the layer; 1 forward behind a mean and a linear or MLP head",
    class_specific=True,
    odd=False,
)
def layer_cam(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Explain by a layer's values, each times its own positive gradient.

    Made for early layers, whose maps are fine and whose gradients differ from pixel to pixel: name
    one with ``layer``.

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

    Source: Jiang et al., LayerCAM, IEEE Trans. Image Processing 30:5875 (2021), equations 4 to 6.
    Deviates: the last ReLU is left to ``images.render``. The ``tanh`` with which the paper scales
        early layers before adding several up is not applied: there is one layer here.
    """
    found = evidence(model, x, targets, layer=layer, sign=sign)
    return found.logits, blend(found.slopes.clamp(min=0), found.maps)
