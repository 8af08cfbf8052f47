"""Parts of the Grad-CAM region experiment: inputs, fitting, regions, numbers, printed tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lucidray.errors import UnknownNameError
from lucidray.images.roi import overlay_roi
from lucidray.models import Classifier, ModelSpec, build_model, freeze
from lucidray.papers.cam_roi import fitting
from lucidray.papers.cam_roi.background import contradictions
from lucidray.papers.cam_roi.fitting import Schedule, Task, fit
from lucidray.papers.cam_roi.measure import measure
from lucidray.papers.cam_roi.networks import build, feed, input_of, map_input_of
from lucidray.papers.cam_roi.phases import Arm
from lucidray.papers.cam_roi.protocol import settings, words
from lucidray.papers.cam_roi.published import CHEST, CLASSES, FIRST, SECOND
from lucidray.papers.cam_roi.regions import view_of


@pytest.fixture(scope="module")
def model() -> Classifier:
    torch.manual_seed(0)
    spec = ModelSpec(backbone="test_efficientnet", pool="avg")
    return build_model(spec, ("a", "b"), exclusive=True, image_size=32)


def test_the_fault_makes_all_inputs_nearly_alike(model: Classifier) -> None:
    pixels = np.stack([np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8)])
    black, white = feed(pixels, "twice", model)
    right = feed(pixels, "own", model)
    assert torch.allclose((white - black) * 255, right[1] - right[0], atol=1e-4)
    assert feed(pixels, "unit", model).max() == 1
    assert feed(pixels, "tf", model).min() == -1
    assert feed(pixels, "caffe", model)[0, 0, 0, 0] == pytest.approx(-103.939)


def test_color_reaches_the_network_as_red_green_blue(model: Classifier) -> None:
    pixels = np.zeros((1, 4, 4, 3), np.uint8)
    pixels[..., 0] = 255
    assert feed(pixels, "unit", model).mean((0, 2, 3)).tolist() == [1, 0, 0]


def test_only_faithful_has_the_fault() -> None:
    faithful, careful = settings("faithful", "full"), settings("careful", "full")
    assert input_of("EfficientNetB4", faithful) == "twice"
    assert input_of("DenseNet201", faithful) == "unit"
    assert map_input_of("VGG16", faithful) == "caffe"
    assert {input_of(role, careful) for role in careful.networks} == {"own"}
    assert {map_input_of(role, careful) for role in careful.networks} == {"own"}


def test_frozen_filters_have_a_scale_and_stay_as_they_are() -> None:
    chosen = settings("careful", "smoke")
    pixels = np.random.default_rng(0).integers(0, 255, (20, 32, 32)).astype(np.uint8)
    made = [
        build("Xception", "frozen", ("a", "b"), chosen, hidden=True, seed=1, settle_on=pixels)
        for _ in range(2)
    ]
    one, other = (network.state_dict() for network in made)
    assert all(torch.equal(one[name], other[name]) for name in one)
    features = made[0].eval().features(feed(pixels, "own", made[0]))
    assert 0.01 < float(features.std()) < 100
    assert not any(weight.requires_grad for weight in made[0].backbone.parameters())


def _task() -> Task:
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    pixels = rng.integers(0, 60, (40, 16, 16)).astype(np.uint8)
    pixels[labels == 1, :8] += 150
    return Task(pixels, labels.astype(np.int64), np.arange(30), np.arange(30, 40), "unit")


def _make() -> Classifier:
    torch.manual_seed(3)
    spec = ModelSpec(backbone="baseline_cnn", pool="avg", dropout_before=0.2)
    made = build_model(spec, ("a", "b"), exclusive=True, image_size=16)
    freeze(made, "full")
    return made


def test_an_interrupted_training_ends_as_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Schedule(epochs=3, batch_size=8, learning_rate=1e-3, keep_best=True, seed=0)
    whole = fit(_make, _task(), plan, tmp_path / "whole", key="k")
    monkeypatch.setattr(fitting, "_SAVE_EVERY", -1.0)

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(_make, _task(), plan, tmp_path / "cut", key="k", progress=stop)
    assert (tmp_path / "cut" / "state.pt").is_file()
    told: list[int] = []
    again = fit(
        _make, _task(), plan, tmp_path / "cut", key="k", progress=lambda a, _: told.append(a)
    )
    assert told == [3]
    np.testing.assert_allclose(again.logits, whole.logits, atol=1e-6)
    assert again.history == whole.history
    other = fit(
        _make, _task(), plan, tmp_path / "cut", key="other", progress=lambda a, _: told.append(a)
    )
    assert told[1:] == [1, 2, 3]
    np.testing.assert_allclose(other.logits, whole.logits, atol=1e-6)


def test_features_computed_once_give_what_computing_them_anew_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make() -> Classifier:
        made = _make()
        freeze(made, "last_fraction", fraction=0.3)
        return made

    plan = Schedule(epochs=1, batch_size=8, learning_rate=1e-3, keep_best=False, seed=0)
    once = fit(make, _task(), plan, tmp_path / "once", key="k")
    monkeypatch.setattr(fitting, "_MEMORY", 0)
    anew = fit(make, _task(), plan, tmp_path / "anew", key="k")
    np.testing.assert_allclose(once.logits, anew.logits, atol=1e-5)
    assert once.frozen > 0


def test_views_show_what_they_say() -> None:
    pixels = np.full((8, 8), 200, np.uint8)
    values = np.zeros((8, 8), np.float32)
    values[:4, :4] = 1
    hidden = view_of(pixels, values, "hidden")
    assert hidden[:4, :4].min() == 200
    assert hidden[4:].max() == 0
    unit = (pixels / 255).astype(np.float32)
    np.testing.assert_array_equal(
        view_of(pixels, values, "overlay"), overlay_roi(unit, values, threshold=0.3, opacity=0.3)
    )
    assert view_of(pixels, values, "cropped").shape == (8, 8)
    assert view_of(pixels, values, "faded")[7, 7] == 0
    assert view_of(pixels, values, "full") is pixels
    assert view_of(pixels, -values, "hidden").max() == 0
    with pytest.raises(UnknownNameError):
        view_of(pixels, values, "square")


def test_differences_are_paired_and_exact() -> None:
    truth = np.array([0, 0, 1, 1, 1, 0, 1, 0])
    full, roi = truth.copy(), truth.copy()
    full[:5], roi[7] = 1 - full[:5], 1 - roi[7]
    arms = Arm(2, "DenseNet201", "partly", "full"), Arm(2, "DenseNet201", "partly", "overlay")
    logits = {
        arm: (10 * np.eye(2)[called])[None] for arm, called in zip(arms, (full, roi), strict=True)
    }
    found = measure(truth, np.arange(8), logits, ("a", "b"), n_boot=200)
    item = found.difference(arms[1])
    assert item.accuracy.value == pytest.approx(4 / 8)
    assert (item.gained, item.lost) == (5, 1)
    # Mid-p of 1 in 6 differing pairs: 2 P(X <= 1) - P(X = 1) = 14/64 - 6/64.
    assert item.mcnemar_p == pytest.approx((8 / 64,))
    assert item.adjusted_p == pytest.approx(8 / 64)
    assert found.values[arms[1]]["recall, a"].value == pytest.approx(3 / 4)
    assert found.values[arms[0]]["accuracy"].value == pytest.approx(3 / 8)


def test_published_tables_are_those_of_the_source(request: pytest.FixtureRequest) -> None:
    shared = request.config.rootpath.parent / "shared" / "published_tables.json"
    if not shared.is_file():
        pytest.skip("published_tables.json is not here")
    told = json.loads(shared.read_text(encoding="utf-8"))["S0_000_laghouat"]
    for name, chapter in (("chest_multiclass", "chest"), ("brain_mri", "brain")):
        given = list(told["table4.5"][chapter].values())
        wanted = [given[i] for i in range(8)]
        ours = list(SECOND[name].rows.values())
        assert sorted(ours) == sorted((row[0] / 100, row[1], row[2]) for row in wanted)
    first = told["table4.2_chest_phase1"]
    row = FIRST[CHEST].rows["VGG16"]
    assert list(row) == [first["VGG16"][1] / 100, first["VGG16"][0], first["VGG16"][2]]
    classes = told["phase2_DN201_S2_P_R_F1"]["chest"]["Normal"]
    assert [100 * float(x or 0) for x in CLASSES[CHEST].rows["Normal"]] == pytest.approx(
        classes["NoROI"] + classes["ROI"]
    )


def test_the_printed_brain_table_contradicts_itself() -> None:
    found = "\n".join(contradictions())
    assert "full images: consistent" in found
    assert "ROI: " in found
    assert "97" in found


def test_the_protocol_names_the_fault_in_one_mode_only() -> None:
    assert "[0, 1]-input fault" in " ".join(words("faithful", "full"))
    assert "[0, 1]-input fault" not in " ".join(words("careful", "full"))
    assert "cross-fitted" in " ".join(words("careful", "small"))
