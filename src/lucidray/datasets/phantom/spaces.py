"""Findings of pleura, volume and shape: collapse, fluid, free air, overinflation, hernia, heart."""

from __future__ import annotations

import numpy as np

from lucidray.datasets.phantom import physics
from lucidray.datasets.phantom.chest import Lung
from lucidray.datasets.phantom.draw import texture
from lucidray.datasets.phantom.frame import ramp
from lucidray.datasets.phantom.scene import Scene, Sign, spot
from lucidray.records import Float32


def cardiomegaly(scene: Scene, sign: Sign) -> None:
    """Note the heart, which the body already has too large."""
    everywhere = (slice(0, scene.chest.frame.size),) * 2
    scene.note(sign.finding, everywhere, scene.chest.heart.copy())


def atelectasis(scene: Scene, sign: Sign) -> None:
    """Draw plates of collapsed lung above a raised dome, or a collapsed lower lobe."""
    for side in sign.sides:
        lung = scene.chest.lung(side)
        share = _plates(lung, sign)
        seen = lung.inside
        if sign.side and sign.severity > 0.6:
            share = np.maximum(share, _collapse(scene, lung, sign))
            seen = seen | ((lung.base > 0) & (lung.share > 0.02))
        scene.fill(side, share)
        scene.note(sign.finding, lung.window, (share > 0.12) & seen)


def _plates(lung: Lung, sign: Sign) -> Float32:
    total = np.zeros(lung.air.shape, np.float32)
    for _ in range(1 + int(sign.rng.random() < 0.2 + 0.4 * sign.severity)):
        x, y = spot(lung, sign.rng, (lung.base > 0.8) & (lung.base < 6.5) & (lung.share < 0.85))
        slope, bend = sign.rng.normal(0.05, 0.16), sign.rng.normal(0, 0.015)
        dx = lung.x - np.float32(x)
        off = lung.y - np.float32(y) - np.float32(slope) * dx - np.float32(bend) * dx * dx
        long = sign.rng.uniform(1.8, 2.6) + 1.8 * sign.severity
        usual = np.float32(sign.rng.uniform(0.14, 0.26) + 0.22 * sign.severity)
        thick = usual * (1 + np.float32(0.25) * texture(sign.rng, off.shape, 10))
        ends = ramp(np.abs(dx), long * 1.35, long * 0.5)
        plate = np.exp(-((off / thick) ** 2)) * ends
        total = np.maximum(total, plate * np.float32(0.16 + 0.26 * sign.severity))
    return total


def _collapse(scene: Scene, lung: Lung, sign: Sign) -> Float32:
    """Return the wedge of a collapsed lower lobe, between hilum, spine and dome."""
    width = scene.chest.body.width
    top = 0.52 * lung.span
    outer = 0.16 * width + (lung.y - np.float32(top)) * np.float32(
        0.36 * width / (lung.span - top) * (0.5 + 0.6 * sign.severity)
    )
    sway = np.float32(0.35) * texture(sign.rng, outer.shape, 5)
    bow = np.float32(0.9) * np.sin((lung.y - np.float32(top)) * np.float32(3.1 / (lung.span - top)))
    wedge = ramp(lung.x - outer + bow + sway, 0.55, -0.75) * ramp(lung.y, top, top + 5.0)
    uneven = 1 + np.float32(0.12) * texture(sign.rng, outer.shape, 14)
    return np.clip(wedge * uneven, 0, 1) * np.float32(0.20 + 0.50 * sign.severity)


def effusion(scene: Scene, sign: Sign) -> None:
    """Let fluid rise from the base, higher at the side: the meniscus; it blunts the angle first."""
    for side in sign.sides:
        lung = scene.chest.lung(side)
        body = scene.chest.body
        high = 1.6 + 10.0 * sign.severity**1.3
        rim = 0.30 + 0.9 * min(high, 6.0) / 6.0
        climb = lung.share * lung.share
        climb = climb * climb
        level = np.float32(body.length + 0.45 * rim - high) - np.float32(3.4 * rim) * climb
        level = level + np.float32(0.10) * texture(sign.rng, level.shape, 6)
        deep = lung.y - level
        share = np.sqrt(np.clip(deep * np.float32(1 / (2.0 + 2.4 * sign.severity)), 0, 1))
        share *= np.float32(0.97)
        # Behind the lung the fluid thins out upward.
        veil = ramp(deep, -5.0 * sign.severity - 1.0, 0.5) * np.float32(0.07 + 0.13 * sign.severity)
        scene.fill(side, np.maximum(share, veil))
        scene.note(sign.finding, lung.window, (share > 0.22) & lung.inside)


def pneumothorax(scene: Scene, sign: Sign) -> None:
    """Part lung from chest wall by free air: a fine pleural line, no vessels beyond it."""
    for side in sign.sides:
        lung = scene.chest.lung(side)
        inward = _gap(scene, lung, sign)
        free = ramp(inward, 0.12, -0.12)
        line = np.exp(-(((inward - np.float32(0.05)) / np.float32(_line_width(scene))) ** 2))
        scene.keep(side, 1 - free)
        # Lung before and behind the free air still weakens the beam a little.
        rest = np.float32(0.55 - 0.25 * sign.severity)
        scene.thin(side, (1 - free) * np.float32(1 + 0.30 * sign.severity) + free * rest)
        chord = np.minimum(lung.air * np.float32(0.5), np.float32(1.6))
        scene.added.append((lung.window, line * chord * np.float32(0.42 * physics.SOFT)))
        scene.note(sign.finding, lung.window, (inward < 0) & lung.inside)


def _line_width(scene: Scene) -> float:
    return max(0.075, 0.75 / scene.chest.frame.per_cm)


