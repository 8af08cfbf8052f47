"""Integrated gradients: the gradient along the way from a baseline to the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from lucidray.explain.input_gradients import mean_gradients
from lucidray.explain.method import chosen, evaluating, explainers, no_layer, positive, prepare
from lucidray.explain.perturbing import Baseline, Counter, Progress, baseline_of


@explainers.register(
    "integrated_gradients",
    source="arXiv:1703.01365, equation 1",
    needs="gradients",
    cost="1 + steps forward, F x steps backward: 33, 32 F",
    class_specific=True,
    odd=True,
)
def integrated_gradients(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
    steps: int = 32,
    baseline: Baseline = "mean",
    batch_size: int = 8,
    progress: Progress | None = None,
) -> tuple[Tensor, Tensor]:
    """Explain by the mean gradient on the way from a baseline, times the way's length.

    A map adds up to the difference between the logits of image and baseline, the better the more
    steps.

    Args:
        model: Any network that returns logits ``(B, F)``.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: Must be None.
        sign: 1 explains a logit, -1 its absence.
        steps: Budget: points on the way, at Gauss-Legendre nodes.
        baseline: Where the way begins. A pixel that equals it has no value, so black, the paper's
            choice, is blind to dark signs (air); a middling grey is the default.
        batch_size: Points a forward pass.
        progress: Called with the points done and those there are.

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), H, W)``: raw, signed, float32; positive
        speaks for the target.

    Raises:
        ModelError: A layer was named.
        ShapeError: The images or the targets do not fit.
        ConfigError: A budget is below 1, or the baseline is unknown.

    Source: Sundararajan et al., Axiomatic Attribution for Deep Networks, arXiv:1703.01365,
        equation 1.
    Deviates: Gauss-Legendre nodes, as Captum's, instead of equal steps: fewer points for the same
        error; the default baseline.
    """
    no_layer(layer, "integrated_gradients")
    positive(steps=steps, batch_size=batch_size)
    x = prepare(model, x)
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    shares = torch.from_numpy((nodes + 1) / 2).to(x).view(-1, 1, 1, 1)
    counter = Counter(progress, len(x) * steps)
    maps = []
    with evaluating(model):
        with torch.no_grad():
            logits: Tensor = model(x)
        wanted = chosen(targets, logits.shape[-1])
        for image, start in zip(x, baseline_of(model, x, baseline), strict=True):
            way = image - start

            def make(span: range, start: Tensor = start, way: Tensor = way) -> Tensor:
                return start + shares[span.start : span.stop] * way

            mean = mean_gradients(
                model,
                make,
                torch.from_numpy(weights / 2),
                wanted,
                batch_size=batch_size,
                counter=counter,
            )
            maps.append((mean * way.float()).sum(1))
    return logits, sign * torch.stack(maps)
