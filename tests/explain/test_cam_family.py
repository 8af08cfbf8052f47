"""CAM and its kin: by hand, beside pytorch-grad-cam, and beside each other where they agree."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import pytorch_grad_cam as peers
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from lucidray.errors import ConfigError, ModelError
from lucidray.explain import (
    ablation_cam,
    cam,
    eigen_cam,
    grad_cam,
    grad_cam_plus_plus,
    hires_cam,
    layer_cam,
    score_cam,
    xgrad_cam,
)


class Small(nn.Module):
    """Three channels of two by two pixels, multiplied pixel by pixel with known weights."""

    findings = ("a", "b")

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU()
        self.weight = nn.Parameter(
            torch.tensor(
                [
                    [
                        [[1.0, 2.0], [-3.0, 0.0]],
                        [[0.5, 0.5], [0.5, -2.0]],
                        [[1.0, 1.0], [1.0, 1.0]],
                    ],
                    [[[0.0, 0.0], [0.0, 1.0]], [[-1.0, 2.0], [3.0, 4.0]], [[2.0, 0.0], [0.0, 0.0]]],
                ]
            )
        )

    def features(self, x: Tensor) -> Tensor:
        return self.act(x)

    def classify(self, features: Tensor) -> Tensor:
        return torch.einsum("fchw,bchw->bf", self.weight, features)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.features(x))


#: The third channel is dead.
X = torch.tensor([[[[1.0, 2.0], [0.5, -1.0]], [[3.0, 0.0], [1.0, 2.0]], [[-1.0, -1], [-2, -3]]]])


def test_hires_cam_by_hand() -> None:
    logits, maps = hires_cam(Small(), X, [0])
    expected = torch.tensor([[1.0 + 1.5, 4.0 + 0.0], [-1.5 + 0.5, 0.0 - 4.0]])
    assert torch.equal(maps[0, 0], expected)
    assert float(logits[0, 0]) == float(maps.sum())


def test_layer_cam_by_hand() -> None:
    maps = layer_cam(Small(), X, [0])[1]
    assert torch.equal(maps[0, 0], torch.tensor([[1.0 + 1.5, 4.0 + 0.0], [0.0 + 0.5, 0.0]]))
    absence = layer_cam(Small(), X, [0], sign=-1)[1]
    assert torch.equal(absence[0, 0], torch.tensor([[0.0, 0.0], [1.5, 4.0]]))


def test_xgrad_cam_by_hand() -> None:
    maps = xgrad_cam(Small(), X, [0])[1]
    first, second = (1.0 + 4.0 - 1.5) / 3.5, (1.5 + 0.5 - 4.0) / 6.0
    torch.testing.assert_close(maps[0, 0], first * X[0, 0].relu() + second * X[0, 1].relu())


def test_grad_cam_plus_plus_by_hand() -> None:
    maps = grad_cam_plus_plus(Small(), X, [0])[1]
    first = 1.0 / (2 + 1.0 * 3.5) + 2.0 / (2 + 2.0 * 3.5)
    second = 3 * 0.5 / (2 + 0.5 * 6.0)
    torch.testing.assert_close(maps[0, 0], first * X[0, 0].relu() + second * X[0, 1].relu())


def test_ablation_cam_by_hand() -> None:
    maps = ablation_cam(Small(), X, [0])[1]
    first, second = 1.0 + 4.0 - 1.5, 1.5 + 0.5 - 4.0
    torch.testing.assert_close(maps[0, 0], first * X[0, 0].relu() + second * X[0, 1].relu())


def test_score_cam_by_hand() -> None:
    model = Small()
    maps = score_cam(model, X, [0])[1]
    scores = []
    for channel in X[0].relu():
        mask = channel / channel.max() if channel.max() > 0 else channel
        mask = (mask - mask.min()) / (mask.max() - mask.min()) if mask.max() > 0 else mask
        scores.append(model(X * mask)[0, 0].detach())
    shares = torch.stack(scores).softmax(0)
    assert scores[2].item() == 0
    torch.testing.assert_close(maps[0, 0], torch.einsum("c,chw->hw", shares, X[0].relu()))
    budget = score_cam(model, X, [0], channels=2)[1]
    shares = torch.stack(scores[:2]).softmax(0)
    torch.testing.assert_close(budget[0, 0], torch.einsum("c,chw->hw", shares, X[0, :2].relu()))


def test_score_cam_does_not_look_through_dead_channels_and_says_how_far_it_is() -> None:
    looks: list[int] = []

    class Watched(Small):
        def forward(self, x: Tensor) -> Tensor:
            looks.append(len(x))
            return super().forward(x)

    told: list[tuple[int, int]] = []
    score_cam(Watched(), X, batch_size=1, progress=lambda *done: told.append(done))
    assert looks == [1, 1, 1]  # what is hidden wholly, and two living channels
    assert told == [(1, 2), (2, 2)]


def peer_maps(
    peer: type, model: nn.Module, layer: nn.Module, x: Tensor, count: int, **options
) -> Tensor:
    """Return pytorch-grad-cam's maps, signed and unscaled."""
    maps = []
    with peer(model, [layer], **options) as run:
        for target in range(count):
            targets = [ClassifierOutputTarget(target)] * len(x)
            run(x, targets)
            activations = run.activations_and_grads.activations[0].numpy()
            gradients = run.activations_and_grads.gradients
            gradients = gradients[0].numpy() if gradients else None
            maps.append(run.get_cam_image(x, layer, targets, activations, gradients, False))
    return torch.from_numpy(np.stack(maps, 1))


