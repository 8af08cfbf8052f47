"""The chain from radiograph to input, its configuration, and reading straight to a tensor."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lucidray.config import from_mapping, load_toml, to_mapping
from lucidray.errors import ConfigError, ShapeError, UnknownNameError
from lucidray.images.contrast import clahe
from lucidray.images.geometry import invert, map_boxes
from lucidray.images.preprocessing import (
    Preprocessing,
    channel_constants,
    load_tensor,
    normalize,
    preprocess,
    shrink_limit,
    spatial,
    spatial_geometry,
)
from lucidray.images.read import read_xray, xray_from_array
from lucidray.images.resample import resample


def smooth(height: int, width: int) -> npt.NDArray[np.uint8]:
    """A smooth picture."""
    y, x = np.mgrid[0:height, 0:width] / 200
    return np.rint(127 + 120 * np.sin(3 * x + 1) * np.cos(4 * y)).astype(np.uint8)


def test_the_plain_chain_is_resize_and_constants() -> None:
    xray = xray_from_array(smooth(90, 70))
    tensor, geometry = preprocess(xray, Preprocessing(size=32))
    small = torch.from_numpy(resample(xray.pixels, (32, 32)))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (small[None] - mean[:, None, None]) / std[:, None, None]
    np.testing.assert_allclose(tensor, expected.numpy(), atol=1e-5)
    assert (geometry.source_shape, geometry.shape) == ((90, 70), (32, 32))


def test_a_crop_is_a_slice_before_the_resize() -> None:
    xray = xray_from_array(smooth(100, 200))
    config = Preprocessing(size=32, crop=(0.15, 0.90, 0.20, 0.80), normalization="unit")
    pixels, geometry = spatial(xray, config)
    np.testing.assert_allclose(pixels, resample(xray.pixels[15:90, 40:160], (32, 32)), atol=1e-6)
    np.testing.assert_allclose(map_boxes([40, 15, 160, 90], geometry), [0, 0, 32, 32], atol=1e-9)


def test_a_box_replaces_the_crop() -> None:
    xray = xray_from_array(smooth(100, 200))
    config = Preprocessing(size=16, crop=(0.4, 0.5, 0.4, 0.5))
    pixels, geometry = spatial(xray, config, box=(10, 20, 90, 60))
    np.testing.assert_allclose(pixels, resample(xray.pixels[20:60, 10:90], (16, 16)), atol=1e-6)
    np.testing.assert_allclose(map_boxes([0, 0, 16, 16], invert(geometry)), [10, 20, 90, 60])
    with pytest.raises(ShapeError, match="does not lie in"):
        spatial(xray, config, box=(10, 20, 900, 60))


def test_letterbox_bars_stay_black_under_contrast() -> None:
    xray = xray_from_array(np.full((100, 50), 90, np.uint8) + smooth(100, 50) // 8)
    config = Preprocessing(size=64, fit="letterbox", contrast="clahe")
    pixels, _ = spatial(xray, config)
    assert (pixels[:, :16] == 0).all()
    assert (pixels[:, 48:] == 0).all()
    np.testing.assert_allclose(pixels[:, 16:48], clahe(resample(xray.pixels, (64, 32))), atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(8, 300),
    width=st.integers(8, 300),
    fit=st.sampled_from(["squash", "letterbox"]),
    cropped=st.booleans(),
)
def test_the_geometry_is_known_from_the_size_alone(
    height: int, width: int, fit: str, cropped: bool
) -> None:
    crop = (0.1, 0.85, 0.2, 0.9) if cropped else None
    config = Preprocessing(size=24, fit=fit, crop=crop)  # type: ignore[arg-type]
    pixels, geometry = spatial(xray_from_array(smooth(height, width)), config)
    assert geometry == spatial_geometry((height, width), config)
    assert pixels.shape == (24, 24)
    assert pixels.min() >= 0
    assert pixels.max() <= 1


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"quality": 95}), ("PNG", {})])
@pytest.mark.parametrize("crop", [None, (0.1, 0.9, 0.2, 0.8)])
def test_shrinking_while_loading_hardly_changes_the_input(
    tmp_path: Path, kind: str, options: dict[str, Any], crop: Any
) -> None:
    path = tmp_path / "film"
    Image.fromarray(smooth(701, 515)).save(path, kind, **options)
    config = Preprocessing(size=64, crop=crop, normalization="unit", channels=1)
    fast, exact = load_tensor(path, config), load_tensor(path, config, exact=True)
    np.testing.assert_allclose(fast, exact, atol=2.5 / 255)
    shrunk = read_xray(path, shrink_to=shrink_limit(config))
    assert (shrunk.pixels.shape != (701, 515)) == (kind == "JPEG")
    assert spatial(shrunk, config)[1] == spatial(read_xray(path), config)[1]


@pytest.mark.data
def test_shrinking_real_films_while_loading(real_data: Path) -> None:
    """The deviation that read_xray's docstring states."""
    films = sorted((real_data / "nih_chestxray14_subset" / "images").iterdir())[:4]
    films.append(real_data / "dicom" / "not_chest_extremity_jpeg2000.dcm")
    config = Preprocessing(normalization="unit", channels=1)
    for film in films:
        levels = 255 * np.abs(load_tensor(film, config) - load_tensor(film, config, exact=True))
        assert levels.mean() < 0.2
        assert levels.max() < 15


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["unit", "imagenet", "inception", "xrv"])
def test_normalizations_are_their_constants(name: Any, channels: Any, rng: Any) -> None:
    config = Preprocessing(normalization=name, channels=channels)
    batch = rng.random((2, 8, 9)).astype(np.float32)
    mean, std = channel_constants(config)
    expected = (batch[:, None] - mean[:, None, None]) / std[:, None, None]
    assert normalize(batch, config).shape == (2, channels, 8, 9)
    np.testing.assert_allclose(normalize(batch, config), expected, rtol=1e-4, atol=1e-5)


