"""Grad-CAM without gradients: the maps of all findings within the forward pass itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lucidray.errors import ModelError
from lucidray.explain import class_token
from lucidray.explain.method import chosen, evaluating, explainers, prepare

#: Of a network with two branches: which of them a map is of.
Branch = Literal["both", "film", "region"]


@explainers.register(
    "closed_form",
    source="arXiv:1610.02391, differentiated by hand",
    needs="a pooled linear or MLP head, or a ViT's class token",
    cost="1 forward",
    class_specific=True,
    odd=True,
)
def closed_form(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
    branch: Branch = "both",
) -> tuple[Tensor, Tensor]:
    """Explain as ``grad_cam`` does, exactly, for the cost of a forward pass.

    The gradient of a logit by a pooled map needs no backward pass. With ``J`` the Jacobian of the
    logits by the pooled vector, the mean gradient of channel ``k`` is ``J[c, k] / (h w)``, for
    mean and maximum pooling alike, also behind another max pooling: all hand the whole gradient
    on. ``J`` is the weight of a linear head; for an MLP it is ``(W2 * f'(z)) W1``; a flattened
    map sums it over its pixels. For a transformer see ``class_token``.

    Args:
        model: A classifier with a pooled linear or MLP head, or a ViT with a class token.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: Must be None: the closed form explains the pooled map (``blocks[-1].norm1`` of a
            transformer).
        sign: 1 explains a logit, -1 its absence.
        branch: Of a network that looks at a film and at a region of it: ``"film"`` or ``"region"``
            gives what that branch alone says, ``"both"`` the sum; all lie over the whole film.

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), h, w)``, equal to ``grad_cam``'s.

    Raises:
        ModelError: The model has no closed form, or a layer or a branch was named that it lacks.
        ShapeError: The images or the targets do not fit.

    Source: Selvaraju et al., Grad-CAM, arXiv:1610.02391, equations 1 and 2; for a linear head it
        is CAM (Zhou et al., arXiv:1512.04150) divided by ``h w``.
    Deviates: the ReLU of equation 2 is left to ``images.render``.
    """
    if layer is not None or not has_closed_form(model):
        raise ModelError(
            "no closed form for this model and layer: it needs a pooled linear or MLP head (ReLU "
            'or GELU) or a ViT with a class token, and layer=None. Use method "grad_cam".'
        )
    if branch != "both" and not looks_twice(model):
        raise ModelError(
            f"branch is '{branch}', but the model looks at the film once; leave branch at 'both', "
            'as "grad_cam" does.'
        )
    x = prepare(model, x)
    with evaluating(model):
        if looks_twice(model):
            with torch.no_grad():
                logits, film, region = branch_maps(model, x, targets)
            maps = {"both": film + region, "film": film, "region": region}[branch]
        elif class_token.fits(model):
            logits, maps = class_token.explain_tokens(model, x, targets)
        else:
            with torch.no_grad():
                logits, maps = _pooled(model, x, targets)
    return logits, maps if sign == 1 else sign * maps


def looks_twice(model: nn.Module) -> bool:
    """Say whether a model has two branches, whose maps lie on different parts of the film."""
    return hasattr(model, "look") and hasattr(model, "spread")


def refuse_branches(model: nn.Module, layer: str | nn.Module | None) -> None:
    """Refuse to take two branches' maps for one.

    Raises:
        ModelError: The model has two branches and no layer of one was named.
    """
    if layer is None and looks_twice(model):
        raise ModelError(
            "the model's two branches see different parts of the film, so their layers have no "
            'common map. Explain by "grad_cam", by "closed_form" with its branch, or by a method '
            "on the image itself, for example rise or occlusion."
        )


def branch_maps(
    model: Any, x: Tensor, targets: Sequence[int] | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits and the maps of both branches of a model that looks twice.

    Args:
        model: Its head stands behind both branches' maps.
        x: Images ``(B, C, H, W)``, prepared.
        targets: Indices of logits; None = all.

    Returns:
        Logits ``(B, F)``; maps ``(B, T, H', W')`` of the film's branch and of the region's, both
        over the whole film. Their sum is the model's Grad-CAM; of a linear head on means, all of
        it adds up to the logit less its bias.
    """
    features, boxes = model.look(x)
    logits, jacobian = pooled_jacobian(model, features, targets)
    with torch.autocast(x.device.type, enabled=False):
        pairs = zip(jacobian.chunk(2, -1), features.float().chunk(2, 1), strict=True)
        maps = [_weighed(slopes, values) for slopes, values in pairs]
        film, region = model.spread(torch.cat(maps, 1), boxes.float())
    return logits, film, region


