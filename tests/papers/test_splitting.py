"""Who trains, who validates, who judges."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lucidray.errors import DataError
from lucidray.papers.lung_crop.protocol import settings
from lucidray.papers.lung_crop.splitting import divide

CAREFUL = settings("careful", "full", pretrained=False)
FAITHFUL = settings("faithful", "full", pretrained=False)


def patients(divided: object, name: str) -> set[str]:
    return set(divided.table.split(name).rows["patient"])  # type: ignore[attr-defined]


@pytest.mark.parametrize("chosen", [CAREFUL, FAITHFUL], ids=["careful", "faithful"])
def test_a_test_split_is_carved_out_by_patient_where_there_is_none(
    films: Path, chosen: object
) -> None:
    divided = divide(films, chosen)  # type: ignore[arg-type]
    assert not divided.official_test
    judges = patients(divided, "test")
    assert judges
    assert not judges & (patients(divided, "train") | patients(divided, "validation"))
    share = len(divided.table.split("test")) / divided.available
    assert share == pytest.approx(0.2, abs=0.05)


def test_careful_validation_shares_no_patient(films: Path) -> None:
    divided = divide(films, CAREFUL)
    assert divided.shared_patients == 0
    assert not patients(divided, "train") & patients(divided, "validation")


def test_faithful_validation_shares_patients_and_says_how_many(films: Path) -> None:
    divided = divide(films, FAITHFUL)
    shared = patients(divided, "train") & patients(divided, "validation")
    assert divided.shared_patients == len(shared) > 0


@pytest.mark.parametrize("chosen", [CAREFUL, FAITHFUL], ids=["careful", "faithful"])
def test_the_official_test_split_is_used_and_official_validation_is_trained_on(
    films_with_test: Path, chosen: object
) -> None:
    divided = divide(films_with_test, chosen)  # type: ignore[arg-type]
    assert divided.official_test
    test = divided.table.split("test").rows["path"].astype(str)
    assert test.str.contains("/test/").all()
    assert len(test) == len(list((films_with_test / "test").rglob("*.jpeg")))
    rest = divided.table.rows[divided.table.rows["split"] != "test"]["path"].astype(str)
    assert rest.str.contains("/val/").any()


def test_the_division_is_the_same_each_time(films: Path) -> None:
    first, second = divide(films, CAREFUL).table.rows, divide(films, CAREFUL).table.rows
    np.testing.assert_array_equal(first["split"], second["split"])


def test_a_limit_keeps_whole_patients(films: Path) -> None:
    whole = divide(films, CAREFUL).table.rows
    few = divide(films, replace(CAREFUL, images=60)).table.rows
    assert len(few) <= 60 < len(whole)
    sizes = whole.groupby("patient").size()
    for patient, size in few.groupby("patient").size().items():
        assert size == sizes[patient]


def test_counts_are_those_of_the_files(films: Path) -> None:
    counts = divide(films, CAREFUL).counts()
    for name in ("normal", "pneumonia"):
        files = len(list((films / "train" / name.upper()).iterdir()))
        assert sum(row[name] for row in counts.values()) == files


def test_too_few_patients_are_refused(few_films: Path) -> None:
    with pytest.raises(DataError, match="both classes are needed"):
        divide(few_films, CAREFUL)


@pytest.mark.data
def test_the_real_films_divide_as_the_page_says(real_data: Path) -> None:
    divided = divide(real_data / "pediatric_pneumonia", CAREFUL)
    assert divided.available == 5216
    assert sum(sum(row.values()) for row in divided.counts().values()) == 5216
    assert divided.shared_patients == 0
    faithful = divide(real_data / "pediatric_pneumonia", FAITHFUL)
    assert faithful.shared_patients > 100
