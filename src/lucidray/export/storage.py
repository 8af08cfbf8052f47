"""Store the weights of a graph in fewer bytes; when it is loaded they become fp32 again.

What an engine computes with is plain float32, so that every engine gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from lucidray.records import Float32

#: Weights of fewer values are not worth it.
SMALLEST = 256

#: Constants that take the place of one, and the nodes that make it of them.
Stored = tuple[list[Any], list[Any]]

_FLOAT = onnx.TensorProto.FLOAT


def halve(model: bytes) -> bytes:
    """Store the large weights of a graph in half precision.

    Args:
        model: An fp32 ONNX graph.

    Returns:
        The graph; weights beyond the range of half precision stay as they are.
    """
    return _rewritten(model, _half)


def quarter(model: bytes) -> bytes:
    """Store the large weights of a graph in 8 bits, with one scale for each output channel.

    Args:
        model: An fp32 ONNX graph.

    Returns:
        The graph; each weight is off by at most a 254th of the largest of its channel. Constants
        of fewer than two dimensions stay as they are.
    """
    return _rewritten(model, _eighth_bits)


def _half(name: str, values: Float32) -> Stored | None:
    if np.abs(values).max() > np.finfo(np.float16).max:
        return None
    stored = onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half")
    widen = onnx.helper.make_node("Cast", [stored.name], [name], f"widen_{stored.name}", to=_FLOAT)
    return [stored], [widen]


def _eighth_bits(name: str, values: Float32) -> Stored | None:
    if values.ndim < 2:
        return None
    largest = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    levels = onnx.numpy_helper.from_array(np.rint(values / scale).astype(np.int8), f"{name}_8")
    factor = onnx.numpy_helper.from_array(scale, f"{name}_scale")
    wide = f"{name}_wide"
    nodes = [
        onnx.helper.make_node("Cast", [levels.name], [wide], f"widen_{levels.name}", to=_FLOAT),
        onnx.helper.make_node("Mul", [wide, factor.name], [name], f"scale_{levels.name}"),
    ]
    return [levels, factor], nodes


def _rewritten(model: bytes, store: Callable[[str, Float32], Stored | None]) -> bytes:
    graph = onnx.load_from_string(model)
    kept, nodes = [], []
    for constant in graph.graph.initializer:
        values = onnx.numpy_helper.to_array(constant)
        large = values.dtype == np.float32 and values.size >= SMALLEST
        stored = store(constant.name, values) if large else None
        if stored is None:
            kept.append(constant)
        else:
            kept += stored[0]
            nodes += stored[1]
    nodes += graph.graph.node
    graph.graph.ClearField("initializer")
    graph.graph.ClearField("node")
    graph.graph.initializer.extend(kept)
    graph.graph.node.extend(nodes)
    data: bytes = graph.SerializeToString(deterministic=True)
    return data
