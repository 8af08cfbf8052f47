"""Findings as a user writes them."""

from __future__ import annotations

from collections.abc import Sequence

from lucidray.errors import unknown_name
from lucidray.findings import canonical, is_known

#: What the absence of a model's only finding is called.
ABSENCE = "No Finding"


def finding_of(name: str, known: Sequence[str], *, of: str = "this run") -> str:
    """Return the finding of a model that a user means.

    Args:
        name: In any case and any spelling that some data set uses.
        known: The model's findings; where there is only one, its absence can be named too.
        of: What the model is, for the message.

    Raises:
        UnknownNameError: None of them is meant.

    >>> finding_of("pleural effusion", ("Effusion", "Mass"))
    'Effusion'
    """
    choices = (*known, ABSENCE) if len(known) == 1 else tuple(known)
    for candidate in (name, canonical(name) if is_known(name) else name):
        for choice in choices:
            if _plain(candidate) == _plain(choice):
                return choice
    raise unknown_name(f"finding of {of}", name, choices)


def _plain(name: str) -> str:
    return name.casefold().replace("_", " ")
