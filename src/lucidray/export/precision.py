"""Bundles of lower precision, with what that costs measured before they are written."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from onnxruntime import quantization

from lucidray.bundle import archive
from lucidray.bundle.card import PrecisionLoss, to_json
from lucidray.bundle.card_version import parse_card
from lucidray.bundle.engines import make_engine
from lucidray.bundle.installed import SUFFIX, find_bundle
from lucidray.bundle.reference import EXACT, LOW_PRECISION, Reference, from_bytes, to_bytes
from lucidray.bundle.runtime import CARD, MODEL, REFERENCE, Bundle, Image
from lucidray.errors import ExportError, MetricError, ShapeError, unknown_name
from lucidray.export.quiet import quietly
from lucidray.export.storage import halve, quarter
from lucidray.metrics import auc
from lucidray.records import Float32, XRay

Progress = Callable[[int, int], None]

PRECISIONS = ("fp16", "bf16", "int8", "int8_weights")
#: Precisions that only the file has: the arithmetic is fp32, so every engine agrees.
STORED: dict[str, Callable[[bytes], bytes]] = {"fp16": halve, "int8_weights": quarter}
#: How far the AUC of any finding may fall.
LARGEST_FALL = 0.002
#: What is quantized: the layers that take the time. Others lose accuracy or crash OpenVINO.
QUANTIZED = ("Conv", "Gemm")


def lower_precision(
    bundle: str | Path,
    out: str | Path,
    precision: Literal["fp16", "bf16", "int8", "int8_weights"],
    images: Sequence[Image],
    labels: Float32,
    *,
    calibration_images: int = 128,
    progress: Progress | None = None,
) -> PrecisionLoss:
    """Write a bundle of lower precision and say what it costs.

    Args:
        bundle: An fp32 bundle.
        out: The new file; its suffix is ``.lucid``.
        precision: ``"fp16"``: weights are stored in half precision and computed with in fp32, for
            half the file. ``"bf16"``: a hint that OpenVINO follows; the graph stays as it is, and
            ONNX Runtime reads it in fp32. ``"int8"``: weights and activations of convolutions and
            dense layers are rounded to 8 bits, over ranges seen on the first images; a quarter of
            the file, and any engine gains. ``"int8_weights"``: weights are stored in 8 bits and
            computed with in fp32; a quarter of the file, and the same numbers everywhere.
        images: Labeled radiographs, as `Bundle.read` takes them; not those it was trained on.
        labels: ``(N, F)``: 1, 0 or nan.
        calibration_images: So many of the images set the ranges of int8.
        progress: Called with images read and in all.

    Returns:
        The loss, which also stands in the new card.

    Raises:
        ExportError: The AUC of a finding falls by more than 0.002, or no finding has both
            classes; then nothing is written.
        MissingExtraError: ``"bf16"`` needs OpenVINO.
        ShapeError: Labels do not fit images and findings.
    """
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    path, name = find_bundle(bundle), Path(out)
    if name.suffix != SUFFIX:
        raise ExportError(f"the file is '{name.name}'; a bundle's name ends in {SUFFIX}.")
    members = dict(archive.read(path).members)
    before = _load(name.stem, members, "onnxruntime")
    if before.card.precision != "fp32":
        raise ExportError(f"{path.name} is {before.card.precision} already; name an fp32 bundle.")
    _check(before, images, labels)
    if precision == "int8":
        ranges = [_grey(image) for image in images[:calibration_images]]
        members[MODEL] = quantize(members[MODEL], ranges)
    elif precision in STORED:
        members[MODEL] = STORED[precision](members[MODEL])
    members[CARD] = to_json(replace(before.card, name=name.stem, precision=precision)).encode()
    after = _load(name.stem, members, "openvino" if precision == "bf16" else "onnxruntime")
    loss = measure_loss(before, after, images, labels, progress=progress)
    check_loss(loss)
    members[CARD] = to_json(replace(after.card, precision_loss=loss)).encode()
    members[REFERENCE] = _reference(members, EXACT if precision in STORED else LOW_PRECISION)
    archive.write(name, members)
    return loss


def quantize(model: bytes, images: Sequence[Float32]) -> bytes:
    """Round the convolutions and dense layers of a graph to 8 bits.

    Args:
        model: An fp32 ONNX graph.
        images: float32 ``(1, 1, H, W)`` in [0, 1], typical ones.

    Returns:
        The graph with quantize and dequantize nodes: unsigned activations, signed weights, one
        scale a channel.
    """
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
        before.write_bytes(model)
        with quietly():
            quantization.quantize_static(
                before,
                after,
                _Reader(images),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTIZED),
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
        graph = onnx.load(after)
    graph.producer_name, graph.producer_version = "lucidray", ""
    data: bytes = graph.SerializeToString(deterministic=True)
    return data


def measure_loss(
    before: Bundle,
    after: Bundle,
    images: Sequence[Image],
    labels: Float32,
    *,
    progress: Progress | None = None,
) -> PrecisionLoss:
    """Read images with two bundles of the same model and compare what they are worth.

    Args:
        before: The fp32 bundle.
        after: The other.
        images: As `Bundle.read` takes them.
        labels: ``(N, F)``: 1, 0 or nan.
        progress: Called with images read and in all, over both bundles.

    Returns:
        AUC by finding, None where a class is absent, and the largest change of a probability.
    """
    found: list[list[Float32]] = []
    for turn, bundle in enumerate((before, after)):
        answers = []
        for index, image in enumerate(images):
            answers.append(bundle.predict(image).probabilities)
            if progress is not None:
                progress(turn * len(images) + index + 1, 2 * len(images))
        found.append(answers)
    first, second = (np.array(each) for each in found)
    return PrecisionLoss(
        len(images),
        _aucs(before.findings, labels, first),
        _aucs(before.findings, labels, second),
        float(np.abs(first - second).max()),
    )


def check_loss(loss: PrecisionLoss) -> None:
    """Refuse a loss that is too large.

    Raises:
        ExportError: An AUC falls by more than `LARGEST_FALL`, or none could be measured.
    """
    pairs = {
        name: (value, loss.auc_after[name])
        for name, value in loss.auc_before.items()
        if value is not None
    }
    if not pairs:
        raise ExportError(
            "no finding is both present and absent in the labels, so the loss cannot be measured. "
            "Give more labeled images."
        )
    for name, (was, now) in pairs.items():
        if now is None or was - now > LARGEST_FALL:
            raise ExportError(
                f"the AUC of {name} falls from {was:.4f} to {_text(now)} on {loss.images} images, "
                f"by more than {LARGEST_FALL}. Nothing was written. Stay with fp32, or try the "
                "other precision."
            )


class _Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, images: Sequence[Float32]) -> None:
        self._images: Iterator[Float32] = iter(images)

    def get_next(self) -> Mapping[str, Float32] | None:
        image = next(self._images, None)
        return None if image is None else {"image": image}


def _load(name: str, members: Mapping[str, bytes], engine: str) -> Bundle:
    running = make_engine(engine, members[MODEL], parse_card(members[CARD]))
    return Bundle(name, archive.Archive("", members), running)


def _reference(members: Mapping[str, bytes], tolerance: tuple[float, float]) -> bytes:
    """Write the reference anew: what ONNX Runtime gives for this graph."""
    old = from_bytes(members[REFERENCE])
    engine = make_engine("onnxruntime", members[MODEL], {})
    expected = tuple(engine.run(_grey(image)) for image in old.images)
    return to_bytes(Reference(old.images, expected, tolerance))


def _grey(image: Image) -> Float32:
    pixels = image.pixels if isinstance(image, XRay) else image
    if pixels.dtype == np.uint8:
        return pixels.astype(np.float32)[None, None] / np.float32(255)
    return np.ascontiguousarray(pixels, np.float32)[None, None]


def _check(bundle: Bundle, images: Sequence[Image], labels: Float32) -> None:
    if not images or labels.shape != (len(images), len(bundle.findings)):
        raise ShapeError(
            f"labels are {labels.shape} for {len(images)} images and {len(bundle.findings)} "
            "findings; expected one row an image and one column a finding."
        )


def _aucs(
    findings: Sequence[str], labels: Float32, probabilities: Float32
) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for index, name in enumerate(findings):
        try:
            value = float(auc(labels[:, index], probabilities[:, index]))
        except MetricError:
            value = float("nan")
        values[name] = value if np.isfinite(value) else None
    return values


def _text(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
