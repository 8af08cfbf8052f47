"""What all tests of DICOM objects share: an image, a statement, and programs that are elsewhere."""

from __future__ import annotations

import datetime
import random
import shutil
from collections.abc import Callable

import pytest
from mischief import mutated
from pydicom.dataset import Dataset

from lucidray.datasets.phantom import PhantomConfig, make_phantom
from lucidray.datasets.phantom.dicom import to_dicom
from lucidray.dicom.files import from_bytes, to_bytes
from lucidray.dicom.result import Result
from lucidray.dicom.source import source_of
from lucidray.dicom.statement import Algorithm, StatedFinding, Statement, Verification

NOON = datetime.datetime(2026, 11, 21, 12, 0, 1, 250000)


@pytest.fixture(scope="session")
def phantom_image() -> Dataset:
    """A generated chest film as a DX object."""
    image = to_dicom(make_phantom(3, 0, PhantomConfig(size=128)))
    image.StudyDate, image.StudyTime, image.AccessionNumber = "20260105", "101500", "A123"
    image.StudyID, image.PositionerType = "S1", "NONE"
    return image


@pytest.fixture
def image(phantom_image: Dataset) -> Dataset:
    """The same, to be changed at will."""
    return from_bytes(to_bytes(phantom_image))


@pytest.fixture
def statement() -> Statement:
    """Three findings: present with two boxes, absent, and undecided."""
    return Statement(
        findings=(
            StatedFinding(
                *("Pneumonia", 0.8234567, 0.29, True, 0.31, True, False),
                boxes=((10, 20, 64, 81), (0, 0, 128, 128)),
                method="grad_cam",
            ),
            StatedFinding("Aortic Elongation", 0.1, 0.5, False),
            StatedFinding("Mass", 1 / 3),
        ),
        algorithm=Algorithm("demo", "0123456789ab", {"weights_sha256": "ab" * 32}),
        calibrated=True,
        refer=False,
    )


@pytest.fixture
def signature() -> Verification:
    return Verification("House^Gregory", "Teaching Hospital", NOON)


@pytest.fixture
def result(image: Dataset, statement: Statement) -> Result:
    return Result(source_of(image), statement, NOON)


@pytest.fixture(scope="session")
def dciodvfy() -> str:
    """The validator of dicom3tools, or a skip that says how to get it."""
    found = shutil.which("dciodvfy")
    if found is None:
        pytest.skip("dciodvfy is not installed: apt-get install dicom3tools")
    return found


@pytest.fixture(scope="session")
def mutate() -> Callable[[bytes, random.Random], bytes]:
    """Damages bytes in ways that files and lines have been seen damaged."""
    return mutated
