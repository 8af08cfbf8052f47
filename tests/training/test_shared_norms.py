"""Batch normalization over shares: torch's own numbers, and timm's activations kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import distributed, nn

from lucidray.training.shared_norms import SharedNorms, normalize_together


@pytest.fixture
def crew_of_one(tmp_path: Path) -> Iterator[None]:
    """A process group of this process alone."""
    meeting = f"file://{tmp_path}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5, 5)])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_a_whole_batch_is_normalized_as_torch_does(
    crew_of_one: None, shape: tuple[int, ...], momentum: float | None
) -> None:
    kind = nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d
    ours, theirs = (kind(3, momentum=momentum) for _ in range(2))
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        values = 3 + 2 * torch.randn(shape, generator=generator)
        pull = torch.randn(shape, generator=generator)
        given = [values.clone().requires_grad_() for _ in range(2)]
        found, wanted = normalize_together(ours, given[0]), theirs(given[1])
        torch.testing.assert_close(found, wanted)
        for result, norm in ((found, ours), (wanted, theirs)):
            norm.zero_grad()
            (result * pull).sum().backward()
        torch.testing.assert_close(given[0].grad, given[1].grad, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)


def test_activations_stay_and_evaluation_is_as_ever(crew_of_one: None) -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), BatchNormAct2d(4), nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2)
    )
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    names = list(model.state_dict())
    plain = model(images)
    assert model[1](model[0](images)).min() == 0
    norms = SharedNorms()
    assert norms.apply(model) is model
    torch.testing.assert_close(model(images), plain, rtol=1e-4, atol=1e-5)
    assert model[1](model[0](images)).min() == 0, "the activation is still there"
    model.eval()
    shared = model(images)
    assert list(model.state_dict()) == names
    torch.testing.assert_close(norms.revert(model)(images), shared)
    assert "forward" not in vars(model[1])
