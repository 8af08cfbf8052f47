"""What a network takes in: equal to the images room's NumPy, and blended by known weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lucidray.images.preprocessing import Preprocessing
from lucidray.images.preprocessing import normalize as numpy_normalize
from lucidray.training.inputs import Boxed, Examples, Gazed, mix, normalize, share, to_unit


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["unit", "zscore", "imagenet", "inception", "xrv"])
def test_normalization_is_that_of_the_images_room(name: str, channels: int) -> None:
    image = Preprocessing(size=16, normalization=name, channels=channels)  # type: ignore[arg-type]
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16), np.uint8)
    pixels[2] = 77
    unit = to_unit(torch.from_numpy(pixels))[:, None]
    wanted = numpy_normalize(unit[:, 0].numpy(), image)
    ours = normalize(unit, image)
    scale = max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(ours.numpy(), wanted, atol=2e-6 * scale)
    assert ours.is_contiguous(memory_format=torch.channels_last)


def test_mixup_blends_images_and_labels_alike_and_keeps_the_unknown_unknown() -> None:
    inputs = torch.eye(6)
    targets = torch.eye(6)
    targets[0, 0] = torch.nan
    blended, labels = mix(inputs, targets, 0.4, seed=3)
    known = labels.isfinite()
    torch.testing.assert_close(blended[known], labels[known])
    assert 1 <= int((~known).sum()) <= 2
    torch.testing.assert_close(blended.sum(1), torch.ones(6))
    again, _ = mix(inputs, targets, 0.4, seed=3)
    assert torch.equal(blended, again)


def test_examples_fetch_what_was_asked_for() -> None:
    pixels = np.arange(4, dtype=np.uint8)[:, None, None].repeat(2, 1).repeat(2, 2)
    labels = np.arange(4, dtype=np.float32)[:, None]
    inputs, targets = Examples(pixels, labels).fetch(np.array([2, 0]))
    assert inputs.shape == (2, 1, 2, 2) and inputs[:, 0, 0, 0].tolist() == [2, 0]
    assert targets[:, 0].tolist() == [2, 0]


def test_shares_of_a_batch_hold_every_image_once() -> None:
    images, labels = torch.arange(6.0).view(6, 1), torch.arange(6.0).view(6, 1)
    for targets in (labels, Boxed(labels, labels), Gazed(labels, labels)):
        parts = [share(images, targets, rank, 2) for rank in range(2)]
        assert [part[0].flatten().tolist() for part in parts] == [[0, 2, 4], [1, 3, 5]]
        for inputs, told in parts:
            assert type(told) is type(targets)
            own = told if isinstance(told, torch.Tensor) else told.labels
            assert torch.equal(own, inputs)
    assert torch.equal(share(images, Boxed(labels, labels), 1, 2)[1].boxes, labels[1::2])
    assert torch.equal(share(images, Gazed(labels, labels), 1, 2)[1].gaze, labels[1::2])
