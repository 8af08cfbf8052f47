"""All experiments in one go: told apart, resumed, one page that leads to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lucidray.errors import ConfigError, DataError
from lucidray.papers import LUNG_CROP, Outcome, Plan, papers
from lucidray.papers.everything import find_data, run_all
from lucidray.registry import Registry
from lucidray.report import Link


def outcome(plan: Plan, ours: str) -> Outcome:
    plan.out.mkdir(parents=True, exist_ok=True)
    numbers = {
        "tables": {
            "t": {"caption": "Beside", "columns": ["metric", "ours"], "rows": [["AUC", ours]]}
        }
    }
    (plan.out / "report.html").write_text("page")
    (plan.out / "results.json").write_text(json.dumps(numbers))
    return Outcome(plan.out / "report.html", plan.out / "results.json", numbers)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, Path]]]:
    """Two experiments in the place of the real ones: one works, one fails at first."""
    calls: list[tuple[str, Path]] = []

    def works(plan: Plan, progress: object) -> Outcome:
        calls.append(("a_works", plan.data))
        return outcome(plan, f"0.9 with {plan.seeds} seeds")

    def fails(plan: Plan, progress: object) -> Outcome:
        calls.append(("later_fails", plan.data))
        if sum(name == "later_fails" for name, _ in calls) == 1:
            raise DataError("no films & no labels here.")
        return outcome(plan, "0.8")

    made: Registry[object] = Registry("paper")
    for name, experiment in (("a_works", works), ("later_fails", fails)):
        paper = replace(LUNG_CROP, name=name, experiment=experiment)
        made.register(name, source="made up", document="S4")(paper)
    monkeypatch.setattr("lucidray.papers.everything.papers", made)
    yield calls
    assert len(papers) > 2


def test_a_failure_is_told_and_what_is_finished_is_kept(
    ran: list[tuple[str, Path]], tmp_path: Path
) -> None:
    out, told = tmp_path / "out", []
    page, chapters = run_all(tmp_path, out, scale="smoke", progress=lambda *at: told.append(at))
    assert [(each.paper.name, each.mistake) for each in chapters] == [
        ("a_works", ""),
        ("later_fails", "no films & no labels here."),
    ]
    html = page.read_text()
    assert "0.9 with 1 seeds" in html
    assert 'href="a_works/report.html"' in html
    assert 'href="later_fails/report.html"' not in html
    assert "no films &amp; no labels here." in html
    page, chapters = run_all(tmp_path, out, scale="smoke", progress=lambda *at: told.append(at))
    assert [name for name, _ in ran] == ["a_works", "later_fails", "later_fails"], (
        "the finished one is kept"
    )
    assert all(each.report is not None for each in chapters)
    assert 'href="later_fails/report.html"' in page.read_text()
    assert told[-1][1] == 2000
    run_all(tmp_path, out, scale="smoke", seeds=2)
    assert [name for name, _ in ran][3:] == ["a_works", "later_fails"], (
        "other seeds are another order"
    )


class Time:
    """A clock that goes on when it is told to."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_the_page_tells_the_time_of_all_calls_the_killed_one_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    time, kills = Time(), [True]

    def slow(plan: Plan, progress: Callable[[int, int, str], None]) -> Outcome:
        time.now += 60
        progress(1, 2, "half")
        time.now += 3  # too little to be written down, so a kill loses it
        progress(1, 2, "half")
        if kills and kills.pop():
            raise Killed
        time.now += 120
        return outcome(plan, "0.9")

    made: Registry[object] = Registry("paper")
    paper = replace(LUNG_CROP, name="slow", experiment=slow)
    made.register("slow", source="made up", document="S4")(paper)
    monkeypatch.setattr("lucidray.papers.everything.papers", made)
    monkeypatch.setattr("lucidray.papers.clock.time", time)
    with pytest.raises(Killed):
        run_all(tmp_path, tmp_path / "out", scale="smoke")
    time.now += 10_000  # nobody works in between
    for _ in range(2):  # the second finds it finished
        page, (chapter,) = run_all(tmp_path, tmp_path / "out", scale="smoke")
        assert (chapter.seconds, chapter.calls) == (60 + 183, 2)
        assert "4.0 minutes in 2 calls" in page.read_text(encoding="utf-8")
    _, (other,) = run_all(tmp_path, tmp_path / "out", scale="smoke", seeds=2)
    assert (other.seconds, other.calls) == (183, 1), "what was spent on something else counts not"


def test_each_experiment_finds_its_data_set(tmp_path: Path) -> None:
    for folder in ("a/train/NORMAL", "a/train/PNEUMONIA", "b/Training/glioma"):
        (tmp_path / folder).mkdir(parents=True)
    grey = Image.fromarray(np.zeros((8, 8), np.uint8))
    grey.save(tmp_path / "a/train/NORMAL/IM-0001-0001.jpeg")
    grey.save(tmp_path / "a/train/PNEUMONIA/person1_virus_1.jpeg")
    assert find_data(LUNG_CROP, tmp_path) == tmp_path / "a"
    assert find_data(LUNG_CROP, tmp_path / "a") == tmp_path / "a"
    assert find_data(replace(LUNG_CROP, dataset="siim_acr"), tmp_path) == tmp_path


def test_a_link_stays_within_the_folder() -> None:
    assert Link("Open", "a_works/report.html").target == "a_works/report.html"
    for target in ("https://example.org", "/etc/passwd", "file:x"):
        with pytest.raises(ConfigError, match="relative to the page"):
            Link("Open", target)
