"""Lung vessels that branch from the hila, hilar shadows, airways and lung texture."""

from __future__ import annotations

import numpy as np

from lucidray.datasets.phantom.chest import Chest, Lung
from lucidray.datasets.phantom.draw import (
    Random,
    Samples,
    curve_through,
    deposit,
    join,
    rod,
    steps,
    texture,
    tubes,
)
from lucidray.datasets.phantom.frame import Frame, enlarge, ramp
from lucidray.records import Float32, Float64

_GENERATIONS = 6
_STEMS = (-78, -58, -36, -14, 6, 24, 42, 58, 73, 84)  # degrees below the horizontal
_CALIBER = 0.74  # each branch's radius over its parent's; Murray's law gives 0.79 for equal twins


def hilum(chest: Chest, side: int) -> tuple[float, float]:
    """Return the center of a hilum in body centimeters: the left stands higher."""
    body = chest.body
    if side < 0:
        return -3.9 + body.shift, 0.435 * body.length
    return 4.1 + body.shift, 0.40 * body.length


def vessels(chest: Chest, rng: Random) -> Float32:
    """Return the path through lung vessels and hila, centimeters of blood in place of lung."""
    parts = [_trees(chest, rng), *(_hilum(chest, side, rng) for side in (-1, 1))]
    return deposit(join(parts), chest.frame.size)


def _trees(chest: Chest, rng: Random) -> Samples:
    """Draw the vessels of both lungs, all branches of one generation at a time."""
    body = chest.body
    side = np.repeat([-1.0, 1.0], len(_STEMS))
    roots = np.repeat([hilum(chest, -1), hilum(chest, 1)], len(_STEMS), axis=0).T
    angle = np.tile(np.radians(_STEMS), 2) + rng.normal(0, 0.10, side.size)
    lower = np.clip((angle + 0.6) / 1.6, 0, 1)
    radius = (body.upper_flow + (1 - body.upper_flow) * lower) * 0.31 * body.vessels
    radius *= rng.uniform(0.8, 1.15, side.size)
    off = side * rng.uniform(-0.5, 0.6, side.size)
    down = 2.2 * np.sin(angle) + rng.normal(0, 0.4, side.size)
    start: Float64 = roots + np.stack([off, down])
    parts = []
    length = 3.1 * body.length / 26.0
    for _ in range(_GENERATIONS):
        reach = length * rng.uniform(0.65, 1.3, angle.size) * (0.62 + 0.5 * radius / radius.max())
        bend = rng.normal(0, 0.22, angle.size)
        share = np.linspace(0, 1, steps(length * 1.1, chest.frame, 1.1))
        turned = angle[:, None] + bend[:, None] * share
        line = _stretch(start, turned, reach, side)
        parts.append(_vessels(chest.frame, line, radius))
        end = np.stack([line[0][:, -1], line[1][:, -1]])
        start, angle, radius = _fork(end, turned[:, -1], radius, rng)
        side = np.concatenate([side, side])
        length *= 0.80
    return join(parts)


def _stretch(
    start: Float64, turned: Float64, reach: Float64, side: Float64
) -> tuple[Float64, Float64]:
    """Walk from each start along its turning direction."""
    step = reach[:, None] / (turned.shape[1] - 1)
    x = start[0][:, None] + side[:, None] * np.cumsum(np.cos(turned) * step, axis=1)
    return x, start[1][:, None] + np.cumsum(np.sin(turned) * step, axis=1)


def _vessels(frame: Frame, line: tuple[Float64, Float64], radius: Float64) -> Samples:
    x, y = line[0].astype(np.float32), line[1].astype(np.float32)
    share = np.linspace(0, 1, x.shape[1], dtype=np.float32)
    wide = radius.astype(np.float32)[:, None] * (1 - np.float32(1 - _CALIBER) * share)
    count = max(3, steps(2 * float(np.median(radius)), frame, 0.9))
    return tubes(frame, (x, y, np.zeros_like(x)), wide, rod(count), np.float32(3.2) * wide)


def _fork(
    end: Float64, angle: Float64, radius: Float64, rng: Random
) -> tuple[Float64, Float64, Float64]:
    count = angle.size
    turn = rng.choice([-1.0, 1.0], count)
    small = rng.uniform(0.55, 0.95, count)
    first = angle + turn * rng.uniform(0.05, 0.35, count)
    second = angle - turn * rng.uniform(0.35, 0.95, count)
    return (
        np.concatenate([end, end], axis=1),
        np.concatenate([first, second]),
        np.concatenate([radius * _CALIBER * 1.08, radius * _CALIBER * small]),
    )


