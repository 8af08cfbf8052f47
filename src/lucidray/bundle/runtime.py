"""Read radiographs with a bundle: probabilities and heat maps from one pass, without torch.

Only what the first answer needs is imported at the top, so that a reading starts fast.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lucidray.bundle.archive import Archive, read
from lucidray.bundle.card_version import parse_card
from lucidray.bundle.engines import Engine, Outputs, make_engine
from lucidray.bundle.installed import find_bundle
from lucidray.bundle.metadata import known_of, metadata_from
from lucidray.bundle.uncertainty import apply, rule_from
from lucidray.errors import BundleError, ImageError, ShapeError
from lucidray.findings import kinds_among
from lucidray.records import (
    Bool,
    Detection,
    Float32,
    Geometry,
    Prediction,
    Refusal,
    Region,
    Uncertainty,
    XRay,
)

if TYPE_CHECKING:
    from lucidray.bundle.card import Card
    from lucidray.bundle.gate import Gatekeeper
    from lucidray.images.preprocessing import Preprocessing

#: A radiograph, or its pixels ``(H, W)``: float in [0, 1] or uint8, 0 black, bone bright.
Image = XRay | npt.NDArray[np.generic]

#: Explanation methods that a bundle's maps are.
METHODS = ("grad_cam", "closed_form")
#: Of a bundle that looks twice also what each branch alone says.
BRANCHES = ("film_branch", "region_branch")

MODEL, CARD, REFERENCE = "model.onnx", "card.json", "reference.npz"


@dataclass(frozen=True)
class Reading:
    """What a bundle says of one image.

    Args:
        prediction: Logits, probabilities, operating points.
        maps: float32 ``(F, h, w)``, raw and signed, over the network's input; positive speaks for
            the finding.
        embedding: float32 ``(D,)``, what the network pools before it decides.
    """

    prediction: Prediction
    maps: Float32
    embedding: Float32

    def __post_init__(self) -> None:
        if self.maps.ndim != 3 or len(self.maps) != len(self.prediction.findings):
            raise ShapeError(
                f"maps are {self.maps.shape} for {len(self.prediction.findings)} findings; "
                "expected (F, h, w)."
            )
        self.maps.setflags(write=False)
        self.embedding.setflags(write=False)


class Bundle:
    """A trained model, ready to read; made by `load_bundle`.

    It may be used from several threads.

    Args:
        name: What it is called.
        archive: Its checked members.
        engine: What runs its graph.
        streams: Images that are read at the same time by `read_many`.
    """

    def __init__(self, name: str, archive: Archive, engine: Engine, streams: int = 1) -> None:
        self.name = name
        self.digest = archive.digest
        self.streams = streams
        self._members = {key: archive.members[key] for key in archive.members if key != MODEL}
        self._engine = engine
        self._facts = parse_card(archive.members[CARD])
        self.findings = tuple(each["name"] for each in self._facts["findings"])
        self.exclusive = bool(self._facts["exclusive"])
        self.task = str(self._facts.get("task", "classification"))
        self._kinds = {} if self.exclusive else kinds_among(self.findings)
        points = self._facts["operating_points"]
        self.operating_points: Mapping[str, float] = MappingProxyType(
            {name: point["threshold"] for name, point in points.items()}
        )
        self._metadata = metadata_from(self._facts.get("metadata"))
        self._rule = rule_from(self._facts.get("uncertainty"))
        self._gate = self._gatekeeper()

    @cached_property
    def card(self) -> Card:
        """All that is known of the model."""
        from lucidray.bundle.card import from_json

        return from_json(self._members[CARD])

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """What the graph itself does to an image before the network sees it."""
        from lucidray.images.preprocessing import Preprocessing

        values = dict(self._facts["preprocessing"])
        values["crop"] = None if values.get("crop") is None else tuple(values["crop"])
        known = {each.name for each in fields(Preprocessing)}
        return Preprocessing(**{key: values[key] for key in known & values.keys()})

    @property
    def metadata(self) -> tuple[str, ...]:
        """What it takes beside the film, of ``"age"``, ``"sex"`` and ``"view"``; often nothing."""
        return () if self._metadata is None else self._metadata.coding.attributes

    @property
    def engine(self) -> str:
        """Name and version of what runs the graph."""
        return self._engine.version

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Bundle, weights and engine that an answer comes from."""
        return {
            "bundle": self.name,
            "bundle_sha256": self.digest,
            "weights_sha256": self._facts["weights_sha256"],
            "precision": self._facts["precision"],
            "engine": self._engine.version,
            "versions": dict(self._facts["versions"]),
        }

    def member(self, name: str) -> bytes:
        """Return a file of the bundle, the graph left out.

        Raises:
            BundleError: It has no such file.
        """
        if name not in self._members:
            raise BundleError(f"'{self.name}' has no {name}; it has {', '.join(self._members)}.")
        return self._members[name]

    def read(self, image: Image) -> Reading:
        """Read one image: probabilities and the heat maps of all findings, in one pass.

        Args:
            image: As `read_xray` gives it, or ``(H, W)`` pixels of any size.

        Raises:
            ImageError: The pixels are no display intensities.
            ShapeError: The image is not ``(H, W)``.
            BundleError: It makes masks instead.
        """
        self._check_task("classification", "segment")
        xray = _xray(image)
        return self._reading(self.answer(xray), 0, xray)

    def answer(self, image: Image) -> Outputs:
        """Return what the graph itself gives for one image; else as `read`."""
        return self._engine.run(_xray(image).pixels[None, None])

    def refuse(self, image: Image) -> Refusal | None:
        """Say why the bundle may not judge or outline an image; None: it may. Else as `answer`."""
        if self._gate is None:
            return None
        xray = _xray(image)
        return self._gate.refuse(xray, self.answer(xray).embedding[0])

    def segment(self, image: Image) -> Bool:
        """Outline both lungs; of a segmentation bundle only.

        Args:
            image: As `read` takes it.

        Returns:
            bool ``(H, W)`` on the pixels of the file, without specks and holes; all False where
            there is no lung. What is no chest film gets an outline too: ask `refuse` first.

        Raises:
            ImageError, ShapeError: As `read`.
            BundleError: It judges findings instead.
        """
        from lucidray.bundle.masks import outline

        return outline(self.probabilities(image), self.operating_points[self.findings[0]])

    def probabilities(self, image: Image) -> Float32:
        """Return how likely each pixel is lung, float32 ``(H, W)``; else as `segment`."""
        from lucidray.bundle.masks import to_source

        self._check_task("segmentation", "read")
        xray = _xray(image)
        return to_source(self.answer(xray).maps[0, 0], xray, self.preprocessing)

    def predict(self, image: Image) -> Prediction:
        """Return the probabilities of one image; else as `read`."""
        return self.read(image).prediction

    def maps(self, image: Image) -> Float32:
        """Return the raw heat maps ``(F, h, w)`` of one image; else as `read`."""
        return self.read(image).maps

    def read_batch(self, images: npt.NDArray[np.generic]) -> list[Reading]:
        """Read images of one size in one pass.

        Args:
            images: ``(B, H, W)``, as `read` takes them.

        Raises:
            ImageError: The pixels are no display intensities.
            ShapeError: The images are not ``(B, H, W)``.
            BundleError: It makes masks instead.
        """
        self._check_task("classification", "segment")
        pixels = _intensities(images, 3)
        found = self._engine.run(pixels[:, None])
        return [self._reading(found, index, _xray(each)) for index, each in enumerate(pixels)]

    def read_many(self, images: Iterable[Image]) -> Iterator[Reading]:
        """Read any number of images of any sizes, as many at a time as there are streams.

        Args:
            images: Drawn one by one, never more than two a stream ahead.

        Returns:
            Readings in the order of the images.
        """
        if self.streams == 1:
            yield from map(self.read, images)
            return
        with ThreadPoolExecutor(self.streams) as pool:
            waiting: list[Future[Reading]] = []
            for image in images:
                waiting.append(pool.submit(self.read, image))
                if len(waiting) >= 2 * self.streams:
                    yield waiting.pop(0).result()
            for future in waiting:
                yield future.result()

    def judge(
        self, xray: XRay, *, method: str = "grad_cam"
    ) -> tuple[Prediction, Float32, Geometry]:
        """Read a radiograph and say where its maps lie.

        Args:
            xray: The radiograph.
            method: ``"grad_cam"``; of a bundle that looks twice also ``"film_branch"`` or
                ``"region_branch"``: what that branch adds to it.

        Returns:
            The prediction, the raw maps ``(F, h, w)`` and the geometry from the file's pixels to
            the square that the maps span.

        Raises:
            BundleError: The bundle does not hold that method.
        """
        branches = BRANCHES if self._facts.get("region") else ()
        if method not in (*METHODS, *branches):
            raise BundleError(
                f"'{self.name}' holds {', '.join(('grad_cam', *branches))} maps only, not "
                f"'{method}'. Explain with the run that it was exported from."
            )
        self._check_task("classification", "segment")
        found = self.answer(xray)
        reading = self._reading(found, 0, xray)
        maps = reading.maps
        if method in BRANCHES and found.region_maps is not None:
            region = found.region_maps[0]
            maps = region if method == "region_branch" else maps - region
        return reading.prediction, maps, self._way(xray)

    def _check_task(self, task: str, instead: str) -> None:
        if self.task != task:
            raise BundleError(
                f"'{self.name}' is a {self.task} bundle, not one for {task}. Call its "
                f"{instead}(image), or load another bundle."
            )

    def _gatekeeper(self) -> Gatekeeper | None:
        if self._facts.get("gate") is None:
            return None
        from lucidray.bundle.gate import MEMBER, gate_from

        return gate_from(self._facts["gate"], self._members.get(MEMBER))

    def _fused(self, found: Outputs, index: int, xray: XRay) -> tuple[Float32, Float32]:
        """Return logits and probabilities with what metadata add, where the card says so."""
        if self._metadata is None:
            return found.logits[index], found.probabilities[index]
        from lucidray.bundle.calibration import calibrate

        added = self._metadata.shift([known_of(xray)])
        logits = (found.logits[index : index + 1] + added).astype(np.float32)
        return logits[0], calibrate(logits, self.card.calibration, exclusive=self.exclusive)[0]

    def _reading(self, found: Outputs, index: int, xray: XRay) -> Reading:
        rule, (logits, probabilities) = self._metadata, self._fused(found, index, xray)
        method = self._facts["calibration"]["method"]
        refusal = None if self._gate is None else self._gate.refuse(xray, found.embedding[index])
        prediction = Prediction(
            self.findings,
            logits,
            probabilities,
            calibrated=method in {"platt", "temperature"},
            operating_points=self.operating_points,
            kinds=self._kinds,
            uncertainty=self._uncertainty(probabilities),
            refusal=refusal,
            detections=() if refusal is not None else self._detections(found, index, xray),
            gaze=_of(found.gaze, index, refusal),
            disagreement=_of(found.disagreement, index, refusal),
            region=None if refusal is not None else self._region(found, index, xray),
            metadata={} if rule is None else rule.coding.used(known_of(xray)),
            film_logits=None if rule is None else found.logits[index],
        )
        return Reading(prediction, found.maps[index], found.embedding[index])

    def _detections(self, found: Outputs, index: int, xray: XRay) -> tuple[Detection, ...]:
        rule = self._facts.get("boxes")
        if rule is None:
            return ()
        from lucidray.bundle.boxes import detections_of

        return detections_of(found, index, rule, self.findings, self._way(xray))

    def _region(self, found: Outputs, index: int, xray: XRay) -> Region | None:
        """Return where the network looked a second time, on the file's pixels."""
        if found.region is None or found.region_maps is None:
            return None
        from lucidray.images.geometry import invert, map_boxes

        box = map_boxes(found.region[index], invert(self._way(xray)), clip=True)
        x_min, y_min, x_max, y_max = (float(edge) for edge in box)
        return Region((x_min, y_min, x_max, y_max), found.region_maps[index])

    def _way(self, xray: XRay) -> Geometry:
        """Return the geometry from the file's pixels to the network's square."""
        from lucidray.images.geometry import compose
        from lucidray.images.preprocessing import spatial_geometry

        height, width = xray.pixels.shape
        return compose(xray.geometry, spatial_geometry((height, width), self.preprocessing))

    def _uncertainty(self, probabilities: Float32) -> Uncertainty | None:
        if self._rule is None:
            return None
        return apply(
            self._rule,
            probabilities,
            findings=self.findings,
            operating_points=self.operating_points,
            exclusive=self.exclusive,
        )


