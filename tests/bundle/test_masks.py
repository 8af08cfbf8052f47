"""Segmentation bundles: masks on the pixels of the file, and questions of the wrong kind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lucidray.bundle import Bundle, load_bundle
from lucidray.bundle.card import Card, FindingCode, OperatingPoint
from lucidray.bundle.comparison import compare
from lucidray.bundle.reference import verify_bundle
from lucidray.errors import BundleError, ShapeError
from lucidray.export.write import export_bundle
from lucidray.images.geometry import identity, scaling
from lucidray.images.preprocessing import Preprocessing
from lucidray.models import ModelSpec, build_segmenter
from lucidray.records import XRay

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a tiny segmenter that takes what is bright for lung."""
    spec = ModelSpec("regnetx_002", in_channels=1, decoder=(4,))
    model = build_segmenter(spec, ("Lungs",), image_size=32).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        stem, step = model.backbone.backbone.stem, model.decoder[0]
        stem.conv.weight[:, 0, 1, 1] = 1
        stem.bn.weight.fill_(1)
        step.mix[0].weight[0, -1, 1, 1] = step.mix[3].weight[0, 0, 1, 1] = 1
        step.mix[1].weight.fill_(1)
        step.mix[4].weight.fill_(1)
        model.head.weight[0, 0] = 20
        model.head.bias.fill_(-10)
    config = Preprocessing(size=32, fit="letterbox", channels=1, normalization="unit")
    point = {"Lungs": OperatingPoint(0.5, "fixed")}
    card = Card(
        "bright", "What is bright.", (FindingCode("Lungs"),), False, config, "regnetx_002",
        task="segmentation", operating_points=point,
    )  # fmt: skip
    return export_bundle([model], card, tmp_path_factory.mktemp("masks") / "bright.lucid")


@pytest.fixture(scope="module")
def bundle(file: Path) -> Bundle:
    """The same, loaded."""
    return load_bundle(file, threads=1)


def film() -> np.ndarray:
    pixels = np.full((64, 48), 0.1, np.float32)
    pixels[16:48, 8:20] = pixels[16:48, 28:40] = 0.9
    pixels[30:34, 10:14] = 0.1
    pixels[2:4, 2:4] = 0.9
    return pixels


def test_masks_lie_on_the_pixels_of_the_file(bundle: Bundle) -> None:
    mask = bundle.segment(film())
    assert mask.dtype == bool and mask.shape == (64, 48)
    assert mask[18:44, 10:18].all() and mask[18:44, 30:38].all()
    assert not mask[:12].any() and not mask[52:].any() and not mask[:, 22:26].any()
    likely = bundle.probabilities(film())
    assert likely.shape == (64, 48) and likely.dtype == np.float32
    assert likely[20, 14] > 0.99 > 0.01 > likely[60, 24] >= 0


def test_a_film_that_was_shrunk_while_loading_is_outlined_in_full(bundle: Bundle) -> None:
    small = XRay(film()[::2, ::2].copy(), scaling((64, 48), (32, 24)))
    mask = bundle.segment(small)
    assert mask.shape == (64, 48)
    assert (mask == bundle.segment(XRay(film(), identity((64, 48))))).mean() > 0.95


def test_black_has_no_lungs(bundle: Bundle) -> None:
    assert not bundle.segment(np.zeros((30, 20), np.uint8)).any()
    with pytest.raises(ShapeError, match="expected"):
        bundle.segment(np.zeros((3, 30, 20), np.uint8))


def test_questions_of_the_wrong_kind_are_refused(bundle: Bundle, bundle_file: Path) -> None:
    for ask in (bundle.read, bundle.predict, bundle.maps):
        with pytest.raises(BundleError, match=r"is a segmentation bundle.*segment\(image\)"):
            ask(film())
    with pytest.raises(BundleError, match="segmentation bundle"):
        bundle.read_batch(film()[None])
    with pytest.raises(BundleError, match="segmentation bundle"):
        bundle.judge(XRay(film(), identity((64, 48))))
    judge = load_bundle(bundle_file)
    assert judge.task == "classification"
    for ask in (judge.segment, judge.probabilities):
        with pytest.raises(BundleError, match=r"is a classification bundle.*read\(image\)"):
            ask(film())


def test_it_is_verified_and_compared_as_any_bundle(bundle: Bundle, file: Path) -> None:
    assert verify_bundle(bundle).passed
    assert compare(file, file).probability_change == {"Lungs": 0.0}


def test_masks_need_neither_torch_nor_scipy(file: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from lucidray.bundle import load_bundle\n"
        f"load_bundle({str(file)!r}, threads=1).segment(np.zeros((40, 40), np.uint8))\n"
        "print([name for name in ('torch', 'scipy', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