def _gap(scene: Scene, lung: Lung, sign: Sign) -> Float32:
    """Return the distance inward from the visceral pleura in centimeters, below 0 in free air."""
    body = scene.chest.body
    outer = body.lateral(lung.y)
    apex = 0.8 + 5.2 * sign.severity
    side = 0.25 + 3.8 * sign.severity**1.5
    low = ramp(lung.y, 0.95 * lung.span, 0.25 * lung.span)
    wave = np.float32(0.10 + 0.2 * sign.severity) * texture(sign.rng, outer.shape, 4)
    from_side = outer - lung.x - np.float32(side) * (0.25 + 0.75 * low) - wave
    # The shrunken lung keeps a round top that hangs below the apex.
    middle = np.float32(0.36 * body.width) - np.float32(0.25 * side)
    across = (lung.x - middle) / np.float32(0.50 * body.width)
    top = np.float32(apex) + np.float32(0.16 * body.length) * across * across + wave
    from_top = (lung.y - top) * np.float32(0.9)
    # A smooth minimum: side and top pass into each other without a corner.
    return np.asarray(-np.logaddexp(-from_side, -from_top))


def pleural_thickening(scene: Scene, sign: Sign) -> None:
    """Lay a wavy soft stripe between lung and ribs, at the side or over the apex."""
    for side in sign.sides:
        lung = scene.chest.lung(side)
        body = scene.chest.body
        from_wall = body.lateral(lung.y) - lung.x
        usual = np.float32(0.22 + 0.85 * sign.severity)
        thick = usual * (1 + np.float32(0.28) * texture(sign.rng, from_wall.shape, 7))
        if sign.rng.random() < 0.35:
            reach = 2.2 + 1.8 * sign.severity
            place = ramp(lung.y, reach, reach - 1.2)
            from_wall = np.minimum(from_wall, lung.y * np.float32(0.8))
        else:
            start = lung.span * sign.rng.uniform(0.30, 0.55)
            place = ramp(lung.y, start, start + 2.0)
        stripe = ramp(from_wall - thick * place, 0.10, -0.08) * (place > 0.05) * (lung.cavity > 0.3)
        path = stripe * (np.float32(1.6 + 2.2 * sign.severity) + 0.4 * thick)
        path = np.minimum(path, lung.air + np.minimum(lung.cavity, 1))
        scene.added.append((lung.window, path * np.float32(physics.FILLED)))
        scene.note(
            sign.finding,
            lung.window,
            (stripe > 0.3) & (lung.cavity > 0.3) & (lung.base > 0) & (place > 0.05),
        )


def emphysema(scene: Scene, sign: Sign) -> None:
    """Rarefy both lungs unevenly, most at the apices, with bullae where it is severe."""
    for lung in scene.chest.lungs():
        upper = ramp(lung.y, 0.9 * lung.span, 0.05 * lung.span)
        uneven = 1 + np.float32(0.18) * texture(sign.rng, upper.shape, 8)
        loss: Float32 = np.clip((0.35 + 0.5 * upper) * uneven * sign.severity * 0.75, 0, 0.85)
        scene.keep(lung.side, 1 - np.float32(0.75) * loss)
        scene.thin(lung.side, 1 - loss)
        for _ in range(int(sign.rng.integers(0, 3) * (sign.severity > 0.5))):
            _bulla(scene, lung, sign)
        scene.note(sign.finding, lung.window, lung.inside.copy())


def _bulla(scene: Scene, lung: Lung, sign: Sign) -> None:
    x, y = spot(lung, sign.rng, (lung.y < 0.45 * lung.span) & (lung.share > 0.3))
    radius = np.float32(sign.rng.uniform(1.2, 2.6))
    far = np.hypot(lung.x - np.float32(x), (lung.y - np.float32(y)) * np.float32(0.85))
    far = far + np.float32(0.12) * texture(sign.rng, far.shape, 12)
    inside = ramp(far, float(radius) + 0.1, float(radius) - 0.5)
    scene.thin(lung.side, 1 - np.float32(0.38) * inside)
    scene.keep(lung.side, 1 - np.float32(0.8) * inside)
    wall = np.exp(-(((far - radius) / np.float32(_line_width(scene))) ** 2)) * (lung.cavity > 2)
    scene.added.append((lung.window, wall * np.float32(0.16 * physics.SOFT)))


def hernia(scene: Scene, sign: Sign) -> None:
    """Show the stomach behind the heart: a round shadow with gas over a fluid level."""
    chest, rng = scene.chest, sign.rng
    radius = 1.8 + 2.6 * sign.severity
    middle = rng.uniform(-0.6, 1.6) + 0.4 * radius * rng.uniform(-1, 1)
    low = min(chest.right.span, chest.left.span) + 0.9 - 0.75 * radius
    reach = 1.3 * radius
    window = chest.frame.window(middle - reach, middle + reach, low - reach, low + reach)
    dx = (chest.x[window] - np.float32(middle)) / np.float32(radius * 1.08)
    dy = (chest.y[window] - np.float32(low)) / np.float32(radius * 0.92)
    off = dx * dx + dy * dy + np.float32(0.13) * texture(rng, dx.shape, 4)
    ball = np.sqrt(np.clip(1 - off, 0, 1))
    hollow = np.sqrt(np.clip(1 - off * np.float32(1.28), 0, 1))
    gas = hollow * ramp(dy, 0.22, 0.10)
    path = ball * np.float32(physics.FILLED * 0.45) - gas * np.float32(physics.SOFT * 0.75)
    scene.added.append((window, path * np.float32(1.5 * radius)))
    scene.note(sign.finding, window, off < 1)
