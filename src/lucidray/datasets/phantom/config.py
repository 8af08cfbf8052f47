"""What a user may choose about phantoms, and the shape of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, Field

from lucidray.config import STRICT
from lucidray.errors import ConfigError, unknown_name
from lucidray.records import Bool, Float32

Share = Annotated[float, Field(ge=0, le=1)]

#: How often each finding stands in ChestX-ray14 (112,120 images, Wang et al. 2017).
PREVALENCES: Mapping[str, float] = MappingProxyType(
    {
        "Atelectasis": 0.1031,
        "Cardiomegaly": 0.0248,
        "Consolidation": 0.0416,
        "Edema": 0.0205,
        "Effusion": 0.1188,
        "Emphysema": 0.0224,
        "Fibrosis": 0.0150,
        "Hernia": 0.0020,
        "Infiltration": 0.1774,
        "Mass": 0.0516,
        "Nodule": 0.0565,
        "Pleural_Thickening": 0.0302,
        "Pneumonia": 0.0128,
        "Pneumothorax": 0.0473,
    }
)

#: The fourteen findings, as ChestX-ray14 spells them.
FINDINGS: tuple[str, ...] = tuple(PREVALENCES)


@dataclass(frozen=True)
class PhantomConfig:
    """What phantoms are to be like.

    Args:
        size: Side of the image in pixels: a multiple of 64, 128 to 2048.
        abundance: Factor on how often every finding occurs; 1 is as often as in ChestX-ray14.
        prevalences: How often single findings occur, 0 to 1, in place of that.
        mildest: The least severity of a finding that is present, above 0.
        severest: The greatest.
        ap_share: Share of antero-posterior films; sick people are likelier to have one.
        female_share: Share of women and girls.
        child_share: Share of patients under sixteen.
        images_per_patient: Mean number of images a patient.
        devices: How likely lines, tubes and leads are, 0 to 1; likelier on antero-posterior films.
        markers: Whether side markers are shown.
        shortcut: The finding that a planted tag gives away, or None for no tag.
        shortcut_strength: Correlation of tag and finding: 0 none, 1 always together.
        test_share: Share of the patients in the test list.

    Raises:
        ConfigError: A value is out of range or a finding unknown.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    size: int = 512
    abundance: Annotated[float, Field(ge=0)] = 1.0
    prevalences: Mapping[str, Share] = field(default_factory=dict)
    mildest: Share = 0.3
    severest: Share = 1.0
    ap_share: Share = 0.4
    female_share: Share = 0.435
    child_share: Share = 0.05
    images_per_patient: Annotated[float, Field(ge=1, le=16)] = 3.6
    devices: Share = 0.3
    markers: bool = True
    shortcut: str | None = None
    shortcut_strength: Share = 0.0
    test_share: Share = 0.23

    def __post_init__(self) -> None:
        if self.size % 64 or not 128 <= self.size <= 2048:
            raise ConfigError(
                f"size is {self.size}; expected a multiple of 64 from 128 to 2048, such as 512."
            )
        if not 0 < self.mildest <= self.severest <= 1:
            raise ConfigError(
                f"mildest is {self.mildest} and severest {self.severest}; "
                "expected 0 < mildest <= severest <= 1."
            )
        for name in (*self.prevalences, *([self.shortcut] if self.shortcut else [])):
            if name not in PREVALENCES:
                raise unknown_name("finding", name, FINDINGS)
        for name in _SHARES:
            _check_range(name, getattr(self, name), 0, 1)
        for name, share in self.prevalences.items():
            _check_range(f"prevalences.{name}", share, 0, 1)
        _check_range("abundance", self.abundance, 0, float("inf"))
        _check_range("images_per_patient", self.images_per_patient, 1, 16)

    def prevalence(self, finding: str) -> float:
        """Return how often a finding occurs."""
        usual = min(PREVALENCES[finding] * self.abundance, 0.95)
        return float(self.prevalences.get(finding, usual))


_SHARES = ("ap_share", "female_share", "child_share", "devices", "shortcut_strength", "test_share")


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name} is {value}; expected a number from {low} to {high}.")


@dataclass(frozen=True)
class LesionBox:
    """The bounds of one lesion's mask, half-open, in pixels.

    Args:
        finding: What it is.
        x_min: Left edge.
        y_min: Upper edge.
        x_max: Right edge.
        y_max: Lower edge.
    """

    finding: str
    x_min: int
    y_min: int
    x_max: int
    y_max: int


@dataclass(frozen=True)
class Fixation:
    """One rest of a simulated reader's eye.

    Args:
        x: Pixels from the left edge.
        y: Pixels from the upper edge.
        start_s: Seconds since the image appeared.
        duration_s: Seconds of rest.
        target: What was looked at: an anatomical landmark or a finding.
    """

    x: float
    y: float
    start_s: float
    duration_s: float
    target: str


@dataclass(frozen=True)
class Patient:
    """Who is on the image.

    Args:
        number: Patient number, from 1.
        follow_up: Number of earlier images of the same patient.
        age_years: Age when the image was made.
        sex: F or M.
    """

    number: int
    follow_up: int
    age_years: int
    sex: Literal["F", "M"]


@dataclass(frozen=True)
class Phantom:
    """A generated radiograph with all that is true of it.

    Args:
        seed: The series' seed.
        index: The image's number within the series.
        raw: uint16 ``(N, N)``, what a file stores: display intensity times 65535.
        pixels: float32 ``(N, N)``, display intensity in [0, 1], bone bright: exactly `raw` / 65535.
        patient: Who is on it.
        view_position: PA or AP.
        spacing_mm: ``(row, column)`` distance of pixel centers on the detector.
        severities: Severity in (0, 1] of each finding that is present.
        lung_mask: bool ``(N, N)``: both lung fields, beside the heart and above the diaphragm, as
            they would be without lesions.
        right_lung: bool ``(N, N)``: the patient's right one, on the left of the image.
        lesion_masks: bool ``(N, N)`` for each finding present.
        boxes: The bounds of single lesions.
        fixations: What a simulated reader looked at, in order.
        cardiothoracic_ratio: Of the body itself; above 0.5 is enlarged.
        shortcut: Whether the planted tag is on the image.
        shortcut_mask: bool ``(N, N)``: where the tag is; all False without one.
        devices: Names of lines, tubes and other foreign bodies.
    """

    seed: int
    index: int
    raw: npt.NDArray[np.uint16]
    pixels: Float32
    patient: Patient
    view_position: Literal["PA", "AP"]
    spacing_mm: tuple[float, float]
    severities: Mapping[str, float]
    lung_mask: Bool
    right_lung: Bool
    lesion_masks: Mapping[str, Bool]
    boxes: tuple[LesionBox, ...]
    fixations: tuple[Fixation, ...]
    cardiothoracic_ratio: float
    shortcut: bool
    shortcut_mask: Bool
    devices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.raw.setflags(write=False)
        self.pixels.setflags(write=False)
        masks = (self.lung_mask, self.right_lung, self.shortcut_mask)
        for mask in (*masks, *self.lesion_masks.values()):
            mask.setflags(write=False)

    @property
    def left_lung(self) -> Bool:
        """The patient's left lung, on the right of the image."""
        return self.lung_mask & ~self.right_lung

    @property
    def labels(self) -> dict[str, int]:
        """1 or 0 for each of the fourteen findings."""
        return {name: int(name in self.severities) for name in FINDINGS}

    @property
    def image(self) -> str:
        """The image's id without suffix, in ChestX-ray14's manner: ``00000001_000``."""
        return f"{self.patient.number:08d}_{self.patient.follow_up:03d}"
