"""What a card says of its heat maps stands on the page of a reading."""

from __future__ import annotations

from dataclasses import replace

from lucidray.report.reading import ReadingPage, render_reading

PAGE = ReadingPage(
    title="One film", lede="", facts=(), limits=(), counts={"positive": 1}, explained="How to read."
)


def test_the_verdict_stands_under_the_heat_maps():
    page = replace(PAGE, trust={"Mass": "limited: IoU .31 < .40 & no more."})
    text = "".join(render_reading(page, ()))
    assert "Heat maps of Mass, measured:</b> limited: IoU .31 &lt; .40 &amp; no more." in text
    assert "measured:" not in "".join(render_reading(PAGE, ()))


def test_a_page_without_heat_maps_says_nothing_of_them():
    page = replace(PAGE, trust={"Mass": "limited: so."}, explained="")
    assert "measured:" not in "".join(render_reading(page, ()))
