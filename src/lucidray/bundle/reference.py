"""Generated images with the answers expected for them, and the check that they still come out."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lucidray.bundle.archive import pack, unpack
from lucidray.bundle.boxes import thinned_boxes
from lucidray.bundle.engines import Outputs
from lucidray.bundle.runtime import REFERENCE, Bundle, load_bundle
from lucidray.errors import BundleError
from lucidray.images.thinning import FoundBoxes, overlap_with
from lucidray.records import Float32

Grey8 = npt.NDArray[np.uint8]

#: Largest allowed differences, of probabilities and of maps as a part of their range.
EXACT = (1e-5, 1e-4)
#: The same for low precision, whose arithmetic differs between processors.
LOW_PRECISION = (0.05, 0.25)
#: A box's score may differ by so many times as much as a probability, and both must overlap so far.
_BOXES, _ALIKE = 100.0, 0.9
#: Weaker boxes are not compared: of two that are as weak either may be left out.
_COMPARED = 0.05


@dataclass(frozen=True)
class Reference:
    """Images and the answers expected for them.

    Args:
        images: uint8 ``(H, W)`` each, of different sizes.
        expected: What the model gave for each, with one image a batch.
        tolerance: Largest allowed differences: of a probability, and of a map value as a part of
            the range of the image's maps.
    """

    images: tuple[Grey8, ...]
    expected: tuple[Outputs, ...]
    tolerance: tuple[float, float] = EXACT


@dataclass(frozen=True)
class Verification:
    """Whether a bundle gives the answers that it was written with.

    Args:
        images: Reference images read.
        probability_difference: Largest, over images and findings.
        map_difference: Largest, as a part of the range of the image's maps.
        tolerance: What is allowed of each.
        engine: What read them.
        box_difference: Largest difference of the score of a box that the model finds, as
            `box_difference` takes it; 0 where it finds none.
        gaze_difference: Largest difference of predicted gaze, as a part of its range; 0 where the
            model predicts none.
        region_difference: Largest difference of the maps and of the edges of the region that a
            second branch sees, as parts of their ranges; 0 of a network that looks once.
    """

    images: int
    probability_difference: float
    map_difference: float
    tolerance: tuple[float, float]
    engine: str
    box_difference: float = 0.0
    gaze_difference: float = 0.0
    region_difference: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether all differences are small enough (nan is not)."""
        return (
            self.probability_difference <= self.tolerance[0]
            and self.map_difference <= self.tolerance[1]
            and self.box_difference <= _BOXES * self.tolerance[0]
            and self.gaze_difference <= self.tolerance[1]
            and self.region_difference <= self.tolerance[1]
        )


