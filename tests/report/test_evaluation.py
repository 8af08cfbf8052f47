"""The page of an evaluation, for one finding, many, and those that exclude each other."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn import metrics as sk

from lucidray.errors import ShapeError
from lucidray.report import Note, render_report
from lucidray.report.evaluation import Account, Judged, evaluation_report


def judged(rng: np.random.Generator, count: int = 160, findings: int = 1) -> Judged:
    labels = (rng.random((count, findings)) < 0.4).astype(float)
    values = 1 / (1 + np.exp(-(rng.normal(labels * 2, 1) - 1)))
    names = tuple(f"Finding {letter}" for letter in "ABCDEFGHIJ"[:findings])
    patients = np.array([f"p{number}" for number in rng.integers(0, 80, count)])
    sex = rng.choice(["F", "M", ""], count).astype(object)
    return Judged(names, labels, values, patients, {names[0]: 0.5}, attributes={"sex": sex})


def titles(html: str) -> list[str]:
    return re.findall(r"<h2[^>]*>([^<]*)</h2>", html)


def test_one_finding_shows_the_numbers_of_scikit_learn(rng: np.random.Generator) -> None:
    given = judged(rng)
    account = Account(
        "Evaluation of a run",
        protocol=("One step.",),
        history={"loss": {"train": [0.5, 0.4], "validation": [0.5, 0.45]}},
        best_epoch=2,
        commands=("lucidray evaluate RUN",),
        notes=(Note("be careful"),),
    )
    html = render_report(evaluation_report(given, account, n_boot=100))
    area = sk.roc_auc_score(given.labels[:, 0], given.probabilities[:, 0])
    assert f"<dd>{area:.3f}" in html
    recall = sk.recall_score(given.labels[:, 0], given.probabilities[:, 0] >= 0.5)
    assert f"<dd>{recall:.3f}" in html
    assert "be careful" in html
    for title in ("Summary", "Findings", "Calibration", "Subgroups", "Training", "Protocol"):
        assert title in titles(html)


def test_many_findings_with_gaps_are_told_apart(rng: np.random.Generator) -> None:
    given = judged(rng, findings=8)
    labels = given.labels.copy()
    labels[:, 7] = 0
    labels[:40, 2] = np.nan
    labels[:, 6] = np.nan
    gaps = Judged(given.findings, labels, given.probabilities, given.groups, {"Finding A": 0.5})
    html = render_report(evaluation_report(gaps, Account("Many"), n_boot=50))
    assert "one kind is lacking for Finding G, Finding H" in html
    assert "macro" in html
    assert "Training" not in titles(html)


def test_exclusive_findings_get_one_matrix(rng: np.random.Generator) -> None:
    classes = rng.integers(0, 3, 150)
    labels = np.eye(3)[classes]
    scores = np.exp(rng.normal(labels * 2, 1))
    shares = scores / scores.sum(axis=1, keepdims=True)
    given = Judged(("Normal", "Pneumonia", "Tuberculosis"), labels, shares, exclusive=True)
    html = render_report(evaluation_report(given, Account("Three"), n_boot=50))
    cells = sk.confusion_matrix(classes, shares.argmax(axis=1))
    for row, column in np.ndindex(3, 3):
        words = f"{cells[row, column]} {given.findings[row]} called {given.findings[column]}"
        assert words in html


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match="for 2 findings"):
        Judged(("a", "b"), np.zeros((4, 2)), np.zeros((4, 3)))
