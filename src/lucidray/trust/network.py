"""A run as the subject of a trust report: all registered methods, and a network that forgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from lucidray.explain import explain, explainers
from lucidray.explain.randomize import randomize
from lucidray.images.preprocessing import Preprocessing, normalize, set_contrast
from lucidray.models.classifier import Classifier
from lucidray.records import Float32
from lucidray.training import Run, open_reader
from lucidray.trust.effort import THRIFTY

_BATCH = 8


@dataclass(frozen=True)
class NetworkSubject:
    """Networks whose logits and maps are averaged; build that of a run with `open_subject`.

    Args:
        members: Classifiers with named findings.
        preprocessing: What is done to a film before they see it.
        exclusive: Whether exactly one finding holds.
        flip: Whether the mirror image is averaged in.
        name: What it is called.
        network: Architecture.
        provenance: Digests and versions.
    """

    members: tuple[nn.Module, ...]
    preprocessing: Preprocessing
    exclusive: bool = False
    flip: bool = False
    name: str = "network"
    network: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    kind: Literal["run", "bundle"] = "run"

    @property
    def findings(self) -> tuple[str, ...]:
        """What it judges."""
        names: Any = self.members[0].findings
        return tuple(names)

    @property
    def methods(self) -> tuple[str, ...]:
        """Every registered method."""
        return tuple(explainers)

    def predict(self, squares: Float32) -> Float32:
        """Return the mean logits ``(B, F)``."""
        found = []
        for part in _parts(squares):
            x = self._input(part)
            with torch.no_grad():
                found.append(
                    self._mean([model(v) for model in self.members for v in self._views(x)])
                )
        return np.concatenate(found)

    def explain(self, squares: Float32, finding: str, method: str) -> Float32:
        """Return the mean of the members' maps ``(B, h, w)``."""
        return self._explain(self.members, squares, finding, method)

    def randomized(
        self, squares: Float32, finding: str, methods: Sequence[str], steps: int, seed: int
    ) -> Iterator[tuple[str, Mapping[str, Float32]]]:
        """Yield the layer reached and the maps of each method, from the head down."""
        x = self._input(squares)
        forgetting = [
            randomize(model, x, steps=steps, seed=seed + number)
            for number, model in enumerate(self.members)
        ]
        for now in zip(*forgetting, strict=True):
            models = [step.model for step in now]
            yield now[0].layer, {m: self._explain(models, squares, finding, m) for m in methods}

    def _explain(
        self, members: Sequence[nn.Module], squares: Float32, finding: str, method: str
    ) -> Float32:
        found = []
        for part in _parts(squares):
            x = self._input(part)
            maps = []
            for model in members:
                for number, view in enumerate(self._views(x)):
                    options = dict(THRIFTY.get(method, {}))
                    got = explain(model, view, method=method, findings=[finding], **options)[1][
                        :, 0
                    ]
                    maps.append(got.flip(-1) if number else got)
            found.append(self._mean(maps))
        return np.concatenate(found)

    def _input(self, squares: Float32) -> Tensor:
        clipped = np.clip(squares, 0, 1)
        if self.preprocessing.contrast != "none":
            clipped = np.stack([set_contrast(each, self.preprocessing) for each in clipped])
        return torch.from_numpy(normalize(clipped, self.preprocessing))

    def _views(self, x: Tensor) -> list[Tensor]:
        return [x, x.flip(-1)] if self.flip else [x]

    @staticmethod
    def _mean(parts: list[Tensor]) -> Float32:
        mean = torch.stack([part.detach().float().cpu() for part in parts]).mean(0)
        return np.asarray(mean.numpy(), np.float32)


def open_subject(run: Run) -> NetworkSubject:
    """Load a run's members so that their explanations can be measured.

    Raises:
        RunError: The run makes masks.
        WeightsError: A weights file is missing or broken.
    """
    reader = open_reader(run)
    members: tuple[Classifier, ...] = reader.members
    return NetworkSubject(
        members,
        run.recipe.image,
        run.exclusive,
        run.recipe.test_time_augmentation == "flip",
        run.folder.resolve().name,
        run.recipe.model.backbone,
        reader.provenance,
    )


def _parts(squares: Float32) -> Iterator[Float32]:
    for start in range(0, len(squares), _BATCH):
        yield squares[start : start + _BATCH]
