"""The table of OWASP ASVS is complete; every test and file that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "asvs.md"
ROW = re.compile(r"^\| (\d+\.\d+\.\d+) \| (.+?) \| (.+?) \| (.+?) \|$", re.M)

#: Requirements of levels 1 and 2 of ASVS 5.0.0, by section: those of level 3 are left out.
SECTIONS = {
    "1.1": "1-2",
    "1.2": "1-9",
    "1.3": "1-11",
    "1.4": "1-3",
    "1.5": "1-2",
    "2.1": "1-3",
    "2.2": "1-3",
    "2.3": "1-4",
    "2.4": "1-1",
    "3.2": "1-2",
    "3.3": "1-4",
    "3.4": "1-6",
    "3.5": "1-5",
    "3.7": "1-2",
    "4.1": "1-3",
    "4.2": "1-1",
    "4.3": "1-2",
    "4.4": "1-4",
    "5.1": "1-1",
    "5.2": "1-3",
    "5.3": "1-2",
    "5.4": "1-3",
    "6.1": "1-3",
    "6.2": "1-12",
    "6.3": "1-4",
    "6.4": "1-4",
    "6.5": "1-5",
    "6.6": "1-3",
    "6.8": "1-4",
    "7.1": "1-3",
    "7.2": "1-4",
    "7.3": "1-2",
    "7.4": "1-5",
    "7.5": "1-2",
    "7.6": "1-2",
    "8.1": "1-2",
    "8.2": "1-3",
    "8.3": "1-1",
    "8.4": "1-1",
    "9.1": "1-3",
    "9.2": "1-4",
    "10.1": "1-2",
    "10.2": "1-2",
    "10.3": "1-4",
    "10.4": "1-11",
    "10.5": "1-5",
    "10.6": "1-2",
    "10.7": "1-3",
    "11.1": "1-2",
    "11.2": "1-3",
    "11.3": "1-3",
    "11.4": "1-4",
    "11.5": "1-1",
    "11.6": "1-1",
    "12.1": "1-3",
    "12.2": "1-2",
    "12.3": "1-4",
    "13.1": "1-1",
    "13.2": "1-5",
    "13.3": "1-2",
    "13.4": "1-5",
    "14.1": "1-2",
    "14.2": "1-4",
    "14.3": "1-3",
    "15.1": "1-3",
    "15.2": "1-3",
    "15.3": "1-7",
    "16.1": "1-1",
    "16.2": "1-5",
    "16.3": "1-4",
    "16.4": "1-3",
    "16.5": "1-3",
    "17.1": "1-1",
    "17.2": "1-4",
    "17.3": "1-2",
}
ROWS = ROW.findall(PAGE.read_text(encoding="utf-8"))


def names(cell: str) -> list[str]:
    """What a cell names: tests, and files that are written with a slash or a leading dot."""
    quoted = re.findall(r"`([^`]+)`", cell)
    return [one for one in quoted if "::" in one or "/" in one or one.startswith(".")]


def test_every_requirement_of_both_levels_stands_in_it_once() -> None:
    expected = [
        f"{section}.{number}"
        for section, span in SECTIONS.items()
        for number in range(int(span.split("-")[0]), int(span.split("-")[1]) + 1)
    ]
    assert [number for number, *_ in ROWS] == expected
    assert len(expected) == 253  # 70 of level 1, 183 of level 2


@pytest.mark.parametrize(("number", "what", "state", "shown"), ROWS, ids=[row[0] for row in ROWS])
def test_what_it_names_is_there(number: str, what: str, state: str, shown: str) -> None:
    assert state in ("met", "not met", "n/a")
    if state == "met":
        assert names(shown), "what is met is shown by something"
    for name in names(shown):
        file, _, test = name.partition("::")
        path = ROOT / "tests" / "clinic" / file if test else ROOT / file
        assert path.is_file(), name
        if test:
            assert re.search(rf"^def {test}\(", path.read_text(encoding="utf-8"), re.M), name
