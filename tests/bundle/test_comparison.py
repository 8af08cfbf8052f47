"""Comparing bundles: what differs in their cards and in their answers."""

from __future__ import annotations

from pathlib import Path

from lucidray.bundle import load_bundle
from lucidray.bundle.comparison import Difference, compare


def test_a_bundle_is_like_itself(bundle_file: Path) -> None:
    found = compare(bundle_file, load_bundle(bundle_file))
    assert found.same_weights
    assert found.differences == ()
    assert found.probability_change == {"Pneumonia": 0.0, "Effusion": 0.0}


def test_two_bundles_differ_where_their_cards_do(bundle_file: Path, other_file: Path) -> None:
    found = compare(bundle_file, other_file)
    assert found.names == ("tiny", "other")
    assert not found.same_weights
    assert Difference("calibration.method", "platt", "none") in found.differences
    fields = {each.field for each in found.differences}
    assert "operating_points.Pneumonia" in fields
    assert not any(field.startswith("preprocessing") for field in fields)
    assert min(found.probability_change.values()) > 1e-3
