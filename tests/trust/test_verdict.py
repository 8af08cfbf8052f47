"""From figures to words, at every border."""

from __future__ import annotations

import pytest

from lucidray.records import Measurement
from lucidray.trust import Aspect, verdict
from lucidray.trust.verdict import FEWEST, TAG_RATIO, is_exposed

NAN = float("nan")


def measured(name, value, low=NAN, high=NAN, count=50):
    return Measurement(name, value, low=low, high=high, count=count)


def place(gain=(0.1, 0.2), *, prior=(0.01, 0.2), count=50, value=0.31):
    gains = {name: measured("map_iou", 0.15, *gain) for name in ("uniform", "center")}
    gains["prior"] = measured("map_iou", 0.1, *prior)
    chance = {"uniform": 0.12, "center": 0.1, "prior": 0.25}
    return Aspect(
        {"map_iou": measured("map_iou", value, 0.27, 0.35, count)},
        {"map_iou": {name: measured("map_iou", each) for name, each in chance.items()}},
        {"map_iou": gains},
    )


def answer(low=0.1, high=0.3, count=50):
    return Aspect({"faithfulness_gap": measured("faithfulness_gap", 0.2, low, high, count)})


def lungs(share=0.14, gain=(-0.6, -0.4)):
    return Aspect(
        {"outside_lungs": measured("outside_lungs", share)},
        {},
        {"outside_lungs": {"uniform": measured("outside_lungs", -0.5, *gain)}},
    )


def tag(heat, low, chance=0.01):
    return Aspect(
        {"energy_inside": measured("energy_inside", heat, low, heat)},
        {"energy_inside": {"uniform": measured("energy_inside", chance)}},
        {"energy_inside": {"uniform": measured("energy_inside", heat - chance, low, heat)}},
    )


def moves(low, high):
    gain = measured("map_ssim", (low + high) / 2, low, high)
    return Aspect({"map_ssim": measured("map_ssim", 0.8)}, {}, {"map_ssim": {"others": gain}})


GOOD = {
    "localization": place(),
    "faithfulness": answer(),
    "sanity": Aspect(outcome="passes"),
    "lungs": lungs(),
    "moves": moves(0.1, 0.2),
}


def judged(finding="Lung Opacity", **changes):
    return verdict(finding, GOOD | changes)


def test_all_is_well():
    assert judged() == verdict("Lung Opacity", GOOD)
    assert judged().grade == "supported"
    assert judged().text == (
        "Locates Lung Opacity above chance (IoU .31 [.27–.35] vs .12); the answer hangs on what it "
        "marks (gap .20 [.10–.30]); passes randomization; 14 % of its heat lies outside the lungs."
    )


@pytest.mark.parametrize(
    ("aspect", "changed", "grade", "words"),
    [
        ("localization", place((0.0, 0.2)), "limited", "does not locate Lung Opacity above"),
        ("localization", place((1e-9, 0.2)), "supported", "locates Lung Opacity above chance"),
        ("localization", place((-0.2, 0.0)), "limited", "does not locate Lung Opacity above"),
        ("localization", place((-0.2, -1e-9)), "not supported", "below chance"),
        ("localization", place(prior=(0.0, 0.1)), "limited", "no better than its usual place (.25"),
        ("localization", place(prior=(NAN, NAN)), "supported", "locates Lung Opacity above chance"),
        ("localization", place(count=FEWEST - 1), "limited", f"are marked ({FEWEST - 1})"),
        ("localization", place(count=FEWEST), "supported", "locates Lung Opacity above chance"),
        ("faithfulness", answer(0.0), "limited", "does not clearly hang on it"),
        ("faithfulness", answer(-0.3, 0.0), "limited", "does not clearly hang on it"),
        ("faithfulness", answer(-0.3, -1e-9), "not supported", "hangs on what it leaves out"),
        ("faithfulness", answer(count=FEWEST - 1), "limited", "too few films"),
        ("sanity", Aspect(outcome="fails"), "not supported", "fails randomization"),
        ("sanity", Aspect(outcome="undecided"), "limited", "randomization is undecided"),
        ("sanity", Aspect(outcome="undefined"), "limited", "randomization is undefined"),
        ("sanity", Aspect(missing="not measured: needs the run"), "limited",
         "randomization not measured: needs the run"),
        ("moves", moves(0.0, 0.1), "limited", "changes with small moves"),
        ("moves", moves(-0.1, 0.0), "limited", "changes with small moves"),
        ("moves", moves(1e-9, 0.1), "supported", "passes randomization"),
        ("lungs", lungs(0.7, (-0.1, 0.0)), "limited", "outside the lungs, no less"),
        ("lungs", lungs(0.7, (-0.1, -1e-9)), "supported", "70 % of its heat lies outside"),
        ("tag", tag(0.5, 0.1), "not supported", "falls on a planted tag (share .500"),
        ("tag", tag(0.01, -0.1), "supported", "passes randomization"),
    ],
)  # fmt: skip
def test_each_border(aspect, changed, grade, words):
    found = judged(**{aspect: changed})
    assert found.grade == grade
    assert words.casefold() in found.text.casefold()


def test_heat_outside_the_lungs_speaks_only_against_what_lies_in_them():
    heart = judged("Cardiomegaly", lungs=lungs(0.9, (0.1, 0.2)))
    assert heart.grade == "supported"
    assert "90 % of its heat lies outside the lungs." in heart.text


def test_without_marks_the_answer_and_randomization_have_to_hold():
    unmarked = Aspect(missing="nobody has marked the place")
    assert judged(localization=unmarked).grade == "supported"
    assert judged(localization=unmarked, faithfulness=answer(-0.1)).grade == "limited"
    assert verdict("Mass", {}).grade == "unknown"
    assert verdict("Mass", {"sanity": Aspect(outcome="fails")}).grade == "not supported"


def test_a_tag_is_exposed_from_a_multiple_of_the_uniform_share_on():
    assert is_exposed(tag(TAG_RATIO * 0.01, 0.001))
    assert not is_exposed(tag(TAG_RATIO * 0.01 - 1e-9, 0.001))
    assert not is_exposed(tag(0.5, 0.0)), "the interval has to lie above"
    assert not is_exposed(Aspect(missing="no tag"))
