"""Where a network looks a second time: a region of the film, found and cut out within the network.

Boxes are ``(B, 4)``: x_min, y_min, x_max, y_max as fractions of the square. Cutting and placing are
products with matrices made from a box, so they are the same in torch and in a bundle's graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lucidray.config import STRICT
from lucidray.errors import ConfigError

RegionSource = Literal["none", "crop", "lungs", "heat"]
Part = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class RegionSpec:
    """The second look of a network with two branches.

    Args:
        source: ``"none"``: there is one branch; ``"crop"``: the same part of every film;
            ``"lungs"``: the box around the masks of a finished run that outlines lungs; ``"heat"``:
            the box of the heat map of a finished run that judges findings.
        crop: Fractions ``(top, bottom, left, right)`` of the network's square, for ``"crop"``.
        run: Folder of that run, for ``"lungs"`` and ``"heat"``; its first network travels within
            this one, and is never trained further.
        threshold: What counts as inside: probabilities above it, or heat above that part of the
            map's largest value.
        margin: Added on each side, as a part of the box's own edges.
        smallest: No box has shorter edges, as a part of the square's.
        size: Edge in pixels of what each branch sees; 0: as large as the square. With a square of
            twice that size the region is seen at twice the film's resolution.
        finder: What the run's network is made of; filled in when training begins.
    """

    __pydantic_config__ = STRICT

    source: RegionSource = "none"
    crop: tuple[float, float, float, float] = (0.15, 0.85, 0.1, 0.9)
    run: str = ""
    threshold: Part = 0.5
    margin: Annotated[float, Field(ge=0, le=1)] = 0.05
    smallest: Part = 0.25
    size: Annotated[int, Field(ge=0)] = 0
    finder: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        top, bottom, left, right = self.crop
        if not (0 <= top < bottom <= 1 and 0 <= left < right <= 1):
            raise ConfigError(
                f"region.crop is {list(self.crop)}; (top, bottom, left, right) as rising fractions "
                "of the square are expected."
            )
        found = self.source in {"lungs", "heat"}
        if found and not (self.run or self.finder):
            raise ConfigError(
                f"region.source is '{self.source}', which needs region.run: the folder of a "
                f"finished run that {'outlines lungs' if self.source == 'lungs' else 'judges'}."
            )
        if not found and self.run:
            raise ConfigError(
                f"region.run is given but region.source is '{self.source}'; set it to 'lungs' or "
                "'heat', or leave region.run out."
            )


class Boxes(nn.Module):
    """The same box for every film.

    Args:
        crop: Fractions ``(top, bottom, left, right)``.
    """

    def __init__(self, crop: tuple[float, float, float, float]) -> None:
        super().__init__()
        top, bottom, left, right = crop
        self.box = nn.Buffer(torch.tensor([left, top, right, bottom]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return boxes ``(B, 4)`` of images ``(B, C, S, S)``."""
        return for_each(x, self.box)


class FoundBoxes(nn.Module):
    """A box around what another network marks; that network is never trained.

    Args:
        marks: From images of its own size to strengths ``(B, h, w)``, from 0 to 1.
        size: Edge in pixels of the images that it takes.
        spec: Says what counts as marked, and how the box grows.
    """

    def __init__(self, marks: nn.Module, size: int, spec: RegionSpec) -> None:
        super().__init__()
        self.marks = hold_still(marks)
        self.size = size
        self.threshold, self.margin, self.smallest = spec.threshold, spec.margin, spec.smallest

    def forward(self, x: Tensor) -> Tensor:
        """Return boxes ``(B, 4)`` of images ``(B, C, S, S)``; the whole where nothing is marked."""
        with torch.no_grad():
            inside = (self.marks(shrunk(x, self.size)).float() > self.threshold).float()
            sides = [self._span(inside.amax(dim)) for dim in (1, 2)]
            return torch.stack([sides[0][0], sides[1][0], sides[0][1], sides[1][1]], 1)

    def train(self, mode: bool = True) -> FoundBoxes:
        """Set the mode, but leave what finds the boxes in evaluation mode."""
        super().train(mode)
        self.marks.eval()
        return self

    def _span(self, marked: Tensor) -> tuple[Tensor, Tensor]:
        """Return where marks ``(B, n)`` of 0 and 1 begin and end, grown, as fractions."""
        count = marked.shape[1]
        index = torch.arange(count, dtype=marked.dtype, device=marked.device)
        first = torch.where(marked > 0, index, float(count)).amin(1) / count
        last = torch.where(marked > 0, index + 1, 0.0).amax(1) / count
        nothing = last <= first
        first, last = torch.where(nothing, 0.0, first), torch.where(nothing, 1.0, last)
        half = (last - first) * (0.5 + self.margin)
        half = half.clamp(self.smallest / 2, 0.5)
        middle = torch.minimum(torch.maximum((first + last) / 2, half), 1 - half)
        return middle - half, middle + half


