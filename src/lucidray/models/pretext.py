"""Networks that learn from films without findings: projections to compare, images to restore."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lucidray.models.classifier import Classifier, build_model
from lucidray.models.modes import set_mode
from lucidray.models.spec import ModelSpec


class Projector(nn.Module):
    """A backbone and a small network that projects what it pools to a direction.

    Args:
        spec: Names the backbone and the weights that it starts from.
        width: Length of the projection, and of the layer before it.
        image_size: Edge in pixels of the images to come.

    Source: Chen et al. 2020, SimCLR, arXiv:2002.05709, section 2.1.
    """

    def __init__(self, spec: ModelSpec, width: int, *, image_size: int = 224) -> None:
        super().__init__()
        directions = [f"direction {place}" for place in range(width)]
        shaped = replace(spec, head="mlp", hidden=(width,), dropout_before=0.0, dropout_after=0.0)
        self.model: Classifier = build_model(shaped, directions, image_size=image_size)

    @property
    def backbone(self) -> nn.Module:
        """What is kept after pretraining."""
        return self.model.backbone

    def forward(self, x: Tensor) -> Tensor:
        """Return directions ``(B, D)`` of length 1; in evaluation those of mirror images beside."""
        found = functional.normalize(self.model(x), dim=1)
        if self.training:
            return found
        return torch.cat([found, functional.normalize(self.model(x.flip(-1)), dim=1)], 1)

    def train(self, mode: bool = True) -> Projector:
        """Set training mode, but leave all that is frozen in evaluation mode."""
        return set_mode(self, mode)


class Restored(NamedTuple):
    """What a `Restorer` makes of images of which parts were hidden.

    Args:
        image: ``(B, C, S, S)``, restored.
        wanted: ``(B, C, S, S)``, as it was.
        hidden: ``(B, 1, S, S)``: 1 where it was hidden, else 0.
    """

    image: Tensor
    wanted: Tensor
    hidden: Tensor


class Restorer(nn.Module):
    """A backbone whose map, through one linear layer, restores patches of the image.

    Args:
        spec: Names the backbone and the weights that it starts from.
        patch: Edge in pixels of what is hidden or shown together.
        share: Share of the patches that are hidden.
        image_size: Edge in pixels of the images to come.

    Source: Xie et al. 2022, SimMIM, arXiv:2111.09886: random patches, a linear prediction head.
    Deviates: hidden patches are set to the image's mean (convolutions have no mask token); the
        map is widened bilinearly where it is not as fine as the patches.
    """

    def __init__(
        self, spec: ModelSpec, patch: int = 16, share: float = 0.6, *, image_size: int = 224
    ) -> None:
        super().__init__()
        shaped = replace(spec, head="linear", hidden=(), dropout_before=0.0, dropout_after=0.0)
        self.model: Classifier = build_model(shaped, ["any"], image_size=image_size)
        self.model.head.requires_grad_(False)
        self.patch, self.share = patch, share
        with torch.no_grad():
            training = self.model.training
            found = self.model.eval().features(torch.zeros(1, spec.in_channels, 64, 64))
            self.model.train(training)
        channels = found.shape[1] if found.ndim == 4 else found.shape[2]
        self.restore = nn.Conv2d(channels, spec.in_channels * patch * patch, 1)

    @property
    def backbone(self) -> nn.Module:
        """What is kept after pretraining."""
        return self.model.backbone

    def forward(self, x: Tensor) -> Restored:
        """Hide parts of images ``(B, C, S, S)`` and restore them; in evaluation the same parts."""
        side = max(x.shape[-1] // self.patch, 1)
        hidden = self._hide(len(x), side, x)
        mask = functional.interpolate(hidden, size=x.shape[-2:], mode="nearest")
        shown = torch.lerp(x, x.mean((2, 3), keepdim=True).expand_as(x), mask)
        features = self.model.features(shown)
        features = functional.interpolate(
            features, size=(side, side), mode="bilinear", align_corners=False
        )
        image = functional.pixel_shuffle(self.restore(features), self.patch)
        if image.shape != x.shape:
            image = functional.interpolate(
                image, size=x.shape[-2:], mode="bilinear", align_corners=False
            )
        return Restored(image, x, mask)

    def _hide(self, count: int, side: int, like: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(
            int(torch.randint(2**31, ()).item()) if self.training else 0
        )
        draws = torch.rand(count, side * side, generator=generator)
        order = draws.argsort(1).argsort(1)
        hidden = (order < round(self.share * side * side)).to(like)
        return hidden.view(count, 1, side, side)

    def train(self, mode: bool = True) -> Restorer:
        """Set training mode, but leave all that is frozen in evaluation mode."""
        return set_mode(self, mode)


def restoring_loss(found: Restored, targets: object = None) -> Tensor:  # noqa: ARG001
    """Return the mean absolute difference over hidden pixels."""
    apart = (found.image.float() - found.wanted.float()).abs() * found.hidden
    return apart.sum() / (found.hidden.sum() * found.image.shape[1]).clamp_min(1)


def backbone_state(network: Projector | Restorer) -> dict[str, Tensor]:
    """Return the backbone's weights by the names that `weights` of a `ModelSpec` reads."""
    return {f"backbone.{name}": value for name, value in network.backbone.state_dict().items()}