def close(ours: Tensor, theirs: Tensor, tolerance: float = 1e-5) -> None:
    scale = float(theirs.abs().max())
    assert scale > 0
    torch.testing.assert_close(ours / scale, theirs / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize("layer", ["backbone.layer3", "backbone.layer4"])
@pytest.mark.parametrize(
    ("ours", "peer"),
    [
        (grad_cam_plus_plus, peers.GradCAMPlusPlus),
        (hires_cam, peers.HiResCAM),
        (layer_cam, peers.LayerCAM),
        (xgrad_cam, peers.XGradCAM),
    ],
)
def test_gradient_maps_are_pytorch_grad_cams(build, images, ours, peer, layer: str) -> None:
    model = build("resnet18")
    with torch.no_grad():
        model.head[-1].weight *= 1e4  # so large that the peer's epsilons do not matter
    theirs = peer_maps(peer, model, model.get_submodule(layer), images, 3)
    close(ours(model, images, layer=layer)[1], theirs)
    if layer == "backbone.layer4":
        close(ours(model, images)[1], theirs)


def test_small_gradients_are_not_shrunk(build, images) -> None:
    model = build("resnet18")
    _, large = xgrad_cam(model, images, layer="layer3")
    with torch.no_grad():
        model.head[-1].weight *= 1e-6
    close(xgrad_cam(model, images, layer="layer3")[1] * 1e6, large, 1e-4)


def test_eigen_cam_is_pytorch_grad_cams_but_for_the_sign(build, images) -> None:
    model = build("resnet18")
    for layer in ("backbone.layer2", "backbone.layer4"):
        theirs = peer_maps(peers.EigenCAM, model, model.get_submodule(layer), images, 1)
        ours = eigen_cam(model, images, [0], layer=layer, centered=True)[1]
        signs = (ours * theirs).sum((2, 3), keepdim=True).sign()
        close(ours, signs * theirs, 1e-4)
    ours = eigen_cam(model, images)[1]
    assert (ours >= -1e-6).all()  # the first component of what is not negative is not either


def test_eigen_cam_by_hand() -> None:
    strong = torch.tensor([[1.0, 2.0], [0.0, 2.0]])
    x = torch.stack([3 * strong, 4 * strong, torch.zeros(2, 2)])[None]
    maps = eigen_cam(Small(), x)[1]
    torch.testing.assert_close(maps, (5 * strong).expand(1, 2, 2, 2))
    assert torch.equal(eigen_cam(Small(), torch.zeros(1, 3, 2, 2))[1], torch.zeros(1, 2, 2, 2))


def test_score_cam_is_pytorch_grad_cams_where_nothing_is_enlarged() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).append(nn.Linear(6, 2))
    x = torch.randn(2, 3, 8, 8)
    theirs = peer_maps(peers.ScoreCAM, network.eval(), network[1], x, 2)
    close(score_cam(network, x, layer="1", batch_size=4)[1], theirs)


