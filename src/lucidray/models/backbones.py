"""Backbones: the registry of those that the source documents use, and every other one of timm."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

import timm
from torch import nn

from lucidray.errors import ModelError, UnknownNameError
from lucidray.models.baseline_cnn import BaselineCNN
from lucidray.registry import Registry


@dataclass(frozen=True)
class Backbone:
    """The card of a backbone: what one must know to feed it and to read its maps.

    Args:
        name: The name that a recipe gives.
        timm_name: Architecture and weights in timm; ``""`` for a network of our own.
        summary: One sentence.
        documents: The source documents that use it and their spelling, ``"S2 (DenseNet121)"``.
        explained: The layer whose map is explained.
        source: The paper.
        input_size: Edge in pixels that the weights were made for.
        mean: Mean of each channel that the weights expect removed, of intensities in [0, 1].
        std: Standard deviation that they expect divided by.
        license: SPDX name of the weights' license; ``""`` where there are none.
    """

    name: str
    timm_name: str
    summary: str
    documents: str
    explained: str
    source: str
    input_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    license: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "__doc__", self.summary)


backbones: Registry[Backbone] = Registry("backbone")

_LAST_RELU = "the ReLU before global pooling"
_LAST_CONV = "the ReLU of the last convolution, before the last max pooling"
_TOKENS = "blocks[-1].norm1, patch tokens only"

# name, timm name, source documents, explained layer, paper, summary
_CARDS = (
    ("vgg16", "vgg16.tv_in1k", "S0, S3 (VGG16)", _LAST_CONV, "arXiv:1409.1556",
     "Sixteen plain 3 x 3 layers."),
    ("vgg19", "vgg19.tv_in1k", "S3 (VGG19)", _LAST_CONV, "arXiv:1409.1556",
     "Nineteen plain 3 x 3 layers."),
    ("resnet18", "resnet18.tv_in1k", "S1, S3 (ResNet18)", _LAST_RELU, "arXiv:1512.03385",
     "Residual network of 18 layers."),
    ("resnet34", "resnet34.tv_in1k", "S3 (ResNet34)", _LAST_RELU, "arXiv:1512.03385",
     "Residual network of 34 layers."),
    ("resnet50", "resnet50.tv_in1k", "S2, S3, S4 (ResNet50)", _LAST_RELU, "arXiv:1512.03385",
     "Residual network of 50 layers with bottlenecks."),
    ("resnet101", "resnet101.tv_in1k", "S3 (ResNet101)", _LAST_RELU, "arXiv:1512.03385",
     "Residual network of 101 layers with bottlenecks."),
    ("resnet50v2", "resnetv2_50.a1h_in1k", "S0 (ResNet50V2)", _LAST_RELU, "arXiv:1603.05027",
     "Pre-activation residual network of 50 layers."),
    ("densenet121", "densenet121.tv_in1k", "S1, S2 (DenseNet121)", _LAST_RELU, "arXiv:1608.06993",
     "Densely connected network of 121 layers."),
    ("densenet201", "densenet201.tv_in1k", "S0, S3 (DenseNet201)", _LAST_RELU, "arXiv:1608.06993",
     "Densely connected network of 201 layers."),
    ("efficientnet_b0", "efficientnet_b0.ra_in1k", "S1, S2 (EfficientNetB0)",
     "the SiLU before global pooling", "arXiv:1905.11946", "The smallest of the EfficientNets."),
    ("efficientnet_b4", "efficientnet_b4.ra2_in1k", "S0 (EfficientNetB4)",
     "the SiLU before global pooling", "arXiv:1905.11946", "EfficientNet scaled up four steps."),
    ("mobilenetv2", "mobilenetv2_100.ra_in1k", "S2 (MobileNetV2)",
     "the ReLU6 before global pooling", "arXiv:1801.04381",
     "Inverted residuals, made for telephones."),
    ("xception", "legacy_xception.tf_in1k", "S0 (Xception)", _LAST_RELU, "arXiv:1610.02357",
     "Depthwise separable convolutions throughout."),
    ("nasnetlarge", "nasnetalarge.tf_in1k", "S0 (NASNetLarge)", _LAST_RELU, "arXiv:1707.07012",
     "A network whose cells were found by search."),
    ("inception_resnet_v2", "inception_resnet_v2.tf_in1k", "S3 (Inception-ResNet-v2)", _LAST_RELU,
     "arXiv:1602.07261", "Inception blocks with residual connections."),
    ("vit_small", "vit_small_patch16_224.augreg_in21k_ft_in1k", "S3 (ViT-S)", _TOKENS,
     "arXiv:2010.11929", "Vision transformer, 12 blocks of width 384."),
    ("vit_base", "vit_base_patch16_224.augreg_in21k_ft_in1k", "S3 (ViT-B)", _TOKENS,
     "arXiv:2010.11929", "Vision transformer, 12 blocks of width 768."),
    ("vit_large", "vit_large_patch16_224.augreg_in21k_ft_in1k", "S3 (ViT-L)", _TOKENS,
     "arXiv:2010.11929", "Vision transformer, 24 blocks of width 1024."),
)  # fmt: skip


def card(name: str) -> Backbone:
    """Return the card of a backbone, registered or any other of timm.

    Args:
        name: A registered name, or a timm name with or without the tag of its weights.

    Raises:
        UnknownNameError: Neither; the message names the nearest.

    >>> card("densenet121").timm_name
    'densenet121.tv_in1k'
    >>> card("convnext_nano").input_size
    224
    """
    if name in backbones:
        return backbones[name]
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, list(backbones), n=1)
        near = near or difflib.get_close_matches(name, timm.list_models(), n=1)
        hint = f" did you mean '{near[0]}'?" if near else ""
        raise UnknownNameError(
            f"unknown backbone '{name}';{hint} Choose one of: {', '.join(backbones)}; "
            "or any name of timm.list_models()."
        )
    return _timm_card(name, name, "", "chosen by its architecture", "timm", f"{name} of timm.")


def normalization(
    name: str, weights: str = "none", in_channels: int = 3
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the standard deviation that a backbone's weights expect.

    Args:
        name: A registered or a timm name.
        weights: As in `ModelSpec`; TorchXRayVision's expect [-1024, 1024].
        in_channels: Channels of the input; a single one gets the average of the three.

    Returns:
        ``(mean, std)``, one value a channel, of intensities in [0, 1].

    >>> normalization("densenet121", "torchxrayvision:densenet121-res224-all", 1)
    ((0.5,), (0.00048828125,))
    """
    known = card(name)
    if weights.startswith("torchxrayvision:"):
        return (0.5,) * in_channels, (1 / 2048,) * in_channels
    if len(known.mean) == in_channels:
        return known.mean, known.std
    mean, std = sum(known.mean) / len(known.mean), sum(known.std) / len(known.std)
    return (mean,) * in_channels, (std,) * in_channels


