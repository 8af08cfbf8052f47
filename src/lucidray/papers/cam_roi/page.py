"""The page of the Grad-CAM region experiment: what was found, beside what was printed."""

from __future__ import annotations

from lucidray.papers.background import SMOKE_WORDS
from lucidray.papers.cam_roi import background, sections
from lucidray.papers.cam_roi.measure import ACCURACY
from lucidray.papers.cam_roi.published import AUTHORS, QUESTION, SET_TITLES, TITLE
from lucidray.papers.cam_roi.story import Chapter, Story
from lucidray.papers.summary import change_fact, order_head
from lucidray.papers.wording import show, show_p
from lucidray.report import Block, Facts, Report, Section

_STRATEGIES = {"frozen": "frozen", "partly": "last 25 %", "all": "trained whole"}


def build(story: Story) -> Report:
    """Assemble the page.

    Args:
        story: Everything that the experiment found.
    """
    scratch = ", from random weights" if story.chosen.scratch else ""
    return Report(
        f"Grad-CAM regions against full images: a published experiment, run again{scratch}",
        (
            summary_section(story),
            sections.second_section(story),
            sections.difference_section(story),
            sections.region_section(story),
            sections.first_section(story),
            sections.class_section(story),
            sections.confusion_section(story),
            sections.training_section(story),
            background.data_section(story),
            background.protocol_section(story),
            background.faults_section(story),
            background.provenance_section(story),
        ),
        kicker="Published experiment cam_roi (source document S0)",
        lede=f"{QUESTION} Source: {AUTHORS}, “{TITLE}”.",
        facts=_head(story),
        notes=background.warnings(story),
    )


def _head(story: Story) -> tuple[tuple[str, str], ...]:
    trainings = sum(len(run) for item in story.chapters for run in item.runs)
    tests = "; ".join(
        f"{SET_TITLES[item.material.name].lower()}: {item.raw.images:,}" for item in story.chapters
    )
    return order_head(
        story.plan,
        ("Networks", f"{trainings} ({story.plan.seeds} of each kind)"),
        ("Test images", tests),
    )


def summary_section(story: Story) -> Section:
    """Say what came out, in a few numbers and sentences."""
    blocks: list[Block] = []
    for item in story.chapters:
        blocks += [f"**{SET_TITLES[item.material.name]}**", _facts(item), _verdict(story, item)]
    return Section("Summary", tuple(blocks))


def _facts(chapter: Chapter) -> Facts:
    found = [
        change_fact(f"{item.arm.role}, {word}: ROI − full", item.accuracy)
        for strategy, word in _STRATEGIES.items()
        for item in chapter.clean.differences
        if item.arm.strategy == strategy and item.arm.view == "overlay"
    ]
    return Facts(tuple(found))


def _verdict(story: Story, chapter: Chapter) -> str:
    if story.plan.scale == "smoke":
        return SMOKE_WORDS
    found = chapter.clean.differences
    sure = [item for item in found if item.adjusted_p < 0.05]
    better = [item for item in sure if item.accuracy.value > 0]
    worse = [item for item in sure if item.accuracy.value < 0]
    best = max(chapter.clean.values, key=lambda arm: chapter.clean.values[arm][ACCURACY].value)
    text = (
        f"Of {len(found)} comparisons of ROI with full images (accuracy on deduplicated test "
        f"images, McNemar's test of the first seed, Holm's correction), ROI images are better in "
        f"{len(better)} and worse in {len(worse)}; {len(found) - len(sure)} do not tell. The "
        f"highest accuracy is that of {sections.arm_words(best)}: "
        f"{show(chapter.clean.values[best][ACCURACY])}. "
    )
    if found:
        least = min(found, key=lambda item: item.adjusted_p)
        text += (
            f"The clearest difference: {sections.arm_words(least.arm)}, "
            f"{show(least.accuracy, signed=True)} (adjusted p {show_p(least.adjusted_p)}). "
        )
    if story.chosen.scratch:
        text += "All of it holds for networks without pretrained weights. "
    if story.plan.seeds == 1:
        text += (
            "Each network was trained once, so how much another training would differ is not in "
            "these intervals."
        )
    return text


def printable(story: Story) -> dict[str, dict[str, object]]:
    """Return the tables that matter most as plain texts, for a terminal or a file."""
    tables = {}
    for item in story.chapters:
        name = item.material.name
        tables[f"{name}_beside_published"] = sections.second_table(item)
        tables[f"{name}_roi_minus_full"] = sections.difference_table(item)
    return {
        name: {
            "caption": table.caption,
            "columns": list(table.columns),
            "rows": [list(row) for row in table.rows],
        }
        for name, table in tables.items()
    }
