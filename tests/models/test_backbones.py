"""The registry of backbones, walked: each builds, makes a map and has a full card."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lucidray.errors import ModelError, UnknownNameError
from lucidray.models import ModelSpec, backbones, build_model, card, create_backbone, normalization

DOCUMENTS = (
    *("vgg16", "vgg19", "resnet18", "resnet34", "resnet50", "resnet101", "resnet50v2"),
    *("densenet121", "densenet201", "efficientnet_b0", "efficientnet_b4", "mobilenetv2"),
    *("xception", "nasnetlarge", "inception_resnet_v2", "vit_small", "vit_base", "vit_large"),
    "baseline_cnn",
)


def test_every_backbone_of_the_source_documents_is_registered() -> None:
    assert set(backbones) == set(DOCUMENTS)


@pytest.mark.parametrize("entry", backbones.entries(), ids=lambda entry: entry.name)
def test_a_card_is_complete(entry) -> None:
    known = entry.value
    assert entry.summary.endswith(".")
    assert entry.source
    assert known.documents.startswith("S")
    assert known.explained
    assert known.input_size >= 224
    assert len(known.mean) == len(known.std) == 3
    assert bool(known.license) == bool(known.timm_name)
    assert entry.facts["explained"] == known.explained


@pytest.mark.parametrize("name", list(backbones))
def test_every_backbone_builds_and_predicts(name: str) -> None:
    with torch.device("meta"):
        model = build_model(ModelSpec(backbone=name), ["a", "b", "c"]).eval()
        x = torch.empty(2, 3, 224, 224)
        with torch.no_grad():
            features = model.features(x)
            logits = model.classify(features)
    assert features.ndim == (3 if name.startswith("vit") else 4)
    assert features.shape[0] == 2
    assert min(features.shape[1:]) > 1
    assert logits.shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("resnet18", nn.ReLU),
        ("densenet121", nn.ReLU),
        ("efficientnet_b0", nn.SiLU),
        ("mobilenetv2", nn.ReLU6),
        ("vgg16", nn.ReLU),
        ("baseline_cnn", nn.ReLU),
    ],
)
def test_the_map_is_the_output_of_the_last_activation(name: str, last: type[nn.Module]) -> None:
    model = build_model(ModelSpec(backbone=name), ["a"], image_size=64).eval()
    outputs = []
    for module in model.backbone.modules():
        if isinstance(module, last):
            module.register_forward_hook(lambda m, i, out: outputs.append(out))
    with torch.no_grad():
        features = model.features(torch.randn(1, 3, 64, 64))
    assert torch.equal(features, outputs[-1])
    if last is not nn.SiLU:
        assert features.min() >= 0


def test_the_baseline_pools_to_the_documents_100352_values() -> None:
    spec = ModelSpec("baseline_cnn", head="mlp", hidden=(128,), dropout_after=0.5, pool="flatten")
    with torch.device("meta"):
        model = build_model(spec, ["normal", "abnormal"], exclusive=True)
    assert [layer.in_features for layer in model.head if isinstance(layer, nn.Linear)] == [
        100_352,
        128,
    ]


def test_any_timm_name_is_a_backbone() -> None:
    with torch.device("meta"):
        model = build_model(ModelSpec("convnext_atto.d2_in1k"), ["a"])
        assert model(torch.empty(1, 3, 224, 224)).shape == (1, 1)
    assert card("convnext_atto.d2_in1k").license == "apache-2.0"


def test_channels_come_first_also_where_a_backbone_keeps_them_last() -> None:
    model = build_model(ModelSpec("swin_tiny_patch4_window7_224"), ["a"], image_size=64).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        features = model.features(x)
        own = model.backbone(x)
        assert features.shape == (2, 768, 2, 2)
        assert torch.equal(model.embed(features), own)


@pytest.mark.parametrize(
    ("name", "near"), [("densnet121", "densenet121"), ("convnext_attto", "convnext_atto")]
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"did you mean '{near}'.*timm.list_models"):
        create_backbone(name)


def test_inner_dropout_reaches_the_backbone_or_is_refused() -> None:
    vit = create_backbone("vit_tiny_patch16_224", image_size=32, drop_rate=0.2, drop_path=0.1)
    assert any(isinstance(m, nn.Dropout) and m.p == 0.2 for m in vit.modules())
    with pytest.raises(ModelError, match=r"vgg16.*cannot take.*drop_path"):
        create_backbone("vgg16", drop_path=0.1)
    with pytest.raises(ModelError, match="leave drop_rate, drop_path at 0"):
        create_backbone("baseline_cnn", drop_rate=0.1)


def test_normalization_follows_the_weights() -> None:
    mean, std = normalization("resnet50")
    assert mean == (0.485, 0.456, 0.406)
    assert normalization("resnet50", in_channels=1)[0] == pytest.approx((0.449,))
    assert normalization("vit_small") == ((0.5,) * 3, (0.5,) * 3)
    mean, std = normalization("densenet121", "torchxrayvision:densenet121-res224-all", 1)
    assert ((0 - mean[0]) / std[0], (1 - mean[0]) / std[0]) == (-1024, 1024)