def make_images(size: int) -> tuple[Grey8, ...]:
    """Generate images that no patient was needed for: smooth shapes, edges and noise.

    Args:
        size: The network's input; one image has exactly that size, others are smaller, larger,
            tall and wide.

    Returns:
        uint8 ``(H, W)`` each, the same each time.
    """
    shapes = (
        (size, size),
        (size * 3 // 2 + 5, size + 11),
        (size + 7, size * 2 + 3),
        (max(size * 2 // 3, 9), max(size * 3 // 4, 9)),
    )
    return tuple(_image(shape, seed) for seed, shape in enumerate(shapes))


def _image(shape: tuple[int, int], seed: int) -> Grey8:
    rng = np.random.Generator(np.random.PCG64(seed))
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    y, x = y / shape[0], x / shape[1]
    values = 0.25 + 0.3 * y
    for _ in range(6):
        center_y, center_x, wide, strength = rng.uniform((0, 0, 0.05, -0.5), (1, 1, 0.3, 0.5))
        values += strength * np.exp(-((y - center_y) ** 2 + (x - center_x) ** 2) / wide**2)
    values += 0.3 * (np.abs(x - rng.uniform(0.2, 0.8)) < 0.05)
    values += rng.normal(0, 0.04, shape)
    levels: Grey8 = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return levels


def to_bytes(reference: Reference) -> bytes:
    """Write a reference as an ``.npz`` that NumPy reads; the same bytes for the same contents."""
    arrays: dict[str, npt.NDArray[np.generic]] = {"tolerance": np.array(reference.tolerance)}
    for index, (image, found) in enumerate(zip(reference.images, reference.expected, strict=True)):
        arrays[f"image_{index}"] = image
        given = {name: value for name, value in found._asdict().items() if value is not None}
        arrays |= {f"{name}_{index}": value for name, value in given.items()}
    return pack({f"{name}.npy": _npy(value) for name, value in arrays.items()})


def from_bytes(data: bytes) -> Reference:
    """Read what `to_bytes` wrote.

    Raises:
        BundleError: It is not that.
    """
    members = unpack(data, REFERENCE).members
    arrays = {
        name.removesuffix(".npy"): np.load(io.BytesIO(content), allow_pickle=False)
        for name, content in members.items()
    }
    count = sum(name.startswith("image_") for name in arrays)
    try:
        expected = tuple(
            Outputs(
                *(arrays[f"{name}_{index}"] for name in Outputs._fields[:4]),
                *(arrays.get(f"{name}_{index}") for name in Outputs._fields[4:]),
            )
            for index in range(count)
        )
        images = tuple(arrays[f"image_{index}"] for index in range(count))
        low, high = arrays["tolerance"].tolist()
    except (KeyError, ValueError) as error:
        raise BundleError(f"{REFERENCE} is not complete: {error}. Get the bundle again.") from error
    return Reference(images, expected, (low, high))


def verify(
    name: str | Path, *, engine: str = "onnxruntime", threads: int | None = None
) -> Verification:
    """Check that a bundle gives, on this machine, the answers that it was written with.

    Args:
        name: As for `load_bundle`.
        engine: As for `load_bundle`.
        threads: As for `load_bundle`.

    Returns:
        The differences found; `Verification.passed` says whether they are small enough.

    Raises:
        BundleError: A byte of the file was changed, or the bundle cannot be run.
    """
    return verify_bundle(load_bundle(name, engine=engine, threads=threads))


def verify_bundle(bundle: Bundle) -> Verification:
    """Check a loaded bundle against its reference; else as `verify`."""
    reference = from_bytes(bundle.member(REFERENCE))
    answers = [bundle.answer(image) for image in reference.images]
    found = [(each.probabilities[0], each.maps[0]) for each in answers]
    expected = [(each.probabilities[0], each.maps[0]) for each in reference.expected]
    return Verification(
        len(found),
        *differences(found, expected),
        reference.tolerance,
        bundle.engine,
        box_difference(answers, reference.expected),
        gaze_difference(answers, reference.expected),
        region_difference(answers, reference.expected),
    )


def box_difference(found: Sequence[Outputs], expected: Sequence[Outputs]) -> float:
    """Return how far the boxes of answers lie apart, one image each.

    Args:
        found: Answers; of a batch the first counts.
        expected: The same.

    Returns:
        The largest difference of a score between a box (from .05 on) and the box of the same
        finding that overlaps it by .9 or more; infinite where there is no such box; 0 without
        boxes, and nan where only one of two answers has any.
    """
    worst = 0.0
    for first, second in zip(found, expected, strict=True):
        if (first.boxes is None) != (second.boxes is None):
            return float("nan")
        one, other = thinned_boxes(first, 0), thinned_boxes(second, 0)
        worst = max(worst, _apart(one, other), _apart(other, one))
    return worst


def gaze_difference(found: Sequence[Outputs], expected: Sequence[Outputs]) -> float:
    """Return how far predicted gaze lies apart, one image each.

    Args:
        found: Answers; of a batch the first counts.
        expected: The same.

    Returns:
        The largest difference, as a part of the expected map's range; 0 where neither predicts
        gaze, nan where only one of two answers does, or shapes differ.
    """
    worst = [0.0]
    for first, second in zip(found, expected, strict=True):
        if first.gaze is None and second.gaze is None:
            continue
        if first.gaze is None or second.gaze is None:
            return float("nan")
        worst.append(map_difference(first.gaze[0], second.gaze[0]))
    return float(np.max(worst))


def region_difference(found: Sequence[Outputs], expected: Sequence[Outputs]) -> float:
    """Return how far the regions of second branches lie apart, one image each.

    Args:
        found: Answers; of a batch the first counts.
        expected: The same.

    Returns:
        The largest difference of a map, as a part of the expected range, or of a box's edge, as a
        part of its longer side; 0 where neither looks twice, nan where only one does.
    """
    worst = [0.0]
    for first, second in zip(found, expected, strict=True):
        pairs = ((first.region_maps, second.region_maps), (first.region, second.region))
        for one, other in pairs:
            if one is None and other is None:
                continue
            if one is None or other is None:
                return float("nan")
            worst.append(map_difference(one[0], other[0]))
    return float(np.max(worst))


def _apart(one: FoundBoxes, other: FoundBoxes) -> float:
    worst = 0.0
    for box, score, finding in zip(one.boxes, one.scores, one.findings, strict=True):
        boxes, scores = other.of(int(finding))
        alike = overlap_with(box, boxes) >= _ALIKE
        if score >= _COMPARED and not alike.any():
            return float("inf")
        if score >= _COMPARED:
            worst = max(worst, float(np.abs(scores[alike] - score).min()))
    return worst


def differences(
    found: Sequence[tuple[Float32, Float32]], expected: Sequence[tuple[Float32, Float32]]
) -> tuple[float, float]:
    """Return the largest difference of probabilities and, as a part of their range, of maps.

    Args:
        found: Probabilities ``(F,)`` and maps ``(F, h, w)`` of each image.
        expected: The same.

    Returns:
        Two numbers; nan where anything is not finite or shapes differ.
    """
    by_probability, by_map = [0.0], [0.0]
    for (probabilities, maps), (wanted, wanted_maps) in zip(found, expected, strict=True):
        if probabilities.shape != wanted.shape or maps.shape != wanted_maps.shape:
            return float("nan"), float("nan")
        by_probability.append(float(np.abs(probabilities - wanted).max()))
        by_map.append(map_difference(maps, wanted_maps))
    return float(np.max(by_probability)), float(np.max(by_map))


def map_difference(found: Float32, expected: Float32) -> float:
    """Return the largest difference of maps as a part of the expected range; nan: other shapes."""
    if found.shape != expected.shape:
        return float("nan")
    return float(np.abs(found - expected).max()) / (float(np.ptp(expected)) or 1.0)


def _npy(values: npt.NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(values), allow_pickle=False)
    return buffer.getvalue()
