"""Schedules and optimizers against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR

from lucidray.errors import ModelError, UnknownNameError
from lucidray.training.schedules import build_optimizer, factor, optimizers, schedulers


def torch_rates(build, steps: int) -> list[float]:  # type: ignore[no-untyped-def]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = build(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("steps", [10, 37])
def test_schedules_are_torch_s(steps: int) -> None:
    ours = [factor("cosine", step, steps) for step in range(steps)]
    assert ours == pytest.approx(torch_rates(lambda o: CosineAnnealingLR(o, steps), steps))
    ours = [factor("onecycle", step, steps) for step in range(steps)]
    build = lambda o: OneCycleLR(o, 1.0, total_steps=steps, cycle_momentum=False)  # noqa: E731
    assert ours == pytest.approx(torch_rates(build, steps))


@pytest.mark.parametrize("name", list(schedulers))
def test_factors_stay_within_zero_and_one(name: str) -> None:
    factors = [factor(name, step, 20, warmup=3) for step in range(20)]
    assert min(factors) >= 0 and max(factors) <= 1 + 1e-12
    assert schedulers.entry(name).summary


@pytest.mark.parametrize("name", list(optimizers))
def test_optimizers_decay_weights_but_no_biases(name: str) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = build_optimizer(name, model, learning_rate=0.1, weight_decay=0.3)
    decays = {len(g["params"][0].shape): g["weight_decay"] for g in optimizer.param_groups}
    assert decays == {2: 0.3, 1: 0.0}
    model(torch.ones(4, 3)).sum().backward()
    before = model.weight.detach().clone()
    optimizer.step()
    assert not torch.equal(before, model.weight)


def test_nothing_to_train_and_unknown_names_are_refused() -> None:
    frozen = torch.nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(ModelError, match="nothing to train"):
        build_optimizer("adam", frozen, learning_rate=0.1, weight_decay=0)
    with pytest.raises(UnknownNameError, match="did you mean 'adam'"):
        build_optimizer("adm", torch.nn.Linear(2, 2), learning_rate=0.1, weight_decay=0)