def _hilum(chest: Chest, side: int, rng: Random) -> Samples:
    """Draw the pulmonary artery of one side: a short thick trunk and its lower branch."""
    frame, caliber = chest.frame, chest.body.vessels
    x, y = hilum(chest, side)
    parts = []
    low = float(rng.uniform(2.2, 3.6))
    for points, wide in (
        (
            [
                [x - side * 1.8, y - 0.9],
                [x - side * 0.4, y - 0.2],
                [x + side * 0.5, y + 1.2],
                [x + side * 1.0, y + low + 1.2],
            ],
            0.66,
        ),
        (
            [[x - side * 1.2, y - 0.2], [x + side * 0.2, y - 1.5], [x + side * 1.0, y - 3.4]],
            0.45,
        ),
        (
            [[x - side * 1.6, y + 1.7], [x + side * 0.5, y + 1.3], [x + side * 2.6, y + 1.9]],
            0.42,
        ),
        ([[x - side * 1.4, y + 3.2], [x + side * 0.2, y + 3.0], [x + side * 1.8, y + 4.2]], 0.38),
    ):
        jitter = np.array(points) + rng.normal(0, 0.25, (len(points), 2))
        line = curve_through(jitter, steps(5.0, frame))
        share = np.linspace(0, 1, line.shape[1], dtype=np.float32)
        half = (wide * caliber * (1 - 0.45 * share)).astype(np.float32)
        parts.append(
            tubes(
                frame,
                (line[0], line[1], np.zeros_like(line[0])),
                half,
                rod(max(5, steps(2 * wide, frame))),
                3.6 * half,
            )
        )
    return join(parts)


def airways(chest: Chest, rng: Random) -> Float32:
    """Return the path through trachea and main bronchi, centimeters of air in place of tissue."""
    body, frame = chest.body, chest.frame
    fork = 0.355 * body.length
    lean = 0.25 + 0.5 * body.shift + float(rng.normal(0, 0.15))
    trachea = [
        [0.0, -9.0],
        [0.0, -2.0],
        [-0.3 * lean, 0.12 * body.length],
        [-lean, 0.26 * body.length],
        [-0.8 * lean, fork],
    ]
    right = [
        [-0.8 * lean, fork - 0.3],
        [-2.0 + body.shift, fork + 1.6],
        [-3.7 + body.shift, fork + 3.2],
        [-4.6 + body.shift, fork + 6.0],
    ]
    left = [
        [-0.8 * lean, fork - 0.3],
        [1.4 + body.shift, fork + 1.5],
        [3.6 + body.shift, fork + 2.5],
        [5.0 + body.shift, fork + 4.6],
    ]
    parts = []
    for points, start, end in ((trachea, 0.88, 0.85), (right, 0.65, 0.32), (left, 0.62, 0.28)):
        length = float(np.sum(np.hypot(*np.diff(np.array(points), axis=0).T)))
        line = curve_through(points, steps(length, frame, 0.7))
        half = np.linspace(start, end, line.shape[1], dtype=np.float32) * (1 - 0.2 * body.child)
        parts.append(
            tubes(
                frame,
                (line[0], line[1], np.zeros_like(line[0])),
                half,
                rod(max(5, steps(1.8, frame, 0.7))),
                2 * half,
            )
        )
    return deposit(join(parts), frame.size)


def grain(lung: Lung, rng: Random) -> Float32:
    """Return the fine unevenness of lung density, deviation about 1, on the lung's window."""
    shape = lung.air.shape
    middle = max(shape) / 4
    field = np.float32(0.6) * texture(rng, (shape[0] // 3, shape[1] // 3), min(60, middle))
    field += np.float32(0.5) * texture(rng, field.shape, 22)
    return enlarge(field, (shape[0], shape[1])) + np.float32(0.6) * texture(
        rng, shape, min(140, max(shape) / 2)
    )


def fade(lung: Lung) -> Float32:
    """Return how much of the vessels is left toward the chest wall, where none is seen."""
    return ramp(lung.share, 1.0, 0.72)


__all__ = ["airways", "fade", "grain", "hilum", "vessels"]
