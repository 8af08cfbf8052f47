"""The parts of the page that say what was done: data, protocol, faults, commands."""

from __future__ import annotations

from lucidray.papers import background
from lucidray.papers.multitask_boxes.protocol import CUT, PHANTOM, SUBSTITUTE, describe
from lucidray.papers.multitask_boxes.published import (
    AP,
    AUC,
    AVERAGE,
    DETECTION,
    FAULTS,
    TABLE_2,
    TABLE_3,
    TABLE_4,
)
from lucidray.papers.multitask_boxes.story import Story
from lucidray.report import Note, Section
from lucidray.report.bars import counts_figure


def data_section(story: Story) -> Section:
    """Show which images were used."""
    divided = story.divided
    figure = counts_figure(
        {
            name: {key: value for key, value in counts.items() if key != "with boxes"}
            for name, counts in divided.counts().items()
        },
        title="Images",
        caption="Films with and without a finding.",
    )
    boxed = ", ".join(f"{name} {counts['with boxes']:,}" for name, counts in
                      divided.counts().items())  # fmt: skip
    lists = "The publisher's test list" if divided.official else "A test part drawn by patient"
    text = (
        f"{len(divided.table):,} images, {len(divided.findings)} findings that training images "
        f"show both present and absent. {lists} is asked about. Images with boxes: {boxed}."
    )
    return Section("Data", (text, figure, *_taught(story)))


def _taught(story: Story) -> tuple[Note, ...]:
    learned = int(story.divided.learned.sum())
    if learned:
        text = (
            f"{learned:,} of the {len(story.divided.test):,} test images have boxes that the "
            "multi-task network learned, with their labels. Its numbers are not held out."
        )
        return (Note(text, "Test images were learned from", "warning"),)
    if len(story.divided.folds) > 1:
        text = (
            "Only test images have boxes. Each network learned those of other patients than the "
            f"ones that it is asked about: {len(story.divided.folds)} folds."
        )
        return (Note(text, "Boxes dealt to folds by patient"),)
    return ()


def sums_again() -> tuple[str, ...]:
    """Return each printed average beside the mean of its column."""
    columns = (
        *((TABLE_2, name) for name in TABLE_2.columns),
        *((TABLE_3, name) for name in (AUC, AP, DETECTION)),
        *((TABLE_4, name) for name in TABLE_4.columns[:3]),
    )
    lines = []
    for table, column in columns:
        values = [table.number(row, column) for row in table.rows if row != AVERAGE]
        known = [value for value in values if value == value]
        mean, printed = sum(known) / len(known), table.number(AVERAGE, column)
        word = "as printed" if abs(mean - printed) < 0.0006 else "not as printed"
        lines.append(
            f"{table.name}, {column}: printed {printed:.3f}, the column {mean:.4f}: {word}."
        )
    return tuple(lines)


def warnings(story: Story) -> tuple[Note, ...]:
    """Return what must be known before any number."""
    notes = []
    if story.divided.phantoms:
        notes.append(Note(PHANTOM, "Phantoms, not patients", "warning"))
    notes.extend(_taught(story))
    if story.chosen.substitute and story.plan.scale != "smoke":
        notes.append(Note(SUBSTITUTE, "No pretrained weights: substitute schedule", "warning"))
    return (*notes, *background.cut_notes(CUT, story.plan))


def protocol_section(story: Story) -> Section:
    """Say in words what was done, and list every number."""
    steps = describe(story.chosen, story.plan.scale)
    return background.protocol_section(steps, story.plan, story.chosen)


def faults_section(story: Story) -> Section:
    """Name what the publication contradicts, and what this mode does about it."""
    checked = Note(sums_again(), "Every printed average, computed again", "warning")
    return background.faults_section(FAULTS, story.plan.mode, checked)


def provenance_section(story: Story) -> Section:
    """Show commands and versions."""
    return background.provenance_section(story.commands, story.versions)
