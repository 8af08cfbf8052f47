"""The nouns of the reading flow, each one frozen and complete.

``file → XRay → Prediction → Attribution → Measurement``; together a `Diagnosis`. No stage changes
an earlier noun. Arrays are made read-only on entry, so that none can be changed behind one's back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lucidray.errors import ShapeError

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

ViewPosition = Literal["PA", "AP", "LL", "RL"]
AttributionStatus = Literal["ok", "no_positive_evidence", "not_finite"]

#: ``(x_min, y_min, x_max, y_max)``, half-open source pixels.
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Geometry:
    """How pixels of a source image lie in a derived one: an affine map and two sizes.

    Coordinates are continuous, ``x`` to the right and ``y`` down, and pixel ``(row, column)``
    covers ``[column, column + 1) x [row, row + 1)``: edges, not centers. So half-open boxes map
    exactly, and resampling follows the ``align_corners=False`` convention.

    Args:
        matrix: ``((a, b, c), (d, e, f))``: source ``(x, y)`` goes to
            ``(a x + b y + c, d x + e y + f)``.
        source_shape: ``(height, width)`` of the source.
        shape: ``(height, width)`` of the derived image.
    """

    matrix: tuple[tuple[float, float, float], tuple[float, float, float]]
    source_shape: tuple[int, int]
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        if min(*self.source_shape, *self.shape) < 1:
            raise ShapeError(
                f"a geometry from {self.source_shape} to {self.shape} has an empty side; "
                "both images need at least one pixel a side."
            )


@dataclass(frozen=True)
class XRay:
    """A radiograph as a display shows it.

    Args:
        pixels: float32 ``(H, W)``, display intensity in [0, 1], 0 black, in MONOCHROME2 sense
            (bone is bright), Modality and VOI transforms applied.
        geometry: From the file's own pixel grid to `pixels`: the identity unless the decoder was
            allowed to shrink while loading.
        spacing_mm: ``(row, column)`` distance of neighboring pixel centers of `pixels` in mm on
            the detector, or None where the file does not say.
        view_position: PA, AP, LL or RL, or None where unknown.
        age_years: The patient's age when the film was taken, or None where unknown.
        sex: F or M, or None where unknown or other.
        padding: bool ``(H, W)``, True where the file marks pixels as padding; None: none.
        source_bits: Bits stored per pixel in the file.
        lossy: Whether the file is known to have been compressed with loss.
        file_format: ``"png"``, ``"jpeg"``, ``"tiff"`` or ``"dicom"``.
        sha256: Hex digest of the file's bytes.
    """

    pixels: Float32
    geometry: Geometry
    spacing_mm: tuple[float, float] | None = None
    view_position: ViewPosition | None = None
    padding: Bool | None = None
    source_bits: int = 8
    lossy: bool = False
    file_format: str = "array"
    sha256: str = ""
    age_years: float | None = None
    sex: Literal["F", "M"] | None = None

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.dtype != np.float32:
            raise ShapeError(
                f"pixels are {self.pixels.dtype} {self.pixels.shape}; expected float32 (H, W)."
            )
        if self.pixels.shape != self.geometry.shape:
            raise ShapeError(
                f"pixels are {self.pixels.shape} but the geometry ends in {self.geometry.shape}; "
                "both must share one pixel grid."
            )
        self.pixels.setflags(write=False)
        if self.padding is not None:
            if self.padding.shape != self.pixels.shape:
                raise ShapeError(
                    f"padding is {self.padding.shape} but pixels are {self.pixels.shape}; "
                    "both must share one pixel grid."
                )
            self.padding.setflags(write=False)


@dataclass(frozen=True)
class Refusal:
    """Why a model gives no result for an image: an answer, not an error.

    Args:
        reason: The check that failed, for example ``"polarity"`` or ``"unlike_training"``.
        message: The same for a person, in one sentence.
        value: What was measured.
        low: The lowest value that is accepted.
        high: The highest.
    """

    reason: str
    message: str
    value: float = float("nan")
    low: float = float("-inf")
    high: float = float("inf")


@dataclass(frozen=True)
class Uncertainty:
    """How unsure a prediction is.

    Args:
        entropy: float32 ``(F,)`` in [0, 1]: normalized entropy of each probability; where findings
            exclude each other that of all of them, repeated.
        may_be_present: bool ``(F,)``: whether the conformal set of a finding holds "present".
        may_be_absent: bool ``(F,)``: whether it holds "absent". Both: the model cannot tell;
            neither: the image is unlike either.
        refer: Whether the referral rule, fixed on validation, hands the image to a person.
    """

    entropy: Float32
    may_be_present: Bool
    may_be_absent: Bool
    refer: bool

    def __post_init__(self) -> None:
        shapes = {self.entropy.shape, self.may_be_present.shape, self.may_be_absent.shape}
        if len(shapes) != 1 or self.entropy.ndim != 1:
            raise ShapeError(f"uncertainty has the shapes {shapes}; expected (F,) three times.")
        for values in (self.entropy, self.may_be_present, self.may_be_absent):
            values.setflags(write=False)


@dataclass(frozen=True)
class Detection:
    """A box that a model itself found, on the pixels of the file.

    Not to be confused with the boxes around a heat map's strong spots, which say where a model
    looked: this one it was taught to draw.

    Args:
        finding: What it shows.
        box: ``(x_min, y_min, x_max, y_max)``, half-open.
        score: How likely the region shows the finding, in [0, 1]; not calibrated.
    """

    finding: str
    box: tuple[float, float, float, float]
    score: float


@dataclass(frozen=True)
class Region:
    """Where a network with two branches looked a second time, and what it saw there.

    Args:
        box: ``(x_min, y_min, x_max, y_max)``, half-open, on the pixels of the file.
        maps: float32 ``(F, h, w)``, raw and signed, over the network's input as the heat maps are:
            what the region's branch adds to them; 0 outside the box.
    """

    box: tuple[float, float, float, float]
    maps: Float32

    def __post_init__(self) -> None:
        if self.maps.ndim != 3:
            raise ShapeError(f"a region's maps are {self.maps.shape}; expected (F, h, w).")
        self.maps.setflags(write=False)


@dataclass(frozen=True)
class Prediction:
    """What a model says of one image.

    Args:
        findings: Names, in the order of the arrays.
        logits: float32 ``(F,)``, before sigmoid or softmax.
        probabilities: float32 ``(F,)`` in [0, 1].
        calibrated: Whether `probabilities` have been calibrated on validation data.
        operating_points: Probability at and above which a finding counts as present, each chosen
            on validation data; a finding without one has none.
        uncertainty: How unsure it is; None: not known.
        refusal: Why the model may not judge this image; None: it may. Of a refused image no
            probability may be shown as a result.
        kinds: Findings that are kinds of others among them, which they are not called without.
        detections: Boxes that the model itself found, the surest first; none of a model without a
            detector, and none of a refused image.
        gaze: float32 ``(h, w)``, where a reader would look, over the network's square, not negative
            with sum 1; None of a model that does not predict it, and of a refused image.
        disagreement: float32 ``(F,)``: standard deviation of the uncalibrated probabilities that
            the runs of an ensemble give; None of a single run, and of a refused image.
        region: Where the network looked a second time; None of a network that looks once, and of a
            refused image.
        metadata: What was taken of the patient and the view beside the film, by ``"age"``,
            ``"sex"`` or ``"view"``; None: missing, so that the average counted; empty: the model
            looks at the film alone.
        film_logits: float32 ``(F,)``, what the film alone would say; None of such a model.
    """

    findings: tuple[str, ...]
    logits: Float32
    probabilities: Float32
    calibrated: bool = False
    operating_points: Mapping[str, float] = field(default_factory=dict)
    uncertainty: Uncertainty | None = None
    refusal: Refusal | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    detections: tuple[Detection, ...] = ()
    gaze: Float32 | None = None
    disagreement: Float32 | None = None
    region: Region | None = None
    metadata: Mapping[str, float | str | None] = field(default_factory=dict)
    film_logits: Float32 | None = None

    def __post_init__(self) -> None:
        count = len(self.findings)
        if self.logits.shape != (count,) or self.probabilities.shape != (count,):
            raise ShapeError(
                f"{count} findings but logits {self.logits.shape} and probabilities "
                f"{self.probabilities.shape}; all three must have one entry a finding."
            )
        self.logits.setflags(write=False)
        self.probabilities.setflags(write=False)
        if self.gaze is not None:
            if self.gaze.ndim != 2:
                raise ShapeError(f"gaze is {self.gaze.shape}; expected (h, w).")
            self.gaze.setflags(write=False)
        if self.disagreement is not None:
            if self.disagreement.shape != (count,):
                raise ShapeError(f"disagreement is {self.disagreement.shape}; expected ({count},).")
            self.disagreement.setflags(write=False)

    def positive(self, finding: str) -> bool | None:
        """Say whether a finding reaches its operating point, and so does what it is a kind of.

        Returns:
            None where it has none, and where the image is refused.
        """
        if finding not in self.operating_points or self.refusal is not None:
            return None
        if finding in self.kinds and self.positive(self.kinds[finding]) is False:
            return False
        threshold = np.float32(self.operating_points[finding])
        return bool(self.probabilities[self.findings.index(finding)] >= threshold)


@dataclass(frozen=True)
class Attribution:
    """Where a model looked, for one finding: raw, signed, on source pixels.

    Scaling to [0, 1] and color belong to ``images.render`` alone.

    Args:
        finding: The finding explained.
        method: The registered name of the method.
        values: float32 ``(H, W)`` on the file's own pixel grid; positive speaks for the finding.
        raw: float32 ``(h, w)``, the map at the resolution at which the model made it.
        status: ``"no_positive_evidence"`` where no raw value is positive: then nothing may be
            drawn or counted as a hit; ``"not_finite"`` where the model gave nan or inf.
    """

    finding: str
    method: str
    values: Float32
    raw: Float32
    status: AttributionStatus = "ok"

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.raw.ndim != 2:
            raise ShapeError(
                f"attribution values {self.values.shape} and raw {self.raw.shape} must be (H, W)."
            )
        self.values.setflags(write=False)
        self.raw.setflags(write=False)


@dataclass(frozen=True)
class Measurement:
    """One measured number and all that is needed to read it rightly.

    Args:
        name: For example ``"auc"``.
        value: The number; nan = undefined.
        higher_is_better: The direction; None where there is none.
        low: Lower end of the interval; nan = not computed.
        high: Upper end of the interval; nan = not computed.
        count: Number of samples that the value rests on.
        chance: What an uninformed guess would score; nan = unknown.
        undefined: How many samples were left out because the measure is not defined for them.
    """

    name: str
    value: float
    higher_is_better: bool | None = True
    low: float = float("nan")
    high: float = float("nan")
    count: int = 0
    chance: float = float("nan")
    undefined: int = 0

    def __str__(self) -> str:
        text = f"{self.value:.3f}"
        if np.isfinite(self.low) and np.isfinite(self.high):
            text += f" [{self.low:.3f}, {self.high:.3f}]"
        return text


@dataclass(frozen=True)
class Diagnosis:
    """A whole reading of one image, with its provenance.

    Args:
        image_sha256: Digest of the file that was read.
        prediction: What the model says.
        attributions: Where it looked, one a finding explained.
        measurements: What was measured of it.
        provenance: Weights digest, versions, configuration.
        boxes: By finding explained: boxes around the strong spots of its map, the largest first;
            none unless the finding is called present.
        gaze: float32 ``(H, W)`` on the file's own pixels: where the model says that a reader would
            look, in any unit; None of a model that does not say.
    """

    image_sha256: str
    prediction: Prediction
    attributions: tuple[Attribution, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    boxes: Mapping[str, tuple[Box, ...]] = field(default_factory=dict)
    gaze: Float32 | None = None
