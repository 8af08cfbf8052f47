"""The parts of the page that say what was done: data, protocol, faults, commands."""

from __future__ import annotations

import numpy as np

from lucidray.metrics.checks import check_counts
from lucidray.metrics.confusion import Counts, accuracy
from lucidray.metrics.implied import check_rates
from lucidray.papers import background
from lucidray.papers.lung_crop.measure import macro_f1
from lucidray.papers.lung_crop.protocol import CUT, SUBSTITUTE, describe
from lucidray.papers.lung_crop.published import (
    ACCURACY,
    AFTER,
    BEFORE,
    FAULTS,
    FIGURE_1,
    MACRO_F1,
    NORMAL_RECALL,
    OFFICIAL_TEST,
    PNEUMONIA_RECALL,
    TABLE_1,
)
from lucidray.papers.lung_crop.story import Story
from lucidray.report import Block, Note, Section, Table
from lucidray.report.bars import counts_figure


def data_section(story: Story) -> Section:
    """Show which images were used."""
    divided, patients = story.divided, story.divided.patients()
    figure = counts_figure(
        divided.counts(), title="Images", caption="Labels as the publisher gives them."
    )
    rows = tuple(
        (name, f"{row['normal']:,}", f"{row['pneumonia']:,}",
         f"{row['pneumonia'] / max(sum(row.values()), 1):.1%}", f"{patients[name]:,}")
        for name, row in divided.counts().items()
    )  # fmt: skip
    table = Table(("Split", "Normal", "Pneumonia", "Share", "Patients"), rows, "Images by split")
    notes = [
        Note(
            "The folder has the publisher's own test split, and it judges here."
            if divided.official_test
            else "The folder has no test split. A fifth of its patients was drawn and set aside "
            "before anything else; the publication judged on 624 other images, in which "
            "pneumonia is rarer (62.5 %). Numbers on that split are "
            "expected to be lower.",
            "Test images",
            "plain" if divided.official_test else "warning",
        )
    ]
    if divided.shared_patients:
        notes.append(
            Note(
                f"{divided.shared_patients:,} patients have images in both training and "
                "validation, as in the publication. Early stopping therefore sees known patients.",
                "Validation shares patients with training",
                "warning",
            )
        )
    used = len(divided.table)
    text = (
        f"Frontal chest radiographs of children, Guangzhou Women and Children's Medical Center "
        f"(Kermany et al. 2018, CC BY 4.0): {used:,} of {divided.available:,} images in the folder."
    )
    return Section("Data", (text, figure, table, *notes))


def arithmetic() -> tuple[Block, ...]:
    """Do the published sums again."""
    normals, pneumonias = OFFICIAL_TEST
    rows = []
    for column in (BEFORE, AFTER):
        recalls = [TABLE_1.number(name, column) for name in (NORMAL_RECALL, PNEUMONIA_RECALL)]
        tn, tp = round(recalls[0] * normals), round(recalls[1] * pneumonias)
        counts = Counts(*map(np.asarray, (tp, normals - tn, pneumonias - tp, tn)))
        cells = (
            f"{TABLE_1.number(ACCURACY, column):.2f}",
            f"{float(accuracy(counts)):.3f}",
            f"{TABLE_1.number(MACRO_F1, column):.2f}",
            f"{float(macro_f1(counts)):.3f}",
        )
        rows.append((column, *cells))
    columns = ("Row", "Accuracy printed", "from recalls", "Macro F1 printed", "from recalls")
    caption = f"What follows from the printed recalls on {normals} normals and {pneumonias} others."
    return (Table(columns, tuple(rows), caption), Note(contradictions(), _CHECKED, "warning"))


_CHECKED = "Every confusion matrix was tried, every sum done again"


def contradictions() -> tuple[str, ...]:
    """Return what of the printed numbers cannot be true together."""
    normals, pneumonias = OFFICIAL_TEST
    lines: list[str] = []
    for column in (BEFORE, AFTER):
        found = check_rates(
            pneumonias,
            normals,
            sensitivity=f"{TABLE_1.number(PNEUMONIA_RECALL, column):.0%}",
            specificity=f"{TABLE_1.number(NORMAL_RECALL, column):.0%}",
            accuracy=f"{TABLE_1.number(ACCURACY, column):.0%}",
            macro_f1=f"{TABLE_1.number(MACRO_F1, column):.2f}",
        )
        lines += [f"Table I, {column}: {line}." for line in found or ["consistent"]]
    cells = [int(FIGURE_1.number(name, "count")) for name in FIGURE_1.rows]
    tp, tn, fp, fn = cells
    wrong = check_counts(tp, fp, fn, tn, n=normals + pneumonias, accuracy="86%")
    return (*lines, *(f"Figure 1: {line}." for line in wrong))


def warnings(story: Story) -> tuple[Note, ...]:
    """Return what must be known before any number."""
    notes = []
    if story.chosen.substitute and story.plan.scale != "smoke":
        notes.append(Note(SUBSTITUTE, "No pretrained weights: substitute schedule", "warning"))
    return (*notes, *background.cut_notes(CUT, story.plan))


def protocol_section(story: Story) -> Section:
    """Say in words what was done, and list every number."""
    note = Note(SUBSTITUTE, "Substitute schedule", "warning")
    remarks = (note,) if story.chosen.substitute else ()
    steps = describe(story.chosen, story.plan.scale)
    return background.protocol_section(steps, story.plan, story.chosen, *remarks)


def faults_section(story: Story) -> Section:
    """Name what the publication contradicts, and what this mode does about it."""
    return background.faults_section(FAULTS, story.plan.mode, *arithmetic())


def provenance_section(story: Story) -> Section:
    """Show commands and versions."""
    return background.provenance_section(story.commands, story.versions)