def create_backbone(
    name: str,
    *,
    in_channels: int = 3,
    image_size: int = 224,
    drop_rate: float = 0.0,
    drop_path: float = 0.0,
) -> nn.Module:
    """Build a backbone with random weights and without its classifier.

    Args:
        name: A registered or a timm name.
        in_channels: Channels of the input.
        image_size: Edge in pixels; matters to transformers, whose positions are learned.
        drop_rate: Dropout within the backbone.
        drop_path: Stochastic depth within the backbone.

    Raises:
        UnknownNameError: No such backbone.
        ModelError: The backbone cannot take one of the options.
    """
    known = card(name)
    if not known.timm_name:
        if drop_rate or drop_path:
            raise ModelError(
                f"'{name}' has no dropout of its own: leave drop_rate, drop_path at 0."
            )
        return BaselineCNN(in_channels)
    options: dict[str, Any] = {"in_chans": in_channels, "num_classes": 0}
    options |= {"proj_drop_rate": drop_rate} if drop_rate else {}
    options |= {"drop_path_rate": drop_path} if drop_path else {}
    return _headless(_create(known, options, image_size))


def _create(known: Backbone, options: dict[str, Any], image_size: int) -> nn.Module:
    sized = options | {"img_size": image_size}
    try:
        backbone: nn.Module = timm.create_model(known.timm_name, **sized)
    except TypeError as with_size:
        if "img_size" not in str(with_size):
            raise _unsupported(known, options) from with_size
        try:
            backbone = timm.create_model(known.timm_name, **options)
        except TypeError as error:
            raise _unsupported(known, options) from error
    return backbone


def _unsupported(known: Backbone, options: dict[str, Any]) -> ModelError:
    extra = ", ".join(sorted(set(options) - {"in_chans", "num_classes"})) or "its options"
    return ModelError(
        f"backbone '{known.name}' cannot take {extra}; "
        "leave drop_rate and drop_path at 0 for it, or choose another backbone."
    )


def _headless(backbone: nn.Module) -> nn.Module:
    """Take off VGG's dense layers, and its last pooling, which then stands before the head."""
    if isinstance(backbone, timm.models.VGG):
        backbone.features = backbone.features[:-1]
        setattr(backbone, "pre_logits", nn.Identity())  # noqa: B010 - timm types it narrower
    return backbone


def _timm_card(
    name: str, timm_name: str, documents: str, explained: str, source: str, summary: str
) -> Backbone:
    facts = timm.get_pretrained_cfg(timm_name)
    size = 224
    mean: tuple[float, ...] = (0.5,) * 3
    std: tuple[float, ...] = (0.5,) * 3
    if facts is not None:
        size, mean, std = facts.input_size[-1], tuple(facts.mean), tuple(facts.std)
    return Backbone(
        name, timm_name, summary, documents, explained, source, size, mean, std,
        (facts.license or "") if facts is not None else "",
    )  # fmt: skip


def _register(known: Backbone) -> None:
    facts = {
        "timm_name": known.timm_name,
        "documents": known.documents,
        "explained": known.explained,
        "input_size": known.input_size,
        "license": known.license,
    }
    backbones.register(known.name, source=known.source, **facts)(known)


for _name, _timm, _documents, _explained, _source, _summary in _CARDS:
    _register(_timm_card(_name, _timm, _documents, _explained, _source, _summary))
_register(
    Backbone(
        "baseline_cnn",
        "",
        "Three plain blocks, trained from scratch.",
        "S1 (custom CNN)",
        _LAST_CONV,
        "source document S1",
        224,
        (0.5,) * 3,
        (0.5,) * 3,
        "",
    )
)
