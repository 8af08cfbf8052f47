"""The card: it goes to JSON and back, and tells foreign and newer cards apart."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from lucidray.bundle.card import (
    Calibration,
    Card,
    Estimate,
    FindingCode,
    OperatingPoint,
    Performance,
    PrecisionLoss,
    Training,
    from_json,
    to_json,
)
from lucidray.bundle.card_version import CARD_VERSION
from lucidray.bundle.uncertainty import Evidence, UncertaintyRule
from lucidray.errors import BundleError, ConfigError
from lucidray.images.preprocessing import Preprocessing

FULL = Card(
    name="full",
    summary="Everything is said.",
    findings=(FindingCode("Pneumonia", "233604007", "RID5350"), FindingCode("Mass")),
    exclusive=False,
    preprocessing=Preprocessing(size=64, crop=(0.15, 0.9, 0.2, 0.8), channels=1),
    network="resnet18",
    map_shape=(2, 2),
    weights_sha256="0" * 64,
    calibration=Calibration("platt", slopes=(1.0, 2.0), intercepts=(0.0, 1.0), images=7),
    operating_points={"Mass": OperatingPoint(0.3, "youden", Estimate(0.9, 0.8, 0.95, 40))},
    training=Training("generated", "free", 10, 5, "ab", {"phases": [{"epochs": 3}]}, (0, 1)),
    performance=(
        Performance(
            "held out", 9, 8,
            {"Mass": {"auc": Estimate(0.8, 0.7, 0.9, 9), "npv": Estimate(None)}},
            {"sex": {"F": {"auc": Estimate(0.7)}}},
        ),
    ),
    uncertainty=UncertaintyRule(
        0.1, (0.2, 0.0), (0.7, 1.0), "margin", 0.6, ("Mass",), "why",
        Evidence(images=9, sets={"Mass": {"coverage_present": Estimate(0.9)}}),
    ),
    explanation_trust={"pointing game": Estimate(0.5)},
    precision="int8",
    precision_loss=PrecisionLoss(9, {"Mass": 0.8}, {"Mass": None}, 0.01),
    experimental=True,
)  # fmt: skip


def test_it_comes_back_as_it_was() -> None:
    assert from_json(to_json(FULL)) == FULL
    assert to_json(from_json(to_json(FULL))) == to_json(FULL)


def changed(card: Card, *place: str | int, value: Any) -> str:
    values = json.loads(to_json(card))
    inner: Any = values
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return json.dumps(values)


@pytest.mark.parametrize(
    "place",
    [
        ("mood",),
        ("findings", 1, "mood"),
        ("calibration", "mood"),
        ("operating_points", "Mass", "sensitivity", "mood"),
        ("performance", 0, "measurements", "Mass", "auc", "mood"),
    ],
)
def test_an_unknown_field_is_refused_today_and_left_out_of_a_newer_card(
    place: tuple[str | int, ...],
) -> None:
    with pytest.raises(BundleError, match=r"unknown field .*mood"):
        from_json(changed(FULL, *place, value=1))
    newer = replace(FULL, version=CARD_VERSION + 1)
    assert from_json(changed(newer, *place, value=1)) == newer


def test_a_card_that_needs_a_newer_reader_says_so() -> None:
    with pytest.raises(BundleError, match=r"reader of version 9.*pip install -U"):
        from_json(to_json(replace(FULL, version=9, minimum_reader=9)))


@pytest.mark.parametrize(
    ("place", "value"),
    [(("exclusive",), "perhaps"), (("operating_points", "Mass", "threshold"), 1.5), (("name",), 3)],
)
def test_wrong_values_are_named(place: tuple[str, ...], value: object) -> None:
    with pytest.raises(BundleError, match=place[-1]):
        from_json(changed(FULL, *place, value=value))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"minimum_reader": "x"}'])
def test_what_is_no_card_is_refused(text: str) -> None:
    with pytest.raises(BundleError, match="no card"):
        from_json(text)


def test_a_card_agrees_with_itself() -> None:
    with pytest.raises(ConfigError, match="none twice"):
        replace(FULL, findings=FULL.findings * 2)
    with pytest.raises(ConfigError, match="'Hernia', no finding here"):
        replace(FULL, operating_points={"Hernia": OperatingPoint(0.5)})
    with pytest.raises(ConfigError, match="1 slopes for 2 findings"):
        replace(FULL, calibration=Calibration("platt", slopes=(1.0,)))
