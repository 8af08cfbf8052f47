"""Weights that others have published, as bundles: TorchXRayVision's and timm's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from torch import Tensor, nn

from lucidray.bundle.card import Calibration, Card, OperatingPoint, Training
from lucidray.errors import ExportError, WeightsError, unknown_name
from lucidray.export.from_run import About, finding_codes
from lucidray.export.write import export_bundle
from lucidray.export.xrv_table import LABELS, XRV_WEIGHTS
from lucidray.findings import canonical, is_known
from lucidray.images.preprocessing import Preprocessing, channel_constants
from lucidray.models.classifier import Classifier, build_model
from lucidray.models.spec import ModelSpec
from lucidray.models.weights import fit, read_local_weights
from lucidray.models.xrv_weights import XRV_FOLDER, read_xrv_weights

_XRV_LIMITS = (
    "Probabilities are TorchXRayVision's: rescaled so that each finding's operating point is 0.5; "
    "they are not calibrated. Its own transform cuts the largest centered square out of a film; "
    "here the whole film is fitted into the square. Not tested by us on real films."
)
_TIMM_LIMITS = (
    "Imported; not tested by us on films. The film is resized bilinearly and whole, whatever "
    "interpolation and center crop its authors used."
)


def import_xrv(
    weights: str,
    out: str | Path,
    *,
    file: str | Path | None = None,
    fit_to: Literal["letterbox", "squash"] = "letterbox",
) -> Path:
    """Write a classifier that TorchXRayVision publishes as a bundle.

    Args:
        weights: Its published name, for example ``"densenet121-res224-all"``.
        out: The file; its suffix is ``.lucid``.
        file: The weights file as published; None: where TorchXRayVision keeps it.
        fit_to: How a film that is not square comes into the square: see `Preprocessing`.

    Returns:
        The file. It judges the findings that the weights were trained for.

    Raises:
        UnknownNameError: No weights of that name are published.
        WeightsError: The file is not there, or is another network's.
        ExportError: The graph does not answer as the network does; then nothing is written.

    Source: Cohen et al., TorchXRayVision, arXiv:2111.00595, and ``torchxrayvision.models``
        (``op_norm``).
    """
    if weights not in XRV_WEIGHTS:
        raise unknown_name("TorchXRayVision weights", weights, XRV_WEIGHTS)
    known, path = XRV_WEIGHTS[weights], Path(out)
    state = read_xrv_weights(str(file) if file is not None else weights, XRV_FOLDER)
    kept = [index for index, point in enumerate(known.points) if point is not None]
    names = tuple(canonical(LABELS[index]) for index in kept)
    model = _classifier(known.backbone, names, state, weights, channels=1, size=known.size)
    _fill_head(model, state, ("classifier", "fc"), rows=kept, where=weights)
    points = tuple(point for point in known.points if point is not None)
    card = Card(
        name=path.stem,
        summary=f"TorchXRayVision's {weights}.",
        findings=finding_codes(names, [LABELS[index] for index in kept]),
        exclusive=False,
        preprocessing=Preprocessing(size=known.size, fit=fit_to, normalization="xrv", channels=1),
        network=known.backbone,
        calibration=Calibration("op_norm", points=points),
        operating_points={name: OperatingPoint(0.5, "op_threshs, as published") for name in names},
        training=Training(data=known.trained_on, terms="those of each data set"),
        license="as TorchXRayVision (Apache-2.0); see also the terms of the training data",
        authors="J. P. Cohen et al.",
        source="https://github.com/mlmed/torchxrayvision",
        limits=_XRV_LIMITS,
    )
    return export_bundle([model], card, path)


@dataclass(frozen=True)
class TimmModel:
    """A classifier in timm's own format: weights with a ``config.json``.

    Args:
        architecture: Its timm name.
        state: Its weights by timm's names.
        labels: What it tells, in the order of its logits.
        size: Side of its input in pixels.
        channels: 1 or 3.
        mean: Of each channel, removed from intensities in [0, 1].
        std: Of each channel, divided by.
    """

    architecture: str
    state: Mapping[str, Tensor]
    labels: tuple[str, ...]
    size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def import_timm(
    folder: str | Path,
    out: str | Path,
    *,
    labels: Sequence[str] | None = None,
    exclusive: bool = True,
    fit_to: Literal["letterbox", "squash"] = "squash",
    about: About | None = None,
) -> Path:
    """Write a classifier that was saved by timm as a bundle.

    Args:
        folder: Holds ``model.safetensors`` and ``config.json``, as ``timm.models.push_to_hf_hub``
            or ``save_for_hf(..., safe_serialization=True)`` writes them.
        out: The file; its suffix is ``.lucid``.
        labels: What it tells, in the order of its logits; None: ``label_names`` of the config.
        exclusive: Whether its loss was a softmax over the labels, as timm's scripts train.
        fit_to: How a film that is not square comes into the square: see `Preprocessing`.
        about: License, authors, limits.

    Returns:
        The file. It has no operating points: none are published in that format.

    Raises:
        WeightsError: Files are missing, broken or of another network.
        ExportError: The network has no closed form of its heat maps, a normalization or labels
            that cannot be expressed, or the graph does not answer as it does.
    """
    path, model = Path(out), read_timm(Path(folder), labels)
    names = tuple(canonical(each) if is_known(each) else each for each in model.labels)
    classifier = _classifier(
        model.architecture, names, model.state, model.architecture,
        channels=model.channels, size=model.size, exclusive=exclusive,
    )  # fmt: skip
    peer = _as_timm(model)
    _fill_head(classifier, model.state, (peer.default_cfg["classifier"],), where=model.architecture)
    _same(classifier, peer, model)
    given = vars(about or About(limits=_TIMM_LIMITS))
    card = Card(
        name=path.stem,
        findings=finding_codes(names, model.labels),
        exclusive=exclusive,
        preprocessing=_preprocessing(model, fit_to),
        network=model.architecture,
        **{key: value for key, value in given.items() if value or key != "intended_use"},
    )
    card = replace(card, summary=card.summary or f"{', '.join(names)} by {model.architecture}.")
    return export_bundle([classifier], card, path)


def read_timm(folder: Path, labels: Sequence[str] | None = None) -> TimmModel:
    """Read a classifier in timm's own format; else as `import_timm`."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        facts = config["pretrained_cfg"]
        channels, size, _ = facts["input_size"]
        found = labels or config.get("label_names") or facts.get("label_names") or ()
        if isinstance(found, dict):
            found = [found[key] for key in sorted(found, key=int)]
        state = read_local_weights(folder / "model.safetensors")
        model = TimmModel(
            str(config["architecture"]), state, tuple(found), int(size), int(channels),
            tuple(facts["mean"])[:channels], tuple(facts["std"])[:channels],
        )  # fmt: skip
    except (OSError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(
            f"{folder} holds no readable config.json of timm ({error!r}). Expected the files "
            "config.json and model.safetensors that timm.models.save_for_hf writes."
        ) from error
    if len(model.labels) != int(config["num_classes"]):
        raise ExportError(
            f"{len(model.labels)} labels are named for {config['num_classes']} logits; give one "
            "label a logit, in their order."
        )
    return model


def _as_timm(model: TimmModel) -> Any:
    options: dict[str, Any] = {"num_classes": len(model.labels), "in_chans": model.channels}
    if "pos_embed" in model.state:
        options["img_size"] = model.size
    peer: Any = timm.create_model(model.architecture, **options)
    try:
        peer.load_state_dict(dict(model.state))
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise WeightsError(
            f"the weights are not those of timm's '{model.architecture}': {first}"
        ) from error
    return peer.eval()


def _same(classifier: Classifier, peer: nn.Module, model: TimmModel) -> None:
    """Refuse a network whose own head does more than pool and multiply."""
    values = torch.linspace(-1, 1, model.channels * model.size**2)
    x = values.view(1, model.channels, model.size, model.size)
    with torch.no_grad():
        own, theirs = classifier.eval()(x), peer(x)
    if not torch.allclose(own, theirs, rtol=1e-4, atol=1e-5):
        raise ExportError(
            f"timm's '{model.architecture}' has more than a pooling and one layer after its last "
            "map, which cannot be taken over. Only networks with a plain head can be imported."
        )


def _preprocessing(model: TimmModel, fit_to: Literal["letterbox", "squash"]) -> Preprocessing:
    kinds: tuple[Literal["unit", "imagenet", "inception", "xrv"], ...]
    kinds = ("unit", "imagenet", "inception", "xrv")
    channels: Literal[1, 3] = 1 if model.channels == 1 else 3
    for kind in kinds:
        config = Preprocessing(model.size, fit=fit_to, normalization=kind, channels=channels)
        mean, std = (each.tolist() for each in channel_constants(config))
        if _close(mean, model.mean) and _close(std, model.std):
            return config
    raise ExportError(
        f"the normalization mean {model.mean}, std {model.std} with {model.channels} channels "
        f"cannot be expressed; one of {', '.join(kinds)} is expected."
    )


def _close(values: Sequence[float], others: Sequence[float]) -> bool:
    return len(values) == len(others) and all(
        abs(a - b) <= 1e-3 * max(abs(b), 1e-3) for a, b in zip(values, others, strict=True)
    )


def _classifier(
    backbone: str,
    findings: Sequence[str],
    state: Mapping[str, Tensor],
    where: str,
    *,
    channels: int,
    size: int,
    exclusive: bool = False,
) -> Classifier:
    spec = ModelSpec(backbone=backbone, in_channels=channels)
    model = build_model(spec, findings, exclusive=exclusive, image_size=size)
    fit(model.backbone, state, where=where)
    return model.eval()


def _fill_head(
    model: Classifier,
    state: Mapping[str, Tensor],
    names: Sequence[str],
    *,
    where: str,
    rows: Sequence[int] | None = None,
) -> None:
    name = next((each for each in names if f"{each}.weight" in state), None)
    if name is None:
        raise WeightsError(f"{where} has no classifier among its weights; name a classifier.")
    head: Any = model.head
    with torch.no_grad():
        for part in ("weight", "bias"):
            values, own = state[f"{name}.{part}"], getattr(head[-1], part)
            values = values if rows is None or len(values) <= max(rows) else values[list(rows)]
            if values.shape != own.shape:
                raise WeightsError(
                    f"the classifier of {where} is {tuple(values.shape)}; expected "
                    f"{tuple(own.shape)}. Name the weights that the file holds."
                )
            own.copy_(values)
