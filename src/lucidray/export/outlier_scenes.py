"""Draw pictures of the world, patterns, noise, text and nothing: sent to a reader by mistake.

Natural photographs are stood in for by dead leaves (shapes of all sizes that hide one another) and
by noise with their spectrum, so no photograph needs to be shipped.

Source:
    Lee, Mumford & Huang, Occlusion models for natural images, IJCV 41 (2001); Baradad et al.,
    Learning to see by looking at noise, arXiv:2106.05963.
"""

from __future__ import annotations

import string
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from lucidray.records import Float32

Random = np.random.Generator
Array = npt.NDArray[np.float64]
Drawing = Callable[[Random, int], Float32]


def blank(rng: Random, side: int) -> Float32:
    """One tone, or a slope of tones, with or without a trace of noise."""
    y, x = np.mgrid[0:side, 0:side] / side
    image = np.full((side, side), rng.uniform(0, 1))
    kind = rng.integers(0, 4)
    if kind == 1:
        angle = rng.uniform(0, 2 * np.pi)
        image = image + rng.uniform(0.1, 1) * (np.cos(angle) * x + np.sin(angle) * y)
    if kind == 2:
        place = rng.uniform(0, 1, 2)
        image = image + rng.uniform(-1, 1) * np.hypot(x - place[0], y - place[1])
    if kind == 3:
        image = image + rng.uniform(0, 0.2) * _cloud(rng, side, rng.uniform(0.1, 0.3))
    return np.asarray(image + rng.uniform(0, 0.03) * rng.normal(size=image.shape), np.float32)


