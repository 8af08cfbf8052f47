"""The version of a card's fields, and the check that this LucidRay can read one."""

from __future__ import annotations

import json
from typing import Any

from lucidray.errors import BundleError

#: The version of the card's fields that this LucidRay writes.
CARD_VERSION = 2
#: From this one on a reader adds metadata to what the graph says.
METADATA_VERSION = 2


def parse_card(text: str | bytes) -> dict[str, Any]:
    """Return the plain values of a ``card.json``.

    Raises:
        BundleError: It is no card, or one for a newer LucidRay.
    """
    try:
        values: dict[str, Any] = json.loads(text)
        needed = int(values["minimum_reader"])
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise BundleError(f"card.json is no card: {error!r}. Get the bundle again.") from error
    if needed > CARD_VERSION:
        raise BundleError(
            f"the card needs a reader of version {needed}, this LucidRay knows {CARD_VERSION}. "
            "Update it with: pip install -U lucidray"
        )
    return values
