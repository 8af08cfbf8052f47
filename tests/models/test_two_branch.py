"""Two branches: what is cut and placed, which box is found, what trains, what maps add up to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lucidray.errors import ConfigError, ModelError, WeightsError
from lucidray.explain import explain
from lucidray.images.resample import resample
from lucidray.models import (
    ModelSpec,
    RegionClassifier,
    RegionSpec,
    build_model,
    build_region_classifier,
    freeze,
)
from lucidray.models.region import FoundBoxes, cut, hold_still, place
from lucidray.models.two_branch import Heat

FINDINGS = ("Pneumonia", "Effusion")


def make(image_size: int = 64, **region: object) -> RegionClassifier:
    torch.manual_seed(0)
    told = {"source": "crop", "crop": (0.25, 0.75, 0.0, 0.5), **region}
    spec = ModelSpec("baseline_cnn", in_channels=1, region=RegionSpec(**told))
    return build_region_classifier(spec, FINDINGS, image_size=image_size).eval()


class Marks(nn.Module):
    """Marks the same pixels of every film, 0 to 1."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = nn.Parameter(values)

    def forward(self, x: Tensor) -> Tensor:
        return self.values.expand(len(x), *self.values.shape)


def test_a_cut_is_what_images_resample_makes_of_it() -> None:
    film = torch.from_numpy(np.random.default_rng(0).random((1, 1, 64, 64), np.float32))
    inner = torch.tensor([[16.0, 8.0, 48.0, 40.0]]) / 64
    for size in (16, 32, 50):
        whole = cut(film, torch.tensor([[0.0, 0.0, 1.0, 1.0]]), size)
        np.testing.assert_allclose(
            whole[0, 0], resample(film[0, 0].numpy(), (size, size)), atol=1e-5
        )
        # Inside the border, where the window's edge cuts off nothing.
        part = cut(film, inner, size)[0, 0].numpy()
        wanted = resample(film[0, 0].numpy(), (size, size), (16.0, 8.0, 48.0, 40.0))
        np.testing.assert_allclose(part[4:-4, 4:-4], wanted[4:-4, 4:-4], atol=1e-5)


def test_what_is_placed_keeps_its_sum_and_stays_in_its_box() -> None:
    maps = torch.rand(2, 3, 5, 5) - 0.3
    boxes = torch.tensor([[0.25, 0.5, 0.75, 1.0], [0.1, 0.03, 0.93, 0.4]])
    found = place(maps, boxes, (16, 16))
    torch.testing.assert_close(found.sum((2, 3)), maps.sum((2, 3)))
    assert not found[0, :, :8].any() and not found[0, :, :, :4].any()
    assert not found[0, :, :, 12:].any()
    whole = place(maps, torch.tensor([[0.0, 0.0, 1.0, 1.0]]).expand(2, 4), (5, 5))
    torch.testing.assert_close(whole, maps)


@pytest.mark.parametrize(
    ("marked", "margin", "smallest", "wanted"),
    [
        ((slice(2, 6), slice(4, 8)), 0.0, 0.1, [0.5, 0.25, 1.0, 0.75]),
        ((slice(2, 6), slice(2, 6)), 0.25, 0.1, [0.125, 0.125, 0.875, 0.875]),
        ((slice(0, 8), slice(0, 8)), 0.5, 0.1, [0.0, 0.0, 1.0, 1.0]),
        ((slice(0, 0), slice(0, 0)), 0.1, 0.1, [0.0, 0.0, 1.0, 1.0]),
        ((slice(0, 1), slice(7, 8)), 0.0, 0.5, [0.5, 0.0, 1.0, 0.5]),
    ],
)
def test_the_box_around_marks_grows_and_stays_inside(
    marked: tuple[slice, slice], margin: float, smallest: float, wanted: list[float]
) -> None:
    values = torch.zeros(8, 8)
    values[marked] = 0.9
    spec = RegionSpec("lungs", run="x", margin=margin, smallest=smallest)
    found = FoundBoxes(Marks(values), 8, spec)(torch.rand(2, 1, 8, 8))
    torch.testing.assert_close(found, torch.tensor([wanted, wanted]))


def test_what_finds_the_box_is_never_trained() -> None:
    boxes = FoundBoxes(Marks(torch.ones(8, 8)), 8, RegionSpec("lungs", run="x")).train()
    assert not list(boxes.parameters()) and not boxes.marks.training
    assert "marks.values" in boxes.state_dict()
    norm = hold_still(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)))
    assert set(norm.state_dict()) >= {"0.weight", "0.bias", "1.weight", "1.running_mean"}
    assert norm(torch.rand(1, 1, 8, 8)).shape == (1, 2, 6, 6)


