"""Grad-CAM by gradients: by hand, and beside pytorch-grad-cam and Captum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from captum.attr import LayerGradCam
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from lucidray.errors import ModelError, ShapeError
from lucidray.explain import grad_cam


class Small(nn.Module):
    """Two channels that are the image and its negative, pooled and weighed by hand."""

    findings = ("bright", "dark")

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU()
        self.head = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[2.0, -1.0], [-4.0, 8.0]]))

    def features(self, x: Tensor) -> Tensor:
        return self.act(torch.cat([x, -x], 1))

    def classify(self, features: Tensor) -> Tensor:
        return self.head(features.mean((2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.features(x))


def test_by_hand() -> None:
    x = torch.tensor([[[[1.0, -3.0], [2.0, -1.0]]]])
    logits, maps = grad_cam(Small(), x)
    assert torch.equal(logits, torch.tensor([[2 * 0.75 - 1.0, -4 * 0.75 + 8.0]]))
    bright = torch.tensor([[2 * 1.0, -1 * 3.0], [2 * 2.0, -1 * 1.0]]) / 4
    dark = torch.tensor([[-4 * 1.0, 8 * 3.0], [-4 * 2.0, 8 * 1.0]]) / 4
    assert torch.equal(maps[0], torch.stack([bright, dark]))


def test_the_sign_explains_the_absence() -> None:
    x = torch.randn(2, 1, 4, 4)
    for_it, against_it = (grad_cam(Small(), x, [0], sign=sign)[1] for sign in (1.0, -1.0))
    assert torch.equal(for_it, -against_it)


def peer_maps(model: nn.Module, layer: nn.Module, x: Tensor, count: int, reshape=None) -> Tensor:
    """Return pytorch-grad-cam's weighted sums, signed and unscaled."""
    maps = []
    with GradCAM(model, [layer], reshape_transform=reshape) as cam:
        for target in range(count):
            cam(x, [ClassifierOutputTarget(target)] * len(x))
            activations = cam.activations_and_grads.activations[0].numpy()
            gradients = cam.activations_and_grads.gradients[0].numpy()
            weights = cam.get_cam_weights(x, layer, None, activations, gradients)
            maps.append((weights[..., None, None] * activations).sum(1))
    return torch.from_numpy(np.stack(maps, 1))


class LastRelu(nn.Module):
    """A classifier whose explained map is the output of an explicit last layer."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.last = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.model.classify(self.last(self.model.features(x)))


def close(ours: Tensor, theirs: Tensor) -> None:
    scale = float(theirs.abs().max())
    assert scale > 0
    torch.testing.assert_close(ours / scale, theirs / scale, rtol=0, atol=1e-5)


@pytest.mark.parametrize("backbone", ["resnet18", "densenet121", "vgg16", "xception"])
def test_the_map_after_the_last_relu_is_pytorch_grad_cams(build, images, backbone: str) -> None:
    model = build(backbone)
    subject = LastRelu(model).eval()
    _, ours = grad_cam(model, images)
    close(ours, peer_maps(subject, subject.last, images, 3))
    captum = [LayerGradCam(subject, subject.last).attribute(images, t)[:, 0] for t in range(3)]
    close(ours, torch.stack(captum, 1).detach())


@pytest.mark.parametrize("layer", ["layer3", "layer2.0.conv1", "layer4.1.act2"])
def test_an_inner_layer_is_captums(build, images, layer: str) -> None:
    model = build("resnet18")
    _, ours = grad_cam(model, images, layer=layer)
    inner = model.backbone.get_submodule(layer)
    theirs = [LayerGradCam(model, inner).attribute(images, t)[:, 0].detach() for t in range(3)]
    close(ours, torch.stack(theirs, 1))


def test_a_transformer_is_explained_as_pytorch_grad_cam_does(build, images) -> None:
    model = build("vit_tiny_patch16_224")

    def reshape(tokens: Tensor) -> Tensor:
        return tokens[:, 1:].transpose(1, 2).reshape(len(tokens), -1, 4, 4)

    _, ours = grad_cam(model, images)
    assert ours.shape == (2, 3, 4, 4)
    close(ours, peer_maps(model, model.backbone.blocks[-1].norm1, images, 3, reshape))


def test_a_foreign_network_is_explained_at_its_last_map(images) -> None:
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=3).eval()
    _, ours = grad_cam(network, images)
    assert ours.shape == (2, 3, 2, 2)
    close(ours, peer_maps(network, network.layer4[-1], images, 3))
    _, named = grad_cam(network, images, [1], layer=network.layer4)
    torch.testing.assert_close(named[:, 0], ours[:, 1])


def test_an_in_place_relu_after_the_layer_does_not_reach_into_the_map(images) -> None:
    network = torchvision.models.densenet121(num_classes=2).eval()
    _, ours = grad_cam(network, images, layer="features.norm5")
    with torch.no_grad():
        before = network.features(images)
    assert (before < 0).any()
    weights = network.classifier.weight[None] * (before > 0).float().mean((2, 3))[:, None]
    close(ours, torch.einsum("bfc,bchw->bfhw", weights / 4, before).detach())


def test_swins_channels_are_found_where_they_are(build, images) -> None:
    model = build("swin_tiny_patch4_window7_224")
    assert grad_cam(model, images)[1].shape == (2, 3, 2, 2)
    assert grad_cam(model, images, layer="layers.1")[1].shape == (2, 3, 8, 8)
    assert grad_cam(model, images, layer="patch_embed.proj")[1].shape == (2, 3, 16, 16)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"layer": "layer5"}, ModelError, r"no layer 'layer5'; the nearest are layer"),
        ({"layer": nn.ReLU()}, ModelError, "no part of the model"),
        ({"layer": "fc"}, ModelError, "does not take part"),
        ({"layer": "head"}, ModelError, "neither a map"),
        ({"targets": [3]}, ShapeError, "indices from 0 to 2"),
        ({"targets": [-1]}, ShapeError, "indices from 0 to 2"),
    ],
)
def test_what_cannot_be_explained_is_refused(build, images, options, error, message) -> None:
    model = build("resnet18")
    with pytest.raises(error, match=message):
        grad_cam(model, images, **options)
    assert not any(module._forward_hooks for module in model.modules())


def test_one_image_without_batch_is_refused(build, images) -> None:
    with pytest.raises(ShapeError, match=r"x\[None\]"):
        grad_cam(build(), images[0])
    with pytest.raises(ModelError, match="no weights"):
        grad_cam(nn.ReLU(), images)
