"""The page: verdicts first, chance beside every figure, complete without what was not measured."""

from __future__ import annotations

import re
from dataclasses import replace

from trust_stand_ins import FINDING

from lucidray.report import render_report
from lucidray.trust.page import trust_page, write_trust_page


def test_the_page_says_all_that_the_report_knows(report, tmp_path):
    path = write_trust_page(report, tmp_path / "trust.html", ("lucidray trust run",))
    text = path.read_text(encoding="utf-8")
    for found in report.findings[0].methods:
        assert found.verdict.text.replace("'", "&#39;") in text
        assert found.verdict.grade in text
    for words in (
        "Can the heat maps of known be trusted?",
        "on simulated films",
        *("Where the heat lies", "Does the answer hang on it?", "Do methods agree?"),
        *("Best and worst films", "IoU (Otsu)", "Outside the lungs", "lucidray trust run"),
        *("uniform", "center", "prior", "random", "others"),
    ):
        assert words in text, words
    assert "http" not in re.sub(r"http://www.w3.org/\S+", "", text.split("<body")[1])
    assert text.count("data:image/png;base64,") >= 8


def test_verdicts_stand_in_front(report):
    page = trust_page(report)
    assert page.sections[0].title == "Verdicts"
    rows = page.sections[0].blocks[0].rows
    assert [row[0] for row in rows] == ["oracle", "uniform", "inverted", "nothing"]


def test_several_findings_have_a_section_each(report):
    two = replace(report.findings[0], finding="Nodule")
    page = trust_page(replace(report, findings=(*report.findings, two)))
    titles = [section.title for section in page.sections]
    assert titles == ["Verdicts", FINDING, "Nodule", "How it was measured"]
    assert page.sections[0].blocks[0].columns[0] == "Finding"


def test_a_page_without_truth_lungs_and_pictures_is_whole(report):
    found = report.findings[0]
    bare = replace(found, truth="", lungs="", agreement={}, methods=tuple(
        replace(method, aspects={}, cases=(), subgroups=()) for method in found.methods
    ))  # fmt: skip
    remarks = ("Two films could not be read.",)
    left = {"guided_backprop": "it has no rectifiers."}
    page = trust_page(
        replace(report, findings=(bare,), pictures={}, remarks=remarks, left_out=left)
    )
    text = render_report(page)
    assert f"Nobody has marked where {FINDING} lies" in text
    assert "there are no lung outlines" in text
    assert "Two films could not be read." in text
    assert "it has no rectifiers." in text
