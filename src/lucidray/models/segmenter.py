"""A segmenter: a backbone that narrows an image, and a U-Net decoder that widens it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lucidray.errors import ModelError
from lucidray.models.backbones import create_backbone
from lucidray.models.modes import set_mode
from lucidray.models.spec import ModelSpec
from lucidray.models.weights import load_weights


class Taps(nn.Module):
    """A backbone that gives the maps of its first stages, without those that come after.

    Args:
        backbone: Of timm; stages that are not needed are taken off it.
        count: How many maps.

    Raises:
        ModelError: The backbone does not give its maps, or not so many.
    """

    def __init__(self, backbone: nn.Module, count: int) -> None:
        super().__init__()
        known = getattr(backbone, "feature_info", ())
        if not hasattr(backbone, "forward_intermediates") or not 1 < count <= len(known):
            raise ModelError(
                f"a decoder of {count - 1} steps takes {count} maps, but "
                f"'{type(backbone).__name__}' gives {len(known)}; shorten the decoder, or choose "
                "another backbone, for example regnetx_002 or resnet18."
            )
        self.channels = [int(each["num_chs"]) for each in known[:count]]
        self.indices = list(range(count))
        whole: Any = backbone
        whole.prune_intermediate_layers(self.indices, prune_norm=True)
        self.backbone = backbone

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return maps ``(B, C, h, w)``, finest first."""
        whole: Any = self.backbone
        return list(whole.forward_intermediates(x, indices=self.indices, intermediates_only=True))


class Step(nn.Module):
    """One step of the decoder: double the map, take in the backbone's, mix the two.

    Args:
        below: Channels of the coarser map.
        beside: Channels of the backbone's map of the new size.
        width: Channels of the result.
    """

    def __init__(self, below: int, beside: int, width: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(*convolution(below + beside, width), *convolution(width, width))

    def forward(self, below: Tensor, beside: Tensor) -> Tensor:
        """Return ``(B, width, h, w)`` of the size of `beside`."""
        grown = functional.interpolate(below, size=beside.shape[-2:], mode="nearest")
        return torch.as_tensor(self.mix(torch.cat([grown, beside], 1)))


class Segmenter(nn.Module):
    """Logits of masks from images; what is frozen stays in evaluation mode, as in `Classifier`.

    Args:
        backbone: Gives its maps, finest first.
        decoder: Steps from the coarsest map on.
        head: From the last step's map to one channel a mask.
        findings: What each mask shows.
        spec: What it was built from.
        image_size: Edge in pixels of the images that it was built for.

    Source: Ronneberger et al. 2015, arXiv:1505.04597 (U-Net).
    Deviates: the backbone is timm's; maps grow by the nearest pixel; the last logits lie at the
        size of the finest map taken in and grow bilinearly from there.
    """

    exclusive = False

    def __init__(
        self,
        backbone: nn.Module,
        decoder: nn.ModuleList,
        head: nn.Module,
        *,
        findings: Sequence[str],
        spec: ModelSpec,
        image_size: int = 224,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.decoder = decoder
        self.head = head
        self.findings = tuple(findings)
        self.spec = spec
        self.image_size = image_size

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the backbone's maps ``(B, C, h, w)`` of images ``(B, C, H, W)``, finest first."""
        features: list[Tensor] = self.backbone(x)
        return features

    def embed(self, features: Sequence[Tensor]) -> Tensor:
        """Return the mean of the coarsest map, ``(B, D)``."""
        return features[-1].mean((2, 3))

    def decode(self, features: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
        """Return logits ``(B, F, *shape)`` of what `features` returned."""
        x = features[-1]
        for step, beside in zip(self.decoder, features[-2::-1], strict=True):
            x = step(x, beside)
        return functional.interpolate(self.head(x), size=tuple(shape), mode="bilinear")

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(B, F, H, W)`` of images ``(B, C, H, W)``."""
        return self.decode(self.features(x), x.shape[-2:])

    def train(self, mode: bool = True) -> Segmenter:
        """Set training mode, but leave all that is frozen in evaluation mode."""
        return set_mode(self, mode)


def build_segmenter(
    spec: ModelSpec, findings: Sequence[str], *, image_size: int = 224
) -> Segmenter:
    """Build the segmenter that a spec describes.

    Args:
        spec: Backbone, weights that it starts from, decoder.
        findings: One mask each.
        image_size: Edge in pixels of the images to come.

    Returns:
        A segmenter in training mode, its decoder random.

    Raises:
        UnknownNameError: No such backbone.
        ModelError: The backbone does not give its maps, or not as many as the decoder takes.
        WeightsError: The weights cannot be reached, read or fitted.
    """
    if not findings or len(set(findings)) != len(findings):
        raise ModelError(f"findings are {list(findings)}; at least one is needed, none twice.")
    options = {"drop_rate": spec.drop_rate, "drop_path": spec.drop_path}
    whole = create_backbone(
        spec.backbone, in_channels=spec.in_channels, image_size=image_size, **options
    )
    backbone = Taps(load_weights(whole, spec), len(spec.decoder) + 1)
    channels, below = backbone.channels, [backbone.channels[-1], *spec.decoder]
    steps = [
        Step(under, beside, width)
        for under, beside, width in zip(below, channels[-2::-1], spec.decoder, strict=False)
    ]
    head = nn.Conv2d(spec.decoder[-1], len(findings), 1)
    return Segmenter(
        backbone, nn.ModuleList(steps), head, findings=findings, spec=spec, image_size=image_size
    ).train()


def convolution(inside: int, outside: int) -> tuple[nn.Module, ...]:
    """Return a 3 x 3 convolution, its normalization and a ReLU."""
    convolution = nn.Conv2d(inside, outside, 3, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(outside), nn.ReLU(inplace=True)
