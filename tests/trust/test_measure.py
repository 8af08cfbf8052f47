"""What the report measures, on phantoms whose truth is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from trust_stand_ins import EFFORT, FINDING

from lucidray.errors import ConfigError, DataError, ModelError, UnknownNameError
from lucidray.trust import Effort, from_json, measure_trust
from lucidray.trust.aspects import PLACE


@pytest.fixture
def found(report):
    return report.findings[0]


@pytest.fixture
def place(found):
    return {method.method: method.aspect("localization") for method in found.methods}


@pytest.mark.parametrize("measure", PLACE)
def test_the_truth_scores_one_uniform_chance_and_the_inverse_below(place, measure):
    oracle, uniform, inverted = (place[name].get(measure) for name in
                                 ("oracle", "uniform", "inverted"))  # fmt: skip
    assert oracle.value == pytest.approx(1, abs=0.01)
    chance = place["oracle"].chance_of(measure, "uniform").value
    assert uniform.value == pytest.approx(chance, abs=1e-9)
    assert uniform.low - 1e-9 <= chance <= uniform.high + 1e-9
    assert inverted.value < chance or inverted.value == chance == 0
    assert place["oracle"].gain_over(measure, "uniform").low > 0


def test_a_map_without_evidence_misses_and_is_counted(place, found):
    aspect = place["nothing"]
    assert aspect.counts == {"no_positive_evidence": found.images}
    assert aspect.get("map_iou").value == aspect.get("pointing_game").value == 0
    assert aspect.get("energy_inside").undefined == found.images


def test_films_show_the_finding_and_are_all_accounted_for(report, found, table):
    shown = int((table.labels([FINDING]) == 1).sum())
    assert found.images == found.patients == min(EFFORT.images, shown)
    assert found.truth == "masks"
    assert found.lungs == "the data set's own outlines"
    assert report.simulated


def test_heat_outside_the_lungs_and_on_the_tag(found):
    by_name = {method.method: method for method in found.methods}
    lungs = by_name["uniform"].aspect("lungs")
    outside = lungs.get("outside_lungs").value
    assert outside == pytest.approx(lungs.chance_of("outside_lungs", "uniform").value)
    assert 0.4 < outside < 0.9, "lungs fill a part of a film"
    assert by_name["oracle"].aspect("lungs").get("outside_lungs").value < outside
    assert by_name["oracle"].aspect("tag").get("energy_inside").value == 0


def test_randomization_is_passed_by_what_knows_and_failed_by_what_does_not(found):
    outcomes = {method.method: method.aspect("sanity").outcome for method in found.methods}
    expected = {"oracle": "passes", "uniform": "fails", "inverted": "fails", "nothing": "undefined"}
    assert outcomes == expected


def test_verdicts_follow_the_figures(found):
    grades = {method.method: method.verdict.grade for method in found.methods}
    assert grades["inverted"] == "not supported"
    assert grades["oracle"] in ("supported", "limited")
    text = {method.method: method.verdict.text for method in found.methods}
    assert text["oracle"].startswith("Locates Mass above chance (IoU 1.00")
    assert "below chance" in text["inverted"]


def test_methods_are_compared_with_each_other(found):
    alike = found.agreement["oracle ~ inverted"].get("rank_correlation")
    assert alike.high < 0


def test_best_and_worst_films_have_pictures(report, found):
    cases = found.methods[0].cases
    assert [case.kind for case in cases] == ["best", "best", "worst", "worst"]
    for case in cases:
        picture = report.pictures[f"{FINDING}/{case.picture}"]
        assert picture.dtype == np.uint8
        assert (picture == (0, 229, 255)).all(axis=-1).any(), "the truth is drawn"


def test_the_report_survives_json(report):
    values = json.loads(json.dumps(report.to_json(), allow_nan=False))
    again = from_json(values)
    assert again.to_json() == report.to_json()
    assert again.findings[0].methods[0].verdict == report.findings[0].methods[0].verdict
    assert "pictures" not in values


def test_the_same_again_gives_the_same_figures(known, table, report):
    again = measure_trust(known, table, effort=EFFORT, methods=["oracle"])
    one, two = (each.findings[0].methods[0] for each in (again, report))
    assert one.aspects["localization"] == two.aspects["localization"]


def test_what_is_unknown_is_refused(known, table):
    with pytest.raises(UnknownNameError, match="finding of this model 'Hernia'"):
        measure_trust(known, table, findings=["Hernia"])
    with pytest.raises(UnknownNameError, match="did you mean 'oracle'"):
        measure_trust(known, table, methods=["oracel"])
    with pytest.raises(ConfigError, match="no method is named"):
        measure_trust(known, table, methods=[])
    with pytest.raises(DataError, match="shows Effusion; a map is measured where the finding is"):
        measure_trust(known, table, findings=["Effusion"])
    with pytest.raises(ConfigError, match="removal_steps is 1"):
        Effort(removal_steps=1)


class Picky:
    """A model that one method cannot explain."""

    def __init__(self, known):
        self.known = known

    def __getattr__(self, name):
        return getattr(self.known, name)

    def explain(self, squares, finding, method):
        if method == "inverted":
            raise ModelError("no rectifiers.")
        return self.known.explain(squares, finding, method)


def test_a_method_that_cannot_explain_the_model_is_left_out_or_refused(known, table, monkeypatch):
    monkeypatch.setattr("lucidray.trust.measure.METHODS", ("oracle", "inverted"))
    quick = replace(EFFORT, images=4, removal_images=0, road_images=0, sanity_images=0,
                    noise_images=0, moved_images=0)  # fmt: skip
    found = measure_trust(Picky(known), table, effort=quick)
    assert [method.method for method in found.findings[0].methods] == ["oracle"]
    assert found.left_out == {"inverted": "no rectifiers."}
    with pytest.raises(ModelError, match="no rectifiers"):
        measure_trust(Picky(known), table, effort=quick, methods=["inverted"])


def test_stages_are_told_from_beginning_to_end(known, table):
    told = {}

    def stage(label):
        return lambda done, total: told.__setitem__(label, (done, total))

    quick = replace(EFFORT, images=4, removal_images=2, noise_images=0, moved_images=0)
    measure_trust(known, table, effort=quick, methods=["oracle"], stage=stage)
    assert all(done == total for done, total in told.values()), told
    assert {"Reading films", "Explaining films", "Forgetting the network"} <= told.keys()