def noise(rng: Random, side: int) -> Float32:
    """White, colored, blocky, speckled, salt and pepper."""
    kind = rng.integers(0, 6)
    if kind == 0:
        image = rng.uniform(size=(side, side))
    elif kind == 1:
        image = rng.normal(rng.uniform(0.2, 0.8), rng.uniform(0.05, 0.5), (side, side))
    elif kind == 2:
        image = 0.5 + rng.uniform(0.08, 0.3) * colored(rng, side, rng.uniform(0.3, 2.8))
    elif kind == 3:
        cells = int(rng.integers(3, 40))
        wide = -(-side // cells)
        tones = rng.uniform(size=(cells, cells)).repeat(wide, 0).repeat(wide, 1)
        image = tones[:side, :side]
    elif kind == 4:
        image = (rng.uniform(size=(side, side)) < rng.uniform(0.02, 0.5)).astype(float)
    else:
        base = 0.5 + 0.2 * colored(rng, side, 2.5)
        image = base * rng.gamma(rng.uniform(0.5, 4), 0.5, (side, side))
    return np.asarray(image, np.float32)


def pattern(rng: Random, side: int) -> Float32:
    """Checks, stripes, rings, waves and dots."""
    y, x = np.mgrid[0:side, 0:side] / side - rng.uniform(0.2, 0.8, (2, 1, 1))
    angle, count = rng.uniform(0, np.pi), rng.uniform(1.5, 30)
    x, y = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    wave_x, wave_y = np.sin(np.pi * count * x), np.sin(np.pi * count * y)
    kind = rng.integers(0, 6)
    image = (
        np.sign(wave_x * wave_y),
        np.sign(wave_x),
        wave_x,
        np.sin(np.pi * count * np.hypot(x, y)),
        wave_x + wave_y,
        np.sign(wave_x + wave_y - 1),
    )[kind]
    return np.asarray(0.5 + rng.uniform(0.1, 0.5) * image, np.float32)


def scene(rng: Random, side: int) -> Float32:
    """Dead leaves before a sky: shapes of all sizes, textured and lit, the last ones in front."""
    y, x = np.mgrid[0:side, 0:side] / side
    image = rng.uniform(0.2, 0.9) - rng.uniform(-0.3, 0.5) * y
    texture = colored(rng, side, rng.uniform(0.8, 2))
    smallest = rng.uniform(0.015, 0.1)
    for _ in range(int(rng.integers(5, 90))):
        size = smallest * (1 - rng.uniform(0, 1 - (smallest / 0.6) ** 1.2)) ** (-1 / 1.2)
        inside, light = _leaf(rng, x - rng.uniform(-0.1, 1.1), y - rng.uniform(-0.1, 1.1), size)
        shift = rng.integers(0, side, 2)
        grain = rng.choice([0, 0.03, 0.1]) * np.roll(texture, shift, (0, 1))
        image = np.where(inside, rng.beta(1.3, 1.6) + light + grain, image)
    if rng.random() < 0.3:
        image = ndimage.gaussian_filter(image, rng.uniform(0.5, 3))
    return np.asarray(image, np.float32)


def portrait(rng: Random, side: int) -> Float32:
    """One thing in the middle of a plain or busy background: a face, an animal, a product."""
    y, x = np.mgrid[0:side, 0:side] / side - 0.5
    background = scene(rng, side) if rng.random() < 0.5 else blank(rng, side)
    image = ndimage.gaussian_filter(background, rng.uniform(0, 6)).astype(float)
    texture = colored(rng, side, rng.uniform(1, 2.2))
    body = np.hypot(x / rng.uniform(0.25, 0.5), (y - 0.5) / rng.uniform(0.2, 0.5)) < 1
    image = np.where(body & (rng.random() < 0.7), rng.uniform(0, 1) + 0.05 * texture, image)
    wide, high = rng.uniform(0.15, 0.4), rng.uniform(0.15, 0.4)
    center = rng.uniform(-0.12, 0.12, 2)
    u, v = (x - center[0]) / wide, (y - center[1]) / high
    light = rng.uniform(-0.3, 0.3, 2)
    skin = rng.uniform(0.2, 0.9) + light[0] * u + light[1] * v + rng.uniform(0, 0.1) * texture
    image = np.where(u**2 + v**2 < 1, skin, image)
    for _ in range(int(rng.integers(2, 8))):
        spot = rng.uniform(-0.6, 0.6, 2)
        round_ = rng.uniform(0.04, 0.3, 2)
        inside = ((u - spot[0]) / round_[0]) ** 2 + ((v - spot[1]) / round_[1]) ** 2 < 1
        inside |= ((u + spot[0]) / round_[0]) ** 2 + ((v - spot[1]) / round_[1]) ** 2 < 1
        image = np.where(inside, rng.uniform(0, 1), image)
    return np.asarray(image, np.float32)


def texture(rng: Random, side: int) -> Float32:
    """Cloth, stone, grass: warped and sharpened noise, cells and grains."""
    image = colored(rng, side, rng.uniform(0.5, 2.2))
    kind = rng.integers(0, 4)
    if kind == 1:
        image = np.abs(image)
    if kind == 2:
        seeds = rng.uniform(size=(side, side)) < rng.uniform(0.0005, 0.01)
        image = -ndimage.distance_transform_edt(~seeds) / 8 + 0.2 * image
    if kind == 3:
        stretched = colored(rng, side, 1.0)[:, : max(side // int(rng.integers(4, 20)), 2)]
        image = np.resize(np.repeat(stretched, -(-side // stretched.shape[1]), 1), (side, side))
    scaled = (image - image.mean()) / (image.std() + 1e-6)
    return np.asarray(0.5 + rng.uniform(0.05, 0.3) * scaled, np.float32)


def page(rng: Random, side: int) -> Float32:
    """A page of text, a form or a screen: lines of letters, rules and boxes."""
    paper, ink = (255, int(rng.integers(0, 90))) if rng.random() < 0.8 else (0, 255)
    image = Image.new("L", (side, side), paper)
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 5))):
        corner, size = rng.integers(0, side, 2), rng.integers(8, side // 2, 2)
        filled = int(rng.integers(0, 256)) if rng.random() < 0.4 else None
        draw.rectangle((*corner, *(corner + size)), outline=ink, fill=filled)
    height = float(rng.uniform(6, 40))
    font = ImageFont.load_default(height)
    left, lead = int(rng.integers(0, side // 6)), height * rng.uniform(1.1, 2)
    for top in np.arange(rng.uniform(0, 20), side, lead):
        if rng.random() < 0.85:
            letters = rng.choice(list(string.ascii_letters + "      .,0123456789"), 80)
            text = "".join(letters[: int(rng.integers(3, 80))])
            draw.text((left, float(top)), text, fill=ink, font=font)
    return np.asarray(image, np.float32) / np.float32(255)


#: By name.
SCENES: dict[str, Drawing] = {
    "blank": blank,
    "noise": noise,
    "page": page,
    "pattern": pattern,
    "portrait": portrait,
    "scene": scene,
    "texture": texture,
}


def colored(rng: Random, side: int, exponent: float) -> Array:
    """Return noise whose amplitudes fall as frequency to the power of -exponent; deviation 1."""
    down = np.fft.fftfreq(side)[:, None]
    across = np.fft.rfftfreq(side)[None]
    frequency = np.hypot(down, across)
    frequency[0, 0] = 1
    spectrum = np.fft.rfft2(rng.normal(size=(side, side))) / frequency**exponent
    spectrum[0, 0] = 0
    image = np.fft.irfft2(spectrum, (side, side))
    deviation: float = image.std()
    return np.asarray(image / deviation)


def _leaf(rng: Random, x: Array, y: Array, size: float) -> tuple[npt.NDArray[np.bool_], Array]:
    """Return where a shape lies, and how light falls on it."""
    angle, long = rng.uniform(0, np.pi), rng.uniform(0.3, 1)
    u = (np.cos(angle) * x + np.sin(angle) * y) / size
    v = (np.cos(angle) * y - np.sin(angle) * x) / (size * long)
    corners = rng.choice([2.0, 2.0, 8.0, 1.0])
    inside = np.abs(u) ** corners + np.abs(v) ** corners < 1
    return inside, rng.normal(0, 0.12) * u + rng.normal(0, 0.12) * v


def _cloud(rng: Random, side: int, size: float) -> Array:
    smooth = ndimage.gaussian_filter(rng.normal(size=(side, side)), size * side)
    return np.asarray(smooth * side * size)
