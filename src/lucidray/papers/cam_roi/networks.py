"""The networks of both phases, and what is fed to them, with the published fault or without."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from lucidray.errors import ConfigError
from lucidray.models import Classifier, ModelSpec, build_model, freeze
from lucidray.papers.cam_roi.material import Pixels
from lucidray.papers.cam_roi.protocol import FRACTION, Settings
from lucidray.papers.cam_roi.published import OWN_ROLE

#: What happens to intensities of 0 to 255 before a network sees them: `"unit"` divides by 255;
#: `"own"` normalizes as the weights expect; `"twice"` divides by 255 twice and then normalizes;
#: `"caffe"` and `"tf"` are Keras' `preprocess_input` of VGG and of Xception.
Input = Literal["unit", "own", "twice", "caffe", "tf"]

_POLICIES = {"frozen": "frozen", "partly": "last_fraction", "all": "full"}

#: Means that Keras removes for VGG: blue, green, red.
_CAFFE_MEANS = (103.939, 116.779, 123.68)

#: Training images that give frozen random filters their scale, and images at a time.
_SETTLING = 512
_BATCH = 64


def input_of(role: str, chosen: Settings) -> Input:
    """Return what a role's network is trained on.

    Args:
        role: As the publication names it.
        chosen: Whether inputs are normalized.

    >>> input_of("EfficientNetB4", Settings()), input_of("DenseNet201", Settings())
    ('twice', 'unit')
    """
    if chosen.normalize or role == OWN_ROLE:
        return "own"
    return "twice" if role.startswith("EfficientNet") else "unit"


def map_input_of(role: str, chosen: Settings) -> Input:
    """Return what a role's network is given when its heat maps are made."""
    if chosen.normalize:
        return "own"
    keras: dict[str, Input] = {"VGG16": "caffe", "Xception": "tf"}
    return keras.get(role, input_of(role, chosen))


def feed(pixels: Pixels, kind: Input, model: Classifier) -> Tensor:
    """Turn images into a network's input.

    Args:
        pixels: uint8 ``(B, S, S)`` grey or ``(B, S, S, 3)`` in color.
        kind: What happens to them.
        model: Whose normalization is taken.

    Returns:
        float32 ``(B, 3, S, S)``.
    """
    raw = torch.from_numpy(np.ascontiguousarray(pixels)).float()
    raw = raw[:, None].expand(-1, 3, -1, -1) if raw.ndim == 3 else raw.permute(0, 3, 1, 2)
    if kind == "unit":
        return raw / 255
    if kind == "tf":
        return raw / 127.5 - 1
    if kind == "caffe":
        return raw.flip(1) - torch.tensor(_CAFFE_MEANS)[:, None, None]
    mean, std = (torch.tensor(values)[:, None, None] for values in model.normalization)
    unit = raw / 255 if kind == "own" else raw / 255 / 255
    return (unit - mean) / std


def build(
    role: str,
    strategy: str,
    classes: tuple[str, ...],
    chosen: Settings,
    *,
    hidden: bool,
    seed: int,
    settle_on: Pixels,
) -> Classifier:
    """Build one network and freeze what is not trained.

    Args:
        role: As the publication names it.
        strategy: ``"frozen"``, ``"partly"`` or ``"all"``.
        classes: Of the data set.
        chosen: Which network plays the role, its size and its weights.
        hidden: Whether the head has phase 2's dense layer.
        seed: Of the random start.
        settle_on: uint8 ``(N, S, S)`` training images; they give frozen random filters a scale.

    Raises:
        WeightsError: Pretrained weights are wanted and cannot be reached.
        ConfigError: No such strategy.
    """
    if strategy not in _POLICIES:
        raise ConfigError(f"strategy is '{strategy}'; choose one of: {', '.join(_POLICIES)}.")
    torch.manual_seed(seed)
    own = role == OWN_ROLE
    spec = ModelSpec(
        backbone=chosen.networks[role],
        weights="none" if own else chosen.weights,
        head="mlp" if hidden else "linear",
        hidden=(chosen.hidden,) if hidden else (),
        activation="gelu",
        dropout_before=chosen.dropout,
        pool="avg",
    )
    model = build_model(spec, classes, exclusive=True, image_size=chosen.size)
    if chosen.scratch and strategy != "all":
        settle(model, settle_on)
    freeze(model, _POLICIES[strategy], fraction=FRACTION)
    return model


def settle(model: Classifier, pixels: Pixels) -> None:
    """Let the batch normalizations of random filters take their statistics from images.

    Without it a frozen random network passes on vanishing or exploding numbers. The images are
    normalized rightly, as they are for pretrained weights, whatever is fed later.

    Args:
        model: Changed in place; its mode stays.
        pixels: uint8 ``(N, S, S)``; at most 512 of them are used.
    """
    norms = [part for part in model.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    was_training = model.training
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        for start in range(0, min(len(pixels), _SETTLING), _BATCH):
            part = pixels[start : min(start + _BATCH, _SETTLING)]
            if len(part) > 1 or start == 0:
                model.features(feed(part, "own", model))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(was_training)