def test_both_branches_maps_add_up_to_the_logit() -> None:
    model = make()
    x = torch.rand(3, 1, 64, 64)
    logits, both = explain(model, x)
    _, film = explain(model, x, method="closed_form", branch="film")
    _, region = explain(model, x, method="closed_form", branch="region")
    torch.testing.assert_close(film + region, both)
    torch.testing.assert_close(logits, model(x).detach())
    bias = model.head[-1].bias.detach()
    # The map of the baseline CNN is pooled by a maximum first, so its mean is not the map's.
    spec = ModelSpec("test_resnet", in_channels=1, region=RegionSpec("crop"))
    plain = build_region_classifier(spec, FINDINGS, image_size=64).eval()
    logits, both = explain(plain, x)
    torch.testing.assert_close(
        both.sum((2, 3)), logits - plain.head[-1].bias.detach(), atol=1e-4, rtol=1e-4
    )
    assert bias.shape == (2,)
    height = region.shape[2]
    assert not region[:, :, : height // 4].any() and not region[:, :, :, height // 2 :].any()
    assert region.abs().sum() > 0


def test_a_branchs_map_is_grad_cam_of_that_branch() -> None:
    """By autograd: the mean gradient of each channel, times the channel, laid out over the film."""
    spec = ModelSpec(
        "test_resnet", in_channels=1, head="mlp", hidden=(8,), region=RegionSpec("crop")
    )
    torch.manual_seed(1)
    model = build_region_classifier(spec, FINDINGS, image_size=64).eval()
    x = torch.rand(2, 1, 64, 64)
    features, boxes = model.look(x)
    leaf = features.detach().requires_grad_()
    logit = model.classify(leaf)[:, 1]
    (slopes,) = torch.autograd.grad(logit.sum(), leaf)
    maps = slopes.mean((2, 3), keepdim=True) * leaf.detach()
    halves = torch.stack([half.sum(1) for half in maps.chunk(2, 1)], 1)
    film, region = model.spread(halves, boxes)
    for branch, wanted in (("film", film), ("region", region)):
        _, found = explain(model, x, method="closed_form", branch=branch, findings="Effusion")
        torch.testing.assert_close(found, wanted.detach(), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("method", ["hires_cam", "cam", "eigen_cam", "ablation_cam", "score_cam"])
def test_methods_of_one_map_say_that_there_are_two(method: str) -> None:
    with pytest.raises(ModelError, match="two branches"):
        explain(make(), torch.rand(1, 1, 64, 64), method=method)


def test_methods_on_the_image_see_through_both_branches() -> None:
    _, maps = explain(make(), torch.rand(1, 1, 64, 64), method="gradient")
    assert maps.shape == (1, 2, 64, 64) and maps.abs().sum() > 0


def test_a_branch_needs_two() -> None:
    one = build_model(ModelSpec("baseline_cnn", in_channels=1), FINDINGS, image_size=32)
    with pytest.raises(ModelError, match="looks at the film once"):
        explain(one, torch.rand(1, 1, 32, 32), method="closed_form", branch="film")


@pytest.mark.parametrize("policy", ["frozen", "last_block", "last_fraction", "full"])
def test_freezing_treats_both_branches_alike(policy: str) -> None:
    model = make()
    freeze(model, policy, fraction=0.5)
    free = {name for name, weight in model.backbone.named_parameters() if weight.requires_grad}
    film = {name[5:] for name in free if name.startswith("film.")}
    assert film == {name[7:] for name in free if name.startswith("region.")}
    every = {name for name, _ in model.backbone.film.named_parameters()}
    assert {"frozen": not film, "full": film == every}.get(policy, set() < film < every)


def test_the_region_is_seen_at_the_resolution_of_the_square() -> None:
    model = make(128, size=32)
    assert model.backbone.size == 32 and model.image_size == 128
    seen: list[Tensor] = []
    model.backbone.region.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model.backbone.region.forward_features = lambda x: seen.append(x) or torch.zeros(1, 64, 4, 4)
    model.backbone.film.forward_features = lambda x: seen.append(x) or torch.zeros(1, 64, 4, 4)
    fine = torch.rand(1, 1, 128, 128)
    model.look(fine)
    assert [each.shape[-1] for each in seen] == [32, 32]
    torch.testing.assert_close(seen[1], cut(fine, torch.tensor([[0, 0.25, 0.5, 0.75]]), 32))


def test_what_does_not_fit_says_why() -> None:
    with pytest.raises(ConfigError, match="rising fractions"):
        RegionSpec("crop", crop=(0.5, 0.4, 0, 1))
    with pytest.raises(ConfigError, match=r"region\.run"):
        RegionSpec("lungs")
    with pytest.raises(ConfigError, match=r"leave region\.run out"):
        RegionSpec("crop", run="runs/first")
    with pytest.raises(ConfigError, match="second branch"):
        ModelSpec("test_resnet", decoder=(8,), region=RegionSpec("crop"))
    tokens = ModelSpec("vit_tiny_patch16_224", region=RegionSpec("crop"))
    with pytest.raises(ModelError, match="way of its own"):
        build_region_classifier(tokens, FINDINGS, image_size=224)
    waiting = ModelSpec("baseline_cnn", region=RegionSpec("heat", run="runs/first"))
    with pytest.raises(ModelError, match="not known yet"):
        build_region_classifier(waiting, FINDINGS, image_size=32)
    deep = ModelSpec("baseline_cnn", in_channels=1, head="mlp", hidden=(4,))
    with pytest.raises(ModelError, match="linear head"):
        Heat(build_model(deep, FINDINGS, image_size=32))


def test_a_finders_weights_must_fit_it(tmp_path) -> None:
    from safetensors.torch import save_file

    from lucidray.config import to_mapping

    spec = ModelSpec("baseline_cnn", in_channels=1)
    path = tmp_path / "best.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    finder = {
        "model": to_mapping(spec), "size": 32, "findings": ["Mass"], "exclusive": False,
        "weights": str(path),
    }  # fmt: skip
    region = RegionSpec("heat", run="somewhere", finder=finder)
    with pytest.raises(WeightsError, match="do not fit"):
        build_region_classifier(replace(spec, region=region), FINDINGS, image_size=64)
