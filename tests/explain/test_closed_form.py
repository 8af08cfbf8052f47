"""The closed form: equal to gradients, for every head and architecture that it serves."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lucidray.errors import ModelError
from lucidray.explain import closed_form, grad_cam, has_closed_form

HEADS = {
    "linear": {},
    "relu": {"head": "mlp", "hidden": (16,), "dropout_before": 0.5, "dropout_after": 0.3},
    "gelu": {"head": "mlp", "hidden": (16,), "activation": "gelu"},
    "two hidden": {"head": "mlp", "hidden": (24, 12), "dropout_after": 0.3},
    "flat": {"pool": "flatten"},
    "flat mlp": {"pool": "flatten", "head": "mlp", "hidden": (8,)},
    "maximum": {"pool": "max", "head": "mlp", "hidden": (8,), "activation": "gelu"},
}


def agree(model: nn.Module, x: torch.Tensor, tolerance: float = 1e-5) -> None:
    logits, maps = closed_form(model, x)
    expected_logits, expected = grad_cam(model, x)
    scale = float(expected.abs().max())
    assert scale > 0
    torch.testing.assert_close(logits, expected_logits, rtol=0, atol=tolerance)
    torch.testing.assert_close(maps / scale, expected / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("backbone", ["resnet18", "baseline_cnn"])
def test_every_head_agrees_with_gradients(build, images, backbone: str, head) -> None:
    agree(build(backbone, **head), images)


@pytest.mark.parametrize(
    "backbone",
    ["densenet121", "efficientnet_b0", "mobilenetv2", "vgg16", "resnet50v2", "xception"],
)
def test_every_family_agrees_with_gradients(build, images, backbone: str) -> None:
    agree(build(backbone), images)
    agree(build(backbone, head="mlp", hidden=(8,)), images)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["nasnetlarge", "inception_resnet_v2"])
def test_the_largest_families_agree_with_gradients(build, backbone: str) -> None:
    agree(build(backbone, size=96), torch.randn(1, 3, 96, 96))


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("vit_tiny_patch16_224", 64, {}),
        ("vit_tiny_patch16_224", 64, {"head": "mlp", "hidden": (8,), "activation": "gelu"}),
        ("vit_small_patch14_reg4_dinov2", 56, {}),
        ("deit3_small_patch16_224", 64, {}),
    ],
)
def test_class_tokens_agree_with_gradients(build, name: str, size: int, options) -> None:
    model = build(name, size=size, **options)
    for block in model.backbone.blocks:
        nn.init.normal_(block.attn.qkv.weight, 0, 0.15)
    assert has_closed_form(model)
    agree(model, torch.randn(2, 3, size, size))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 5),
    st.lists(st.integers(1, 6), max_size=3),
    st.sampled_from(["relu", "gelu"]),
    st.sampled_from(["avg", "max", "flatten"]),
    st.integers(0, 2**31),
)
def test_any_head_on_any_map_agrees(batch, count, hidden, activation, pool, seed) -> None:
    from lucidray.models import BaselineCNN, Classifier, Pool, build_head

    torch.manual_seed(seed)
    backbone = BaselineCNN(1, (2, 3))
    width = 3 * (9 if pool == "flatten" else 1)
    head = build_head(width, count, hidden=hidden, activation=activation)
    names = [str(number) for number in range(count)]
    model = Classifier(backbone, Pool(pool, 2), head, findings=names).double().eval()
    x = torch.randn(batch, 1, 13, 13)
    _, maps = closed_form(model, x)
    _, expected = grad_cam(model, x)
    assert maps.shape == (batch, count, 6, 6)
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-6)


def test_tanh_gelu_agrees_too(build, images) -> None:
    model = build(head="mlp", hidden=(8,))
    model.head[1] = nn.GELU("tanh")
    agree(model, images)


def test_a_constant_shift_of_a_linear_head_moves_no_map(build, images) -> None:
    model = build("resnet18")
    _, before = closed_form(model, images)
    with torch.no_grad():
        model.head[-1].bias += 100
    assert torch.equal(closed_form(model, images)[1], before)


def test_the_maps_of_a_linear_head_add_up_to_its_logits(build, images) -> None:
    model = build("resnet18")
    logits, maps = closed_form(model, images)
    total = maps.sum((2, 3)) + model.head[-1].bias
    torch.testing.assert_close(total, logits)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda model: model.head.insert(0, nn.LayerNorm(128)),
        lambda model: model.head.append(nn.ReLU()),
        lambda model: model.head.append(nn.Softmax(1)),
        lambda model: setattr(model, "pool", None),
    ],
)
def test_heads_that_it_does_not_know_are_refused(build, images, spoil) -> None:
    model = build()
    spoil(model)
    assert not has_closed_form(model)
    with pytest.raises(ModelError, match="grad_cam"):
        closed_form(model, images)


@pytest.mark.parametrize(
    "name",
    [
        "convnext_atto",  # a norm between pooling and head
        "vit_small_patch16_rope_224",  # rotated keys do not commute with the mean
        "vit_base_patch16_clip_224",  # fits: see below
        "vit_small_patch16_384.augreg_in1k",
    ],
)
def test_only_models_of_known_shape_are_taken(name: str) -> None:
    from lucidray.models import ModelSpec, build_model

    with torch.device("meta"):
        model = build_model(ModelSpec(name), ["a"])
    plain = name.startswith(("vit_base_patch16_clip", "vit_small_patch16_384"))
    assert has_closed_form(model) == plain


def test_a_named_layer_is_refused(build, images) -> None:
    with pytest.raises(ModelError, match="layer=None"):
        closed_form(build(), images, layer="blocks.2")
