"""What a reading came to, in plain values and in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lucidray.cli.lines import (
    COLUMNS,
    Film,
    kind_of,
    line_of,
    table_rows,
    urgency,
    wanted_maps,
    words_of,
)
from lucidray.cli.results import Stamp
from lucidray.records import Diagnosis, Prediction, Refusal, Uncertainty

FILM = Film(Path("a/x.png"), "x", Stamp("/a/x.png", 10, 20))
ORIGIN = {"bundle": "b", "bundle_sha256": "abc", "engine": "none"}
POINTS = {"Pneumonia": 0.4, "Mass": 0.02}


def line(
    *probabilities: float,
    names: tuple[str, ...] = ("Pneumonia", "Mass"),
    points: dict[str, float] = POINTS,
    refer: bool | None = None,
    refusal: Refusal | None = None,
) -> dict[str, Any]:
    values = np.array(probabilities, np.float32)
    unsure = None
    if refer is not None:
        unsure = Uncertainty(values, values > 0.1, values < 0.3, refer)
    told = Prediction(names, values, values, True, points, unsure, refusal)
    return line_of(FILM, Diagnosis("sha", told, provenance=ORIGIN), {})


def test_the_farthest_above_its_own_operating_point_comes_first() -> None:
    found = line(0.5, 0.03)
    assert kind_of(found) == "positive"
    assert words_of(found) == "Pneumonia, Mass present"
    assert words_of(line(0.45, 0.9)) == "Mass, Pneumonia present"
    assert urgency(line(0.5, 0.01)) == pytest.approx(0.5 + 0.5 * 0.1 / 0.6)
    assert urgency(line(0.2, 0.0)) == pytest.approx(0.25)
    assert urgency(line(0.4, 0.0)) == pytest.approx(0.5)


def test_urgency_rises_with_every_probability() -> None:
    heights = [urgency(line(value, 0.0)) for value in np.linspace(0, 1, 21)]
    assert heights == sorted(heights)
    assert (heights[0], heights[-1]) == (0, 1)


def test_a_refusal_shows_no_finding_and_waits_for_a_person() -> None:
    refusal = Refusal("polarity", "No reliable result: inverted.", -1.0, low=0.0)
    found = line(0.9, 0.9, refer=True, refusal=refusal)
    assert (found["refused"], found["findings"], found["uncertain"]) == ("polarity", [], False)
    assert (kind_of(found), urgency(found)) == ("refused", 0.5)
    assert words_of(found) == "No reliable result: inverted."
    rows = list(table_rows(found))
    assert [(row["refused"], row["finding"]) for row in rows] == [("polarity", None)]


def test_an_unsure_answer_is_never_behind_a_cleared_one() -> None:
    found = line(0.2, 0.0, refer=True)
    assert (kind_of(found), urgency(found)) == ("uncertain", 0.5)
    assert "unsure, a person should read it" in words_of(found)
    assert [each["may_be"] for each in found["findings"]] == [["present", "absent"], ["absent"]]
    assert kind_of(line(0.9, 0.0, refer=True)) == "positive"
    assert kind_of(line(0.2, 0.0, refer=False)) == "negative"


def test_what_is_called_normal_is_neither_urgent_nor_boxed() -> None:
    names, points = ("Normal", "Pneumonia"), {"Normal": 0.5, "Pneumonia": 0.5}
    found = line(0.99, 0.01, names=names, points=points)
    assert (kind_of(found), words_of(found)) == ("negative", "Normal")
    assert urgency(found) == pytest.approx(0.01)


def test_without_operating_points_nothing_is_called() -> None:
    found = line(0.99, 0.2, points={})
    assert kind_of(found) == "uncalled"
    assert [each["positive"] for each in found["findings"]] == [None, None]
    assert urgency(found) == pytest.approx(0.99)


def test_one_finding_that_is_absent_is_named() -> None:
    found = line(0.1, names=("Pneumonia",), points={"Pneumonia": 0.4})
    assert words_of(found) == "Pneumonia not found"
    assert words_of(line(0.1, 0.0)) == "None of 2 findings reaches its operating point"


def test_rows_have_all_columns_and_one_a_finding() -> None:
    rows = list(table_rows(line(0.5, 0.01)))
    assert [tuple(row) for row in rows] == [COLUMNS, COLUMNS]
    assert [(row["finding"], row["positive"]) for row in rows] == [
        ("Pneumonia", True),
        ("Mass", False),
    ]


def test_maps_are_drawn_of_what_is_called_or_asked_for() -> None:
    def wanted(*probabilities: float, **changes: Any) -> tuple[str, ...]:
        values = np.array(probabilities, np.float32)
        points = changes.pop("points", POINTS)
        told = Prediction(("Pneumonia", "Mass"), values, values, True, points, **changes)
        return wanted_maps(told, changes.get("named", ()))

    assert wanted(0.5, 0.01) == ("Pneumonia",)
    assert wanted(0.1, 0.01) == ()
    assert wanted(0.1, 0.2, points={}) == ("Mass",)
    assert wanted(0.5, 0.9, refusal=Refusal("blank", "Blank.")) == ()
    values = np.zeros(2, np.float32)
    told = Prediction(("Pneumonia", "Mass"), values, values, True, POINTS)
    assert wanted_maps(told, ("Mass",)) == ("Mass",)
