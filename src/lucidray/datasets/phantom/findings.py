"""The fourteen findings: what each does to the body as a whole, and what it draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from lucidray.datasets.phantom import opacities, spaces
from lucidray.datasets.phantom.body import Body
from lucidray.datasets.phantom.case import stream
from lucidray.datasets.phantom.config import FINDINGS
from lucidray.datasets.phantom.scene import Drawer, Scene, Sign

#: How each finding is drawn, in the order of drawing.
DRAWERS: Mapping[str, Drawer] = MappingProxyType(
    {
        "Cardiomegaly": spaces.cardiomegaly,
        "Emphysema": spaces.emphysema,
        "Fibrosis": opacities.fibrosis,
        "Edema": opacities.edema,
        "Infiltration": opacities.infiltration,
        "Pneumonia": opacities.pneumonia,
        "Consolidation": opacities.consolidation,
        "Atelectasis": spaces.atelectasis,
        "Nodule": opacities.nodule,
        "Mass": opacities.mass,
        "Hernia": spaces.hernia,
        "Pleural_Thickening": spaces.pleural_thickening,
        "Pneumothorax": spaces.pneumothorax,
        "Effusion": spaces.effusion,
    }
)

#: How likely a finding is on both sides at once; the rest is right or left.
_BOTH: Mapping[str, float] = MappingProxyType(
    {
        "Effusion": 0.30,
        "Infiltration": 0.45,
        "Atelectasis": 0.25,
        "Pleural_Thickening": 0.2,
        "Consolidation": 0.15,
        "Pneumonia": 0.08,
        "Nodule": 1.0,
    }
)


def signs(seed: int, index: int, severities: Mapping[str, float]) -> list[Sign]:
    """Give each finding present its side and its own source of chance.

    Each is independent of the others, so that a finding looks the same whatever keeps it company.
    """
    found = []
    for finding in DRAWERS:
        if severities.get(finding, 0) > 0:
            rng = stream(seed, index, finding)
            both = rng.random() < _BOTH.get(finding, 0.0)
            side = (-1, 1)[int(rng.random() < 0.47)]
            found.append(Sign(finding, float(severities[finding]), 0 if both else side, rng))
    return found


def reshape(body: Body, present: list[Sign]) -> Body:
    """Return the body as the findings have changed its proportions."""
    for sign in present:
        change = _RESHAPES.get(sign.finding)
        body = change(body, sign) if change else body
    return body


def _bigger_heart(body: Body, sign: Sign) -> Body:
    return replace(body, heart_ratio=max(0.535 + 0.15 * sign.severity, body.heart_ratio + 0.06))


def _overinflated(body: Body, sign: Sign) -> Body:
    s = sign.severity
    return replace(
        body,
        length=body.length * (1 + 0.07 * s),
        depth=body.depth * (1 + 0.12 * s),
        dome_right=min(body.dome_right + 0.07 * s, 0.94),
        dome_left=min(body.dome_left + 0.06 * s, 0.95),
        heart_ratio=body.heart_ratio * (1 - 0.12 * s),
        vessels=body.vessels * (1 - 0.2 * s),
        slope=body.slope * (1 - 0.2 * s),
    )


def _congested(body: Body, sign: Sign) -> Body:
    return replace(
        body,
        vessels=body.vessels * (1 + 0.22 * sign.severity),
        upper_flow=max(body.upper_flow, 0.9) + 0.25 * sign.severity,
    )


def _shrunken(body: Body, sign: Sign) -> Body:
    return replace(body, length=body.length * (1 - 0.07 * sign.severity))


def _pulled(body: Body, sign: Sign) -> Body:
    rise = 0.055 * sign.severity
    return replace(
        body,
        dome_right=body.dome_right - (rise if sign.side <= 0 else 0.0),
        dome_left=body.dome_left - (rise if sign.side >= 0 else 0.0),
        shift=body.shift + 0.8 * sign.side * sign.severity**2,
    )


def _pushed(body: Body, sign: Sign) -> Body:
    return replace(
        body, shift=float(np.clip(body.shift - 0.9 * sign.side * sign.severity**3, -1.5, 1.5))
    )


_RESHAPES = MappingProxyType(
    {
        "Cardiomegaly": _bigger_heart,
        "Emphysema": _overinflated,
        "Edema": _congested,
        "Fibrosis": _shrunken,
        "Atelectasis": _pulled,
        "Effusion": _pushed,
        "Pneumothorax": _pushed,
    }
)


def draw(scene: Scene, present: list[Sign]) -> None:
    """Draw what is present into a scene."""
    for sign in present:
        DRAWERS[sign.finding](scene, sign)


__all__ = ["DRAWERS", "FINDINGS", "draw", "reshape", "signs"]