def test_normalizations_by_hand() -> None:
    ends = np.array([[[0.0, 1.0]]], np.float32)
    low_high = {
        name: normalize(ends, Preprocessing(normalization=name, channels=1)).ravel().tolist()
        for name in ("unit", "inception", "xrv", "zscore")
    }
    assert low_high == {
        "unit": [0, 1],
        "inception": [-1, 1],
        "xrv": [-1024, 1024],
        "zscore": [-1, 1],
    }


def test_xrv_is_what_torchxrayvision_does() -> None:
    xrv = pytest.importorskip("torchxrayvision.utils")
    levels = np.arange(256, dtype=np.float32)
    ours = normalize(levels[None, None] / 255, Preprocessing(normalization="xrv", channels=1))
    np.testing.assert_allclose(ours.ravel(), xrv.normalize(levels, 255), atol=1e-3)


def test_zscore_is_of_each_image(rng: np.random.Generator) -> None:
    batch = (
        rng.random((3, 16, 16)).astype(np.float32)
        * np.array([1, 0.2, 0], np.float32)[:, None, None]
    )
    scaled = normalize(batch, Preprocessing(normalization="zscore"))
    assert scaled.shape == (3, 3, 16, 16)
    np.testing.assert_allclose(scaled[:2].mean(axis=(2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(scaled[:2].std(axis=(2, 3)), 1, atol=1e-4)
    assert (scaled[2] == 0).all()
    with pytest.raises(ConfigError, match="z-score"):
        channel_constants(Preprocessing(normalization="zscore"))
    with pytest.raises(ShapeError, match="expected"):
        normalize(batch[0], Preprocessing())


def test_configuration_round_trip(tmp_path: Path) -> None:
    config = Preprocessing(size=64, crop=(0.15, 0.9, 0.2, 0.8), contrast="clahe", channels=1)
    assert from_mapping(Preprocessing, to_mapping(config), where="here") == config
    path = tmp_path / "prep.toml"
    path.write_text('size = 64\ncrop = [0.15, 0.9, 0.2, 0.8]\ncontrast = "clahe"\nchannels = 1\n')
    assert load_toml(path, Preprocessing) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sise": 64}, "did you mean 'size'"),
        ({"size": 2}, "size is 2"),
        ({"crop": [0.9, 0.1, 0, 1]}, "crop fractions"),
        ({"contrast": "sharp"}, "contrast"),
        ({"channels": 2}, "channels"),
        ({"clahe_clip": 0}, "clahe_clip"),
    ],
)
def test_wrong_configurations_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_mapping(Preprocessing, values, where="recipe")


def test_wrong_names_in_python_too() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'clahe'"):
        Preprocessing(contrast="clahee")  # type: ignore[arg-type]


def test_every_combination_runs() -> None:
    xray = xray_from_array(smooth(40, 60))
    for fit, contrast, name in itertools.product(
        ("squash", "letterbox"),
        ("none", "clahe", "equalize", "stretch"),
        ("unit", "zscore", "imagenet", "inception", "xrv"),
    ):
        config = Preprocessing(size=16, fit=fit, contrast=contrast, normalization=name)  # type: ignore[arg-type]
        tensor, _ = preprocess(xray, config)
        assert (tensor.shape, tensor.dtype) == ((3, 16, 16), np.float32)
        assert np.isfinite(tensor).all()
