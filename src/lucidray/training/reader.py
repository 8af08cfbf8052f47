"""A run that reads single images and shows where it looked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lucidray.bundle.metadata import Known, MetadataRule, known_of
from lucidray.explain import explain
from lucidray.images.preprocessing import Preprocessing
from lucidray.models.classifier import Classifier
from lucidray.records import Float32, XRay
from lucidray.training.metadata import read_rule
from lucidray.training.run import Run


@dataclass(frozen=True)
class RunReader:
    """A run with its members in memory; what `lucidray.pipeline.diagnose` asks.

    Build it with `open_reader`.

    Args:
        run: A finished run.
        members: Its models.
        digest: SHA-256 over the weights of all members.
        options: Of the explanation method, by name; its defaults elsewhere.
        rule: What metadata add; None: the run takes none.
    """

    run: Run
    members: tuple[Classifier, ...]
    digest: str
    options: Mapping[str, Any] = field(default_factory=dict)
    rule: MetadataRule | None = None

    @property
    def findings(self) -> tuple[str, ...]:
        """Names of what it judges."""
        return self.run.findings

    @property
    def exclusive(self) -> bool:
        """Whether exactly one finding holds."""
        return self.run.exclusive

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to an image before the model sees it."""
        return self.run.recipe.image

    @property
    def operating_points(self) -> Mapping[str, float]:
        """Probability at and above which a finding counts as present."""
        return self.run.operating_points

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Weights digest, backbone, versions."""
        return {
            "weights_sha256": self.digest,
            "backbone": self.run.recipe.model.backbone,
            "seeds": list(self.run.recipe.seeds),
            **({"method_options": dict(self.options)} if self.options else {}),
            "versions": self.run.facts.get("versions", {}),
        }

    def fuse(self, film: Float32, maps: Float32, xray: XRay) -> tuple[Float32, Float32, Known]:
        """Join what a film alone says with what its file tells of patient and view.

        Args:
            film: Logits ``(F,)``.
            maps: ``(F, h, w)``.
            xray: The film.

        Returns:
            Logits and maps, and the metadata used; those given and none where the run takes none.
        """
        if self.rule is None:
            return film, maps, {}
        known = known_of(xray)
        logits = self.rule.fuse(film[None].astype(np.float64), [known])[0].astype(np.float32)
        scales = np.array(self.rule.scales, np.float32)[:, None, None]
        return logits, maps * scales, self.rule.coding.used(known)

    def look(self, image: Float32, *, method: str) -> tuple[Float32, Float32]:
        """Return logits and raw maps of one image, averaged as the recipe averages logits.

        Args:
            image: float32 ``(C, S, S)``, preprocessed.
            method: A registered explanation method.

        Returns:
            Logits ``(F,)`` and maps ``(F, h, w)``: means over members and, where the recipe says
            so, over the image and its mirror image (whose map is mirrored back). The mean of
            maps is the map of the mean logit.
        """
        x = torch.from_numpy(image)[None]
        views = [x, x.flip(-1)] if self.run.recipe.test_time_augmentation == "flip" else [x]
        logits, maps = [], []
        for model in self.members:
            for number, view in enumerate(views):
                logit, found = explain(model, view, method=method, **self.options)
                logits.append(logit[0])
                maps.append(found[0].flip(-1) if number else found[0])
        return _mean(logits), _mean(maps)


def open_reader(run: Run, *, options: Mapping[str, Any] | None = None) -> RunReader:
    """Load a run's members so that it can read images.

    Args:
        run: A finished run.
        options: Of the explanation method that it will be asked for, by name; None: its defaults.

    Raises:
        WeightsError: A weights file is missing or broken.
    """
    digest = hashlib.sha256()
    for path in run.weights:
        digest.update(path.read_bytes())
    return RunReader(
        run, tuple(run.models()), digest.hexdigest(), dict(options or {}), read_rule(run)
    )


def _mean(parts: list[Tensor]) -> Float32:
    values: Float32 = torch.stack([part.detach().float() for part in parts]).mean(0).numpy()
    return values
