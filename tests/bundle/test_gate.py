"""A bundle refuses what its gate says, with a reason, and only then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.feature import hog

from lucidray.bundle import load_bundle
from lucidray.bundle.archive import read, write
from lucidray.bundle.card import from_json, to_json
from lucidray.bundle.gate import (
    REFUSING,
    Gate,
    Gatekeeper,
    LikenessRule,
    describe,
    gate_from,
    read_rule,
    refuse_quality,
    write_rule,
)
from lucidray.errors import BundleError, ConfigError, ShapeError
from lucidray.images.read import xray_from_array

Picture = np.ndarray
FEATURES = 768


def film(seed: int = 0, shape: tuple[int, int] = (300, 280)) -> Picture:
    """A crude chest: bright middle, dark lungs and corners, ribs and noise."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]] / max(shape) - 0.5
    body = 0.75 * np.exp(-((x / 0.42) ** 6)) * (y > -0.35)
    lungs = sum(np.exp(-(((x - s) / 0.13) ** 4) - (((y + 0.05) / 0.3) ** 4)) for s in (-0.23, 0.23))
    ribs = 0.06 * np.sin(60 * y + 8 * np.abs(x)) * lungs
    noise = np.random.default_rng(seed).normal(0, 0.01, x.shape)
    return np.clip(0.05 + body - 0.45 * lungs + ribs + noise, 0, 1).astype(np.float32)


def with_gate(source: Path, target: Path, gate: Gate, member: bytes | None) -> Path:
    """Write a copy of a bundle with a gate."""
    members = dict(read(source).members)
    members["card.json"] = to_json(replace(from_json(members["card.json"]), gate=gate)).encode()
    if member is not None:
        members["gate.npz"] = member
    write(target, members)
    return target


def constant_rule(size: int, bias: float, weight: float = 0.0) -> LikenessRule:
    """A rule that adds a weighted sum of all features, where it is positive, to the bias."""
    one = np.ones(1, np.float32)
    return LikenessRule(np.full((size, 1), weight, np.float32), 0 * one, one, bias)


def rule_for(path: Path, bias: float) -> bytes:
    """A rule by which every image is as likely as the bias says."""
    size = len(load_bundle(path).read(film()).embedding)
    return write_rule(constant_rule(size + FEATURES, bias))


def test_a_description_does_not_depend_on_brightness_contrast_or_size() -> None:
    first = describe(film())
    assert first.shape == (FEATURES,)
    assert first.dtype == np.float32
    assert np.abs(describe(0.2 + 0.5 * film()) - first).max() < 0.02
    doubled = film().repeat(3, 0).repeat(3, 1)
    assert np.abs(describe(doubled) - first).mean() < 0.02


def test_a_description_of_a_ramp_by_hand() -> None:
    """Brightness that rises to the right has direction 0 everywhere, downwards direction 2."""
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    right, down = (describe(image)[256:].reshape(64, 8) for image in (ramp, ramp.T.copy()))
    assert right[:, 0] == pytest.approx(1 / 1.5, abs=0.06)
    assert np.abs(right[:, 1:]).max() < 1e-3
    assert down[:, 2] == pytest.approx(1 / 1.5, abs=0.06)
    tones = describe(ramp)[:256].reshape(16, 16)
    assert tones[0, 0] == pytest.approx(-tones[0, -1], abs=1e-4)


def test_edges_agree_with_those_of_scikit_image() -> None:
    """Folded to a half circle, directions go the same way as skimage's unsigned histograms."""
    image = film(shape=(64, 64))
    ours = describe(image)[256:].reshape(8, 8, 8)
    folded = ours[..., :4] + ours[..., 4:]
    theirs = hog(
        image, orientations=4, pixels_per_cell=(8, 8), cells_per_block=(1, 1), feature_vector=False
    ).reshape(8, 8, 4)
    centered = np.roll(theirs, 1, -1) / 2 + theirs / 2
    strong = folded.max(-1) > 0.5
    assert strong.sum() > 8
    assert np.corrcoef(folded[strong].ravel(), centered[strong].ravel())[0, 1] > 0.8


def test_a_negative_and_a_turned_film_are_described_otherwise() -> None:
    plain = describe(film())
    for other in (1 - film(), film()[::-1], np.rot90(film())):
        assert np.linalg.norm(describe(np.ascontiguousarray(other)) - plain) > 5


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.floats(0, 1))
def test_any_image_has_a_finite_description(height: int, width: int, tone: float) -> None:
    image = np.full((height, width), tone, np.float32)
    image[0, 0] = 1 - tone
    assert np.isfinite(describe(image)).all()


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (1 - film(), "polarity"),
        (np.full((200, 200), 0.4, np.float32), "range"),
        (film()[::4, ::4], "short_side"),
        (np.random.default_rng(0).random((300, 300)).astype(np.float32), "sharpness"),
    ],
)
def test_pictures_that_no_model_should_judge_are_refused(image: Picture, reason: str) -> None:
    refusal = refuse_quality(xray_from_array(image))
    assert refusal is not None
    assert refusal.reason == reason
    assert refusal.reason in REFUSING
    assert refusal.message.startswith("No reliable result")
    assert not refusal.low <= refusal.value <= refusal.high


def test_a_framed_film_is_no_reason_to_refuse() -> None:
    assert refuse_quality(xray_from_array(film())) is None
    assert refuse_quality(xray_from_array(np.pad(film(), 60))) is None


