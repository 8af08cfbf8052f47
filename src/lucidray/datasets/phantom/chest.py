"""Path lengths of a beam through the soft parts of the chest: trunk, lungs, heart, diaphragm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lucidray.datasets.phantom import physics
from lucidray.datasets.phantom.body import Body
from lucidray.datasets.phantom.draw import Random, texture
from lucidray.datasets.phantom.frame import Frame, Window, enlarge, index, ramp
from lucidray.records import Bool, Float32


@dataclass(frozen=True)
class Lung:
    """One lung on its window of the image.

    Args:
        side: -1 right, 1 left, of the patient.
        window: Where it lies.
        x: float32 ``(h, w)``, distance from the midline in body centimeters, positive outward.
        y: float32 ``(h, w)``, body centimeters below the apex.
        air: float32 ``(h, w)``, path through the lung, cm.
        cavity: float32 ``(h, w)``, path through the half chest before heart and liver take
            their share, cm.
        inside: bool ``(h, w)``, the lung field: beside the heart and above the dome.
        share: float32 ``(h, w)``, place from mediastinum (0) to chest wall (1).
        base: float32 ``(h, w)``, centimeters above the dome.
        span: ``y`` of the dome's top.
    """

    side: int
    window: Window
    x: Float32
    y: Float32
    air: Float32
    cavity: Float32
    inside: Bool
    share: Float32
    base: Float32
    span: float


@dataclass(frozen=True)
class Chest:
    """A body on a frame.

    Args:
        body: Its proportions.
        frame: The exposure's geometry.
        x: float32 ``(N, N)``, body centimeters.
        y: float32 ``(N, N)``, body centimeters.
        right: The right lung.
        left: The left lung.
        heart: bool ``(N, N)``, the heart's shadow above the domes.
    """

    body: Body
    frame: Frame
    x: Float32
    y: Float32
    right: Lung
    left: Lung
    heart: Bool

    def lungs(self) -> tuple[Lung, Lung]:
        """Return the right and the left lung."""
        return self.right, self.left

    def lung(self, side: int) -> Lung:
        """Return one lung; -1 right, 1 left."""
        return self.right if side < 0 else self.left


def build(body: Body, frame: Frame) -> Chest:
    """Lay out lungs, heart and diaphragm on the image."""
    x, y = frame.grid()
    places = index(y)
    right = _lung(body, frame, x, y, places, -1)
    left = _lung(body, frame, x, y, places, 1)
    heart = _heart(body, frame, x, y, places, (right, left))
    return Chest(body, frame, x, y, right, left, heart)


def _lung(
    body: Body,
    frame: Frame,
    x: Float32,
    y: Float32,
    places: np.ndarray[tuple[int, int], np.dtype[np.intp]],
    side: int,
) -> Lung:
    edges = sorted((side * 0.6, side * (body.width + 0.6)))
    window = frame.window(edges[0], edges[1], -0.4, body.length * 1.1)
    wx, wy, wi = x[window] * np.float32(side), y[window], places[window]
    outer, inner = body.lateral.table[wi], body.medial.table[wi]
    deep = body.half_depth.table[wi]
    width = np.maximum(outer - inner, np.float32(1e-3))
    share = (wx - inner) / width
    cavity = _across(share) * (2 * deep)
    cavity *= wy > 0
    heart = _heart_path(body, wx - np.float32(side * body.shift), wi, side)
    base = body.dome(side)(wx) - wy
    # Behind and before the dome the sulci reach lower, and their air thins out.
    reach = np.clip(np.float32(1.06 * body.length) - (wy + base), 0.5, 4.5)
    covered = np.sqrt(np.clip(-base / reach, 0, 1))
    # The lung keeps a rim before and behind the heart.
    air = np.maximum(cavity - heart, 0.11 * cavity)
    air *= 1 - covered
    inside = (base > 0) & (heart < 0.5) & (cavity > 0.6)
    return Lung(
        side,
        window,
        wx,
        wy,
        air,
        cavity,
        inside,
        np.clip(share, 0, 1),
        base,
        (body.dome_right if side < 0 else body.dome_left) * body.length,
    )


def _across(share: Float32) -> Float32:
    """Return the profile from mediastinum to chest wall: a wall-like start, a round end."""
    outer = np.clip((share - np.float32(0.38)) * np.float32(1 / 0.62), 0, 1)
    inner = np.clip((np.float32(0.38) - share) * np.float32(1 / 0.38), 0, 1)
    outer *= outer
    inner *= inner * inner
    profile: Float32 = np.sqrt(np.clip(1 - outer, 0, 1))
    profile *= 1 - inner
    return profile


def _heart_path(
    body: Body, x: Float32, places: np.ndarray[tuple[int, int], np.dtype[np.intp]], side: int
) -> Float32:
    """Return the path through mediastinum and heart; ``x`` grows toward ``side``."""
    right, left = body.right_border.table, body.left_border.table
    own, other = (right, left) if side < 0 else (left, right)
    middle, half = (own - other) / 2, (own + other) / 2
    off = (x - middle[places]) / half[places]
    path = np.sqrt(np.clip(1 - off * off, 0, 1))
    path *= (2 * body.heart_depth.table)[places]
    return path


def _heart(
    body: Body,
    frame: Frame,
    x: Float32,
    y: Float32,
    places: np.ndarray[tuple[int, int], np.dtype[np.intp]],
    lungs: tuple[Lung, Lung],
) -> Bool:
    top = 0.36 * body.length
    heart = np.zeros(x.shape, bool)
    window = frame.window(-body.width, body.width, top, body.length)
    path = _heart_path(body, x[window] - np.float32(body.shift), places[window], 1)
    heart[window] = (path > 0.5) & (y[window] > top)
    floor = max(lung.span for lung in lungs)
    heart &= y < np.float32(floor + 0.05 * body.length)
    for lung in lungs:
        under = (lung.base < 0) & (lung.x > 0.3 * body.width)
        heart[lung.window] &= ~under
    return heart


def cardiothoracic_ratio(chest: Chest) -> float:
    """Measure the heart's greatest width over the inner chest's, on the body itself.

    Returns:
        The ratio; above 0.5 counts as enlarged on a postero-anterior film of an adult.

    Source:
        Danzer, Am J Med Sci 1919.
    """
    body = chest.body
    low = max(chest.right.span, chest.left.span)
    y: Float32 = np.arange(0.36 * body.length, low, 0.05, dtype=np.float32)
    wide = float(body.left_border(y).max() + body.right_border(y).max())
    return wide / (2 * float(body.lateral(y).max()))


def trunk(chest: Chest, rng: Random) -> Float32:
    """Return the optical depth of the trunk as if it held no air: skin, fat, muscle, organs."""
    body, frame = chest.body, chest.frame
    half = frame.size // 2
    x, y = frame.grid(half)
    far = np.abs(x)
    places = index(y)
    outer = body.lateral.table[places] + np.float32(body.wall) + _latissimus(y)
    torso = _torso(body, far, y, outer)
    limbs = _limbs(body, far, y, outer, rng)
    lean = _union(torso, limbs)
    skin = _skin(body, far, y, outer, torso)
    depth = lean * np.float32(physics.SOFT) + skin * np.float32(physics.FAT)
    depth += _abdomen(body, y) * (lean > 1)
    depth -= _gas(body, x, y, rng)
    depth *= 1 + np.float32(0.010) * texture(rng, depth.shape, 7)
    if body.breast > 0:
        depth += _breasts(body, x, y, rng)
    return enlarge(depth, (frame.size, frame.size))


def _latissimus(y: Float32) -> Float32:
    """Return how much the muscles of the armpit add to the side of the trunk, cm."""
    return np.float32(1.6) * ramp(y, 24.0, 9.0)


def _torso(body: Body, far: Float32, y: Float32, outer: Float32) -> Float32:
    thick = body.half_depth(np.maximum(y, np.float32(0.22 * body.length)))
    thick = thick + np.float32(1.5 + 0.2 * body.wall)
    thick *= np.float32(0.66) + np.float32(0.34) * ramp(y, -1.0, 10.0)
    # High up the trunk passes into the shoulders without an edge.
    merged = ramp(y, 13.0, 3.0)
    off = far / (outer + np.float32(7.0) * merged)
    off *= off * (merged + (1 - merged) * off)
    path: Float32 = np.sqrt(np.clip(1 - off, 0, 1)) * (2 * thick)
    return path * ramp(y, -2.5, 5.0)


def _limbs(body: Body, far: Float32, y: Float32, outer: Float32, rng: Random) -> Float32:
    under = np.clip(y - body.shoulder()(far), 0, None)
    path = np.minimum(2 * np.sqrt(np.float32(7.0) * under), np.float32(13.5))
    radius = np.float32(5.3 - 0.5 * body.female + 0.15 * body.fat) * (1 - ramp(y, -3.0, 6.0))
    neck = np.sqrt(np.clip(radius * radius - far * far, 0, None)) * np.float32(1.9)
    path = _union(path, neck)
    axilla = float(rng.normal(10.0, 0.9))
    path *= ramp(y - 0.45 * (far - outer), axilla + 3.5, axilla - 5.0)
    middle = np.float32(18.6) + np.float32(0.10 + 0.16 * body.arms) * (y - 3)
    radius = np.float32(4.1 + 0.4 * body.fat) * (1 - 0.008 * np.clip(y - 3, 0, None))
    off = (far - middle) / radius
    arm = np.sqrt(np.clip(1 - off * off, 0, 1)) * (2 * radius) * ramp(y, 0.0, 5.0)
    return _union(path, arm)


def _union(one: Float32, other: Float32) -> Float32:
    """Return a smooth maximum."""
    one, other = one * one, other * other
    return np.sqrt(np.sqrt(one * one + other * other))


def _skin(body: Body, far: Float32, y: Float32, outer: Float32, torso: Float32) -> Float32:
    fat = np.float32(body.fat)
    reach = outer + fat
    off = far / reach
    around = np.sqrt(np.clip(1 - off * off * off, 0, 1))
    full = around * (2 * (np.float32(body.depth + 1.8) + fat))
    layer: Float32 = np.clip(full - torso, 0, np.float32(3.2) * fat) * ramp(y, -4.0, 4.0)
    low = np.clip((y - body.length * 0.85) / 10, 0, 1)
    sag = 1 + np.float32(0.25 * max(body.fat - 1, 0)) * low
    return np.asarray(layer * sag, np.float32)


def _abdomen(body: Body, y: Float32) -> Float32:
    """Return what organs below the domes add to muscle."""
    extra = 0.28 + 0.12 * (body.fat - 1)
    return ramp(y, body.length * 0.8, body.length * 1.15) * np.float32(extra)


def _gas(body: Body, x: Float32, y: Float32, rng: Random) -> Float32:
    """Return what gas in stomach and bowel takes away."""
    depth = np.zeros(x.shape, np.float32)
    roof = body.dome(1)(np.array([0.45 * body.width], np.float32))[0] + 0.9
    places = (
        [
            (
                0.42 * body.width,
                roof + 0.30 * body.stomach,
                0.62 * body.stomach,
                0.36 * body.stomach,
                0.55,
            )
        ]
        if body.stomach > 1
        else []
    )
    for x0, y0, wide, high, amount in rng.random((int(rng.integers(0, 6)), 5)).tolist():
        bubble = (16 * x0 - 6, body.length * (1.12 + 0.23 * y0), 0.8 + 1.6 * wide, 0.7 + 0.9 * high)
        places.append((*bubble, 0.15 + 0.25 * amount))
    for x0, y0, wide, high, amount in places:
        slant = np.float32(rng.normal(0, 0.25))
        dx, dy = (x - np.float32(x0)) / np.float32(wide), (y - np.float32(y0)) / np.float32(high)
        off = dx * dx + (dy + slant * dx) ** 2 + np.float32(0.2) * np.sin(3 * dx + y0)
        depth += np.sqrt(np.clip(1 - off, 0, 1)) * np.float32(amount * min(high, 2.0))
    return depth * np.float32(1.3)


def _breasts(body: Body, x: Float32, y: Float32, rng: Random) -> Float32:
    depth = np.zeros(x.shape, np.float32)
    for side in (-1, 1):
        low = 0.66 * body.length + 0.5 * body.breast + float(rng.normal(0, 0.5))
        middle = side * (0.60 + 0.01 * body.breast) * body.width
        wide = 5.8 + 0.5 * body.breast
        off = ((x - np.float32(middle)) / np.float32(wide)) ** 2
        down = (y - np.float32(low)) / np.float32(4.2 + 0.45 * body.breast)
        up = (y - np.float32(low)) / np.float32(8.5)
        round_ = np.clip(1 - off - np.where(down > 0, down, up) ** 2, 0, None)
        depth += np.sqrt(round_) * ramp(y, low - 9.0, low + 1.0)
    return depth * np.float32(body.breast * 1.25 * (0.45 * physics.SOFT + 0.55 * physics.FAT))
