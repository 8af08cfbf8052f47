"""Findings: one name each, codes that are well formed, no spelling that means two things."""

from __future__ import annotations

import pytest

from lucidray.errors import UnknownNameError
from lucidray.findings import (
    CHESTXRAY14,
    CHEXPERT,
    FINDINGS,
    SPELLINGS,
    canonical,
    is_known,
    spellings,
)


def _verhoeff_ok(number: str) -> bool:
    """Check digit of a SNOMED CT identifier (SNOMED CT Technical Implementation Guide, 5.5)."""
    dihedral = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ]
    permuted = [list(range(10)), [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
    while len(permuted) < 8:
        permuted.append([permuted[-1][permuted[1][digit]] for digit in range(10)])
    check = 0
    for place, digit in enumerate(reversed(number)):
        check = dihedral[check][permuted[place % 8][int(digit)]]
    return check == 0


def test_snomed_codes_carry_a_valid_check_digit():
    assert _verhoeff_ok("233604007")
    assert not _verhoeff_ok("233604008")
    for finding in FINDINGS.values():
        if finding.snomed is not None:
            assert _verhoeff_ok(finding.snomed), finding
            assert finding.snomed[-3:-1] == "00", "a concept of the core release"


def test_codes_are_not_shared_and_radlex_ids_are_well_formed():
    for kind in ("snomed", "radlex"):
        codes = [getattr(f, kind) for f in FINDINGS.values() if getattr(f, kind)]
        assert len(codes) == len(set(codes))
    for finding in FINDINGS.values():
        assert finding.radlex is None or (
            finding.radlex.startswith("RID") and finding.radlex[3:].isdigit()
        )


def test_label_sets_are_canonical_and_complete():
    assert len(CHESTXRAY14) == len(CHEXPERT) == 14
    assert list(CHESTXRAY14) == sorted(CHESTXRAY14)
    assert set(CHESTXRAY14) | set(CHEXPERT) <= set(FINDINGS)


def test_every_spelling_leads_to_its_finding_and_none_is_ambiguous():
    seen: dict[str, str] = {}
    for table in SPELLINGS.values():
        for spelled, name in table.items():
            assert name in FINDINGS
            assert canonical(spelled) == name
            assert seen.setdefault(spelled.casefold(), name) == name
    for name in FINDINGS:
        assert canonical(name) == canonical(name.upper().replace(" ", "_")) == name


@pytest.mark.parametrize(
    ("spelled", "expected"),
    [
        ("Pleural_Thickening", "Pleural Thickening"),
        ("Infiltrate", "Infiltration"),
        ("NORMAL", "Normal"),
        ("No finding", "No Finding"),
        ("no_tumor", "No Tumor"),
        ("pituitary_tumor", "Pituitary Tumor"),
        ("covid-19", "COVID-19"),
    ],
)
def test_publishers_spellings(spelled, expected):
    assert canonical(spelled) == expected
    assert is_known(spelled)


def test_an_unknown_finding_names_the_nearest():
    assert not is_known("Pneumnia")
    with pytest.raises(UnknownNameError, match="did you mean 'Pneumonia'"):
        canonical("Pneumnia")
    with pytest.raises(UnknownNameError, match="unknown finding"):
        spellings("Pneumnia", "padchest")


def test_spellings_of_one_data_set():
    assert spellings("Lung Opacity", "chexlocalize") == ("Airspace Opacity",)
    assert spellings("Pneumonia", "chexpert") == ()
