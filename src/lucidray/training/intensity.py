"""Changes of intensity, sharpness and compression, vectorized on batches of grey images.

Each function takes images float ``(B, 1, H, W)`` in [0, 1] and one parameter an image ``(B,)``;
only `noise`, `exposure` and `erase` draw at random, and those take a generator.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from lucidray.training.warp import uniform

#: Luminance quantization of JPEG at quality 50 (ITU-T T.81, Annex K, Table K.1).
JPEG_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


def brightness(images: Tensor, offset: Tensor) -> Tensor:
    """Add an offset to each image."""
    return images + _per_image(offset)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Stretch each image's intensities about its own mean by a factor."""
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, _per_image(factor))


def gamma(images: Tensor, exponent: Tensor) -> Tensor:
    """Raise intensities to an exponent: above 1 darkens, below 1 brightens the middle."""
    return images.clamp(0, 1) ** _per_image(exponent)


def exposure(images: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Change the exposure smoothly across each image: gamma that varies over the field.

    Args:
        images: float ``(B, 1, H, W)`` in [0, 1].
        strength: ``(B,)``; exponents lie about between ``exp(-strength)`` and ``exp(strength)``.
        generator: Draws the 4 × 4 control points that bicubic interpolation spreads.
    """
    points = torch.rand(len(images), 1, 4, 4, generator=generator, device=images.device) * 2 - 1
    field = functional.interpolate(points, images.shape[-2:], mode="bicubic", align_corners=True)
    return images.clamp(0, 1) ** torch.exp(_per_image(strength) * field)


def noise(images: Tensor, deviation: Tensor, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise of a standard deviation, in units of the full intensity range."""
    drawn = torch.randn(images.shape, generator=generator, device=images.device)
    return images + _per_image(deviation) * drawn


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur with a Gaussian of `sigma` pixels; 0 leaves an image as it is."""
    height, width = images.shape[-2:]
    return _gaussian(height, sigma) @ images @ _gaussian(width, sigma).mT


def sharpen(images: Tensor, amount: Tensor) -> Tensor:
    """Add `amount` times what a Gaussian of one pixel blurs away (unsharp masking)."""
    fine = images - blur(images, torch.ones_like(amount))
    return images + _per_image(amount) * fine


def degrade(images: Tensor, scale: Tensor) -> Tensor:
    """Lose resolution: shrink each image to a fraction of its side, and enlarge it again.

    Args:
        images: float ``(B, 1, H, W)``.
        scale: ``(B,)`` in (0, 1]; taken in 32 steps. Shrinking is antialiased.
    """
    step = (scale * 32).round().clamp(1, 32).long() - 1
    height, width = (_resamplers(side, images.device)[step] for side in images.shape[-2:])
    return height[:, None] @ images @ width[:, None].mT


def jpeg(images: Tensor, quality: Tensor) -> Tensor:
    """Compress and decompress as JPEG does a grey image, entropy coding left out.

    Args:
        images: float ``(B, 1, H, W)`` in [0, 1].
        quality: ``(B,)`` from 1 (worst) to 100 on the scale of the Independent JPEG Group.

    Source:
        ITU-T T.81: 8 × 8 cosine transform and quantization by Table K.1.
    """
    height, width = images.shape[-2:]
    spread = (0, -width % 8, 0, -height % 8)
    whole = functional.pad((images.clamp(0, 1) * 255).round() - 128, spread, mode="replicate")
    rows, columns = whole.shape[-2] // 8, whole.shape[-1] // 8
    blocks = whole.view(-1, 1, rows, 8, columns, 8).transpose(3, 4)
    cosine = _cosines(images.device)
    table = _quantization(quality)[:, None, None, None]
    kept = torch.round(cosine @ blocks @ cosine.T / table) * table
    restored = (cosine.T @ kept @ cosine).transpose(3, 4).flatten(4, 5).flatten(2, 3)
    return ((restored + 128).round() / 255).clamp(0, 1)[..., :height, :width]


def erase(images: Tensor, area: Tensor, generator: torch.Generator) -> Tensor:
    """Replace one random rectangle an image by the image's mean.

    Args:
        images: float ``(B, 1, H, W)``.
        area: ``(B,)`` fraction of the image to erase; 0 erases nothing.
        generator: Draws place and shape (sides 1 : 3 to 3 : 1).

    Source:
        Zhong et al. 2020, Random Erasing.

    Deviates:
        Filled with the mean, not with noise, and cut off at the border.
    """
    count, (height, width) = len(images), images.shape[-2:]
    shape = 3 ** uniform(generator, count, -1, 1)
    center_y, center_x = (uniform(generator, count, 0, 1) for _ in range(2))
    tall, wide = (area * shape).sqrt() / 2, (area / shape).sqrt() / 2
    inside_y = (_centers(height, images)[None] - center_y[:, None]).abs() < tall[:, None]
    inside_x = (_centers(width, images)[None] - center_x[:, None]).abs() < wide[:, None]
    hole = (inside_y[:, :, None] & inside_x[:, None, :])[:, None]
    return torch.where(hole, images.mean(dim=(1, 2, 3), keepdim=True), images)


def _per_image(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _centers(side: int, like: Tensor) -> Tensor:
    return (torch.arange(side, device=like.device) + 0.5) / side


def _gaussian(side: int, sigma: Tensor) -> Tensor:
    place = torch.arange(side, device=sigma.device, dtype=torch.float32)
    distance = (place[:, None] - place[None]) ** 2
    weight = torch.exp(-distance / (2 * sigma.clamp(min=0.05) ** 2)[:, None, None])
    return (weight / weight.sum(dim=2, keepdim=True))[:, None]


@lru_cache(maxsize=8)
def _resamplers(side: int, device: torch.device) -> Tensor:
    identity = torch.eye(side, device=device)[None, None]
    matrices = []
    for step in range(1, 33):
        size = (max(1, round(side * step / 32)), side)
        small = functional.interpolate(identity, size, mode="bilinear", antialias=True)
        matrices.append(functional.interpolate(small, (side, side), mode="bilinear")[0, 0])
    return torch.stack(matrices)


@lru_cache(maxsize=8)
def _cosines(device: torch.device) -> Tensor:
    place = torch.arange(8, device=device, dtype=torch.float32)
    waves = torch.cos(torch.pi * (2 * place[None] + 1) * place[:, None] / 16) / 2
    waves[0] /= 2**0.5
    return waves


def _quantization(quality: Tensor) -> Tensor:
    quality = quality.round().clamp(1, 100)
    scale = torch.where(quality < 50, torch.floor(5000 / quality), 200 - 2 * quality)
    base = torch.tensor(JPEG_LUMINANCE, device=quality.device, dtype=torch.float32)
    return torch.floor((base * scale[:, None, None] + 50) / 100).clamp(1, 255)
