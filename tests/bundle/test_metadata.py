"""Metadata beside the film: their codes by hand, and what is missing changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from lucidray.bundle.card import Card, FindingCode, from_json, to_json
from lucidray.bundle.metadata import Coding, MetadataRule, load_rule, metadata_from
from lucidray.config import to_mapping
from lucidray.errors import BundleError, ConfigError
from lucidray.images.modality import age_years, sex
from lucidray.images.preprocessing import Preprocessing

CODING = Coding(("age", "sex", "view"), 50.0, 10.0, 0.25, ("AP", "PA"), (0.4, 0.6))
RULE = MetadataRule(
    CODING,
    (2.0, 1.0),
    ((1.0, 0.0), (0.5, 0.0), (0.0, 4.0), (0.0, -1.0)),
    (0.1, 0.2),
    ((1.0, 0.0),) * 4,
    (0.0, 0.0),
)
EVERYTHING = {"age": 60.0, "sex": "F", "view": "PA"}


def test_codes_are_as_worked_out_by_hand() -> None:
    found = CODING.encode([EVERYTHING, {"age": 40, "sex": "M", "view": "AP"}])
    np.testing.assert_allclose(found, [[1, 0, 0.75, 0.4], [-1, 0, -0.25, -0.6]])
    far = CODING.encode([{"age": 110.0}])
    np.testing.assert_allclose(far, [[3, 8, 0, 0]])


def test_what_is_missing_or_unknown_is_the_average() -> None:
    nothing = [{}, {"age": None, "sex": None, "view": None}, {"view": "LL"}]
    assert not CODING.encode(nothing).any()
    assert not RULE.shift(nothing).any()
    assert CODING.used({"age": 3.0, "view": "LL"}) == {"age": 3.0, "sex": None, "view": None}
    only = replace(CODING, attributes=("sex",))
    assert only.encode([EVERYTHING]).shape == (1, 1) and only.used(EVERYTHING) == {"sex": "F"}


def test_logits_are_joined_as_the_rule_says() -> None:
    film = np.array([[1.0, -1.0]])
    np.testing.assert_allclose(RULE.fuse(film, [EVERYTHING]), [[2 + 0.1 + 1, -1 + 0.2 + 3 - 0.4]])
    np.testing.assert_allclose(RULE.alone([EVERYTHING]), [[2.15, 0]])
    part = RULE.only([1])
    np.testing.assert_allclose(part.fuse(film[:, 1:], [EVERYTHING]), [[1.8]])


def test_a_card_with_metadata_is_for_readers_that_know_them() -> None:
    card = Card(
        "x", "x", (FindingCode("Mass"), FindingCode("Nodule")), False, Preprocessing(), "x",
        metadata=RULE, minimum_reader=2,
    )  # fmt: skip
    assert from_json(to_json(card)) == card
    with pytest.raises(ConfigError, match="gives other probabilities"):
        replace(card, minimum_reader=1)
    with pytest.raises(ConfigError, match="intercepts"):
        replace(card, metadata=RULE.only([0]))
    with pytest.raises(ConfigError, match="rows of weights"):
        replace(RULE, weights=RULE.weights[:2])


def test_plain_values_make_the_rule_again(tmp_path: Path) -> None:
    again = metadata_from(to_mapping(RULE))
    assert again is not None and again.weights == RULE.weights and again.coding == CODING
    assert metadata_from(None) is None
    with pytest.raises(BundleError, match="metadata rule"):
        metadata_from({"coding": {}})
    path = tmp_path / "metadata.json"
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"metadata\.json"):
        load_rule(path, ["Mass"], ["Mass"])


@pytest.mark.parametrize(
    ("written", "years"),
    [("045Y", 45), ("006M", 0.5), ("018W", 18 * 7 / 365.25), ("003D", 3 / 365.25),
     ("45", None), ("999Y", None), ("", None), ("-12Y", None)],
)  # fmt: skip
def test_ages_of_dicom_are_years(written: str, years: float | None) -> None:
    dataset = Dataset()
    dataset.add_new("PatientAge", "LO", written)
    found = age_years(dataset)
    assert found is None if years is None else found == pytest.approx(years)


def test_sexes_of_dicom() -> None:
    for written, told in (("F", "F"), ("M", "M"), ("O", None), ("", None)):
        dataset = Dataset()
        dataset.PatientSex = written
        assert sex(dataset) == told
    assert sex(Dataset()) is None and age_years(Dataset()) is None
