"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images, or a skip that says how to name it."""
    root = Path(__file__).resolve().parents[1]
    place = Path(os.environ.get("LUCIDRAY_DATA", root.parent / "shared" / "data"))
    if not place.is_dir():
        pytest.skip("no real images here: set LUCIDRAY_DATA to their folder")
    return place


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded random generator."""
    return np.random.default_rng(0)
