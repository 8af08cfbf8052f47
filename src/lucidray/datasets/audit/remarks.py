"""From what an audit found to what the reader should do, in plain words, most severe first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lucidray.datasets.audit.result import (
    Association,
    Audit,
    Baseline,
    LabelCount,
    Remark,
    Severity,
)

#: Cramér's V between labels and source from which a pooled result means nothing.
ONE_TELLS_THE_OTHER = 0.9
#: Cramér's V from which an association is worth a warning.
STRONG = 0.3
#: AUC from which telling a label from patient, view, source or file is worth a warning.
TOLD_BY_FACTS = 0.6
#: AUC from which telling a label from the border alone is worth a warning.
TOLD_BY_BORDER = 0.8
#: Ratio of the most to the least common class from which imbalance is worth a note.
IMBALANCED = 10
#: Fewer images than this in a split, or with a finding in it: a note.
FEW = 30

_ORDER = {"critical": 0, "warning": 1, "note": 2}


def remarks(audit: Audit) -> tuple[Remark, ...]:
    """Write down what matters of an audit.

    Args:
        audit: Complete but for its remarks.

    Returns:
        Remarks, the most severe first; none where there is nothing to object to.
    """
    parts = (_files, _copies, _conflicts, _patients, _confounding, _shift, _classes, _oddities)
    found = [remark for part in parts for remark in part(audit)]
    return tuple(sorted(found, key=lambda remark: _ORDER[remark.severity]))


def _files(audit: Audit) -> Iterator[Remark]:
    broken = len(audit.unreadable)
    if broken:
        yield Remark(
            "critical",
            f"{broken:,} {_files_word(broken)} cannot be read",
            f"{broken:,} of {audit.images:,} images are broken or are no radiographs, for example "
            f"{audit.unreadable[0].path}.",
            "Fetch them again from the publisher, or take them out of the table.",
        )
    if audit.absent:
        yield Remark(
            "note",
            f"{audit.absent:,} images are named but not here",
            f"The tables name {audit.absent:,} images without a file in this folder; they were "
            "left out of the audit.",
            "Nothing, if you hold a part of the data set on purpose; else fetch the rest.",
        )


def _copies(audit: Audit) -> Iterator[Remark]:
    if audit.crossing:
        count = len(audit.crossing)
        yield Remark(
            "critical",
            f"{count:,} {_groups(count)} of copies cross splits",
            f"{sum(len(group.paths) for group in audit.crossing):,} images have a copy in another "
            "split, so a test would measure memory.",
            "Split by cluster of copies, or drop the copies from training; report scores with "
            "and without them.",
        )
    if audit.exact:
        extra = sum(len(group) - 1 for group in audit.exact)
        yield Remark(
            "warning",
            f"{len(audit.exact):,} {_groups(len(audit.exact))} of exact duplicates",
            f"{extra:,} {'image repeats' if extra == 1 else 'images repeat'} another one pixel by "
            f"pixel; in {audit.identical_files:,} of the groups files are the same byte by byte.",
            "Keep one image of each group, or make sure that no split parts them.",
        )
    if audit.near:
        yield _near(audit)


def _near(audit: Audit) -> Remark:
    count = len(audit.near_groups)
    involved = sum(len(group.paths) for group in audit.near_groups)
    turned = sum(pair.orientation != "same" for pair in audit.near)
    flipped = f" {turned:,} of the links are flipped or turned copies." if turned else ""
    return Remark(
        "warning",
        f"{count:,} {_groups(count)} of near duplicates",
        f"{involved:,} images show the same picture as another one in other size, contrast or "
        f"compression, or its neighboring slice.{flipped}",
        "Look at the pairs; treat each group as one patient when you split.",
    )


def _conflicts(audit: Audit) -> Iterator[Remark]:
    count = len(audit.conflicts)
    if count:
        yield Remark(
            "critical",
            f"{count:,} {_groups(count)} of copies with conflicting labels",
            f"The same picture carries different labels, for example {audit.conflicts[0].paths[0]} "
            f"({'; '.join(audit.conflicts[0].labels)}).",
            "Have a reader decide, or take the whole group out.",
        )


def _patients(audit: Audit) -> Iterator[Remark]:
    count = len(audit.spreads)
    if count:
        yield Remark(
            "critical",
            f"{count:,} {'patient stands' if count == 1 else 'patients stand'} in several splits",
            f"{sum(spread.images for spread in audit.spreads):,} images belong to them. A model "
            "that knows a patient scores higher than it would on new ones.",
            "Split by patient.",
        )
    if audit.images and not audit.patients:
        yield Remark(
            "warning",
            "The patients are not known",
            "No image names its patient, so leakage between splits cannot be ruled out.",
            "Ask the publisher for patient keys; until then split by cluster of copies and call "
            "the scores optimistic.",
        )


def _confounding(audit: Audit) -> Iterator[Remark]:
    for trait in ("source", "view position", "image size", "file encoding", "sex", "age band"):
        tied = [
            item
            for item in audit.associations
            if item.trait == trait
            and item.label != "split"
            and item.cramers_v >= STRONG
            and item.p_value < 0.001
        ]
        if tied:
            yield _tied(tied)
    for predictor, least in (
        ("patient and view", TOLD_BY_FACTS),
        ("source", TOLD_BY_FACTS),
        ("file", TOLD_BY_FACTS),
        ("border", TOLD_BY_BORDER),
    ):
        told = [item for item in audit.baselines if item.predictor == predictor]
        labels = [item for item in told if not item.target.startswith("source: ")]
        strong = [item for item in labels if item.low >= least]
        if strong:
            yield _told(predictor, strong)


def _tied(tied: list[Association]) -> Remark:
    most = tied[0]
    whole = most.cramers_v >= ONE_TELLS_THE_OTHER
    others = f"; {len(tied) - 1} more go along with it" if len(tied) > 1 else ""
    certain = "all but tells" if whole else "goes along with"
    personal = most.trait in {"sex", "age band"}
    severity: Severity = "critical" if whole else "note" if personal else "warning"
    leave = "" if personal else f", and test on a {most.trait} left out of training"
    return Remark(
        severity,
        f"The {most.trait} {certain} the label",
        f"Cramér's V between {most.label} and {most.trait} is {most.cramers_v:.2f} "
        f"(0 = independent, 1 = one tells the other){others}. A model can learn the "
        f"{most.trait} instead of the disease.",
        f"Report results within each {most.trait}, not only pooled{leave}.",
    )


def _told(predictor: str, strong: list[Baseline]) -> Remark:
    most = strong[0]
    from_what = {
        "patient and view": "age, sex and view position alone",
        "source": "the source alone",
        "file": "image size and file encoding alone",
        "border": "the border alone",
    }[predictor]
    more = f"; {len(strong) - 1} more can be told as well" if len(strong) > 1 else ""
    advice = {
        "border": "The border is the outer eighth of each side, at 16 x 16 pixels. Crop to the "
        "lungs, normalize the intensities, test on another hospital, and look whether heat maps "
        "lie on the border.",
    }.get(predictor, "A model must beat this baseline to have learned anything from the lungs.")
    return Remark(
        "warning",
        f"{most.target} can be told from {from_what}",
        f"Cross-validated AUC {most.auc:.2f} [{most.low:.2f}, {most.high:.2f}] for patients "
        f"not seen before{more}.",
        advice,
    )


def _shift(audit: Audit) -> Iterator[Remark]:
    shifted = [
        item
        for item in audit.associations
        if item.label == "split" and item.cramers_v >= 0.1 and item.p_value < 0.001
    ]
    if shifted:
        named = ", ".join(f"{item.trait} (V {item.cramers_v:.2f})" for item in shifted[:5])
        yield Remark(
            "warning",
            "The splits differ from each other",
            f"They do not have the same {named}. Thresholds chosen on one will not hold on the "
            "other.",
            "Report per split, choose operating points on data like the test's, or split anew.",
        )


def _classes(audit: Audit) -> Iterator[Remark]:
    present: Counter[str] = Counter()
    for count in audit.counts:
        present[count.finding] += count.present
    seen = [number for number in present.values() if number]
    if len(seen) > 1 and max(seen) >= IMBALANCED * min(seen):
        rare, common = min(seen), max(seen)
        names = {number: finding for finding, number in present.items()}
        yield Remark(
            "note",
            "The findings are far from balanced",
            f"{names[common]} has {common:,} images, {names[rare]} {rare:,}: "
            f"{common / rare:.0f} to 1.",
            "Weigh the loss or sample evenly; judge by AUC, average precision and balanced "
            "accuracy.",
        )
    few = [count for count in audit.counts if 0 < count.present < FEW]
    if few:
        yield _rare(few)
    missing = [finding for finding, number in present.items() if not number]
    if missing:
        yield Remark(
            "note",
            f"{len(missing)} of {len(present)} findings never occur",
            f"No image carries {', '.join(missing[:8])}.",
            "Leave out of training and measuring what has no positives; it has no AUC.",
        )


def _rare(few: list[LabelCount]) -> Remark:
    named = ", ".join(
        f"{count.finding}{' in ' + count.split if count.split else ''} ({count.present})"
        for count in sorted(few, key=lambda count: count.present)[:6]
    )
    return Remark(
        "note",
        f"Few positives: fewer than {FEW} images",
        f"{named}{' and others' if len(few) > 6 else ''}. Figures on them will be coarse.",
        "Give intervals; do not choose thresholds on them.",
    )


def _oddities(audit: Audit) -> Iterator[Remark]:
    if audit.faults:
        kinds = Counter(f"{fault.kind} {fault.fault}" for fault in audit.faults)
        named = "; ".join(f"{number:,} × {kind}" for kind, number in kinds.most_common(5))
        yield Remark(
            "warning",
            f"{len(audit.faults):,} faults in boxes or masks",
            f"{named}.",
            "Compare with the publisher's table; boxes outside the image mean that they belong "
            "to another resolution.",
        )
    blank = [item for item in audit.outliers if item.trait == "blank"]
    inverted = [item for item in audit.outliers if item.trait.startswith("likeness")]
    other = len({item.path for item in audit.outliers}) - len({*blank, *inverted})
    for items, what, advice in (
        (blank, "of one even gray", "Take them out."),
        (inverted, "like a negative", "Look at them; invert those that are negatives."),
    ):
        if items:
            yield Remark(
                "warning",
                f"{len(items):,} {'image' if len(items) == 1 else 'images'} {what}",
                f"For example {items[0].path}.",
                advice,
            )
    if other > 0:
        kinds = Counter(item.trait for item in audit.outliers if item not in (*blank, *inverted))
        named = ", ".join(f"{number:,} by {kind}" for kind, number in kinds.most_common())
        yield Remark(
            "note",
            f"{other:,} {'image' if other == 1 else 'images'} unlike the others",
            f"{named}.",
            "Look at them before training.",
        )


def _groups(count: int) -> str:
    return "group" if count == 1 else "groups"


def _files_word(count: int) -> str:
    return "file" if count == 1 else "files"
