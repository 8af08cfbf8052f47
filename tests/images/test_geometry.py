"""Boxes, points, heat maps and masks find their way back exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lucidray.errors import ShapeError
from lucidray.images.geometry import (
    compose,
    cropping,
    heatmap_to_source,
    identity,
    invert,
    map_boxes,
    map_points,
    mask_to_model,
    mask_to_source,
    placing,
    scaling,
)
from lucidray.records import Geometry


@st.composite
def chains(draw: st.DrawFn, longest: int = 3000) -> Geometry:
    """A crop, a resize and a letterbox in a row."""
    sides = st.integers(1, longest)
    shapes = st.tuples(sides, sides)
    height, width = draw(shapes)
    x_min, y_min = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    x_max = draw(st.integers(x_min + 1, width))
    y_max = draw(st.integers(y_min + 1, height))
    cropped = cropping((height, width), (x_min, y_min, x_max, y_max))
    resized = compose(cropped, scaling(cropped.shape, draw(shapes)))
    tall, wide = resized.shape
    top, left = draw(st.integers(0, 50)), draw(st.integers(0, 50))
    return compose(resized, placing(resized.shape, (tall + 2 * top, wide + 2 * left), left, top))


@settings(max_examples=50, deadline=None)
@given(geometry=chains(), spot=st.tuples(st.floats(-10, 3000), st.floats(-10, 3000)))
def test_points_come_back(geometry: Geometry, spot: tuple[float, float]) -> None:
    there = map_points(spot, geometry)
    np.testing.assert_allclose(map_points(there, invert(geometry)), spot, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(geometry=chains(), data=st.data())
def test_boxes_come_back(geometry: Geometry, data: st.DataObject) -> None:
    edges = st.floats(0, 3000)
    x_min, x_max = sorted((data.draw(edges), data.draw(edges)))
    y_min, y_max = sorted((data.draw(edges), data.draw(edges)))
    box = [x_min, y_min, x_max, y_max]
    back = map_boxes(map_boxes(box, geometry), invert(geometry))
    np.testing.assert_allclose(back, box, atol=1e-6)
    inside = map_boxes(box, geometry, clip=True)
    assert (inside >= 0).all()
    assert (inside <= [geometry.shape[1], geometry.shape[0]] * 2).all()


@settings(max_examples=50, deadline=None)
@given(geometry=chains())
def test_inverting_twice_changes_nothing(geometry: Geometry) -> None:
    twice = invert(invert(geometry))
    np.testing.assert_allclose(twice.matrix, geometry.matrix, rtol=1e-9, atol=1e-6)
    there_and_back = compose(geometry, invert(geometry))
    np.testing.assert_allclose(
        there_and_back.matrix, identity(geometry.source_shape).matrix, atol=1e-6
    )


@settings(max_examples=50, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    model=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    cells=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 99),
)
def test_a_heat_map_is_torchs_interpolation(
    shape: tuple[int, int], model: tuple[int, int], cells: tuple[int, int], seed: int
) -> None:
    heatmap = np.random.default_rng(seed).standard_normal(cells).astype(np.float32)
    ours = heatmap_to_source(heatmap, scaling(shape, model))
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(heatmap)[None, None], size=shape, mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(ours, theirs[0, 0].numpy(), atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(geometry=chains(longest=150), seed=st.integers(0, 99))
def test_a_heat_map_that_is_a_plane_comes_back_as_that_plane(geometry: Geometry, seed: int) -> None:
    """A linear map of model coordinates, brought back, is linear in source coordinates."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.standard_normal(3)
    y, x = np.mgrid[0 : geometry.shape[0], 0 : geometry.shape[1]] + 0.5
    plane = (a * x + b * y + c * 100).astype(np.float32)
    back = heatmap_to_source(plane, geometry, outside=np.nan)
    rows, columns = np.mgrid[0 : geometry.source_shape[0], 0 : geometry.source_shape[1]] + 0.5
    spots = map_points(np.stack([columns, rows], -1), geometry)
    size = np.array([geometry.shape[1], geometry.shape[0]])
    shown = ((spots >= 0) & (spots <= size)).all(-1)
    np.testing.assert_array_equal(np.isfinite(back), shown)
    clear = ((spots >= 0.5) & (spots <= size - 0.5)).all(-1)
    expected = a * spots[..., 0] + b * spots[..., 1] + c * 100
    np.testing.assert_allclose(back[clear], expected[clear], rtol=1e-4, atol=0.02)


def test_outside_the_crop_nothing_is_claimed() -> None:
    geometry = compose(cropping((10, 20), (5, 2, 15, 8)), scaling((6, 10), (32, 32)))
    back = heatmap_to_source(np.ones((4, 4), np.float32), geometry)
    assert back.sum() == 60
    assert (back[2:8, 5:15] == 1).all()
    unknown = heatmap_to_source(np.ones((4, 4), np.float32), geometry, outside=float("nan"))
    assert np.isnan(unknown).sum() == 140


