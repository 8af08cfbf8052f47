"""Findings that put fluid or tissue where air was: patches, haze, nets and round shadows."""

from __future__ import annotations

import numpy as np

from lucidray.datasets.phantom import physics
from lucidray.datasets.phantom.chest import Lung
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
from lucidray.datasets.phantom.frame import Frame, Window, ramp
from lucidray.datasets.phantom.scene import Scene, Sign, spot
from lucidray.datasets.phantom.vessels import hilum
from lucidray.records import Float32


def consolidation(scene: Scene, sign: Sign) -> None:
    """Fill a large part of a lobe densely; its bronchi stay open and show as dark branches."""
    for side in sign.sides:
        lung = scene.chest.lung(side)
        low = sign.rng.random() < 0.6
        zone = (lung.y > 0.5 * lung.span) if low else (lung.y < 0.55 * lung.span)
        x, y = spot(lung, sign.rng, zone & (lung.base > 1.5) & (lung.share > 0.15))
        reach = 2.6 + 3.4 * sign.severity
        cloud = _cloud(lung, sign.rng, x, y, (reach * 0.9, reach), ragged=0.40)
        uneven = 1 + np.float32(0.10) * texture(sign.rng, cloud.shape, 18)
        uneven += np.float32(0.07) * texture(sign.rng, cloud.shape, 45)
        share = ramp(cloud, 0.0, 0.75) * uneven * np.float32(0.22 + 0.42 * sign.severity)
        _bronchogram(scene, lung, sign, share, (x, y, reach))
        scene.fill(side, share)
        scene.note(sign.finding, lung.window, (cloud > 0.2) & lung.inside)


def pneumonia(scene: Scene, sign: Sign) -> None:
    """Fill one segment with merging fluffy patches."""
    for side in sign.sides:
        lung = scene.chest.lung(side)
        x, y = spot(lung, sign.rng, (lung.y > 0.35 * lung.span) & (lung.base > 2))
        reach = 2.0 + 2.6 * sign.severity
        cloud = _cloud(lung, sign.rng, x, y, (reach * 1.15, reach), ragged=0.45)
        fluff = 0.75 + np.float32(0.22) * texture(sign.rng, cloud.shape, 38)
        share = ramp(cloud, 0.0, 0.85) * np.clip(fluff, 0.25, 1.1)
        share *= np.float32(0.15 + 0.40 * sign.severity)
        _bronchogram(scene, lung, sign, share * np.float32(0.6), (x, y, reach))
        scene.fill(side, share)
        scene.note(sign.finding, lung.window, (cloud > 0.2) & lung.inside)


def infiltration(scene: Scene, sign: Sign) -> None:
    """Scatter faint ill-defined patches over one lung or both."""
    for side in sign.sides:
        lung = scene.chest.lung(side)
        total = np.zeros(lung.air.shape, np.float32)
        for _ in range(int(sign.rng.integers(2, 5))):
            x, y = spot(lung, sign.rng, lung.base > 1.0)
            reach = sign.rng.uniform(1.3, 2.6)
            total += ramp(_cloud(lung, sign.rng, x, y, (reach, reach), ragged=0.5), 0.0, 0.9)
        streaks = np.clip(1 + np.float32(0.35) * texture(sign.rng, total.shape, 55), 0.3, 1.8)
        share = np.minimum(total, 1.2) * streaks * np.float32(0.07 + 0.22 * sign.severity)
        scene.fill(side, share)
        mask = (total > 0.22) & lung.inside
        scene.note(sign.finding, lung.window, mask)


