"""What the pages of all experiments share: protocol, faults, commands, colored changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lucidray.metrics.resampling import Estimate
from lucidray.papers import background, summary
from lucidray.papers.catalog import Fault, Plan
from lucidray.report import Note, Table

PLAN = Plan(Path("data"), Path("out"), mode="careful", scale="small")


@dataclass(frozen=True)
class Inner:
    epochs: int
    frozen: bool


@dataclass(frozen=True)
class Settings:
    size: int = 8
    flips: bool = True
    layers: int | None = None
    phases: tuple[Inner, ...] = (Inner(2, True), Inner(3, False))


def table_of(section: object) -> Table:
    return next(block for block in section.blocks if isinstance(block, Table))


def test_every_number_of_the_protocol_is_listed_and_remarks_stand_before_it() -> None:
    remark = Note("why", "A substitute", "warning")
    section = background.protocol_section(["One.", "Two."], PLAN, Settings(), remark, none="every")
    assert section.blocks[0] == Note(("One.", "Two."), "Mode careful, scale small")
    assert section.blocks[1] is remark
    assert table_of(section).rows == (
        ("size", "8"),
        ("flips", "yes"),
        ("layers", "every"),
        ("phases", "epochs 2, frozen yes, epochs 3, frozen no"),
    )


@pytest.mark.parametrize("mode", ["faithful", "careful"])
def test_a_fault_is_shown_with_what_this_mode_does_about_it(mode: str) -> None:
    fault = Fault("leak", "counts", "kept", "mended")
    found = table_of(background.faults_section([fault], mode)).rows
    assert found == (("leak", "counts", "kept" if mode == "faithful" else "mended"),)


def test_what_a_scale_leaves_out_is_said_only_where_something_is() -> None:
    (note,) = background.cut_notes({"smoke": "", "small": "Half.", "full": ""}, PLAN)
    assert (note.text, note.tone) == ("Half.", "warning")
    assert background.cut_notes({"smoke": "", "small": "", "full": ""}, PLAN) == ()


def test_a_change_is_colored_only_where_its_interval_leaves_zero() -> None:
    def tone(low: float, high: float) -> str:
        value = (low + high) / 2
        return summary.change_fact("x", Estimate(value, low, high, np.empty(0))).tone

    assert (tone(0.1, 0.2), tone(-0.2, -0.1), tone(-0.1, 0.2)) == ("good", "bad", "plain")
    assert (tone(0.1, 0.1), tone(np.nan, np.nan)) == ("plain", "plain")


def test_the_head_names_the_order() -> None:
    head = dict(summary.order_head(PLAN, ("Test", "9 films")))
    assert head["Scale"] == "small" and head["Mode"].startswith("careful: ")
    assert head["Test"] == "9 films"
