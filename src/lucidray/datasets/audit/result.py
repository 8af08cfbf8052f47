"""What an audit says: frozen, plain values, every path relative to the data set's folder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Severity = Literal["critical", "warning", "note"]


@dataclass(frozen=True)
class Remark:
    """One thing that the reader should know, and what to do about it.

    Args:
        severity: Critical: results would be wrong. Warning: results may mislead. Note: good to
            know.
        title: The fact in a few words.
        text: The fact in a sentence or two.
        advice: What to do.
    """

    severity: Severity
    title: str
    text: str
    advice: str


@dataclass(frozen=True)
class Unreadable:
    """A file that cannot be read, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class CopyGroup:
    """Images that show one picture: identical pixels or near duplicates.

    Args:
        paths: The files.
        exact: Whether all have identical pixels.
        splits: The splits that they stand in.
        labels: The labels that they carry; more than one = a conflict.
        conflict: Whether some finding is both present and absent among them.
    """

    paths: tuple[str, ...]
    exact: bool
    splits: tuple[str, ...]
    labels: tuple[str, ...]
    conflict: bool

    @property
    def crosses_splits(self) -> bool:
        """Whether copies stand in more than one split."""
        return len(self.splits) > 1


@dataclass(frozen=True)
class NearPair:
    """Two near duplicates.

    Args:
        first: A file.
        second: Its copy.
        similarity: Correlation of the 32×32 thumbnails.
        detail: Correlation of the fine detail.
        orientation: How the copy is turned against the first.
    """

    first: str
    second: str
    similarity: float
    detail: float
    orientation: str


@dataclass(frozen=True)
class PatientSpread:
    """A patient whose images stand in several splits."""

    patient: str
    splits: tuple[str, ...]
    images: int


@dataclass(frozen=True)
class LabelCount:
    """How often a finding is present, absent and unknown in a split (``""`` = no split)."""

    finding: str
    split: str
    present: int
    absent: int
    unknown: int


@dataclass(frozen=True)
class Association:
    """How strongly a label (or the split) goes together with something that is no finding.

    Args:
        label: The finding, ``"class"`` for all classes together, or ``"split"``.
        trait: For example ``"source"`` or ``"view position"``.
        cramers_v: Bias-corrected, 0 (independent) to 1 (one tells the other).
        p_value: Of Pearson's test of independence.
        count: Images that it rests on.
    """

    label: str
    trait: str
    cramers_v: float
    p_value: float
    count: int


@dataclass(frozen=True)
class Baseline:
    """How well a label can be told from something that should not tell it.

    Args:
        predictor: ``"patient and view"``, ``"source"``, ``"file"`` or ``"border"`` (the image's
            outer ring at 16×16 pixels).
        target: The finding, or ``"source: NAME"``.
        auc: Cross-validated by patient and copy cluster; 0.5 = chance, nan = undefined.
        low: Lower end of the 95 % interval.
        high: Upper end.
        count: Images that it rests on.
        positives: How many of them carry the target.
    """

    predictor: str
    target: str
    auc: float
    low: float
    high: float
    count: int
    positives: int


@dataclass(frozen=True)
class Outlier:
    """An image unlike the others in one number.

    Args:
        path: The file.
        trait: What is unusual.
        value: Its value.
        usual: The median of all.
        robust_z: Distance from the median in robust standard deviations; nan where a fixed rule
            decided.
    """

    path: str
    trait: str
    value: float
    usual: float
    robust_z: float


@dataclass(frozen=True)
class AnnotationFault:
    """A box or mask that cannot be right, or does not fit its image or label."""

    path: str
    kind: Literal["box", "mask"]
    fault: str
    detail: str


