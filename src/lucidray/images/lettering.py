"""Fonts for the few words on a picture, in any script that this machine can write."""

from __future__ import annotations

from functools import cache

from PIL import ImageFont, features

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

#: Fonts with the letters that Pillow's own font lacks: of Linux, Windows and macOS.
WIDE_FONTS = ("DejaVuSans.ttf", "NotoSansArabic-Regular.ttf", "arial.ttf", "Arial Unicode.ttf")

#: The last letter of Latin Extended-B; Pillow's own font ends before.
_LAST_LATIN = "\u024f"


def font_for(text: str, size: int) -> Font:
    """Return a font for a text.

    Args:
        text: What is to be written.
        size: Height in pixels.

    Returns:
        The font that comes with Pillow; for letters beyond Latin the first of `WIDE_FONTS` that is
        installed.
    """
    return (_wide_font(size) if _is_wide(text) else None) or ImageFont.load_default(size)


def can_write(text: str) -> bool:
    """Tell whether a text can be written on a picture here.

    Args:
        text: What is to be written; letters beyond Latin need a font, and Raqm, which joins them
            and runs them from right to left.

    >>> can_write("Lung Opacity, 80 %")
    True
    """
    if not _is_wide(text):
        return True
    shaped = features.check("raqm") and features.check("fribidi")
    return bool(shaped) and _wide_font(12) is not None


def _is_wide(text: str) -> bool:
    return any(letter > _LAST_LATIN and letter.isalpha() for letter in text)


@cache
def _wide_font(size: int) -> ImageFont.FreeTypeFont | None:
    for name in WIDE_FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return None
