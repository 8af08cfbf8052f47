"""Averaged weights: against torch's own, and given back after they were lent."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lucidray.training.averaging import Average, load_moving, moving_names, moving_state


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))


def test_frozen_parts_do_not_move() -> None:
    model = network().train()
    model[0].requires_grad_(False).eval()
    assert not [name for name in moving_names(model) if name.startswith("0.")]
    assert "1.running_mean" in moving_names(model)
    model[1].requires_grad_(False).eval()
    assert moving_names(model) == ["2.weight", "2.bias"]


def test_average_is_torch_s_once_warm() -> None:
    model = network().train()
    ours = Average(model, moving_names(model), decay=0.9)
    ours.steps = 10_000
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    theirs.update_parameters(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.randn(8, 3)).square().mean().backward()
        optimizer.step()
        ours.update()
        theirs.update_parameters(model)
    for name, value in theirs.module.named_parameters():
        torch.testing.assert_close(ours.state[name], value.detach())


def test_lent_weights_come_back() -> None:
    model = network().train()
    average = Average(model, moving_names(model), decay=0.5)
    with torch.no_grad():
        model[0].weight.add_(1)
    changed = moving_state(model, moving_names(model))
    with average.in_place():
        assert torch.equal(model[0].weight, average.state["0.weight"])
    torch.testing.assert_close(moving_state(model, list(changed)), changed, rtol=0, atol=0)


def test_moving_state_round_trips_in_any_memory_format() -> None:
    model = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    state = moving_state(model, ["weight", "bias"])
    with torch.no_grad():
        model.weight.zero_()
    load_moving(model, state)
    assert torch.equal(model.weight, state["weight"])
    assert model.weight.is_contiguous(memory_format=torch.channels_last)
