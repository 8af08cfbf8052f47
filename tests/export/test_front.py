"""The front of the graph cuts and scales exactly as `lucidray.images` and Pillow do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from PIL import Image

from lucidray.errors import ExportError
from lucidray.export.front import Front
from lucidray.export.graph import IR_VERSION, OPSET
from lucidray.images.geometry import identity
from lucidray.images.preprocessing import Preprocessing, spatial
from lucidray.records import Float32, XRay


def runner(config: Preprocessing) -> Callable[[Float32], Float32]:
    front = Front(config, "grey")
    shapes = [["B", 1, "H", "W"], ["B", 1, config.size, config.size]]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip(("image", "grey"), shapes, strict=True)
    ]
    graph = helper.make_graph(front.nodes, "front", ends[:1], ends[1:], front.constants)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return lambda pixels: session.run(None, {"image": pixels[None, None]})[0][0, 0]


CONFIGS = [
    Preprocessing(size=24),
    Preprocessing(size=24, fit="letterbox"),
    Preprocessing(size=24, crop=(0.15, 0.9, 0.2, 0.8)),
    Preprocessing(size=25, crop=(0.0, 0.333, 0.57, 1.0), fit="letterbox"),
]
RUNNERS = [runner(config) for config in CONFIGS]


@pytest.mark.parametrize("index", range(len(CONFIGS)))
@given(st.integers(1, 160), st.integers(1, 160), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_it_does_what_reading_does(index: int, height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).random((height, width), dtype=np.float32)
    wanted, _ = spatial(XRay(pixels, identity((height, width))), CONFIGS[index])
    np.testing.assert_allclose(RUNNERS[index](pixels), wanted, atol=1e-5)


@pytest.mark.parametrize("shape", [(24, 24), (300, 210), (13, 40), (1000, 777)])
def test_it_resizes_as_pillow_does(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).random(shape, dtype=np.float32)
    wanted = np.asarray(Image.fromarray(pixels).resize((24, 24), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(RUNNERS[0](pixels), wanted, atol=1e-5)


@pytest.mark.parametrize("contrast", ["clahe", "equalize", "stretch"])
def test_contrast_is_refused(contrast: str) -> None:
    with pytest.raises(ExportError, match=f"contrast is '{contrast}'.*cannot express"):
        Front(Preprocessing(contrast=contrast), "grey")


def test_a_crop_that_needs_more_than_whole_numbers_is_refused() -> None:
    with pytest.raises(ExportError, match="few decimals"):
        Front(Preprocessing(crop=(0.0, 0.49999999, 0.0, 1.0)), "grey")
