"""The parametric thorax: what varies from person to person, and its outlines in centimeters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lucidray.datasets.phantom.draw import Random
from lucidray.datasets.phantom.frame import Curve


@dataclass(frozen=True)
class Body:
    """The proportions of one chest, in body centimeters (see `Frame`).

    Args:
        scale: Size as a share of a grown man's.
        child: 0 grown, 1 infant.
        female: Whether breasts are present.
        breast: Their thickness.
        length: From lung apex to the lateral costophrenic angle.
        width: Greatest half width of the inner chest.
        depth: Greatest half depth of the inner chest.
        heart_ratio: Cardiothoracic ratio wanted.
        heart_share: Share of the heart that lies left of the midline.
        knob: Half width of the aortic knob.
        wall: Thickness of muscle and rib at the side.
        fat: Thickness of the fat under the skin.
        dome_right: Height of the right dome's top as a share of `length`.
        dome_left: The same, left.
        arch: How much the domes rise above their angles; low is flat.
        shift: Displacement of the mediastinum to the patient's left.
        arms: How far the arms are from the trunk.
        scapula: How far the shoulder blades are turned off the lungs, 0 to 1.
        air: Density of the lungs relative to the usual.
        bone: Mineral density relative to the usual.
        vessels: Caliber of lung vessels relative to the usual.
        upper_flow: Caliber of the upper vessels relative to the lower.
        slope: How steeply the ribs run down, relative to the usual.
        stomach: Diameter of the gas bubble in the stomach.
        contour: Individual bulges: of the pulmonary trunk, the left ventricle, the right atrium
            and the upper mediastinum; standard scores.
    """

    scale: float = 1.0
    child: float = 0.0
    female: bool = False
    breast: float = 0.0
    length: float = 26.0
    width: float = 13.4
    depth: float = 8.6
    heart_ratio: float = 0.45
    heart_share: float = 0.66
    knob: float = 3.6
    wall: float = 1.9
    fat: float = 1.0
    dome_right: float = 0.83
    dome_left: float = 0.87
    arch: float = 1.0
    shift: float = 0.0
    arms: float = 0.5
    scapula: float = 0.8
    air: float = 1.0
    bone: float = 1.0
    vessels: float = 1.0
    upper_flow: float = 0.75
    slope: float = 1.0
    stomach: float = 4.0
    contour: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    @cached_property
    def lateral(self) -> Curve:
        """Half width of the inner chest at each height."""
        shares = [0.36, 0.40, 0.445, 0.52, 0.57, 0.635, 0.725, 0.82, 0.905, 0.965, 1.0, 1.0, 0.96]
        places = [0.0, 0.004, 0.013, 0.05, 0.09, 0.15, 0.24, 0.36, 0.50, 0.66, 0.82, 1.0, 1.2]
        lift = np.array(shares) ** (1.0 - 0.25 * self.child)
        return Curve(np.array(places) * self.length, lift * self.width)

    @cached_property
    def medial(self) -> Curve:
        """Distance of the mediastinal pleura from the midline at each height."""
        shares = [0.36, 0.31, 0.255, 0.19, 0.155, 0.14, 0.13, 0.13]
        places = [0.0, 0.004, 0.014, 0.035, 0.08, 0.15, 0.3, 1.5]
        return Curve(np.array(places) * self.length, np.array(shares) * self.width)

    @cached_property
    def half_depth(self) -> Curve:
        """Half depth of the inner chest at each height."""
        shares = [0.12, 0.30, 0.45, 0.66, 0.84, 0.97, 1.0, 0.98, 0.9]
        places = [0.0, 0.03, 0.08, 0.18, 0.32, 0.5, 0.7, 1.0, 1.5]
        return Curve(np.array(places) * self.length, np.array(shares) * self.depth)

    def _heart_scale(self) -> tuple[float, float]:
        wide = self.heart_ratio * 2 * self.width
        return wide * self.heart_share / 8.6, wide * (1 - self.heart_share) / 4.5

    @cached_property
    def left_border(self) -> Curve:
        """Left border of mediastinum and heart: subclavian, knob, pulmonary trunk, ventricle."""
        down = self.length / 26.0
        left, _ = self._heart_scale()
        y = np.array(
            [
                -4,
                0,
                3.0,
                5.2,
                6.2,
                7.2,
                8.3,
                9.2,
                10.3,
                11.4,
                12.8,
                14.5,
                16.5,
                18.5,
                20.3,
                21.8,
                23.0,
                24.5,
                26,
            ]
        )
        x = np.array(
            [
                1.9,
                2.0,
                2.05,
                2.4,
                3.2,
                3.5,
                3.1,
                2.6,
                3.0,
                3.6,
                4.4,
                5.6,
                7.1,
                8.2,
                8.6,
                8.3,
                7.4,
                5.2,
                2.0,
            ]
        )
        trunk, ventricle, _, upper = self.contour
        x[8:10] += 0.28 * trunk
        x[11:14] += np.array([0.25, 0.3, 0.15]) * ventricle
        x[:4] += 0.22 * upper
        share = np.array([0.25, 0.75, 1.0, 0.85, 0.45])
        x[3:8] *= share * (self.knob / 3.5) + 1 - share
        thymus = 1 + 0.55 * self.child * np.exp(-(((y - 6) / 3.5) ** 2))
        grow = np.clip((y - 9) / 6, 0, 1)
        rise = (self.dome_left - 0.87) * self.length * np.clip((y - 9) / 9, 0, 1)
        return Curve(y * down + rise, x * thymus * (1 + (left - 1) * grow))

    @cached_property
    def right_border(self) -> Curve:
        """Right border of mediastinum and heart: vena cava, atrium."""
        down = self.length / 26.0
        _, right = self._heart_scale()
        _, _, atrium, upper = self.contour
        y = np.array([-4, 0, 2, 5, 8, 10, 11.5, 13, 15, 17, 19, 20.5, 22, 24, 26])
        x = np.array([1.9, 1.9, 2.1, 2.4, 2.55, 2.7, 3.0, 3.6, 4.3, 4.5, 4.3, 3.9, 3.2, 2.5, 1.8])
        x[:6] += 0.2 * upper
        x[6:8] += 0.2 * atrium
        thymus = 1 + 0.5 * self.child * np.exp(-(((y - 5.5) / 3.5) ** 2))
        grow = np.clip((y - 9.5) / 5, 0, 1)
        rise = (self.dome_right - 0.83) * self.length * np.clip((y - 9) / 9, 0, 1)
        return Curve(y * down + rise, x * thymus * (1 + (right - 1) * grow))

    @cached_property
    def heart_depth(self) -> Curve:
        """Half depth of mediastinum and heart at each height."""
        down = self.length / 26.0
        grow = (self.heart_ratio / 0.45) ** 0.5
        y = np.array([-4, 0, 4, 8, 11, 14, 17, 20, 23, 26]) * down
        return Curve(y, np.array([3.0, 4.2, 5.6, 6.4, 6.6, 6.7, 6.8, 6.6, 6.0, 5.0]) * grow)

    def dome(self, side: int) -> Curve:
        """Height of the diaphragm against the distance from the midline.

        Args:
            side: -1 right, 1 left, of the patient.
        """
        top = (self.dome_right if side < 0 else self.dome_left) * self.length
        angle = self.length * (1.0 if side < 0 else 1.01)
        peak = (0.50 if side < 0 else 0.56) * self.width
        inner = top + 0.10 * self.length * min(self.arch, 1.2)
        sink = angle - top
        out = self.width * 0.985 - peak
        x = np.array(
            [
                0.0,
                peak * 0.35,
                peak * 0.7,
                peak,
                peak + 0.35 * out,
                peak + 0.65 * out,
                peak + 0.85 * out,
                peak + out,
                peak + out + 1.0,
            ]
        )
        drop = np.array([0.0, 0.0, 0.0, 0.0, 0.11, 0.38, 0.68, 1.0, 1.25]) * sink
        rise = np.array([1.0, 0.62, 0.14, 0, 0, 0, 0, 0, 0]) * (inner - top)
        return Curve(x, top + drop + rise)

    def shoulder(self) -> Curve:
        """Height of the skin over neck, shoulder and arm against the distance from the midline."""
        reach = (1.0 + 0.02 * self.fat) * (0.93 if self.female else 1.0)
        x = np.array([0.0, 4.8, 6.0, 7.6, 10.0, 13.0, 16.0, 18.6, 20.3, 21.6, 22.4]) * reach
        y = np.array([-9.0, -7.4, -5.8, -4.6, -3.6, -2.8, -1.9, -0.6, 2.0, 6.0, 12.0])
        return Curve(x, y - 0.25 * self.fat + 0.8 * self.child)


def grow(rng: Random, age: float, female: bool, view: str, habitus: float) -> Body:
    """Draw a body.

    Args:
        rng: Source of chance.
        age: Years.
        female: Sex.
        view: ``"PA"`` or ``"AP"``.
        habitus: Standard score of corpulence.
    """
    child = float(np.clip((15.0 - age) / 14.0, 0, 1))
    old = float(np.clip((age - 40) / 45, 0, 1))
    noise = np.clip(rng.standard_normal(24), -2.2, 2.2).tolist()
    size = float(np.interp(age, [0.5, 2, 6, 10, 14, 18], [0.42, 0.50, 0.64, 0.77, 0.93, 1.0]))
    size *= (0.92 if female and child < 0.3 else 1.0) * (1 + 0.03 * noise[0])
    length = 26.0 * (1 + 0.065 * noise[1]) * (1 - 0.10 * child) * (1 - 0.03 * max(habitus, 0))
    width = 13.3 * (1 + 0.05 * noise[2]) * (1 + 0.02 * habitus)
    body = Body(
        scale=size,
        child=child,
        female=female and age > 12,
        breast=max(0.0, 3.0 + 0.9 * noise[3] + 1.0 * habitus)
        * float(np.clip((age - 11) / 5, 0, 1)),
        length=length,
        width=width,
        depth=8.6 * (1 + 0.05 * noise[4] + 0.05 * habitus + 0.06 * old),
        heart_ratio=float(
            np.clip(
                0.435 + 0.025 * noise[5] + 0.015 * habitus + 0.02 * old + 0.05 * child, 0.36, 0.49
            )
        ),
        heart_share=float(np.clip(0.66 + 0.03 * noise[6], 0.56, 0.74)),
        knob=3.1 + 0.9 * old + 0.3 * noise[7] - 0.6 * child,
        wall=1.9 + 0.15 * noise[8],
        fat=float(np.clip(1.0 + 0.75 * habitus, 0.3, 4.0)),
        dome_right=0.835 + 0.02 * noise[9] - 0.008 * habitus,
        dome_left=0.872 + 0.018 * noise[10] - 0.008 * habitus,
        arch=1.0,
        arms=float(np.clip(0.5 + 0.3 * noise[11], 0, 1.2)),
        scapula=float(np.clip(0.8 + 0.15 * noise[12], 0.3, 1.0)),
        air=1 + 0.08 * noise[13],
        bone=(1 + 0.08 * noise[14]) * (1 - 0.25 * old) * (1 - 0.12 * child),
        vessels=1 + 0.08 * noise[15],
        upper_flow=0.75 + 0.05 * noise[16],
        slope=(1 + 0.13 * noise[17]) * (1 - 0.35 * child),
        shift=0.35 * noise[23],
        contour=(noise[19], noise[20], noise[21], noise[22]),
        stomach=float(np.clip(4.0 + 1.3 * noise[18], 0.0, 7.0)),
    )
    return _recline(body, noise[16:]) if view == "AP" else body


def _recline(body: Body, noise: list[float]) -> Body:
    """Return the body as an antero-posterior film shows it: lying or sitting, less breath."""
    return replace(
        body,
        length=body.length * (0.92 + 0.02 * noise[0]),
        heart_ratio=float(np.clip(body.heart_ratio * (1.08 + 0.02 * noise[1]), 0.38, 0.515)),
        dome_right=body.dome_right - 0.025,
        dome_left=body.dome_left - 0.025,
        scapula=float(np.clip(0.25 + 0.2 * noise[2], 0.0, 0.7)),
        upper_flow=0.95,
        air=body.air * 1.12,
        arms=body.arms * 0.5,
    )
