"""The model in torch and the graph in ONNX Runtime, asked about the same images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from lucidray.bundle.calibration import calibrate
from lucidray.bundle.card import Card
from lucidray.bundle.engines import Engine, Outputs
from lucidray.bundle.reference import (
    EXACT,
    Grey8,
    box_difference,
    differences,
    gaze_difference,
    region_difference,
)
from lucidray.errors import ExportError
from lucidray.explain import explain
from lucidray.images.geometry import identity
from lucidray.images.preprocessing import preprocess
from lucidray.models.classifier import Classifier
from lucidray.models.detector import Detector, joined_regions
from lucidray.models.gaze_fusion import GazeClassifier
from lucidray.models.two_branch import RegionClassifier
from lucidray.records import Float32, XRay

#: Largest allowed difference of the scores of boxes.
_BOXES = 1e-3


def answer(models: Sequence[Classifier], card: Card, image: Grey8) -> Outputs:
    """Ask the members in torch, by the path that training and `lucidray.explain` take.

    Args:
        models: The members, in evaluation mode.
        card: Names preprocessing, calibration and averaging.
        image: uint8 ``(H, W)``.

    Returns:
        What the graph should give for a batch of this image alone.
    """
    pixels = image.astype(np.float32) / np.float32(255)
    height, width = pixels.shape
    prepared, _ = preprocess(XRay(pixels, identity((height, width))), card.preprocessing)
    x = torch.from_numpy(prepared)[None]
    found = [_ask(model, x, flip=card.flip) for model in models]
    logits: Float32 = np.asarray(np.mean([each[0] for each in found], axis=0, dtype=np.float32))
    maps: Float32 = np.asarray(np.mean([each[1] for each in found], axis=0, dtype=np.float32))
    embedding = np.concatenate([each[2] for each in found], axis=1)
    if card.metadata is not None:
        logits = card.metadata.fuse(logits.astype(np.float64), [{}]).astype(np.float32)
        maps = maps * _scales(card)
    probabilities = calibrate(logits, card.calibration, exclusive=card.exclusive)
    boxes, scores = _boxes(models, x, flip=card.flip)
    gaze = _gaze(models, x, flip=card.flip)
    region, box = _region(models, x, flip=card.flip)
    seen = (region if region is None else region * _scales(card), box)
    return Outputs(logits, probabilities, maps, embedding, boxes, scores, gaze, None, *seen)


def _scales(card: Card) -> Float32:
    """Return by what metadata's rule multiplies a network's maps, ``(F, 1, 1)``."""
    rule = card.metadata
    plain = [1.0] * len(card.findings) if rule is None else rule.scales
    return np.array(plain, np.float32)[:, None, None]


def _region(
    models: Sequence[Classifier], x: torch.Tensor, *, flip: bool
) -> tuple[Float32, Float32] | tuple[None, None]:
    """Return the mean maps of second branches and the first one's box; None of other models."""
    members = [model for model in models if isinstance(model, RegionClassifier)]
    if not members:
        return None, None
    way: dict[str, Any] = {"method": "closed_form", "branch": "region"}
    found = [explain(model, x, **way)[1] for model in members]
    if flip:
        found += [explain(model, x.flip(-1), **way)[1].flip(-1) for model in members]
    with torch.no_grad():
        box = members[0].look(x)[1] * x.shape[-1]
    maps: Float32 = torch.stack(found).mean(0).numpy()
    return maps, box.numpy()


def _gaze(models: Sequence[Classifier], x: torch.Tensor, *, flip: bool) -> Float32 | None:
    """Return the mean density of gaze ``(1, S, S)``; None of models that predict none."""
    members = [model for model in models if isinstance(model, GazeClassifier)]
    if not members:
        return None
    with torch.no_grad():
        found = [model.gaze(x)[:, 0] for model in members]
        if flip:
            found += [model.gaze(x.flip(-1))[:, 0].flip(-1) for model in members]
        mean: Float32 = torch.stack(found).mean(0).numpy()
    return mean


def _boxes(
    models: Sequence[Classifier], x: torch.Tensor, *, flip: bool
) -> tuple[Float32, Float32] | tuple[None, None]:
    """Return the regions of detectors and their scores; nothing of classifiers."""
    members = [model for model in models if isinstance(model, Detector)]
    if not members:
        return None, None
    with torch.no_grad():
        boxes, scores = joined_regions(members, x, flip=flip)
    return boxes.numpy(), scores.numpy()


def check_parity(
    engine: Engine, images: Sequence[Grey8], expected: Sequence[Outputs]
) -> tuple[float, float]:
    """Compare a graph with torch, image by image and in a batch.

    Args:
        engine: Runs the graph.
        images: uint8 ``(H, W)`` of different sizes.
        expected: What torch answered to each.

    Returns:
        The largest difference of probabilities, and of maps as a part of their range.

    Raises:
        ExportError: They differ by more than `EXACT`.
    """
    found = []
    for image in images:
        grey = image.astype(np.float32)[None, None] / np.float32(255)
        pair = engine.run(np.concatenate([grey, 1 - grey]))
        alone = engine.run(grey)
        found += [pair, alone]
    wanted = [each for each in expected for _ in range(2)]
    worst = differences(
        [(each.probabilities[0], each.maps[0]) for each in found],
        [(each.probabilities[0], each.maps[0]) for each in wanted],
    )
    if not (worst[0] <= EXACT[0] and worst[1] <= EXACT[1]):
        raise ExportError(
            f"the graph does not answer as the model does: probabilities differ by {worst[0]:.2g} "
            f"(at most {EXACT[0]:g}), maps by {worst[1]:.2g} of their range "
            f"(at most {EXACT[1]:g}). Nothing was written. "
            "Check the weights for very large or non-finite values."
        )
    _check_boxes(found, wanted)
    apart = gaze_difference(found, wanted)
    if not apart <= EXACT[1]:
        raise ExportError(
            f"the graph does not look where the model looks: gaze differs by {apart:.2g} of its "
            f"range (at most {EXACT[1]:g}). Nothing was written."
        )
    apart = region_difference(found, wanted)
    if not apart <= EXACT[1]:
        raise ExportError(
            f"the graph does not look twice as the model does: its region differs by {apart:.2g} "
            f"of its range (at most {EXACT[1]:g}). Nothing was written."
        )
    return worst


def _check_boxes(found: Sequence[Outputs], wanted: Sequence[Outputs]) -> None:
    apart = box_difference(found, wanted)
    if not apart <= _BOXES:
        raise ExportError(
            "the graph does not find the boxes that the model finds: scores differ by "
            f"{apart:.2g} (at most {_BOXES:g}; inf: a box is missing). Nothing was written."
        )


def _ask(model: Classifier, x: torch.Tensor, *, flip: bool) -> tuple[Float32, Float32, Float32]:
    logits, maps = explain(model, x)
    with torch.no_grad():
        vector = model.embed(model.features(x))
    if flip:
        mirrored, mirrored_maps = explain(model, x.flip(-1))
        with torch.no_grad():
            vector = (vector + model.embed(model.features(x.flip(-1)))) / 2
        logits, maps = (logits + mirrored) / 2, (maps + mirrored_maps.flip(-1)) / 2
    return logits.numpy(), maps.numpy(), vector.numpy()
