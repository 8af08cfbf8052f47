"""What the pages of all experiments say alike: protocol, faults, cuts, commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass

from lucidray.papers.catalog import Fault, Mode, Plan, Scale
from lucidray.report import Block, Note, Section, Table
from lucidray.report.provenance import provenance_blocks

#: Said instead of a verdict where numbers mean nothing.
SMOKE_WORDS = "At this scale the numbers mean nothing; they show that everything runs."


def protocol_section(
    steps: Sequence[str],
    plan: Plan,
    settings: object,
    *remarks: Note,
    none: str = "all",
    wide: bool = False,
) -> Section:
    """Say in words what was done, and list every number.

    Args:
        steps: The protocol, a sentence each.
        plan: The order that was run.
        settings: A dataclass with every number of the mode and scale.
        remarks: What stands between the two.
        none: What None means among the settings.
        wide: Whether the table takes the whole width.
    """
    rows = tuple((name, setting_words(value, none)) for name, value in vars(settings).items())
    return Section(
        "Protocol",
        (
            Note(tuple(steps), f"Mode {plan.mode}, scale {plan.scale}"),
            *remarks,
            Table(
                ("Setting", "Value"), rows, "Every number of the protocol", numeric=(), wide=wide
            ),
        ),
    )


def setting_words(value: object, none: str = "all") -> str:
    """Write one setting for a reader.

    >>> setting_words((True, 0.1, None)), setting_words({"first": 8})
    ('yes, 0.1, all', 'first 8')

    A dataclass that says itself how it is written (``__str__``) is asked; others list their fields.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return none
    if isinstance(value, tuple):
        return ", ".join(setting_words(item, none) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {setting_words(item, none)}" for name, item in value.items())
    if is_dataclass(value) and type(value).__str__ is object.__str__:
        return ", ".join(
            f"{field.name} {setting_words(getattr(value, field.name), none)}"
            for field in fields(value)
        )
    return str(value)


def faults_section(faults: Sequence[Fault], mode: Mode, *checked: Block) -> Section:
    """Name what the publication contradicts, and what this mode does about it.

    Args:
        faults: What is wrong.
        mode: Whose remedy is shown.
        checked: The printed sums, done again.
    """
    rows = tuple((fault.what, fault.evidence, getattr(fault, mode)) for fault in faults)
    columns = ("What", "How one sees it", f"Here ({mode})")
    return Section(
        "What the publication contradicts",
        (*checked, Table(columns, rows, numeric=(), wide=True)),
    )


def cut_notes(cut: Mapping[Scale, str], plan: Plan) -> tuple[Note, ...]:
    """Return a note on what a scale leaves out, where it leaves something out."""
    words = cut[plan.scale]
    return (Note(words, "What this scale leaves out", "warning"),) if words else ()


def provenance_section(
    commands: tuple[str, ...], versions: Mapping[str, str], *first: Block, title: str = ""
) -> Section:
    """Show commands and versions.

    Args:
        commands: What to type, one command each.
        versions: Of this package and others.
        first: What stands before them.
        title: Else plainly that.
    """
    blocks = provenance_blocks(commands, dict(versions))
    return Section(title or "Commands and versions", (*first, *blocks))
