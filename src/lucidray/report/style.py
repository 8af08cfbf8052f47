"""How drawings look, and how they become SVG that follows the page's light or dark colors.

Drawings use placeholder colors (`INK`, `SERIES`, ...); `to_svg` turns each into a CSS variable of
the page, so one file serves light, dark and paper.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas

INK = "#0a0b00"
MUTED = "#0a0b01"
RULE = "#0a0b02"
PAPER = "#0a0b03"
GOOD = "#0a0b04"
BAD = "#0a0b05"
SERIES = ("#0a0b11", "#0a0b12", "#0a0b13", "#0a0b14", "#0a0b15", "#0a0b16")

_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    PAPER: "--card",
    GOOD: "--good",
    BAD: "--bad",
    **{color: f"--series-{index}" for index, color in enumerate(SERIES, start=1)},
}

_SETTINGS: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlepad": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.facecolor": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "legend.borderaxespad": 0.3,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "mathtext.default": "regular",
    "patch.linewidth": 0,
    "svg.fonttype": "none",
    "svg.hashsalt": "lucidray",
    "text.color": INK,
    "xtick.color": MUTED,
    "xtick.labelsize": 8.5,
    "xtick.major.size": 0,
    "ytick.color": MUTED,
    "ytick.labelsize": 8.5,
    "ytick.major.size": 0,
}


@contextmanager
def drawing(width: float = 4.6, height: float = 3.7) -> Iterator[Canvas]:
    """Give an empty canvas in the house style; draw and convert it inside the block.

    Args:
        width: In inches; the page scales it.
        height: In inches.
    """
    with mpl.rc_context(_SETTINGS):
        canvas = Canvas(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(canvas)
        yield canvas


def color(index: int) -> str:
    """Return the placeholder of a series' color; they repeat after six."""
    return SERIES[index % len(SERIES)]


def unit_axes(axes: Axes, *, pad: float = 0.015) -> None:
    """Give both axes the range 0 to 1 and equal scale."""
    axes.set(xlim=(-pad, 1 + pad), ylim=(-pad, 1 + pad), aspect="equal")
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    axes.set_xticks(ticks, ["0", ".25", ".5", ".75", "1"])
    axes.set_yticks(ticks, ["0", ".25", ".5", ".75", "1"])


def to_svg(canvas: Canvas, alt: str) -> str:
    """Turn a finished canvas into one ``<svg>`` element for the page.

    Args:
        canvas: From `drawing`, still inside its block.
        alt: What the drawing shows, in words.

    Returns:
        The element: no header, no links to elsewhere, no ids but those it needs, and every
        placeholder color replaced by a variable of the page.
    """
    buffer = io.StringIO()
    canvas.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'\s(?:xmlns(?::\w+)?|version)="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    return _named(_needed_ids(_page_colors(_page_fonts(text))), alt)


def _page_colors(text: str) -> str:
    return re.sub(
        "#0a0b[01][0-9]", lambda found: f"var({_VARIABLES[found[0]]})", text, flags=re.IGNORECASE
    )


def _page_fonts(text: str) -> str:
    return text.replace("'DejaVu Sans'", "var(--sans)")


def _needed_ids(text: str) -> str:
    needed = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    return re.sub(r'\sid="([^"]*)"', lambda found: found[0] if found[1] in needed else "", text)


def _named(text: str, alt: str) -> str:
    found = re.match(r'<svg[^>]*viewBox="0 0 ([\d.]+) ([\d.]+)"[^>]*>', text)
    width, height = (found[1], found[2]) if found else ("330", "260")
    opening = (
        f'<svg role="img" aria-label="{escape(alt)}" viewBox="0 0 {width} {height}" '
        f'style="max-width:{float(width) * 1.45:.0f}px">'
    )
    return opening + text[found.end() if found else 0 :]
