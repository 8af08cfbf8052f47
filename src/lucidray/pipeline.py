"""From a file to a diagnosis: read, predict, explain; one line that never turns back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from lucidray.errors import ModelError, unknown_name
from lucidray.findings import ABSENCES, kinds_among
from lucidray.images.attribution import attribute
from lucidray.images.boxes import boxes_of_map
from lucidray.images.geometry import heatmap_to_source
from lucidray.images.preprocessing import Preprocessing, preprocess
from lucidray.images.read import read_xray
from lucidray.records import (
    Attribution,
    Box,
    Diagnosis,
    Float32,
    Geometry,
    Prediction,
    XRay,
)


class Reader(Protocol):
    """A trained model that can be asked about one image: a run, or whatever else reads films."""

    @property
    def findings(self) -> tuple[str, ...]:
        """Names of what it judges."""

    @property
    def exclusive(self) -> bool:
        """Whether exactly one finding holds."""

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to an image before the model sees it."""

    @property
    def operating_points(self) -> Mapping[str, float]:
        """Probability at and above which a finding counts as present."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Weights digest, versions, configuration."""

    def look(self, image: Float32, *, method: str) -> tuple[Float32, Float32]:
        """Return logits ``(F,)`` and raw maps ``(F, h, w)`` of one image ``(C, S, S)``."""


@runtime_checkable
class FilmReader(Protocol):
    """A trained model that prepares the image itself, for example a `lucidray.bundle.Bundle`."""

    @property
    def findings(self) -> tuple[str, ...]:
        """Names of what it judges."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Weights digest, versions, configuration."""

    def judge(self, xray: XRay, *, method: str) -> tuple[Prediction, Float32, Geometry]:
        """Return the prediction, raw maps ``(F, h, w)``, and from the file to what they span."""


@runtime_checkable
class FusingReader(Protocol):
    """A `Reader` that may also take what a film's file tells of its patient and view."""

    def fuse(
        self, film: Float32, maps: Float32, xray: XRay
    ) -> tuple[Float32, Float32, Mapping[str, float | str | None]]:
        """Return logits ``(F,)`` and maps of film and metadata together, and what was used."""


@dataclass(frozen=True)
class Judgment:
    """What a model says of one image before anything is carried to the image's pixels.

    Args:
        image_sha256: Digest of the file that was read.
        prediction: What the model says.
        maps: float32 ``(F, h, w)``, raw and signed.
        geometry: From the file's pixels to what the maps span.
        method: The explanation method that made them.
        provenance: Weights digest, versions, configuration.
    """

    image_sha256: str
    prediction: Prediction
    maps: Float32
    geometry: Geometry
    method: str
    provenance: Mapping[str, Any]

    def raw(self, finding: str) -> Float32:
        """Return the raw map of a finding, or of the absence of a model's only one.

        Raises:
            UnknownNameError: The model does not judge it.
        """
        known = self.prediction.findings
        _check((finding,), known)
        return np.asarray(self.maps[known.index(finding)] if finding in known else -self.maps[0])

    def gaze(self) -> Float32 | None:
        """Return where a reader would look, on the file's pixels; None: the model does not say."""
        given = self.prediction.gaze
        return None if given is None else heatmap_to_source(given, self.geometry)

    def attribution(self, finding: str) -> Attribution:
        """Return where the model looked for a finding, on the file's pixels; else as `raw`."""
        return attribute(finding, self.raw(finding), self.geometry, self.method)


