"""A simulated reader: where the eye rests on a film, in what order and for how long."""

from __future__ import annotations

import numpy as np

from lucidray.datasets.phantom.chest import Chest
from lucidray.datasets.phantom.config import Fixation, LesionBox
from lucidray.datasets.phantom.draw import Random
from lucidray.datasets.phantom.vessels import hilum

#: Landmarks in shares of the chest's half width and length, in an order readers are taught.
_LANDMARKS = (
    ("trachea", 0.0, 0.12),
    ("right_apex", -0.42, 0.12),
    ("right_upper", -0.55, 0.32),
    ("right_middle", -0.55, 0.54),
    ("right_base", -0.55, 0.74),
    ("right_angle", -0.88, 0.93),
    ("left_angle", 0.90, 0.93),
    ("left_base", 0.68, 0.76),
    ("left_middle", 0.58, 0.52),
    ("left_upper", 0.55, 0.30),
    ("left_apex", 0.42, 0.12),
    ("heart", 0.22, 0.68),
    ("right_hilum", -0.3, 0.43),
    ("left_hilum", 0.3, 0.40),
    ("diaphragm", -0.3, 0.88),
)


def read_film(chest: Chest, boxes: list[LesionBox], rng: Random) -> tuple[Fixation, ...]:
    """Simulate one reading.

    A quick global look, a systematic scan of the landmarks, and returns to what is abnormal, where
    the eye rests longer.

    Args:
        chest: The body on its frame.
        boxes: Its lesions.
        rng: Source of chance.

    Returns:
        Fixations in order of time; they do not overlap.

    Source:
        Order and durations after Kundel and Nodine (Radiology 1978; Invest Radiol 1978) and the
        REFLACX recordings (Bigolin Lanfredi et al., Sci Data 2022): rests of 0.15-0.6 s, longer
        on abnormalities.
    """
    stops = [(name, *_landmark(chest, name, x, y)) for name, x, y in _LANDMARKS]
    if rng.random() < 0.5:
        stops[1:12] = stops[1:12][::-1]
    skipped = rng.random(len(stops)) < 0.15
    path = [
        (name, x, y, 0.26) for (name, x, y), skip in zip(stops, skipped, strict=True) if not skip
    ]
    for box in boxes:
        path = _visit(path, box, rng)
    return _times(chest.frame.size, path, rng)


def _landmark(chest: Chest, name: str, x: float, y: float) -> tuple[float, float]:
    body = chest.body
    place = (x * body.width + body.shift, y * body.length)
    if name.endswith("hilum"):
        place = hilum(chest, -1 if name.startswith("right") else 1)
    column, row = chest.frame.project(np.float32(place[0]), np.float32(place[1]), 0.0)
    return float(column), float(row)


_Stop = tuple[str, float, float, float]


def _visit(path: list[_Stop], box: LesionBox, rng: Random) -> list[_Stop]:
    """Insert rests on a lesion: where the scan comes nearest, and once more at the end."""
    x, y = (box.x_min + box.x_max) / 2, (box.y_min + box.y_max) / 2
    wide, high = (box.x_max - box.x_min) / 5, (box.y_max - box.y_min) / 5
    far = [np.hypot(stop[1] - x, stop[2] - y) for stop in path]
    at = int(np.argmin(far)) + 1 if far else 0

    def rests(count: int) -> list[_Stop]:
        off = np.clip(rng.normal(0, 1, (count, 2)), -2, 2)
        return [(box.finding, x + wide * float(dx), y + high * float(dy), 0.42) for dx, dy in off]

    return path[:at] + rests(int(rng.integers(2, 5))) + path[at:] + rests(int(rng.integers(1, 3)))


def _times(size: int, path: list[_Stop], rng: Random) -> tuple[Fixation, ...]:
    clock = float(rng.uniform(0.15, 0.35))
    jitter = rng.normal(0, 0.012 * size, (len(path), 2))
    lengths = rng.gamma(6.0, 1 / 6.0, len(path))
    saccades = rng.uniform(0.025, 0.06, len(path))
    fixations = []
    for (target, x, y, usual), off, length, saccade in zip(
        path, jitter, lengths, saccades, strict=True
    ):
        shift = off if usual < 0.4 else off * 0.3
        rest = max(0.09, usual * float(length))
        fixations.append(
            Fixation(
                round(float(np.clip(x + shift[0], 0, size - 1)), 2),
                round(float(np.clip(y + shift[1], 0, size - 1)), 2),
                round(clock, 3),
                round(rest, 3),
                target,
            )
        )
        clock = round(clock, 3) + round(rest, 3) + float(saccade)
    return tuple(fixations)
