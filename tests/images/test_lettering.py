"""Words on pictures: Latin by Pillow's own font, other scripts by the machine's."""

from __future__ import annotations

import pytest
from PIL import ImageFont

from lucidray.images import lettering
from lucidray.images.lettering import can_write, font_for


@pytest.fixture
def no_wide_font(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "WIDE_FONTS", ("no such font",))
    lettering._wide_font.cache_clear()
    monkeypatch.setattr(lettering, "_wide_font", lettering._wide_font.__wrapped__)


def name_of(font: lettering.Font) -> str:
    assert isinstance(font, ImageFont.FreeTypeFont)
    return str(font.getname()[0])


@pytest.mark.parametrize("text", ["", "Lung Opacity 80 %", "Müller…", "0.2–0.4 ×"])
def test_latin_is_written_everywhere(text: str, no_wide_font: None) -> None:
    assert can_write(text)
    assert name_of(font_for(text, 12)) == name_of(ImageFont.load_default(12))  # type: ignore[arg-type]


def test_without_a_font_arabic_cannot_be_written(no_wide_font: None) -> None:
    assert not can_write("كتلة")
    assert font_for("كتلة", 12).getbbox("x")


def test_arabic_takes_a_font_that_has_its_letters() -> None:
    if not can_write("كتلة"):
        pytest.skip("no font with Arabic letters, or no Raqm, on this machine")
    font = font_for("Mass: كتلة", 20)
    assert name_of(font) != name_of(ImageFont.load_default(20))  # type: ignore[arg-type]
    assert font.getlength("كتلة") < sum(font.getlength(letter) for letter in "كتلة")