def diagnose(
    image: XRay | str | Path,
    reader: Reader | FilmReader,
    *,
    findings: Sequence[str] | None = None,
    method: str = "grad_cam",
) -> Diagnosis:
    """Read one image and say what the model finds, and where it looked.

    Args:
        image: A file, or what `read_xray` made of it.
        reader: The trained model.
        findings: Which findings to explain; None: all. For the absence of a model's only finding
            name ``"No Finding"``: its map is that of the negated logit.
        method: A registered explanation method.

    Returns:
        The diagnosis; its attributions stand in the order of `findings`, each on the pixels of
        the file. An attribution without positive evidence says so in its status. Boxes are drawn
        around the strong spots of those findings that reach their operating point. Where the
        model refuses the image (``diagnosis.prediction.refusal``) there are neither.

    Raises:
        ImageError: The file is no readable radiograph.
        UnknownNameError: The model does not judge one of `findings`.
        ModelError: The model gave logits that are not finite.
    """
    xray = image if isinstance(image, XRay) else read_xray(image)
    wanted = reader.findings if findings is None else tuple(findings)
    _check(wanted, reader.findings)
    return explain_judgment(judge(xray, reader, method=method), wanted)


def judge(xray: XRay, reader: Reader | FilmReader, *, method: str = "grad_cam") -> Judgment:
    """Ask a model about a radiograph, and leave its maps as the model made them.

    Args:
        xray: The radiograph.
        reader: The trained model.
        method: A registered explanation method.

    Raises:
        ModelError: The model gave logits that are not finite.
    """
    prediction, maps, geometry = _ask(reader, xray, method)
    return Judgment(xray.sha256, prediction, maps, geometry, method, dict(reader.provenance))


def explain_judgment(judgment: Judgment, findings: Sequence[str]) -> Diagnosis:
    """Carry the maps of some findings to the file's pixels, and box them; else as `diagnose`."""
    refused = judgment.prediction.refusal is not None
    maps = tuple(judgment.attribution(name) for name in (() if refused else findings))
    return Diagnosis(
        judgment.image_sha256,
        judgment.prediction,
        maps,
        provenance=judgment.provenance,
        boxes={each.finding: boxes_of(each, judgment.prediction) for each in maps},
        gaze=judgment.gaze(),
    )


def boxes_of(attribution: Attribution, prediction: Prediction) -> tuple[Box, ...]:
    """Return the boxes around a map's strong spots.

    Args:
        attribution: The map.
        prediction: Of the same image.

    Returns:
        None at all unless the finding reaches its operating point, is the presence of something,
        and has positive evidence.
    """
    name = attribution.finding
    if name in ABSENCES or attribution.status != "ok" or not prediction.positive(name):
        return ()
    return boxes_of_map(attribution.values)


#: What the absence of a binary model's only finding is called.
ABSENCE = "No Finding"


def _ask(
    reader: Reader | FilmReader, xray: XRay, method: str
) -> tuple[Prediction, Float32, Geometry]:
    if isinstance(reader, FilmReader):
        prediction, maps, geometry = reader.judge(xray, method=method)
        _check_finite(prediction.logits)
        return prediction, maps, geometry
    pixels, geometry = preprocess(xray, reader.preprocessing)
    logits, maps = reader.look(pixels, method=method)
    _check_finite(logits)
    if not isinstance(reader, FusingReader):
        return _prediction(logits, reader), maps, geometry
    fused, maps, known = reader.fuse(logits, maps, xray)
    told = _prediction(fused, reader)
    return replace(told, metadata=known, film_logits=logits if known else None), maps, geometry


def _check_finite(logits: Float32) -> None:
    if not np.isfinite(logits).all():
        raise ModelError("the model's logits are not finite: its weights are damaged.")


def _check(wanted: tuple[str, ...], known: tuple[str, ...]) -> None:
    for name in wanted:
        if name not in known and not (name == ABSENCE and len(known) == 1):
            raise unknown_name("finding", name, known)


def _prediction(logits: Float32, reader: Reader) -> Prediction:
    probabilities = _softmax(logits) if reader.exclusive else 1 / (1 + np.exp(-logits))
    return Prediction(
        reader.findings,
        logits,
        probabilities.astype(np.float32),
        operating_points=dict(reader.operating_points),
        kinds={} if reader.exclusive else kinds_among(reader.findings),
    )


def _softmax(logits: Float32) -> Float32:
    shifted = np.exp(logits - logits.max())
    return np.asarray(shifted / shifted.sum(), dtype=np.float32)
