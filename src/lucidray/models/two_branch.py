"""A classifier that looks twice: at the whole film, and at a region of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lucidray.config import from_mapping
from lucidray.errors import ModelError, WeightsError
from lucidray.models.backbones import create_backbone
from lucidray.models.classifier import Classifier, build_model, head_of
from lucidray.models.heads import Pool
from lucidray.models.region import Boxes, FoundBoxes, RegionSpec, cut, place, shrunk
from lucidray.models.segmenter import Segmenter, build_segmenter
from lucidray.models.spec import ModelSpec
from lucidray.models.stages import final_pooling
from lucidray.models.weights import load_weights, read_local_weights

#: How much finer than a branch's map the grid is on which both maps are joined.
FINER = 2


class TwoBranch(nn.Module):
    """Two backbones, for the whole film and for a region that is cut out of it.

    Args:
        film: Sees the whole film.
        region: Sees the region.
        boxes: From images to the boxes ``(B, 4)`` of their regions.
        size: Edge in pixels of what each sees.
    """

    def __init__(self, film: nn.Module, region: nn.Module, boxes: nn.Module, size: int) -> None:
        super().__init__()
        self.film, self.region, self.boxes, self.size = film, region, boxes, size

    def look(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return both maps, one after the other along channels, and the boxes ``(B, 4)``."""
        boxes = self.boxes(x)
        film = self.film.forward_features(shrunk(x, self.size))  # type: ignore[operator]
        region = self.region.forward_features(cut(x, boxes, self.size))  # type: ignore[operator]
        return torch.cat([film, region], 1), boxes

    def forward_features(self, x: Tensor) -> Tensor:
        """Return both maps ``(B, 2 C, h, w)`` of images ``(B, C, S, S)``."""
        return self.look(x)[0]

    def forward(self, x: Tensor) -> Tensor:
        """Return both maps; as `forward_features`."""
        return self.forward_features(x)


class RegionClassifier(Classifier):
    """Logits of findings from the whole film and a region of it, in one pass.

    As a `Classifier`, so that it is trained, calibrated and exported like any other: the two maps
    stand one after the other along channels and share one head. They lie on different parts of
    the film, so a heat map is made of each and laid out over the film (`spread`).

    Source: Guan et al. 2018, arXiv:1801.09927 (AG-CNN: a global and a local branch, and their
        fusion).
    Deviates: both branches and the fusion are trained together; the region comes from a fixed crop,
        from lungs, or from the heat map of a run trained before.
    """

    backbone: TwoBranch

    def look(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the map that is pooled ``(B, 2 C, h, w)``, and the regions' boxes ``(B, 4)``."""
        return self.backbone.look(x)

    def spread(self, maps: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Lay heat maps of both branches out over the film; what they add up to stays.

        Args:
            maps: ``(B, 2 T, h, w)``: T of the whole film, then T of the region.
            boxes: ``(B, 4)``.

        Returns:
            ``(B, T, 2 h, 2 w)`` of the film, and the same of the region, 0 outside its box.
        """
        film, region = maps.chunk(2, 1)
        shape = (FINER * maps.shape[2], FINER * maps.shape[3])
        grown = functional.interpolate(film, shape, mode="bilinear") / FINER**2
        return grown, place(region, boxes, shape)


class Outlines(nn.Module):
    """How surely each pixel lies in some mask of a segmenter, ``(B, h, w)``."""

    def __init__(self, model: Segmenter) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Return the largest probability of all masks."""
        found: Tensor = self.model(x)
        return found.sigmoid().amax(1)


class Heat(nn.Module):
    """How strongly each place speaks for some finding, as a part of the strongest, ``(B, h, w)``.

    Args:
        model: A classifier with a mean over its map and a linear head.

    Raises:
        ModelError: It has another head.
    """

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        kind = getattr(model.pool, "kind", None)
        if kind != "avg" or model.spec.hidden or isinstance(model, RegionClassifier):
            raise ModelError(
                "the region of 'heat' comes from a run with pool = \"avg\", a linear head and one "
                "branch; train the first stage so, or choose region.source = 'crop'."
            )
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Return the largest Grad-CAM of all findings, divided by its own largest value."""
        head: Any = self.model.head
        maps = torch.einsum("fc,bchw->bfhw", head[-1].weight, self.model.features(x))
        strength = maps.amax(1).clamp_min(0.0)
        return strength / strength.amax((1, 2), keepdim=True).clamp_min(1e-12)


def build_region_classifier(
    spec: ModelSpec, findings: Sequence[str], *, exclusive: bool = False, image_size: int = 224
) -> RegionClassifier:
    """Build the classifier with two branches that a spec describes; else as `build_model`.

    Args:
        spec: Its ``region`` says what the second branch sees; both branches start from its
            ``weights``.
        findings: One logit each.
        exclusive: Whether exactly one finding holds.
        image_size: Edge in pixels of the images to come.

    Raises:
        ModelError: The backbone makes no plainly pooled map, or the finder does not fit.
        WeightsError: Weights cannot be reached, read or fitted.
    """
    size = spec.region.size or image_size
    one = build_model(
        replace(spec, region=RegionSpec()), findings, exclusive=exclusive, image_size=size
    )
    if one.pool is None or getattr(one.backbone, "output_fmt", "NCHW") == "NHWC":
        raise ModelError(
            f"'{spec.backbone}' pools in a way of its own, which two branches cannot share; choose "
            'a backbone of convolutions, with pool = "avg".'
        )
    options = {"drop_rate": spec.drop_rate, "drop_path": spec.drop_path}
    other = create_backbone(spec.backbone, in_channels=spec.in_channels, image_size=size, **options)
    other = load_weights(other, spec)
    body = TwoBranch(one.backbone, other, _boxes(spec), size)
    model = RegionClassifier(
        body,
        Pool(one.pool.kind, final_pooling(one.backbone)),
        nn.Identity(),
        findings=findings,
        exclusive=exclusive,
        spec=spec,
        image_size=image_size,
    )
    model.head = head_of(spec, 2 * _width(one), len(model.findings))
    model.train()
    return model


def _width(model: Classifier) -> int:
    head: Any = model.head
    return next(int(each.in_features) for each in head if isinstance(each, nn.Linear))


def _boxes(spec: ModelSpec) -> nn.Module:
    region = spec.region
    if region.source == "crop":
        return Boxes(region.crop)
    if not region.finder:
        raise ModelError(
            f"region.source is '{region.source}' but the finder is not known yet; train by "
            "`lucidray train`, which reads it from region.run."
        )
    told = dict(region.finder)
    finder = from_mapping(ModelSpec, told["model"], where="region.finder")
    size = int(told["size"])
    model = _finder(finder, told, size)
    if finder.in_channels != spec.in_channels:
        raise ModelError(
            f"the finder takes {finder.in_channels} channels and the network {spec.in_channels}; "
            "both see the same film, so train them alike."
        )
    if region.run:
        state = read_local_weights(str(told["weights"]))
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise WeightsError(
                f"the weights in {told['weights']} do not fit the run's own network; train the run "
                "again."
            ) from error
    marks = Outlines(model) if isinstance(model, Segmenter) else Heat(model)
    return FoundBoxes(marks, size, region)


def _finder(spec: ModelSpec, told: Mapping[str, Any], size: int) -> Segmenter | Classifier:
    plain = replace(spec, weights="none")
    if spec.decoder:
        return build_segmenter(plain, told["findings"], image_size=size)
    return build_model(plain, told["findings"], exclusive=bool(told["exclusive"]), image_size=size)
