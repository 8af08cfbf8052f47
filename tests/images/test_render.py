"""Attributions as pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib import colormaps

from lucidray.errors import ConfigError, ShapeError, UnknownNameError
from lucidray.images.color_maps import COLOR_MAPS, color_table
from lucidray.images.render import (
    colorize,
    draw_boxes,
    overlay,
    shorten,
    strength,
    to_rgb,
    with_legend,
)

FILM = np.linspace(0, 1, 64 * 48, dtype=np.float32).reshape(64, 48)


@pytest.mark.parametrize("name", ["inferno", "viridis", "cividis", "jet"])
def test_color_maps_are_matplotlibs(name: str) -> None:
    theirs = colormaps[name](np.arange(256))[:, :3] * 255
    assert np.abs(color_table(name) - theirs).max() <= 0.51


def test_unknown_color_maps_are_named() -> None:
    with pytest.raises(UnknownNameError, match="viridis"):
        color_table("viridi")


@settings(max_examples=50, deadline=None)
@given(values=hnp.arrays(np.float32, (5, 6), elements=st.floats(-10, 10, width=16)))
def test_strength_is_relu_by_its_maximum(values: np.ndarray) -> None:
    scaled = strength(values)
    if values.max() <= 0:
        assert (scaled == 0).all()
    else:
        np.testing.assert_allclose(scaled, np.maximum(values, 0) / values.max(), rtol=1e-6)


@pytest.mark.parametrize(
    "values", [-np.ones((64, 48)), np.zeros((64, 48)), np.full((64, 48), np.nan)]
)
def test_no_positive_evidence_draws_nothing(values: np.ndarray) -> None:
    np.testing.assert_array_equal(overlay(FILM, values), to_rgb(FILM))
    np.testing.assert_array_equal(overlay(FILM, values, threshold=0, flat=True), to_rgb(FILM))


def test_infinite_maps_draw_nothing() -> None:
    values = np.ones((64, 48))
    values[0, 0] = np.inf
    np.testing.assert_array_equal(overlay(FILM, values), to_rgb(FILM))


def test_below_the_threshold_the_film_shows() -> None:
    values = np.tile(np.linspace(-1, 1, 48), (64, 1))
    drawn, plain = overlay(FILM, values, threshold=0.5), to_rgb(FILM)
    below = values < 0.5
    np.testing.assert_array_equal(drawn[below], plain[below])
    assert (drawn[values > 0.6] != plain[values > 0.6]).any(axis=-1).all()


def test_a_flat_overlay_is_the_published_mixture() -> None:
    values = np.random.default_rng(0).random((64, 48))
    drawn = overlay(FILM, values, color_map="jet", opacity=0.4, threshold=0, flat=True)
    paint = color_table("jet")[np.rint(values / values.max() * 255).astype(int)]
    mixed = 0.6 * FILM[..., None] * 255 + 0.4 * paint
    np.testing.assert_allclose(drawn, mixed, atol=0.51)


@pytest.mark.parametrize("name", COLOR_MAPS)
def test_every_color_map_paints(name: str) -> None:
    picture = colorize(FILM - 0.5, name)
    assert (picture.shape, picture.dtype) == ((64, 48, 3), np.uint8)
    np.testing.assert_array_equal(picture[0, 0], color_table(name)[0])
    np.testing.assert_array_equal(picture[-1, -1], color_table(name)[255])


def test_boxes_are_half_open() -> None:
    black = np.zeros((40, 40, 3), np.uint8)
    drawn = draw_boxes(black, [[10, 5, 20, 30]], color=(255, 0, 0))
    rows, columns = np.nonzero(drawn[..., 0])
    assert (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1) == (10, 20, 5, 30)
    assert drawn[15, 15].sum() == 0
    wide = draw_boxes(black, [[10, 5, 20, 30]], color=(255, 0, 0), width=3)
    assert (wide[15, 10:20, 0] > 0).tolist() == [True] * 3 + [False] * 4 + [True] * 3
    assert black.sum() == 0
    np.testing.assert_array_equal(draw_boxes(black, []), black)
    labelled = draw_boxes(black, [[10, 25, 20, 30]], labels=["A"])
    assert (labelled != draw_boxes(black, [[10, 25, 20, 30]])).any()


def test_a_legend_leaves_the_picture_alone() -> None:
    picture = overlay(FILM, FILM)
    plain = with_legend(picture)
    np.testing.assert_array_equal(plain[:64, :48], picture)
    titled = with_legend(picture, title="Pneumonia " * 9, highest=0.123)
    assert titled.shape[0] > 64
    assert titled.shape[1] == plain.shape[1]
    np.testing.assert_array_equal(titled[-64:, :48], picture)


def test_lines_are_cut_to_their_room() -> None:
    assert shorten("short", 500, 12) == "short"
    cut = shorten("a very long line of text", 60, 12)
    assert cut.endswith("…")
    assert len(cut) < 24


def test_refusals() -> None:
    with pytest.raises(ShapeError, match="heatmap_to_source"):
        overlay(FILM, np.ones((7, 7)))
    with pytest.raises(ConfigError, match="opacity"):
        overlay(FILM, FILM, opacity=2)
    with pytest.raises(ShapeError, match="labels"):
        draw_boxes(to_rgb(FILM), [[1, 2, 3, 4]], labels=["a", "b"])
    with pytest.raises(ShapeError, match="boxes are"):
        draw_boxes(to_rgb(FILM), [1, 2, 3])
