"""The layers of a backbone, counted as Keras counts them, by watching one empty pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lucidray.errors import ModelError

#: Names of torch functions, underscores at their ends left out, that are a layer each.
_LAYERS = frozenset({
    *("conv1d", "conv2d", "conv3d", "conv_transpose2d", "linear", "embedding"),
    *("batch_norm", "group_norm", "layer_norm", "instance_norm"),
    *("relu", "relu6", "silu", "gelu", "elu", "leaky_relu", "mish", "tanh", "sigmoid", "softmax"),
    *("hardtanh", "hardswish", "hardsigmoid", "scaled_dot_product_attention"),
    *("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "pad"),
    *("cat", "concat"),
})  # fmt: skip

#: The same, a layer only where two tensors meet in them.
_MERGES = frozenset({"add", "radd", "iadd", "mul", "rmul", "imul", "sub", "matmul"})


@dataclass
class Layer:
    """One layer of a backbone.

    Args:
        kind: The torch function that it is.
        parameters: Names of the weights that it uses.
        inputs: Indices of the layers that it reads.
    """

    kind: str
    parameters: frozenset[str]
    inputs: frozenset[int]


def layers(backbone: nn.Module, in_channels: int, image_size: int) -> list[Layer]:
    """List the layers of a backbone as Keras's ``model.layers`` would, first to last.

    A layer is one convolution, dense layer, normalization, activation, pooling, padding, sum,
    product, concatenation or attention. They stand in Keras's order: by distance to the output,
    then in order of execution.

    Args:
        backbone: Any timm-shaped backbone; no weight is read and nothing is computed.
        in_channels: Channels of its input.
        image_size: Edge of its input in pixels.

    Raises:
        ModelError: The architecture computes with values, so that an empty pass cannot follow it.

    Source: Keras, ``Functional`` (layers sorted by depth).
    Deviates: padding and activation that Keras counts apart but PyTorch does within another layer
        are one layer here; Keras's ``InputLayer`` is not counted.
    """
    recorder = _Recorder()
    weights = dict(backbone.named_parameters()) | dict(backbone.named_buffers())
    empty = {name: torch.empty_like(value, device="meta") for name, value in weights.items()}
    recorder.names = {id(value): name for name, value in empty.items()}
    x = torch.empty(1, in_channels, image_size, image_size, device="meta")
    training = {module: module.training for module in backbone.modules()}
    run = _Features(backbone.eval())
    try:
        with torch.no_grad(), recorder:
            torch.func.functional_call(run, {f"body.{n}": v for n, v in empty.items()}, (x,))
    except (RuntimeError, NotImplementedError) as error:
        raise ModelError(
            f"the layers of {type(backbone).__name__} cannot be counted; choose another freezing "
            "policy than last_n_layers and last_fraction."
        ) from error
    finally:
        for module, mode in training.items():
            module.training = mode
    return _by_depth(recorder.layers)


class _Features(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Any:
        return self.body.forward_features(x)  # type: ignore[operator]


@dataclass
class _Recorder(TorchFunctionMode):
    """Notes each layer as it runs, and which layers its inputs come from."""

    names: dict[int, str] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    origins: dict[int, frozenset[int]] = field(default_factory=dict)
    alive: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        given = list(_tensors((args, kwargs or {})))
        sources = frozenset().union(*(self.origins.get(id(t), frozenset()) for t in given))
        out = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "").strip("_")
        if name in _LAYERS or (name in _MERGES and len(given) > 1):
            used = frozenset(self.names[id(t)] for t in given if id(t) in self.names)
            self.layers.append(Layer(name, used, sources))
            sources = frozenset({len(self.layers) - 1})
        for tensor in _tensors(out):
            self.alive.append(tensor)
            self.origins[id(tensor)] = sources
        return out


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


def _by_depth(found: list[Layer]) -> list[Layer]:
    depth = [0] * len(found)
    for index in range(len(found) - 1, -1, -1):
        for source in found[index].inputs:
            depth[source] = max(depth[source], depth[index] + 1)
    order = sorted(range(len(found)), key=lambda index: (-depth[index], index))
    place = {old: new for new, old in enumerate(order)}
    return [
        Layer(
            found[old].kind,
            found[old].parameters,
            frozenset(place[source] for source in found[old].inputs),
        )
        for old in order
    ]
