"""Specs, heads and the classifier."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lucidray.config import from_mapping, to_mapping
from lucidray.errors import ConfigError, LucidRayError, ModelError
from lucidray.models import ModelSpec, build_head, build_model

TINY = "baseline_cnn"


def kinds(head: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in head.children()]


def test_the_heads_of_the_documents() -> None:
    s0 = build_head(8, 3, hidden=[256], activation="gelu", dropout_before=0.5)
    assert kinds(s0) == ["Dropout", "Linear", "GELU", "Linear"]
    s2 = build_head(8, 14, hidden=[1024, 512], dropout_after=0.3)
    assert kinds(s2) == ["Linear", "ReLU", "Dropout"] * 2 + ["Linear"]
    s4 = build_head(8, 1, hidden=[128], dropout_before=0.5, dropout_after=0.3)
    assert [m.p for m in s4 if isinstance(m, nn.Dropout)] == [0.5, 0.3]
    assert kinds(build_head(8, 2)) == ["Linear"]


def test_a_spec_survives_the_way_through_plain_values() -> None:
    spec = ModelSpec("resnet50", head="mlp", hidden=(128,), dropout_before=0.5, pool="max")
    assert from_mapping(ModelSpec, to_mapping(spec), where="recipe.toml") == spec


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"head": "mlp"}, "at least one"),
        ({"hidden": [12]}, "no hidden layer"),
        ({"dropout_before": 1.0}, r"probability in \[0, 1\)"),
        ({"head": "deep"}, "'head' is 'deep'"),
        ({"in_channels": 0}, "at least 1"),
        ({"backbones": "resnet18"}, "did you mean 'backbone'"),
    ],
)
def test_a_wrong_spec_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_mapping(ModelSpec, values, where="recipe.toml")


def test_forward_is_features_then_classify() -> None:
    model = build_model(ModelSpec(TINY), ["a", "b"], image_size=32).eval()
    x = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        features = model.features(x)
        assert features.shape == (3, 128, 8, 8)
        assert torch.equal(model(x), model.classify(features))


@pytest.mark.parametrize("exclusive", [True, False])
def test_probabilities(exclusive: bool) -> None:
    model = build_model(ModelSpec(TINY), ["a", "b"], exclusive=exclusive, image_size=32)
    probabilities = model.probabilities(torch.tensor([[0.0, 0.0]]))
    assert torch.equal(probabilities, torch.tensor([[0.5, 0.5]]))
    high = model.probabilities(torch.tensor([[9.0, 9.0]]))
    assert (high > 0.9).all() == (not exclusive)


@pytest.mark.parametrize(
    ("pool", "expected"), [("avg", 2.5), ("max", 4.0), ("flatten", [1.0, 2.0, 3.0, 4.0])]
)
def test_pooling_by_hand(pool: str, expected: object) -> None:
    model = build_model(ModelSpec("resnet18", pool=pool), ["a"], image_size=64)
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).expand(1, 512, 2, 2)
    pooled = model.embed(x).reshape(512, -1)[7]
    assert torch.equal(pooled, torch.tensor(expected).reshape(-1))


@pytest.mark.parametrize(
    ("spec", "findings", "options", "message"),
    [
        (ModelSpec(TINY), [], {}, "at least one is needed"),
        (ModelSpec(TINY), ["a", "a"], {}, "none twice"),
        (ModelSpec(TINY), ["a"], {"exclusive": True}, "one sigmoid logit"),
        (ModelSpec("vit_tiny_patch16_224", pool="avg"), ["a"], {"image_size": 32}, "makes tokens"),
        (ModelSpec(TINY, pool="native"), ["a"], {}, "no pooling of its own"),
        (ModelSpec("inception_resnet_v2"), ["a"], {"image_size": 16}, "choose a larger"),
    ],
)
def test_parts_that_do_not_fit_are_refused(spec, findings, options, message: str) -> None:
    with torch.device("meta"), pytest.raises(ModelError, match=message) as caught:
        build_model(spec, findings, **options)
    assert isinstance(caught.value, LucidRayError)


def test_building_twice_with_one_seed_gives_one_model() -> None:
    models = []
    for _ in range(2):
        torch.manual_seed(7)
        models.append(build_model(ModelSpec(TINY), ["a"], image_size=32).state_dict())
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
    assert int(models[0]["backbone.blocks.0.1.num_batches_tracked"]) == 0
