"""Reading with a bundle: the same answers as torch gives, for images of any size."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from lucidray.bundle import Bundle, bundles, engines, find_bundle, load_bundle
from lucidray.bundle.card import Card
from lucidray.errors import (
    BundleError,
    ImageError,
    MissingExtraError,
    ShapeError,
    UnknownNameError,
)
from lucidray.explain import grad_cam
from lucidray.images.geometry import compose, identity, scaling
from lucidray.images.preprocessing import preprocess, spatial_geometry
from lucidray.images.resample import resample
from lucidray.models import Classifier
from lucidray.pipeline import diagnose
from lucidray.records import Float32, XRay

SHAPES = [(32, 32), (90, 70), (41, 200), (20, 15)]


def image(shape: tuple[int, int], seed: int = 0) -> Float32:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def xray(shape: tuple[int, int], seed: int = 0) -> XRay:
    return XRay(image(shape, seed), identity(shape), sha256="ab")


@pytest.fixture(scope="module")
def bundle(bundle_file: Path) -> Bundle:
    return load_bundle(bundle_file, threads=1)


@pytest.fixture(scope="module", params=["onnxruntime", "openvino"])
def any_engine(bundle_file: Path, request: pytest.FixtureRequest) -> Bundle:
    if request.param == "openvino":
        pytest.importorskip("openvino")
    return load_bundle(bundle_file, engine=request.param, threads=1)


@pytest.mark.parametrize("shape", SHAPES)
def test_answers_are_those_of_torch_and_gradients(
    any_engine: Bundle, model: Classifier, card: Card, shape: tuple[int, int]
) -> None:
    film = xray(shape)
    reading = any_engine.read(film)
    x = torch.from_numpy(preprocess(film, card.preprocessing)[0])[None]
    logits, maps = grad_cam(model, x)
    np.testing.assert_allclose(reading.prediction.logits, logits[0], atol=1e-4)
    span = np.ptp(maps.numpy())
    np.testing.assert_allclose(reading.maps, maps[0].numpy(), atol=1e-4 * span)
    slopes, intercepts = np.array(card.calibration.slopes), np.array(card.calibration.intercepts)
    wanted = 1 / (1 + np.exp(-(logits[0].numpy() * slopes + intercepts)))
    np.testing.assert_allclose(reading.prediction.probabilities, wanted, atol=1e-5)
    with torch.no_grad():
        vector = model.embed(model.features(x))[0].numpy()
    np.testing.assert_allclose(reading.embedding, vector, atol=1e-4)


def test_the_prediction_says_what_the_card_says(bundle: Bundle) -> None:
    found = bundle.predict(image((50, 50)))
    assert found.findings == ("Pneumonia", "Effusion")
    assert found.calibrated
    assert dict(found.operating_points) == {"Pneumonia": 0.4}
    assert found.positive("Pneumonia") is bool(found.probabilities[0] >= np.float32(0.4))
    assert found.positive("Effusion") is None


def test_pixels_may_come_in_several_forms(bundle: Bundle) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (60, 45)).astype(np.uint8)
    pixels = levels.astype(np.float32) / np.float32(255)
    wanted = bundle.read(XRay(pixels, identity((60, 45))))
    for form in (levels, pixels, pixels.astype(np.float64), np.asfortranarray(pixels)):
        found = bundle.read(form)
        np.testing.assert_array_equal(found.prediction.logits, wanted.prediction.logits)
        np.testing.assert_array_equal(bundle.maps(form), wanted.maps)


@pytest.mark.parametrize(
    ("pixels", "error", "words"),
    [
        (np.full((9, 9), 255.0), ImageError, r"0.*255|255.*\[0, 1\]"),
        (np.full((9, 9), -0.1), ImageError, r"\[0, 1\]"),
        (np.full((9, 9), np.nan), ImageError, r"nan"),
        (np.zeros((9, 9), np.int16), ImageError, "int16"),
        (np.zeros((1, 9, 9)), ShapeError, r"\(1, 9, 9\); expected \(H, W\)"),
        (np.zeros((0, 9)), ShapeError, "not empty"),
    ],
)
def test_what_is_no_film_is_refused(
    bundle: Bundle, pixels: np.ndarray, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        bundle.read(pixels)


def test_a_batch_gives_what_single_images_give(any_engine: Bundle) -> None:
    images = np.stack([image((50, 40), seed) for seed in range(3)])
    for found, alone in zip(any_engine.read_batch(images), map(any_engine.read, images)):  # noqa: B905
        np.testing.assert_allclose(
            found.prediction.probabilities, alone.prediction.probabilities, atol=1e-6
        )
        np.testing.assert_allclose(found.maps, alone.maps, atol=1e-5)


@pytest.mark.parametrize("streams", [1, 3])
def test_many_images_keep_their_order_and_little_is_drawn_ahead(
    bundle_file: Path, bundle: Bundle, streams: int
) -> None:
    many = load_bundle(bundle_file, threads=3, streams=streams)
    drawn = []

    def films() -> Iterator[Float32]:
        for seed in range(12):
            drawn.append(seed)
            yield image(SHAPES[seed % 4], seed)

    for number, found in enumerate(many.read_many(films())):
        assert len(drawn) <= number + 2 * streams
        wanted = bundle.read(image(SHAPES[number % 4], number))
        np.testing.assert_allclose(found.prediction.logits, wanted.prediction.logits, atol=1e-4)
    assert number == 11


def test_a_failed_image_does_not_hang_the_rest(bundle_file: Path) -> None:
    many = load_bundle(bundle_file, threads=2, streams=2)
    with pytest.raises(ImageError):
        list(many.read_many([image((9, 9)), np.full((9, 9), 7.0), image((9, 9))]))


def test_threads_may_share_a_bundle(bundle: Bundle) -> None:
    wanted = [bundle.maps(image(SHAPES[k], k)) for k in range(4)]
    found: dict[int, Float32] = {}

    def work(k: int) -> None:
        for _ in range(5):
            found[k] = bundle.maps(image(SHAPES[k], k))

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    for k in range(4):
        np.testing.assert_array_equal(found[k], wanted[k])


def test_maps_lie_where_the_geometry_says(bundle: Bundle, card: Card) -> None:
    film = xray((90, 70))
    prediction, maps, geometry = bundle.judge(film)
    assert geometry == spatial_geometry((90, 70), card.preprocessing)
    np.testing.assert_array_equal(maps, bundle.maps(film))
    np.testing.assert_array_equal(prediction.logits, bundle.predict(film).logits)


def test_a_film_that_was_shrunk_while_loading_keeps_its_source_pixels(bundle: Bundle) -> None:
    shrunk = scaling((180, 140), (90, 70))
    film = XRay(resample(image((180, 140)), (90, 70)), shrunk)
    _, _, geometry = bundle.judge(film)
    assert geometry == compose(shrunk, spatial_geometry((90, 70), bundle.preprocessing))
    assert geometry.source_shape == (180, 140)


def test_diagnose_reads_with_a_bundle(bundle: Bundle) -> None:
    film = xray((90, 70))
    found = diagnose(film, bundle, findings=["Effusion"])
    assert found.image_sha256 == "ab"
    assert found.prediction.calibrated
    (attribution,) = found.attributions
    assert attribution.values.shape == (90, 70)
    np.testing.assert_array_equal(attribution.raw, bundle.maps(film)[1])
    assert found.provenance["bundle_sha256"] == bundle.digest
    assert found.provenance["weights_sha256"] == bundle.card.weights_sha256
    with pytest.raises(BundleError, match="grad_cam maps only, not 'rise'"):
        diagnose(film, bundle, method="rise")


def test_readings_cannot_be_changed(bundle: Bundle) -> None:
    reading = bundle.read(image((40, 40)))
    for values in (reading.maps, reading.embedding, reading.prediction.probabilities):
        with pytest.raises(ValueError, match="read-only"):
            values[...] = 0


def test_members(bundle: Bundle) -> None:
    assert bundle.member("gate.txt") == b"x"
    with pytest.raises(BundleError, match=r"no gate\.npz; it has"):
        bundle.member("gate.npz")


def test_bundles_go_by_name(
    bundle_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("LUCIDRAY_BUNDLES", str(bundle_file.parent))
    assert bundles()["tiny"] == bundle_file
    assert find_bundle("tiny") == bundle_file
    assert load_bundle("tiny", threads=1).name == "tiny"
    with pytest.raises(UnknownNameError, match="did you mean 'tiny'"):
        find_bundle("tini")
    with pytest.raises(BundleError, match="no such bundle"):
        find_bundle(tmp_path / "tiny.lucid")


def test_engines_are_checked(bundle_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="unknown engine 'tensorrt'"):
        load_bundle(bundle_file, engine="tensorrt")
    with pytest.raises(BundleError, match="at least 1"):
        load_bundle(bundle_file, threads=-1)

    def absent(name: str) -> object:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(engines, "import_module", absent)
    with pytest.raises(MissingExtraError, match=r"lucidray\[openvino\]"):
        load_bundle(bundle_file, engine="openvino")


def test_reading_imports_nothing_beyond_the_base_install(bundle_file: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from lucidray.bundle import load_bundle\n"
        "bundle = load_bundle(sys.argv[1])\n"
        "bundle.read(np.zeros((50, 40), np.float32)).maps\n"
        "heavy = {'torch', 'pandas', 'scipy', 'pydantic', 'PIL', 'pydicom', 'onnx', 'openvino'}\n"
        "first = sorted(heavy & set(sys.modules))\n"
        "from lucidray.images.geometry import identity\n"
        "from lucidray.pipeline import diagnose\n"
        "from lucidray.records import XRay\n"
        "diagnose(XRay(np.zeros((50, 40), np.float32), identity((50, 40))), bundle)\n"
        "bundle.card\n"
        "extras = {'torch', 'pandas', 'scipy', 'matplotlib', 'timm', 'onnx', 'openvino'}\n"
        "print(first, sorted(extras & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", code, str(bundle_file)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.stderr == ""
    assert found.stdout.strip() == "[] []"