def _weighed(jacobian: Tensor, features: Tensor) -> Tensor:
    """Return maps ``(B, T, h, w)``: slopes by pooled channels, shared out over the pixels."""
    values = features.flatten(2)
    maps = torch.matmul(jacobian / values.shape[2], values)
    return maps.view(*maps.shape[:2], *features.shape[2:])


def has_closed_form(model: nn.Module) -> bool:
    """Say whether `closed_form` holds exactly for a model."""
    kind = getattr(getattr(model, "pool", None), "kind", None)
    pooled = kind in {"avg", "max", "flatten"} and hasattr(model, "features")
    return class_token.fits(model) or (pooled and _steps(getattr(model, "head", None)) is not None)


def evenly_pooled(model: nn.Module) -> bool:
    """Say whether a logit's gradient is known in closed form and the same at each pixel."""
    pool: Any = getattr(model, "pool", None)
    plain = getattr(pool, "kind", None) == "avg" and isinstance(pool.before, nn.Identity)
    return plain and has_closed_form(model)


def head_layers(model: nn.Module) -> list[nn.Module] | None:
    """Return the layers between a pooled vector and the logits; None where one is not known."""
    return _steps(getattr(model, "head", None))


def pooled_jacobian(
    model: Any, features: Tensor, targets: Sequence[int] | None
) -> tuple[Tensor, Tensor]:
    """Return logits and their slopes by each channel's pooled value, summed over its pixels.

    Args:
        model: A model with a pooled head in closed form.
        features: The map that it pools, ``(B, C, h, w)``.
        targets: Indices of logits; None = all.

    Returns:
        Logits ``(B, F)`` and float32 slopes ``(T, C)`` of a linear, ``(B, T, C)`` of an MLP head.

    Raises:
        ShapeError: A target is no index of the logits.
    """
    steps = _steps(model.head) or []
    logits, slopes = _forward(steps, model.embed(features))
    wanted = None if targets is None else chosen(targets, logits.shape[-1])
    with torch.autocast(features.device.type, enabled=False):
        return logits, _jacobian(steps, slopes, wanted, features.shape[1])


def _pooled(model: Any, x: Tensor, targets: Sequence[int] | None) -> tuple[Tensor, Tensor]:
    features: Tensor = model.features(x)
    logits, jacobian = pooled_jacobian(model, features, targets)
    with torch.autocast(x.device.type, enabled=False):
        return logits, _weighed(jacobian, features.float())


def _steps(head: object) -> list[nn.Module] | None:
    """Return a head's layers; None where one of them is none that we can differentiate."""
    if isinstance(head, nn.Sequential):
        steps = [_steps(child) for child in head]
        if any(step is None for step in steps):
            return None
        flat = [layer for step in steps for layer in step or []]
        return flat if flat and isinstance(flat[-1], nn.Linear) else None
    if isinstance(head, (nn.Linear, nn.ReLU, nn.GELU)):
        return [head]
    return [] if isinstance(head, (nn.Dropout, nn.Identity)) else None


def _forward(steps: list[nn.Module], vector: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Run a head and return, beside its logits, the slope of each activation."""
    slopes = []
    for step in steps:
        if not isinstance(step, nn.Linear):
            slopes.append(_slope(step, vector.float()))
        vector = step(vector)
    return vector, slopes


def _slope(activation: nn.Module, z: Tensor) -> Tensor:
    if isinstance(activation, nn.ReLU):
        return (z > 0).float()
    if getattr(activation, "approximate", "none") == "tanh":
        inner = math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)
        bent = 1 - torch.tanh(inner) ** 2
        steep = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * z**2)
        slope: Tensor = 0.5 * (1 + torch.tanh(inner)) + 0.5 * z * bent * steep
        return slope
    density = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return torch.as_tensor(torch.special.ndtr(z) + z * density)


def _jacobian(
    steps: list[nn.Module], slopes: list[Tensor], targets: list[int] | None, channels: int
) -> Tensor:
    """Return d logit / d pooled channel, ``(F, C)`` or ``(B, F, C)``, summed over pixels."""
    weights = [step.weight.float() for step in steps if isinstance(step, nn.Linear)]
    if targets is not None:
        weights[-1] = weights[-1][targets]
    if weights[0].shape[1] != channels:
        weights[0] = weights[0].view(len(weights[0]), channels, -1).sum(2)
    jacobian: Tensor = weights[-1]
    waiting, remaining = list(slopes), weights[:-1]
    for step in reversed(steps[:-1]):
        if isinstance(step, nn.Linear):
            jacobian = jacobian @ remaining.pop()
        else:
            jacobian = jacobian * waiting.pop()[:, None]
    return jacobian
