"""What differs between two bundles: in their cards, and in what they say of the same images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lucidray.bundle.reference import from_bytes
from lucidray.bundle.runtime import REFERENCE, Bundle, load_bundle
from lucidray.config import to_mapping

#: Fields in which any two bundles differ.
_OWN = {"name", "weights_sha256", "created"}


@dataclass(frozen=True)
class Difference:
    """One value in which two cards differ.

    Args:
        field: Dotted place in the card.
        first: In the first card; None = not there.
        second: In the second.
    """

    field: str
    first: Any
    second: Any


@dataclass(frozen=True)
class Comparison:
    """Two bundles side by side.

    Args:
        names: Of both.
        same_weights: Whether they hold the same network weights.
        differences: Between their cards.
        probability_change: By finding that both judge: the largest difference of probabilities on
            the reference images of both.
    """

    names: tuple[str, str]
    same_weights: bool
    differences: tuple[Difference, ...]
    probability_change: dict[str, float]


def compare(
    first: str | Path | Bundle, second: str | Path | Bundle, *, engine: str = "onnxruntime"
) -> Comparison:
    """Compare two bundles.

    Args:
        first: A bundle, its path or its name.
        second: Another.
        engine: What runs them; see `load_bundle`.

    Raises:
        BundleError: One is no bundle.
    """
    one, other = (
        each if isinstance(each, Bundle) else load_bundle(each, engine=engine)
        for each in (first, second)
    )
    same = one.card.weights_sha256 == other.card.weights_sha256
    different = tuple(_walk(_shared(one), _shared(other)))
    return Comparison((one.name, other.name), same, different, _change(one, other))


def _shared(bundle: Bundle) -> dict[str, Any]:
    values = to_mapping(bundle.card)
    return {key: value for key, value in values.items() if key not in _OWN}


def _walk(first: Any, second: Any, place: str = "") -> Iterator[Difference]:
    if isinstance(first, dict) and isinstance(second, dict):
        for key in [*first, *(key for key in second if key not in first)]:
            yield from _walk(first.get(key), second.get(key), f"{place}.{key}" if place else key)
    elif first != second:
        yield Difference(place, first, second)


def _change(one: Bundle, other: Bundle) -> dict[str, float]:
    shared = [name for name in one.findings if name in other.findings]
    if not shared:
        return {}
    images = [image for each in (one, other) for image in from_bytes(each.member(REFERENCE)).images]
    rows = [[one.findings.index(name), other.findings.index(name)] for name in shared]
    found, others = (
        np.array([bundle.answer(image).probabilities[0] for image in images])
        for bundle in (one, other)
    )
    changes = [np.abs(found[:, a] - others[:, b]).max() for a, b in rows]
    return {name: float(change) for name, change in zip(shared, changes, strict=True)}
