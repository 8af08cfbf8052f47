"""What a card says of its certainty, drawn and tabled."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest

from lucidray.bundle.card import Calibration, Card, Estimate, FindingCode, Reliability
from lucidray.bundle.uncertainty import Evidence, RiskCurve, UncertaintyRule
from lucidray.images.preprocessing import Preprocessing
from lucidray.report import Figure, Note, Report, Row, Table, render_report
from lucidray.report.uncertainty import (
    calibration_figures,
    referral_figure,
    uncertainty_section,
)

BEFORE = Reliability((0.05, 0.5, 0.95), (0.1, 0.75, 1.0), (0.0,) * 3, (1.0,) * 3, (40, 4, 22))
AFTER = replace(BEFORE, predicted=(0.1, 0.7, 0.96))
GRID = tuple(np.arange(1, 11) / 10)
FIT = Calibration(
    "platt",
    slopes=(1.0,),
    intercepts=(0.0,),
    images=64,
    measurements={
        "ece_before": Estimate(0.08),
        "ece_after": Estimate(0.01),
        "brier_before": Estimate(0.0512, 0.04, 0.06, 64),
    },
    reliability={"before": {"Mass": BEFORE}, "after": {"Mass": AFTER}},
)
EVIDENCE = Evidence(
    "films",
    64,
    60,
    5,
    {"Mass": {"coverage": Estimate(0.95, 0.9, 0.99, 64), "set_size": Estimate(1.25)}},
    "error",
    Estimate(0.1, 0.05, 0.2, 64),
    Estimate(0.08, 0.04, 0.12, 64),
    Estimate(0.04, 0.02, 0.06, 58),
    Estimate(0.5),
    RiskCurve(GRID, tuple(0.08 * g for g in GRID), (0.0,) * 10, (0.1,) * 9 + (None,), 0.02, 0.01),
)
RULE = UncertaintyRule(0.05, (0.2,), (0.9,), "entropy", 0.8, ("Mass",), "images that", EVIDENCE)
CARD = Card(
    name="x",
    summary="x",
    findings=(FindingCode("Mass"),),
    exclusive=False,
    preprocessing=Preprocessing(size=32),
    network="x",
    calibration=FIT,
    uncertainty=RULE,
)


def figures() -> list[Figure]:
    referral = referral_figure(EVIDENCE)
    assert referral is not None
    return [*calibration_figures(FIT), referral]


def texts(figure: Figure) -> list[str]:
    root = ElementTree.fromstring(figure.svg)
    return ["".join(element.itertext()) for element in root.iter("text")]


@pytest.mark.parametrize("index", [0, 1])
def test_a_drawing_is_self_contained_and_in_the_colors_of_the_page(index: int) -> None:
    figure = figures()[index]
    root = ElementTree.fromstring(figure.svg)
    assert root.attrib["aria-label"] == figure.alt
    assert "http" not in figure.svg and len(figure.svg) < 60_000
    assert re.findall(r"#[0-9a-fA-F]{6}\b", figure.svg) == []
    assert figure.svg == figures()[index].svg


def test_reliability_says_its_error_and_joins_thin_bins() -> None:
    figure = calibration_figures(FIT)[0]
    shown = texts(figure)
    before, after = (40 * 0.05 + 4 * 0.25 + 22 * 0.05) / 66, (4 * 0.05 + 22 * 0.04) / 66
    assert f"before, ECE {before:.3f}" in shown and f"calibrated, ECE {after:.3f}" in shown
    assert "66 validation images" in figure.caption and "without its patient" in figure.caption
    alone = replace(FIT, reliability={"before": {"Mass": BEFORE}})
    assert "patient" not in calibration_figures(alone)[0].caption
    assert calibration_figures(Calibration()) == ()
    many = dict.fromkeys("ABCDEFGH", BEFORE)
    assert len(calibration_figures(replace(FIT, reliability={"before": many}))) == 6


def test_referral_marks_what_the_rule_did() -> None:
    figure = referral_figure(EVIDENCE)
    assert figure is not None
    assert "rule on unseen patients: 10.0% referred, 4.0% wrong" in texts(figure)
    assert "8.0% of calls on all images are wrong" in figure.alt
    unmeasured = referral_figure(replace(EVIDENCE, referred=None))
    assert unmeasured is not None and "unseen" not in "".join(texts(unmeasured))
    assert referral_figure(replace(EVIDENCE, curve=None)) is None


def test_the_section_says_all() -> None:
    section = uncertainty_section(CARD)
    assert section is not None
    row, calibration, note, referral, sets = section.blocks
    assert isinstance(row, Row) and len(row.figures) == 2
    assert isinstance(calibration, Table) and calibration.columns[1:] == ("before", "Platt")
    assert calibration.rows[0][1:] == ("0.080", "0.010")
    assert calibration.rows[2][1:] == ("0.051 [0.040, 0.060]", "–")
    assert isinstance(note, Note) and "images that" in note.text
    assert isinstance(referral, Table)
    assert referral.rows[1] == ("not referred", "90.0% [80.0%, 95.0%]", "4.0% [2.0%, 6.0%]")
    assert referral.rows[2][2] == "50.0%"
    assert isinstance(sets, Table)
    assert sets.rows == (("Mass", "95.0% [90.0%, 99.0%]", "1.25"),)
    page = render_report(Report("Card", [section]))
    assert "Conformal sets that miss at most 5% of each label" in page


def test_a_card_without_either_has_no_section() -> None:
    assert uncertainty_section(replace(CARD, calibration=Calibration(), uncertainty=None)) is None
