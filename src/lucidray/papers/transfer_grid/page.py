"""The page of the experiment on transfer learning: what was found, beside what was printed."""

from __future__ import annotations

import numpy as np

from lucidray.papers.background import SMOKE_WORDS
from lucidray.papers.diagnosing import ACCURACY, AUC, Difference
from lucidray.papers.summary import change_fact, estimate_fact, order_head
from lucidray.papers.transfer_grid import (
    background,
    grid_page,
    looking,
    sections,
    small_network,
)
from lucidray.papers.transfer_grid.measure import VIEW
from lucidray.papers.transfer_grid.published import (
    AUTHORS,
    B0_GRID,
    CNN,
    CNN_SEARCHED,
    DENSENET121,
    QUESTION,
    TITLE,
)
from lucidray.papers.transfer_grid.story import Story, title_of
from lucidray.papers.wording import show, show_p
from lucidray.report import Facts, Report, Section


def build(story: Story) -> Report:
    """Assemble the page.

    Args:
        story: Everything that the experiment found.
    """
    phantoms = " on phantoms" if story.divided.phantoms else ""
    substitute = ", pretrained on phantoms" if story.chosen.source is not None else ""
    return Report(
        "Normal or abnormal by transfer learning: a published experiment, run again"
        f"{phantoms}{substitute}",
        (
            summary_section(story),
            sections.published_section(story),
            sections.curves_section(story),
            sections.comparison_section(story),
            grid_page.grid_section(story),
            *small_network.stuck_section(story),
            sections.confusion_section(story),
            looking.view_section(story),
            looking.explanation_section(story),
            sections.training_section(story),
            background.data_section(story),
            background.protocol_section(story),
            background.faults_section(story),
            background.provenance_section(story),
        ),
        kicker="Published experiment transfer_grid (source document S1)",
        lede=f"{QUESTION} Source: “{TITLE}”, {AUTHORS}.",
        facts=_head(story),
        notes=background.warnings(story),
    )


def _head(story: Story) -> tuple[tuple[str, str], ...]:
    films = "phantoms" if story.divided.phantoms else "films"
    found = story.measured.diagnosed
    return order_head(
        story.plan,
        ("Repetitions", f"{story.plan.seeds} of each training"),
        ("Test", f"{found.images:,} {films} of {found.patients:,} patients, "
                 f"{found.positives:,} abnormal"),
    )  # fmt: skip


def printable(story: Story) -> dict[str, dict[str, object]]:
    """Return the tables that matter most as plain texts, for a terminal or a file."""
    tables = {
        "accuracies": sections.accuracies_table(story),
        "test": sections.rates_table(story),
        "top_5": grid_page.top_table(story),
    }
    if story.tried:
        tables["small_network"] = small_network.tried_table(story)
    return {
        name: {
            "caption": table.caption,
            "columns": list(table.columns),
            "rows": [list(row) for row in table.rows],
        }
        for name, table in tables.items()
    }


def summary_section(story: Story) -> Section:
    """Say what came out, in a few numbers and sentences."""
    values = story.measured.diagnosed.values
    small = CNN_SEARCHED if CNN_SEARCHED.name in values else CNN
    facts = [
        estimate_fact(f"AUC, {arm.title}", values[arm.name][AUC])
        for arm in (B0_GRID, DENSENET121, small, VIEW)
    ]
    facts.append(
        change_fact("AUC, grid − DenseNet121", _difference(story, DENSENET121.name).estimate)
    )
    return Section("Summary", (Facts(tuple(facts)), *_verdict(story)))


def _difference(story: Story, other: str) -> Difference:
    return next(each for each in story.measured.diagnosed.differences if each.second == other)


def _verdict(story: Story) -> tuple[str, ...]:
    if story.plan.scale == "smoke":
        return (SMOKE_WORDS,)
    lines = [_networks(story), _grid(story), *small_network.verdict(story), _view(story)]
    if story.plan.seeds == 1:
        lines.append(
            "Each network was trained once, so how much another training would differ is not in "
            "these intervals."
        )
    return tuple(lines)


def _networks(story: Story) -> str:
    pairs = zip(story.measured.diagnosed.differences, story.measured.corrected, strict=True)
    told = [
        f"{title_of(each.second)} by {show(each.estimate, signed=True)}"
        for each, corrected in pairs
        if corrected < 0.05
    ]
    if not told:
        return (
            "**Which network?** After correction for their number, no difference between the "
            "grid's winner and another network (or the view position) can be told from chance."
        )
    return f"**Which network?** The grid's winner differs in its AUC from {'; '.join(told)}."


def _grid(story: Story) -> str:
    ranked = story.trained.grid.ranked
    test = np.mean(story.measured.diagnosed.by_seed[B0_GRID.name][ACCURACY])
    return (
        f"**The grid.** Its winner has a validation accuracy of {ranked[0].value:.3f}, the "
        f"{len(ranked)} settings lie between {ranked[-1].value:.3f} and that; had other patients "
        f"been drawn for validation, it would have won in {story.wins[0]:.0%} of the draws (by "
        f"luck alone: {1 / len(ranked):.0%}). On the test images its accuracy is {test:.3f}."
    )


def _view(story: Story) -> str:
    view = story.measured.diagnosed.values[VIEW.name][AUC]
    found = _difference(story, VIEW.name)
    return (
        f"**The view position.** Whether a film is AP or PA alone reaches an AUC of {show(view)}; "
        f"the grid's winner is {show(found.estimate, signed=True)} from that (p "
        f"{_p(found.p_value)})."
    )


def _p(value: float) -> str:
    return show_p(value) if value < 0.001 else f"= {show_p(value)}"
