"""The page of a reading: complete, self-contained, safe, and of any length."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

from lucidray.report.reading import FilmRow, ReadingPage, Said, Shot, render_reading, write_reading

SHOT = Shot("Film", b"\xff\xd8pixels")


def page(count: int = 2, **changes: object) -> ReadingPage:
    values = {
        "title": "2 films read by <b>",
        "lede": "A tiny network.",
        "facts": (("Bundle", "b (abc)"),),
        "limits": ("Research only.",),
        "counts": {"positive": 1, "refused": count - 1},
        "findings": ("Pneumonia",),
    }
    return ReadingPage(**{**values, **changes})  # type: ignore[arg-type]


def row(name: str = "x.png", **changes: object) -> FilmRow:
    values = {
        "name": name,
        "folder": "films",
        "kind": "positive",
        "words": "Pneumonia present",
        "urgency": 0.9,
        "findings": (Said("Pneumonia", 0.87, 0.4, True, "may be either"),),
        "shots": (SHOT,),
    }
    return FilmRow(**{**values, **changes})  # type: ignore[arg-type]


def text(*rows: FilmRow, **changes: object) -> str:
    return "".join(render_reading(page(**changes), rows))  # type: ignore[arg-type]


def test_every_film_says_what_came_of_it() -> None:
    refused = row("y.png", kind="refused", words="No reliable result", findings=(), detail="Blank.")
    told = text(row(), refused)
    for words in ("Pneumonia present", "0.87", "may be either", "No reliable result", "Blank."):
        assert words in told
    assert told.index("x.png") < told.index("y.png")
    assert "With findings <small>1</small>" in told
    assert "2 films read by &lt;b&gt;" in told


def test_only_its_own_script_may_run() -> None:
    told = text(row())
    scripts = re.findall(r"<script>(.*?)</script>", told, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    policy = re.findall(r'Content-Security-Policy" content="([^"]+)"', told)[0]
    assert policy.replace("&#39;", "'") == (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"script-src 'sha256-{digest}'"
    )


def test_names_cannot_break_out() -> None:
    told = text(row('"><script>alert(1)</script>.png', folder="<i>"))
    assert "<script>alert" not in told
    assert "<i>" not in told.split("<main")[1].replace("<i style", "")


def test_pictures_beside_the_page_are_named_as_addresses() -> None:
    shot = Shot("Film", place="thumbnails/a b#1.jpg", large="pictures/a b#1.jpg")
    told = text(row(shots=(shot,)), beside=True)
    assert 'src="thumbnails/a%20b%231.jpg"' in told
    assert 'data-large="pictures/a%20b%231.jpg"' in told
    assert "img-src data: file: &#39;self&#39;" in told


def test_many_findings_are_folded_with_the_foremost_shown() -> None:
    said = tuple(Said(f"F{n}", n / 20, 0.5 if n % 2 else 0.01, n > 9) for n in range(18))
    found = row(findings=said)
    assert [each.name for each in found.foremost(3)] == ["F16", "F14", "F12"]
    told = text(found)
    assert "All 18 findings" in told
    assert len(row(findings=said[:6]).foremost()) == 6


def test_an_experimental_model_says_so_unfolded() -> None:
    told = text(row(), experimental=True, counts={"positive": 50})
    assert "Experimental: not to be relied on." in told
    assert '<details class="note bad" open>' in told


def test_the_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    assert write_reading(page(), [row()], path) == path

    def breaking() -> object:
        yield row()
        raise RuntimeError

    before = path.read_text(encoding="utf-8")
    with pytest.raises(RuntimeError):
        write_reading(page(), breaking(), path)  # type: ignore[arg-type]
    assert path.read_text(encoding="utf-8") == before
    assert list(tmp_path.iterdir()) == [path]


def test_films_are_drawn_one_by_one() -> None:
    drawn: list[int] = []

    def rows() -> object:
        for number in range(100_000):
            drawn.append(number)
            yield row()

    pieces = render_reading(page(counts={"positive": 100_000}), rows())  # type: ignore[arg-type]
    while not drawn:
        next(pieces)
    for _ in range(100):
        next(pieces)
    assert len(drawn) < 100
