"""Whether a model may judge an image at all: quality checks, then a look at what it shows.

The second look is a rule of two layers over the network's own pooled features and over a
thumbnail's tones and edge directions. Fitted by `lucidray.export.gate`, carried in the bundle.
NumPy alone.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from lucidray.bundle.archive import pack, unpack
from lucidray.bundle.estimate import Estimate
from lucidray.errors import BundleError, ConfigError, ShapeError
from lucidray.images.quality import block_means, check_quality
from lucidray.images.resample import resample
from lucidray.records import Bool, Float32, Refusal, XRay

Method = Literal["quality", "quality_and_likeness"]
METHODS = ("quality", "quality_and_likeness")

#: The bundle's member that holds the rule of likeness.
MEMBER = "gate.npz"

#: Quality checks that a refusal rests on; wide bars and burnt margins alone do not hide the chest.
REFUSING = ("short_side", "aspect", "range", "deviation", "polarity", "black_share", "sharpness")

_LAYERS = ("hidden", "offsets", "weights", "bias")

#: Range of tones within which a row or column counts as a bar.
_PLAIN = 0.03

_THUMB, _TONES, _CELLS, _DIRECTIONS = 64, 16, 8, 8


@dataclass(frozen=True)
class Gate:
    """How images are refused, and how well.

    Args:
        method: ``"quality"``: by the checks of `lucidray.images.quality` alone;
            ``"quality_and_likeness"``: then by likeness to the films that the model learned from.
        threshold: Likeness (log odds) below which an image is refused.
        fitted_on: The images, in words.
        images: Accepted films that it was fitted on.
        outliers: Images to be refused that it was fitted on.
        accepted: Share accepted of films held out from the fit, by kind.
        refused: Share refused of other images held out from the fit, by kind.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "ignore"}

    method: Method
    threshold: float = 0.0
    fitted_on: str = ""
    images: int = 0
    outliers: int = 0
    accepted: Mapping[str, Estimate] = field(default_factory=dict)
    refused: Mapping[str, Estimate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(f"method is '{self.method}'; expected one of {', '.join(METHODS)}.")


@dataclass(frozen=True)
class LikenessRule:
    """How much an image is like the training films: two layers over its features.

    Args:
        hidden: float32 ``(D + K, H)``: weights of the D pooled features, then of the K thumbnail's.
        offsets: float32 ``(H,)``, added before the ReLU.
        weights: float32 ``(H,)``.
        bias: Added to the sum.
    """

    hidden: Float32
    offsets: Float32
    weights: Float32
    bias: float

    def __post_init__(self) -> None:
        arrays = (self.hidden, self.offsets, self.weights)
        width = len(self.weights)
        if [each.shape[-1:] for each in arrays] != 3 * [(width,)] or self.hidden.ndim != 2:
            raise ShapeError(f"the rule's layers are {[each.shape for each in arrays]}.")

    def likeness(self, features: Float32) -> Float32:
        """Return log odds ``(N,)`` of features ``(N, D + K)``; nan where a feature is."""
        inner = np.maximum(features @ self.hidden + self.offsets, 0)
        return np.asarray(inner @ self.weights + np.float32(self.bias), np.float32)


class Gatekeeper:
    """A gate, ready to be asked.

    Args:
        gate: What the card says.
        rule: Needed where `gate` looks at likeness.

    Raises:
        BundleError: The rule is missing.
    """

    def __init__(self, gate: Gate, rule: LikenessRule | None) -> None:
        if gate.method == "quality_and_likeness" and rule is None:
            raise BundleError(f"the bundle has no {MEMBER}; get it again.")
        self.gate, self._rule = gate, rule

    def refuse(self, xray: XRay, embedding: Float32) -> Refusal | None:
        """Say why an image gets no result; None: it may be judged.

        Args:
            xray: The image.
            embedding: float32 ``(D,)``, what the network pools of it.

        Raises:
            BundleError: The rule was fitted on another network.
        """
        refusal = refuse_quality(xray)
        if refusal is not None or self._rule is None:
            return refusal
        features = np.concatenate([embedding, describe(xray.pixels)])
        if len(features) != len(self._rule.hidden):
            raise BundleError(
                f"the gate expects {len(self._rule.hidden)} features, the network gives "
                f"{len(features)}; the gate belongs to another network. Get the bundle again."
            )
        return _unlike(float(self._rule.likeness(features)), self.gate.threshold)


def refuse_quality(xray: XRay) -> Refusal | None:
    """Say which quality check an image fails so badly that no model should judge it.

    Args:
        xray: The image.

    Returns:
        The first of `REFUSING` that fails; None: none does.
    """
    for check in check_quality(xray):
        if check.name in REFUSING and not check.passed:
            message = f"No reliable result: the picture fails a quality check ({check.complaint})."
            return Refusal(check.name, message, check.value, check.low, check.high)
    return None


def describe(pixels: Float32) -> Float32:
    """Describe what a thumbnail shows: where it is bright, and which way its edges run.

    Args:
        pixels: float32 ``(H, W)`` in [0, 1], any size and shape; squashed to 64 x 64.

    Returns:
        float32 ``(768,)``, of what plain bars along the edges leave: 16 x 16 tones in deviations
        from the mean, then shares of 8 directions of rising brightness in each of 8 x 8 cells.
        Brightness and contrast do not matter.

    Source:
        Dalal & Triggs, Histograms of oriented gradients for human detection, CVPR 2005.

    Deviates:
        Directions over the full circle, so that a negative differs; cells are normalized by
        themselves, softened by half the image's mean cell, instead of in overlapping blocks.
    """
    small = resample(_without_bars(block_means(pixels, 4 * _THUMB)), (_THUMB, _THUMB))
    normal = (small - small.mean()) / (small.std() + np.float32(1e-3))
    step = _THUMB // _TONES
    tones = normal.reshape(_TONES, step, _TONES, step).mean((1, 3))
    described: Float32 = np.concatenate([tones.ravel(), _edges(normal)]).astype(np.float32)
    return described


def gate_from(values: Mapping[str, Any] | None, member: bytes | None) -> Gatekeeper | None:
    """Build a gate from a card's plain values and the bundle's member.

    Raises:
        BundleError: Something is missing or of the wrong type.
    """
    if values is None:
        return None
    try:
        gate = Gate(values["method"], float(values["threshold"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"the card's gate is not valid: {error!r}. Get it again.") from error
    return Gatekeeper(gate, None if gate.method == "quality" or not member else read_rule(member))


def write_rule(rule: LikenessRule) -> bytes:
    """Write a rule as an ``.npz`` that NumPy reads; the same bytes for the same rule."""
    contents = {}
    for name in _LAYERS:
        buffer = io.BytesIO()
        values = np.atleast_1d(np.asarray(getattr(rule, name), np.float32))
        np.lib.format.write_array(buffer, np.ascontiguousarray(values))
        contents[f"{name}.npy"] = buffer.getvalue()
    return pack(contents)


def read_rule(member: bytes) -> LikenessRule:
    """Read what `write_rule` wrote.

    Raises:
        BundleError: It is not that.
    """
    members = unpack(member, MEMBER).members
    try:
        hidden, offsets, weights, bias = (
            np.load(io.BytesIO(members[f"{name}.npy"]), allow_pickle=False) for name in _LAYERS
        )
        return LikenessRule(hidden, offsets, weights, float(bias[0]))
    except (KeyError, ValueError, OSError, IndexError) as error:
        raise BundleError(f"{MEMBER} is not complete: {error}. Get the bundle again.") from error


def _unlike(likeness: float, threshold: float) -> Refusal | None:
    if likeness >= threshold:
        return None
    message = (
        "No reliable result: this does not look like the chest films that the model has learned "
        "from."
    )
    return Refusal("unlike_training", message, likeness, low=threshold)


def _without_bars(image: Float32) -> Float32:
    """Cut off rows and columns of one tone along the edges, at most two thirds of a side."""
    top, bottom = _inner(np.ptp(image, axis=1) > _PLAIN)
    left, right = _inner(np.ptp(image[top:bottom], axis=0) > _PLAIN)
    return np.ascontiguousarray(image[top:bottom, left:right])


def _inner(busy: Bool) -> tuple[int, int]:
    count = len(busy)
    first, last = int(np.argmax(busy)), count - int(np.argmax(busy[::-1]))
    return (first, last) if busy.any() and last - first >= count // 3 else (0, count)


def _edges(image: Float32) -> Float32:
    """Return, cell by cell, how much of the change runs in each direction."""
    down = image[2:, 1:-1] - image[:-2, 1:-1]
    across = image[1:-1, 2:] - image[1:-1, :-2]
    strength = np.hypot(down, across)
    turn = np.arctan2(down, across) * (_DIRECTIONS / (2 * np.pi)) % _DIRECTIONS
    first = turn.astype(np.intp) % _DIRECTIONS
    share = turn - np.floor(turn)
    cell = np.arange(len(image) - 2) * _CELLS // (len(image) - 2)
    place = (cell[:, None] * _CELLS + cell) * _DIRECTIONS
    length = _CELLS**2 * _DIRECTIONS
    near = np.bincount((place + first).ravel(), (strength * (1 - share)).ravel(), length)
    second = (first + 1) % _DIRECTIONS
    found = near + np.bincount((place + second).ravel(), (strength * share).ravel(), length)
    found = found.reshape(-1, _DIRECTIONS)
    energy = np.sqrt(np.square(found).sum(1, keepdims=True))
    typical = np.sqrt(np.square(energy).mean()) + 1e-6
    return np.asarray(found / (energy + typical / 2), np.float32).ravel()
