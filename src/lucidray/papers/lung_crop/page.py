"""The page of the lung-crop experiment: what was found, beside what was printed."""

from __future__ import annotations

import numpy as np

from lucidray.metrics.resampling import Estimate
from lucidray.papers.background import SMOKE_WORDS
from lucidray.papers.catalog import Arm
from lucidray.papers.lung_crop import background, sections
from lucidray.papers.lung_crop.measure import (
    AVERAGE_PRECISION,
    BALANCED_ACCURACY,
    matched_name,
    published_point_name,
)
from lucidray.papers.lung_crop.published import (
    ACCURACY,
    AUC,
    AUTHORS,
    COLUMN_OF,
    MACRO_F1,
    NORMAL_RECALL,
    PNEUMONIA_RECALL,
    QUESTION,
    TABLE_1,
    TITLE,
)
from lucidray.papers.lung_crop.story import Story
from lucidray.papers.summary import change_fact, estimate_fact, order_head
from lucidray.papers.wording import show
from lucidray.report import Block, Facts, Note, Report, Section, Table
from lucidray.report.bars import Estimate as Mark
from lucidray.report.bars import bars_figure

_ROWS = (ACCURACY, AUC, NORMAL_RECALL, PNEUMONIA_RECALL, MACRO_F1)
_MORE = (AVERAGE_PRECISION, BALANCED_ACCURACY)


def build(story: Story) -> Report:
    """Assemble the page.

    Args:
        story: Everything that the experiment found.
    """
    substitute = ", on a substitute schedule" if story.chosen.substitute else ""
    return Report(
        f"Lung crop against full image: a published experiment, run again{substitute}",
        (
            summary_section(story),
            published_section(story),
            sections.matched_section(story),
            sections.ranking_section(story),
            sections.confusion_section(story),
            sections.calibration_section(story),
            sections.subgroup_section(story),
            sections.explanation_section(story),
            sections.training_section(story),
            background.data_section(story),
            background.protocol_section(story),
            background.faults_section(story),
            background.provenance_section(story),
        ),
        kicker="Published experiment lung_crop (source document S4)",
        lede=f"{QUESTION} Source: {AUTHORS}, “{TITLE}”.",
        facts=_head(story),
        notes=background.warnings(story),
    )


def _head(story: Story) -> tuple[tuple[str, str], ...]:
    measured = story.measured
    return order_head(
        story.plan,
        ("Trainings", f"{len(story.runs)} ({story.plan.seeds} an arm)"),
        ("Test", f"{measured.images:,} images of {measured.patients:,} patients"),
    )


def summary_section(story: Story) -> Section:
    """Say what came out, in four numbers and two sentences."""
    measured = story.measured
    facts = [
        estimate_fact(f"AUC, {arm.title.lower()}", measured.values[arm.name][AUC])
        for arm in story.arms
    ]
    facts += [
        change_fact(f"AUC, {arm.title.lower()} − full", measured.difference(arm.name, AUC).estimate)
        for arm in story.arms[1:]
    ]
    return Section("Summary", (Facts(tuple(facts)), _verdict(story)))


def _verdict(story: Story) -> str:
    if story.plan.scale == "smoke":
        return SMOKE_WORDS
    text = " ".join(_effect(story, arm) for arm in story.arms[1:])
    if story.plan.seeds == 1:
        text += (
            " Each arm was trained once, so how much another training would differ is not in "
            "these intervals."
        )
    return text


def _effect(story: Story, arm: Arm) -> str:
    area = story.measured.difference(arm.name, AUC)
    matched = story.measured.difference(arm.name, matched_name(0.9))
    text = (
        f"**{arm.title}** changes the area under the ROC curve by "
        f"{show(area.estimate, signed=True)} and the sensitivity at a specificity of .90 by "
        f"{show(matched.estimate, signed=True)} (95 % intervals over patients, paired). "
    )
    if _excludes_zero(area.estimate):
        better = "helps" if area.estimate.value > 0 else "harms"
        return text + f"On these patients and with these trainings the crop {better}."
    return text + "The interval holds zero: these data do not show that the crop helps or harms."


def _excludes_zero(found: Estimate) -> bool:
    return bool(found.low < found.high and (found.low > 0 or found.high < 0))


