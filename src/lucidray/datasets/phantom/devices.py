"""Foreign bodies and film furniture: tubes, leads, side markers, the planted tag, shutters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lucidray.datasets.phantom import physics
from lucidray.datasets.phantom.chest import Chest
from lucidray.datasets.phantom.draw import Random, Samples, curve_through, rod, steps, tubes
from lucidray.datasets.phantom.frame import Window
from lucidray.records import Bool, Float32


@dataclass(frozen=True)
class Equipment:
    """What lies on or in the patient.

    Args:
        names: What there is.
        strokes: Its optical depth.
    """

    names: tuple[str, ...]
    strokes: list[Samples]


def equip(chest: Chest, rng: Random, likely: float, bedside: bool) -> Equipment:
    """Choose lines, tubes and leads.

    Args:
        chest: The body.
        rng: Source of chance.
        likely: How likely they are, 0 to 1.
        bedside: Whether the film was taken in bed, where there are more.
    """
    chances = rng.random(len(_DEVICES))
    names, strokes = [], []
    for chance, (name, (draw, bed, ward)) in zip(chances, _DEVICES.items(), strict=True):
        if chance < likely * (bed if bedside else ward):
            names.append(name)
            strokes.extend(draw(chest, rng))
    return Equipment(tuple(names), strokes)


def _line(
    chest: Chest, points: list[list[float]], half: float, depth: float, hollow: bool = False
) -> Samples:
    frame = chest.frame
    length = float(np.sum(np.hypot(*np.diff(np.array(points), axis=0).T)))
    x, y = curve_through(points, steps(length * 1.05, frame))
    wide = max(half, 0.55 / frame.per_cm)
    profile = rod(max(3, steps(2 * wide, frame)))
    if hollow:
        profile = (0.25 + 0.75 * (1 - profile)).astype(np.float32)
    strength = np.full(x.shape, depth * half / wide, np.float32)
    return tubes(
        frame, (x, y, np.zeros_like(x)), np.full(x.shape, wide, np.float32), profile, strength
    )


def _breathing_tube(chest: Chest, rng: Random) -> list[Samples]:
    end = 0.355 * chest.body.length - rng.uniform(1.5, 5.0)
    path = [[rng.normal(0, 0.6), -9.0], [0.1, -4.0], [0.0, 0.5 * end], [-0.2, end]]
    stripe = [[x + 0.35, y] for x, y in path]
    return [_line(chest, path, 0.48, 0.20, hollow=True), _line(chest, stripe, 0.06, 0.30)]


def _feeding_tube(chest: Chest, rng: Random) -> list[Samples]:
    low = chest.body.length
    path = [
        [0.4, -9.0],
        [0.3, 0.0],
        [0.5, 0.35 * low],
        [0.4, 0.7 * low],
        [1.6, 0.93 * low],
        [4.5 + rng.normal(0, 1), 1.05 * low],
        [6.0 + rng.normal(0, 1), 1.2 * low],
    ]
    return [_line(chest, path, 0.2, 0.26)]


def _central_line(chest: Chest, rng: Random) -> list[Samples]:
    end = 0.36 * chest.body.length + rng.uniform(-1, 2.5)
    if rng.random() < 0.5:
        path = [[-5.5, -6.5], [-3.6, -3.0], [-2.6, 1.0], [-2.0, 5.0], [-2.0, end]]
    else:
        path = [[-13, 3.5], [-9.5, 1.8], [-6.0, 1.4], [-3.2, 2.0], [-2.1, 4.5], [-2.0, end]]
    return [_line(chest, path, 0.11, 0.32)]


def _leads(chest: Chest, rng: Random) -> list[Samples]:
    parts = []
    for x, y in ((-8.5, 3.5), (8.5, 3.0), (9.0, 20.0)):
        x, y = x + rng.normal(0, 1.2), y + rng.normal(0, 1.2)
        turn = np.linspace(0, 2 * np.pi, 9)
        parts.append(
            _line(chest, [[x + 0.45 * np.cos(a), y + 0.45 * np.sin(a)] for a in turn], 0.22, 0.55)
        )
        out = np.sign(x) * rng.uniform(14, 19)
        way = [
            [x, y],
            [x + 0.35 * (out - x), y + rng.normal(2, 2)],
            [x + 0.7 * (out - x), y + rng.normal(6, 3)],
            [out, y + rng.uniform(6, 16)],
        ]
        parts.append(_line(chest, way, 0.07, 0.55))
    return parts


def _pacemaker(chest: Chest, rng: Random) -> list[Samples]:
    x, y = 9.2 + rng.normal(0, 0.5), 4.2 + rng.normal(0, 0.5)
    body = [
        _line(chest, [[x - 1.6, y + d], [x, y + d + 0.15], [x + 1.6, y + d]], 0.5, 0.9)
        for d in (-1.2, -0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9, 1.2)
    ]
    low = 0.80 * chest.body.length
    wire = [
        [x - 1.5, y - 1.2],
        [x - 4.5, y - 2.6],
        [2.5, 1.8],
        [-1.2, 4.2],
        [-2.2, 8.5],
        [-2.3, 0.5 * low],
        [-0.5, 0.9 * low],
        [4.6, low],
    ]
    return [*body, _line(chest, wire, 0.10, 0.6)]


def _sternal_wires(chest: Chest, rng: Random) -> list[Samples]:
    parts = []
    for y in np.linspace(5.0, 17.5, 6) + rng.normal(0, 0.25, 6):
        x = rng.normal(0.1, 0.2)
        ring = [
            [x + 0.75 * np.cos(a) + 0.15 * np.sin(2 * a), y + 0.42 * np.sin(a)]
            for a in np.linspace(0.3, 6.6, 10)
        ]
        parts.append(_line(chest, ring, 0.055, 0.75))
    return parts


def _port(chest: Chest, rng: Random) -> list[Samples]:
    x, y = -8.6 + rng.normal(0, 0.6), 5.2 + rng.normal(0, 0.6)
    ring = [[x + 1.0 * np.cos(a), y + 1.0 * np.sin(a)] for a in np.linspace(0, 6.5, 14)]
    wire = [[x + 0.8, y - 0.8], [x + 2.4, y - 3.4], [-4.2, 1.0], [-2.3, 3.6], [-2.0, 9.5]]
    return [_line(chest, ring, 0.30, 0.5), _line(chest, wire, 0.11, 0.35)]


_DEVICES = {
    "endotracheal_tube": (_breathing_tube, 0.8, 0.0),
    "nasogastric_tube": (_feeding_tube, 0.7, 0.05),
    "central_line": (_central_line, 0.9, 0.12),
    "ecg_leads": (_leads, 1.4, 0.12),
    "pacemaker": (_pacemaker, 0.18, 0.12),
    "sternal_wires": (_sternal_wires, 0.3, 0.15),
    "port": (_port, 0.15, 0.15),
}


@lru_cache(maxsize=64)
def _letters(text: str, height: int) -> Float32:
    font = ImageFont.load_default(size=height)
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
    ImageDraw.Draw(image).text((2 - left, 2 - top), text, fill=255, font=font)
    return np.asarray(image, np.float32) / np.float32(255)


def side_marker(depth: Float32, rng: Random, bedside: bool) -> None:
    """Lay a lead letter beside the shoulder, in place."""
    size = depth.shape[0]
    left = rng.random() < 0.65
    text = (
        ("L" if left else "R")
        if rng.random() < 0.8
        else ("L" if left else "R") + "  " + str(rng.choice(["AB", "MK", "GV", "JT", "RS"]))
    )
    letters = _letters(text, round(size * rng.uniform(0.035, 0.05)))
    if rng.random() < 0.15:
        letters = np.rot90(letters)
    row = round(size * rng.uniform(0.03, 0.12))
    at = rng.uniform(0.86, 0.93) if left else rng.uniform(0.05, 0.12)
    _stamp(depth, letters * np.float32(physics.METAL * 0.35), row, round(size * at))
    if bedside and rng.random() < 0.5:
        words = _letters("PORTABLE", round(size * 0.022))
        _stamp(depth, words * np.float32(2.5), round(size * 0.95), round(size * 0.1))


def _stamp(depth: Float32, patch: Float32, row: int, column: int) -> Window:
    height, width = patch.shape
    top = int(np.clip(row, 0, depth.shape[0] - height))
    left = int(np.clip(column, 0, depth.shape[1] - width))
    window = slice(top, top + height), slice(left, left + width)
    depth[window] += patch
    return window


def plant(depth: Float32, rng: Random) -> Bool:
    """Lay the planted tag on the image, in place: a small metal ring with a bar.

    Returns:
        bool ``(N, N)``: where it is.
    """
    size = depth.shape[0]
    radius = max(4.0, size * 0.017)
    reach = int(np.ceil(radius)) + 1
    line = np.arange(-reach, reach + 1, dtype=np.float32)
    far = np.hypot(line[None, :], line[:, None])
    ring = np.clip(1.5 - np.abs(far - np.float32(radius * 0.78)) / np.float32(radius * 0.16), 0, 1)
    bar = np.clip(1.5 - np.abs(line[:, None]) / np.float32(radius * 0.14), 0, 1) * (
        far < radius * 0.8
    )
    tag = np.maximum(ring, bar).astype(np.float32)
    row = round(size * (0.05 + 0.03 * rng.random()))
    column = round(size * (0.20 + 0.06 * rng.random()))
    window = _stamp(depth, tag * np.float32(3.0), row, column)
    mask = np.zeros(depth.shape, bool)
    mask[window] = far <= radius
    return mask


def shutter(shown: Float32, rng: Random) -> None:
    """Cut the borders as collimators and film frames do, in place."""
    size = shown.shape[0]
    kind = rng.random()
    if kind < 0.55:
        return
    edges = np.maximum(0, rng.normal(0.02, 0.02, 4)) * size
    tone = np.float32(0.0 if kind < 0.85 else rng.uniform(0.92, 1.0))
    top, bottom, left, right = (round(float(edge)) for edge in edges)
    if kind > 0.93:
        top, bottom, left, right = 0, 0, max(left, right), max(left, right)
    shown[:top] = tone
    shown[size - bottom :] = tone
    shown[:, :left] = tone
    shown[:, size - right :] = tone
