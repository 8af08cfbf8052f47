"""Which weights may move: freezing policies, what they leave, and the frozen beginning apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from lucidray.errors import ConfigError, ModelError, unknown_name
from lucidray.models.classifier import Classifier
from lucidray.models.layers import layers
from lucidray.models.segmenter import Segmenter
from lucidray.models.stages import Stage, last_block, stages
from lucidray.models.two_branch import RegionClassifier

FreezingPolicy = Literal[
    "frozen", "classifier_only", "last_block", "last_n_layers", "last_fraction", "full"
]

#: All policies, for command lines and documents.
FREEZING_POLICIES: tuple[str, ...] = get_args(FreezingPolicy)


@dataclass(frozen=True)
class ParameterCount:
    """How many numbers of a model training may change.

    Args:
        trainable: Numbers that move.
        frozen: Numbers that do not.
    """

    trainable: int
    frozen: int


class Split(NamedTuple):
    """A model in two: ``rest(trunk(x))`` is ``model(x)``.

    Args:
        trunk: The frozen beginning: runs in evaluation mode and keeps no gradients.
        rest: Everything after it.
    """

    trunk: Callable[[Tensor], Tensor]
    rest: Callable[[Tensor], Tensor]


def freeze(
    model: Classifier | Segmenter,
    policy: FreezingPolicy | str,
    *,
    layer_count: int | None = None,
    fraction: float = 0.25,
) -> ParameterCount:
    """Freeze parts of a model's backbone; head and decoder always train.

    ``frozen`` and ``classifier_only`` (two documents' names of one thing) freeze all of the
    backbone; ``last_block`` all before its last block (``stages.last_block``); ``last_n_layers``
    all but the last `layer_count` layers, ``last_fraction`` all but the last `fraction` of the
    layers, both counted as Keras does (``layers.layers``): convolutions, normalizations,
    activations and sums alike; ``full`` nothing. Frozen batch norms stay in evaluation mode,
    also after ``model.train()``.

    Args:
        model: Changed in place; its mode stays.
        policy: The policy's name.
        layer_count: For ``last_n_layers``: how many layers of the backbone train.
        fraction: For ``last_fraction``: the part of the backbone's layers that trains, in (0, 1].

    Returns:
        What is left to train, and what is not.

    Raises:
        UnknownNameError: No such policy.
        ConfigError: `layer_count` or `fraction` is missing or out of range.
        ModelError: The architecture has no last block that we know of, or its layers are not
            counted.
    """
    if policy not in FREEZING_POLICIES:
        raise unknown_name("freezing policy", policy, FREEZING_POLICIES)
    free = _free_names(model, policy, layer_count, fraction)
    for name, weight in model.backbone.named_parameters():
        weight.requires_grad_(name in free)
    for name, part in model.named_children():
        if name != "backbone":
            part.requires_grad_(True)
    model.train(model.training)
    return count_parameters(model)


def count_parameters(model: nn.Module) -> ParameterCount:
    """Count the weights that train and those that do not, buffers left out."""
    moving = sum(w.numel() for w in model.parameters() if w.requires_grad)
    return ParameterCount(moving, sum(w.numel() for w in model.parameters()) - moving)


def count_as_keras_resnet(model: nn.Module) -> ParameterCount:
    """Count the weights as Keras prints them for a ResNet, for comparison with S4.

    Keras's ResNets give each convolution a bias (which the batch norm after it cancels), and
    print the batch norms' running mean and variance as non-trainable parameters.

    Args:
        model: A classifier on a ResNet backbone.

    Returns:
        Keras's two figures; S4 prints 17.2 and 6.6 million.

    Source: Keras Applications, ``resnet.py``.
    """
    plain = count_parameters(model)
    moving, fixed = plain.trainable, plain.frozen
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.bias is None:
            free = module.weight.requires_grad
            moving += module.out_channels * free
            fixed += module.out_channels * (not free)
        elif isinstance(module, nn.modules.batchnorm._BatchNorm):
            fixed += 2 * module.num_features
    return ParameterCount(moving, fixed)


def split_at_frozen(model: Classifier) -> Split | None:
    """Cut a model where its frozen beginning ends, so that the beginning need run only once.

    Args:
        model: A model after `freeze`.

    Returns:
        Trunk and rest. Where the whole backbone is frozen the trunk ends in the pooled vector;
        else at the last stage (``stages.stages``) before which nothing trains. None where nothing
        is frozen from the start on, or the architecture is not known as a row of stages.
    """
    if not any(weight.requires_grad for weight in model.backbone.parameters()):
        pooled = Stage(("",), lambda x: model.embed(model.features(x)), (model.backbone,))
        return Split(_frozen([pooled]), model.head)
    row = stages(model.backbone) or []
    frozen = 0
    for index, stage in enumerate(row):
        used = [weight for name, weight in _weights(model, stage)]
        if any(weight.requires_grad for weight in used):
            break
        frozen = index + 1 if used or frozen else 0
    if not frozen:
        return None

    def rest(x: Tensor) -> Tensor:
        for stage in row[frozen:]:
            x = stage.run(x)
        return model.classify(model.as_map(x))

    return Split(_frozen(row[:frozen]), rest)


def _free_names(
    model: Classifier | Segmenter, policy: str, layer_count: int | None, fraction: float
) -> frozenset[str]:
    names = frozenset(name for name, _ in model.backbone.named_parameters())
    if policy == "full":
        return names
    if policy in {"frozen", "classifier_only"}:
        return frozenset()
    if isinstance(model, Segmenter):
        raise ModelError(
            f"policy '{policy}' is not known for a model with a decoder; choose full or frozen."
        )
    if isinstance(model, RegionClassifier):
        body = model.backbone
        branches = {"film.": body.film, "region.": body.region}
        return names & {
            prefix + name
            for prefix, branch in branches.items()
            for name in _free_in(branch, model, body.size, policy, layer_count, fraction)
        }
    free = _free_in(model.backbone, model, model.image_size, policy, layer_count, fraction)
    return names & free


def _free_in(
    backbone: nn.Module,
    model: Classifier,
    size: int,
    policy: str,
    layer_count: int | None,
    fraction: float,
) -> frozenset[str]:
    """Name the parameters of a backbone, which sees images of a size, that are to train."""
    if policy == "last_block":
        block = last_block(backbone)
        if block is None:
            raise ModelError(
                f"the last block of '{model.spec.backbone}' is not known here; "
                'choose policy = "last_fraction" or "last_n_layers".'
            )
        names = (name for name, _ in backbone.named_parameters())
        return frozenset(name for name in names if _within(name, block))
    row = layers(backbone, model.spec.in_channels, size)
    count = _layer_count(policy, layer_count, fraction, len(row))
    return frozenset().union(*(layer.parameters for layer in row[len(row) - count :]))


def _layer_count(policy: str, layer_count: int | None, fraction: float, total: int) -> int:
    if policy == "last_fraction":
        if not 0.0 < fraction <= 1.0:
            raise ConfigError(f"fraction is {fraction}; a part in (0, 1] is expected.")
        return total - int(total * (1.0 - fraction))
    if layer_count is None or not 0 <= layer_count <= total:
        raise ConfigError(
            f"layer_count is {layer_count}; last_n_layers needs a number of layers "
            f"from 0 to {total}, as many as this backbone has."
        )
    return layer_count


def _within(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def _weights(model: Classifier, stage: Stage) -> list[tuple[str, nn.Parameter]]:
    named = model.backbone.named_parameters()
    return [(name, weight) for name, weight in named if _within(name, stage.names)]


def _frozen(row: list[Stage]) -> Callable[[Tensor], Tensor]:
    def trunk(x: Tensor) -> Tensor:
        for module in (module for stage in row for module in stage.modules):
            module.eval()
        with torch.no_grad():
            for stage in row:
                x = stage.run(x)
        return x

    return trunk
