"""Score-CAM: each channel is laid over the image as a mask, and the model looks again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lucidray.explain.activations import blend, layer_maps
from lucidray.explain.method import chosen, evaluating, explainers, positive, prepare
from lucidray.explain.perturbing import Baseline, Counter, Progress, baseline_of, look_again


@explainers.register(
    "score_cam",
    source="arXiv:1910.01279, equations 4 to 6",
    needs="a map or tokens",
    cost="2 + one forward a channel that is not constant (all findings at once)",
    class_specific=True,
    odd=False,
)
def score_cam(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
    channels: int | None = None,
    baseline: Baseline = "mean",
    batch_size: int = 32,
    progress: Progress | None = None,
) -> tuple[Tensor, Tensor]:
    """Explain by a layer's channels, each weighted by the logit that its mask leaves.

    The masks serve all findings: each masked image is looked at once. A constant channel masks
    everything and needs no look of its own.

    Args:
        model: A classifier, or any network that returns logits ``(B, F)``.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: The layer, or its name; None = chosen as for ``grad_cam``.
        sign: 1 explains a logit, -1 its absence, which is no mirror image: other channels weigh.
        channels: Budget: the channels of largest standard deviation that are looked at, the others
            left out; None = all, as in the paper.
        baseline: What stands where the mask hides the image.
        batch_size: Images a forward pass.
        progress: Called with the looks done and those there are.

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), h, w)``: raw, float32; negative only where
        the layer itself is.

    Raises:
        ModelError: There is no such layer, or its output is neither a map nor tokens.
        ShapeError: The images or the targets do not fit.
        ConfigError: A budget is below 1, or the baseline is unknown.

    Source: Wang et al., Score-CAM, arXiv:1910.01279, equations 4 to 6; scores are logits.
    Deviates: the last ReLU is left to ``images.render``. Masks are enlarged with pixel centers
        aligned, as everywhere here, not corners as pytorch-grad-cam does.
    """
    positive(channels=channels, batch_size=batch_size)
    x = prepare(model, x)
    with evaluating(model):
        logits, maps = layer_maps(model, x, layer)
        wanted = chosen(targets, logits.shape[-1])
        hidden = baseline_of(model, x, baseline)
        with torch.no_grad():
            dark = model(hidden).float()
        kept = [_lively(each, channels) for each in maps]
        counter = Counter(progress, sum(len(lively) for lively, _ in kept))
        weights = maps.new_zeros(len(x), len(wanted), maps.shape[1])
        for i, (lively, constant) in enumerate(kept):
            scores = dark[i].repeat(len(lively) + len(constant), 1)
            if len(lively):

                def make(span: range, i: int = i, lively: Tensor = lively) -> Tensor:
                    masks = _masks(maps[i, lively[span.start : span.stop]], x.shape[2:]).to(x)
                    return x[i] * masks + hidden[i] * (1 - masks)

                scores[: len(lively)] = look_again(
                    model, len(lively), make, batch_size=batch_size, counter=counter
                )
            shares = (sign * scores[:, wanted]).softmax(0)
            weights[i][:, torch.cat([lively, constant])] = shares.T.to(weights)
    return logits, blend(weights[..., None, None], maps)


def _lively(maps: Tensor, budget: int | None) -> tuple[Tensor, Tensor]:
    """Return the channels of one image that are looked at, and the constant ones."""
    flat = maps.flatten(1)
    constant = flat.amax(1) == flat.amin(1)
    if budget is None:
        return (~constant).nonzero()[:, 0], constant.nonzero()[:, 0]
    order = flat.double().std(1, correction=0).argsort(descending=True, stable=True)[:budget]
    return order[~constant[order]], order[constant[order]]


def _masks(maps: Tensor, size: torch.Size) -> Tensor:
    """Enlarge channels ``(K, h, w)`` and scale each to [0, 1], ``(K, 1, H, W)``."""
    large = functional.interpolate(maps[:, None], size=tuple(size), mode="bilinear")
    low, high = large.amin((2, 3), keepdim=True), large.amax((2, 3), keepdim=True)
    span = high - low
    return torch.where(span > 0, (large - low) / torch.where(span > 0, span, 1), 0)
