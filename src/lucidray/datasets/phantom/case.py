"""Who is examined, from what side, and with which findings: all drawn from seed and number."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri

from lucidray.datasets.phantom.config import FINDINGS, Patient, PhantomConfig
from lucidray.datasets.phantom.draw import Random

_BLOCK = 64  # images whose patients are dealt out together


@dataclass(frozen=True)
class Case:
    """One examination before anything is drawn.

    Args:
        patient: Who.
        view_position: PA or AP.
        habitus: Standard score of corpulence.
        severities: Severity in (0, 1] of each finding present.
        shortcut: Whether the planted tag is shown.
    """

    patient: Patient
    view_position: Literal["PA", "AP"]
    habitus: float
    severities: Mapping[str, float]
    shortcut: bool


def stream(seed: int, number: int, name: str) -> Random:
    """Return the source of chance for one purpose, independent of all others.

    Args:
        seed: The series' seed.
        number: The image's or the patient's number.
        name: The purpose.
    """
    return np.random.default_rng([seed, number, zlib.crc32(name.encode())])


def patient_of(seed: int, index: int, images_per_patient: float) -> tuple[int, int]:
    """Return an image's patient number (from 1) and how many images of them came before."""
    block, place = divmod(index, _BLOCK)
    order = 0
    for size in _deal(seed, block, images_per_patient):
        if place < size:
            break
        place -= size
        order += 1
    return block * _BLOCK + order + 1, place


@lru_cache(maxsize=64)
def _deal(seed: int, block: int, mean: float) -> tuple[int, ...]:
    rng = stream(seed, block, "patients")
    drawn = rng.geometric(1 / mean, _BLOCK) if mean > 1 else np.ones(_BLOCK, int)
    sizes, left = [], _BLOCK
    for size in drawn:
        sizes.append(min(int(size), left))
        left -= sizes[-1]
        if left == 0:
            break
    return tuple(sizes)


def draw_case(seed: int, index: int, config: PhantomConfig) -> Case:
    """Draw one examination.

    Args:
        seed: The series' seed.
        index: The image's number.
        config: What the phantoms are to be like.
    """
    number, follow_up = patient_of(seed, index, config.images_per_patient)
    who = stream(seed, number, "patient")
    sex: Literal["F", "M"] = "F" if who.random() < config.female_share else "M"
    young = who.random() < config.child_share
    age = who.uniform(1, 16) if young else 16 + 79 * who.beta(2.1, 2.9)
    habitus = float(np.clip(who.standard_normal(), -2, 2.5))
    now = stream(seed, index, "case")
    age = min(int(age + follow_up * who.uniform(0, 0.6)), 95)
    illness = float(now.standard_normal())
    view: Literal["PA", "AP"] = "AP" if illness > _threshold(config.ap_share) else "PA"
    severities = _findings(stream(seed, number, "findings"), now, illness, config)
    if age < 16:
        severities = {k: v for k, v in severities.items() if k not in _GROWN_ONLY}
    tag = _tag(now, severities, config)
    patient = Patient(number, follow_up, age, sex)
    return Case(patient, view, habitus, MappingProxyType(severities), tag)


def _threshold(share: float) -> float:
    return float(ndtri(1 - share)) if 0 < share < 1 else math.inf * (1 if share <= 0 else -1)


_GROWN_ONLY = frozenset({"Emphysema", "Fibrosis", "Hernia", "Mass", "Pleural_Thickening"})

#: Loadings on illness of the moment, fluid, infection, chronic lung disease and tumor; then how
#: much of the rest stays with the patient.
_LOADINGS: Mapping[str, tuple[float, float, float, float, float, float]] = MappingProxyType(
    {
        "Atelectasis": (0.20, 0.40, 0.10, 0.0, 0.0, 0.5),
        "Cardiomegaly": (0.10, 0.45, 0.0, 0.0, 0.0, 0.95),
        "Consolidation": (0.35, 0.25, 0.45, 0.0, 0.0, 0.3),
        "Edema": (0.50, 0.55, 0.10, 0.0, 0.0, 0.3),
        "Effusion": (0.25, 0.55, 0.15, 0.0, 0.15, 0.5),
        "Emphysema": (0.0, 0.0, 0.0, 0.55, 0.0, 0.95),
        "Fibrosis": (0.0, 0.0, 0.0, 0.45, 0.0, 0.95),
        "Hernia": (0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
        "Infiltration": (0.25, 0.10, 0.40, 0.0, 0.0, 0.3),
        "Mass": (0.0, 0.0, 0.0, 0.10, 0.50, 0.9),
        "Nodule": (0.0, 0.0, 0.0, 0.10, 0.50, 0.9),
        "Pleural_Thickening": (0.0, 0.10, 0.0, 0.45, 0.15, 0.9),
        "Pneumonia": (0.20, 0.10, 0.60, 0.0, 0.0, 0.2),
        "Pneumothorax": (0.15, 0.0, 0.0, 0.30, 0.10, 0.4),
    }
)


def _findings(
    lasting: Random, now: Random, illness: float, config: PhantomConfig
) -> dict[str, float]:
    """Draw severities from a latent normal liability each, so that findings keep company."""
    chronic, tumor = lasting.standard_normal(2)
    stays = lasting.standard_normal(len(FINDINGS))
    fluid, infection = now.standard_normal(2)
    passes = now.standard_normal(len(FINDINGS))
    factors = np.array([illness, fluid, infection, chronic, tumor])
    severities = {}
    for place, finding in enumerate(FINDINGS):
        prevalence = config.prevalence(finding)
        *loadings, kept = _LOADINGS[finding]
        own = math.sqrt(kept) * stays[place] + math.sqrt(1 - kept) * passes[place]
        rest = math.sqrt(1 - sum(value * value for value in loadings))
        above = float(ndtr(-(float(np.dot(loadings, factors)) + rest * own)))
        if above < prevalence or prevalence >= 1:
            worst = config.severest - config.mildest
            severities[finding] = float(config.severest - worst * min(above / prevalence, 1.0))
    return severities


def _tag(now: Random, severities: Mapping[str, float], config: PhantomConfig) -> bool:
    chance = now.random(2)
    if config.shortcut is None:
        return False
    if chance[0] < config.shortcut_strength:
        return config.shortcut in severities
    return bool(chance[1] < config.prevalence(config.shortcut))
