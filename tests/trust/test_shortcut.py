"""A model that looks at a planted tag is exposed, and one that does not is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from trust_stand_ins import EFFORT, FINDING, SIDE, Looker

from lucidray.errors import DataError
from lucidray.images.preprocessing import Preprocessing
from lucidray.trust import measure_trust
from lucidray.trust.network import NetworkSubject
from lucidray.trust.page import trust_page
from lucidray.trust.page_shortcut import REVEALED, shortcut_blocks
from lucidray.trust.result import ShortcutTest
from lucidray.trust.shortcut import ShortcutSetting, compare_tag_heat
from lucidray.trust.verdict import is_exposed

METHODS = ("grad_cam", "layer_cam")
QUICK = replace(EFFORT, road_images=0, noise_images=0, moved_images=0)


def subject(corner, rest):
    image = Preprocessing(size=SIDE, normalization="unit", channels=1)
    return NetworkSubject((Looker(corner, rest).eval(),), image, name="by hand")


@pytest.fixture(scope="module")
def pair():
    """One looks at the corner, the other everywhere else."""
    return subject(30.0, 0.0), subject(0.0, 30.0)


def test_the_report_exposes_a_shortcut_and_no_clean_model(pair, table):
    grades, titles = [], []
    for each in pair:
        found = measure_trust(each, table, effort=QUICK, methods=METHODS)
        grades.append([is_exposed(method.aspect("tag")) for method in found.findings[0].methods])
        titles.append([note.title for note in trust_page(found).notes])
    assert grades == [[True, True], [False, False]]
    assert "This model has learned a shortcut" in titles[0]
    assert "This model has learned a shortcut" not in titles[1]


def test_methods_tell_the_two_apart_on_the_same_films(pair, table):
    (planted, clean), images = compare_tag_heat(*pair, table, FINDING, METHODS, n_boot=200)
    assert images == int((table.rows["shortcut"] == 1).sum())
    assert all(is_exposed(planted[name]) for name in METHODS)
    assert not any(is_exposed(clean[name]) for name in METHODS)
    test = ShortcutTest(FINDING, images, planted, clean, {"shortcut": 0.5, "clean": 0.9}, 60.0)
    shown = list(shortcut_blocks(test))[1]
    assert [row[-1] for row in shown.rows] == ["yes", "yes"]
    swapped = list(shortcut_blocks(replace(test, planted=clean, clean=planted)))[1]
    assert {row[-1] for row in swapped.rows} == {REVEALED[False, True]}


def test_films_without_a_tag_are_refused(pair, table):
    plain = table.where((table.rows["shortcut"] != 1).to_numpy())
    with pytest.raises(DataError, match="none of these films has a planted tag"):
        compare_tag_heat(*pair, plain, FINDING, METHODS)


def test_the_two_series_differ_by_the_tag_alone():
    setting = ShortcutSetting()
    planted, clean = setting.phantoms(1.0), setting.phantoms(0.0)
    assert replace(planted, shortcut_strength=0.0) == clean
    assert setting.recipe().data.findings == ("Effusion",)
