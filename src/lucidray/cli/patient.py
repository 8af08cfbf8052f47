"""What the user says of a film's patient and view, for models that take it beside the film."""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Sex(StrEnum):
    """As DICOM writes it."""

    F = "F"
    M = "M"


class View(StrEnum):
    """As DICOM writes it."""

    PA = "PA"
    AP = "AP"
    LL = "LL"
    RL = "RL"


def given(age: float | None, sex: Sex | None, view: View | None) -> dict[str, Any]:
    """Return what was said, by the field of `lucidray.records.XRay` that it stands for.

    Args:
        age: In years; None: not said.
        sex: The same.
        view: The same.

    >>> given(54, None, View.PA)
    {'age_years': 54, 'view_position': 'PA'}
    """
    said = {
        "age_years": age,
        "sex": None if sex is None else sex.value,
        "view_position": None if view is None else view.value,
    }
    return {name: value for name, value in said.items() if value is not None}