@dataclass(frozen=True)
class Audit:
    """All that the audit of a data set found.

    Args:
        name: The data set's registered name.
        root: The folder that all paths are relative to; never written out.
        images: Images with a file here.
        absent: Images that the table names without a file here.
        patients: Patients that the table names; 0 where it names none.
        unreadable: Files that cannot be read.
        exact: Groups of files with identical decoded pixels.
        identical_files: How many of these groups are identical byte by byte.
        near: Near duplicates: the strongest pairs that hold each group together.
        near_pair_count: All near-duplicate pairs, before thinning.
        groups: Exact and near duplicates joined into groups.
        spreads: Patients in several splits.
        counts: Present, absent, unknown by finding and split.
        associations: Cramér's V of labels and splits with traits.
        baselines: What a label can be told from.
        outliers: Images unlike the others.
        faults: Boxes and masks that cannot be right.
        boxes: Number of boxes checked.
        masks: Number of masks checked.
        remarks: What to know and do, most severe first.
        settings: The thresholds used.
    """

    name: str
    root: Path
    images: int
    absent: int
    patients: int
    unreadable: tuple[Unreadable, ...]
    exact: tuple[tuple[str, ...], ...]
    identical_files: int
    near: tuple[NearPair, ...]
    near_pair_count: int
    groups: tuple[CopyGroup, ...]
    spreads: tuple[PatientSpread, ...]
    counts: tuple[LabelCount, ...]
    associations: tuple[Association, ...]
    baselines: tuple[Baseline, ...]
    outliers: tuple[Outlier, ...]
    faults: tuple[AnnotationFault, ...]
    boxes: int
    masks: int
    remarks: tuple[Remark, ...]
    settings: Mapping[str, float]

    @property
    def near_groups(self) -> tuple[CopyGroup, ...]:
        """The groups that hold more than identical pixels."""
        return tuple(group for group in self.groups if not group.exact)

    @property
    def conflicts(self) -> tuple[CopyGroup, ...]:
        """The groups whose copies are labeled differently."""
        return tuple(group for group in self.groups if group.conflict)

    @property
    def crossing(self) -> tuple[CopyGroup, ...]:
        """The groups whose copies stand in several splits."""
        return tuple(group for group in self.groups if group.crosses_splits)

    def totals(self) -> dict[str, int]:
        """Return the numbers that sum the audit up."""
        return {
            "images": self.images,
            "absent": self.absent,
            "patients": self.patients,
            "corrupt": len(self.unreadable),
            "exact_duplicate_groups": len(self.exact),
            "near_duplicate_groups": len(self.near_groups),
            "near_duplicate_pairs": self.near_pair_count,
            "cross_split_duplicates": len(self.crossing),
            "label_conflicts": len(self.conflicts),
            "patients_in_several_splits": len(self.spreads),
            "annotation_faults": len(self.faults),
            "outliers": len(self.outliers),
        }

    def to_json(self) -> dict[str, Any]:
        """Return one plain object: the totals as integers, then the details.

        Returns:
            Values that ``json.dumps`` takes as they are; undefined numbers are None.
        """
        details = {
            "data_set": self.name,
            **self.totals(),
            "boxes": self.boxes,
            "masks": self.masks,
            "warnings": [asdict(remark) for remark in self.remarks],
            "corrupt_files": [asdict(file) for file in self.unreadable],
            "exact_duplicates": self.exact,
            "identical_files": self.identical_files,
            "near_duplicates": [asdict(pair) for pair in self.near],
            "duplicate_groups": [asdict(group) for group in self.groups],
            "split_crossing_groups": [group.paths for group in self.crossing],
            "conflicting_groups": [
                {"paths": group.paths, "labels": group.labels} for group in self.conflicts
            ],
            "patient_spreads": [asdict(spread) for spread in self.spreads],
            "label_counts": [asdict(count) for count in self.counts],
            "associations": [asdict(association) for association in self.associations],
            "baselines": [asdict(baseline) for baseline in self.baselines],
            "outlier_images": [asdict(outlier) for outlier in self.outliers],
            "annotation_fault_list": [asdict(fault) for fault in self.faults],
            "settings": dict(self.settings),
        }
        return {key: _plain(value) for key, value in details.items()}

    def to_text(self) -> str:
        """Return the audit in a page of plain text: totals, then remarks, most severe first."""
        lines = [f"Audit of {self.name}: {self.images:,} images"]
        lines += [
            f"  {name.replace('_', ' '):<28}{value:>9,}"
            for name, value in self.totals().items()
            if name != "images"
        ]
        for remark in self.remarks:
            lines += ["", f"{remark.severity.upper()}: {remark.title}"]
            lines += [f"  {remark.text}", f"  To do: {remark.advice}"]
        if not self.remarks:
            lines += ["", "Nothing to object to."]
        return "\n".join(lines)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
