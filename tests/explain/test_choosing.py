"""The one door: explain() chooses, names findings and leaves the model as found."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lucidray.errors import ModelError, UnknownNameError
from lucidray.explain import choosing, closed_form, explain, grad_cam


def test_the_fast_way_is_taken_where_it_is_exact(build, images, monkeypatch) -> None:
    taken = []

    def watched(*args, **options):
        taken.append("closed form")
        return closed_form(*args, **options)

    monkeypatch.setattr(choosing, "closed_form", watched)
    model = build("resnet18")
    explain(model, images)
    assert taken == ["closed form"]
    explain(model, images, layer="layer4")
    explain(build("convnext_atto"), images)
    assert taken == ["closed form"]


def test_the_pooled_map_named_as_a_layer_gives_the_same(build, images) -> None:
    model = build("resnet18")
    _, fast = explain(model, images)
    _, slow = explain(model, images, layer="backbone.layer4")
    torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-6)


def test_findings_are_taken_by_name_and_in_order(build, images) -> None:
    model = build()
    logits, every = explain(model, images)
    again, some = explain(model, images, findings=["c", "a"])
    assert every.shape[:2] == (2, 3)
    assert torch.equal(logits, again)
    torch.testing.assert_close(some, every[:, [2, 0]])
    torch.testing.assert_close(explain(model, images, findings="b")[1], every[:, [1]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"findings": ["d"]}, "unknown finding 'd'"),
        ({"method": "grad_camm"}, "did you mean 'grad_cam'"),
    ],
)
def test_unknown_names_are_refused(build, images, options, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        explain(build(), images, **options)


def test_a_model_without_named_findings_is_refused(images) -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ModelError, match="does not name its findings"):
        explain(network, images, findings=["a"])
    assert explain(network, images)[1].shape == (2, 2, 62, 62)


@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224", "convnext_atto"])
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_callers_gradient_mode_does_not_matter(build, images, backbone, context) -> None:
    model = build(backbone)
    expected = explain(model, images)
    with context():
        got = explain(model, images.clone())
    assert all(torch.equal(a, b) for a, b in zip(expected, got, strict=True))
    assert not got[0].requires_grad
    assert not got[1].requires_grad


@pytest.mark.parametrize(
    "backbone", ["resnet18", "densenet121", "efficientnet_b0", "vit_tiny_patch16_224"]
)
def test_the_batch_does_not_matter(build, images, backbone: str) -> None:
    model = build(backbone)
    _, together = explain(model, images)
    alone = torch.cat([explain(model, images[index : index + 1])[1] for index in range(2)])
    scale = float(together.abs().max())
    torch.testing.assert_close(alone / scale, together / scale, rtol=0, atol=1e-5)


@pytest.mark.parametrize("run", [grad_cam, closed_form])
@pytest.mark.parametrize("backbone", ["resnet18", "vit_tiny_patch16_224"])
def test_bf16_gives_float32_maps_near_those_of_float32(build, images, backbone, run) -> None:
    model = build(backbone)
    _, expected = run(model, images)
    with torch.autocast("cpu", torch.bfloat16):
        _, autocast = run(model, images)
    _, halved = run(model.bfloat16(), images)
    for got in (autocast, halved):
        assert got.dtype == torch.float32
        pair = torch.stack([got.flatten(), expected.flatten()])
        assert float(torch.corrcoef(pair)[0, 1]) > 0.99


def test_channels_last_gives_the_same(build, images) -> None:
    model = build("resnet18")
    _, expected = explain(model, images)
    model.to(memory_format=torch.channels_last)
    _, got = explain(model, images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-6)


def test_one_channel_and_one_finding(build) -> None:
    model = build(in_channels=1, findings=("pneumonia",))
    x = torch.randn(2, 1, 64, 64)
    _, maps = explain(model, x, findings=["pneumonia"])
    _, absence = explain(model, x, findings=["pneumonia"], sign=-1)
    assert maps.shape == (2, 1, 16, 16)
    assert torch.equal(absence, -maps)