def test_rules_survive_the_file_and_damaged_ones_are_named() -> None:
    layers = np.arange(10, dtype=np.float32).reshape(5, 2)
    rule = LikenessRule(layers, layers[0], layers[1], -2.5)
    data = write_rule(rule)
    assert data == write_rule(rule)
    again = read_rule(data)
    assert again.bias == -2.5
    assert all(
        np.array_equal(getattr(again, name), getattr(rule, name))
        for name in ("hidden", "offsets", "weights")
    )
    for damaged in (b"", b"no zip", data[:200], data[:-30] + data[-29:]):
        with pytest.raises(BundleError, match=r"gate\.npz"):
            read_rule(damaged)


def test_a_rule_by_hand() -> None:
    hidden = np.array([[1, -1], [0, 2]], np.float32)
    rule = LikenessRule(hidden, np.array([0, -1], np.float32), np.array([3, 5], np.float32), 0.5)
    # (2, 1): max(2, 0) * 3 + max(-2 + 2 - 1, 0) * 5 + 0.5;  (0, 2): 0 + max(4 - 1, 0) * 5 + 0.5
    assert rule.likeness(np.array([[2, 1], [0, 2]], np.float32)).tolist() == [6.5, 15.5]
    with pytest.raises(ShapeError, match="layers"):
        LikenessRule(hidden, np.zeros(3, np.float32), np.zeros(2, np.float32), 0.0)


def test_plain_bars_do_not_change_the_description() -> None:
    plain = describe(film())
    for tone in (0.0, 0.4, 1.0):
        framed = np.pad(film(), ((0, 120), (40, 0)), constant_values=tone)
        assert np.abs(describe(framed) - plain).mean() < 0.03
    assert np.isfinite(describe(np.pad(film()[:40, :40], 200))).all()


def test_a_gate_that_cannot_be_asked_is_refused() -> None:
    assert gate_from(None, None) is None
    with pytest.raises(BundleError, match="gate is not valid"):
        gate_from({"method": "quality"}, None)
    with pytest.raises(BundleError, match="gate is not valid"):
        gate_from({"method": "magic", "threshold": 0}, None)
    with pytest.raises(BundleError, match=r"no gate\.npz"):
        gate_from({"method": "quality_and_likeness", "threshold": 0}, None)
    with pytest.raises(ConfigError, match="magic"):
        Gate("magic")  # type: ignore[arg-type]
    keeper = Gatekeeper(Gate("quality_and_likeness"), constant_rule(9, 0.0))
    with pytest.raises(BundleError, match="another network"):
        keeper.refuse(xray_from_array(film()), np.zeros(3, np.float32))


def test_a_bundle_without_a_gate_refuses_nothing(bundle_file: Path) -> None:
    assert load_bundle(bundle_file).predict(1 - film()).refusal is None


def test_quality_alone(bundle_file: Path, tmp_path: Path) -> None:
    path = with_gate(bundle_file, tmp_path / "quality.lucid", Gate("quality"), None)
    bundle = load_bundle(path)
    assert bundle.card.gate == Gate("quality")
    assert bundle.predict(film()).refusal is None
    refused = bundle.predict(1 - film())
    assert refused.refusal is not None
    assert refused.refusal.reason == "polarity"
    assert refused.positive("Pneumonia") is None


def test_likeness_decides_what_quality_lets_through(bundle_file: Path, tmp_path: Path) -> None:
    gate = Gate("quality_and_likeness", threshold=1.0)
    near, far = (
        load_bundle(with_gate(bundle_file, tmp_path / f"{name}.lucid", gate, member))
        for name, member in (
            ("near", rule_for(bundle_file, 1.0)),
            ("far", rule_for(bundle_file, 0.5)),
        )
    )
    assert near.read(film()).prediction.refusal is None
    refusal = far.read(film()).prediction.refusal
    assert refusal is not None
    assert (refusal.reason, refusal.value, refusal.low) == ("unlike_training", 0.5, 1.0)
    assert "does not look like" in refusal.message
    nothing = np.full((200, 200), 0.5, np.float32)
    assert far.read(nothing).prediction.refusal.reason == "range"  # type: ignore[union-attr]


def test_every_way_of_reading_refuses_alike(bundle_file: Path, tmp_path: Path) -> None:
    gate = Gate("quality_and_likeness", threshold=1.0)
    member = rule_for(bundle_file, 0.0)
    bundle = load_bundle(with_gate(bundle_file, tmp_path / "far.lucid", gate, member), streams=2)
    levels = (film() * 255).astype(np.uint8)
    predictions = [
        bundle.predict(film()),
        bundle.predict(levels),
        bundle.judge(xray_from_array(film()))[0],
        *(each.prediction for each in bundle.read_batch(np.stack([levels, levels]))),
        *(each.prediction for each in bundle.read_many([film(), levels])),
    ]
    assert [each.refusal and each.refusal.reason for each in predictions] == ["unlike_training"] * 7


def test_features_that_are_not_finite_are_refused() -> None:
    keeper = Gatekeeper(Gate("quality_and_likeness"), constant_rule(1 + FEATURES, 1e6, 1.0))
    assert keeper.refuse(xray_from_array(film()), np.zeros(1, np.float32)) is None
    assert keeper.refuse(xray_from_array(film()), np.array([np.nan], np.float32)) is not None


def test_a_damaged_rule_is_found_when_the_bundle_is_loaded(
    bundle_file: Path, tmp_path: Path
) -> None:
    gate = Gate("quality_and_likeness")
    with pytest.raises(BundleError, match=r"gate\.npz"):
        load_bundle(with_gate(bundle_file, tmp_path / "none.lucid", gate, None))
    with pytest.raises(BundleError, match=r"gate\.npz"):
        load_bundle(with_gate(bundle_file, tmp_path / "bad.lucid", gate, b"PK"))
