"""Draw what is no chest film: limbs, joints, hands, skulls, pelves, slices and other radiographs.

Crude on purpose: a gate has to learn what a chest film is, not what everything else looks like, so
the drawings are many and varied rather than true. Each takes a generator of random numbers and a
side in pixels and gives float32 ``(side, side)``, about 0 to 1, bright bone.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lucidray.records import Float32

Random = np.random.Generator
Array = npt.NDArray[np.float64]
Drawing = Callable[[Random, int], Float32]

#: By name: every part of the body that can be drawn.
BODY_PARTS: dict[str, Drawing] = {}


def _part(drawing: Callable[[Random, Array, Array], Array]) -> Callable[[Random, int], Float32]:
    """Register a drawing made on coordinates ``x`` and ``y`` from -1 to 1, turned at random."""

    def draw(rng: Random, side: int) -> Float32:
        y, x = np.mgrid[0:side, 0:side] / (side / 2) - 1 + 1 / side
        angle = rng.choice([0, 0, np.pi / 2, np.pi]) + rng.normal(0, 0.25)
        zoom, aspect = np.exp(rng.uniform(-0.35, 0.8)), rng.uniform(0.75, 1.33)
        turned_x = (np.cos(angle) * x + np.sin(angle) * y) / zoom * aspect + rng.normal(0, 0.12)
        turned_y = (np.cos(angle) * y - np.sin(angle) * x) / zoom + rng.normal(0, 0.12)
        return drawing(rng, turned_x, turned_y).astype(np.float32)

    draw.__name__ = draw.__qualname__ = drawing.__name__
    draw.__doc__ = drawing.__doc__
    BODY_PARTS[drawing.__name__] = draw
    return draw


@_part
def limb(rng: Random, x: Array, y: Array) -> Array:
    """One or two long bones with wider ends in a soft-tissue sleeve."""
    bones = rng.integers(1, 3)
    offset = rng.uniform(0.1, 0.2) if bones == 2 else 0.0
    flesh = _sleeve(rng, x, y, offset + rng.uniform(0.18, 0.4))
    bright = np.zeros_like(x)
    for side in (-1, 1)[:bones]:
        width = rng.uniform(0.06, 0.13)
        bright = np.maximum(bright, _long_bone(rng, x - side * offset, y, width))
    return _exposed(rng, x, flesh, bright)


@_part
def joint(rng: Random, x: Array, y: Array) -> Array:
    """Two bones that meet: knee, elbow, ankle, shoulder; straight or bent."""
    bend = rng.uniform(0, 1.2) * rng.integers(0, 2)
    lower_x, lower_y = _turned(x, y, bend)
    flesh = np.maximum(
        _sleeve(rng, x, y, rng.uniform(0.3, 0.55)) * (y < 0.1),
        _sleeve(rng, lower_x, lower_y, rng.uniform(0.3, 0.55)) * (lower_y > -0.1),
    )
    gap = rng.uniform(0.01, 0.05)
    upper = _half_bone(rng, x, -y - gap, rng.uniform(0.14, 0.22))
    lower = _half_bone(rng, lower_x, lower_y - gap, rng.uniform(0.14, 0.22))
    beside = _half_bone(rng, lower_x - 0.25, lower_y - 0.1, 0.06) * rng.integers(0, 2)
    kneecap = 0.5 * _ellipse(x, y, 0, -0.1, 0.12, 0.14) * rng.integers(0, 2)
    bright = np.maximum(np.maximum(upper, lower), np.maximum(beside, kneecap))
    return _exposed(rng, x, flesh, bright)


@_part
def hand(rng: Random, x: Array, y: Array) -> Array:
    """Rays of short bones from a block of small ones: hand or foot."""
    fingers = rng.integers(4, 6)
    spread = rng.uniform(0.1, 0.5)
    flesh = _ellipse(x, y, 0, 0.35, rng.uniform(0.3, 0.45), rng.uniform(0.35, 0.55))
    bright = np.zeros_like(x)
    for ray in np.linspace(-1, 1, fingers):
        at_x, at_y = _turned(x, y - 0.5, ray * spread)
        at_x = at_x - ray * rng.uniform(0.16, 0.24)
        long = rng.uniform(0.9, 1.3)
        finger = _smooth(0.085 - np.abs(at_x), 0.015) * _smooth(at_y + long, 0.03) * (at_y < 0.1)
        flesh = np.maximum(flesh, finger)
        ends = -np.array([0.05, 0.45, 0.7, 0.88, 1.0]) * long
        for start, end in pairwise(ends.tolist()):
            middle, half = (start + end) / 2, (start - end) / 2 - 0.012
            along = (at_y - middle) / half
            width = rng.uniform(0.03, 0.045) * (0.75 + 0.4 * along**2)
            bone = _smooth(width - np.abs(at_x), 0.008) * _smooth(1 - np.abs(along), 0.08)
            bright = np.maximum(bright, bone * (0.75 + 0.25 * (np.abs(at_x) > 0.6 * width)))
    for _ in range(rng.integers(4, 9)):
        place = rng.uniform((-0.2, 0.5), (0.2, 0.75))
        bright = np.maximum(bright, 0.8 * _ellipse(x, y, *place, *rng.uniform(0.06, 0.12, 2)))
    for side in (-1, 1):
        bright = np.maximum(bright, _half_bone(rng, x - side * 0.13, y - 0.72, 0.09))
    flesh = np.maximum(flesh, _smooth(0.3 - np.abs(x), 0.03) * (y > 0.5))
    return _exposed(rng, x, flesh, bright)


@_part
def skull(rng: Random, x: Array, y: Array) -> Array:
    """A bright ring with orbits, nose and teeth."""
    wide, high = rng.uniform(0.55, 0.8), rng.uniform(0.65, 0.9)
    radius = np.hypot(x / wide, (y + 0.1) / high)
    vault = _smooth(1 - radius, 0.03) * rng.uniform(0.35, 0.6)
    ring = np.exp(-(((radius - 0.95) / rng.uniform(0.03, 0.08)) ** 2))
    image = vault + rng.uniform(0.3, 0.6) * ring
    eye_y, eye_x = rng.uniform(0.05, 0.25), rng.uniform(0.2, 0.32)
    for side in (-1, 1):
        hole = _ellipse(x, y, side * eye_x, eye_y, rng.uniform(0.12, 0.2), rng.uniform(0.1, 0.18))
        rim = np.abs(np.gradient(hole, axis=0)) + np.abs(np.gradient(hole, axis=1))
        image += 1.5 * rim - rng.uniform(0.1, 0.3) * hole
    image -= 0.25 * _ellipse(x, y, 0, eye_y + 0.25, 0.08, 0.15)
    jaw = _ellipse(x, y, 0, 0.65, 0.4, rng.uniform(0.2, 0.35)) * (y > 0.35)
    teeth = (np.sin(x * rng.uniform(35, 55)) > -0.3) * _ellipse(x, y, 0, 0.6, 0.28, 0.1)
    return np.maximum(image, 0.45 * jaw) + 0.35 * teeth


@_part
def pelvis(rng: Random, x: Array, y: Array) -> Array:
    """Two wings, a basin, hip joints; soft tissue all around."""
    image = rng.uniform(0.2, 0.5) * _smooth(1.05 - np.abs(x), 0.1) * np.ones_like(y)
    tilt = rng.uniform(0.3, 0.7)
    for side in (-1, 1):
        wing_x, wing_y = _turned(x - side * 0.5, y + 0.25, side * tilt)
        wing = _ellipse(wing_x, wing_y, 0, 0, rng.uniform(0.22, 0.3), rng.uniform(0.35, 0.48))
        image += 0.25 * wing + 0.2 * _edge(wing)
        ball = _ellipse(x, y, side * 0.6, 0.3, 0.16, 0.16)
        shaft_x, shaft_y = _turned(x - side * 0.72, y - 0.45, -side * 0.1)
        shaft = _smooth(0.12 - np.abs(shaft_x), 0.02) * (shaft_y > -0.1)
        hole = _ellipse(x, y, side * 0.22, 0.55, 0.14, 0.1)
        image += 0.3 * np.maximum(ball, shaft) - 0.2 * hole + 0.2 * _edge(hole)
    spine = _vertebrae(rng, x, y, 0.16) * (y < -0.05)
    return image + 0.3 * spine + 0.2 * _ellipse(x, y, 0, 0.0, 0.2, 0.25)


@_part
def spine(rng: Random, x: Array, y: Array) -> Array:
    """A column of vertebrae from the front or the side, no lungs beside it."""
    bent = x + rng.uniform(-0.25, 0.25) * np.sin(y * rng.uniform(0.8, 2) + rng.uniform(0, 6))
    around = rng.uniform(0.15, 0.5) * _smooth(rng.uniform(0.5, 1.2) - np.abs(bent), 0.2)
    wide = rng.uniform(0.14, 0.3)
    shade = around * (1 + 0.3 * np.sin(rng.uniform(1, 3) * x + 2 * y))
    return shade + rng.uniform(0.2, 0.5) * _vertebrae(rng, bent, y, wide)


@_part
def brain_slice(rng: Random, x: Array, y: Array) -> Array:
    """An oval with a bright or dark rim, grey folds and dark ventricles on black."""
    wide, high = rng.uniform(0.55, 0.85), rng.uniform(0.65, 0.95)
    radius = np.hypot(x / wide, y / high)
    inside = _smooth(0.88 - radius, 0.02)
    scalp = np.exp(-(((radius - 0.97) / rng.uniform(0.015, 0.05)) ** 2))
    folds = _cloud(rng, len(x), rng.uniform(0.02, 0.06))
    image = inside * (rng.uniform(0.25, 0.55) + rng.uniform(0.03, 0.12) * folds)
    image += rng.uniform(0, 0.8) * scalp
    for side in (-1, 1):
        horn_x, horn_y = _turned(x - side * 0.1, y, side * rng.uniform(0.1, 0.5))
        horn = _ellipse(horn_x, horn_y, 0, 0, rng.uniform(0.03, 0.09), rng.uniform(0.12, 0.35))
        image += rng.uniform(-0.35, 0.3) * horn
    image -= 0.15 * np.exp(-((x / 0.015) ** 2)) * inside
    if rng.random() < 0.4:
        place = rng.uniform(-0.4, 0.4, 2)
        image += rng.uniform(-0.2, 0.5) * _ellipse(x, y, *place, *rng.uniform(0.05, 0.25, 2))
    return image


@_part
def body_slice(rng: Random, x: Array, y: Array) -> Array:
    """A transverse slice of the trunk: an oval with organs, a vertebra, perhaps two lungs."""
    wide, high = rng.uniform(0.75, 0.95), rng.uniform(0.5, 0.75)
    radius = np.hypot(x / wide, y / high)
    image = _smooth(1 - radius, 0.02) * rng.uniform(0.3, 0.6)
    image -= 0.15 * np.exp(-(((radius - 0.93) / 0.05) ** 2))
    lungs = rng.random() < 0.5
    for _ in range(2 if lungs else rng.integers(3, 9)):
        place = rng.uniform((-0.5, -0.3), (0.5, 0.3))
        image += rng.uniform(-0.2, 0.3) * _ellipse(x, y, *place, *rng.uniform(0.06, 0.25, 2))
    for side in (-1, 1):
        hole = _ellipse(x, y, side * 0.42, -0.02, rng.uniform(0.2, 0.28), rng.uniform(0.25, 0.4))
        image = image * (1 - hole * (0.85 if lungs else 0))
    return image + 0.5 * _ellipse(x, y, 0, 0.38, 0.12, 0.1) * (radius < 1)


@_part
def breast(rng: Random, x: Array, y: Array) -> Array:
    """A bright half oval that begins at one edge, with strands, on black."""
    wide, high = rng.uniform(0.8, 1.4), rng.uniform(0.5, 0.9)
    radius = np.hypot((x + 1) / wide, y / high)
    inside = _smooth(1 - radius, 0.03)
    strands = _cloud(rng, len(x), rng.uniform(0.02, 0.08))
    image = inside * (rng.uniform(0.2, 0.5) + 0.15 * strands * _smooth(0.8 - radius, 0.2))
    muscle = _smooth(-(x + 1) + 0.4 - 0.4 * (y + 1), 0.03) * rng.integers(0, 2)
    return np.maximum(image, 0.7 * muscle)


@_part
def abdomen(rng: Random, x: Array, y: Array) -> Array:
    """A grey trunk with a spine and dark bowel gas."""
    image = rng.uniform(0.3, 0.6) * _smooth(rng.uniform(0.8, 1.2) - np.abs(x), 0.08)
    image += rng.uniform(0.15, 0.35) * _vertebrae(rng, x, y, rng.uniform(0.12, 0.2))
    for _ in range(rng.integers(3, 14)):
        place = rng.uniform((-0.7, -0.6), (0.7, 0.8))
        gas_x, gas_y = _turned(x - place[0], y - place[1], rng.uniform(0, np.pi))
        gas = _ellipse(gas_x, gas_y, 0, 0, rng.uniform(0.04, 0.12), rng.uniform(0.06, 0.25))
        image -= rng.uniform(0.05, 0.25) * gas * (image > 0.1)
    for side in (-1, 1):
        wing = _ellipse(x, y, side * 0.6, 0.9, 0.35, 0.35)
        image += 0.15 * wing + 0.1 * _edge(wing)
    return image


@_part
def fan(rng: Random, x: Array, y: Array) -> Array:
    """A sector of speckle: ultrasound."""
    depth, angle = np.hypot(x, y + 1), np.arctan2(x, y + 1)
    inside = (np.abs(angle) < rng.uniform(0.4, 0.9)) & (depth < 1.85) & (depth > 0.2)
    speckle = rng.rayleigh(0.5, x.shape) * (0.6 + 0.4 * _cloud(rng, len(x), 0.12))
    smooth = ndimage.gaussian_filter(speckle, rng.uniform(0.7, 2.5))
    holes = sum(
        _ellipse(x, y, *rng.uniform(-0.5, 0.5, 2), *rng.uniform(0.05, 0.35, 2))
        for _ in range(rng.integers(1, 4))
    )
    return np.asarray(inside * smooth * np.clip(1 - 0.8 * holes, 0, 1) * rng.uniform(0.5, 1))


@_part
def teeth(rng: Random, x: Array, y: Array) -> Array:
    """Two rows of teeth along an arc: a dental panorama."""
    bow = y - rng.uniform(-0.4, 0.4) * x**2
    image = rng.uniform(0.2, 0.45) * np.ones_like(x) * _smooth(0.8 - np.abs(y), 0.2)
    pitch = rng.uniform(14, 28)
    for side in (-1, 1):
        along = (side * bow - 0.05) / rng.uniform(0.25, 0.4)
        wide = 0.9 - 0.5 * np.clip(along, 0, 1)
        tooth = (np.abs(np.mod(x * pitch, 2) - 1) < wide) & (along > 0) & (along < 1)
        image += 0.4 * ndimage.gaussian_filter(tooth.astype(float), 1) * (np.abs(x) < 0.85)
    return image


def _turned(x: Array, y: Array, angle: float) -> tuple[Array, Array]:
    return np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x


def _smooth(distance: Array, width: float) -> Array:
    """Step from 0 outside (below 0) to 1 inside."""
    return 1 / (1 + np.exp(-np.clip(4 * distance / width, -30, 30)))


def _ellipse(x: Array, y: Array, at_x: float, at_y: float, wide: float, high: float) -> Array:
    radius = np.hypot((x - at_x) / wide, (y - at_y) / high)
    return _smooth((1 - radius) * min(wide, high), 0.04)


def _edge(shape: Array) -> Array:
    """A rim of about 1 where a shape ends."""
    return 4 * shape * (1 - shape)


def _sleeve(rng: Random, x: Array, y: Array, width: float) -> Array:
    swell = 1 + rng.uniform(0, 0.3) * np.sin(rng.uniform(1, 4) * y + rng.uniform(0, 6))
    taper = 1 + rng.uniform(-0.25, 0.25) * y
    inside = 1 - np.abs(x) / (width * swell * taper)
    return _smooth(inside, 0.05) * np.sqrt(np.clip(inside, 0, 1) + 0.15)


def _long_bone(rng: Random, x: Array, y: Array, width: float) -> Array:
    reach = rng.uniform(0.7, 1.6)
    flare = 1 + rng.uniform(0.3, 1) * (np.abs(y) / reach) ** rng.integers(4, 9)
    across = np.abs(x + rng.uniform(-0.1, 0.1) * y**2) / (width * np.minimum(flare, 2.5))
    return _tube(rng, across) * _smooth(reach - np.abs(y), 0.06)


def _half_bone(rng: Random, x: Array, y: Array, width: float) -> Array:
    """A bone from y = 0 on, widest there."""
    flare = 1 + rng.uniform(0.4, 1) * np.exp(-np.clip(y, 0, 9) / rng.uniform(0.12, 0.25))
    across = np.abs(x) / (width * flare)
    cut = y - 0.05 * np.sin(across * 4)
    return _tube(rng, across) * _smooth(cut, 0.03)


def _tube(rng: Random, across: Array) -> Array:
    """Brightness over a bone: thick walls, a marrow that is less dense."""
    marrow = rng.uniform(0.4, 0.9)
    wall = np.clip((across - 0.5) / 0.4, 0, 1)
    return _smooth(1 - across, 0.1) * (marrow + (1 - marrow) * wall)


def _vertebrae(rng: Random, x: Array, y: Array, wide: float) -> Array:
    pitch = rng.uniform(0.18, 0.35)
    along = np.abs(np.mod(y / pitch + rng.uniform(), 1) - 0.5)
    waist = wide * (1 - 0.15 * np.cos(2 * np.pi * along))
    disc = _smooth(0.42 - along, 0.05)
    return _smooth(waist - np.abs(x), 0.03) * (0.5 + 0.5 * disc)


def _cloud(rng: Random, side: int, size: float) -> Array:
    """Smooth noise of deviation 1."""
    noise = ndimage.gaussian_filter(rng.normal(size=(side, side)), size * side, mode="wrap")
    deviation: float = noise.std()
    return np.asarray(noise / deviation)


def _exposed(rng: Random, x: Array, flesh: Array, bone: Array) -> Array:
    """Add flesh and bone as a film shows them, and what the beam's shutters left white."""
    soft, hard = rng.uniform(0.1, 0.65), rng.uniform(0.15, 0.75)
    grain = 1 + 0.08 * _cloud(rng, len(flesh), 0.01)
    image = rng.uniform(0, 0.08) + soft * flesh + hard * bone * grain
    if rng.random() < 0.6:
        return image
    beside = np.where(x > 0, x - rng.uniform(0.3, 1), -x - rng.uniform(0.3, 1))
    white = _smooth(beside, rng.uniform(0.02, 0.4))
    return image + white * (rng.uniform(0.5, 1) - image)
