"""Bundles of tiny networks with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lucidray.bundle.card import Calibration, Card, FindingCode, OperatingPoint
from lucidray.export.write import export_bundle
from lucidray.images.preprocessing import Preprocessing
from lucidray.models import Classifier, ModelSpec, build_model

torch.set_num_threads(1)

FINDINGS = ("Pneumonia", "Effusion")


def make_model(seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    spec = ModelSpec(backbone="baseline_cnn", in_channels=1)
    model = build_model(spec, FINDINGS, image_size=32)
    model.head[-1].weight.data *= 30
    return model.eval()


def make_card(name: str = "tiny", **changes: object) -> Card:
    values = {
        "name": name,
        "summary": "A tiny network with random weights.",
        "findings": tuple(FindingCode(each) for each in FINDINGS),
        "exclusive": False,
        "preprocessing": Preprocessing(
            size=32, crop=(0.1, 0.9, 0.05, 0.95), fit="letterbox", channels=1
        ),
        "network": "baseline_cnn",
        "calibration": Calibration("platt", slopes=(1.5, 0.5), intercepts=(0.2, -0.1)),
        "operating_points": {"Pneumonia": OperatingPoint(0.4, "fixed beforehand")},
    }
    return Card(**{**values, **changes})


@pytest.fixture(scope="session")
def model() -> Classifier:
    """The network in the bundle."""
    return make_model()


@pytest.fixture(scope="session")
def card() -> Card:
    """The card that the bundle was exported with."""
    return make_card()


@pytest.fixture(scope="session")
def bundle_file(model: Classifier, card: Card, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of one network."""
    return export_bundle(
        [model], card, tmp_path_factory.mktemp("bundles") / "tiny.lucid", extra={"gate.txt": b"x"}
    )


@pytest.fixture(scope="session")
def other_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of another network, without calibration."""
    other = make_card("other", calibration=Calibration(), operating_points={})
    return export_bundle([make_model(1)], other, tmp_path_factory.mktemp("more") / "other.lucid")