def load_bundle(
    name: str | Path,
    *,
    engine: str = "onnxruntime",
    threads: int | None = None,
    streams: int = 1,
) -> Bundle:
    """Load a trained model from its file, after checking every byte of it.

    Args:
        name: The path of a ``.lucid`` file, or the name of a known bundle.
        engine: ``"onnxruntime"``, or ``"openvino"`` where it is installed.
        threads: Processor threads in all; None: all that this process may use.
        streams: Images that `Bundle.read_many` reads at the same time. One is best for the
            shortest wait; as many as threads for the most images an hour.

    Raises:
        BundleError: It is no bundle, was changed, or cannot be run.
        UnknownNameError: No such bundle or engine.
        MissingExtraError: The engine is not installed.
    """
    path = find_bundle(name)
    archive = read(path)
    for needed in (MODEL, CARD, REFERENCE):
        if needed not in archive.members:
            raise BundleError(f"{path.name} has no {needed}; get the bundle again.")
    facts = parse_card(archive.members[CARD])
    running = make_engine(engine, archive.members[MODEL], facts, threads=threads, streams=streams)
    return Bundle(path.stem, archive, running, streams)


def _of(values: Float32 | None, index: int, refusal: Refusal | None) -> Float32 | None:
    """Return what one image of a batch has of an output; None of a refused one."""
    return None if values is None or refusal is not None else values[index]


def _xray(image: Image) -> XRay:
    if isinstance(image, XRay):
        return image
    pixels = _intensities(image, 2).view()
    shape = (pixels.shape[0], pixels.shape[1])
    return XRay(pixels, Geometry(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), shape, shape))


def _intensities(values: npt.NDArray[np.generic], dimensions: int) -> Float32:
    if values.ndim != dimensions or not values.size:
        expected = "(H, W)" if dimensions == 2 else "(B, H, W)"
        raise ShapeError(f"pixels are {values.shape}; expected {expected}, not empty.")
    if values.dtype == np.uint8:
        return values.astype(np.float32) / np.float32(255)
    if not np.issubdtype(values.dtype, np.floating):
        raise ImageError(f"pixels are {values.dtype}; expected uint8, or floats in [0, 1].")
    pixels = np.ascontiguousarray(values, dtype=np.float32)
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):
        raise ImageError(
            f"pixels run from {low:g} to {high:g}; display intensities in [0, 1] are expected. "
            "Read the file with lucidray.images.read.read_xray."
        )
    return pixels