def hold_still(network: nn.Module) -> nn.Module:
    """Turn a network's parameters into buffers, so that no training can reach them."""
    for module in network.modules():
        for name, weight in list(module._parameters.items()):
            if weight is not None:
                del module._parameters[name]
                module.register_buffer(name, weight.detach())
    return network.eval()


def cut(x: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Cut boxes out of images and bring them to one size, bilinearly with antialiasing.

    Args:
        x: ``(B, C, H, W)``.
        boxes: ``(B, 4)``, fractions.
        size: Edge of the result.

    Returns:
        ``(B, C, size, size)``, in the precision of `x`.

    Source: the triangle of `lucidray.images.resample`.
    Deviates: a pixel at the border of the box also takes in those just outside of it.
    """
    with _whole_precision(x):
        height, width = x.shape[-2:]
        rows = _taking(boxes[:, 1], boxes[:, 3], size, height)
        columns = _taking(boxes[:, 0], boxes[:, 2], size, width)
        part = torch.matmul(rows[:, None], x.float())
        return torch.matmul(part, columns[:, None].transpose(-1, -2)).to(x.dtype)


def shrunk(x: Tensor, size: int) -> Tensor:
    """Bring whole images ``(B, C, S, S)`` to another size; else as `cut`."""
    if x.shape[-1] == size:
        return x
    return cut(x, for_each(x, torch.tensor([0.0, 0.0, 1.0, 1.0], device=x.device)), size)


def for_each(x: Tensor, box: Tensor) -> Tensor:
    """Repeat one box for each image, ``(B, 4)``; a tracer keeps the batch free this way."""
    return torch.zeros_like(x[:, 0, 0, :1], dtype=torch.float32) + box


def place(maps: Tensor, boxes: Tensor, shape: tuple[int, int]) -> Tensor:
    """Lay maps of boxes out over the whole square; what each adds up to stays.

    Args:
        maps: ``(B, T, h, w)``, over the boxes.
        boxes: ``(B, 4)``, fractions.
        shape: ``(height, width)`` of the result.

    Returns:
        ``(B, T, *shape)``, 0 outside: each pixel of a map is shared out by the area that pixels of
        the result have in common with it.
    """
    rows = _sharing(boxes[:, 1], boxes[:, 3], maps.shape[2], shape[0])
    columns = _sharing(boxes[:, 0], boxes[:, 2], maps.shape[3], shape[1])
    part = torch.matmul(rows[:, None], maps)
    return torch.matmul(part, columns[:, None].transpose(-1, -2))


def _taking(low: Tensor, high: Tensor, count: int, source: int) -> Tensor:
    """Return weights ``(B, count, source)``: what each pixel of a cut takes from the image."""
    step = (high - low).float() * source / count
    place = torch.arange(count, device=low.device) + 0.5
    center = low.float()[:, None] * source + place * step[:, None]
    apart = center[:, :, None] - (torch.arange(source, device=low.device) + 0.5)
    weights = (1 - apart.abs() / step.clamp_min(1.0)[:, None, None]).clamp_min(0.0)
    return weights / weights.sum(2, keepdim=True)


def _sharing(low: Tensor, high: Tensor, count: int, target: int) -> Tensor:
    """Return weights ``(B, target, count)``: what each pixel of the square gets of a map's."""
    step = (high - low).float() * target / count
    start = low.float()[:, None] * target + torch.arange(count, device=low.device) * step[:, None]
    pixel = torch.arange(target, device=low.device, dtype=torch.float32)[:, None]
    first = torch.maximum(start[:, None], pixel)
    last = torch.minimum(start[:, None] + step[:, None, None], pixel + 1)
    return (last - first).clamp_min(0.0) / step[:, None, None]


def _whole_precision(x: Tensor) -> AbstractContextManager[object]:
    """Keep coordinates out of half precision."""
    half = torch.is_autocast_enabled(x.device.type)
    return torch.autocast(x.device.type, enabled=False) if half else nullcontext()
