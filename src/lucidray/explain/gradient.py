"""The gradient of a logit by the image, and that times the image."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lucidray.explain.input_gradients import Channels, input_gradients, to_map
from lucidray.explain.method import evaluating, explainers, no_layer, prepare
from lucidray.explain.perturbing import Baseline, baseline_of


@explainers.register(
    "gradient",
    source="arXiv:1312.6034, section 3",
    needs="gradients",
    cost="1 forward, F backward",
    class_specific=True,
    odd=True,
)
def gradient(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
    channels: Channels = "sum",
) -> tuple[Tensor, Tensor]:
    """Explain by how a logit would change if a pixel became brighter.

    It says what the logit is sensitive to, not what it rests on.

    Args:
        model: Any network that returns logits ``(B, F)``.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: Must be None.
        sign: 1 explains a logit, -1 its absence.
        channels: ``"sum"``: the derivative by a grey change, signed; ``"max_abs"``: the largest
            absolute value over channels, as in the paper, the same for a finding and its absence.

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), H, W)``: raw, float32, signed unless
        ``channels="max_abs"``; by normalized intensity.

    Raises:
        ModelError: A layer was named.
        ShapeError: The images or the targets do not fit.
        UnknownNameError: There is no such way to join channels.

    Source: Simonyan et al., Deep Inside Convolutional Networks, arXiv:1312.6034, section 3.
    Deviates: signed by default: a radiograph's channels are one, so their sum means something.
    """
    no_layer(layer, "gradient")
    x = prepare(model, x)
    with evaluating(model):
        logits, gradients = input_gradients(model, x, targets, sign=sign)
    return logits, to_map(gradients, channels)


@explainers.register(
    "input_x_gradient",
    source="arXiv:1605.01713, section 2",
    needs="gradients",
    cost="1 forward, F backward",
    class_specific=True,
    odd=True,
)
def input_x_gradient(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
    baseline: Baseline = "mean",
) -> tuple[Tensor, Tensor]:
    """Explain by the gradient times what the pixel differs from a baseline.

    Args:
        model: Any network that returns logits ``(B, F)``.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: Must be None.
        sign: 1 explains a logit, -1 its absence.
        baseline: What the image is compared with; ``"mean"`` is 0 after normalization, so that
            the factor is the normalized image itself.

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), H, W)``: raw, signed, float32; positive
        speaks for the target. Of a network without biases whose activations are ReLUs, a map
        adds up to the logit.

    Raises:
        ModelError: A layer was named.
        ShapeError: The images or the targets do not fit.
        ConfigError: The baseline is unknown.

    Source: Shrikumar et al., Not Just a Black Box, arXiv:1605.01713, section 2.
    Deviates: no, with the default baseline.
    """
    no_layer(layer, "input_x_gradient")
    x = prepare(model, x)
    with evaluating(model):
        difference = (x - baseline_of(model, x, baseline)).float()
        logits, gradients = input_gradients(model, x, targets, sign=sign)
    return logits, (gradients * difference[:, None]).sum(2)
