"""What a network is made of, as plain values that a recipe can hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lucidray.config import STRICT
from lucidray.errors import ConfigError
from lucidray.models.region import RegionSpec

PoolKind = Literal["auto", "avg", "max", "flatten", "native"]
Activation = Literal["relu", "gelu"]
DetectorKind = Literal["none", "map", "fpn"]


@dataclass(frozen=True)
class ModelSpec:
    """A network, described so that a TOML file can name it and a run can repeat it.

    The heads of the source documents, as values (S0 to S4 of ``docs/explanation``):
    S0 ``hidden=(256,), activation="gelu", dropout_before=0.5``;
    S1 (own network) ``pool="flatten", hidden=(128,), dropout_after=0.5``;
    S2 ``hidden=(512,), dropout_after=0.3`` and, multi-task, ``hidden=(1024, 512)``;
    S4 ``hidden=(128,), dropout_before=0.5, dropout_after=0.3``.

    Args:
        backbone: A registered name (``resnet50``) or any timm name (``convnext_tiny.fb_in22k``).
        weights: What the backbone starts from: ``"none"`` (random), ``"imagenet"`` (timm's),
            ``"torchxrayvision:NAME"`` or ``"torchxrayvision:FILE.pt"``, or the path of a
            ``.safetensors`` file. The head always starts at random.
        in_channels: Channels of the input; 1 or 3 with weights.
        head: ``"linear"`` (one layer on the pooled features) or ``"mlp"`` (`hidden` before it).
        hidden: Width of each hidden layer of an ``mlp`` head, from input to output.
        activation: Between the layers of an ``mlp`` head.
        dropout_before: Probability of dropping pooled features.
        dropout_after: Probability of dropping activations after each hidden layer.
        pool: How a map becomes a vector. ``auto``: mean over the map, or what the backbone itself
            does where that is more than a mean (class token, norm after pooling) = ``native``.
        drop_rate: Dropout within the backbone, where it has any (DenseNet, ViT).
        drop_path: Stochastic depth within the backbone, where it has any.
        decoder: Makes a segmenter instead of a classifier: widths of the steps by which maps grow
            again, coarsest first. Each doubles the resolution and takes in the backbone's own map
            of that size, so a backbone gives one stage more than there are steps.
        detector: Adds a Faster R-CNN head beside the findings' own: ``"map"`` looks for boxes on
            the backbone's last map, ``"fpn"`` on a pyramid of its stages at strides 8, 16 and 32,
            whose finest map is then pooled for the findings too (``pool`` avg or max).
        detector_width: Channels of the maps that the detector works on.
        region: Adds a second branch, with a backbone of its own, that sees a region of the film.
    """

    __pydantic_config__ = STRICT

    backbone: str = "densenet121"
    weights: str = "none"
    in_channels: int = 3
    head: Literal["linear", "mlp"] = "linear"
    hidden: tuple[int, ...] = ()
    activation: Activation = "relu"
    dropout_before: float = 0.0
    dropout_after: float = 0.0
    pool: PoolKind = "auto"
    drop_rate: float = 0.0
    drop_path: float = 0.0
    decoder: tuple[int, ...] = ()
    detector: DetectorKind = "none"
    detector_width: int = 64
    region: RegionSpec = field(default_factory=RegionSpec)

    def __post_init__(self) -> None:
        if (self.head == "mlp") != bool(self.hidden):
            raise ConfigError(
                f"head is '{self.head}' but hidden is {list(self.hidden)}; a linear head has no "
                'hidden layer, an mlp head at least one. Set head = "mlp" with hidden = [128], '
                "or leave both out."
            )
        if self.in_channels < 1 or any(width < 1 for width in (*self.hidden, *self.decoder)):
            raise ConfigError(
                f"in_channels is {self.in_channels}, hidden {list(self.hidden)} and decoder "
                f"{list(self.decoder)}; all must be at least 1."
            )
        if self.decoder and (self.hidden or self.pool != "auto" or self.dropout_before):
            raise ConfigError(
                "a model with a decoder makes masks and has no pooling and no hidden layers; "
                "leave out head, hidden, pool and dropout_before, or leave out decoder."
            )
        if self.detector != "none" and (self.decoder or self.detector_width < 1):
            raise ConfigError(
                f"detector is '{self.detector}' with detector_width {self.detector_width} and "
                f"decoder {list(self.decoder)}; a detector stands beside a head of findings, so "
                "leave out decoder, and its width is at least 1."
            )
        if self.region.source != "none" and (self.decoder or self.detector != "none"):
            raise ConfigError(
                "region adds a second branch to a network that judges findings; leave out decoder "
                "and detector, or region."
            )
        for name in ("dropout_before", "dropout_after", "drop_rate", "drop_path"):
            value = getattr(self, name)
            if not 0.0 <= value < 1.0:
                raise ConfigError(f"{name} is {value}; a probability in [0, 1) is expected.")
