"""Gradients by the image, guided or averaged: by hand and beside Captum."""

from __future__ import annotations

import captum.attr as peers
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lucidray.errors import ConfigError, ModelError, UnknownNameError
from lucidray.explain import (
    explain,
    gradient,
    guided_backprop,
    guided_grad_cam,
    input_x_gradient,
    integrated_gradients,
    smooth_grad,
)

#: Captum says that it hooks ReLUs, and warnings are errors here.
hooks_said = pytest.mark.filterwarnings("ignore:Setting backward hooks")


def close(ours: Tensor, theirs: Tensor) -> None:
    scale = float(theirs.detach().abs().max())
    assert scale > 0
    torch.testing.assert_close(ours / scale, theirs.detach() / scale, rtol=0, atol=1e-5)


def each(peer, images: Tensor, **options) -> Tensor:
    """Return a peer's maps of three targets, channels added up."""
    images = images.clone().requires_grad_()
    maps = [peer.attribute(images, target=t, **options).sum(1) for t in range(3)]
    return torch.stack(maps, 1).detach()


@pytest.mark.parametrize("backbone", ["baseline_cnn", "vit_tiny_patch16_224"])
def test_plain_gradients_are_captums(build, images, backbone: str) -> None:
    model = build(backbone)
    close(gradient(model, images)[1], each(peers.Saliency(model), images, abs=False))
    close(input_x_gradient(model, images)[1], each(peers.InputXGradient(model), images))
    largest = gradient(model, images, channels="max_abs")[1]
    leaf = images.clone().requires_grad_()
    theirs = [peers.Saliency(model).attribute(leaf, t).amax(1) for t in range(3)]
    close(largest, torch.stack(theirs, 1))


def test_integrated_gradients_are_captums(build, images) -> None:
    images = images[:, :, :32, :32]
    model, peer = build("resnet18", size=32), peers.IntegratedGradients(build("resnet18", size=32))
    ours = integrated_gradients(model, images, steps=5, batch_size=2)[1]
    close(ours, each(peer, images, n_steps=5, method="gausslegendre"))
    ours = integrated_gradients(model, images, steps=5, baseline=0.5)[1]
    close(ours, each(peer, images, n_steps=5, method="gausslegendre", baselines=0.5))


@pytest.mark.parametrize("baseline", ["mean", "black", "blur", -0.3])
def test_integrated_gradients_add_up_to_what_the_logit_gains(build, images, baseline) -> None:
    from lucidray.explain.perturbing import baseline_of

    model = build("vit_tiny_patch16_224", size=32).double()
    model.backbone.blocks = model.backbone.blocks[:2]
    images = images[:1, :, :32, :32].double()
    logits, maps = integrated_gradients(model, images, steps=40, baseline=baseline)
    with torch.no_grad():
        start = model(baseline_of(model, images, baseline))
    torch.testing.assert_close(maps.sum((2, 3)), (logits - start).float(), rtol=1e-3, atol=1e-4)


class Square(nn.Module):
    """One logit: the weighted sum of squared pixels; its gradient is known."""

    findings = ("a",)

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[1.0, -2.0], [3.0, 0.5]]))

    def forward(self, x: Tensor) -> Tensor:
        return (self.weight * x**2).sum((1, 2, 3))[:, None]


def test_by_hand() -> None:
    model, x = Square(), torch.tensor([[[[1.0, 2.0], [0.0, -1.0]]]])
    slope = 2 * model.weight.detach() * x[0, 0]
    assert torch.equal(gradient(model, x)[1][0, 0], slope)
    assert torch.equal(gradient(model, x, sign=-1)[1][0, 0], -slope)
    assert torch.equal(input_x_gradient(model, x)[1][0, 0], slope * x[0, 0])
    assert torch.equal(input_x_gradient(model, x, baseline=1.0)[1][0, 0], slope * (x[0, 0] - 1))
    torch.testing.assert_close(
        integrated_gradients(model, x, steps=2)[1][0, 0], slope * x[0, 0] / 2
    )


def test_smooth_grad_by_hand() -> None:
    model, x = Square(), torch.tensor([[[[1.0, 2.0], [0.0, -1.0]]]])
    generator = torch.Generator().manual_seed(4)
    drawn = torch.stack([torch.randn(1, 2, 2, generator=generator) for _ in range(5)])
    expected = 2 * model.weight.detach() * (x[0] + 0.2 * 3 * drawn.mean(0))[0]
    for batch_size in (1, 2, 8):
        maps = smooth_grad(model, x, samples=5, noise=0.2, seed=4, batch_size=batch_size)[1]
        torch.testing.assert_close(maps[0, 0], expected)
    torch.testing.assert_close(smooth_grad(model, x, samples=2, noise=0)[1], gradient(model, x)[1])
    assert not torch.equal(smooth_grad(model, x, seed=1)[1], smooth_grad(model, x, seed=2)[1])


