"""SmoothGrad: the mean gradient over noisy copies of the image."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from lucidray.errors import ConfigError
from lucidray.explain.input_gradients import Channels, mean_gradients, to_map
from lucidray.explain.method import chosen, evaluating, explainers, no_layer, positive, prepare
from lucidray.explain.perturbing import Counter, Progress


@explainers.register(
    "smooth_grad",
    source="arXiv:1706.03825, section 2.1",
    needs="gradients",
    cost="1 + samples forward, F x samples backward: 33, 32 F",
    class_specific=True,
    odd=True,
)
def smooth_grad(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
    samples: int = 32,
    noise: float = 0.15,
    seed: int = 0,
    channels: Channels = "sum",
    batch_size: int = 8,
    progress: Progress | None = None,
) -> tuple[Tensor, Tensor]:
    """Explain by the mean gradient over copies of the image with noise added.

    The noise is the same for each image of a batch, but for its size.

    Args:
        model: Any network that returns logits ``(B, F)``.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: Must be None.
        sign: 1 explains a logit, -1 its absence.
        samples: Budget: number of noisy copies.
        noise: Standard deviation of the noise in parts of the image's range; the paper finds 0.1
            to 0.2 best.
        seed: Of the noise; the same seed gives the same noise on any device.
        channels: As for ``gradient``; ``"max_abs"`` is taken of the mean.
        batch_size: Copies a forward pass.
        progress: Called with the copies done and those there are.

    Returns:
        Logits ``(B, F)`` of the image itself and maps ``(B, len(targets), H, W)``: raw, float32,
        signed unless ``channels="max_abs"``.

    Raises:
        ModelError: A layer was named.
        ShapeError: The images or the targets do not fit.
        ConfigError: A budget is below 1, the noise negative, or the channels' way unknown.

    Source: Smilkov et al., SmoothGrad, arXiv:1706.03825, section 2.1.
    Deviates: no.
    """
    no_layer(layer, "smooth_grad")
    positive(samples=samples, batch_size=batch_size)
    if not (math.isfinite(noise) and noise >= 0):
        raise ConfigError(f"noise is {noise}; a part of the image's range, 0 or more, is expected.")
    x = prepare(model, x)
    counter = Counter(progress, len(x) * samples)
    maps = []
    with evaluating(model):
        with torch.no_grad():
            logits: Tensor = model(x)
        wanted = chosen(targets, logits.shape[-1])
        weights = torch.full((samples,), 1 / samples)
        for image in x:
            copies = _noisy(image, noise, seed)
            mean = mean_gradients(
                model, copies, weights, wanted, batch_size=batch_size, counter=counter
            )
            maps.append(to_map(mean, channels))
    return logits, sign * torch.stack(maps)


def _noisy(image: Tensor, noise: float, seed: int) -> Callable[[range], Tensor]:
    """Return what makes noisy copies of an image, drawn on the CPU and in order."""
    generator = torch.Generator().manual_seed(seed)
    scale = noise * (image.max() - image.min())

    def make(span: range) -> Tensor:
        drawn = [torch.randn(image.shape, generator=generator) for _ in span]
        return image + scale * torch.stack(drawn).to(image)

    return make
