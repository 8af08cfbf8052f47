"""Write a bundle: build its graph, compare it with torch, and only then put it on the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import Path

import torch
from torch import nn

from lucidray.bundle import archive
from lucidray.bundle.card import Calibration, Card, to_json
from lucidray.bundle.engines import Outputs, make_engine
from lucidray.bundle.installed import SUFFIX
from lucidray.bundle.reference import Grey8, Reference, make_images, to_bytes
from lucidray.bundle.runtime import CARD, MODEL, REFERENCE
from lucidray.config import to_mapping
from lucidray.errors import ExportError
from lucidray.explain.method import evaluating
from lucidray.export.ensemble_core import EnsembleCore, answer_ensemble
from lucidray.export.graph import Traced, build_graph
from lucidray.export.masks import MaskCore, answer_masks
from lucidray.export.network import Core, FusedCore
from lucidray.export.parity import answer, check_parity
from lucidray.models.classifier import Classifier
from lucidray.models.gaze_fusion import GazeClassifier
from lucidray.models.segmenter import Segmenter

_PACKAGES = ("lucidray", "torch", "timm", "onnx", "onnxscript", "onnxruntime", "numpy")


def export_bundle(
    models: Sequence[Classifier] | Sequence[Segmenter],
    card: Card,
    out: str | Path,
    *,
    extra: Mapping[str, bytes] | None = None,
) -> Path:
    """Write trained classifiers, or segmenters, as one bundle.

    Args:
        models: The members of an ensemble, or one; left as found.
        card: All that is known of them; weights digest, map shape and versions are filled in.
        out: The file; its suffix is ``.lucid``.
        extra: Further files for the bundle, by name.

    Returns:
        The file. The same models and card give the same bytes on the same machine.

    Raises:
        ExportError: The models cannot be written as a graph, or the graph answers otherwise than
            they do; then nothing is written.
    """
    path = _checked(Path(out), models, card)
    with ExitStack() as stack:
        for model in models:
            stack.enter_context(evaluating(model))
        members = _members(models, card)
    archive.write(path, {**(extra or {}), **members})
    return path


def weights_digest(models: Sequence[nn.Module]) -> str:
    """Return a SHA-256 hex digest of all weights of all members, in order."""
    digest = hashlib.sha256()
    for model in models:
        for name, value in sorted(model.state_dict().items()):
            plain = value.detach().cpu().contiguous()
            digest.update(f"{name} {plain.dtype} {tuple(plain.shape)}\n".encode())
            digest.update(plain.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _members(models: Sequence[Classifier] | Sequence[Segmenter], card: Card) -> dict[str, bytes]:
    core, ask = _core(models, card)
    graph = build_graph(core, card.preprocessing)
    images = make_images(card.preprocessing.size)
    expected = tuple(ask(image) for image in images)
    check_parity(make_engine("onnxruntime", graph, to_mapping(card)), images, expected)
    height, width = expected[0].maps.shape[2:]
    card = replace(
        card,
        map_shape=(height, width),
        weights_sha256=weights_digest(models),
        members=len(models),
        versions={name: metadata.version(name) for name in _PACKAGES},
    )
    return {
        MODEL: graph,
        CARD: to_json(card).encode(),
        REFERENCE: to_bytes(Reference(images, expected)),
    }


def _core(
    models: Sequence[Classifier] | Sequence[Segmenter], card: Card
) -> tuple[Traced, Callable[[Grey8], Outputs]]:
    """Return what is traced, and what is asked in torch for comparison."""
    masks = [model for model in models if isinstance(model, Segmenter)]
    judges = [model for model in models if isinstance(model, Classifier)]
    if bool(masks) != (card.task == "segmentation") or (masks and judges):
        raise ExportError(f"the card says {card.task}, which the model was not made for.")
    config = card.preprocessing
    if masks:
        return MaskCore(masks, config, flip=card.flip), partial(answer_masks, masks, card)
    if card.ensemble is not None:
        return EnsembleCore(judges, card), partial(answer_ensemble, judges, card)
    if card.metadata is not None:
        plain = Core(judges, config, Calibration(), flip=card.flip)
        fused = FusedCore(plain, card.metadata, card.calibration)
        return fused, partial(answer, judges, card)
    core = Core(judges, config, card.calibration, flip=card.flip)
    return core, partial(answer, judges, card)


def _checked(path: Path, models: Sequence[Classifier] | Sequence[Segmenter], card: Card) -> Path:
    if path.suffix != SUFFIX:
        raise ExportError(f"the file is '{path.name}'; a bundle's name ends in {SUFFIX}.")
    names = tuple(finding.name for finding in card.findings)
    looks = any(isinstance(model, GazeClassifier) for model in models)
    if looks != (card.gaze is not None):
        raise ExportError(
            "a card tells of gaze just where the model predicts it; set card.gaze to "
            f"{'GazeFacts, which say whose it is' if looks else 'None'}."
        )
    for model in models:
        if model.findings != names or model.exclusive != card.exclusive:
            raise ExportError(
                f"the card names {list(names)} (exclusive: {card.exclusive}) but the model judges "
                f"{list(model.findings)} (exclusive: {model.exclusive})."
            )
        if any(not torch.isfinite(weight).all() for weight in model.parameters()):
            raise ExportError("the model has weights that are not finite; it cannot be exported.")
    return path
