"""The parts of the page that say what was done: data, protocol, faults, commands."""

from __future__ import annotations

from lucidray.metrics.class_tables import ClassRow, check_classes
from lucidray.papers import background
from lucidray.papers.cam_roi.protocol import CUT, OWN, SCRATCH, describe
from lucidray.papers.cam_roi.published import (
    BRAIN,
    BRAIN_SUPPORT,
    CHEST,
    CLASSES,
    FAULTS,
    SECOND,
    SET_TITLES,
    row_name,
)
from lucidray.papers.cam_roi.story import Chapter, Story
from lucidray.report import Block, Note, Section, Table


def warnings(story: Story) -> tuple[Note, ...]:
    """Return what must be known before any number."""
    notes = []
    if story.chosen.scratch:
        notes.append(Note(SCRATCH, "No pretrained weights: random filters", "warning"))
    notes.extend(background.cut_notes(CUT, story.plan))
    if not story.chosen.normalize:
        text = (
            "EfficientNet's images are divided by 255 twice before they are normalized, as Keras "
            "does with images that were divided before; the other networks get [0, 1]. What the "
            "frozen EfficientNet scores here is the price of that fault, not of the network."
        )
        notes.append(Note(text, "The published [0, 1]-input fault is reproduced", "warning"))
    absent = {CHEST, BRAIN} - {item.material.name for item in story.chapters}
    if absent:
        text = f"The folder does not hold: {', '.join(sorted(absent))}."
        notes.append(Note(text, "Half of the experiment", "warning"))
    return tuple(notes)


def data_section(story: Story) -> Section:
    """Show which images were used."""
    blocks: list[Block] = []
    for item in story.chapters:
        blocks += _data(item, distinct=story.chosen.distinct)
    return Section("Data", tuple(blocks))


def _data(chapter: Chapter, *, distinct: bool) -> list[Block]:
    material = chapter.material
    title = SET_TITLES[material.name]
    rows = tuple(
        (split, *(f"{count:,}" for count in counts.values()), f"{sum(counts.values()):,}")
        for split, counts in material.counts().items()
    )
    used = len(material.table)
    text = f"**{title}:** {used:,} of {material.available:,} images in the folder are used. "
    clean = chapter.clean.images
    if distinct:
        text += f"{material.copies:,} further images were left out as copies of others. "
    else:
        text += (
            f"Of {chapter.raw.images:,} test images {chapter.raw.images - clean:,} have a copy in "
            "training or validation, or are a second copy of another test image. "
        )
    text += (
        "The publisher's test split judges."
        if material.official_test
        else "The folder has no test split, so one was drawn."
    )
    blocks: list[Block] = [
        text,
        Table(("Split", *material.classes, "All"), rows, f"{title}: images by split"),
    ]
    if material.name == CHEST:
        confounded = (
            "In this set class and source go together: the classes come from different "
            "collections, whose framing and exposure differ. A network can be right for that "
            "reason alone, so high accuracies here say little of disease."
        )
        blocks.append(Note(confounded, "Class and source are confounded", "warning"))
    return blocks


def contradictions() -> tuple[str, ...]:
    """Return what of the printed brain class table cannot be true together."""
    lines: list[str] = []
    for view, word, start in (("full", "full images", 0), ("overlay", "ROI", 3)):
        rows = {
            name: ClassRow(
                BRAIN_SUPPORT[name],
                *(f"{100 * float(value or 0):.2f}%" for value in values[start : start + 3]),
            )
            for name, values in CLASSES[BRAIN].rows.items()
        }
        accuracy = SECOND[BRAIN].number(row_name("DenseNet201", "partly", view), "accuracy")
        found = check_classes(rows, accuracy=f"{accuracy:.0%}")
        lines += [f"Brain, DenseNet201, S2, {word}: {line}." for line in found or ["consistent"]]
    return tuple(lines)


def protocol_section(story: Story) -> Section:
    """Say in words what was done, and list every number."""
    steps = describe(story.chosen, story.plan.scale)
    ours = (Note(OWN, "Not in the publication"),) if story.chosen.own else ()
    told = tuple(step for step in steps if step not in (SCRATCH, OWN))
    return background.protocol_section(told, story.plan, story.chosen, *ours, wide=True)


def faults_section(story: Story) -> Section:
    """Name what the publication contradicts, and what this mode does about it."""
    checked = Note(contradictions(), "The printed sums, done again", "warning")
    return background.faults_section(FAULTS, story.plan.mode, checked)


def provenance_section(story: Story) -> Section:
    """Show commands and versions."""
    return background.provenance_section(story.commands, story.versions)
