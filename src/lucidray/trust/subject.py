"""What a trust report is about: a model that can be asked, whatever it is made of.

Every subject takes squares: float32 ``(B, S, S)`` display intensities in [0, 1], cropped and fitted
as the model wants them but before its contrast and normalization, which it does itself. So pixels
are removed, and noise is added, on the film and not in normalized units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np

from lucidray.bundle.runtime import Bundle
from lucidray.errors import ModelError, unknown_name
from lucidray.images.preprocessing import Preprocessing
from lucidray.images.transforms import fraction_box
from lucidray.records import Float32


class Subject(Protocol):
    """A model whose explanations are measured."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def kind(self) -> Literal["run", "bundle"]:
        """Whether the network itself is at hand (a run) or only its graph."""

    @property
    def network(self) -> str:
        """Its architecture."""

    @property
    def findings(self) -> tuple[str, ...]:
        """What it judges."""

    @property
    def exclusive(self) -> bool:
        """Whether exactly one finding holds."""

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to a film before the network sees it."""

    @property
    def methods(self) -> tuple[str, ...]:
        """Explanation methods that it can be asked for."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Digests and versions."""

    def predict(self, squares: Float32) -> Float32:
        """Return logits ``(B, F)`` of squares ``(B, S, S)``."""

    def explain(self, squares: Float32, finding: str, method: str) -> Float32:
        """Return raw maps ``(B, h, w)`` of squares ``(B, S, S)``.

        Raises:
            ModelError: The method cannot explain this model.
        """

    def randomized(
        self, squares: Float32, finding: str, methods: Sequence[str], steps: int, seed: int
    ) -> Iterator[tuple[str, Mapping[str, Float32]]] | None:
        """Forget the network step by step, from the head down.

        Returns:
            The layer reached and the maps ``(N, h, w)`` of each method, a step at a time; None
            where the network is not at hand.
        """


@dataclass(frozen=True)
class BundleSubject:
    """A bundle: its maps come from its graph, its answers from ONNX Runtime; no torch.

    Args:
        bundle: A classification bundle.
    """

    bundle: Bundle
    kind: Literal["run", "bundle"] = "bundle"

    def __post_init__(self) -> None:
        if self.bundle.task != "classification":
            raise ModelError(
                f"'{self.bundle.name}' outlines lungs and explains no finding; name a bundle that "
                "judges findings."
            )

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.bundle.name

    @property
    def network(self) -> str:
        """Its architecture."""
        return self.bundle.card.network

    @property
    def findings(self) -> tuple[str, ...]:
        """What it judges."""
        return self.bundle.findings

    @property
    def exclusive(self) -> bool:
        """Whether exactly one finding holds."""
        return self.bundle.exclusive

    @property
    def preprocessing(self) -> Preprocessing:
        """What its graph does."""
        return self.bundle.preprocessing

    @property
    def methods(self) -> tuple[str, ...]:
        """The one method that its graph holds."""
        return ("grad_cam",)

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Digests and versions."""
        return self.bundle.provenance

    def predict(self, squares: Float32) -> Float32:
        """Return logits ``(B, F)``."""
        return np.stack([self.bundle.answer(each).logits[0] for each in self._films(squares)])

    def explain(self, squares: Float32, finding: str, method: str) -> Float32:
        """Return the graph's maps ``(B, h, w)``.

        Raises:
            UnknownNameError: The graph holds no such method.
        """
        if method not in self.methods:
            raise unknown_name("method of a bundle", method, self.methods)
        at = self.findings.index(finding)
        return np.stack([self.bundle.answer(each).maps[0, at] for each in self._films(squares)])

    def randomized(
        self, squares: Float32, finding: str, methods: Sequence[str], steps: int, seed: int
    ) -> None:
        """Return None: a graph has no layers that could be randomized."""

    @cached_property
    def _canvas(self) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
        """Size of a film whose crop is one square exactly, and where that square lies."""
        size, crop = self.preprocessing.size, self.preprocessing.crop
        if crop is None:
            return (size, size), (0, 0, size, size)
        top, bottom, left, right = crop
        shape = (_whole(size, top, bottom), _whole(size, left, right))
        return shape, fraction_box(shape, *crop)

    def _films(self, squares: Float32) -> Iterator[Float32]:
        """Yield films that the graph crops to the squares."""
        shape, (x_min, y_min, x_max, y_max) = self._canvas
        for square in squares:
            film = np.zeros(shape, np.float32)
            kept = film[y_min:y_max, x_min:x_max]
            kept[...] = np.clip(square[: kept.shape[0], : kept.shape[1]], 0, 1)
            yield film


def _whole(size: int, low: float, high: float) -> int:
    """Return the length whose part from `low` to `high` is just as long as wanted, or nearly."""
    lengths = np.arange(size, int(size / (high - low)) + 16)
    parts = np.array([_part(int(length), low, high) for length in lengths])
    return int(lengths[np.abs(parts - size).argmin()])


def _part(length: int, low: float, high: float) -> int:
    _, y_min, _, y_max = fraction_box((length, length), low, high, 0.0, 1.0)
    return y_max - y_min
