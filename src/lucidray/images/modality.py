"""What a DICOM header says of how a picture came about: modality, view, spacing, age, sex."""

from __future__ import annotations

import math
import re
from typing import Any, Literal, cast, get_args

from pydicom.dataset import Dataset
from pydicom.uid import UID

from lucidray.errors import ImageError
from lucidray.records import ViewPosition

#: Modalities that are projection radiographs.
RADIOGRAPHS = frozenset({"CR", "DX", "DR", "RG", "PX"})

_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.1.1"
_RADIOGRAPH_CLASSES = frozenset(
    {"1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1", _FOR_PROCESSING}
)
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

#: In years; a higher age is a mistake.
_OLDEST = 120

#: SNOMED CT and the older SNOMED RT codes of DICOM's context group 4010.
_VIEW_CODES: dict[str, ViewPosition] = {
    "399348003": "AP",
    "R-10206": "AP",
    "272479007": "PA",
    "R-10214": "PA",
    "399173006": "LL",
    "R-10236": "LL",
    "399198007": "RL",
    "R-10232": "RL",
}


def check_is_radiograph(dataset: Dataset) -> None:
    """Refuse a DICOM object that is no projection radiograph for display.

    Args:
        dataset: The parsed file.

    Raises:
        ImageError: It is of another modality or class, or raw data of the detector.
    """
    kind, modality = _text(dataset, "SOPClassUID"), _text(dataset, "Modality").upper()
    if not kind and not modality:
        raise ImageError(
            "a DICOM file that does not say what it is (no SOP Class, no Modality); expected a "
            "radiograph: CR, DX or DR."
        )
    if modality and modality not in RADIOGRAPHS:
        raise ImageError(f"a DICOM file of modality {modality[:16]}; expected CR, DX or DR.")
    captured = kind.startswith(_SECONDARY_CAPTURE) and modality
    if kind and kind not in _RADIOGRAPH_CLASSES and not captured:
        name = UID(kind).name
        name = "a private class" if name == kind else name
        raise ImageError(f"a DICOM file that holds {name}; expected a CR or DX image.")
    if kind == _FOR_PROCESSING or _text(dataset, "PresentationIntentType") == "FOR PROCESSING":
        raise ImageError(
            "raw detector data (FOR PROCESSING), which no display shows as it is; export the "
            "image FOR PRESENTATION."
        )


def view_position(dataset: Dataset) -> ViewPosition | None:
    """Return the view: ViewPosition, or else the View Code Sequence.

    Patient Orientation is left aside on purpose: it tells how the picture is turned, and a PA and
    an AP film are both shown with the patient's left on the right.

    Args:
        dataset: The parsed file.

    Returns:
        PA, AP, LL or RL, or None where the header names none of them.
    """
    named = _text(dataset, "ViewPosition").upper()
    if named in get_args(ViewPosition):
        return cast(ViewPosition, named)
    items: Any = dataset.get("ViewCodeSequence") or []
    codes = (_text(item, "CodeValue") for item in items)
    return next((_VIEW_CODES[code] for code in codes if code in _VIEW_CODES), None)


def age_years(dataset: Dataset) -> float | None:
    """Return the patient's age when the film was taken, in years, as Patient's Age says it.

    Args:
        dataset: The parsed file.

    Returns:
        Days, weeks and months as parts of a year; None where the header has no proper age of at
        most 120 years. No age is worked out from dates, which de-identification moves.

    Source:
        DICOM PS3.5 6.2, the value representation AS.
    """
    found = re.fullmatch(r"(\d{3})([DWMY])", _text(dataset, "PatientAge").upper())
    if found is None:
        return None
    years = int(found[1]) * {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}[found[2]]
    return years if years <= _OLDEST else None


def sex(dataset: Dataset) -> Literal["F", "M"] | None:
    """Return the patient's sex, F or M; None where the header says neither."""
    named = _text(dataset, "PatientSex").upper()
    return cast(Literal["F", "M"], named) if named in {"F", "M"} else None


def spacing_mm(dataset: Dataset, factor: int = 1) -> tuple[float, float] | None:
    """Return the distance of pixel centers on the detector.

    Imager Pixel Spacing is on the detector by definition. Pixel Spacing without a calibration
    type is the same in projection radiography; with one it has been corrected to the patient and
    is not used.

    Args:
        dataset: The parsed file.
        factor: Source pixels a side of one loaded pixel.

    Returns:
        ``(row, column)`` in mm, or None where unknown.

    Source:
        DICOM PS3.3 10.7.1.3.
    """
    keywords = ["ImagerPixelSpacing", "NominalScannedPixelSpacing"]
    if not _text(dataset, "PixelSpacingCalibrationType"):
        keywords.append("PixelSpacing")
    for keyword in keywords:
        spacing = _two_numbers(dataset, keyword)
        if spacing is not None:
            return spacing[0] * factor, spacing[1] * factor
    return None


def _two_numbers(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    try:
        first, second = (float(number) for number in dataset.get(keyword) or ())
    except (TypeError, ValueError):
        return None
    valid = all(math.isfinite(number) and number > 0 for number in (first, second))
    return (first, second) if valid else None


def _text(dataset: Dataset, keyword: str) -> str:
    try:
        return str(dataset.get(keyword) or "").strip()
    except (TypeError, ValueError):
        return ""
