"""Phantoms: same seed, same image; and what is said of an image is true of it."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lucidray.config import from_mapping, to_mapping
from lucidray.datasets.phantom import FINDINGS, Phantom, PhantomConfig, make_phantom
from lucidray.datasets.phantom.case import draw_case, patient_of
from lucidray.errors import ConfigError, UnknownNameError
from lucidray.records import Bool

SMALL = PhantomConfig(size=128, devices=0.0, markers=False)


def only(finding: str, severity: float, index: int = 0, config: PhantomConfig = SMALL) -> Phantom:
    return make_phantom(11, index, config, severities={finding: severity})


def test_the_same_arguments_give_the_same_image_in_any_order() -> None:
    first = [make_phantom(5, i, SMALL).raw for i in (0, 1, 2)]
    again = [make_phantom(5, i, SMALL).raw for i in (2, 1, 0)][::-1]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[0], make_phantom(6, 0, SMALL).raw)


def test_another_process_gives_the_same_image() -> None:
    code = (
        "import hashlib; from lucidray.datasets.phantom import *;"
        "print(hashlib.sha256(make_phantom(5, 3, PhantomConfig(size=128)).raw.tobytes())"
        ".hexdigest())"
    )
    theirs = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    ours = hashlib.sha256(make_phantom(5, 3, PhantomConfig(size=128)).raw.tobytes()).hexdigest()
    assert theirs.stdout.strip() == ours


def test_pixels_are_the_stored_values() -> None:
    phantom = make_phantom(0, 0, SMALL)
    assert phantom.pixels.dtype == np.float32
    assert phantom.raw.dtype == np.uint16
    np.testing.assert_array_equal(phantom.pixels, phantom.raw / np.float32(65535))
    with pytest.raises(ValueError, match="read-only"):
        phantom.pixels[0, 0] = 1


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_every_image_is_whole_and_boxes_bound_its_lesions(seed: int, index: int) -> None:
    config = PhantomConfig(size=128, abundance=3.0)
    phantom = make_phantom(seed, index, config)
    assert np.isfinite(phantom.pixels).all()
    assert phantom.pixels.std() > 0.05
    assert phantom.lung_mask.mean() > 0.08
    assert set(phantom.lesion_masks) == set(phantom.severities)
    for box in phantom.boxes:
        assert 0 <= box.x_min < box.x_max <= 128
        assert 0 <= box.y_min < box.y_max <= 128
    for finding, mask in phantom.lesion_masks.items():
        assert _bounds(mask) == _hull(phantom, finding)


def _bounds(mask: Bool) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(mask)
    return (
        int(columns.min()),
        int(rows.min()),
        int(columns.max()) + 1,
        int(rows.max()) + 1,
    )


def _hull(phantom: Phantom, finding: str) -> tuple[int, int, int, int]:
    boxes = [box for box in phantom.boxes if box.finding == finding]
    return (
        min(box.x_min for box in boxes),
        min(box.y_min for box in boxes),
        max(box.x_max for box in boxes),
        max(box.y_max for box in boxes),
    )


def test_a_box_of_each_round_shadow_bounds_its_own_part() -> None:
    phantom = only("Mass", 0.8)
    labelled, count = ndimage.label(phantom.lesion_masks["Mass"])
    assert count == len(phantom.boxes) == 1
    assert _bounds(labelled == 1) == _hull(phantom, "Mass")


@pytest.mark.parametrize("finding", FINDINGS)
def test_a_finding_shows_where_its_mask_is_and_more_when_it_is_worse(finding: str) -> None:
    changes = []
    for index in (0, 1, 2):
        healthy = make_phantom(11, index, SMALL, severities={})
        nothing = only(finding, 0.0, index)
        np.testing.assert_array_equal(nothing.raw, healthy.raw)
        assert not nothing.boxes
        mild, severe = only(finding, 0.3, index), only(finding, 1.0, index)
        changes.append([np.abs(one.pixels - healthy.pixels).mean() for one in (mild, severe)])
        assert mild.labels[finding] == 1
        assert sum(mild.labels.values()) == 1
        assert mild.lesion_masks[finding].any()
    mild_change, severe_change = np.mean(changes, axis=0)
    assert 0 < mild_change < severe_change


@pytest.mark.parametrize(
    "finding", ["Consolidation", "Pneumonia", "Infiltration", "Mass", "Nodule", "Edema"]
)
def test_opacities_are_brighter_inside_and_lie_in_the_lungs(finding: str) -> None:
    healthy = make_phantom(11, 1, SMALL, severities={})
    phantom = only(finding, 0.9, 1)
    mask = phantom.lesion_masks[finding]
    shift = phantom.pixels - healthy.pixels
    assert shift[mask].mean() > shift[~mask & phantom.lung_mask].mean() + 0.02
    assert (mask & phantom.lung_mask).sum() > 0.6 * mask.sum()


def test_fibrosis_roughens_the_bases() -> None:
    config = PhantomConfig(size=256, devices=0.0, markers=False)
    healthy = make_phantom(11, 1, config, severities={})
    phantom = make_phantom(11, 1, config, severities={"Fibrosis": 1.0})
    mask = phantom.lesion_masks["Fibrosis"]

    def rough(pixels: np.ndarray) -> float:
        fine = pixels - ndimage.gaussian_filter(pixels, 2.0)
        return float(fine[mask & healthy.lung_mask].std())

    assert rough(phantom.pixels) > 1.25 * rough(healthy.pixels)
    rows = np.nonzero(phantom.lung_mask.any(axis=1))[0]
    assert np.nonzero(mask)[0].mean() > rows.mean()


def test_effusion_fills_the_base() -> None:
    phantom = only("Effusion", 0.6, 2)
    mask = phantom.lesion_masks["Effusion"]
    lung_rows = np.nonzero(phantom.lung_mask.any(axis=1))[0]
    middle = (lung_rows[0] + lung_rows[-1]) / 2
    assert np.nonzero(mask)[0].mean() > middle
    assert not (mask & ~phantom.lung_mask).any()


def test_pneumothorax_is_dark_and_reaches_the_apex() -> None:
    healthy = make_phantom(11, 1, SMALL, severities={})
    phantom = only("Pneumothorax", 0.8, 1)
    mask = phantom.lesion_masks["Pneumothorax"]
    assert (phantom.pixels - healthy.pixels)[mask].mean() < -0.01
    top = np.nonzero(phantom.lung_mask.any(axis=1))[0][0]
    assert np.nonzero(mask.any(axis=1))[0][0] <= top + 2


def test_emphysema_is_dark_and_flattens() -> None:
    healthy = make_phantom(11, 1, SMALL, severities={})
    phantom = only("Emphysema", 1.0, 1)
    assert phantom.lung_mask.sum() > healthy.lung_mask.sum()


def test_cardiomegaly_is_a_wide_heart_and_others_are_not() -> None:
    for index in range(12):
        healthy = make_phantom(11, index, SMALL, severities={})
        assert healthy.cardiothoracic_ratio <= 0.525
        mild = only("Cardiomegaly", 0.05, index)
        worst = only("Cardiomegaly", 1.0, index)
        assert 0.5 < mild.cardiothoracic_ratio < worst.cardiothoracic_ratio < 0.75


def test_the_ratio_agrees_with_the_masks() -> None:
    config = PhantomConfig(size=512, devices=0.0)
    phantom = make_phantom(11, 0, config, severities={"Cardiomegaly": 0.7})
    heart = _bounds(phantom.lesion_masks["Cardiomegaly"])
    lungs = _bounds(phantom.lung_mask)
    measured = (heart[2] - heart[0]) / (lungs[2] - lungs[0])
    assert measured == pytest.approx(phantom.cardiothoracic_ratio, abs=0.03)


def test_lungs_lie_on_their_own_sides() -> None:
    phantom = make_phantom(3, 0, SMALL, severities={})
    right, left = np.nonzero(phantom.right_lung)[1], np.nonzero(phantom.left_lung)[1]
    assert right.mean() < 64 < left.mean()
    assert right.size > left.size * 0.9
    outside = phantom.pixels[~phantom.lung_mask & (np.indices((128, 128))[0] > 100)]
    assert phantom.pixels[phantom.lung_mask].mean() < outside.mean()


def test_gaze_is_in_order_and_rests_on_lesions() -> None:
    phantom = only("Mass", 0.9, 3)
    times = [(f.start_s, f.start_s + f.duration_s) for f in phantom.fixations]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(times))
    on_lesion = [f for f in phantom.fixations if f.target == "Mass"]
    assert len(on_lesion) >= 3
    (box,) = phantom.boxes
    inside = [box.x_min <= f.x <= box.x_max and box.y_min <= f.y <= box.y_max for f in on_lesion]
    assert np.mean(inside) > 0.7
    assert all(0 <= f.x < 128 and 0 <= f.y < 128 for f in phantom.fixations)


def test_prevalences_are_those_asked_for_and_findings_keep_company() -> None:
    config = PhantomConfig(child_share=0.0, images_per_patient=1)
    cases = [draw_case(1, i, config).severities for i in range(4000)]
    labels = np.array([[name in case for name in FINDINGS] for case in cases])
    expected = np.array([config.prevalence(name) for name in FINDINGS])
    spread = np.sqrt(expected * (1 - expected) / len(cases))
    assert (np.abs(labels.mean(axis=0) - expected) < 4 * spread + 1e-3).all()
    pair = labels[:, [FINDINGS.index("Edema"), FINDINGS.index("Effusion")]]
    assert pair.all(axis=1).mean() > 2 * pair[:, 0].mean() * pair[:, 1].mean()
    everything = [value for case in cases for value in case.values()]
    assert min(everything) >= config.mildest
    assert max(everything) <= config.severest


@pytest.mark.parametrize("strength", [0.0, 0.6, 1.0])
def test_the_planted_tag_goes_with_its_finding_as_strongly_as_asked(strength: float) -> None:
    config = PhantomConfig(
        shortcut="Effusion", shortcut_strength=strength, prevalences={"Effusion": 0.4}
    )
    cases = [draw_case(2, i, config) for i in range(3000)]
    has = np.array(["Effusion" in case.severities for case in cases], float)
    tag = np.array([case.shortcut for case in cases], float)
    assert np.corrcoef(has, tag)[0, 1] == pytest.approx(strength, abs=0.06)


def test_the_tag_is_where_its_mask_says_and_off_the_lungs() -> None:
    config = PhantomConfig(
        size=256, shortcut="Mass", shortcut_strength=1.0, prevalences={"Mass": 1.0}, child_share=0.0
    )
    phantom = make_phantom(4, 0, config)
    assert phantom.shortcut
    without = make_phantom(4, 0, PhantomConfig(size=256, prevalences={"Mass": 1.0}, child_share=0))
    assert not without.shortcut
    assert not without.shortcut_mask.any()
    changed = np.abs(phantom.pixels - without.pixels)
    assert changed[phantom.shortcut_mask].mean() > 10 * changed[~phantom.shortcut_mask].mean()
    assert not (phantom.shortcut_mask & phantom.lung_mask).any()


def test_patients_have_several_images_and_keep_sex_and_bones() -> None:
    places = [patient_of(0, i, 3.6) for i in range(640)]
    assert len(set(places)) == 640
    assert 2.5 < 640 / len({number for number, _ in places}) < 5
    cases = [draw_case(0, i, PhantomConfig()) for i in range(64)]
    for before, after in itertools.pairwise(cases):
        if before.patient.number == after.patient.number:
            assert before.patient.sex == after.patient.sex
            assert before.patient.age_years <= after.patient.age_years
            assert after.patient.follow_up == before.patient.follow_up + 1


def test_only_grown_people_have_the_diseases_of_age() -> None:
    config = PhantomConfig(child_share=1.0, abundance=5)
    for index in range(40):
        case = draw_case(0, index, config)
        if case.patient.age_years < 16:
            assert "Emphysema" not in case.severities


def test_config_goes_to_plain_values_and_back() -> None:
    config = PhantomConfig(size=256, prevalences={"Mass": 0.5}, shortcut="Mass")
    assert from_mapping(PhantomConfig, to_mapping(config), where="test") == config


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 500},
        {"size": 64},
        {"mildest": 0.0},
        {"mildest": 0.9, "severest": 0.5},
        {"prevalences": {"Mass": 1.5}},
        {"prevalences": {"Mas": 0.5}},
        {"shortcut": "Flu"},
        {"shortcut_strength": 2.0},
        {"images_per_patient": 0.5},
        {"abundance": -1.0},
    ],
)
def test_wrong_configs_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"expected|did you mean|Choose"):
        PhantomConfig(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        from_mapping(PhantomConfig, wrong, where="phantoms.toml")


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(ConfigError, match="seed is -1"):
        make_phantom(-1, 0, SMALL)
    with pytest.raises(UnknownNameError, match="Hernia"):
        make_phantom(0, 0, SMALL, severities={"Hernja": 1.0})
    with pytest.raises(ConfigError, match="expected 0 to 1"):
        make_phantom(0, 0, SMALL, severities={"Hernia": 2.0})
