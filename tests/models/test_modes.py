"""A mode reaches what moves, and leaves what is frozen in evaluation mode."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lucidray.models import ModelSpec, build_model, freeze
from lucidray.models.modes import set_mode


class Stubborn(nn.Linear):
    """Sets its mode itself: never training."""

    def train(self, mode: bool = True) -> Stubborn:
        return super().train(False)


def block(*, moves: bool, last: nn.Module | None = None) -> nn.Sequential:
    made = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), last or nn.BatchNorm1d(2))
    return made.requires_grad_(moves)


def modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


def test_frozen_parts_rest_with_all_that_is_in_them() -> None:
    model = nn.Sequential(block(moves=False), block(moves=True), nn.Dropout())
    assert set_mode(model, True) is model
    assert modes(model) == [True, *[False] * 4, *[True] * 4, True]
    assert not any(modes(set_mode(model, False)))
    assert not any(modes(set_mode(block(moves=False), True)))
    half = block(moves=True)
    half[0].requires_grad_(False)
    assert modes(set_mode(half, True)) == [True, False, True, True]


def test_a_part_that_knows_better_is_asked() -> None:
    model = block(moves=True, last=Stubborn(2, 2))
    assert modes(set_mode(model, True)) == [True, True, True, False]


@pytest.mark.parametrize("policy", ["full", "classifier_only", "last_block"])
def test_a_network_has_the_modes_that_torch_would_give_it(policy: str) -> None:
    model = build_model(ModelSpec(backbone="test_resnet"), ["Pneumonia"], image_size=32)
    freeze(model, policy)
    found = dict(zip(model.modules(), modes(model.eval().train()), strict=True))
    nn.Module.train(model, True)
    for module in model.modules():
        weights = list(module.parameters())
        if weights and not any(weight.requires_grad for weight in weights):
            for each in module.modules():
                each.training = False
    assert modes(model) == list(found.values())
    assert any(found.values())
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 1)
