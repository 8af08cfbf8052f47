"""From raw maps to attributions on source pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from lucidray.errors import ShapeError
from lucidray.explain import to_attribution
from lucidray.images.geometry import compose, cropping, scaling


def test_a_resized_image_is_scaled_back_as_torch_does() -> None:
    raw = torch.randn(7, 7, generator=torch.Generator().manual_seed(1))
    found = to_attribution(raw, scaling((90, 60), (224, 224)), "Effusion", "grad_cam")
    expected = functional.interpolate(raw[None, None], (90, 60), mode="bilinear")[0, 0]
    assert found.values.dtype == np.float32
    np.testing.assert_allclose(found.values, expected.numpy(), atol=1e-5)
    np.testing.assert_array_equal(found.raw, raw.numpy())
    assert (found.finding, found.method, found.status) == ("Effusion", "grad_cam", "ok")


def test_what_was_cropped_away_has_no_value() -> None:
    seen = compose(cropping((100, 80), (20, 10, 60, 90)), scaling((80, 40), (224, 224)))
    found = to_attribution(np.ones((7, 7)), seen, "Mass", "grad_cam")
    inside = np.zeros((100, 80), bool)
    inside[10:90, 20:60] = True
    np.testing.assert_allclose(found.values, inside.astype(np.float32), atol=1e-6)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        ([[0.0, 1e-6], [-5.0, -1.0]], "ok"),
        ([[0.0, 0.0], [-5.0, -1.0]], "no_positive_evidence"),
        ([[0.0, 0.0], [0.0, 0.0]], "no_positive_evidence"),
        ([[float("nan"), 1.0], [2.0, 3.0]], "not_finite"),
        ([[float("inf"), 1.0], [2.0, 3.0]], "not_finite"),
    ],
)
def test_the_status_says_what_may_be_drawn(raw, status: str) -> None:
    found = to_attribution(torch.tensor(raw), scaling((4, 4), (8, 8)), "a", "grad_cam")
    assert found.status == status
    assert bool(np.isnan(found.values).all()) == (status == "not_finite")
    assert found.values.shape == (4, 4)


def test_the_given_map_is_copied_and_the_kept_one_read_only() -> None:
    raw = np.ones((2, 2), np.float32)
    found = to_attribution(raw, scaling((4, 4), (8, 8)), "a", "grad_cam")
    raw[0, 0] = 5
    assert found.raw[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        found.raw[0, 0] = 3


def test_half_precision_and_gradients_are_taken() -> None:
    raw = torch.ones(2, 2, dtype=torch.bfloat16, requires_grad=True)
    assert to_attribution(raw, scaling((4, 4), (8, 8)), "a", "grad_cam").raw.dtype == np.float32


def test_a_stack_of_maps_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"maps\[image, finding\]"):
        to_attribution(torch.ones(1, 2, 2), scaling((4, 4), (8, 8)), "a", "grad_cam")
