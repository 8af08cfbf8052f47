"""Making images look as if another machine had taken them: histograms and spectra of neighbors."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def match_histograms(images: Tensor, references: Tensor) -> Tensor:
    """Give each image the histogram of its reference.

    Args:
        images: float ``(B, 1, H, W)`` in [0, 1]; histograms are taken at 256 levels.
        references: float ``(B, 1, h, w)`` in [0, 1].

    Returns:
        float ``(B, 1, H, W)``; on images of 8-bit levels exactly scikit-image's
        ``match_histograms``, between levels interpolated linearly.
    """
    mapping = _level_map(_distribution(images), _distribution(references))
    place = images.clamp(0, 1) * 255
    below = place.floor().clamp(max=254).long()
    flat = below.flatten(1)
    low, high = mapping.gather(1, flat), mapping.gather(1, flat + 1)
    return torch.lerp(low, high, place.flatten(1) - flat).view_as(images) / 255


def mix_amplitudes(
    images: Tensor, references: Tensor, amount: Tensor, *, band: float = 0.1
) -> Tensor:
    """Blend the low-frequency amplitudes of each image with those of its reference.

    Args:
        images: float ``(B, 1, H, W)``.
        references: float ``(B, 1, H, W)``.
        amount: ``(B,)`` in [0, 1]: 0 keeps the image's own amplitudes, 1 takes the reference's.
        band: Half-width of the square of frequencies blended, as a fraction of the sampling rate;
            phases are kept, so that anatomy stays where it is.

    Returns:
        float ``(B, 1, H, W)``, not clipped.

    Source:
        Xu et al. 2021 (amplitude mix); the low band is Yang and Soatto 2020 (FDA).
    """
    height, width = images.shape[-2:]
    own, other = torch.fft.rfft2(images), torch.fft.rfft2(references).abs()
    rows = torch.fft.fftfreq(height, device=images.device).abs() <= band / 2
    columns = torch.fft.rfftfreq(width, device=images.device) <= band / 2
    weight = amount[:, None, None, None] * (rows[:, None] & columns[None])
    mixed = torch.polar(torch.lerp(own.abs(), other, weight), own.angle())
    restored: Tensor = torch.fft.irfft2(mixed, s=(height, width))
    return restored


def match_spectra(images: Tensor, references: Tensor, amount: Tensor) -> Tensor:
    """Give each image the sharpness of its reference: the radial profile of its power spectrum.

    The mean power at each spatial frequency is moved toward the reference's, alike in all
    directions; phases are kept, and so is what is coarser than a quarter of the image.

    Args:
        images: float ``(B, 1, N, N)``.
        references: float ``(B, 1, N, N)``.
        amount: ``(B,)`` in [0, 1]: 0 keeps the image's own profile, 1 takes the reference's.

    Returns:
        float ``(B, 1, N, N)``, not clipped. No frequency changes by more than a factor of four,
        so that noise is not blown up where an image has nothing.
    """
    side = images.shape[-1]
    ring = _rings(side, images.device)
    own = torch.fft.rfft2(images)
    ratio = _profile(torch.fft.rfft2(references), ring) / _profile(own, ring)
    gain = ratio.sqrt().clamp(0.25, 4).log()
    gain[:, :_COARSE] = 0
    gain = functional.avg_pool1d(functional.pad(gain[:, None], (3, 3), mode="replicate"), 7, 1)
    factor = (gain[:, 0] * amount[:, None]).exp()[:, ring].view(own.shape)
    sharpened: Tensor = torch.fft.irfft2(own * factor, s=(side, side))
    return sharpened


#: Frequencies, in periods an image, that are structure rather than sharpness.
_COARSE = 4


def _rings(side: int, device: torch.device) -> Tensor:
    rows = torch.fft.fftfreq(side, 1 / side, device=device)[:, None]
    columns = torch.fft.rfftfreq(side, 1 / side, device=device)[None]
    ring: Tensor = rows.hypot(columns).round().long().clamp(max=side // 2)
    return ring.flatten()


def _profile(spectrum: Tensor, ring: Tensor) -> Tensor:
    power = spectrum.abs().square().flatten(1)
    count = torch.bincount(ring).to(power.dtype)
    summed = power.new_zeros(len(power), len(count)).index_add_(1, ring, power)
    return summed / count + 1e-8


def _distribution(images: Tensor) -> Tensor:
    count = len(images)
    level = (images.clamp(0, 1) * 255).round().long().flatten(1)
    shelf = torch.arange(count, device=images.device)[:, None] * 256
    counts = torch.bincount((level + shelf).flatten(), minlength=256 * count)
    return counts.view(count, 256).double()


def _level_map(source: Tensor, reference: Tensor) -> Tensor:
    wanted = (source / source.sum(1, keepdim=True)).cumsum(1)
    given = (reference / reference.sum(1, keepdim=True)).cumsum(1)
    levels = torch.arange(256, device=source.device).expand_as(reference)
    present = torch.where(reference > 0, levels, -1).cummax(1).values
    above = torch.searchsorted(given, wanted.contiguous()).clamp(max=255)
    above = torch.minimum(above, present[:, -1:])
    below = torch.where(above > 0, present.gather(1, (above - 1).clamp(min=0)), -1)
    start = below.clamp(min=0)
    low, high = given.gather(1, start), given.gather(1, above)
    part = ((wanted - low) / (high - low).clamp(min=1e-300)).clamp(0, 1)
    mapped = torch.where(below < 0, above.double(), start + part * (above - start))
    return mapped.float()
