"""The nouns are whole or not at all, and nobody changes them."""

from __future__ import annotations

import numpy as np
import pytest

from lucidray.errors import ShapeError
from lucidray.records import Attribution, Geometry, Measurement, Prediction, XRay

IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))


def test_pixels_cannot_be_changed() -> None:
    xray = XRay(np.zeros((2, 3), np.float32), Geometry(IDENTITY, (2, 3), (2, 3)))
    with pytest.raises(ValueError, match="read-only"):
        xray.pixels[0, 0] = 1


@pytest.mark.parametrize(
    "pixels", [np.zeros((2, 3)), np.zeros((2, 3, 1), np.float32), np.zeros((3, 2), np.float32)]
)
def test_half_valid_images_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ShapeError):
        XRay(pixels, Geometry(IDENTITY, (2, 3), (2, 3)))


def test_padding_shares_the_grid() -> None:
    geometry = Geometry(IDENTITY, (2, 3), (2, 3))
    with pytest.raises(ShapeError, match="padding"):
        XRay(np.zeros((2, 3), np.float32), geometry, padding=np.zeros((3, 2), bool))


def test_an_empty_geometry_is_refused() -> None:
    with pytest.raises(ShapeError, match="empty side"):
        Geometry(IDENTITY, (2, 3), (0, 3))


def test_a_finding_without_operating_point_is_neither_positive_nor_negative() -> None:
    arrays = np.array([0.2, 0.7], np.float32)
    prediction = Prediction(("Mass", "Edema"), arrays, arrays, operating_points={"Edema": 0.7})
    assert prediction.positive("Mass") is None
    assert prediction.positive("Edema") is True
    with pytest.raises(ShapeError, match="1 findings"):
        Prediction(("Mass",), arrays, arrays)


def test_attributions_are_images() -> None:
    with pytest.raises(ShapeError):
        Attribution("Mass", "grad_cam", np.zeros(3, np.float32), np.zeros((1, 1), np.float32))


def test_a_measurement_reads_well() -> None:
    assert str(Measurement("auc", 0.91234)) == "0.912"
    assert str(Measurement("auc", 0.91234, low=0.9, high=0.95)) == "0.912 [0.900, 0.950]"


def test_a_kind_is_not_called_without_what_it_is_a_kind_of() -> None:
    def told(pneumonia: float) -> Prediction:
        values = np.array([pneumonia, 0.9], np.float32)
        points = {"Pneumonia": 0.5, "Viral Pneumonia": 0.3}
        kinds = {"Viral Pneumonia": "Pneumonia"}
        names = ("Pneumonia", "Viral Pneumonia")
        return Prediction(names, values, values, operating_points=points, kinds=kinds)

    assert told(0.6).positive("Viral Pneumonia") is True
    assert told(0.4).positive("Viral Pneumonia") is False
    assert told(0.4).positive("Pneumonia") is False
    free = Prediction(
        ("Pneumonia", "Viral Pneumonia"),
        np.array([0.1, 0.9], np.float32),
        np.array([0.1, 0.9], np.float32),
        operating_points={"Viral Pneumonia": 0.3},
        kinds={"Viral Pneumonia": "Pneumonia"},
    )
    assert free.positive("Viral Pneumonia") is True
