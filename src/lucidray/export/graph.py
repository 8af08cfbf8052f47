"""Write the ONNX graph of a bundle: trace the network, put the front before it, make it plain."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, TypeAlias

import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper

from lucidray.errors import ExportError
from lucidray.export.ensemble_core import EnsembleCore
from lucidray.export.front import IMAGE, Front
from lucidray.export.masks import MaskCore
from lucidray.export.network import Core, FusedCore
from lucidray.export.quiet import quietly
from lucidray.images.preprocessing import Preprocessing

#: Of ONNX's own operators; at least 18, since antialiased Resize is new there.
OPSET = 20
#: Of the file format: what the oldest supported ONNX Runtime (1.20) reads.
IR_VERSION = 10
#: The grey square between the front and the network; engines that cannot resize cut here.
GREY = "grey"


#: What can be traced.
Traced: TypeAlias = Core | FusedCore | EnsembleCore | MaskCore


def build_graph(core: Traced, config: Preprocessing) -> bytes:
    """Write the graph of an ensemble.

    Args:
        core: All that follows the grey square.
        config: What is done to an image before.

    Returns:
        An ONNX model, the same bytes each time: from ``image`` ``(B, 1, H, W)`` to ``logits`` and
        ``probabilities`` ``(B, F)``, raw ``maps`` ``(B, F, h, w)`` and ``embedding`` ``(B, D)``; of
        detectors also ``boxes`` ``(B, R, F, 4)`` and ``box_scores`` ``(B, R, F)``; of ensembles of
        runs also ``disagreement`` ``(B, F)``; of networks that look twice also ``region_maps``
        ``(B, F, h, w)`` and ``region`` ``(B, 4)``.

    Raises:
        ExportError: The models cannot be written as such a graph.
    """
    front = Front(config, GREY)
    joined = _join(front, _trace(core, config.size))
    data: bytes = _tidy(_simplify(joined)).SerializeToString(deterministic=True)
    return data


def _trace(core: Traced, size: int) -> onnx.ModelProto:
    example = torch.linspace(0, 1, 2 * size * size).view(2, 1, size, size)
    try:
        with quietly(), torch.no_grad():
            program: Any = torch.onnx.export(
                core,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=({0: torch.export.Dim("B", min=1)},),
                input_names=[GREY],
                output_names=list(core.outputs),
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError, ValueError) as error:
        raise ExportError(
            f"'{core.name}' cannot be traced to ONNX: {str(error).splitlines()[0]} "
            "Choose another backbone."
        ) from error
    model: onnx.ModelProto = program.model_proto
    return model


def _join(front: Front, core: onnx.ModelProto) -> onnx.ModelProto:
    graph = helper.make_graph(
        [*front.nodes, *core.graph.node],
        "lucidray",
        [helper.make_tensor_value_info(IMAGE, TensorProto.FLOAT, ["B", 1, "H", "W"])],
        list(core.graph.output),
        [*front.constants, *core.graph.initializer],
    )
    model = helper.make_model(graph, opset_imports=core.opset_import, producer_name="lucidray")
    model.functions.extend(core.functions)
    model.ir_version = IR_VERSION
    return model


def _simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    """Let ONNX Runtime fold constants and batch norms once, instead of at every start."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        simple = onnx.load(path)
    standard = all(node.domain in {"", "ai.onnx"} for node in simple.graph.node)
    return simple if standard else model


def _tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """Leave out whatever tells of this machine or changes from run to run."""
    for part in (model, model.graph, *model.graph.node, *model.graph.initializer):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    model.graph.ClearField("value_info")
    for value in (*model.graph.input, *model.graph.output):
        value.ClearField("metadata_props")
    constants = sorted(model.graph.initializer, key=lambda constant: constant.name)
    model.graph.ClearField("initializer")
    model.graph.initializer.extend(constants)
    used = [each for each in model.opset_import if each.domain in {"", "ai.onnx"}]
    model.ClearField("opset_import")
    model.opset_import.extend(used)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "lucidray", ""
    return model
