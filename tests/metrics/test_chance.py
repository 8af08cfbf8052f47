"""Maps that know nothing."""

from __future__ import annotations

import numpy as np
import pytest

from lucidray.errors import MetricError, ShapeError, UnknownNameError
from lucidray.metrics.chance import baseline_maps, center_map, given_prior, make_prior, uniform_map


def test_the_center_is_in_the_middle_and_as_wide_as_told() -> None:
    values = center_map((101, 51), width=0.2)
    assert np.unravel_index(values.argmax(), values.shape) == (50, 25)
    assert values == pytest.approx(values[::-1, ::-1])
    assert values[50 + 20, 25] == pytest.approx(np.exp(-0.5 * (20 / (0.2 * 101)) ** 2), rel=1e-5)
    with pytest.raises(MetricError, match="width"):
        center_map((3, 3), width=0)


def test_a_prior_leaves_out_the_whole_patient() -> None:
    masks = np.zeros((3, 64, 64), bool)
    masks[0, :32], masks[1, :, :32], masks[2, 40:, 40:] = True, True, True
    prior = make_prior(masks, np.array([0, 0, 1]), 2)
    assert np.array_equal(prior.map_for(0, (64, 64)), masks[2])
    assert np.array_equal(prior.map_for(2, (64, 64)), (masks[0] + masks[1] * 1.0) / 2)
    assert prior.map_for(2, (20, 10)).shape == (20, 10)


def test_a_prior_of_one_patient_is_unknown_and_empty_masks_do_not_count() -> None:
    masks = np.zeros((3, 8, 8), bool)
    masks[0, :4] = True
    prior = make_prior(masks, np.array([0, 1, 2]), 3)
    assert np.isnan(prior.map_for(0, (8, 8))).all()
    assert prior.map_for(1, (8, 8))[0] == pytest.approx(1)


def test_a_given_prior_is_used_as_it_is() -> None:
    density = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(given_prior(density).map_for(7, (2, 3)), density)
    with pytest.raises(MetricError, match="negative"):
        given_prior(-density)
    with pytest.raises(ShapeError, match=r"\(h, w\)"):
        given_prior(density[0])


def test_baselines_are_found_by_name() -> None:
    makers = baseline_maps(["uniform"], None)
    assert np.array_equal(makers["uniform"](0, (2, 3)), uniform_map((2, 3)))
    with pytest.raises(UnknownNameError, match="did you mean 'center'"):
        baseline_maps(["centre"], None)
    with pytest.raises(MetricError, match="prior"):
        baseline_maps(["prior"], None)
