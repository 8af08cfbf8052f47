"""Images that a chest model must not judge, generated: drawings, scenes, and films gone wrong."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import Image
from scipy import ndimage

from lucidray.errors import unknown_name
from lucidray.export.outlier_drawings import BODY_PARTS
from lucidray.export.outlier_scenes import SCENES
from lucidray.images.resample import resample
from lucidray.records import Float32

Random = np.random.Generator
Spoiling = Callable[[Random, Float32], Float32]

#: Pixels a side: more than a gate looks at.
SIDE = 192


def negative(_: Random, film: Float32) -> Float32:
    """Bone dark, air bright."""
    return 1 - film


def upside_down(rng: Random, film: Float32) -> Float32:
    """Turned by half a turn, or mirrored top to bottom."""
    return film[::-1] if rng.random() < 0.5 else film[::-1, ::-1]


def lying(rng: Random, film: Float32) -> Float32:
    """Turned by a quarter, either way."""
    return np.rot90(film, int(rng.choice([1, 3])))


def closeup(rng: Random, film: Float32) -> Float32:
    """A part of a film: a third of its sides or less."""
    height, width = film.shape
    zoom = rng.uniform(3, 6)
    top, left = rng.uniform(0, 1 - 1 / zoom, 2) * (height, width)
    return resample(film, (SIDE, SIDE), (left, top, left + width / zoom, top + height / zoom))


def shuffled(rng: Random, film: Float32) -> Float32:
    """A film cut into squares that lie in another order."""
    count = int(rng.integers(3, 7))
    part = SIDE // count
    whole = resample(film, (SIDE, SIDE))[: part * count, : part * count]
    grid = whole.reshape(count, part, count, part).swapaxes(1, 2)
    order = rng.permutation(count**2)
    moved = np.roll(grid.reshape(-1, part, part)[order], 1, 0)[np.argsort(order)]
    square = moved.reshape(count, count, part, part).swapaxes(1, 2)
    return np.ascontiguousarray(square.reshape(part * count, part * count))


def scrambled(rng: Random, film: Float32) -> Float32:
    """The spectrum of a film with other phases: its texture without its shapes."""
    square = resample(film, (SIDE, SIDE))
    phases = np.angle(np.fft.rfft2(rng.normal(size=square.shape)))
    spectrum = np.abs(np.fft.rfft2(square)) * np.exp(1j * phases)
    spectrum[0, 0] = SIDE**2 * square.mean()
    return np.fft.irfft2(spectrum, square.shape).astype(np.float32)


def stretched(rng: Random, film: Float32) -> Float32:
    """A strip of a film, pulled out to a square."""
    height, width = film.shape
    share = rng.uniform(0.12, 0.3)
    start = rng.uniform(0, 1 - share)
    box = (start * width, 0.0, (start + share) * width, float(height))
    if rng.random() < 0.5:
        box = (0.0, start * height, float(width), (start + share) * height)
    return resample(film, (SIDE, SIDE), box)


#: By name: what can go wrong with a film.
SPOILED: dict[str, Spoiling] = {
    "closeup": closeup,
    "lying": lying,
    "negative": negative,
    "scrambled": scrambled,
    "shuffled": shuffled,
    "stretched": stretched,
    "upside_down": upside_down,
}

#: All kinds that can be generated; those of `SPOILED` need films.
KINDS = tuple(sorted({**BODY_PARTS, **SCENES, **SPOILED}))


def make_outliers(
    kind: str, count: int, *, seed: int = 0, films: Sequence[Float32] = ()
) -> list[Float32]:
    """Generate images of one kind that no chest model should judge.

    Args:
        kind: One of `KINDS`.
        count: How many.
        seed: The same seed gives the same images.
        films: Chest films ``(H, W)`` in [0, 1], for the kinds that spoil one.

    Returns:
        float32 in [0, 1] each, at most `SIDE` a side unless films are larger; none where the kind
        needs films and there are none.

    Raises:
        UnknownNameError: No such kind.
    """
    if kind not in KINDS:
        raise unknown_name("kind of outlier", kind, KINDS)
    rng = np.random.Generator(np.random.PCG64([seed, KINDS.index(kind)]))
    if kind in SPOILED:
        chosen = np.resize(rng.permutation(len(films)), count if len(films) else 0)
        return [_clean(vary(rng, SPOILED[kind](rng, films[i]))) for i in chosen.tolist()]
    draw = {**BODY_PARTS, **SCENES}[kind]
    return [finish(rng, draw(rng, SIDE)) for _ in range(count)]


def finish(rng: Random, drawing: Float32) -> Float32:
    """Make a drawing as varied as pictures are: exposure, blur, grain, collimation, compression."""
    image = drawing.astype(np.float32)
    low, high = np.percentile(image, [0.5, 99.5])
    if rng.random() < 0.6 and high - low > 0.2:
        image = (image - low) / (high - low)
    image = np.clip(image, 0, 1) ** np.float32(rng.uniform(0.6, 1.6))
    if rng.random() < 0.2:
        image = 1 - image
    if rng.random() < 0.3:
        image = _collimated(rng, image)
    if rng.random() < 0.4:
        image = ndimage.gaussian_filter(image, rng.uniform(0.3, 2))
    if rng.random() < 0.5:
        grain = rng.normal(0, rng.uniform(0, 0.06), image.shape)
        image = image + ndimage.gaussian_filter(grain, rng.uniform(0, 1)).astype(np.float32)
    return _clean(_compressed(rng, image))


def vary(rng: Random, film: Float32) -> Float32:
    """Change a film as hospitals differ: framing, bars, tilt, exposure, blur, grain, JPEG.

    Args:
        rng: Source of randomness.
        film: ``(H, W)`` in [0, 1].

    Returns:
        float32 ``(SIDE, SIDE)`` in [0, 1]: still a chest film that a model may judge.
    """
    image = resample(np.ascontiguousarray(film, np.float32), (SIDE, SIDE))
    image = _reframed(rng, image)
    if rng.random() < 0.3:
        image = _framed(rng, image)
    slope = rng.uniform(-0.12, 0.12, 2)
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE - 0.5
    image = (image - 0.5) * rng.uniform(0.75, 1.25) + 0.5 + rng.uniform(-0.08, 0.08)
    image = np.clip(image + slope[0] * x + slope[1] * y, 0, 1) ** rng.uniform(0.7, 1.4)
    if rng.random() < 0.3:
        image = ndimage.gaussian_filter(image, rng.uniform(0.3, 1.2))
    if rng.random() < 0.5:
        image = image + rng.normal(0, rng.uniform(0, 0.025), image.shape)
    return _clean(_compressed(rng, image.astype(np.float32)))


def _reframed(rng: Random, image: Float32) -> Float32:
    """Tilt, shift and zoom as a technician would, black, grey or mirrored beyond the edge."""
    angle = rng.normal(0, np.deg2rad(3.5))
    scale = np.exp(rng.normal(0, 0.07, 2))
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * scale
    center = np.full(2, SIDE / 2 - 0.5)
    offset = center - matrix @ center + rng.normal(0, 0.03 * SIDE, 2)
    mode = str(rng.choice(["nearest", "mirror", "constant"]))
    turned = ndimage.affine_transform(image, matrix, offset, order=1, mode=mode)
    return np.asarray(turned if rng.random() < 0.5 else turned[:, ::-1], np.float32)


def _framed(rng: Random, image: Float32) -> Float32:
    """Shrink a film between bars of one tone, as where a detector is larger than the film."""
    top, bottom, left, right = (rng.uniform(0, 0.28, 4) * rng.integers(0, 2, 4) * SIDE).astype(int)
    framed = np.full_like(image, rng.choice([0, 0, 0, rng.uniform(0, 0.15), rng.uniform(0.9, 1)]))
    shape = SIDE - int(top + bottom), SIDE - int(left + right)
    framed[top : SIDE - bottom, left : SIDE - right] = resample(image, shape)
    return framed


def _collimated(rng: Random, image: Float32) -> Float32:
    """Cover margins in black, as the edges of a beam do, or in white where a display does not."""
    edges = (rng.uniform(0, 0.3, 4) * len(image)).astype(int) * rng.integers(0, 2, 4)
    framed = np.full_like(image, rng.random() < 0.25)
    inside = slice(edges[0], len(image) - edges[1]), slice(edges[2], len(image) - edges[3])
    framed[inside] = image[inside]
    return framed


def _compressed(rng: Random, image: Float32) -> Float32:
    if rng.random() < 0.6:
        return image
    levels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "JPEG", quality=int(rng.integers(30, 96)))
    return np.asarray(Image.open(buffer), np.float32) / np.float32(255)


def _clean(image: Float32) -> Float32:
    return np.ascontiguousarray(np.clip(image, 0, 1), np.float32)


def drawn_kinds(kinds: Iterable[str] = KINDS) -> tuple[str, ...]:
    """Return those kinds that need no films."""
    return tuple(kind for kind in kinds if kind not in SPOILED)
