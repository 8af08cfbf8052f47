"""Identifiers of rows: UUIDs of version 7, which grow with time, so that indexes stay compact."""

from __future__ import annotations

import secrets
import time
from datetime import datetime
from uuid import UUID

#: Letters and digits that nobody mistakes for one another.
_READABLE = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id() -> UUID:
    """Return a new identifier.

    Source:
        RFC 9562, section 5.7.

    >>> new_id().version
    7
    """
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (2**48 - 1)) << 80 | 7 << 76 | secrets.randbits(12) << 64
    return UUID(int=value | 2 << 62 | secrets.randbits(62))


def first_id_at(moment: datetime) -> UUID:
    """Return what no identifier made before a moment reaches: a bound for the primary key's index.

    Args:
        moment: The moment.
    """
    return UUID(int=(int(moment.timestamp() * 1000) & (2**48 - 1)) << 80)


def new_pseudonym() -> str:
    """Return a short name that tells nothing of the one who bears it.

    >>> len(new_pseudonym())
    9
    """
    letters = "".join(secrets.choice(_READABLE) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"
