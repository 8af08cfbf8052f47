"""Age, sex and view beside the film: how they are coded, what they add to its logits. NumPy alone.

Every code is 0 for the average of the films that it was fixed on, and for what is missing: a
missing value counts as the average one and changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from lucidray.bundle.estimate import Estimate
from lucidray.errors import BundleError, ConfigError
from lucidray.records import Float64, XRay

Attribute = Literal["age", "sex", "view"]
ATTRIBUTES: tuple[Attribute, ...] = ("age", "sex", "view")

#: What is known of one film; None: missing.
Known = Mapping[str, float | str | None]

_LENIENT = {"extra": "ignore"}


@dataclass(frozen=True)
class Coding:
    """How metadata become numbers.

    Args:
        attributes: Which are used, of ``"age"``, ``"sex"`` and ``"view"``.
        age_mean: In years.
        age_deviation: Standard deviation in years, above 0.
        female_share: Of the films whose sex is known.
        views: Views that there were, by name; any other counts as missing.
        view_shares: Share of each among the films whose view is known.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _LENIENT

    attributes: tuple[Attribute, ...]
    age_mean: float = 0.0
    age_deviation: float = 1.0
    female_share: float = 0.5
    views: tuple[str, ...] = ()
    view_shares: tuple[float, ...] = ()

    def encode(self, known: Sequence[Known]) -> Float64:
        """Return the codes ``(N, K)`` of N films: age, age squared, sex, each view but the first.

        Args:
            known: Of each film what is known, by attribute.
        """
        rows = [list(self._codes(each)) for each in known]
        return np.array(rows, np.float64).reshape(len(known), self.width)

    @property
    def width(self) -> int:
        """How many codes a film has."""
        widths = {"age": 2, "sex": 1, "view": max(len(self.views) - 1, 0)}
        return sum(widths[each] for each in self.attributes)

    def used(self, known: Known) -> dict[str, float | str | None]:
        """Return what of a film's metadata counts; None where it is missing or not known here."""
        told: dict[str, float | str | None] = {each: known.get(each) for each in self.attributes}
        if told.get("view") not in self.views:
            told |= {"view": None} if "view" in told else {}
        return told

    def _codes(self, known: Known) -> Iterator[float]:
        told = self.used(known)
        if "age" in told:
            age = told["age"]
            z = 0.0 if age is None else (float(age) - self.age_mean) / self.age_deviation
            z = min(max(z, -3.0), 3.0)
            yield from (z, 0.0 if age is None else z * z - 1.0)
        if "sex" in told:
            sex = told["sex"]
            yield 0.0 if sex is None else float(sex == "F") - self.female_share
        if "view" in told:
            view = told["view"]
            pairs = list(zip(self.views, self.view_shares, strict=True))[1:]
            yield from (0.0 if view is None else float(view == name) - part for name, part in pairs)


@dataclass(frozen=True)
class MetadataRule:
    """What metadata add: ``logit = scale x film's logit + intercept + codes x weights``.

    Args:
        coding: How metadata become K numbers.
        scales: ``(F,)``, not negative.
        weights: ``(K, F)``.
        intercepts: ``(F,)``.
        alone_weights: ``(K, F)`` of the baseline that knows no film, fitted on training images.
        alone_intercepts: ``(F,)`` of the same.
        fitted_on: The images, in words.
        images: How many.
        known: Share of the training images of which each attribute is known.
        auc: On those images, by ``"film"``, ``"metadata"`` and ``"together"`` (fitted without the
            image's patient), then by finding.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _LENIENT

    coding: Coding
    scales: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    intercepts: tuple[float, ...]
    alone_weights: tuple[tuple[float, ...], ...] = ()
    alone_intercepts: tuple[float, ...] = ()
    fitted_on: str = ""
    images: int = 0
    known: Mapping[str, float] = field(default_factory=dict)
    auc: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (self.coding.width, len(self.intercepts))
        if np.array(self.weights).reshape(len(self.weights), -1).shape != shape:
            raise ConfigError(
                f"metadata have {len(self.weights)} rows of weights; {shape[0]} codes for "
                f"{shape[1]} findings are expected."
            )

    def shift(self, known: Sequence[Known]) -> Float64:
        """Return what metadata add to the logits of N films, ``(N, F)``; 0 for missing ones."""
        weights = np.array(self.weights, np.float64).reshape(self.coding.width, -1)
        return np.asarray(self.coding.encode(known) @ weights, np.float64)

    def fuse(self, film: Float64, known: Sequence[Known]) -> Float64:
        """Return the logits ``(N, F)`` of films and their metadata together.

        Args:
            film: ``(N, F)``, what the network says of the films alone.
            known: Their metadata.
        """
        seen: Float64 = film * np.array(self.scales) + np.array(self.intercepts)
        return seen + self.shift(known)

    def alone(self, known: Sequence[Known]) -> Float64:
        """Return the logits ``(N, F)`` of the baseline that knows no film."""
        weights = np.array(self.alone_weights, np.float64).reshape(self.coding.width, -1)
        codes = self.coding.encode(known)
        return np.asarray(codes @ weights + np.array(self.alone_intercepts), np.float64)

    def only(self, places: Sequence[int]) -> MetadataRule:
        """Return the rule for some of its findings, by index."""

        def cut(row: Sequence[float]) -> tuple[float, ...]:
            return tuple(row[place] for place in places)

        return replace(
            self,
            scales=cut(self.scales),
            weights=tuple(map(cut, self.weights)),
            intercepts=cut(self.intercepts),
            alone_weights=tuple(map(cut, self.alone_weights)),
            alone_intercepts=cut(self.alone_intercepts),
        )


def load_rule(path: Path, told: Sequence[str], wanted: Sequence[str]) -> MetadataRule:
    """Read the rule that a training kept, for some of its findings.

    Args:
        path: Its ``metadata.json``.
        told: The findings that it was fitted for.
        wanted: Those wanted.

    Raises:
        OSError: There is no such file.
        ValueError: It is damaged.
    """
    from lucidray.config import from_mapping

    values = json.loads(path.read_text(encoding="utf-8"))
    rule = from_mapping(MetadataRule, values, where=path.name)
    return rule.only([list(told).index(name) for name in wanted])


def known_of(xray: XRay) -> dict[str, float | str | None]:
    """Return what a radiograph's file says of its patient and view."""
    return {"age": xray.age_years, "sex": xray.sex, "view": xray.view_position}


def metadata_from(values: Mapping[str, Any] | None) -> MetadataRule | None:
    """Build the rule from a card's plain values, its evidence left out.

    Raises:
        BundleError: Something is missing or of the wrong type.
    """
    if values is None:
        return None
    try:
        told = dict(values["coding"])
        for name in ("attributes", "views", "view_shares"):
            told[name] = tuple(told[name])
        return MetadataRule(
            Coding(**told),
            tuple(map(float, values["scales"])),
            tuple(tuple(map(float, row)) for row in values["weights"]),
            tuple(map(float, values["intercepts"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"the card's metadata rule is not valid: {error!r}. Get the bundle again."
        ) from error
