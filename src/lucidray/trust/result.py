"""What a trust report says: aspects of each method and finding, plain values and no layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lucidray.config import from_mapping, to_mapping
from lucidray.records import Measurement
from lucidray.trust.effort import Effort

Grade = Literal["supported", "limited", "not supported", "unknown"]
Picture = npt.NDArray[np.uint8]

#: By measure, then by what stands beside it (``"uniform"``, ``"random"``, ``"others"`` ...).
Beside = Mapping[str, Mapping[str, Measurement]]


@dataclass(frozen=True)
class Aspect:
    """One aspect of a method's maps of one finding.

    Args:
        measurements: By registered measure: means over films, intervals over patients.
        chance: The same of maps that know nothing.
        gain: The paired difference to those, with its interval.
        counts: How many maps are as they should be, without evidence, not finite.
        missing: Why nothing was measured; empty: it was.
        outcome: What a check with a pass rule came to, for example ``"passes"``.
        reason: Its reason in words.
    """

    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    chance: Beside = field(default_factory=dict)
    gain: Beside = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    missing: str = ""
    outcome: str = ""
    reason: str = ""

    def get(self, name: str) -> Measurement:
        """Return a measure; one that is undefined throughout where it was not measured."""
        return self.measurements.get(name, Measurement(name, float("nan")))

    def chance_of(self, name: str, baseline: str) -> Measurement:
        """Return what a baseline scores; else as `get`."""
        return self.chance.get(name, {}).get(baseline, Measurement(name, float("nan")))

    def gain_over(self, name: str, baseline: str) -> Measurement:
        """Return the difference to a baseline; else as `get`."""
        return self.gain.get(name, {}).get(baseline, Measurement(name, float("nan")))


@dataclass(frozen=True)
class Verdict:
    """What the figures come to, in words.

    Args:
        grade: ``"supported"``: everything that was asked for holds; ``"limited"``: something is
            open or weak; ``"not supported"``: something that must hold does not; ``"unknown"``:
            too little was measured.
        text: One line with its reasons.
    """

    grade: Grade
    text: str


@dataclass(frozen=True)
class SubgroupRow:
    """A measure in one subgroup.

    Args:
        attribute: For example ``"sex"``.
        value: For example ``"F"``.
        measurement: Its mean and interval there.
    """

    attribute: str
    value: str
    measurement: Measurement


@dataclass(frozen=True)
class Case:
    """A film that a method explains best or worst.

    Args:
        image: The film's id in its data set.
        kind: ``"best"`` or ``"worst"``.
        measure: By which.
        value: The film's own.
        picture: Key into `TrustReport.pictures`.
    """

    image: str
    kind: Literal["best", "worst"]
    measure: str
    value: float
    picture: str


@dataclass(frozen=True)
class MethodTrust:
    """How far the maps of one method can be trusted for one finding.

    Args:
        method: A registered explanation method.
        verdict: In words.
        aspects: By name, see `ASPECTS`.
        subgroups: One measure over sex, age, view and source.
        cases: Best and worst films.
    """

    method: str
    verdict: Verdict
    aspects: Mapping[str, Aspect]
    subgroups: tuple[SubgroupRow, ...] = ()
    cases: tuple[Case, ...] = ()

    def aspect(self, name: str) -> Aspect:
        """Return an aspect; an empty one where it was not asked for."""
        return self.aspects.get(name, Aspect(missing="not asked for"))


@dataclass(frozen=True)
class FindingTrust:
    """All methods on the films of one finding.

    Args:
        finding: The finding.
        images: Films that show it and were measured.
        patients: Their patients.
        truth: ``"boxes"``, ``"masks"``, or ``""`` where nobody marked the place.
        lungs: Where lung outlines come from; ``""``: there are none.
        methods: One entry a method.
        agreement: By ``"first ~ second"``: how alike the maps of two methods are, beside maps of
            different patients.
    """

    finding: str
    images: int
    patients: int
    truth: str
    lungs: str
    methods: tuple[MethodTrust, ...]
    agreement: Mapping[str, Aspect] = field(default_factory=dict)


@dataclass(frozen=True)
class ShortcutTest:
    """Whether methods reveal a tag that a model was made to learn.

    Args:
        finding: The finding that the tag gives away.
        images: Films with finding and tag, the same for both models.
        planted: By method: heat on the tag, of the model that learned with the tag.
        clean: The same of the model that learned on the same films where the tag means nothing.
        auc_without_tag: Of both models, on films whose tag means nothing.
        seconds: What it took.
    """

    finding: str
    images: int
    planted: Mapping[str, Aspect]
    clean: Mapping[str, Aspect]
    auc_without_tag: Mapping[str, float]
    seconds: float = 0.0


@dataclass(frozen=True)
class TrustReport:
    """The whole report.

    Args:
        subject: What was explained: a run or a bundle, by name.
        kind: ``"run"`` or ``"bundle"``.
        network: Its architecture.
        data: Name of the data set.
        selection: Which of its images, in words.
        simulated: Whether they are phantoms.
        findings: One entry a finding.
        effort: How much was spent on it.
        left_out: Methods that cannot explain this model, with the reason.
        remarks: What a reader must know before any figure.
        shortcut: The planted-shortcut test; None: not asked for.
        provenance: Digests and versions.
        seconds: What it took.
        pictures: Pictures of cases, by their key; not part of the JSON.
    """

    subject: str
    kind: Literal["run", "bundle"]
    network: str
    data: str
    selection: str
    simulated: bool
    findings: tuple[FindingTrust, ...]
    effort: Effort = field(default_factory=Effort)
    left_out: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    shortcut: ShortcutTest | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    pictures: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, undefined numbers as None, without pictures."""
        values = to_mapping(replace(self, pictures={}))
        values.pop("pictures")
        plain: dict[str, Any] = _plain(values)
        return plain


def joined(reports: Sequence[TrustReport]) -> TrustReport:
    """Make one report of several on the same model and images, each about findings of its own.

    Args:
        reports: At least one; the first says what is common to all.
    """
    return replace(
        reports[0],
        findings=tuple(found for report in reports for found in report.findings),
        left_out={name: why for report in reports for name, why in report.left_out.items()},
        remarks=tuple(dict.fromkeys(told for report in reports for told in report.remarks)),
        seconds=sum(report.seconds for report in reports),
        pictures={key: value for report in reports for key, value in report.pictures.items()},
    )


def from_json(values: Mapping[str, Any]) -> TrustReport:
    """Build a report from what `TrustReport.to_json` gave; it has no pictures.

    Raises:
        ConfigError: The values are no trust report.
    """
    return from_mapping(TrustReport, _restored(values), where="the trust report")


#: Aspects by name, in the order of the page.
ASPECTS: Mapping[str, str] = {
    "localization": "place, against boxes or masks",
    "tag": "heat on a planted tag",
    "lungs": "heat outside the lungs",
    "faithfulness": "deletion and insertion",
    "road": "ROAD: removal with imputation",
    "sanity": "randomization of the network",
    "noise": "a little noise",
    "moves": "small turns and shifts",
    "sparseness": "how concentrated the map is",
}

_NUMBERS = frozenset({"value", "low", "high", "chance"})


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _restored(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: float("nan") if item is None and key in _NUMBERS else _restored(item)
            for key, item in value.items()
        }
    return [_restored(item) for item in value] if isinstance(value, list) else value
