"""Convolutions by the viewer's own loops: the same answers as Python's, or ONNX Runtime instead."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from lucidray.bundle.archive import pack, read
from lucidray.bundle.engines import Outputs
from lucidray.bundle.reference import Reference, from_bytes, to_bytes

pytestmark = pytest.mark.browser

LOOPS = "with unrolled convolutions"
SELF_TEST = """async ({digest, url}) => {
  const worker = new Worker('/static/lucidray/viewer/infer.js', {type: 'module'});
  return new Promise((resolve, reject) => {
    worker.onmessage = ({data}) => {
      if (data.kind === 'result') resolve(data.result.selfTest);
      if (data.kind === 'error') reject(new Error(data.message));
    };
    worker.postMessage({id: 0, method: 'load', argument: {digest, url: location.origin + url}});
  });
}"""


class Graph:
    """A network in the making: each method adds a node and returns the name of its result."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, op: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        name = out or f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def constant(self, values: npt.ArrayLike, kind: type = np.float32) -> str:
        name = f"constant_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def conv(
        self, x: str, depth: int, channels: int, size: int, bias: bool = True, **attributes: Any
    ) -> str:
        group = attributes.get("group", 1)
        shape = (channels, depth // group, size, size)
        values = self.rng.normal(0, (depth // group * size**2) ** -0.5, shape)
        inputs = [self.constant(values)]
        if bias:
            inputs.append(self.constant(self.rng.normal(0, 0.2, channels)))
        return self.add("Conv", x, *inputs, **attributes)

    def norm(self, x: str, channels: int) -> str:
        ones = [self.rng.uniform(0.5, 1.5, channels) for _ in range(4)]
        names = [self.constant(each - 1 if i in (1, 2) else each) for i, each in enumerate(ones)]
        return self.add("BatchNormalization", x, *names, epsilon=1e-3)

    def relu(self, x: str) -> str:
        return self.add("Relu", x)


def head(graph: Graph, x: str, channels: int, findings: int) -> onnx.ModelProto:
    """Close a network as bundles do: probabilities, class activation maps, an embedding."""
    weights = graph.rng.normal(0, 0.3, (findings, channels))
    graph.add("ReduceMean", x, graph.constant([2, 3], np.int64), out="embedding", keepdims=0)
    graph.add("MatMul", "embedding", graph.constant(weights.T), out="logits")
    graph.add("Sigmoid", "logits", out="probabilities")
    graph.add("Conv", x, graph.constant(weights[:, :, None, None]), out="maps")
    outputs = [
        helper.make_tensor_value_info(name, 1, [None] * rank)
        for name, rank in (("logits", 2), ("probabilities", 2), ("maps", 4), ("embedding", 2))
    ]
    image = helper.make_tensor_value_info("image", 1, ["B", 1, "H", "W"])
    made = helper.make_graph(graph.nodes, "network", [image], outputs, graph.weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def begun(graph: Graph) -> str:
    """The film as three channels, and mirrored beside itself as a second image."""
    grey = graph.add("Sub", "image", graph.constant([0.4]))
    three = graph.add("Concat", grey, grey, grey, axis=1)
    ends = [graph.constant([each], np.int64) for each in (-1, -(2**31), 3, -1)]
    return graph.add("Concat", three, graph.add("Slice", three, *ends), axis=0)


def mean_of_both(graph: Graph, x: str) -> str:
    return graph.add("ReduceMean", x, graph.constant([0], np.int64), keepdims=1)


def dense(graph: Graph) -> str:
    """Norms before convolutions, growing lists that are joined, three ways of pooling."""
    x = graph.conv(begun(graph), 3, 16, 7, strides=[2, 2], pads=[3, 3, 3, 3])
    parts = [graph.add("MaxPool", graph.relu(x), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)]
    for i in range(3):
        joined = graph.add("Concat", *parts, axis=1) if i else parts[0]
        y = graph.relu(graph.norm(joined, 16 + 8 * i))
        y = graph.norm(graph.conv(y, 16 + 8 * i, 32, 1, bias=False), 32)
        parts.append(graph.conv(graph.relu(y), 32, 8, 3, bias=False, pads=[1] * 4))
    x = graph.add("Concat", *parts, axis=1)
    x = graph.add("AveragePool", graph.conv(x, 40, 24, 1), kernel_shape=[2, 2], strides=[2, 2])
    far = graph.conv(x, 24, 16, 3, dilations=[2, 2], pads=[2] * 4)
    near = graph.add(
        "AveragePool", x, kernel_shape=[3, 3], pads=[1] * 4, strides=[1, 1], count_include_pad=1
    )
    x = graph.add("Concat", far, graph.norm(near, 24), far, axis=1)
    return mean_of_both(graph, graph.relu(x))


def residual(graph: Graph) -> str:
    """Sums of branches, one of them with strides; weights that the graph itself computes."""
    x = graph.conv(begun(graph), 3, 16, 3, pads=[1] * 4, strides=[2, 2])
    x = graph.add("MaxPool", graph.relu(x), kernel_shape=[2, 2], strides=[2, 2])
    for depth, channels, stride in ((16, 16, 1), (16, 24, 2), (24, 48, 2)):
        y = graph.relu(graph.norm(graph.conv(x, depth, channels, 3, pads=[1] * 4), channels))
        y = graph.conv(y, channels, channels, 3, pads=[1] * 4, strides=[stride] * 2)
        if stride > 1:
            x = graph.norm(graph.conv(x, depth, channels, 1, strides=[2, 2]), channels)
        x = graph.relu(graph.add("Add", graph.norm(y, channels), x))
    values = graph.rng.normal(0, 0.1, (56, 48, 1, 1)).astype(np.float16)
    half = graph.constant(values, np.float16)
    x = graph.add("Conv", x, graph.add("Cast", half, to=1))
    both = graph.add("Add", x, graph.add("Conv", x, graph.constant(np.eye(56)[:, :, None, None])))
    return mean_of_both(graph, both)


def grouped(graph: Graph) -> str:
    """Convolutions in groups, which the loops do not know."""
    x = graph.conv(begun(graph), 3, 16, 3, strides=[2, 2])
    for _ in range(4):
        x = graph.relu(graph.conv(x, 16, 16, 3, group=16, pads=[1] * 4))
        x = graph.conv(x, 16, 16, 1)
    return mean_of_both(graph, x)


def answers(model: onnx.ModelProto, image: npt.NDArray[np.uint8]) -> Outputs:
    session = ort.InferenceSession(model.SerializeToString())
    names = ("logits", "probabilities", "maps", "embedding")
    return Outputs(*session.run(names, {"image": (image / np.float32(255))[None, None]}))


def offer(site: Any, path: Path, model: onnx.ModelProto) -> dict[str, str]:
    """Offer a network in the place of a shipped model's, with its own answers as reference."""
    known = next(each for each in site.bundles.values() if "adult" in each["path"].name)
    members = dict(read(known["path"]).members)
    images = tuple(each[:96, :112] for each in from_bytes(members["reference.npz"]).images)
    expected = tuple(answers(model, image) for image in images)
    buffer = io.BytesIO()
    onnx.save_model(model, buffer)
    members["model.onnx"] = buffer.getvalue()
    members["reference.npz"] = to_bytes(Reference(images, expected))
    path.write_bytes(pack(members))
    digest = read(path).digest
    asked = {"digest": digest, "url": f"/api/v1/bundles/{digest}/file"}
    site.bundles = {digest: {"path": path, "entry": known["entry"] | asked}}
    return asked


@pytest.mark.parametrize(
    ("make", "channels", "ours"),
    [(dense, 56, True), (residual, 56, True), (grouped, 16, False)],
)
def test_networks_give_python_s_answers(
    open_viewer: Callable[..., Any],
    site: Any,
    tmp_path: Path,
    make: Callable[[Graph], str],
    channels: int,
    ours: bool,
) -> None:
    graph = Graph()
    model = head(graph, make(graph), channels, 1)
    asked = offer(site, tmp_path / "network.lucid", model)
    page = open_viewer(site, "quicklook", wait=".lr-drop")
    told = page.evaluate(SELF_TEST, asked)
    assert told["passed"], told
    assert told["probability_difference"] < 3e-6
    assert told["map_difference"] < 1e-5
    assert (LOOPS in told["engine"]) == ours


def test_the_shipped_models_run_in_the_loops(open_viewer: Callable[..., Any], site: Any) -> None:
    page = open_viewer(site, "quicklook", wait=".lr-drop")
    told = {
        each["path"].stem: page.evaluate(
            SELF_TEST, {"digest": digest, "url": f"/api/v1/bundles/{digest}/file"}
        )
        for digest, each in site.bundles.items()
    }
    assert all(each["passed"] for each in told.values())
    ours = {name for name, each in told.items() if LOOPS in each["engine"]}
    assert ours >= {"pediatric-pneumonia", "adult-opacity"}
