"""The page of a reading: one film or hundreds, the most urgent first, for whoever looks at them.

It is one file that loads nothing from elsewhere; pictures are inside it, or beside it where there
are many. Without scripts it is complete and stands in order of urgency; with them it can be sorted
and filtered. Films are written one by one, so a page of any length needs little memory.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lucidray.report.document import NOTICE

Kind = Literal["positive", "uncertain", "refused", "uncalled", "measured", "negative"]

#: What the filters are called, in the order in which they stand.
KINDS: dict[Kind, str] = {
    "positive": "With findings",
    "uncertain": "Unsure",
    "refused": "No reliable result",
    "uncalled": "Not called",
    "measured": "Outlined",
    "negative": "Without findings",
}


@dataclass(frozen=True)
class Shot:
    """A picture of a film.

    Args:
        caption: What it shows.
        data: Its bytes as JPEG, to stand in the page; empty: it lies beside the page.
        place: Where it lies, relative to the page; used where there are no bytes.
        large: A larger version beside the page; empty: none.
    """

    caption: str
    data: bytes = b""
    place: str = ""
    large: str = ""

    @property
    def source(self) -> str:
        """What an ``img`` element needs."""
        if self.data:
            return "data:image/jpeg;base64," + base64.b64encode(self.data).decode("ascii")
        return quote(self.place, errors="surrogateescape")

    @property
    def link(self) -> str:
        """The larger version as an address; empty: none."""
        return quote(self.large, errors="surrogateescape")


@dataclass(frozen=True)
class Said:
    """What was said of one finding.

    Args:
        name: The finding.
        probability: In [0, 1].
        threshold: Its operating point; None: it has none.
        positive: Whether it reaches it; None: not called.
        unsure: Words where the conformal set does not settle it; empty: it does.
    """

    name: str
    probability: float
    threshold: float | None
    positive: bool | None
    unsure: str = ""

    @property
    def shown(self) -> str:
        """The probability in two digits, without a certainty that nobody has.

        >>> [Said("Mass", value, None, None).shown for value in (0.0, 0.004, 0.5, 0.996, 1.0)]
        ['< 0.01', '< 0.01', '0.50', '> 0.99', '> 0.99']
        """
        if self.probability < 0.01:
            return "< 0.01"
        return "> 0.99" if self.probability > 0.99 else f"{self.probability:.2f}"

    @property
    def verdict(self) -> str:
        """The call in a word."""
        return {True: "present", False: "absent", None: "not called"}[self.positive]


@dataclass(frozen=True)
class FilmRow:
    """One film on the page.

    Args:
        name: Its file's name.
        folder: Where the file lies.
        kind: What the reading came to.
        words: The same in words.
        urgency: From 0 to 1.
        findings: What was said of each; none of a refused film.
        shots: Its pictures, the plain film first.
        unsure: Whether a person should read it whatever was found.
        detail: More words; may be empty.
    """

    name: str
    folder: str
    kind: Kind
    words: str
    urgency: float
    findings: tuple[Said, ...] = ()
    shots: tuple[Shot, ...] = ()
    unsure: bool = False
    detail: str = ""

    def foremost(self, most: int = 5) -> tuple[Said, ...]:
        """Return the findings to show at once: those nearest to, or farthest above, their point."""
        if len(self.findings) <= most + 1:
            return self.findings
        order = sorted(self.findings, key=lambda said: -said.probability / (said.threshold or 0.5))
        return tuple(order[:most])


@dataclass(frozen=True)
class ReadingPage:
    """All that stands on the page but the films.

    Args:
        title: Its heading.
        lede: A sentence under it.
        facts: Pairs of a name and a text: which bundle, how it was trained, how it did.
        limits: What one must know before one believes a result.
        counts: Films by what their reading came to.
        findings: Names that films can be sorted by.
        failed: Files that could not be read, with the reason.
        left_out: Films that are not on the page.
        experimental: Whether the bundle's performance is too low or uncertain to rely on.
        beside: Whether pictures lie beside the page.
        explained: How to read the heat maps; empty: there are none.
        trust: By finding: how far its heat maps can be trusted, and why.
    """

    title: str
    lede: str
    facts: tuple[tuple[str, str], ...]
    limits: tuple[str, ...]
    counts: Mapping[Kind, int]
    findings: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    left_out: int = 0
    experimental: bool = False
    beside: bool = False
    explained: str = ""
    trust: Mapping[str, str] = field(default_factory=dict)
    notice: str = field(default=NOTICE)

    @property
    def total(self) -> int:
        """How many films were read or refused."""
        return sum(self.counts.values())

    @property
    def policy(self) -> str:
        """What the page may load: its own style, its own script, its own pictures."""
        images = "data: file: 'self'" if self.beside else "data:"
        return (
            f"default-src 'none'; style-src 'unsafe-inline'; img-src {images}; "
            f"script-src 'sha256-{_digest(script())}'"
        )


def render_reading(page: ReadingPage, rows: Iterable[FilmRow]) -> Iterator[str]:
    """Yield the text of the page, piece by piece.

    Args:
        page: All but the films.
        rows: The films, in order of urgency; drawn one by one.
    """
    room = Environment(
        loader=PackageLoader("lucidray.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    room.globals.update(kinds=KINDS, script=Markup(script()))  # noqa: S704 - our own file
    yield from room.get_template("reading.html").generate(page=page, rows=rows)


def write_reading(page: ReadingPage, rows: Iterable[FilmRow], path: Path) -> Path:
    """Write the page, whole or not at all; else as `render_reading`.

    Returns:
        The file; one of that name is replaced once the new one is complete.
    """
    draft = path.with_name(f".{path.name}")
    try:
        with draft.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(render_reading(page, rows))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


@lru_cache(maxsize=1)
def script() -> str:
    """Return the script that sorts and filters."""
    return (resources.files("lucidray.report") / "templates" / "reading.js").read_text("utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
