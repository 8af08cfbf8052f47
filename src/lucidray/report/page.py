"""From a `Report` to one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import io
import os
import re
import tempfile
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image

from lucidray.report.document import Figure, Legend, Picture, Report

#: Pictures larger than this (pixels, longer side) are shrunk for the page.
_LARGEST_PICTURE = 448


def write_report(report: Report, path: str | Path) -> Path:
    """Write a report as one self-contained HTML file, whole or not at all.

    Args:
        report: What the page says.
        path: The file to write; a file of that name is replaced once the new one is complete.

    Returns:
        The file written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(render_report(report))
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


def render_report(report: Report) -> str:
    """Return a report as the text of one HTML page.

    The page loads nothing: its policy forbids scripts and every source but itself.
    """
    room = Environment(
        loader=PackageLoader("lucidray.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    room.filters.update(inline=_inline, picture=_picture, gradient=_gradient)
    room.tests["text"] = lambda block: isinstance(block, str)
    room.globals.update(drawing=_Drawings(), kind=_kind)
    return room.get_template("page.html").render(report=report)


def _kind(block: object) -> str:
    return "text" if isinstance(block, str) else type(block).__name__.lower()


class _Drawings:
    """Number the drawings of a page, so that none shares an id with another."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, figure: Figure) -> Markup:
        self.count += 1
        return Markup(with_own_ids(figure.svg, f"f{self.count}-"))  # noqa: S704


def with_own_ids(svg: str, prefix: str) -> str:
    """Give a drawing's ids a prefix, so that no two drawings of a page share one.

    >>> with_own_ids('<a id="x"/><b href="#x" clip-path="url(#x)"/>', "f1-")
    '<a id="f1-x"/><b href="#f1-x" clip-path="url(#f1-x)"/>'
    """
    svg = re.sub(r'\sid="', f' id="{prefix}', svg)
    return svg.replace("url(#", f"url(#{prefix}").replace('href="#', f'href="#{prefix}')


def _inline(text: str) -> Markup:
    safe = str(escape(text))
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", safe)
    return Markup(re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", safe))  # noqa: S704


def _picture(pixels: Picture) -> str:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((_LARGEST_PICTURE, _LARGEST_PICTURE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _gradient(legend: Legend) -> str:
    chosen = np.linspace(0, len(legend.colors) - 1, 12).round().astype(int)
    stops = (f"rgb({r},{g},{b})" for r, g, b in legend.colors[chosen])
    return f"linear-gradient(90deg,{','.join(stops)})"
