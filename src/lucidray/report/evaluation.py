"""The page of an evaluation: what one model says of labeled images, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lucidray.errors import ShapeError
from lucidray.metrics import (
    confusion_matrix,
    count,
    ece,
    measure_multiclass,
    measure_multilabel,
    measure_subgroups,
    precision_recall_curve,
    reliability_curve,
)
from lucidray.records import Float64, Measurement
from lucidray.report.bands import roc_band
from lucidray.report.bars import Estimate, confusion_figure, counts_figure, forest_figure
from lucidray.report.curves import (
    Curve,
    histogram_figure,
    pr_figure,
    reliability_figure,
    roc_figure,
    training_figure,
)
from lucidray.report.document import (
    Block,
    Fact,
    Facts,
    Figure,
    Note,
    Panels,
    Report,
    Row,
    Section,
    Table,
)
from lucidray.report.provenance import provenance_blocks, versions

#: Curves that fit into one drawing.
_CURVES = 6

_COLUMNS = (
    ("AUC", "auc"),
    ("Average precision", "average_precision"),
    ("Sensitivity", "sensitivity"),
    ("Specificity", "specificity"),
    ("Precision", "precision"),
    ("F1", "f1"),
    ("Balanced accuracy", "balanced_accuracy"),
)


@dataclass(frozen=True)
class Judged:
    """What a model says of labeled images.

    Args:
        findings: F names.
        labels: float ``(N, F)``: 1, 0 or nan.
        probabilities: float ``(N, F)`` in [0, 1].
        groups: ``(N,)`` patient keys; None: each image is its own patient.
        operating_points: Threshold of each finding, chosen on validation data.
        exclusive: Whether exactly one finding is present in each image.
        attributes: Name → ``(N,)`` subgroup of each image (``""`` or None: unknown).
    """

    findings: tuple[str, ...]
    labels: Float64
    probabilities: Float64
    groups: npt.NDArray[np.str_] | None = None
    operating_points: Mapping[str, float] = field(default_factory=dict)
    exclusive: bool = False
    attributes: Mapping[str, npt.NDArray[np.object_]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.labels), len(self.findings))
        if self.labels.shape != shape or self.probabilities.shape != shape:
            raise ShapeError(
                f"labels are {self.labels.shape} and probabilities {self.probabilities.shape} for "
                f"{len(self.findings)} findings; both must be (N, {len(self.findings)})."
            )

    def column(self, finding: str) -> tuple[Float64, Float64]:
        """Return labels and probabilities ``(n,)`` of the images labeled for a finding."""
        at = self.findings.index(finding)
        known = ~np.isnan(self.labels[:, at])
        return self.labels[known, at], self.probabilities[known, at]

    def known_groups(self, finding: str) -> npt.NDArray[np.str_] | None:
        """Return the patients of the images labeled for a finding."""
        known = ~np.isnan(self.labels[:, self.findings.index(finding)])
        return None if self.groups is None else self.groups[known]

    def has_both(self, finding: str) -> bool:
        """Say whether there are images with and without a finding."""
        return len(np.unique(self.column(finding)[0])) == 2

    def drawn(self) -> list[str]:
        """Return the findings that are drawn: those that can be, the most frequent first."""
        able = [name for name in self.findings if self.has_both(name)]
        return sorted(able, key=lambda name: -float(self.column(name)[0].sum()))[:_CURVES]


@dataclass(frozen=True)
class Account:
    """All else that a reader wants to know.

    Args:
        title: The page's heading.
        lede: What was judged on what, in a sentence.
        facts: Pairs of a name and a text under the heading.
        protocol: What was done, in words.
        history: Quantity → part → one value an epoch.
        best_epoch: The epoch whose weights were kept.
        panels: Explained images.
        commands: Command lines that make this page again.
        notes: What must be known before any number.
    """

    title: str
    lede: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    protocol: tuple[str, ...] = ()
    history: Mapping[str, Mapping[str, list[float]]] = field(default_factory=dict)
    best_epoch: int | None = None
    panels: Panels | None = None
    commands: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


def evaluation_report(judged: Judged, account: Account, *, n_boot: int = 2000) -> Report:
    """Assemble the page of an evaluation.

    Args:
        judged: Labels and predictions.
        account: All else.
        n_boot: Bootstrap replicates of every interval, over patients.
    """
    measured = _measure(judged, n_boot)
    sections = [
        Section("Summary", _summary(judged, measured)),
        Section("Findings", (_table(judged, measured),)),
        Section("ROC and precision-recall curves", _curves(judged, n_boot)),
        Section("Confusion matrices", _confusions(judged)),
        Section("Calibration", _calibration(judged)),
        Section("Subgroups", _subgroups(judged, n_boot)),
        Section("Where the model looked", () if account.panels is None else (account.panels,)),
        Section("Training", _training(account)),
        Section("Data", (_data(judged),)),
        Section("Protocol", (Note(account.protocol),) if account.protocol else ()),
        Section("Commands and versions", provenance_blocks(account.commands, versions())),
    ]
    return Report(
        account.title,
        tuple(section for section in sections if section.blocks),
        kicker="Evaluation",
        lede=account.lede,
        facts=account.facts,
        notes=(*account.notes, *_untested(judged)),
    )


def _measure(judged: Judged, n_boot: int) -> dict[str, dict[str, Measurement]]:
    if judged.exclusive:
        return measure_multiclass(
            judged.labels,
            judged.probabilities,
            classes=judged.findings,
            groups=judged.groups,
            n_boot=n_boot,
        )
    return measure_multilabel(
        judged.labels,
        judged.probabilities,
        findings=judged.findings,
        thresholds=judged.operating_points,
        groups=judged.groups,
        n_boot=n_boot,
    )


def _untested(judged: Judged) -> tuple[Note, ...]:
    lacking = [name for name in judged.findings if not judged.has_both(name)]
    if not lacking:
        return ()
    names = ", ".join(lacking)
    text = f"Images with and without the finding are needed, but one kind is lacking for {names}."
    return (Note(text, "Not measured", "warning"),)


def _cell(found: Mapping[str, Measurement], name: str) -> str:
    return str(found[name]).replace("nan", "–") if name in found else "–"


def _summary(judged: Judged, measured: Mapping[str, Mapping[str, Measurement]]) -> tuple[Block]:
    single = len(judged.findings) == 1
    of = judged.findings[0] if single else "macro"
    items = []
    for label, name in _COLUMNS:
        if name in measured[of] and np.isfinite(measured[of][name].value):
            found = measured[of][name]
            interval = str(found).partition(" ")[2]
            text = label if single else f"{label}, macro"
            items.append(Fact(text, f"{found.value:.3f}", interval))
    return (Facts(tuple(items)),)


def _table(judged: Judged, measured: Mapping[str, Mapping[str, Measurement]]) -> Table:
    names = [*judged.findings]
    if len(names) > 1:
        names += [name for name in ("macro", "weighted", "micro") if name in measured]
    rows = []
    for name in names:
        cells = [_cell(measured[name], key) for _, key in _COLUMNS[:-1]]
        point = judged.operating_points.get(name)
        rows.append((name, "–" if point is None else f"{point:.3f}", *cells))
    columns = ("Finding", "Threshold", *(label for label, _ in _COLUMNS[:-1]))
    caption = "95 % bootstrap intervals over patients. Rates are taken at each finding's threshold."
    if judged.exclusive:
        caption = "95 % bootstrap intervals over patients. The most probable finding is chosen."
    return Table(columns, tuple(rows), caption, stacked=True)


def _curves(judged: Judged, n_boot: int) -> tuple[Block, ...]:
    rocs, precisions = [], []
    for name in judged.drawn():
        labels, values = judged.column(name)
        mark = None
        if name in judged.operating_points:
            counts = count(labels, values, threshold=judged.operating_points[name])
            mark = (
                float(counts.fp / counts.negatives),
                float(counts.tp / counts.positives),
            )
        band = min(n_boot, 1000) if len(judged.findings) <= 3 else 0
        groups = judged.known_groups(name)
        rocs.append(roc_band(labels, values, groups=groups, n_boot=band, label=name, mark=mark))
        found = precision_recall_curve(labels, values, max_points=400)
        precisions.append(Curve(name, found.x, found.y))
    if not rocs:
        return ()
    more = len(judged.findings) - len(rocs)
    rest = f" {more} more findings stand in the table." if more else ""
    share = float(np.mean([judged.column(name)[0].mean() for name in judged.drawn()]))
    return (
        Row(
            (
                roc_figure(rocs, caption=f"Bands: 95 % bootstrap. Dots: thresholds.{rest}"),
                pr_figure(precisions, prevalence=share, caption="Dotted: mean prevalence."),
            )
        ),
    )


def _confusions(judged: Judged) -> tuple[Block, ...]:
    if judged.exclusive:
        known = ~np.isnan(judged.labels).any(axis=1)
        cells = confusion_matrix(
            judged.labels[known].argmax(axis=1),
            judged.probabilities[known].argmax(axis=1),
            classes=len(judged.findings),
        ).astype(np.int64)
        caption = "The most probable finding is chosen. Shares are of each true class."
        return (confusion_figure(cells, judged.findings, caption=caption),)
    figures = []
    for name in judged.drawn():
        if name in judged.operating_points:
            labels, values = judged.column(name)
            point = judged.operating_points[name]
            matrix = count(labels, values, threshold=point).matrix().astype(np.int64)
            caption = f"Threshold {point:.3f}."
            figures.append(confusion_figure(matrix, ("absent", "present"), title=name,
                                            caption=caption))  # fmt: skip
    return (Row(tuple(figures)),) if figures else ()


def _calibration(judged: Judged) -> tuple[Block, ...]:
    curves, counts, spread = [], [], []
    for name in judged.drawn():
        labels, values = judged.column(name)
        found = reliability_curve(labels, values, bins=10)
        label = f"{name}, ECE {ece(labels, values):.3f}"
        curves.append(Curve(label, found.predicted, found.observed, found.low, found.high))
        counts.append(np.histogram(values, np.linspace(0, 1, 11))[0])
        spread.append(_histogram(judged, name))
    if not curves:
        return ()
    caption = "Bars: 95 % Wilson intervals of ten bins of equal width."
    return (Row((reliability_figure(curves, counts=counts, caption=caption), *spread[:3])),)


def _histogram(judged: Judged, name: str) -> Figure:
    labels, values = judged.column(name)
    point = judged.operating_points.get(name)
    caption = "Dashed: the threshold." if point is not None else ""
    names = ("absent", "present")
    return histogram_figure(
        values, labels, names=names, threshold=point, title=name, caption=caption
    )


def _subgroups(judged: Judged, n_boot: int) -> tuple[Block, ...]:
    figures: list[Block] = []
    for attribute, values in judged.attributes.items():
        for name in judged.drawn()[:2]:
            at = judged.findings.index(name)
            table = measure_subgroups(
                judged.labels[:, at],
                judged.probabilities[:, at],
                values,
                groups=judged.groups,
                n_boot=min(n_boot, 1000),
            )
            rows = [
                Estimate(row.value, found.value, found.low, found.high, row.images)
                for row in table.rows
                for found in [row.measurements["auc"]]
            ]
            if len(rows) > 1:
                caption = f"{table.unknown:,} images have no known {attribute}."
                figures.append(forest_figure(rows, quantity="AUC", title=f"{name} by {attribute}",
                                             caption=caption if table.unknown else ""))  # fmt: skip
    return tuple(figures)


def _training(account: Account) -> tuple[Block, ...]:
    if not account.history:
        return ()
    caption = "Dashed: the epoch whose weights were kept." if account.best_epoch else ""
    return (training_figure(account.history, best_epoch=account.best_epoch, caption=caption),)


def _data(judged: Judged) -> Figure:
    counts = {
        name: {
            "absent": int((judged.column(name)[0] == 0).sum()),
            "present": int((judged.column(name)[0] == 1).sum()),
        }
        for name in judged.findings
    }
    patients = "" if judged.groups is None else f" of {len(np.unique(judged.groups)):,} patients"
    caption = f"{len(judged.labels):,} images{patients}; unlabeled ones are left out."
    return counts_figure(counts, caption=caption, title="Images by finding")
