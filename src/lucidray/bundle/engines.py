"""What runs the graph of a bundle: ONNX Runtime, or OpenVINO where it is installed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from lucidray.errors import BundleError, missing_extra, unknown_name
from lucidray.records import Float32

EngineName = Literal["onnxruntime", "openvino"]
ENGINES: tuple[EngineName, ...] = ("onnxruntime", "openvino")

IMAGE, GREY = "image", "grey"


class Outputs(NamedTuple):
    """What the graph gives for a batch.

    Args:
        logits: float32 ``(B, F)``.
        probabilities: float32 ``(B, F)``.
        maps: float32 ``(B, F, h, w)``, raw and signed.
        embedding: float32 ``(B, D)``.
        boxes: float32 ``(B, R, F, 4)`` in pixels of the network's square, one of every finding for
            every region, before they are thinned; None where the graph has no detector.
        box_scores: float32 ``(B, R, F)`` in [0, 1]; None likewise.
        gaze: float32 ``(B, h, w)``: where a reader would look, each summing to 1; None where the
            graph does not say.
        disagreement: float32 ``(B, F)``: standard deviation of the probabilities that the runs of
            an ensemble give, each uncalibrated; None of a single run.
        region_maps: float32 ``(B, F, h, w)``: the part of `maps` that the second branch of a
            network gives, which sees a region of the film; None of a network that looks once.
        region: float32 ``(B, 4)``: that region's box in pixels of the network's square; None
            likewise.
    """

    logits: Float32
    probabilities: Float32
    maps: Float32
    embedding: Float32
    boxes: Float32 | None = None
    box_scores: Float32 | None = None
    gaze: Float32 | None = None
    disagreement: Float32 | None = None
    region_maps: Float32 | None = None
    region: Float32 | None = None


class Engine(Protocol):
    """Runs a graph; may be called from several threads at once."""

    @property
    def version(self) -> str:
        """Name and version of the engine."""

    def run(self, images: Float32) -> Outputs:
        """Run display intensities ``(B, 1, H, W)`` in [0, 1] of any size."""


def make_engine(
    name: str,
    model: bytes,
    card: Mapping[str, Any],
    *,
    threads: int | None = None,
    streams: int = 1,
) -> Engine:
    """Load a graph.

    Args:
        name: One of `ENGINES`.
        model: The ONNX graph.
        card: The card's plain values.
        threads: Processor threads in all; None: all that this process may use.
        streams: Images that are to be read at the same time; the threads are divided among them.

    Raises:
        UnknownNameError: No such engine.
        MissingExtraError: The engine is not installed.
        BundleError: The engine cannot load the graph.
    """
    if name not in ENGINES:
        raise unknown_name("engine", name, ENGINES)
    total = threads or available_threads()
    if total < 1 or streams < 1:
        raise BundleError(f"threads are {threads}, streams {streams}; expected at least 1 each.")
    if name == "onnxruntime":
        return OnnxRuntime(model, total, min(streams, total))
    return OpenVino(model, card, total, min(streams, total))


def available_threads() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class OnnxRuntime:
    """ONNX Runtime on the processor.

    Args:
        model: The ONNX graph.
        threads: Processor threads in all.
        streams: Calls to be served at the same time.
    """

    def __init__(self, model: bytes, threads: int, streams: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(threads // streams, 1)
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_mem_pattern = False
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's errors share no narrower class
            raise BundleError(f"ONNX Runtime cannot load the graph: {error}") from error
        # It would keep the graph's bytes for other providers to start anew with; there are none.
        self._session._model_bytes = None
        self.version = f"onnxruntime {onnxruntime.__version__}"
        given = {output.name for output in self._session.get_outputs()}
        self._names = [name for name in Outputs._fields if name in given]

    def run(self, images: Float32) -> Outputs:
        """Run display intensities ``(B, 1, H, W)`` in [0, 1] of any size."""
        found = self._session.run(self._names, {IMAGE: images})
        return Outputs(**dict(zip(self._names, found, strict=True)))


class OpenVino:
    """OpenVINO on the processor.

    Its Resize leaves out the antialiasing that the graph asks for, silently (2026.4), so images
    are brought to the network's square by `lucidray.images`, whose numbers are the graph's own.

    Args:
        model: The ONNX graph.
        card: Says the precision and what is done to an image first.
        threads: Processor threads in all.
        streams: Calls to be served at the same time.
    """

    def __init__(self, model: bytes, card: Mapping[str, Any], threads: int, streams: int) -> None:
        try:
            openvino: Any = import_module("openvino")
        except ModuleNotFoundError as error:
            raise missing_extra("the engine 'openvino'", "openvino") from error
        from lucidray.config import from_mapping
        from lucidray.images.preprocessing import Preprocessing

        self._config = from_mapping(Preprocessing, card["preprocessing"], where="card.json")
        hint = "bf16" if card.get("precision") == "bf16" else "f32"
        self._options = {
            "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
            "PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT",
            # Weights stored in 8 bits are widened; else it rounds activations to 8 bits too.
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
        }
        self._core = openvino.Core()
        try:
            whole = _own_weights(openvino, self._core.read_model(model, b""))
            self._model = _cut(openvino, whole, self._config.size)
        except RuntimeError as error:
            raise BundleError(f"OpenVINO cannot load the graph: {error}") from error
        self._compiled: dict[int, Any] = {}
        self.version = f"openvino {openvino.__version__.split('-')[0]}"
        self._for_batch(1)

    def run(self, images: Float32) -> Outputs:
        """Run display intensities ``(B, 1, H, W)`` in [0, 1] of any size."""
        grey = np.stack([self._square(image[0]) for image in images])[:, None]
        compiled = self._for_batch(len(grey))
        found = compiled.create_infer_request().infer({GREY: grey})
        by_name = {output.get_any_name(): found[output] for output in compiled.outputs}
        given = [name for name in Outputs._fields if name in by_name]
        return Outputs(**{name: np.array(by_name[name], np.float32) for name in given})

    def _square(self, pixels: Float32) -> Float32:
        from lucidray.images.geometry import identity
        from lucidray.images.preprocessing import spatial
        from lucidray.records import XRay

        height, width = pixels.shape
        return spatial(XRay(pixels.view(), identity((height, width))), self._config)[0]

    def _for_batch(self, count: int) -> Any:
        """Compile for a fixed batch, which is faster than one of any size."""
        if count not in self._compiled:
            model = self._model.clone()
            model.reshape({GREY: [count, 1, self._config.size, self._config.size]})
            self._compiled[count] = self._core.compile_model(model, "CPU", self._options)
        return self._compiled[count]


def _cut(openvino: Any, model: Any, size: int) -> Any:
    """Begin the graph at the grey square."""
    square = next(
        output
        for operation in model.get_ordered_ops()
        for output in operation.outputs()
        if GREY in output.get_names()
    )
    shape = openvino.PartialShape([-1, 1, size, size])
    start = openvino.opset13.parameter(shape, openvino.Type.f32, name=GREY)
    for reader in square.get_target_inputs():
        reader.replace_source_output(start.output(0))
    start.output(0).set_names({GREY})
    return openvino.Model([each.output(0) for each in model.get_results()], [start], "lucidray")


def _own_weights(openvino: Any, model: Any) -> Any:
    """Give each reader of a square matrix its own copy.

    OpenVINO (2026.4) keeps packed weights by address and shape, so that of a square matrix that
    is multiplied by as it is and transposed, one product silently comes out wrong.
    """
    for constant in model.get_ops():
        if constant.get_type_name() != "Constant":
            continue
        shape = list(constant.get_output_shape(0))
        readers = list(constant.output(0).get_target_inputs())
        if len(shape) != 2 or shape[0] != shape[1] or len(readers) < 2:
            continue
        for reader in readers[1:]:
            copy = openvino.opset13.constant(np.array(constant.data), shared_memory=False)
            reader.replace_source_output(copy.output(0))
    return model
