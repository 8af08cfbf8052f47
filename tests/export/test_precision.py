"""Lower precision: what is quantized, what it costs, and when it is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from lucidray.bundle import Bundle, archive, load_bundle
from lucidray.bundle.card import PrecisionLoss
from lucidray.bundle.reference import verify
from lucidray.errors import BundleError, ExportError, ShapeError, UnknownNameError
from lucidray.export import precision as precisions
from lucidray.export.from_run import export_run
from lucidray.export.precision import check_loss, lower_precision
from lucidray.images.read import read_xray
from lucidray.records import Float32, XRay
from lucidray.training import Run


@pytest.fixture(scope="module")
def fp32(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_run(run, tmp_path_factory.mktemp("precision") / "fp32.lucid")


@pytest.fixture(scope="module")
def films(run: Run) -> list[XRay]:
    names = sorted((run.folder.parent / "images").glob("*.png"), key=lambda p: int(p.stem))
    return [read_xray(path) for path in names]


@pytest.fixture(scope="module")
def labels(fp32: Path, films: list[XRay]) -> Float32:
    """The model's own opinion, so that the AUC is 1 and any disorder shows."""
    bundle = load_bundle(fp32, threads=1)
    found = np.array([bundle.predict(film).probabilities for film in films])
    return (found > np.median(found, axis=0)).astype(np.float32)


@pytest.fixture
def tolerant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random networks hardly part their images, so that rounding reorders some."""
    monkeypatch.setattr(precisions, "LARGEST_FALL", 0.2)


def differ(first: Bundle, second: Bundle, films: list[XRay]) -> float:
    pairs = [(first.predict(film), second.predict(film)) for film in films]
    return max(float(np.abs(a.probabilities - b.probabilities).max()) for a, b in pairs)


@pytest.mark.usefixtures("tolerant")
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_int8(fp32: Path, films: list[XRay], labels: Float32, tmp_path: Path, engine: str) -> None:
    pytest.importorskip(engine)
    told: list[tuple[int, int]] = []
    loss = lower_precision(
        fp32, tmp_path / "int8.lucid", "int8", films, labels,
        calibration_images=8, progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    small = load_bundle(tmp_path / "int8.lucid", engine=engine, threads=1)
    assert told[-1] == (2 * len(films), 2 * len(films))
    assert loss.auc_before == {"Pneumonia": 1.0, "Effusion": 1.0}
    assert (small.card.precision, small.card.precision_loss) == ("int8", loss)
    assert 0 < differ(load_bundle(fp32, threads=1), small, films) < 0.1
    assert verify(tmp_path / "int8.lucid", engine=engine, threads=1).passed
    graph = onnx.load_from_string(archive.read(tmp_path / "int8.lucid").members["model.onnx"])
    kinds = Counter(node.op_type for node in graph.graph.node)
    assert kinds["QuantizeLinear"] and kinds["DequantizeLinear"]
    weights = {each.name: each.data_type for each in graph.graph.initializer}
    convolutions = [node for node in graph.graph.node if node.op_type == "Conv"]
    assert convolutions
    stored = Counter(weights.values())
    assert stored[onnx.TensorProto.INT8] >= len(convolutions)


@pytest.mark.usefixtures("tolerant")
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("precision", "share", "most"), [("fp16", 0.6, 2e-3), ("int8_weights", 0.4, 3e-2)]
)
def test_what_is_stored_in_fewer_bytes_is_the_same_for_every_engine(
    fp32: Path,
    films: list[XRay],
    labels: Float32,
    tmp_path: Path,
    engine: str,
    precision: str,
    share: float,
    most: float,
) -> None:
    pytest.importorskip(engine)
    path = tmp_path / "stored.lucid"
    loss = lower_precision(fp32, path, precision, films, labels)  # type: ignore[arg-type]
    sizes = [len(archive.read(each).members["model.onnx"]) for each in (fp32, path)]
    assert sizes[1] < share * sizes[0]
    change = differ(load_bundle(fp32, threads=1), load_bundle(path, threads=1), films)
    assert change == pytest.approx(loss.largest_change)
    assert 0 < change < most
    assert load_bundle(path).card.precision == precision
    found = verify(path, engine=engine, threads=1)
    assert found.passed
    assert found.tolerance == (1e-5, 1e-4)


@pytest.mark.usefixtures("tolerant")
def test_bf16(fp32: Path, films: list[XRay], labels: Float32, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    loss = lower_precision(fp32, tmp_path / "bf16.lucid", "bf16", films, labels)
    path = tmp_path / "bf16.lucid"
    before, after = (archive.read(each).members["model.onnx"] for each in (fp32, path))
    assert before == after
    assert load_bundle(path).card.precision == "bf16"
    exact = load_bundle(fp32, threads=1)
    assert differ(exact, load_bundle(path, threads=1), films) == 0.0
    rough = load_bundle(path, engine="openvino", threads=1)
    assert differ(exact, rough, films) <= max(2 * loss.largest_change, 1e-6)
    assert verify(path, engine="openvino", threads=1).passed


def test_a_fall_is_refused() -> None:
    check_loss(PrecisionLoss(9, {"A": 0.9, "B": None}, {"A": 0.8981, "B": None}, 0.1))
    with pytest.raises(ExportError, match=r"AUC of A falls from 0\.9000 to 0\.8979"):
        check_loss(PrecisionLoss(9, {"A": 0.9}, {"A": 0.8979}, 0.1))
    with pytest.raises(ExportError, match="undefined"):
        check_loss(PrecisionLoss(9, {"A": 0.9}, {"A": None}, 0.1))
    with pytest.raises(ExportError, match="cannot be measured"):
        check_loss(PrecisionLoss(9, {"A": None}, {"A": None}, 0.1))


def test_nothing_is_written_on_refusal(
    fp32: Path, films: list[XRay], labels: Float32, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precisions, "LARGEST_FALL", -0.1)
    with pytest.raises(ExportError, match="Nothing was written"):
        lower_precision(fp32, tmp_path / "x.lucid", "int8", films, labels, calibration_images=4)
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_is_refused(
    fp32: Path, films: list[XRay], labels: Float32, tmp_path: Path
) -> None:
    with pytest.raises(UnknownNameError, match="unknown precision 'int4'"):
        lower_precision(fp32, tmp_path / "x.lucid", "int4", films, labels)
    with pytest.raises(ShapeError, match="one column a finding"):
        lower_precision(fp32, tmp_path / "x.lucid", "int8", films, labels[:, :1])
    with pytest.raises(ExportError, match=r"ends in \.lucid"):
        lower_precision(fp32, tmp_path / "x", "int8", films, labels)
    with pytest.raises(BundleError, match="no such bundle"):
        lower_precision(tmp_path / "none.lucid", tmp_path / "x.lucid", "int8", films, labels)
