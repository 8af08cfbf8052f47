"""Attributions: on source pixels, with a status, from arrays alone."""

from __future__ import annotations

import numpy as np
import pytest

from lucidray.errors import ShapeError
from lucidray.images.attribution import attribute
from lucidray.images.geometry import identity, scaling

ONES = np.ones((4, 4), np.float32)


def test_it_lies_on_the_pixels_of_the_file() -> None:
    found = attribute("Mass", ONES, identity((6, 9)), "rise")
    assert (found.finding, found.method, found.values.shape) == ("Mass", "rise", (6, 9))
    assert found.status == "ok"
    np.testing.assert_array_equal(found.values, np.ones((6, 9)))


@pytest.mark.parametrize(
    ("raw", "status"),
    [(-ONES, "no_positive_evidence"), (0 * ONES, "no_positive_evidence"), (ONES * np.nan, None)],
)
def test_it_says_what_it_is_worth(raw: np.ndarray, status: str | None) -> None:
    found = attribute("Mass", raw, scaling((4, 4), (8, 8)), "grad_cam")
    assert found.status == (status or "not_finite")
    assert np.isnan(found.values).all() == (status is None)


def test_a_stack_of_maps_is_refused() -> None:
    with pytest.raises(ShapeError, match="one image and one finding"):
        attribute("Mass", ONES[None], identity((4, 4)), "grad_cam")