def edema(scene: Scene, sign: Sign) -> None:
    """Haze both lungs around the hila like the wings of a bat, with septal lines at the bases."""
    for lung in scene.chest.lungs():
        x, y = hilum(scene.chest, lung.side)
        across = (lung.x - np.float32(lung.side * x)) / np.float32(6.6)
        down = (lung.y - np.float32(y + 1.8)) / np.float32(8.8)
        wing = np.exp(-(across * across + down * down) * np.float32(1.3))
        wing *= ramp(lung.share, 1.08, 0.66)
        uneven = 1 + np.float32(0.28) * texture(sign.rng, wing.shape, 9)
        uneven += np.float32(0.20) * texture(sign.rng, wing.shape, 34)
        share = wing * np.clip(uneven, 0.3, 1.7) * np.float32(0.10 + 0.34 * sign.severity)
        share += np.float32(0.05 * sign.severity) * ramp(lung.y, 0.3 * lung.span, lung.span)
        scene.fill(lung.side, np.clip(share, 0, 0.92))
        scene.strokes.append(_kerley(scene.chest.frame, lung, sign))
        scene.note(sign.finding, lung.window, (wing > 0.28) & lung.inside)


def fibrosis(scene: Scene, sign: Sign) -> None:
    """Draw a net of fine lines at the bases and along the pleura of both lungs."""
    for lung in scene.chest.lungs():
        cell = max(lung.air.shape) / scene.chest.frame.per_cm
        net = np.zeros(lung.air.shape, np.float32)
        for size, weight in ((0.28, 0.6), (0.50, 0.45)):
            grain = texture(sign.rng, net.shape, min(cell / size, max(net.shape) / 3))
            net += np.float32(weight) * np.exp(-((grain / np.float32(0.30)) ** 2))
        low = ramp(lung.y, 0.45 * lung.span, 0.92 * lung.span)
        edge = ramp(lung.share, 0.55, 0.92)
        place = np.clip(0.85 * low * (0.5 + 0.5 * edge) + 0.35 * edge * low, 0, 1)
        place *= np.clip(1 + 0.35 * texture(sign.rng, net.shape, 6), 0.2, 1.6)
        share = (net * 0.8 + 0.14) * place * np.float32(0.08 + 0.24 * sign.severity)
        scene.fill(lung.side, np.clip(share, 0, 0.85))
        scene.note(sign.finding, lung.window, (place > 0.22) & lung.inside)


def mass(scene: Scene, sign: Sign) -> None:
    """Put one lobulated round shadow wider than three centimeters into a lung."""
    radius = 1.65 + 1.9 * sign.severity * float(sign.rng.uniform(0.7, 1.1))
    _rounds(scene, sign, [radius], lobes=0.13)


def nodule(scene: Scene, sign: Sign) -> None:
    """Put one to four round shadows of at most three centimeters into the lungs."""
    count = 1 + int(sign.rng.random() < 0.35) * int(sign.rng.integers(1, 4))
    middle = 0.32 + 0.85 * sign.severity
    _rounds(
        scene, sign, list(np.clip(middle * sign.rng.uniform(0.75, 1.15, count), 0.3, 1.45)), 0.07
    )


def _rounds(scene: Scene, sign: Sign, radii: list[float], lobes: float) -> None:
    """Draw round shadows, each in a lung and clear of its borders."""
    for radius in radii:
        radius = radius / scene.chest.body.scale**0.5
        side = sign.side or (-1, 1)[int(sign.rng.integers(2))]
        lung = scene.chest.lung(side)
        clear = (lung.base > radius) & (lung.y > 3.0) & (np.abs(lung.share - 0.5) < 0.34)
        x, y = spot(lung, sign.rng, clear & (lung.air > 4.0))
        window, dx, dy = _around(scene, side, x, y, radius * 1.5)
        angle = np.arctan2(dy, dx)
        shape = 1 + sum(
            np.float32(lobes * sign.rng.normal(0, 1) / order)
            * np.cos(order * angle + np.float32(sign.rng.uniform(0, 6.28)))
            for order in (2, 3, 5)
        )
        off = (dx * dx + dy * dy) / (shape * np.float32(radius)) ** 2
        soft = 0.30 + 0.3 * float(sign.rng.random())
        path = np.sqrt(np.clip(1 - off, 0, 1)) * ramp(off, 1.0, 1 - soft) * np.float32(2 * radius)
        density = np.float32((0.9 + 0.5 * (radius < 0.8)) * (0.50 + 0.42 * sign.severity))
        scene.added.append((window, path * density * np.float32(physics.FILLED)))
        scene.note(sign.finding, window, off < 0.94)


