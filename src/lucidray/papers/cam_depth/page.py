"""The page of the experiment on Grad-CAM and depth: what was found, beside what was printed."""

from __future__ import annotations

import numpy as np

from lucidray.metrics.resampling import Estimate
from lucidray.metrics.statistics_groups import GroupTest
from lucidray.papers.background import SMOKE_WORDS
from lucidray.papers.cam_depth import background, sections
from lucidray.papers.cam_depth.comparing import Pair, recheck
from lucidray.papers.cam_depth.locating import DIFFERENCE, EHR
from lucidray.papers.cam_depth.published import AUC, AUTHORS, QUESTION, TITLE, Network
from lucidray.papers.cam_depth.sections import p_value
from lucidray.papers.cam_depth.story import Story, deeper_minus_shallower
from lucidray.papers.summary import change_fact, order_head
from lucidray.papers.wording import show, show_p
from lucidray.report import Fact, Facts, Note, Report, Section, Table

_ENOUGH = 0.05


def build(story: Story) -> Report:
    """Assemble the page.

    Args:
        story: Everything that the experiment found.
    """
    phantoms = " on phantom pneumothoraces" if story.divided.phantoms else ""
    substitute = ", on a substitute schedule" if story.chosen.substitute else ""
    return Report(
        f"Grad-CAM and the depth of a network: a published experiment, run again{phantoms}"
        f"{substitute}",
        (
            summary_section(story),
            sections.diagnosis_section(story),
            sections.difference_section(story),
            sections.heat_ratio_section(story),
            sections.scale_free_section(story),
            tests_section(story),
            sections.panel_section(story),
            sections.training_section(story),
            background.data_section(story),
            background.protocol_section(story),
            background.faults_section(story),
            background.provenance_section(story),
        ),
        kicker="Published experiment cam_depth (source document S3)",
        lede=f"{QUESTION} Source: {AUTHORS}, “{TITLE}”.",
        facts=_head(story),
        notes=background.warnings(story),
    )


def _head(story: Story) -> tuple[tuple[str, str], ...]:
    films = "phantoms" if story.divided.phantoms else "SIIM-ACR films"
    found = story.diagnosed
    return order_head(
        story.plan,
        ("Trainings", f"{len(story.runs)} ({story.plan.seeds} a network)"),
        ("Test", f"{found.images:,} {films}, {found.positives:,} with pneumothorax"),
    )


def summary_section(story: Story) -> Section:
    """Say what came out, in a few numbers and sentences."""
    located = story.located
    best = max(story.networks, key=lambda n: _or_low(located.values[n.name, DIFFERENCE]))
    areas = [story.diagnosed.values[network.name][AUC].value for network in story.networks]
    chance = located.values["uniform", EHR].value
    found = [located.values[network.name, EHR].value / chance for network in story.networks]
    ratios = [ratio for ratio in found if np.isfinite(ratio)]
    facts = [
        Fact("AUC", f"{min(areas):.3f}–{max(areas):.3f}", "lowest and highest network"),
        Fact(
            f"Diff_GradCAM, {best.title}",
            f"{located.values[best.name, DIFFERENCE].value:.3f}",
            "the highest; chance 0",
        ),
        Fact(
            "EHR AUC over chance",
            f"{min(ratios):.2f}–{max(ratios):.2f}" if ratios else "undefined",
            "lowest and highest network; chance 1",
        ),
    ]
    for _, shallow, deep, pair in story.depth_pairs():
        facts.append(
            change_fact(f"{deep.title} − {shallow.title}", deeper_minus_shallower(pair, deep))
        )
    return Section("Summary", (Facts(tuple(facts)), *_verdict(story)))


def _or_low(found: Estimate) -> float:
    return found.value if np.isfinite(found.value) else -np.inf


def _verdict(story: Story) -> tuple[str, ...]:
    if story.plan.scale == "smoke":
        return (SMOKE_WORDS,)
    found = [_chance_sentence(story), *(_sentence(*each) for each in story.depth_pairs())]
    if story.plan.seeds == 1:
        found.append(
            "Each network was trained once, so how much another training would differ is not in "
            "these intervals: what is said of a network is said of one training of it."
        )
    return tuple(found)


def _chance_sentence(story: Story) -> str:
    values = story.located.values
    above = [n.title for n in story.networks if values[n.name, DIFFERENCE].low > 0]
    prior = values["prior", DIFFERENCE].value
    beating = [n.title for n in story.networks if values[n.name, DIFFERENCE].low > prior]
    return (
        f"**Against chance.** Diff_GradCAM is above zero for {_listed(above)}. A map that knows "
        f"nothing but where pneumothoraces usually lie scores {prior:.3f}; above that "
        f"{'lies' if len(beating) == 1 else 'lie'} {_listed(beating)}."
    )


