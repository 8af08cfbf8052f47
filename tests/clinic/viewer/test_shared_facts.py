"""What the viewer holds a copy of is what the library says."""

from __future__ import annotations

import base64
import json
import re

import numpy as np

from lucidray.findings import ABSENCES, FINDINGS
from lucidray.images.color_maps import color_table

from .conftest import ROOT, load

SOURCE = ROOT / "web" / "src"


def test_color_maps_are_the_librarys() -> None:
    told = json.loads((SOURCE / "view" / "colormaps.json").read_text())
    assert sorted(told) == ["cividis", "inferno", "viridis"]
    for name, text in told.items():
        table = np.frombuffer(base64.b64decode(text), np.uint8).reshape(256, 3)
        np.testing.assert_array_equal(table, color_table(name))


def test_kinds_and_absences_are_the_librarys() -> None:
    text = (SOURCE / "model" / "reading.ts").read_text()
    kinds = dict(re.findall(r'"([^"]+)": "([^"]+)"', re.search(r"KINDS.*?\};", text)[0]))  # type: ignore[index]
    assert kinds == {name: each.kind_of for name, each in FINDINGS.items() if each.kind_of}
    absences = re.findall(r'"([^"]+)"', re.search(r"ABSENCES = \[.*?\]", text)[0])  # type: ignore[index]
    assert set(absences) == set(ABSENCES)


def test_the_site_has_collected_all_words() -> None:
    words = load("web/scripts/words.py", "viewer_words_script")
    told = words.TARGET.read_text(encoding="utf-8")
    assert told == words.module(), "run web/scripts/words.py, then translate what is new"
