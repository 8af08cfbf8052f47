"""A classifier: a backbone, a pooling and a head, built from a `ModelSpec`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from timm import models as timm_models
from torch import Tensor, nn

from lucidray.errors import ModelError, ShapeError
from lucidray.models.backbones import create_backbone, normalization
from lucidray.models.heads import Pool, build_head
from lucidray.models.modes import set_mode
from lucidray.models.spec import ModelSpec
from lucidray.models.stages import final_pooling, plainly_pooled
from lucidray.models.weights import load_weights


class Classifier(nn.Module):
    """Logits of findings from images, in two steps, so that the map between them can be shown.

    Frozen parts stay in evaluation mode: ``train()`` leaves every module whose parameters are all
    frozen as it is in ``eval()``, so that its batch statistics do not drift.

    Args:
        backbone: A backbone as `create_backbone` makes it.
        pool: From map to vector; None = what the backbone itself does before its classifier.
        head: From vector to logits.
        findings: One name a logit.
        exclusive: Whether exactly one finding holds (softmax) or any number (sigmoid).
        spec: What it was built from.
        image_size: Edge in pixels of the images that it was built for.
    """

    def __init__(
        self,
        backbone: nn.Module,
        pool: Pool | None,
        head: nn.Module,
        *,
        findings: Sequence[str],
        exclusive: bool = False,
        spec: ModelSpec | None = None,
        image_size: int = 224,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pool = pool
        self.head = head
        self.findings = tuple(findings)
        self.exclusive = exclusive
        self.spec = spec if spec is not None else ModelSpec()
        self.image_size = image_size

    @property
    def normalization(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel that the backbone expects."""
        return normalization(self.spec.backbone, self.spec.weights, self.spec.in_channels)

    def features(self, x: Tensor) -> Tensor:
        """Return what is pooled: the map after the last activation, or a transformer's tokens.

        Args:
            x: Images ``(B, C, H, W)``, normalized as the card says.

        Returns:
            ``(B, C', h, w)``, or ``(B, T, C')`` of a transformer.
        """
        return self.as_map(self.backbone.forward_features(x))  # type: ignore[operator]

    def as_map(self, features: Tensor) -> Tensor:
        """Put channels first where the backbone keeps them last (Swin and its kin)."""
        last = features.ndim == 4 and _channels_last(self.backbone)
        return features.permute(0, 3, 1, 2) if last else features

    def embed(self, features: Tensor) -> Tensor:
        """Pool features to one vector an image, ``(B, D)``."""
        if self.pool is not None:
            return torch.as_tensor(self.pool(features))
        if features.ndim == 4 and _channels_last(self.backbone):
            features = features.permute(0, 2, 3, 1)
        embedding: Tensor = self.backbone.forward_head(  # type: ignore[operator]
            features, pre_logits=True
        )
        return embedding.flatten(1)

    def classify(self, features: Tensor) -> Tensor:
        """Return logits ``(B, F)`` of what `features` returned."""
        return torch.as_tensor(self.head(self.embed(features)))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(B, F)`` of images ``(B, C, H, W)``."""
        return self.classify(self.features(x))

    def probabilities(self, logits: Tensor) -> Tensor:
        """Turn logits ``(B, F)`` into probabilities ``(B, F)``: softmax or sigmoid."""
        return logits.softmax(-1) if self.exclusive else logits.sigmoid()

    def train(self, mode: bool = True) -> Classifier:
        """Set training mode, but leave all that is frozen in evaluation mode."""
        return set_mode(self, mode)


def build_model(
    spec: ModelSpec,
    findings: Sequence[str],
    *,
    exclusive: bool = False,
    image_size: int = 224,
) -> Classifier:
    """Build the classifier that a spec describes.

    Args:
        spec: Backbone, weights, head.
        findings: One logit each; a problem of two classes is one finding, not exclusive.
        exclusive: Whether exactly one finding holds.
        image_size: Edge in pixels of the images to come.

    Returns:
        A classifier in training mode, its head random.

    Raises:
        UnknownNameError: No such backbone or TorchXRayVision weights.
        ModelError: The parts do not fit together.
        WeightsError: The weights cannot be reached, read or fitted.
    """
    if not findings or len(set(findings)) != len(findings):
        raise ModelError(f"findings are {list(findings)}; at least one is needed, none twice.")
    if exclusive and len(findings) < 2:
        raise ModelError(
            f"one finding ('{findings[0]}') cannot be exclusive; "
            "set exclusive=False: one sigmoid logit says both its presence and its absence."
        )
    backbone = create_backbone(
        spec.backbone,
        in_channels=spec.in_channels,
        image_size=image_size,
        drop_rate=spec.drop_rate,
        drop_path=spec.drop_path,
    )
    backbone = load_weights(backbone, spec)
    pool = _pool(backbone, spec)
    model = Classifier(
        backbone,
        pool,
        nn.Identity(),
        findings=findings,
        exclusive=exclusive,
        spec=spec,
        image_size=image_size,
    )
    model.head = head_of(spec, _width(model), len(model.findings))
    return model.train()


def head_of(spec: ModelSpec, width: int, count: int) -> nn.Module:
    """Build the head that a spec describes, from vectors of a width to so many logits."""
    return build_head(
        width,
        count,
        hidden=spec.hidden,
        activation=spec.activation,
        dropout_before=spec.dropout_before,
        dropout_after=spec.dropout_after,
    )


def _pool(backbone: nn.Module, spec: ModelSpec) -> Pool | None:
    kind: Literal["avg", "max", "flatten"] | None
    if spec.pool == "auto":
        kind = "avg" if plainly_pooled(backbone) else None
    elif spec.pool == "native":
        kind = None
    else:
        kind = spec.pool
    if kind is None and not hasattr(backbone, "forward_head"):
        raise ModelError(f"'{spec.backbone}' has no pooling of its own; choose pool = \"avg\".")
    if kind is not None and isinstance(backbone, timm_models.VisionTransformer):
        raise ModelError(
            f"'{spec.backbone}' makes tokens, not a map, so pool = \"{kind}\" does not fit; "
            'leave pool at "auto".'
        )
    return None if kind is None else Pool(kind, final_pooling(backbone))


#: Lengths of pooled vectors that were found out already, by what decides them.
_WIDTHS: dict[tuple[str, int, str, int], int] = {}


def _width(model: Classifier) -> int:
    """Return the length of the pooled vector, found out once for networks of one shape."""
    spec = model.spec
    key = (spec.backbone, spec.in_channels, spec.pool, model.image_size)
    if key not in _WIDTHS:
        _WIDTHS[key] = _measured_width(model)
    return _WIDTHS[key]


def _measured_width(model: Classifier) -> int:
    """Send an image without pixels through."""
    try:
        embedding = _dry_run(model, model.image_size)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ModelError(
            f"'{model.spec.backbone}' cannot take images of {model.image_size} x "
            f"{model.image_size} pixels with {model.spec.in_channels} channels; "
            "choose a larger image_size (224 fits all)."
        ) from error
    if embedding.ndim != 2:
        raise ShapeError(
            f"'{model.spec.backbone}' pools to {tuple(embedding.shape)}; (B, D) is expected. "
            'Choose pool = "avg".'
        )
    return embedding.shape[1]


def _dry_run(model: Classifier, size: int) -> Tensor:
    weights: dict[str, Any] = dict(model.named_parameters()) | dict(model.named_buffers())
    empty = {name: torch.empty_like(value, device="meta") for name, value in weights.items()}
    x = torch.empty(1, model.spec.in_channels, size, size, device="meta")
    training = model.training
    with torch.no_grad():
        embedding: Tensor = torch.func.functional_call(model.train(False), empty, (x,))
    model.train(training)
    return embedding


def _channels_last(backbone: nn.Module) -> bool:
    return str(getattr(backbone, "output_fmt", "NCHW")).upper().endswith("NHWC")