def published_section(story: Story) -> Section:
    """Set Table I beside ours."""
    blocks: list[Block] = [_beside(story, own=True), _bars(story)]
    if story.chosen.own_threshold:
        blocks.append(
            "The published table was taken at a threshold of .5, which nobody chose. At that "
            "threshold our models give:"
        )
        blocks.append(_beside(story, own=False))
    if story.plan.seeds > 1:
        blocks.append(_spread(story))
    blocks.append(Note(_comparability(story), "How far these numbers can be compared", "warning"))
    return Section("Beside the published numbers", tuple(blocks))


def printable(story: Story) -> dict[str, dict[str, object]]:
    """Return the two tables that matter most as plain texts, for a terminal or a file."""
    tables = {
        "beside_published": _beside(story, own=True),
        "matched_specificity": sections.matched_table(story),
    }
    return {
        name: {
            "caption": table.caption,
            "columns": list(table.columns),
            "rows": [list(row) for row in table.rows],
        }
        for name, table in tables.items()
    }


def _beside(story: Story, *, own: bool) -> Table:
    rows = []
    for name in (*_ROWS, *(_MORE if own else ())):
        key = name if own or name == AUC else published_point_name(name)
        cells = []
        for arm in story.arms:
            if arm.name in COLUMN_OF:
                cells.append(_printed(name, COLUMN_OF[arm.name]))
            cells.append(show(story.measured.values[arm.name][key]))
        changes = [story.measured.difference(arm.name, key).estimate for arm in story.arms[1:]]
        rows.append((name, *cells, *(show(change, signed=True) for change in changes)))
    columns = ["Metric"]
    for arm in story.arms:
        published = [f"{arm.title}: published"] if arm.name in COLUMN_OF else []
        columns += [*published, f"{arm.title}: ours"]
    point = "our operating points" if own and story.chosen.own_threshold else "threshold .5"
    caption = f"Table I beside ours, at {point}; 95 % intervals over patients."
    columns += [f"{arm.title} − full, ours" for arm in story.arms[1:]]
    return Table(tuple(columns), tuple(rows), caption, stacked=True)


def _printed(name: str, column: str) -> str:
    if name in TABLE_1.rows:
        return f"{TABLE_1.number(name, column):.2f}"
    return "0.94" if name == AVERAGE_PRECISION and column == "after crop" else "–"


def _bars(story: Story) -> Block:
    groups = {
        arm.title: [
            Mark(
                name,
                item.value,
                item.low,
                item.high,
                published=_diamond(name, arm),
            )
            for name in _ROWS
            for item in [story.measured.values[arm.name][name]]
        ]
        for arm in story.arms
    }
    caption = "Bars: ours with 95 % intervals over patients. Diamonds: what was printed."
    return bars_figure(groups, caption=caption, title="Before and after cropping")


def _diamond(name: str, arm: Arm) -> float:
    return TABLE_1.number(name, COLUMN_OF[arm.name]) if arm.name in COLUMN_OF else float("nan")


def _spread(story: Story) -> Table:
    rows = tuple(
        (f"{arm.title}, {name}", *(f"{value:.3f}" for value in values), f"{np.std(values):.3f}")
        for arm in story.arms
        for name in (AUC, matched_name(0.9), BALANCED_ACCURACY)
        for values in [story.measured.by_seed[arm.name][name]]
    )
    seeds = tuple(f"seed {seed}" for seed in range(story.plan.seeds))
    return Table(("Quantity", *seeds, "SD"), rows, "How much one training differs from another")


def _comparability(story: Story) -> tuple[str, ...]:
    notes = []
    if not story.divided.official_test:
        notes.append(
            "Our test images are patients set aside from the publisher's training split, not "
            "the 624 images of the publication, which come with a shift."
        )
    if story.chosen.substitute:
        notes.append("Our networks start from random weights, the published one from ImageNet.")
    if story.chosen.size != 224:
        side = story.chosen.size
        notes.append(f"Our images are {side} x {side} pixels instead of 224 x 224.")
    notes.append(
        "The published numbers come from one training each and have no intervals; with 234 "
        "normals, a recall of .15 alone has a 95 % interval of [.11, .20]."
    )
    return tuple(notes)
