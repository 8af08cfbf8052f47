"""The parts of the page that say what was done: data, protocol, faults, commands."""

from __future__ import annotations

from lucidray.metrics.class_tables import ClassRow, check_classes
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
from lucidray.report.provenance import provenance_blocks


def warnings(story: Story) -> tuple[Note, ...]:
    """Return what must be known before any number."""
    notes = []
    if story.chosen.scratch:
        notes.append(Note(SCRATCH, "No pretrained weights: random filters", "warning"))
    if CUT[story.plan.scale]:
        notes.append(Note(CUT[story.plan.scale], "What this scale leaves out", "warning"))
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


def protocol_section(story: Story) -> Section:
    """Say in words what was done, and list every number."""
    steps = describe(story.chosen, story.plan.scale)
    rows = tuple((name, _setting(value)) for name, value in vars(story.chosen).items())
    blocks: list[Block] = [
        Note(
            tuple(step for step in steps if step not in (SCRATCH, OWN)),
            f"Mode {story.plan.mode}, scale {story.plan.scale}",
        )
    ]
    if story.chosen.own:
        blocks.append(Note(OWN, "Not in the publication"))
    blocks.append(
        Table(("Setting", "Value"), rows, "Every number of the protocol", numeric=(), wide=True)
    )
    return Section("Protocol", tuple(blocks))


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{role}: {name}" for role, name in value.items())
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "all" if value is None else str(value)


def faults_section(story: Story) -> Section:
    """Name what the publication contradicts, and what this mode does about it."""
    rows = tuple((fault.what, fault.evidence, getattr(fault, story.plan.mode)) for fault in FAULTS)
    columns = ("What", "How one sees it", f"Here ({story.plan.mode})")
    return Section(
        "What the publication contradicts",
        (
            Note(contradictions(), "The printed sums, done again", "warning"),
            Table(columns, rows, numeric=(), wide=True),
        ),
    )


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


def provenance_section(story: Story) -> Section:
    """Show commands and versions."""
    return Section("Commands and versions", provenance_blocks(story.commands, dict(story.versions)))
