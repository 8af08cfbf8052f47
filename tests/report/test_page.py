"""The page: complete, self-contained, written whole or not at all."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from lucidray.errors import ShapeError
from lucidray.report import (
    NOTICE,
    Fact,
    Facts,
    Figure,
    Legend,
    Listing,
    Note,
    Panel,
    Panels,
    Report,
    Row,
    Section,
    Table,
    page,
    render_report,
    write_report,
)

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Outline(HTMLParser):
    """Collect tags and attributes, and notice tags that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[tuple[str, str]] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in {"href", "src", "srcset", "data", "action", "poster"}:
                self.links.append((tag, value or ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(html: str) -> Outline:
    found = Outline()
    found.feed(html)
    assert found.open == []
    return found


def small_picture() -> np.ndarray:
    return np.arange(64, dtype=np.uint8).reshape(8, 8)


def every_block() -> Report:
    svg = '<svg><defs><clipPath id="p1"/></defs><g clip-path="url(#p1)"/><use href="#p1"/></svg>'
    drawing = Figure(svg, "caption of the drawing", "words for the drawing")
    panel = Panel((("image", small_picture()),), "true normal", (("probability", "0.2"),), "bad")
    legend = Legend(np.zeros((4, 3), np.uint8), "none", "much")
    blocks = (
        "A paragraph with `code`, **stress** and <b>no markup</b>.",
        Note("one line", "Heads up", "warning"),
        Note(("first", "second")),
        Table(("Metric", "Value"), (("AUC", "0.96"),), "caption of the table", emphasis=(0,)),
        drawing,
        Row((drawing, drawing)),
        Facts((Fact("AUC", "0.96", "[0.95, 0.97]"),)),
        Panels((panel,), "caption of the panels", legend),
        Listing("lucidray --version", "Command"),
    )
    sections = (Section("First things", blocks), Section("Second"))
    return Report("A title", sections, lede="lede", facts=(("Data", "phantoms"),))


def test_a_page_shows_every_kind_of_block() -> None:
    html = render_report(every_block())
    for text in (
        "A title",
        "lede",
        "phantoms",
        "<code>code</code>",
        "<strong>stress</strong>",
        "&lt;b&gt;no markup&lt;/b&gt;",
        "Heads up",
        "second",
        "caption of the table",
        "caption of the drawing",
        "[0.95, 0.97]",
        "caption of the panels",
        "linear-gradient(90deg,rgb(0,0,0)",
        "lucidray --version",
        NOTICE.replace("'", "&#39;"),
    ):
        assert text in html, text


def test_a_page_loads_nothing() -> None:
    html = render_report(every_block())
    found = outline(html)
    for tag, target in found.links:
        inside = target.startswith("#") or target.startswith("data:image/png;base64,")
        assert inside, f"<{tag}> reaches for {target[:60]}"
    assert not {"script", "link", "iframe", "object"} & set(found.tags)
    assert "@import" not in html
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))
    assert "default-src 'none'" in html


def test_ids_are_unique_and_links_within_the_page_hold() -> None:
    found = outline(render_report(every_block()))
    assert len(found.ids) == len(set(found.ids))
    for _, target in found.links:
        assert not target.startswith("#") or target[1:] in found.ids


def test_a_picture_comes_back_pixel_by_pixel() -> None:
    import base64
    import io

    from PIL import Image

    html = render_report(every_block())
    text = re.search(r"data:image/png;base64,([^\"]+)", html)
    assert text is not None
    image = Image.open(io.BytesIO(base64.b64decode(text[1])))
    np.testing.assert_array_equal(np.asarray(image), small_picture())


def test_text_from_outside_cannot_become_markup() -> None:
    evil = '"><script>alert(1)</script>'
    panel = Panel(((evil, small_picture()),), evil, ((evil, evil),))
    table = Table((evil, evil), ((evil, evil),), evil)
    section = Section(evil, (evil, Note(evil, evil), table, Panels((panel,), evil), Listing(evil)))
    html = render_report(Report(evil, (section,), lede=evil, facts=((evil, evil),)))
    assert "<script>" not in html
    outline(html)


def test_a_table_with_a_short_row_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"row 1 .* has 1 cells; expected 2"):
        Table(("a", "b"), (("1", "2"), ("3",)), "counts")


def test_writing_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "report.html"
    assert write_report(Report("first", ()), path) == path
    write_report(Report("second", ()), path)
    assert "<h1>second</h1>" in path.read_text(encoding="utf-8")
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_a_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_report(Report("first", ()), tmp_path / "report.html")

    def fail(report: Report) -> str:
        raise ValueError("no page")

    monkeypatch.setattr(page, "render_report", fail)
    with pytest.raises(ValueError, match="no page"):
        page.write_report(Report("second", ()), path)
    assert "<h1>first</h1>" in path.read_text(encoding="utf-8")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_section_makes_its_own_anchor() -> None:
    assert Section("Table I, beside ours").link() == "table-i-beside-ours"
    assert Section("x", anchor="own").link() == "own"


def test_the_same_report_is_the_same_page() -> None:
    assert render_report(every_block()) == render_report(every_block())
