"""From stored pixels to what a network takes in: scaled, varied, normalized."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lucidray.images.preprocessing import Preprocessing, channel_constants
from lucidray.records import Float32
from lucidray.training.order import Indices


class Pixels(Protocol):
    """Prepared images by index, for example a `lucidray.images.cache.PixelCache`."""

    def __len__(self) -> int: ...

    def __getitem__(self, indices: Indices, /) -> npt.NDArray[np.uint8]:
        """Return uint8 ``(B, S, S)``."""
        ...


class Features(Protocol):
    """What a frozen trunk makes of the images (`lucidray.training.features.Features`)."""

    def __len__(self) -> int: ...

    def __getitem__(self, indices: Tensor, /) -> Tensor:
        """Return ``(B, ...)``."""
        ...


@dataclass(frozen=True)
class Boxed:
    """Labels of a batch with the boxes that are known of it.

    Args:
        labels: ``(B, F)``: 1, 0 or nan.
        boxes: float32 ``(B, M, 5)``: x_min, y_min, x_max, y_max in pixels of the network's input
            and the finding's index; rows of nan are no boxes.
    """

    labels: Tensor
    boxes: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device, **options: Any) -> Boxed:
        """Move both to a device."""
        return Boxed(self.labels.to(device, **options), self.boxes.to(device, **options))


@dataclass(frozen=True)
class Gazed:
    """Labels of a batch with where a reader looked.

    Args:
        labels: ``(B, F)``: 1, 0 or nan.
        gaze: ``(B, 1, S, S)``: uint8, or float in [0, 1], each image's largest value 255 or 1; all
            0 where nobody looked.
    """

    labels: Tensor
    gaze: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device, **options: Any) -> Gazed:
        """Move both to a device."""
        return Gazed(self.labels.to(device, **options), self.gaze.to(device, **options))


#: What a batch is to be told: labels or masks, or labels with boxes or with gaze.
Targets = Tensor | Boxed | Gazed


@dataclass(frozen=True)
class Examples:
    """Images with their labels.

    Args:
        pixels: One image a row of `labels`.
        labels: float32 ``(N, F)``: 1, 0 or nan.
        features: What the frozen trunk makes of the images; then `pixels` rest.
        masks: uint8 ``(N, F, S, S)``: how much of each pixel a mask covers, of 255; where there
            are masks, they are what is learned.
        boxes: float32 ``(N, M, 5)``, as in `Boxed`; where there are boxes, they are learned too.
    """

    pixels: Pixels
    labels: Float32
    features: Features | None = None
    masks: npt.NDArray[np.uint8] | None = None
    boxes: Float32 | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def fetch(self, indices: Indices) -> tuple[Tensor, Targets]:
        """Return the inputs ``(B, ...)`` of some images, and what is to be told of them."""
        targets: Targets = torch.from_numpy(
            (self.labels if self.masks is None else self.masks)[indices]
        )
        if self.boxes is not None:
            targets = Boxed(
                torch.from_numpy(self.labels[indices]), torch.from_numpy(self.boxes[indices])
            )
        if self.features is not None:
            return self.features[torch.from_numpy(indices)], targets
        return torch.from_numpy(np.ascontiguousarray(self.pixels[indices]))[:, None], targets


def share(inputs: Tensor, targets: Targets, rank: int, world: int) -> tuple[Tensor, Targets]:
    """Return what one of several processes learns from of a whole batch.

    Args:
        inputs: ``(B, ...)``.
        targets: Of the same images.
        rank: Which process.
        world: How many there are.
    """
    own = slice(rank, None, world)
    if isinstance(targets, Boxed):
        return inputs[own], Boxed(targets.labels[own], targets.boxes[own])
    if isinstance(targets, Gazed):
        return inputs[own], Gazed(targets.labels[own], targets.gaze[own])
    return inputs[own], targets[own]


def to_unit(pixels: Tensor) -> Tensor:
    """Scale uint8 pixels to float32 in [0, 1]."""
    return pixels.float().div_(255)


def mix(inputs: Tensor, targets: Tensor, alpha: float, seed: int) -> tuple[Tensor, Tensor]:
    """Blend each image and its labels with another of the batch.

    Args:
        inputs: ``(B, ...)``.
        targets: ``(B, F)``; unknown in either image is unknown in the blend.
        alpha: Both parameters of the beta distribution from which the one weight is drawn.
        seed: Of the draw.

    Source:
        Zhang et al. 2018, mixup, equation 1 with one weight a batch (as in the authors' code).
    """
    generator = np.random.default_rng(seed)
    weight = float(generator.beta(alpha, alpha))
    order = torch.from_numpy(generator.permutation(len(inputs))).to(inputs.device)
    return (
        torch.lerp(inputs[order], inputs, weight),
        torch.lerp(targets[order], targets, weight),
    )


_Found = TypeVar("_Found", covariant=True)


class Normalized(Generic[_Found]):
    """A network that takes grey images in [0, 1] and normalizes them itself.

    Args:
        network: What comes after normalization.
        image: The recipe's preprocessing.
    """

    def __init__(self, network: Callable[[Tensor], _Found], image: Preprocessing) -> None:
        self.network = network
        self.image = image

    def __call__(self, images: Tensor) -> _Found:
        """Return what the network makes of float images ``(B, 1, S, S)`` in [0, 1]."""
        return self.network(normalize(images, self.image))


def normalize(images: Tensor, image: Preprocessing) -> Tensor:
    """Do in torch, on any device, what `lucidray.images.preprocessing.normalize` does in NumPy.

    Args:
        images: float ``(B, 1, S, S)`` in [0, 1].
        image: Names the normalization and the channels.

    Returns:
        float ``(B, C, S, S)``, channels last in memory.
    """
    if image.normalization == "zscore":
        deviation, mean = torch.std_mean(images, dim=(1, 2, 3), keepdim=True, correction=0)
        safe = torch.where(deviation > 1e-6, deviation, torch.inf)
        normal = ((images - mean) / safe).expand(-1, image.channels, -1, -1)
    else:
        mean, deviation = (
            torch.from_numpy(constants).to(images.device).view(1, -1, 1, 1)
            for constants in channel_constants(image)
        )
        normal = images / deviation - mean / deviation
    return normal.contiguous(memory_format=torch.channels_last)
