"""The card of a bundle: all that one must know before one believes what it says.

Written as ``card.json`` inside the bundle. A newer LucidRay may add fields; an older one leaves
them out when it reads, and refuses only a card whose `minimum_reader` it does not reach.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from lucidray.bundle.box_rule import BoxRule
from lucidray.bundle.card_version import CARD_VERSION, METADATA_VERSION, parse_card
from lucidray.bundle.ensemble import EnsembleRule
from lucidray.bundle.estimate import Estimate as Estimate
from lucidray.bundle.gate import Gate
from lucidray.bundle.gaze import GazeFacts
from lucidray.bundle.metadata import MetadataRule
from lucidray.bundle.uncertainty import UncertaintyRule
from lucidray.config import from_mapping, to_mapping
from lucidray.errors import BundleError, ConfigError
from lucidray.images.preprocessing import Preprocessing

#: Fields that a newer version added are left out; `from_json` refuses them in a card of this one.
LENIENT = ConfigDict(extra="ignore")

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Precision = Literal["fp32", "fp16", "bf16", "int8", "int8_weights"]


@dataclass(frozen=True)
class FindingCode:
    """A finding that the model judges, with its codes.

    Args:
        name: The canonical name.
        snomed: SNOMED CT concept id.
        radlex: RadLex id.
        source_name: What the model's authors call it, where that differs.
    """

    __pydantic_config__: ClassVar[ConfigDict] = LENIENT

    name: str
    snomed: str | None = None
    radlex: str | None = None
    source_name: str | None = None


@dataclass(frozen=True)
class Performance:
    """What was measured on one set of images.

    Args:
        data: The images, for example ``"held-out patients of pediatric_pneumonia"``.
        images: How many.
        patients: Of how many patients.
        measurements: By finding (or average, or ``"overall"``), then by metric.
        subgroups: By attribute, value, then metric: ``{"sex": {"F": {"auc": ...}}}``.
    """

    __pydantic_config__: ClassVar[ConfigDict] = LENIENT

    data: str
    images: Count
    patients: Count = 0
    measurements: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    subgroups: Mapping[str, Mapping[str, Mapping[str, Estimate]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """What the model learned from.

    Args:
        data: Name of the data set or sets.
        terms: The terms under which the data may be used.
        images: Training images.
        validation_images: Images on which thresholds and calibration were chosen.
        digest: Hash over images, labels and splits.
        recipe: All that decided the training, as plain values.
        seeds: One for each member of the ensemble.
    """

    __pydantic_config__: ClassVar[ConfigDict] = LENIENT

    data: str = "not stated"
    terms: str = "not stated"
    images: Count = 0
    validation_images: Count = 0
    digest: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class OperatingPoint:
    """The probability at and above which a finding counts as present.

    Args:
        threshold: Of the probabilities that the bundle gives.
        chosen_by: The rule, in words.
        sensitivity: On the images that it was chosen on.
        specificity: On the images that it was chosen on.
    """

    __pydantic_config__: ClassVar[ConfigDict] = LENIENT

    threshold: Share
    chosen_by: str = ""
    sensitivity: Estimate | None = None
    specificity: Estimate | None = None


@dataclass(frozen=True)
class Reliability:
    """How often a stated probability comes true: one entry a bin that holds images.

    Args:
        predicted: Mean probability in the bin.
        observed: Share of images with the finding.
        low: Lower end of Wilson's 95 % interval of the share.
        high: Upper end.
        count: Images in the bin.
    """

    __pydantic_config__: ClassVar[ConfigDict] = LENIENT

    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    count: tuple[int, ...]


@dataclass(frozen=True)
class Calibration:
    """From logits to probabilities.

    Args:
        method: ``"none"``: sigmoid or softmax; ``"platt"``: sigmoid(slope * logit + intercept);
            ``"temperature"``: logits divided by one number first; ``"op_norm"``:
            TorchXRayVision's, which puts each finding's operating point at 0.5.
        slopes: Platt, one a finding.
        intercepts: Platt, one a finding.
        temperature: Above 0.
        points: ``op_norm``: probability that becomes 0.5, one a finding.
        fitted_on: The images.
        images: How many.
        patients: Of how many patients.
        measurements: By metric, as means over findings: ``{"ece_before": ..., "ece_after": ...,
            "ece_temperature": ...}``; all but ``before`` are cross-fitted.
        reliability: By ``"before"`` and ``"after"`` (cross-fitted), then by finding.
    """

    __pydantic_config__: ClassVar[ConfigDict] = LENIENT

    method: Literal["none", "platt", "temperature", "op_norm"] = "none"
    slopes: tuple[float, ...] = ()
    intercepts: tuple[float, ...] = ()
    temperature: Annotated[float, Field(gt=0)] = 1.0
    points: tuple[Share, ...] = ()
    fitted_on: str = ""
    images: Count = 0
    patients: Count = 0
    measurements: Mapping[str, Estimate] = field(default_factory=dict)
    reliability: Mapping[str, Mapping[str, Reliability]] = field(default_factory=dict)

    @property
    def calibrated(self) -> bool:
        """Whether probabilities were fitted to validation data."""
        return self.method in {"platt", "temperature"}


@dataclass(frozen=True)
class PrecisionLoss:
    """What a lower precision costs, measured on labeled images.

    Args:
        images: How many.
        auc_before: By finding, of the fp32 bundle.
        auc_after: By finding, of this one.
        largest_change: Largest change of a probability.
    """

    __pydantic_config__: ClassVar[ConfigDict] = LENIENT

    images: Count
    auc_before: Mapping[str, float | None]
    auc_after: Mapping[str, float | None]
    largest_change: float


@dataclass(frozen=True)
class Card:
    """The card.

    Args:
        name: The bundle's name.
        summary: One sentence.
        findings: In the order of the outputs.
        exclusive: Whether exactly one finding holds (softmax).
        preprocessing: What the graph itself does to an image, first to last.
        network: Architecture, for example ``"densenet121"``.
        members: Networks whose logits are averaged.
        flip: Whether the mirror image is averaged in.
        task: ``"classification"``: probabilities of findings with their heat maps;
            ``"segmentation"``: masks, whose names stand as findings; the graph's maps are then the
            probability of each pixel, its probabilities the share of the square that a mask covers.
        map_shape: ``(height, width)`` of the raw heat maps; the export fills it in.
        explanation: How they are made.
        weights_sha256: Digest of all weights of the network; the export fills it in.
        calibration: From logits to probabilities.
        operating_points: By finding; a finding without one is never called.
        training: What it learned from.
        performance: What was measured, on each set of images.
        uncertainty: How unsure answers are recognized and referred to a person; None: not at all.
        gate: How images that the model may not judge are refused; None: not at all.
        boxes: How boxes that the model itself finds are shown; None: it has no detector.
        gaze: How it learned where readers look; None: it does not predict that.
        region: How the region is found that a second branch of the network sees, in words;
            ``""``: it looks once.
        metadata: What age, sex and view add to the graph's logits, which stand for a film of which
            all is missing; None: the film alone counts.
        ensemble: How the logits of several runs are joined; None: of one run, whose networks' are
            averaged.
        explanation_trust: Measures of the heat maps by name; None: not measured.
        explanation_verdicts: By finding: how far its heat maps can be trusted, and why, in a line.
        precision: Of the network's arithmetic.
        precision_loss: What that costs; None for fp32.
        experimental: Whether its performance is too low or too uncertain to rely on.
        license: Of the weights.
        authors: Who made the weights.
        source: Where they were published, or how they were trained.
        intended_use: What it is for.
        limits: What it is not for and where it fails.
        created: ISO date; ``""`` where a bundle is to come out the same each time.
        versions: Of the packages that wrote it; the export fills them in.
        version: Of the card's fields.
        minimum_reader: Card version that a reader must know at least.
    """

    __pydantic_config__: ClassVar[ConfigDict] = LENIENT

    name: str
    summary: str
    findings: tuple[FindingCode, ...]
    exclusive: bool
    preprocessing: Preprocessing
    network: str
    task: Literal["classification", "segmentation"] = "classification"
    map_shape: tuple[int, int] = (0, 0)
    weights_sha256: str = ""
    members: Annotated[int, Field(ge=1)] = 1
    flip: bool = False
    explanation: str = "Grad-CAM in closed form, within the graph (arXiv:1610.02391)"
    calibration: Calibration = field(default_factory=Calibration)
    operating_points: Mapping[str, OperatingPoint] = field(default_factory=dict)
    training: Training = field(default_factory=Training)
    performance: tuple[Performance, ...] = ()
    uncertainty: UncertaintyRule | None = None
    gate: Gate | None = None
    boxes: BoxRule | None = None
    gaze: GazeFacts | None = None
    region: str = ""
    ensemble: EnsembleRule | None = None
    metadata: MetadataRule | None = None
    explanation_trust: Mapping[str, Estimate] | None = None
    explanation_verdicts: Mapping[str, str] = field(default_factory=dict)
    precision: Precision = "fp32"
    precision_loss: PrecisionLoss | None = None
    experimental: bool = False
    license: str = "not stated"
    authors: str = ""
    source: str = ""
    intended_use: str = "Research and education; decision support, not a medical device."
    limits: str = "not stated"
    created: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    version: int = CARD_VERSION
    minimum_reader: int = 1

    def __post_init__(self) -> None:
        names = [finding.name for finding in self.findings]
        if not names or len(set(names)) != len(names):
            raise ConfigError(f"findings are {names}; at least one is needed, none twice.")
        for name in self.operating_points:
            if name not in names:
                raise ConfigError(f"an operating point is given for '{name}', no finding here.")
        for kind in ("slopes", "intercepts", "points"):
            values = getattr(self.calibration, kind)
            if values and len(values) != len(names):
                raise ConfigError(
                    f"calibration has {len(values)} {kind} for {len(names)} findings."
                )
        for name in self.boxes.points if self.boxes is not None else ():
            if name not in names:
                raise ConfigError(f"a box point is given for '{name}', no finding here.")
        joined = self.ensemble
        if joined is not None and len(joined.intercepts) != len(names):
            raise ConfigError(
                f"the ensemble has {len(joined.intercepts)} intercepts for {len(names)} findings."
            )
        fused = self.metadata
        if fused is not None and len(fused.intercepts) != len(names):
            raise ConfigError(
                f"metadata have {len(fused.intercepts)} intercepts for {len(names)} findings."
            )
        if fused is not None and self.minimum_reader < METADATA_VERSION:
            raise ConfigError(
                f"minimum_reader is {self.minimum_reader}; a card with metadata needs "
                f"{METADATA_VERSION}, so that no reader that does not know them gives other "
                "probabilities."
            )
        rule = self.uncertainty
        if rule is not None and len(rule.present_from) != len(names):
            raise ConfigError(
                f"uncertainty has {len(rule.present_from)} bounds for {len(names)} findings."
            )


def to_json(card: Card) -> str:
    """Write a card as JSON text, the same text for the same card."""
    return json.dumps(to_mapping(card), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def from_json(text: str | bytes) -> Card:
    """Read a card.

    Raises:
        BundleError: It is no card, or one for a newer LucidRay.
    """
    values = parse_card(text)
    try:
        card = from_mapping(Card, values, where="card.json")
    except ConfigError as error:
        raise BundleError(f"the card is not valid: {error}") from error
    unknown = _surplus(values, to_mapping(card)) if card.version <= CARD_VERSION else None
    if unknown is not None:
        raise BundleError(f"the card is not valid: card.json has an unknown field '{unknown}'.")
    return card


def _surplus(given: Any, known: Any, place: str = "") -> str | None:
    """Return the first key that was given but is not known."""
    if isinstance(given, list) and isinstance(known, list):
        pairs = list(zip(map(str, range(len(given))), given, known, strict=False))
    elif isinstance(given, dict) and isinstance(known, dict):
        missing = [key for key in given if key not in known]
        if missing:
            return f"{place}{missing[0]}"
        pairs = [(key, item, known[key]) for key, item in given.items()]
    else:
        return None
    found = (_surplus(item, other, f"{place}{key}.") for key, item, other in pairs)
    return next((each for each in found if each is not None), None)
