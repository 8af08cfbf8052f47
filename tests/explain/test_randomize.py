"""Randomizing: from the head down, all of it in the end, the given model untouched."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from lucidray.errors import ModelError
from lucidray.explain import explain
from lucidray.explain.randomize import called_layers, randomize
from lucidray.metrics.sanity import measure_randomization

KINDS = {
    "small": ("baseline_cnn", 64),
    "residual": ("resnet18", 64),
    "tokens": ("vit_tiny_patch16_224", 64),
}


def _changed(before: nn.Module, after: nn.Module) -> set[str]:
    old, new = dict(before.named_parameters()), dict(after.named_parameters())
    return {name.rpartition(".")[0] for name in old if not torch.equal(old[name], new[name])}


@pytest.mark.parametrize(("backbone", "size"), KINDS.values(), ids=KINDS)
def test_the_given_model_and_the_worlds_dice_stay_as_they_are(
    build, images, backbone, size
) -> None:
    model = build(backbone, size).train()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    given = images.clone()
    steps = list(randomize(model, given, steps=2))
    assert len(steps) == 2
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(given, images)
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert modes == [module.training for module in model.modules()]
    assert not [m for m in model.modules() if m._forward_pre_hooks]
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize(("backbone", "size"), KINDS.values(), ids=KINDS)
def test_the_head_goes_first_and_nothing_learned_is_left(build, images, backbone, size) -> None:
    model = build(backbone, size)
    for parameter in model.parameters():
        parameter.data += 0.01
    before: set[str] = set()
    for step, found in enumerate(randomize(model, images, steps=4)):
        now = _changed(model, found.model)
        assert before < now
        assert now == set(found.layers)
        assert found.layer == found.layers[-1]
        assert not found.model.training
        if step == 0:
            assert now == {name for name in now if name.startswith("head")}
        before = now
    assert before == set(called_layers(model, images))
    everything = {name.rpartition(".")[0] for name, _ in model.named_parameters()}
    assert before == everything


@pytest.mark.parametrize(("backbone", "size"), KINDS.values(), ids=KINDS)
def test_a_random_network_still_speaks(build, images, backbone, size) -> None:
    model = build(backbone, size)
    for found in randomize(model, images, steps=4):
        logits, maps = explain(found.model, images)
        assert logits.isfinite().all()
        assert maps.isfinite().all()
        assert 1e-4 < float(logits.std()) < 1e3
        spread = maps.std((2, 3)) / maps.abs().amax((2, 3))
        assert float(spread.min()) > 1e-3


def test_the_same_seed_gives_the_same_weights_however_many_steps(build, images) -> None:
    model = build("baseline_cnn")
    last = [
        list(randomize(model, images, steps=steps, seed=seed, recalibrate=False))[-1].model
        for steps, seed in ((2, 0), (None, 0), (1, 0), (2, 1))
    ]
    states = [found.state_dict() for found in last]
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key])
        assert torch.equal(value, states[2][key])
    assert any(not torch.equal(value, states[3][key]) for key, value in states[0].items())


def test_independent_steps_leave_the_rest_as_learned(build, images) -> None:
    model = build("baseline_cnn")
    names = []
    for found in randomize(model, images, steps=None, mode="independent"):
        assert _changed(model, found.model) <= set(found.layers)
        assert len(found.layers) == 1
        names += found.layers
    assert names == called_layers(model, images)[::-1]


def test_learned_batch_statistics_below_the_random_layers_stay(build, images) -> None:
    model = build("resnet18")
    found = next(iter(randomize(model, images, steps=4)))
    for (name, old), new in zip(
        model.named_buffers(), (b for _, b in found.model.named_buffers()), strict=True
    ):
        assert torch.equal(old, new), name


def test_random_weights_have_the_variance_that_keeps_signals() -> None:
    model = nn.Sequential(nn.Conv2d(3, 400, 5), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    found = next(iter(randomize(model, torch.rand(2, 3, 8, 8), steps=1))).model[0]
    assert float(found.weight.detach().std()) == pytest.approx((2 / 75) ** 0.5, rel=0.02)
    assert (found.bias == 0).all()


def test_maps_that_ignore_the_model_fail_and_maps_of_it_do_not(build) -> None:
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(12, 1, 8, 8, generator=rng)
    x = nn.functional.interpolate(coarse, (64, 64), mode="bilinear").repeat(1, 3, 1, 1)
    model = build("baseline_cnn")

    def maps(network: nn.Module) -> np.ndarray:
        _, raw = explain(network, x, findings=["a"])
        return nn.functional.interpolate(raw, (64, 64), mode="bilinear")[:, 0].numpy()

    edges = x[:, 0].numpy()
    trained = maps(model)
    random = {found.layer: maps(found.model) for found in randomize(model, x, steps=3)}
    honest = measure_randomization(trained, random, rule="rank_correlation", n_boot=100)
    blind = measure_randomization(edges, dict.fromkeys(random, edges), n_boot=100)
    assert blind.verdict == "fails"
    last = honest.cascade[list(random)[-1]]["rank_correlation"]
    assert abs(last.value) < 0.7
    assert blind.cascade[list(random)[-1]]["map_ssim"].value == pytest.approx(1)


def test_refusals(images) -> None:
    with pytest.raises(ModelError, match="no weights"):
        list(randomize(nn.ReLU(), images))
    with pytest.raises(ModelError, match="at least one step"):
        list(randomize(nn.Conv2d(3, 1, 1), images, steps=0))
