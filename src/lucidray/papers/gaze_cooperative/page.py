"""The page of the experiment on cooperative learning: what was found, beside what was printed."""

from __future__ import annotations

from lucidray.papers.background import SMOKE_WORDS
from lucidray.papers.gaze_cooperative import background, sections
from lucidray.papers.gaze_cooperative.measure import GAZE_CC, GAZE_KL, GAZE_SIM
from lucidray.papers.gaze_cooperative.published import (
    AUTHORS,
    DN,
    DN_CL,
    FULL,
    GRAD_CAM,
    MT_UNET,
    QUESTION,
    RES_SE,
    TITLE,
    TITLES,
    UNET,
)
from lucidray.papers.gaze_cooperative.sections import MEASURE_WORDS, told
from lucidray.papers.gaze_cooperative.story import Story
from lucidray.papers.summary import order_head
from lucidray.papers.wording import show_p
from lucidray.report import Fact, Facts, Report, Section
from lucidray.report.document import Tone

_ASKED = (GAZE_KL, GAZE_CC, GAZE_SIM)


def build(story: Story) -> Report:
    """Assemble the page.

    Args:
        story: Everything that the experiment found.
    """
    phantoms = " on phantoms with simulated gaze" if story.divided.phantoms else ""
    substitute = ", on a substitute schedule" if story.chosen.substitute else ""
    return Report(
        f"Diagnose, and look where radiologists look: a published experiment, run again{phantoms}"
        f"{substitute}",
        (
            summary_section(story),
            sections.diagnosis_section(story),
            sections.gaze_section(story),
            sections.panel_section(story),
            sections.training_section(story),
            background.data_section(story),
            background.protocol_section(story),
            background.faults_section(story),
            background.provenance_section(story),
        ),
        kicker="Published experiment gaze_cooperative (source document S3)",
        lede=f"{QUESTION} Source: {AUTHORS}, “{TITLE}”.",
        facts=_head(story),
        notes=background.warnings(story),
    )


def _head(story: Story) -> tuple[tuple[str, str], ...]:
    films = "phantoms" if story.divided.phantoms else "films"
    return order_head(
        story.plan,
        ("Trainings", f"{len(story.runs)} ({story.plan.seeds} a network)"),
        ("Test", f"{story.films:,} {films} of {story.patients:,} patients"),
    )


def summary_section(story: Story) -> Section:
    """Say what came out, in a few numbers and sentences."""
    measured = story.measured
    full, chance = measured.gaze[FULL], measured.gaze[FULL].chance
    diagnosis = measured.diagnosis[FULL]
    facts = [
        Fact("AUC, cooperative", _value(diagnosis["macro"]["auc"].value), "mean of three; .925"),
        Fact(
            "Accuracy, cooperative",
            _value(diagnosis["overall"]["accuracy"].value),
            "chance one third; .80",
        ),
    ]
    verdict = measured.verdict()
    for name in _ASKED:
        tone: Tone = "good" if verdict[name] else "bad"
        tone = "plain" if story.plan.scale == "smoke" else tone
        label = f"Gaze, {MEASURE_WORDS[name]}"
        rest = f"mean training gaze {_value(chance['prior', name].value)}"
        facts.append(Fact(label, _value(full.measurements[name].value), rest, tone))
    return Section("Summary", (Facts(tuple(facts)), *_sentences(story)))


def _value(number: float) -> str:
    return f"{number:.3f}".replace("-", "−") if number == number else "undefined"


def _sentences(story: Story) -> tuple[str, ...]:
    if story.plan.scale == "smoke":
        return (SMOKE_WORDS,)
    found = [
        _against_unet(story),
        _ablations(story),
        _against_habit(story),
        _against_grad_cam(story),
    ]
    if story.plan.seeds == 1:
        found.append(
            "Each network was trained once, so how much another training would differ is not in "
            "these intervals: what is said of a network is said of one training of it."
        )
    return tuple(found)


def _against_unet(story: Story) -> str:
    verdict = story.measured.verdict()
    tests = {
        test.measure: test
        for test in story.measured.gaze_tests
        if (test.first, test.second) == (FULL, UNET)
    }
    won = [MEASURE_WORDS[name] for name in _ASKED if verdict[name]]
    lost = [MEASURE_WORDS[name] for name in _ASKED if not verdict[name]]
    numbers = "; ".join(
        f"{MEASURE_WORDS[name]} {told(tests[name].difference)}, p {_p(tests[name].t_p)}"
        for name in _ASKED
    )
    if not lost:
        text = "The cooperative network's gaze is better than the plain U-Net's in all three"
    elif won:
        text = (
            f"The cooperative network's gaze is better than the plain U-Net's in {_listed(won)}, "
            f"but **not** in {_listed(lost)}"
        )
    elif all(tests[name].worse() for name in _ASKED):
        text = (
            "The cooperative network's gaze does **not** beat the plain U-Net's; it is worse in "
            "all three"
        )
    else:
        text = "The cooperative network's gaze does **not** beat the plain U-Net's in any of three"
    return f"**Against the plain U-Net.** {text} (paired differences, published t-test: {numbers})."


def _p(value: float) -> str:
    return show_p(value) if value < 0.001 else f"= {show_p(value)}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _ablations(story: Story) -> str:
    gaze = {(t.first, t.second, t.measure): t for t in story.measured.gaze_tests}
    findings = {(t.first, t.second): t for t in story.measured.finding_tests}
    blocks, encoder = gaze[RES_SE, UNET, GAZE_KL], gaze[FULL, RES_SE, GAZE_KL]
    fusion, triplets = findings[FULL, DN_CL], findings[DN_CL, DN]
    return (
        "**The four ablations.** (1) Residual squeeze-excitation blocks change KL by "
        f"{told(blocks.difference)} (p {_p(blocks.t_p)}); (2) the first encoder by "
        f"{told(encoder.difference)} (p {_p(encoder.t_p)}); (3) fusion changes the accuracy of "
        f"{TITLES[DN_CL]} by {told(fusion.difference)} (p {_p(fusion.t_p)}); (4) triplets that of "
        f"{TITLES[DN]} by {told(triplets.difference)} (p {_p(triplets.t_p)})."
    )


def _against_habit(story: Story) -> str:
    table = story.measured.gaze[FULL]
    gain = table.gain["prior", GAZE_CC]
    return (
        "**Against habit.** One map for every film, the mean gaze on training films, "
        f"correlates with the reader's by {_value(table.chance['prior', GAZE_CC].value)}; the "
        f"cooperative network gains {told(gain)} over it, {TITLES[MT_UNET]} "
        f"{told(story.measured.gaze[MT_UNET].gain['prior', GAZE_CC])}."
    )


def _against_grad_cam(story: Story) -> str:
    gaze = story.measured.gaze
    found, full = (gaze[arm].measurements[GAZE_CC] for arm in (GRAD_CAM, FULL))
    text = f"The classifier's own heat map correlates with the reader's gaze by {told(found)}"
    if found.high < full.low:
        text += ": as in the publication, what moves a classifier is not where a reader looks"
    return f"**Against Grad-CAM.** {text}."


def printable(story: Story) -> dict[str, dict[str, object]]:
    """Return the tables that matter most as plain texts, for a terminal or a file."""
    tables = {
        "diagnosis": sections.diagnosis_table(story),
        "gaze": sections.gaze_table(story),
        "gaze_tests": sections.gaze_tests_table(story),
        "finding_tests": sections.finding_tests_table(story),
    }
    return {
        name: {
            "caption": table.caption,
            "columns": list(table.columns),
            "rows": [list(row) for row in table.rows],
        }
        for name, table in tables.items()
    }
