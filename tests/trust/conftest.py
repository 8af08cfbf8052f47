"""Phantoms of which everything is known."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from lucidray.datasets import ImageTable, load_dataset
from lucidray.datasets.phantom import PhantomConfig, write_phantoms
from lucidray.images.geometry import mask_to_model
from lucidray.records import Float32
from lucidray.trust import TrustReport, measure_trust
from lucidray.trust.films import choose_films, read_frame

sys.path.insert(0, str(Path(__file__).parent))
from trust_stand_ins import EFFORT, FINDING, SIDE, Known


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms with a mass each, and a tag on those that have one."""
    config = PhantomConfig(
        size=SIDE, abundance=0.0, prevalences={FINDING: 0.8}, images_per_patient=1.0,
        shortcut=FINDING, shortcut_strength=1.0,
    )  # fmt: skip
    return write_phantoms(tmp_path_factory.mktemp("phantoms") / "films", 18, config, seed=2)


@pytest.fixture(scope="session")
def table(folder: Path) -> ImageTable:
    """Their table."""
    return load_dataset(folder)


@pytest.fixture(scope="session")
def known(table: ImageTable) -> Known:
    """The model that knows the phantoms."""
    masks: dict[bytes, Float32] = {}
    subject = Known(masks)
    for film in choose_films(table, FINDING, 100):
        square, frame = read_frame(film, FINDING, subject.preprocessing, grid=SIDE)
        assert frame.mask is not None
        masks[square.tobytes()] = mask_to_model(frame.mask, frame.way).astype(np.float32)
    return subject


@pytest.fixture(scope="session")
def report(known: Known, table: ImageTable) -> TrustReport:
    """Its trust report."""
    return measure_trust(known, table, effort=EFFORT, selection="all images")