def test_ablation_cam_is_pytorch_grad_cams_times_the_logit(build, images) -> None:
    model = build("resnet18")
    layer = model.backbone.layer1
    theirs = peer_maps(peers.AblationCAM, model, layer, images[:1], 2)
    logits, ours = ablation_cam(model, images[:1], [0, 1], layer=layer)
    close(ours, theirs * logits[:, :2, None, None].detach(), 1e-4)


@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        ("baseline_cnn", {}),
        ("baseline_cnn", {"pool": "max"}),
        ("baseline_cnn", {"pool": "flatten"}),
        ("baseline_cnn", {"head": "mlp", "hidden": (8,)}),
        ("convnext_atto", {}),
    ],
)
def test_what_is_known_of_ablation_is_what_is_found_the_plain_way(
    build, images, backbone: str, options
) -> None:
    model = build(backbone, size=32, **options)
    images = images[:1, :, :32, :32]
    last = {"baseline_cnn": "blocks.2.2", "convnext_atto": "stages.3"}[backbone]
    told: list[tuple[int, int]] = []
    _, fast = ablation_cam(model, images, progress=lambda *done: told.append(done))
    assert (not told) == (backbone == "baseline_cnn" and "hidden" not in options)
    close(fast, ablation_cam(model, images, layer=last)[1], 1e-4)


def test_a_transformers_last_block_alone_is_run_for_ablation(build, images) -> None:
    model = build("vit_tiny_patch16_224")
    model.backbone.blocks = model.backbone.blocks[:2]
    _, fast = ablation_cam(model, images[:1])
    close(fast, ablation_cam(model, images[:1], layer="blocks.1.norm1")[1])


def test_a_layer_that_is_called_twice_is_ablated_at_its_last_call() -> None:
    class Twice(Small):
        def classify(self, features: Tensor) -> Tensor:
            return super().classify(self.act(features - 0.75))

    expected = torch.einsum("chw,chw->c", Twice().weight[0], (X[0].relu() - 0.75).relu())
    activation = (X[0].relu() - 0.75).relu()
    maps = ablation_cam(Twice(), X, [0], layer="act")[1]
    torch.testing.assert_close(maps[0, 0], torch.einsum("c,chw->hw", expected, activation))


def test_behind_a_mean_and_a_linear_head_they_are_one(build, images) -> None:
    model = build("resnet18")
    logits, expected = grad_cam(model, images)
    pixels = expected[0, 0].numel()
    for run in (hires_cam, xgrad_cam):
        close(run(model, images)[1], expected)
    _, first = cam(model, images)
    close(first, expected * pixels)
    torch.testing.assert_close(first.mean((2, 3)) + model.head[-1].bias, logits)


def test_cam_behind_a_max_pooling_adds_up_to_the_logit(build, images) -> None:
    model = build("baseline_cnn")
    logits, maps = cam(model, images)
    assert maps.shape == (2, 3, 8, 8)
    torch.testing.assert_close(maps.mean((2, 3)) + model.head[-1].bias, logits)
    with pytest.raises(ModelError, match="layer=None"):
        cam(model, images, layer="blocks.1")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 100))
def test_the_maps_follow_the_scale_of_the_head(seed: int, factor: float) -> None:
    torch.manual_seed(seed)
    model, x = Small().double(), torch.randn(2, 3, 2, 2).double()
    before = {run: run(model, x)[1] for run in (hires_cam, layer_cam, xgrad_cam, ablation_cam)}
    with torch.no_grad():
        model.weight *= factor
    for run, maps in before.items():
        torch.testing.assert_close(run(model, x)[1], maps * factor, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("number", [0, -1, 1.5, True])
def test_budgets_below_one_are_refused(number, images) -> None:
    runs: list[Callable] = [score_cam, ablation_cam]
    for run in runs:
        with pytest.raises(ConfigError, match="batch_size is"):
            run(Small(), X, batch_size=number)