def test_smooth_grad_is_captums_but_for_chance(build, images) -> None:
    model, x = build(size=16), images[:1, :, :16, :16]
    ours = smooth_grad(model, x, samples=300, noise=0.1)[1]
    torch.manual_seed(0)
    deviation = float(0.1 * (x.max() - x.min()))
    peer = peers.NoiseTunnel(peers.Saliency(model))
    theirs = each(peer, x, nt_samples=300, nt_type="smoothgrad", stdevs=deviation, abs=False)
    pair = torch.stack([ours.flatten(), theirs.detach().flatten()])
    assert float(torch.corrcoef(pair)[0, 1]) > 0.95


@hooks_said
@pytest.mark.parametrize("backbone", ["resnet18", "baseline_cnn"])
def test_guided_backprop_is_captums(build, images, backbone: str) -> None:
    ours = guided_backprop(build(backbone), images)[1]
    plain = build(backbone)
    for module in plain.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # Captum cannot hook the others
    close(ours, each(peers.GuidedBackprop(plain), images))


@hooks_said
def test_guided_grad_cam_is_captums(build, images) -> None:
    plain = build("resnet18")
    for module in plain.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    peer = peers.GuidedGradCam(plain, plain.backbone.layer4)
    theirs = each(peer, images, interpolate_mode="bilinear")
    close(guided_grad_cam(build("resnet18"), images)[1], theirs)


class Functional(nn.Module):
    """Rectifiers that are functions, one of them in place on what is used again."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        kept = self.first(x)
        path = self.second(functional.relu(kept, inplace=True))
        return self.last(torch.relu(kept + path).mean((2, 3)))


class Modular(Functional):
    """The same, with modules."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        kept = self.a(self.first(x))
        return self.last(self.b(kept + self.second(kept)).mean((2, 3)))


@hooks_said
def test_functional_and_in_place_rectifiers_are_guided_too(images) -> None:
    torch.manual_seed(1)
    functions, modules = Functional(), Modular()
    modules.load_state_dict(functions.state_dict())
    ours = guided_backprop(functions, images)[1]
    close(ours, each(peers.GuidedBackprop(modules), images))
    assert not torch.allclose(ours, gradient(functions, images)[1])


def test_guidance_ends_with_the_call_and_needs_a_rectifier(build, images) -> None:
    model = build()
    before = gradient(model, images)[1]
    guided_backprop(model, images)
    assert torch.equal(gradient(model, images)[1], before)
    with pytest.raises(ModelError, match="no rectifier"):
        guided_backprop(Square(), images[:, :, :2, :2])


@pytest.mark.parametrize(
    ("run", "options", "error", "message"),
    [
        (gradient, {"channels": "mean"}, UnknownNameError, "unknown way to join channels 'mean'"),
        (gradient, {"layer": "blocks.0"}, ModelError, "explains the image itself"),
        (input_x_gradient, {"baseline": "white"}, UnknownNameError, "unknown baseline 'white'"),
        (integrated_gradients, {"steps": 0}, ConfigError, "steps is 0"),
        (integrated_gradients, {"baseline": float("nan")}, ConfigError, "a finite number"),
        (smooth_grad, {"noise": -1.0}, ConfigError, "noise is -1.0"),
        (smooth_grad, {"samples": 0}, ConfigError, "samples is 0"),
    ],
)
def test_what_makes_no_sense_is_refused(build, images, run, options, error, message) -> None:
    with pytest.raises(error, match=message):
        run(build(), images, **options)


def test_black_is_known_only_where_normalization_is(images) -> None:
    with pytest.raises(ModelError, match="black is not known"):
        integrated_gradients(Functional(), images, baseline="black")


def test_options_and_progress_go_through_the_one_door(build, images) -> None:
    model = build()
    told: list[tuple[int, int]] = []
    _, maps = explain(
        model, images, method="integrated_gradients", findings=["b"], steps=3, batch_size=2,
        progress=lambda *done: told.append(done),
    )  # fmt: skip
    torch.testing.assert_close(maps, integrated_gradients(model, images, [1], steps=3)[1])
    assert told == [(2, 6), (3, 6), (5, 6), (6, 6)]
    explain(model, images, progress=lambda *done: told.append(done))
    assert len(told) == 4
    with pytest.raises(UnknownNameError, match=r"option of rise 'sample'; did you mean 'samples'"):
        explain(model, images, method="rise", sample=3)
    with pytest.raises(ConfigError, match="'grad_cam' has no options, but came with 'steps'"):
        explain(model, images, steps=3)
