"""The page of the experiment on boxes: what was found, beside what was printed."""

from __future__ import annotations

from lucidray.papers.background import SMOKE_WORDS
from lucidray.papers.multitask_boxes import background, sections
from lucidray.papers.multitask_boxes.published import (
    AUC,
    AUTHORS,
    AVERAGE,
    BY_BOTH,
    BY_BOXES,
    MULTI,
    QUESTION,
    TITLE,
    TWIN,
)
from lucidray.papers.multitask_boxes.story import Story
from lucidray.papers.summary import change_fact, estimate_fact, order_head
from lucidray.papers.wording import show
from lucidray.report import Fact, Facts, Report, Section

#: What phantoms must reach.
AUC_WANTED, MAP_WANTED = 0.90, 0.50


def build(story: Story) -> Report:
    """Assemble the page.

    Args:
        story: Everything that the experiment found.
    """
    phantoms = " on phantoms" if story.divided.phantoms else ""
    substitute = ", on a substitute schedule" if story.chosen.substitute else ""
    return Report(
        f"Findings and where they are: a published experiment, run again{phantoms}{substitute}",
        (
            summary_section(story),
            sections.averages_section(story),
            sections.findings_section(story),
            sections.multi_section(story),
            *sections.leak_section(story),
            sections.thresholds_section(story),
            sections.location_section(story),
            sections.literature_section(story),
            sections.training_section(story),
            background.data_section(story),
            background.protocol_section(story),
            background.faults_section(story),
            background.provenance_section(story),
        ),
        kicker="Published experiment multitask_boxes (source document S2)",
        lede=f"{QUESTION} Source: {AUTHORS}, “{TITLE}”.",
        facts=_head(story),
        notes=background.warnings(story),
    )


def _head(story: Story) -> tuple[tuple[str, str], ...]:
    films = "phantoms" if story.divided.phantoms else "ChestX-ray14 films"
    return order_head(
        story.plan,
        ("Trainings", f"{len(story.runs)} ({story.plan.seeds} a network and fold)"),
        ("Test", f"{story.main.images:,} {films}, {story.main_cohort}"),
    )


def summary_section(story: Story) -> Section:
    """Say what came out, in a few numbers and sentences."""
    told = story.main
    gain = told.gain[AUC]
    boxes = story.detected["films with boxes"].get("macro", {}).get("detection_ap50")
    facts = [
        estimate_fact("Mean AUC, multi-task", told.values[MULTI, AVERAGE, AUC]),
        estimate_fact("Mean AUC, twin", told.values[TWIN, AVERAGE, AUC]),
        change_fact("Gain by boxes", gain),
        estimate_fact("Mean AUC, by its boxes", told.values[BY_BOXES, AVERAGE, AUC]),
    ]
    if boxes is not None:
        detail = f"[{boxes.low:.3f}, {boxes.high:.3f}]; chance {boxes.chance:.3f}"
        facts.append(Fact("mAP at IoU .5", f"{boxes.value:.3f}", detail))
    return Section("Summary", (Facts(tuple(facts)), *_verdict(story)))


def _verdict(story: Story) -> tuple[str, ...]:
    if story.plan.scale == "smoke":
        return (SMOKE_WORDS,)
    found = [_against_twin(story), _by_boxes(story)]
    if story.divided.phantoms:
        found.append(_against_wanted(story))
    if story.plan.seeds == 1:
        found.append(
            "Each network was trained once, so how much another training would differ is not in "
            "these intervals."
        )
    return tuple(found)


def _against_twin(story: Story) -> str:
    gain = story.main.gain[AUC]
    text = f"**Against its twin.** The multi-task network differs by {show(gain, signed=True)} AUC"
    if gain.low > 0:
        return f"{text}: learning boxes helped in these trainings."
    if gain.high < 0:
        return f"{text}: learning boxes harmed in these trainings. It does not beat its twin."
    return f"{text}: these images do not show that learning boxes helps. It does not beat its twin."


def _by_boxes(story: Story) -> str:
    values = story.main.values
    head, boxes, both = (values[arm, AVERAGE, AUC] for arm in (MULTI, BY_BOXES, BY_BOTH))
    return (
        "**Two heads.** The same network judges findings twice: its head of findings has a mean "
        f"AUC of {show(head)}, its surest boxes alone one of {show(boxes)}, the mean of what both "
        f"say one of {show(both)}."
    )


def _against_wanted(story: Story) -> str:
    head, both = (story.main.values[arm, AVERAGE, AUC].value for arm in (MULTI, BY_BOTH))
    boxes = story.detected["films with boxes"].get("macro", {}).get("detection_ap50")
    mean = float("nan") if boxes is None else boxes.value
    return (
        f"**On phantoms** a mean AUC of {AUC_WANTED:.2f} and an mAP of {MAP_WANTED:.2f} are asked "
        f"for: the AUC of both heads together {_reaches(both, AUC_WANTED)}, that of the head of "
        f"findings alone {_reaches(head, AUC_WANTED)}, the mAP {_reaches(mean, MAP_WANTED)}."
    )


def _reaches(found: float, wanted: float) -> str:
    return f"{'reaches' if found >= wanted else 'does not reach'} it ({found:.3f})"


def printable(story: Story) -> dict[str, dict[str, object]]:
    """Return the tables that matter most as plain texts, for a terminal or a file."""
    tables = {
        "averages": sections.averages_table(story),
        "gain": sections.gain_table(story),
        "multi_task": sections.multi_table(story),
        "detection": sections.detection_table(story),
        "localization": sections.location_table(story),
    }
    return {
        name: {
            "caption": table.caption,
            "columns": list(table.columns),
            "rows": [list(row) for row in table.rows],
        }
        for name, table in tables.items()
    }