def _around(
    scene: Scene, side: int, x: float, y: float, reach: float
) -> tuple[Window, Float32, Float32]:
    middle = side * x
    window = scene.chest.frame.window(middle - reach, middle + reach, y - reach, y + reach)
    dx = scene.chest.x[window] - np.float32(middle)
    return window, dx, scene.chest.y[window] - np.float32(y)


def _cloud(
    lung: Lung, rng: Random, x: float, y: float, reach: tuple[float, float], ragged: float
) -> Float32:
    """Return a bump of height 1 at a place, below 0 outside a ragged border."""
    dx = (lung.x - np.float32(x)) / np.float32(reach[0])
    dy = (lung.y - np.float32(y)) / np.float32(reach[1])
    bump = 1 - np.sqrt(dx * dx + dy * dy)
    bump += np.float32(ragged * 0.6) * texture(rng, bump.shape, 9)
    bump += np.float32(ragged * 0.35) * texture(rng, bump.shape, 24)
    return np.asarray(bump)


def _bronchogram(
    scene: Scene, lung: Lung, sign: Sign, share: Float32, place: tuple[float, float, float]
) -> None:
    """Take branching air tubes out of what has been filled."""
    frame = scene.chest.frame
    x0, y0 = hilum(scene.chest, lung.side)
    x, y, reach = place
    start = np.array([0.35 * x * lung.side + 0.65 * x0, 0.35 * y + 0.65 * y0])
    parts = []
    for turn in sign.rng.normal(0, 0.55, 5):
        way = np.array([x * lung.side, y]) - start
        cos, sin = np.cos(turn), np.sin(turn)
        way = np.array([way[0] * cos - way[1] * sin, way[0] * sin + way[1] * cos])
        way *= 1 + 0.5 * reach / (np.hypot(*way) + 0.5)
        bend = np.array([-way[1], way[0]]) * sign.rng.normal(0, 0.12)
        line = curve_through(
            [start, start + way * 0.5 + bend, start + way],
            steps(float(np.hypot(*way)) + 0.5, frame),
        )
        half = np.linspace(0.22, 0.09, line.shape[1], dtype=np.float32)
        parts.append(
            tubes(
                frame,
                (line[0], line[1], np.zeros_like(line[0])),
                half,
                rod(max(4, steps(0.4, frame))),
                2.6 * half,
            )
        )
    air = deposit(join(parts), frame.size)[lung.window] * share
    scene.added.append((lung.window, air * np.float32(-physics.SOFT)))


def _kerley(frame: Frame, lung: Lung, sign: Sign) -> Samples:
    """Draw Kerley's B lines: short, level, at the pleura of the base."""
    rng = sign.rng
    lines = []
    for _ in range(4 + int(9 * sign.severity)):
        y = lung.span * rng.uniform(0.66, 1.0)
        row = int(
            np.clip(np.searchsorted(lung.y[:, lung.y.shape[1] // 2], y), 0, lung.y.shape[0] - 1)
        )
        field = np.nonzero(lung.inside[row])[0]
        if field.size == 0:
            continue
        edge = float(lung.x[row][field].max()) - rng.uniform(0.05, 0.3)
        long = rng.uniform(0.8, 1.8)
        tilt = rng.normal(0, 0.12)
        lines.append(([lung.side * edge, y], [lung.side * (edge - long), y + tilt * long]))
    parts = [_thin(frame, start, end, 0.05, 0.035 + 0.03 * sign.severity) for start, end in lines]
    empty = np.zeros(0, np.float32)
    return join(parts) if parts else Samples(empty, empty, empty)


def _thin(frame: Frame, start: list[float], end: list[float], half: float, depth: float) -> Samples:
    count = steps(float(np.hypot(end[0] - start[0], end[1] - start[1])) + 0.1, frame)
    x = np.linspace(start[0], end[0], count, dtype=np.float32)
    y = np.linspace(start[1], end[1], count, dtype=np.float32)
    wide = max(half, 0.5 / frame.per_cm)
    return tubes(frame, (x, y, np.zeros_like(x)), np.full(count, wide, np.float32), rod(3), depth)
