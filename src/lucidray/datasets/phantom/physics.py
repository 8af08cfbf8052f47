"""From optical depth to what a display shows: attenuation, scatter, quanta, detector, window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lucidray.datasets.phantom.draw import Random, blur
from lucidray.datasets.phantom.frame import enlarge, shrink
from lucidray.records import Float32

# Linear attenuation at an effective 60 keV (a 110-125 kVp chest beam), per centimeter: mass
# attenuation of Hubbell and Seltzer, NISTIR 5632 (1995), table 4, times the density of ICRU 44.
SOFT = 0.2048 * 1.05
FAT = 0.1974 * 0.95
LUNG = 0.2053 * 0.24  # inflated in deep breath
BONE = 0.3148 * 1.92  # cortical
MARROW = 0.2048 * 1.05 * 1.13  # trabecular bone with its marrow, density 1.18
AIR = 0.1875 * 0.0012
PLASTIC = 0.95  # polymer filled with barium sulfate, as catheters are
METAL = 9.5  # iron: 1.205 x 7.87

#: Optical depth that one centimeter of lung turned to soft tissue adds.
FILLED = SOFT - LUNG


@dataclass(frozen=True)
class Exposure:
    """How an exposure was made and shown.

    Args:
        quanta: Photons per pixel of an open beam at 512 pixels a side.
        scatter: Scattered over primary radiation behind the average body.
        softness: Weight of neighboring pixels in the detector's blur, 0 to 0.25.
        flatten: Share of the coarse contrast that the display processing takes away, 0 to 1.
        sharpen: Share of the fine contrast that it adds.
        dark: Quantile of the body's optical depth that is shown dark.
        bright: Quantile shown bright.
        lift: How far below that quantile black lies, as a share of the range: greyer lungs.
        steepness: Slope of the display's S-shaped curve.
        falloff: Heel effect: relative drop of the beam from edge to edge.
    """

    quanta: float = 4e5
    scatter: float = 0.6
    softness: float = 0.18
    flatten: float = 0.45
    sharpen: float = 0.8
    dark: float = 0.04
    bright: float = 0.97
    lift: float = 0.3
    steepness: float = 2.2
    falloff: float = 0.05


def expose(depth: Float32, exposure: Exposure, rng: Random) -> Float32:
    """Return the detector's logarithmic signal behind a body.

    Args:
        depth: float32 ``(N, N)``, optical depth.
        exposure: How the exposure is made.
        rng: Source of the quantum noise.

    Returns:
        float32 ``(N, N)``: apparent optical depth, high behind dense parts.

    Source:
        Beer-Lambert law; scatter as a wide blur of the primary beam behind the body
        (Boone and Seibert, Med Phys 1988); Poisson noise by its normal limit.
    """
    size = depth.shape[0]
    signal = np.exp(-depth)
    signal *= np.float32(1) + np.float32(exposure.falloff) * np.linspace(
        -0.5, 0.5, size, dtype=np.float32
    )
    signal += _scattered(signal, exposure.scatter)
    quanta = np.float32(exposure.quanta * (512 / size) ** 2)
    signal *= quanta
    noise = rng.standard_normal(signal.shape, dtype=np.float32)
    noise *= np.sqrt(signal)
    signal += noise
    signal = _detect(signal, np.float32(exposure.softness))
    np.maximum(signal, 1, out=signal)
    np.log(signal, out=signal)
    np.subtract(np.log(quanta), signal, out=signal)
    return signal


def _scattered(primary: Float32, ratio: float) -> Float32:
    coarse = np.minimum(shrink(primary, 32), np.float32(0.2))
    wide = blur(coarse, 4.5)
    level = np.float32(0.62) * wide + np.float32(0.38) * coarse.mean()
    return enlarge(level * np.float32(ratio * 0.34), primary.shape)


def _detect(signal: Float32, side: np.float32) -> Float32:
    """Blur by the three-tap kernel (side, 1 - 2 side, side) in both directions."""
    for axis in (0, 1):
        moved = np.moveaxis(signal, axis, 0)
        inner = moved[1:-1] * (1 - 2 * side)
        inner += (moved[:-2] + moved[2:]) * side
        moved[1:-1] = inner
    return signal


def develop(logarithmic: Float32, exposure: Exposure) -> Float32:
    """Turn the logarithmic signal into display intensity.

    Returns:
        float32 ``(N, N)`` in [0, 1], bone bright.
    """
    size = logarithmic.shape[0]
    coarse = shrink(logarithmic, 64)
    behind = coarse > np.float32(0.4) * np.median(coarse[16:48, 16:48])
    wide, fine = blur(coarse, 5.0), blur(coarse, 0.8)
    middle = np.float32(np.median(coarse[behind]))
    flat = np.float32(exposure.flatten) * (wide - middle)
    shown = logarithmic * np.float32(1 + exposure.sharpen)
    shown -= enlarge(flat + np.float32(exposure.sharpen) * fine, (size, size))
    low, high = np.quantile((coarse - flat)[behind], (exposure.dark, exposure.bright))
    span = max(float(high - low), 0.5)
    low, high = float(low) - exposure.lift * span, float(low) + 1.04 * span
    return _curve(shown, low, high, exposure.steepness)


def _curve(shown: Float32, low: float, high: float, steepness: float) -> Float32:
    shown -= np.float32((low + high) / 2)
    shown *= np.float32(-steepness / (high - low))
    np.exp(shown, out=shown)
    shown += 1
    np.reciprocal(shown, out=shown)
    edge = 1 / (1 + np.exp(steepness * 0.62))
    shown -= np.float32(edge)
    shown *= np.float32(1 / (1 - 2 * edge))
    return np.clip(shown, 0, 1, out=shown)
