"""Models whose maps are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from lucidray.images.preprocessing import Preprocessing
from lucidray.records import Float32
from lucidray.trust import Effort

torch.set_num_threads(1)

SIDE = 128
FINDING = "Mass"
EFFORT = Effort(
    images=14, removal_images=12, removal_steps=4, road_images=3, road_steps=3, sanity_images=6,
    sanity_steps=2, noise_images=2, noise_samples=2, moved_images=3, moves=1, grid=SIDE, n_boot=200,
)  # fmt: skip


@dataclass(frozen=True)
class Known:
    """A model whose answer is how bright the mass is, and which can point at it, or not.

    It knows films by their pixels. Of pixels that it does not know it shows the brightest tenth.
    """

    masks: Mapping[bytes, Float32]
    preprocessing: Preprocessing = field(
        default_factory=lambda: Preprocessing(size=SIDE, normalization="unit", channels=1)
    )
    methods: tuple[str, ...] = ("oracle", "uniform", "inverted", "nothing")
    name: str = "known"
    kind: str = "run"
    network: str = "none"
    findings: tuple[str, ...] = ("Effusion", FINDING)
    exclusive: bool = False
    provenance: Mapping[str, Any] = field(default_factory=dict)
    places: list[Float32] = field(default_factory=list)

    def predict(self, squares: Float32) -> Float32:
        """Return how bright the middle is."""
        bright = squares[:, 32:96, 32:96].mean(axis=(1, 2))
        return np.stack([np.zeros_like(bright), 8 * bright - 2], axis=1).astype(np.float32)

    def explain(self, squares: Float32, finding: str, method: str) -> Float32:
        """Return the true mask, all of the film, what is farthest from it, or no evidence."""
        assert finding == FINDING
        truth = np.stack([self._mask(square) for square in squares])
        made = {
            "oracle": truth,
            "uniform": np.ones_like(truth),
            "inverted": np.stack([_far(each) for each in truth]),
            "nothing": -np.ones_like(truth),
        }
        return made[method]

    def _mask(self, square: Float32) -> Float32:
        known = self.masks.get(square.tobytes())
        return (square > np.quantile(square, 0.9)).astype(np.float32) if known is None else known

    def randomized(
        self, squares: Float32, finding: str, methods: Sequence[str], steps: int, seed: int
    ) -> Iterator[tuple[str, Mapping[str, Float32]]]:
        """Forget all for the oracle; other maps never knew anything."""
        rng = np.random.default_rng(seed)
        for step in range(steps):
            noise = rng.random((len(squares), 8, 8), np.float32)
            yield (
                f"layer {step}",
                {
                    name: noise if name == "oracle" else self.explain(squares, finding, name)
                    for name in methods
                },
            )


def _far(mask: Float32) -> Float32:
    """Return a map that is hot where a mask is far, and coldest in its middle."""
    signed = ndimage.distance_transform_edt(mask == 0) - ndimage.distance_transform_edt(mask > 0)
    return ((signed - signed.min()) / (np.ptp(signed) + 1e-6)).astype(np.float32) ** 4


class Looker(nn.Module):
    """A network by hand: one channel sees the corner of the tag, the other all else."""

    findings = (FINDING,)

    def __init__(self, corner: float, rest: float) -> None:
        super().__init__()
        self.head = nn.Linear(2, 1)
        self.head.weight.data = torch.tensor([[corner, rest]])
        self.head.bias.data.zero_()

    def features(self, x: Tensor) -> Tensor:
        """Return two 16 x 16 maps of brightness."""
        small = functional.adaptive_max_pool2d(x[:, :1], 16)
        seen = torch.zeros_like(small)
        seen[:, :, :2, 2:5] = 1
        return torch.cat([small * seen, small * (1 - seen)], 1)

    def classify(self, features: Tensor) -> Tensor:
        """Return the logit."""
        return self.head(features.mean(dim=(2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(B, 1)``."""
        return self.classify(self.features(x))
