"""View positions and spacings, by hand."""

from __future__ import annotations

import pytest
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes

from lucidray.images.modality import spacing_mm, view_position


@pytest.mark.parametrize(
    ("written", "expected"),
    [("PA", "PA"), ("ap ", "AP"), ("LL", "LL"), ("RL", "RL"), ("LLO", None), ("", None)],
)
def test_view_position_as_written(written: str, expected: str | None) -> None:
    dataset = Dataset()
    dataset.add(DataElement("ViewPosition", "CS", written, validation_mode=config.IGNORE))
    assert view_position(dataset) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (codes.cid4010.AnteroPosterior, "AP"),
        (codes.cid4010.PosteroAnterior, "PA"),
        (codes.cid4010.LeftLateral, "LL"),
        (codes.cid4010.RightLateral, "RL"),
        (codes.cid4010.AnteroPosteriorOblique, None),
    ],
)
def test_view_codes_are_those_of_the_standard(code: object, expected: str | None) -> None:
    item, dataset = Dataset(), Dataset()
    item.CodeValue = code.value  # type: ignore[attr-defined]
    dataset.ViewCodeSequence = Sequence([item])
    assert view_position(dataset) == expected


def test_patient_orientation_says_nothing_of_the_view() -> None:
    dataset = Dataset()
    dataset.PatientOrientation = ["L", "F"]
    assert view_position(dataset) is None


def test_spacing_prefers_the_detector() -> None:
    dataset = Dataset()
    assert spacing_mm(dataset) is None
    dataset.PixelSpacing = [0.2, 0.3]
    assert spacing_mm(dataset) == (0.2, 0.3)
    dataset.PixelSpacingCalibrationType = "FIDUCIAL"
    assert spacing_mm(dataset) is None
    dataset.ImagerPixelSpacing = [0.25, 0.25]
    assert spacing_mm(dataset, factor=4) == (1.0, 1.0)


@pytest.mark.parametrize("spacing", [[0.0, 0.1], [-1.0, 1.0]])
def test_impossible_spacing_is_none(spacing: list[float]) -> None:
    dataset = Dataset()
    dataset.ImagerPixelSpacing = spacing
    assert spacing_mm(dataset) is None