def test_a_letterboxs_bars_do_not_come_back() -> None:
    geometry = compose(scaling((10, 20), (16, 32)), placing((16, 32), (32, 32), 0, 8))
    model = np.zeros((32, 32), np.float32)
    model[:8], model[24:] = 9, 9
    assert heatmap_to_source(model, geometry)[1:-1].max() == 0
    assert not mask_to_source(model > 0, geometry).any()


@settings(max_examples=50, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    factor=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_masks_survive_enlarging(shape: tuple[int, int], factor: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random(shape) > 0.5
    geometry = scaling(shape, (shape[0] * factor, shape[1] * factor))
    large = mask_to_model(mask, geometry)
    np.testing.assert_array_equal(large, np.kron(mask, np.ones((factor, factor))) > 0)
    np.testing.assert_array_equal(mask_to_source(large, geometry), mask)


def test_masks_follow_crops() -> None:
    mask = np.zeros((10, 20), bool)
    mask[3:5, 6:9] = True
    geometry = cropping((10, 20), (5, 2, 15, 8))
    np.testing.assert_array_equal(mask_to_model(mask, geometry), mask[2:8, 5:15])
    np.testing.assert_array_equal(mask_to_source(mask_to_model(mask, geometry), geometry), mask)


def test_turned_geometries_work_too() -> None:
    """A quarter turn: what was at (x, y) goes to (height - y, x)."""
    geometry = Geometry(((0.0, -1.0, 4.0), (1.0, 0.0, 0.0)), (4, 6), (6, 4))
    source = np.arange(24, dtype=np.float32).reshape(4, 6)
    turned = np.rot90(source, -1)
    np.testing.assert_allclose(heatmap_to_source(turned.copy(), geometry), source, atol=1e-5)
    np.testing.assert_array_equal(mask_to_source(turned > 7, geometry), source > 7)
    np.testing.assert_array_equal(mask_to_model(source > 7, geometry), turned > 7)
    np.testing.assert_allclose(map_boxes([0, 0, 2, 1], geometry), [3, 0, 4, 2])


@settings(max_examples=50, deadline=None)
@given(
    source=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    cells=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    entries=st.lists(st.floats(-1.5, 1.5), min_size=6, max_size=6),
    upright=st.booleans(),
    seed=st.integers(0, 99),
)
def test_heat_maps_and_masks_are_sampled_as_by_scipy(
    source: tuple[int, int],
    cells: tuple[int, int],
    entries: list[float],
    upright: bool,
    seed: int,
) -> None:
    a, b, c, d, e, f = entries
    b, d = (0.0, 0.0) if upright else (b, d)
    geometry = Geometry(((a, b, 9 * c), (d, e, 9 * f)), source, cells)
    heatmap = np.random.default_rng(seed).standard_normal(cells).astype(np.float32)
    y, x = np.mgrid[0 : source[0], 0 : source[1]] + 0.5
    spots = map_points(np.stack([x, y], axis=-1), geometry)
    clear = (np.abs(spots - np.rint(spots)) > 1e-6).all(axis=-1)  # on no edge between pixels
    inside = ((spots > 0) & (spots < cells[::-1])).all(axis=-1)
    where = [spots[..., 1] - 0.5, spots[..., 0] - 0.5]
    smooth = ndimage.map_coordinates(heatmap, where, order=1, mode="nearest")
    ours = heatmap_to_source(heatmap, geometry, outside=-9)
    np.testing.assert_allclose(ours[clear], np.where(inside, smooth, -9)[clear], atol=1e-5)
    near = ndimage.map_coordinates(heatmap, where, order=0, mode="nearest")
    mask = mask_to_source(heatmap > 0, geometry)
    np.testing.assert_array_equal(mask[clear], ((near > 0) & inside)[clear])


@pytest.mark.parametrize("box", [(0, 0, 0, 5), (-1, 0, 3, 3), (0, 0, 30, 5), (4, 4, 3, 5)])
def test_impossible_crops_are_refused(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(ShapeError, match="does not lie in"):
        cropping((10, 20), box)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match="one pixel grid"):
        compose(scaling((4, 4), (5, 5)), scaling((4, 4), (5, 5)))
    with pytest.raises(ShapeError, match="no inverse"):
        invert(Geometry(((0.0, 0.0, 0.0), (0.0, 1.0, 0.0)), (2, 2), (2, 2)))
    with pytest.raises(ShapeError, match="expected"):
        map_boxes([1, 2, 3], identity((4, 4)))
    with pytest.raises(ShapeError, match="one pixel grid"):
        mask_to_model(np.zeros((3, 3), bool), identity((4, 4)))
    with pytest.raises(ShapeError, match="heat map"):
        heatmap_to_source(np.zeros((3, 3, 3), np.float32), identity((4, 4)))
