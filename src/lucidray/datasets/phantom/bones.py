"""The skeleton: ribs, spine, clavicles, shoulder blades, arms."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from lucidray.datasets.phantom import physics
from lucidray.datasets.phantom.body import Body
from lucidray.datasets.phantom.chest import Chest
from lucidray.datasets.phantom.draw import (
    Random,
    Samples,
    blur,
    curve_through,
    deposit,
    join,
    shell,
    steps,
    texture,
    tubes,
)
from lucidray.datasets.phantom.frame import Frame, ramp
from lucidray.records import Float32, Float64

_WALL = physics.BONE - physics.SOFT
_CORE = physics.MARROW - physics.SOFT


def skeleton(chest: Chest, rng: Random) -> Float32:
    """Return the optical depth that bones add to the soft parts they displace.

    Returns:
        float32 ``(N, N)``.
    """
    body, frame = chest.body, chest.frame
    parts = [_ribs(body, frame, rng), _clavicles(body, frame, rng), *_shoulders(body, frame)]
    depth = deposit(join(parts), frame.size)
    _spine(chest, depth, rng)
    _blades(chest, depth, rng)
    _heads(chest, depth, rng)
    return depth * np.float32(body.bone)


def _hollow(half_width: float, half_depth: float, wall: float, count: int) -> Float32:
    rim, core = shell(count, half_width, half_depth, wall)
    return rim * np.float32(_WALL) + core * np.float32(_CORE)


def _ribs(body: Body, frame: Frame, rng: Random) -> Samples:
    lines, widths, strengths = [], [], []
    count = steps(26.0, frame, 1.15)
    share = np.linspace(0, 1, count, dtype=np.float32)
    gap = body.length / 26.0 * 2.28 * (1 + 0.1 * body.child)
    bump = rng.standard_normal((2, 12, 3))
    for side in (0, 1):
        for rib in range(12):
            x, y, z = _rib(body, rib, gap, share, bump[side, rib])
            lines.append(((2 * side - 1) * x, y, z))
            thin = 0.40 if rib in {0, 11} else 0.50 + 0.03 * bump[side, rib, 2]
            tip = np.clip((share - 0.8) / 0.2, 0, 1) ** 2
            widths.append(
                thin * (1 + 0.30 * tip) * (1 - 0.22 * np.exp(-(((share - 0.5) / 0.12) ** 2)))
            )
            strengths.append(
                np.clip((1 - share) / 0.03, 0, 1)
                * (1 - 0.55 * ramp(share.astype(np.float32), 0.3, 0.75))
            )
    x, y, z = (np.array([line[i] for line in lines], np.float32) for i in range(3))
    across = max(9, steps(1.15, frame, 1.0))
    profile = _hollow(0.55, 0.36, 0.11, across)
    return tubes(
        frame, (x, y, z), np.array(widths, np.float32), profile, np.array(strengths, np.float32)
    )


def _rib(
    body: Body,
    rib: int,
    gap: float,
    share: Float32,
    bump: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> tuple[Float32, Float32, Float32]:
    start = -1.3 + gap * rib + 0.012 * rib * rib
    last = np.radians([152, 150, 148, 146, 144, 142, 139, 134, 126, 116, 82, 58][rib])
    angle = 0.13 + (last - 0.13) * share
    turn = angle / np.pi
    fall = [3.4, 4.9, 6.0, 7.4, 8.6, 9.4, 10.2, 10.8, 11.0, 11.0, 10.8, 10.0][rib]
    # The neck of a rib climbs a little, then the shaft runs down, steepest at the side.
    drop = fall * body.slope * (turn / 0.78) ** 1.55 * (body.length / 26.0)
    climb = -0.55 * np.sin(np.clip(turn / 0.18, 0, 1) * np.pi) * (1 - body.child * 0.5)
    if rib < 2:
        drop = fall * body.slope * (turn / 0.78) ** (1.0 + 0.3 * rib) * (body.length / 26.0)
    y = start + drop + climb + 0.12 * bump[0]
    side = start + fall * body.slope * (0.5 / 0.78) ** 1.55 * (body.length / 26.0)
    side = max(side, 0.075 * body.length)
    at = np.array([side], np.float32)
    wide = float(body.lateral(at)[0]) + 0.30 + 0.06 * bump[1]
    deep = float(body.half_depth(at)[0]) + 0.3
    # A chest is flatter than an ellipse behind, where it turns forward late.
    x = wide * np.sin(angle) ** 0.82
    x = np.maximum(x, 1.7)
    return x, y, -deep * np.cos(angle)


def _clavicles(body: Body, frame: Frame, rng: Random) -> Samples:
    parts = []
    count = steps(17.0, frame)
    across = max(9, steps(1.3, frame))
    lift = 0.5 * float(rng.standard_normal()) - 0.4 * (1 - body.scapula)
    for side in (-1, 1):
        own = 0.35 * float(rng.standard_normal())
        points = np.array(
            [
                [1.5, 1.75, 5.5],
                [3.2, 1.15, 6.2],
                [6.2, 0.45, 6.4],
                [9.5, 0.05, 5.0],
                [12.6, -0.55, 2.4],
                [15.4, -1.0, 0.8],
                [16.9, -0.85, 0.4],
            ]
        )
        points[:, 1] = points[:, 1] * 0.8 + 0.75 + lift + own * points[:, 0] / 16
        points[:, 0] *= 0.93 if body.female else 1.0
        x, y, z = curve_through(points, count)
        share = np.linspace(0, 1, count, dtype=np.float32)
        wide = 0.50 + 0.30 * np.clip(0.12 - share, 0, 1) / 0.12 + 0.12 * ramp(share, 0.6, 1.0)
        strength = np.clip(share / 0.03, 0, 1) * np.clip((1 - share) / 0.03, 0, 1) * 1.05
        parts.append(
            tubes(
                frame,
                (side * x, y, z),
                wide.astype(np.float32),
                _hollow(0.55, 0.48, 0.14, across),
                strength.astype(np.float32),
            )
        )
    return join(parts)


def _shoulders(body: Body, frame: Frame) -> list[Samples]:
    """Draw humeri, and the dense edges of the shoulder blades."""
    slant = 0.10 + 0.16 * body.arms
    y = np.linspace(3.0, 26, steps(23, frame), dtype=np.float32)
    x = (_joint(body, 1)[0] + 0.5 + slant * (y - 3)).astype(np.float32)
    half = (1.12 * (1 + 0.75 * np.exp(-(y - 3.0) / 1.8))).astype(np.float32)
    profile = _hollow(1.1, 1.1, 0.34, max(11, steps(2.4, frame)))
    arms = _pair(frame, (x, y), 0.0, half, profile, ramp(y, 3.0, 6.5) * np.float32(0.8))
    return [arms, *_edges(body, frame)]


def _pair(
    frame: Frame,
    line: tuple[Float32, Float32],
    z: float,
    half: Float32,
    profile: Float32,
    strength: Float32,
) -> Samples:
    """Draw a tube on the left and its mirror image on the right."""
    x, y = np.stack([line[0], -line[0]]), np.stack([line[1], line[1]])
    return tubes(frame, (x, y, np.full_like(x, z)), half, profile, strength)


def _heads(chest: Chest, depth: Float32, rng: Random) -> None:
    """Add the heads of the humeri."""
    body, frame = chest.body, chest.frame
    for side in (-1, 1):
        x0, y0 = _joint(body, side)
        window = frame.window(x0 - 3, x0 + 3, y0 - 3, y0 + 4)
        x, y = chest.x[window] - np.float32(x0), chest.y[window] - np.float32(y0)
        off = (x / np.float32(2.2)) ** 2 + (y / np.float32(2.35)) ** 2
        outer = np.sqrt(np.clip(1 - off, 0, 1))
        inner = np.sqrt(np.clip(1 - off / np.float32(0.955**2), 0, 1)) * np.float32(0.955)
        path = (outer - inner) * np.float32(0.75 * _WALL) + inner * np.float32(2.3 * _CORE)
        path *= 4.4 * (1 + np.float32(0.10) * texture(rng, path.shape, 16))
        depth[window] += path * ramp(y, 2.3, 0.9)


def _joint(body: Body, side: int) -> tuple[float, float]:
    return side * (17.4 - 0.9 * body.female), 2.9


def _outline(body: Body) -> dict[str, Float64]:
    """Return the corners of the left shoulder blade, ``(k, 2)`` body centimeters."""
    off = 4.0 * body.scapula - 1.2
    top = np.array([8.4 + 0.55 * off, 1.2])
    glenoid = np.array([14.6, 3.2])
    neck = np.array([13.9, 5.4])
    tip = np.array([10.0 + 0.85 * off, 14.6])
    inner = np.array([8.0 + 0.75 * off, 6.6])
    lines = {
        "lateral": [glenoid, neck, (neck + tip) / 2 + np.array([0.25, 0]), tip],
        "medial": [tip, inner + np.array([0.0, 2.6]), inner, top],
        "superior": [top, [12.0, 1.9], [13.8, 1.6]],
        "spine": [inner - [0, 1.9], [11.5, 2.9], [14.6, 1.0], [16.9, -0.4], [17.6, 0.3]],
        "coracoid": [[13.6, 2.4], [14.0, 1.4], [15.2, 1.9]],
        "glenoid": [[14.3, 1.9], [14.9, 3.2], [14.3, 4.6]],
    }
    narrow = np.array([0.95 if body.female else 1.0, 1.0])
    return {name: np.array(points) * narrow for name, points in lines.items()}


#: Half width in centimeters and strength of each edge.
_EDGES = (
    ("lateral", 0.42, 0.62),
    ("medial", 0.16, 0.30),
    ("superior", 0.18, 0.30),
    ("spine", 0.42, 0.45),
    ("coracoid", 0.55, 0.55),
    ("glenoid", 0.28, 0.70),
)


def _edges(body: Body, frame: Frame) -> list[Samples]:
    corners = _outline(body)
    parts = []
    for name, wide, strength in _EDGES:
        points = corners[name]
        length = float(np.sum(np.hypot(*np.diff(points, axis=0).T)))
        x, y = curve_through(points, steps(length * 1.1, frame))
        share = np.linspace(0, 1, len(x), dtype=np.float32)
        ends = ramp(np.minimum(share, 1 - share), 0.0, 0.14) * np.float32(strength)
        profile = _hollow(wide, wide * 0.8, 0.12, max(5, steps(2 * wide, frame)))
        half = np.full(len(x), wide, np.float32)
        parts.append(_pair(frame, (x, y), -6.0, half, profile, ends))
    return parts


def _blades(chest: Chest, depth: Float32, rng: Random) -> None:
    """Add the thin plates of the shoulder blades."""
    corners = _outline(chest.body)
    outline = np.concatenate([corners[name] for name in ("lateral", "medial", "superior")])
    x, y = outline.T.astype(np.float32)
    for side in (-1, 1):
        columns, rows = chest.frame.project(side * x, y, -6.0)
        left, top = int(columns.min()) - 3, int(rows.min()) - 3
        shape = (int(np.ptp(rows)) + 6, int(np.ptp(columns)) + 6)
        plate = _plate(columns - left, rows - top, shape)
        plate *= np.float32(0.24 * _WALL)
        plate *= 1 + np.float32(0.22) * texture(rng, shape, 14)
        _add(depth, plate, top, left)


def _plate(columns: Float32, rows: Float32, shape: tuple[int, int]) -> Float32:
    image = Image.new("L", (shape[1], shape[0]))
    points = [(float(c), float(r)) for c, r in zip(columns, rows, strict=True)]
    ImageDraw.Draw(image).polygon(points, fill=1)
    return blur(np.asarray(image, np.float32), 1.6)


def _add(depth: Float32, patch: Float32, top: int, left: int) -> None:
    rows = slice(max(top, 0), min(top + patch.shape[0], depth.shape[0]))
    columns = slice(max(left, 0), min(left + patch.shape[1], depth.shape[1]))
    if rows.stop > rows.start and columns.stop > columns.start:
        depth[rows, columns] += patch[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]


def _spine(chest: Chest, depth: Float32, rng: Random) -> None:
    """Add vertebral bodies, disks between them, pedicles, spinous and transverse processes."""
    body, frame = chest.body, chest.frame
    window = frame.window(-4.2, 4.2, -14.0, 40.0)
    turn = np.float32(np.sin(frame.turn) * -6.0)
    x, y = chest.x[window] - turn, chest.y[window]
    x = x - np.float32(rng.normal(0, 0.25)) * np.sin((y - 6) / 9)
    pitch = np.float32(body.length / 26.0 * 2.42)
    level = (y + np.float32(1.6)) / pitch
    place = level - np.floor(level)
    half = 1.30 + np.float32(0.034) * np.clip(y, -6, 30)
    waist = half * (1 - 0.10 * np.sin(place * np.float32(np.pi)))
    off = np.abs(x) / waist
    inside = ramp(off, 1.05, 0.97)
    disk = ramp(np.abs(place - 0.5), 0.375, 0.425)
    plate = np.exp(-(((np.abs(place - 0.5) - 0.37) / 0.028) ** 2))
    side = np.exp(-(((off - 0.95) / 0.07) ** 2)) * (1 - disk)
    solid = np.sqrt(np.clip(1.08 - off * off * off, 0, 1)) * inside
    bone = solid * (1 - disk) * np.float32(3.0 * _CORE)
    bone += (plate * inside * 0.20 + side * 0.16) * np.float32(_WALL)
    pedicle = (np.abs(x) - 0.72 * half) ** 2 / 0.17 + ((place - 0.36) * pitch) ** 2 / 0.42
    bone += np.exp(-((pedicle - 1) ** 2) / 0.18) * np.float32(0.26 * _WALL)
    process = x * x / 0.10 + ((place - 0.70) * pitch) ** 2 / 0.45
    bone += (np.exp(-((process - 1) ** 2) / 0.25) + 0.8 * ramp(process, 1.3, 0.6)) * np.float32(
        0.26 * _WALL
    )
    wing = ((place - 0.30) * pitch - 0.12 * np.abs(x)) ** 2 / 0.16
    wing = np.exp(-wing) * ramp(np.abs(x), 3.6, 2.6) * ramp(np.abs(x), 1.2, 1.9)
    bone += wing * np.float32(0.20 * _WALL) * ramp(y, 32.0, 26.0)
    bone *= 1 - np.float32(0.35) * ramp(y, 4.0, 16.0)
    bone *= np.float32(0.85)
    depth[window] += bone


__all__ = ["skeleton"]
