"""Weights in fewer bytes: how far off each may be, and what stays as it is."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from lucidray.export.storage import halve, quarter

RNG = np.random.default_rng(0)
WEIGHTS = (RNG.normal(size=(6, 3, 5, 5)) * 10.0 ** RNG.uniform(-3, 2, (6, 1, 1, 1))).astype("f4")
WEIGHTS[4] = 0


def graph(weights: np.ndarray) -> bytes:
    """Return a model that gives its constant back."""
    made = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["w", "x"], ["y"])],
        "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    opsets = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(made, opset_imports=opsets, ir_version=8).SerializeToString()


def weights_of(model: bytes) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.zeros(1, "f4")})[0]


def test_eight_bits_are_off_by_half_a_step_of_their_channel() -> None:
    stored = quarter(graph(WEIGHTS))
    assert len(stored) < 0.5 * len(graph(WEIGHTS))
    found = weights_of(stored)
    step = np.abs(WEIGHTS).max(axis=(1, 2, 3), keepdims=True) / 127
    assert (np.abs(found - WEIGHTS) <= step / 2 * 1.001).all()
    assert np.abs(found - WEIGHTS).max() > 0 and (found[4] == 0).all()


def test_half_precision_is_numpys() -> None:
    np.testing.assert_array_equal(weights_of(halve(graph(WEIGHTS))), WEIGHTS.astype(np.float16))


@pytest.mark.parametrize("store", [halve, quarter])
def test_small_constants_stay_as_they_are(store: object) -> None:
    small = WEIGHTS[:1, :1]
    np.testing.assert_array_equal(weights_of(store(graph(small))), small)  # type: ignore[operator]


def test_what_half_precision_cannot_hold_stays_as_it_is() -> None:
    large = WEIGHTS * np.float32(1e6)
    np.testing.assert_array_equal(weights_of(halve(graph(large))), large)
