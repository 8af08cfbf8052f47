"""Guided Grad-CAM: the fine lines of guided backpropagation where Grad-CAM points."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from lucidray.explain.closed_form import closed_form, has_closed_form
from lucidray.explain.grad_cam import grad_cam
from lucidray.explain.guided_backprop import guided_gradients
from lucidray.explain.input_gradients import Channels, to_map
from lucidray.explain.method import evaluating, explainers, prepare


@explainers.register(
    "guided_grad_cam",
    source="arXiv:1610.02391, section 3.2",
    needs="a map or tokens, and rectifiers (ReLU and its kin)",
    cost="2 forward, F backward",
    class_specific=True,
    odd=False,
)
def guided_grad_cam(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
    channels: Channels = "sum",
) -> tuple[Tensor, Tensor]:
    """Explain by guided backpropagation times the positive part of Grad-CAM, enlarged.

    Args:
        model: A classifier, or any network that returns logits ``(B, F)`` and has rectifiers.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: Of Grad-CAM: the layer, or its name; None = chosen as for ``grad_cam``.
        sign: 1 explains a logit, -1 its absence, which is no mirror image.
        channels: As for ``gradient``.

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), H, W)``: raw, float32, signed unless
        ``channels="max_abs"``; all 0 where Grad-CAM has nothing positive.

    Raises:
        ModelError: The network has no rectifier, there is no such layer, or its output is neither
            a map nor tokens.
        ShapeError: The images or the targets do not fit.

    Source: Selvaraju et al., Grad-CAM, arXiv:1610.02391, section 3.2.
    Deviates: no. Enlarged bilinearly with pixel centers aligned; Captum's default is the nearest
        cell.
    """
    x = prepare(model, x)
    run = closed_form if layer is None and has_closed_form(model) else grad_cam
    logits, coarse = run(model, x, targets, layer=layer, sign=sign)
    large = functional.interpolate(coarse.clamp(min=0), size=tuple(x.shape[2:]), mode="bilinear")
    with evaluating(model):
        _, gradients = guided_gradients(model, x, targets, sign=sign)
    return logits, to_map(gradients * large[:, :, None], channels)
