"""Fixtures of the training tests: tables of generated images and a cache of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lucidray.datasets.table import ImageTable

sys.path.insert(0, str(Path(__file__).parent))
from training_stand_ins import make_table


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> ImageTable:
    """32 images with two findings, split by patient."""
    return make_table(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def classes(tmp_path_factory: pytest.TempPathFactory) -> ImageTable:
    """36 images of three classes that exclude each other."""
    return make_table(tmp_path_factory.mktemp("classes"), 36, 3)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of its own for decoded pixels."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUCIDRAY_CACHE", str(folder))
        yield folder
