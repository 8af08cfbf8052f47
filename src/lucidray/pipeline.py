"""From a file to a diagnosis: read, predict, explain; one line that never turns back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from lucidray.errors import ModelError, unknown_name
from lucidray.images.attribution import attribute
from lucidray.images.preprocessing import Preprocessing, preprocess
from lucidray.images.read import read_xray
from lucidray.records import (
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
        the file. An attribution without positive evidence says so in its status. Where the model
        refuses the image (``diagnosis.prediction.refusal``) there are none.

    Raises:
        ImageError: The file is no readable radiograph.
        UnknownNameError: The model does not judge one of `findings`.
        ModelError: The model gave logits that are not finite.
    """
    xray = image if isinstance(image, XRay) else read_xray(image)
    wanted = reader.findings if findings is None else tuple(findings)
    _check(wanted, reader.findings)
    prediction, maps, geometry = _ask(reader, xray, method)
    if prediction.refusal is not None:
        wanted = ()
    return Diagnosis(
        xray.sha256,
        prediction,
        tuple(attribute(*_map_of(name, maps, reader), geometry, method) for name in wanted),
        provenance=dict(reader.provenance),
    )


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
    return _prediction(logits, reader), maps, geometry


def _check_finite(logits: Float32) -> None:
    if not np.isfinite(logits).all():
        raise ModelError("the model's logits are not finite: its weights are damaged.")


def _check(wanted: tuple[str, ...], known: tuple[str, ...]) -> None:
    for name in wanted:
        if name not in known and not (name == ABSENCE and len(known) == 1):
            raise unknown_name("finding", name, known)


def _map_of(name: str, maps: Float32, reader: Reader | FilmReader) -> tuple[str, Float32]:
    if name not in reader.findings:
        return name, -maps[0]
    return name, maps[reader.findings.index(name)]


def _prediction(logits: Float32, reader: Reader) -> Prediction:
    probabilities = _softmax(logits) if reader.exclusive else 1 / (1 + np.exp(-logits))
    return Prediction(
        reader.findings,
        logits,
        probabilities.astype(np.float32),
        operating_points=dict(reader.operating_points),
    )


def _softmax(logits: Float32) -> Float32:
    shifted = np.exp(logits - logits.max())
    return np.asarray(shifted / shifted.sum(), dtype=np.float32)
