"""The page about heat maps says of every method what the registry says."""

from __future__ import annotations

from pathlib import Path

from lucidray.explain import explainers, options_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "heat-maps.md"


def table() -> str:
    """Return the table that the page must hold."""
    lines = ["| method | needs | cost an image | each finding | options |", "|---|---|---|---|---|"]
    for entry in explainers.entries():
        own = "a map of its own" if entry.facts["class_specific"] else "**the same map**"
        options = ", ".join(f"`{name}={value!r}`" for name, value in options_of(entry.name).items())
        cells = (f"`{entry.name}`", entry.facts["needs"], entry.facts["cost"], own, options or "–")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def test_the_page_holds_the_table_of_the_registry() -> None:
    assert table() in PAGE.read_text(encoding="utf-8"), f"the page should hold\n{table()}"