def _listed(names: list[str]) -> str:
    if not names:
        return "none of the networks"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _sentence(family: str, shallow: Network, deep: Network, pair: Pair) -> str:
    found = deeper_minus_shallower(pair, deep)
    text = (
        f"**{family}.** {deep.title} differs from {shallow.title} by {show(found, signed=True)} in "
        f"Diff_GradCAM (Wilcoxon with Holm's correction: p {_told(pair.wilcoxon_p)})."
    )
    if not pair.wilcoxon_p < _ENOUGH:
        return f"{text} These images do not show that depth helps or harms."
    return (
        f"{text} In these trainings the deeper one is {'better' if found.value > 0 else 'worse'}."
    )


def _told(value: float) -> str:
    return show_p(value) if value < 0.001 else f"= {show_p(value)}"


def tests_section(story: Story) -> Section:
    """Show the published tests, those that the design calls for, and the printed sums redone."""
    text = (
        "All networks explain the same images. The published analysis of variance treats their "
        "values as if each network had seen images of its own; the tests beside it keep an image's "
        "values, and a patient's images, together. All are of Diff_GradCAM."
    )
    table = Table(
        ("Test", "Statistic", "Degrees", "p", "Effect", "Rests on"),
        tuple(
            _group_row(label, test)
            for label, test in (
                ("One-way ANOVA (published)", story.compared.anova),
                ("Friedman (repeated measures)", story.compared.friedman),
            )
        ),
        "Do the networks differ at all?",
    )
    return Section("Do the networks differ?", (text, table, pairs_table(story), _redone()))


def _group_row(label: str, test: GroupTest) -> tuple[str, ...]:
    degrees = ", ".join(f"{value:g}" for value in test.degrees)
    return (
        label,
        f"{test.statistic:.2f}",
        degrees,
        show_p(test.p_value),
        f"{test.effect_name} {test.effect:.3f}",
        f"{test.count:,}",
    )


def pairs_table(story: Story) -> Table:
    """Return every two networks' difference with three p-values."""
    published = recheck().pairs
    rows = []
    for pair in story.compared.pairs:
        names = story.title(pair.first), story.title(pair.second)
        told = published.get(names)
        rows.append(
            (
                " − ".join(names),
                show(pair.difference, signed=True),
                "–" if told is None else p_value(told),
                p_value(pair.tukey_p),
                p_value(pair.wilcoxon_p),
                p_value(pair.bootstrap_p),
            )
        )
    columns = ("Pair", "Difference", "Tukey, from Table 3.2", "Tukey", "Wilcoxon, Holm",
               "Bootstrap, Holm")  # fmt: skip
    caption = (
        "Every two networks. Difference: paired, 95 % interval over patients. Third column: the "
        "published test, done again from the printed means and deviations. * below .05."
    )
    return Table(columns, tuple(rows), caption, stacked=True)


def _redone() -> Note:
    found = recheck()
    pairs = found.pairs
    lines = (
        f"From Table 3.2, with 500 images a network, the analysis of variance gives F = "
        f"{found.statistic:.1f}, p {show_p(found.p_value)}: as told.",
        "VGG16 is told to be among the best with p < .05; against VGG19 p is "
        f"{pairs['VGG16', 'VGG19']:.2f}, against ResNet18 {pairs['VGG16', 'ResNet18']:.2f}.",
        "ResNet50 is told not to differ from VGG16; p is "
        f"{pairs['VGG16', 'ResNet50']:.3f} (means rounded to three places leave it at the edge).",
        "ResNet101 is told to differ from ResNet34; p is "
        f"{pairs['ResNet34', 'ResNet101']:.3f}: as told. Against ResNet50 it is "
        f"{pairs['ResNet50', 'ResNet101']:.3f}.",
    )
    return Note(lines, "The published tests, done again", "warning")


def printable(story: Story) -> dict[str, dict[str, object]]:
    """Return the tables that matter most as plain texts, for a terminal or a file."""
    tables = {
        "diagnosis": sections.diagnosis_table(story),
        "diff_gradcam": sections.difference_table(story),
        "ehr_auc": sections.heat_ratio_table(story),
        "pairs": pairs_table(story),
    }
    return {
        name: {
            "caption": table.caption,
            "columns": list(table.columns),
            "rows": [list(row) for row in table.rows],
        }
        for name, table in tables.items()
    }
