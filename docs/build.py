"""Write the reference pages from the code, or check that they tell the truth.

``python docs/build.py`` writes ``docs/reference``; ``--check`` fails where a page is out of date,
a public name has no docstring, a command or option has no help, or a link leads nowhere.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import typer

import lucidray
from lucidray.registry import Registry

DOCS = Path(__file__).parent
REFERENCE = DOCS / "reference"
NOTE = "<!-- Written by docs/build.py; change the docstrings, then run `make docs`. -->\n\n"


def modules() -> Iterator[ModuleType]:
    """Yield every public module of the library."""
    for found in pkgutil.walk_packages(lucidray.__path__, "lucidray."):
        if not any(part.startswith("_") for part in found.name.split(".")):
            yield importlib.import_module(found.name)


def public_names(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the functions and classes that a module defines for others."""
    for name, value in vars(module).items():
        defined_here = getattr(value, "__module__", None) == module.__name__
        if (
            defined_here
            and not name.startswith("_")
            and (inspect.isfunction(value) or inspect.isclass(value))
        ):
            yield name, value


def room(module: ModuleType) -> str:
    """Return the room that a module belongs to."""
    return module.__name__.split(".")[1]


def signature(value: Any) -> str:
    """Return a readable signature."""
    try:
        text = str(inspect.signature(value))
    except (TypeError, ValueError):
        return ""
    text = re.sub(r"<factory>|<object object at 0x[0-9a-f]+>", "...", text)
    text = re.sub(r" at 0x[0-9a-f]+", "", text)
    return text.replace("'", "")


def reference_of(members: list[ModuleType]) -> str:
    """Return the reference page of one room."""
    name = room(members[0])
    page = [NOTE + f"# `lucidray.{name}`\n"]
    for module in members:
        entries = list(public_names(module))
        if module.__doc__ and (entries or len(members) == 1 or module.__name__.count(".") == 1):
            page.append(f"## `{module.__name__}`\n\n{inspect.cleandoc(module.__doc__)}\n")
        for title, value in entries:
            page.append(f"### `{title}`\n\n```python\n{title}{signature(value)}\n```\n")
            page.append(f"```text\n{inspect.getdoc(value) or ''}\n```\n")
    return "\n".join(page)


def registries() -> dict[str, Registry[Any]]:
    """Return every registry of the library by its kind."""
    found = {}
    for module in modules():
        for value in vars(module).values():
            if isinstance(value, Registry) and len(value):
                found[value.kind] = value
    return dict(sorted(found.items()))


def registry_page() -> str:
    """Return the page of everything that can be named."""
    page = [
        NOTE + "# What can be named\n\nEvery table here is read from the code's own registries.\n"
    ]
    for kind, registry in registries().items():
        page.append(f"## {kind[:1].upper()}{kind[1:]}: {len(registry)}\n")
        page.append("| name | what it is | source |\n|---|---|---|")
        for entry in registry.entries():
            summary = entry.summary.replace("|", "\\|")
            page.append(f"| `{entry.name}` | {summary} | {entry.source.replace('|', ' ')} |")
        page.append("")
    return "\n".join(page)


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command of the command line with its full name."""
    from lucidray.cli import app

    def walk(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
        yield name, command
        for child_name, child in getattr(command, "commands", {}).items():
            yield from walk(child, f"{name} {child_name}")

    return walk(typer.main.get_command(app), "lucidray")


def command_page() -> str:
    """Return the page of all commands."""
    page = [NOTE + "# Commands\n"]
    for name, command in commands():
        page.append(f"## `{name}`\n\n{inspect.cleandoc(command.help or '')}\n")
        rows = [row for row in map(option_row, command.params) if row]
        if rows:
            page.append("| option | meaning |\n|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(page)


def option_row(param: Any) -> str:
    """Return the table row of one argument or option."""
    if param.name == "help" or param.name.endswith("_completion"):
        return ""
    names = ", ".join(f"`{name}`" for name in (*param.opts, *param.secondary_opts))
    default = param.default
    shown = (
        "" if default in (None, False, (), []) or callable(default) else f" Default: `{default}`."
    )
    return f"| {names} | {(getattr(param, 'help', '') or '').replace('|', chr(92) + '|')}{shown} |"


def pages() -> dict[Path, str]:
    """Return every generated page by its path."""
    by_room: dict[str, list[ModuleType]] = {}
    for module in modules():
        by_room.setdefault(room(module), []).append(module)
    made = {
        REFERENCE / f"{name}.md": reference_of(members)
        for name, members in by_room.items()
        if name != "cli"
    }
    made[REFERENCE / "registries.md"] = registry_page()
    made[REFERENCE / "commands.md"] = command_page()
    index = "".join(f"- [`{path.stem}`]({path.name})\n" for path in sorted(made))
    made[REFERENCE / "index.md"] = NOTE + "# Reference\n\n" + index
    return {path: re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n" for path, text in made.items()}


def faults() -> Iterator[str]:
    """Yield what is wrong with the documentation, a line each."""
    wanted = pages()
    for path, text in wanted.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            yield f"{path.relative_to(DOCS.parent)} is out of date: run `make docs`"
    for path in set(REFERENCE.glob("*.md")) - set(wanted):
        yield f"{path.relative_to(DOCS.parent)} describes nothing any more: delete it"
    for module in modules():
        for name, value in public_names(module):
            if not inspect.getdoc(value):
                yield f"{module.__name__}.{name} has no docstring"
    yield from command_faults()
    yield from dead_links()


def command_faults() -> Iterator[str]:
    """Yield commands and options without help."""
    for name, command in commands():
        if not command.help:
            yield f"`{name}` has no help"
        for param in command.params:
            if not getattr(param, "help", "") and param.name != "help":
                yield f"`{name}`: {param.name} has no help"


def dead_links() -> Iterator[str]:
    """Yield relative links that lead nowhere."""
    root = DOCS.parent
    for page in [*root.glob("*.md"), *DOCS.rglob("*.md")]:
        prose = re.sub(
            r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL
        )
        for target in re.findall(r"\]\(([^)#\s]+)", prose):
            if "://" not in target and not (page.parent / target).exists():
                yield f"{page.relative_to(root)} links to {target}, which is not there"


def main() -> int:
    """Write or check, as asked."""
    if "--check" not in sys.argv:
        REFERENCE.mkdir(exist_ok=True)
        for path, text in pages().items():
            path.write_text(text, encoding="utf-8")
        return 0
    found = list(faults())
    print("\n".join(found) if found else "documentation agrees with the code")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
