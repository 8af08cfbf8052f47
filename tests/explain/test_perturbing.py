"""Occlusion and RISE, and what stands in an image's place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import Occlusion
from torch import Tensor, nn

from lucidray.errors import ConfigError
from lucidray.explain import occlusion, rise
from lucidray.explain.perturbing import baseline_of, blurred


class Linear(nn.Module):
    """Logits that are weighted sums of pixels, and a list of what was looked at."""

    findings = ("a", "b")

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        return torch.einsum("fchw,bchw->bf", self.weight, x) + 10


def test_occlusion_by_hand() -> None:
    weight = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]], [[[-1.0, 0.0], [0.0, 2.0]]]])
    x = torch.tensor([[[[1.0, 1.0], [2.0, -1.0]]]])
    maps = occlusion(Linear(weight), x, cells=2, window=1)[1]
    torch.testing.assert_close(maps[0], weight[:, 0] * x[0, 0])
    half = occlusion(Linear(weight), x, cells=2, window=1, baseline=0.5)[1]
    torch.testing.assert_close(half[0], weight[:, 0] * (x[0, 0] - 0.5))
    whole = occlusion(Linear(weight), x, cells=2, window=2)[1]
    torch.testing.assert_close(whole[0], (weight * x).sum((1, 2, 3))[:, None, None].expand(2, 2, 2))


@pytest.mark.parametrize("window", [1, 2, 3])
def test_occlusion_is_captums(build, images, window: int) -> None:
    model, x = build(size=16), images[:, :, :16, :16]
    maps = occlusion(model, x, cells=4, window=window, batch_size=5)[1]
    peer, edge = Occlusion(model), 4 * window
    for target in range(3):
        theirs = peer.attribute(
            x, sliding_window_shapes=(3, edge, edge), strides=(3, 4, 4), target=target
        )
        theirs = theirs[:, 0, 1::4, 1::4].detach()
        torch.testing.assert_close(maps[:, target], theirs, rtol=1e-3, atol=1e-5)


def test_a_grid_need_not_divide_the_image() -> None:
    weight = torch.ones(2, 1, 7, 10)
    maps = occlusion(Linear(weight), torch.ones(1, 1, 7, 10), cells=3, window=1)[1]
    assert float(maps[0, 0].sum()) == pytest.approx(70)
    assert maps[0, 0].amin() >= 2 * 3


def test_rise_is_the_difference_of_two_means() -> None:
    torch.manual_seed(2)
    model = Linear(torch.randn(2, 1, 12, 9))
    told: list[tuple[int, int]] = []
    logits, maps = rise(
        model, torch.ones(1, 1, 12, 9), samples=7, cells=3, batch_size=3,
        progress=lambda *done: told.append(done),
    )  # fmt: skip
    masks = torch.cat(model.seen[1:])[:, 0].double().numpy()
    assert masks.shape == (7, 12, 9)
    assert told == [(3, 7), (6, 7), (7, 7)]
    weight = model.weight.detach()[:, 0].double().numpy()
    scores = np.array([[(w * mask).sum() + 10 for mask in masks] for w in weight])
    for finding in range(2):
        shown = (scores[finding][:, None, None] * masks).sum(0) / masks.sum(0)
        expected = shown - scores[finding].mean()
        np.testing.assert_allclose(maps[0, finding].numpy(), expected, atol=1e-4)
    assert logits.shape == (1, 2)


def test_the_masks_of_rise_are_soft_shifted_and_the_same_for_any_batch() -> None:
    x = torch.ones(2, 1, 28, 28)
    model = Linear(torch.ones(1, 1, 28, 28))
    maps = rise(model, x, samples=200, seed=3, keep=0.3, batch_size=200)[1]
    first, second = model.seen[1], model.seen[2]
    assert torch.equal(first, second)
    assert float(first.min()) >= 0
    assert float(first.max()) <= 1
    assert float(first.mean()) == pytest.approx(0.3, abs=0.02)
    means = first.mean((0, 1))
    assert float(means.std()) < 0.05
    small = rise(model, x[:1], samples=200, seed=3, keep=0.3, batch_size=7)[1]
    torch.testing.assert_close(small, maps[:1], rtol=1e-3, atol=1e-3)
    assert not torch.equal(rise(model, x, samples=5)[1], rise(model, x, samples=5, seed=1)[1])


def test_rise_points_at_the_one_pixel_that_counts() -> None:
    weight = torch.zeros(1, 1, 28, 28)
    weight[0, 0, 20, 7] = 5
    maps = rise(Linear(weight), torch.ones(1, 1, 28, 28), samples=400)[1][0, 0]
    row, column = divmod(int(maps.argmax()), 28)
    assert abs(row - 20) <= 3
    assert abs(column - 7) <= 3
    away = maps[:10, 15:]
    assert float(away.abs().mean()) < 0.25 * float(maps.max())


def test_a_pixel_that_no_mask_shows_has_no_value() -> None:
    maps = rise(Linear(torch.ones(1, 1, 8, 8)), torch.ones(1, 1, 8, 8), samples=1, keep=1e-9)[1]
    assert torch.equal(maps, torch.zeros(1, 1, 8, 8))


@pytest.mark.parametrize(
    ("run", "options", "message"),
    [
        (occlusion, {"cells": 3, "window": 4}, "the window has 4"),
        (occlusion, {"cells": 13}, "the image 12 pixels"),
        (rise, {"keep": 1.0}, "keep is 1.0"),
        (rise, {"samples": 0}, "samples is 0"),
    ],
)
def test_what_makes_no_sense_is_refused(run, options, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(Linear(torch.ones(1, 1, 12, 12)), torch.ones(1, 1, 12, 12), **options)


def test_baselines(build, images) -> None:
    model = build()
    assert torch.equal(baseline_of(model, images, "mean"), torch.zeros_like(images))
    mean, deviation = (torch.tensor(values) for values in model.normalization)
    black = baseline_of(model, images, "black")
    torch.testing.assert_close(
        black[0, :, 5, 5] * deviation + mean, torch.zeros(3), atol=1e-6, rtol=0
    )
    assert torch.equal(baseline_of(model, images, 2), torch.full_like(images, 2))
    flat = torch.full((1, 2, 20, 30), 3.0)
    torch.testing.assert_close(blurred(flat), flat)
    assert float(blurred(images).std()) < 0.3 * float(images.std())
