"""The small network that source document S1 trains from scratch, as a timm-shaped backbone."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BaselineCNN(nn.Module):
    """Three blocks of convolution, batch norm and ReLU, with 32, 64 and 128 channels.

    Each block but the last ends in a 2 x 2 max pooling; the last one's pooling stands before the
    head (see ``heads.Pool``), so that the explained map is the one after the last ReLU.

    Args:
        in_channels: Channels of the input.
        widths: Channels of the blocks.

    Source: source document S1, section on the custom CNN (224 x 224 pixels give 28 x 28 x 128 =
        100,352 pooled features).
    Deviates: no.
    """

    def __init__(self, in_channels: int = 3, widths: tuple[int, ...] = (32, 64, 128)) -> None:
        super().__init__()
        self.num_features = widths[-1]
        self.blocks = nn.Sequential()
        for index, (before, after) in enumerate(
            zip((in_channels, *widths[:-1]), widths, strict=True)
        ):
            block = nn.Sequential(
                nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()
            )
            if index < len(widths) - 1:
                block.append(nn.MaxPool2d(2))
            self.blocks.append(block)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the map after the last ReLU, ``(B, 128, H/4, W/4)``."""
        return torch.as_tensor(self.blocks(x))

    def forward(self, x: Tensor) -> Tensor:
        """Return the map after the last ReLU, ``(B, 128, H/4, W/4)``."""
        return self.forward_features(x)
