"""The reading flow with a reader whose every answer is known by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lucidray.errors import ImageError, ModelError, UnknownNameError
from lucidray.images.geometry import identity
from lucidray.images.preprocessing import Preprocessing, preprocess
from lucidray.images.read import read_xray, xray_from_array
from lucidray.pipeline import diagnose, explain_judgment, judge
from lucidray.records import Float32, Geometry, Prediction, Refusal, XRay

ONES = np.ones((4, 4), np.float32)


@dataclass
class FakeReader:
    """Says what it is told to say, and remembers what it was shown."""

    findings: tuple[str, ...] = ("Pneumonia", "Effusion")
    logits: tuple[float, ...] = (0.0, 2.0)
    maps: tuple[Float32, ...] = (ONES, -ONES)
    exclusive: bool = False
    preprocessing: Preprocessing = field(
        default_factory=lambda: Preprocessing(size=8, channels=1, normalization="unit")
    )
    operating_points: Mapping[str, float] = field(default_factory=lambda: {"Pneumonia": 0.5})
    provenance: Mapping[str, Any] = field(default_factory=lambda: {"weights_sha256": "abc"})
    seen: list[Float32] = field(default_factory=list)

    def look(self, image: Float32, *, method: str) -> tuple[Float32, Float32]:
        self.seen.append(image)
        return np.array(self.logits, np.float32), np.stack(self.maps)


@pytest.fixture
def film() -> XRay:
    return xray_from_array(np.arange(256, dtype=np.uint8).reshape(16, 16))


def test_the_model_sees_what_preprocessing_makes(film: XRay) -> None:
    reader = FakeReader()
    diagnose(film, reader)
    np.testing.assert_array_equal(reader.seen[0], preprocess(film, reader.preprocessing)[0])
    assert reader.seen[0].shape == (1, 8, 8)


def test_probabilities_and_operating_points(film: XRay) -> None:
    told = diagnose(film, FakeReader()).prediction
    np.testing.assert_allclose(told.probabilities, [0.5, 1 / (1 + np.exp(-2))], rtol=1e-6)
    np.testing.assert_array_equal(told.logits, np.float32([0, 2]))
    assert told.positive("Pneumonia") is True  # at the point, not only above it
    assert told.positive("Effusion") is None
    above = FakeReader(operating_points={"Pneumonia": 0.5001})
    assert diagnose(film, above).prediction.positive("Pneumonia") is False


def test_findings_that_exclude_each_other_share_one(film: XRay) -> None:
    told = diagnose(film, FakeReader(logits=(1000.0, 1000.0 + np.log(3)), exclusive=True))
    np.testing.assert_allclose(told.prediction.probabilities, [0.25, 0.75], rtol=1e-3)


def test_what_speaks_for_and_against_is_told_apart(film: XRay) -> None:
    broken = ONES.copy()
    broken[0, 0] = np.nan
    reader = FakeReader(("a", "b", "c", "d"), (0.0,) * 4, (ONES, -ONES, 0 * ONES, broken))
    found = diagnose(film, reader).attributions
    statuses = [item.status for item in found]
    assert statuses == ["ok", "no_positive_evidence", "no_positive_evidence", "not_finite"]
    np.testing.assert_array_equal(found[0].values, np.ones((16, 16)))
    np.testing.assert_array_equal(found[1].values, -np.ones((16, 16)))
    assert np.isnan(found[3].values).all()
    np.testing.assert_array_equal(found[3].raw, broken)
    assert found[0].values.dtype == np.float32


def test_a_map_lies_where_the_crop_lay_and_nowhere_else(film: XRay) -> None:
    """The middle half of 16 pixels, rows 4 to 12; columns 2 to 14."""
    look = Preprocessing(size=8, channels=1, normalization="unit", crop=(0.25, 0.75, 0.125, 0.875))
    left = np.zeros((4, 4), np.float32)
    left[:, :2] = 1
    reader = FakeReader(maps=(ONES, left), preprocessing=look)
    whole, half = (item.values for item in diagnose(film, reader).attributions)
    expected = np.zeros((16, 16), np.float32)
    expected[4:12, 2:14] = 1
    np.testing.assert_array_equal(whole, expected)
    assert (half[4:12, 2:6] == 1).all()  # wholly left of the middle between two cells
    assert (half[4:12, 10:14] == 0).all()
    assert (half[expected == 0] == 0).all()
    np.testing.assert_allclose(half[4:12, 7] + half[4:12, 8], 1, atol=1e-6)  # mirror-symmetric


def test_findings_come_in_the_order_asked_for(film: XRay) -> None:
    found = diagnose(film, FakeReader(), findings=["Effusion", "Pneumonia"]).attributions
    assert [(item.finding, item.status) for item in found] == [
        ("Effusion", "no_positive_evidence"),
        ("Pneumonia", "ok"),
    ]
    assert diagnose(film, FakeReader(), findings=[]).attributions == ()


def test_absence_is_the_opposite_of_the_only_finding(film: XRay) -> None:
    reader = FakeReader(("Pneumonia",), (0.0,), (-2 * ONES,))
    found = diagnose(film, reader, findings=["Pneumonia", "No Finding"]).attributions
    assert [item.status for item in found] == ["no_positive_evidence", "ok"]
    np.testing.assert_array_equal(found[1].values, -found[0].values)
    assert found[1].finding == "No Finding"
    with pytest.raises(UnknownNameError, match="No Finding"):
        diagnose(film, FakeReader(), findings=["No Finding"])
    named = FakeReader(("Pneumonia", "No Finding"), (0.0, 0.0), (-ONES, 3 * ONES))
    own = diagnose(film, named, findings=["No Finding"]).attributions[0]
    assert own.values.max() == 3


def test_a_finding_that_the_model_does_not_judge_is_refused_before_it_looks(film: XRay) -> None:
    reader = FakeReader()
    with pytest.raises(UnknownNameError, match="did you mean 'Effusion'"):
        diagnose(film, reader, findings=["Efusion"])
    assert not reader.seen


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_refused(film: XRay, broken: float) -> None:
    with pytest.raises(ModelError, match="not finite"):
        diagnose(film, FakeReader(logits=(0.0, broken)))


def test_a_file_is_read_and_its_digest_kept(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    Image.fromarray(np.full((16, 16), 7, np.uint8)).save(path)
    found = diagnose(path, FakeReader(), method="grad_cam")
    assert (
        found.image_sha256
        == read_xray(path).sha256
        == diagnose(str(path), FakeReader()).image_sha256
    )
    assert found.provenance == {"weights_sha256": "abc"}
    assert {item.method for item in found.attributions} == {"grad_cam"}
    with pytest.raises(ImageError, match="no such file"):
        diagnose(tmp_path / "none.png", FakeReader())


@dataclass
class FakeFilmReader:
    """Prepares the image itself, as a bundle does."""

    findings: tuple[str, ...] = ("Mass",)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    logit: float = 1.0

    def judge(self, xray: XRay, *, method: str) -> tuple[Prediction, Float32, Geometry]:
        told = Prediction(
            self.findings,
            np.array([self.logit], np.float32),
            np.array([0.9], np.float32),
            calibrated=True,
            operating_points={"Mass": 0.8},
        )
        return told, ONES[None] * 5, identity(xray.geometry.source_shape)


def test_a_reader_that_prepares_the_image_itself_is_believed(film: XRay) -> None:
    found = diagnose(film, FakeFilmReader(), findings=["Mass", "No Finding"])
    assert found.prediction.calibrated
    assert found.prediction.positive("Mass") is True
    assert [item.status for item in found.attributions] == ["ok", "no_positive_evidence"]
    np.testing.assert_array_equal(found.attributions[0].values, np.full((16, 16), 5))
    with pytest.raises(ModelError, match="not finite"):
        diagnose(film, FakeFilmReader(logit=np.nan))


def test_a_refused_image_gets_no_call_and_no_map(film: XRay) -> None:
    class Refusing(FakeFilmReader):
        def judge(self, xray: XRay, *, method: str) -> tuple[Prediction, Float32, Geometry]:
            told, maps, geometry = super().judge(xray, method=method)
            return replace(told, refusal=Refusal("polarity", "inverted")), maps, geometry

    found = diagnose(film, Refusing())
    assert found.prediction.refusal == Refusal("polarity", "inverted")
    assert found.prediction.positive("Mass") is None
    assert found.attributions == ()


def test_boxes_stand_around_what_is_called_present_and_nowhere_else(film: XRay) -> None:
    spot = np.zeros((4, 4), np.float32)
    spot[1, 2] = 1
    names = ("Pneumonia", "Effusion", "Mass", "Edema", "Normal")
    points = dict.fromkeys(("Pneumonia", "Mass", "Edema", "Normal"), 0.5)
    maps = (spot, spot, spot, -ONES, spot)
    reader = FakeReader(names, (2.0, 2.0, -2.0, 2.0, 2.0), maps, operating_points=points)
    found = diagnose(film, reader).boxes
    assert found == {"Pneumonia": ((8, 4, 12, 8),), "Effusion": (), "Mass": (), "Edema": (),
                     "Normal": ()}  # fmt: skip
    assert set(diagnose(film, reader, findings=["Pneumonia"]).boxes) == {"Pneumonia"}


def test_a_judgment_explains_what_it_is_asked_for_later(film: XRay) -> None:
    reader = FakeReader()
    judgment = judge(film, reader)
    whole = diagnose(film, reader)
    assert judgment.image_sha256 == whole.image_sha256
    found = explain_judgment(judgment, ["Effusion"]).attributions
    np.testing.assert_array_equal(found[0].values, whole.attributions[1].values)
    np.testing.assert_array_equal(judgment.raw("Effusion"), -ONES)
    with pytest.raises(UnknownNameError, match="Pneumonia"):
        judgment.raw("No Finding")
