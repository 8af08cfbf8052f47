"""U-Nets that predict where a reader looks: plain, with residual squeeze-excitation, multi-task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lucidray.errors import ModelError, ShapeError
from lucidray.models.modes import set_mode
from lucidray.models.segmenter import Step, convolution

#: Channels of squeeze and excitation's narrow layer, as a part of its input's.
REDUCTION = 8


class Seeing(NamedTuple):
    """What a gaze network makes of images.

    Args:
        gaze: ``(B, 1, H, W)``: logits of where the reader looks, up to a constant an image.
        features: ``(B, C, H, W)``: the last map before them.
        logits: ``(B, F)`` of findings; ``(B, 0)`` where it judges none.
    """

    gaze: Tensor
    features: Tensor
    logits: Tensor


class Excite(nn.Module):
    """Squeeze and excitation: scale each channel by what all channels show on average.

    Args:
        channels: Of the map.

    Source: Hu et al. 2018, arXiv:1709.01507.
    Deviates: no.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(channels // REDUCTION, 4)
        self.gate = nn.Sequential(
            nn.Linear(channels, narrow), nn.ReLU(inplace=True), nn.Linear(narrow, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the map ``(B, C, h, w)``, channel by channel scaled by 0 to 1."""
        return torch.mul(x, self.gate(x.mean((2, 3))).sigmoid()[:, :, None, None])


class ResidualExcited(nn.Module):
    """Two convolutions, squeeze and excitation, and a shortcut around them.

    Args:
        inside: Channels of the input.
        outside: Channels of the output.

    Source: Hu et al. 2018, arXiv:1709.01507, figure 3 (SE-ResNet).
    """

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        last = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.path = nn.Sequential(
            *convolution(inside, outside), last, nn.BatchNorm2d(outside), Excite(outside)
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(inside, outside, 1, bias=False), nn.BatchNorm2d(outside)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, outside, h, w)``."""
        return functional.relu(self.path(x) + self.shortcut(x))


class GazeUNet(nn.Module):
    """A U-Net whose last map is read as a density of gaze; what is frozen stays in evaluation mode.

    Args:
        widths: Channels of each level, finest first; each but the first is half as large.
        in_channels: Channels of the image.
        residual: Whether the encoder's blocks are `ResidualExcited`, else two convolutions.
        beside: Channels of a second encoder's map that joins the coarsest one; 0: none.
        findings: Findings judged from the coarsest map, as MT-UNet does; none: gaze alone.
        exclusive: Whether exactly one of them holds.

    Raises:
        ModelError: There are not at least two levels.

    Source:
        Ronneberger et al. 2015, arXiv:1505.04597; Zhu et al. 2022, arXiv:2202.07316 (MT-UNet: the
        classifier on the coarsest map); Qiu et al. 2024, arXiv:2403.16970 (residual squeeze and
        excitation, second encoder).
    Deviates: maps grow by the nearest pixel and a convolution. No publication states its widths.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        in_channels: int = 3,
        residual: bool = False,
        beside: int = 0,
        findings: Sequence[str] = (),
        exclusive: bool = True,
    ) -> None:
        super().__init__()
        if len(widths) < 2 or min(widths) < 1:
            raise ModelError(f"widths are {list(widths)}; at least two are needed, each above 0.")
        self.widths, self.beside = tuple(widths), beside
        self.findings, self.exclusive = tuple(findings), exclusive
        pairs = zip((in_channels, *widths[:-1]), widths, strict=True)
        self.encoder = nn.ModuleList(_block(*pair, residual=residual) for pair in pairs)
        below = (widths[-1] + beside, *widths[-2:0:-1])
        self.decoder = nn.ModuleList(
            Step(under, width, width) for under, width in zip(below, widths[-2::-1], strict=True)
        )
        self.look = nn.Conv2d(widths[0], 1, 1)
        self.judge = nn.Linear(widths[-1], len(findings)) if findings else None

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the encoder's maps of images ``(B, C, H, W)``, finest first."""
        maps: list[Tensor] = []
        for block in self.encoder:
            maps.append(block(functional.max_pool2d(maps[-1], 2) if maps else x))
        return maps

    def forward(self, x: Tensor, beside: Tensor | None = None) -> Seeing:
        """Return gaze, last map and logits of images ``(B, C, H, W)``.

        Args:
            x: The images.
            beside: ``(B, beside, h, w)``, the second encoder's map of any size.

        Raises:
            ShapeError: That map is missing, or not wanted.
        """
        if (0 if beside is None else beside.shape[1]) != self.beside:
            raise ShapeError(
                f"the second encoder's map is {None if beside is None else tuple(beside.shape)}; "
                f"{self.beside} channels are expected."
            )
        maps = self.encode(x)
        y = maps[-1]
        judged = x.new_zeros((x.shape[0], 0)) if self.judge is None else self.judge(y.mean((2, 3)))
        if beside is not None:
            grown = functional.interpolate(beside, size=y.shape[-2:], mode="nearest")
            y = torch.cat([y, grown], 1)
        for step, skip in zip(self.decoder, maps[-2::-1], strict=True):
            y = step(y, skip)
        return Seeing(self.look(y), y, judged)

    def train(self, mode: bool = True) -> GazeUNet:
        """Set training mode, but leave all that is frozen in evaluation mode."""
        return set_mode(self, mode)


def gaze_density(logits: Tensor) -> Tensor:
    """Turn gaze logits ``(B, 1, H, W)`` into densities whose pixels sum to 1."""
    return logits.flatten(1).softmax(1).view_as(logits)


def _block(inside: int, outside: int, *, residual: bool) -> nn.Module:
    if residual:
        return ResidualExcited(inside, outside)
    return nn.Sequential(*convolution(inside, outside), *convolution(outside, outside))
