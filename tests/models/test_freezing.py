"""Freezing policies, layer counts, and the frozen beginning apart."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lucidray.errors import ConfigError, ModelError, UnknownNameError
from lucidray.models import (
    FREEZING_POLICIES,
    BaselineCNN,
    Classifier,
    ModelSpec,
    ParameterCount,
    build_model,
    count_as_keras_resnet,
    count_parameters,
    freeze,
    layers,
    split_at_frozen,
)

S4 = ModelSpec("resnet50", head="mlp", hidden=(128,), dropout_before=0.5, dropout_after=0.3)
TINY = ModelSpec("baseline_cnn")


def empty(spec: ModelSpec, size: int = 224) -> Classifier:
    with torch.device("meta"):
        return build_model(spec, ["a"], image_size=size)


def moving(model: Classifier) -> set[str]:
    return {name for name, w in model.backbone.named_parameters() if w.requires_grad}


def test_the_last_50_layers_of_s4_are_its_17_2_and_6_6_million() -> None:
    model = empty(S4)
    counts = freeze(model, "last_n_layers", layer_count=50)
    assert count_as_keras_resnet(model) == ParameterCount(17_212_929, 6_637_184)
    assert counts == ParameterCount(17_212_929 - 14_080, 6_637_184 - 12_480 - 53_120)
    assert "layer3.4.bn2.weight" in moving(model)
    assert "layer3.4.conv2.weight" in moving(model)
    assert "layer3.4.bn1.weight" not in moving(model)


def test_resnet50_has_keras_175_layers_but_for_input_and_paddings() -> None:
    found = layers(empty(S4).backbone, 3, 224)
    assert len(found) == 175 - 3
    tail = [layer.kind for layer in found[-10:]]
    assert tail[0] == "conv2d"
    assert tail[-2:] == ["add", "relu"]


def test_layers_stand_by_their_distance_to_the_output_as_keras_sorts_them() -> None:
    found = layers(empty(S4).backbone, 3, 224)
    shortcut = next(
        i for i, at in enumerate(found) if "layer4.0.downsample.0.weight" in at.parameters
    )
    third = next(i for i, at in enumerate(found) if "layer4.0.conv3.weight" in at.parameters)
    assert abs(shortcut - third) == 1
    for index, layer in enumerate(found):
        assert all(source < index for source in layer.inputs)


def test_counting_layers_touches_nothing() -> None:
    model = build_model(TINY, ["a"], image_size=32)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    layers(model.backbone, 3, 32)
    assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("resnet18", "layer4"),
        ("densenet121", "features.denseblock4"),
        ("efficientnet_b0", "blocks.6"),
        ("mobilenetv2", "blocks.6"),
        ("resnet50v2", "stages.3"),
        ("vgg16", "features.24"),
        ("xception", "block12"),
        ("inception_resnet_v2", "mixed_7a"),
        ("nasnetlarge", "cell_12"),
        ("vit_small", "blocks.11"),
        ("baseline_cnn", "blocks.2"),
    ],
)
def test_the_last_block(name: str, first: str) -> None:
    model = empty(ModelSpec(name))
    freeze(model, "last_block")
    free = moving(model)
    names = [n for n, _ in model.backbone.named_parameters()]
    assert any(n.startswith(f"{first}.") for n in free)
    assert 0 < len(free) < len(names) / 2
    assert names[-1] in free or name == "nasnetlarge"
    assert names[0] not in free


def test_frozen_and_classifier_only_are_one_and_full_frees_all() -> None:
    model = empty(TINY)
    total = count_parameters(model)
    head = sum(w.numel() for w in model.head.parameters())
    for policy in ("frozen", "classifier_only"):
        assert freeze(model, policy) == ParameterCount(head, total.trainable - head)
    assert freeze(model, "full") == total


def test_last_fraction_counts_as_keras_idiom_does() -> None:
    model = empty(TINY)
    count = len(layers(model.backbone, 3, 224))
    assert count == 11
    freeze(model, "last_fraction", fraction=0.25)
    by_fraction = moving(model)
    freeze(model, "last_n_layers", layer_count=count - int(count * 0.75))
    assert (
        moving(model)
        == by_fraction
        == {f"blocks.2.{n}" for n in ("0.weight", "0.bias", "1.weight", "1.bias")}
    )


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 66), st.integers(0, 66))
def test_more_layers_never_free_fewer_weights(few: int, many: int) -> None:
    few, many = sorted((few, many))
    model = RESNET18
    freeze(model, "last_n_layers", layer_count=few)
    less = moving(model)
    freeze(model, "last_n_layers", layer_count=many)
    assert less <= moving(model)
    assert bool(less) == (few >= 3)


RESNET18 = empty(ModelSpec("resnet18"))


@pytest.mark.parametrize(
    ("policy", "options", "error", "message"),
    [
        ("last_blok", {}, UnknownNameError, "did you mean 'last_block'"),
        ("last_n_layers", {}, ConfigError, "layer_count is None.*from 0 to 11"),
        ("last_n_layers", {"layer_count": 99}, ConfigError, "from 0 to 11"),
        ("last_fraction", {"fraction": 0.0}, ConfigError, r"\(0, 1\]"),
    ],
)
def test_a_wrong_policy_is_refused(policy: str, options, error, message: str) -> None:
    with pytest.raises(error, match=message):
        freeze(empty(TINY), policy, **options)


def test_an_unknown_architecture_has_no_last_block_but_has_layers() -> None:
    model = empty(ModelSpec("convnext_atto"))
    with pytest.raises(ModelError, match="last_fraction"):
        freeze(model, "last_block")
    freeze(model, "last_fraction", fraction=0.5)
    assert 0 < len(moving(model)) < len(list(model.backbone.parameters()))


def test_frozen_batch_norms_stay_in_evaluation_mode() -> None:
    model = build_model(TINY, ["a"], image_size=32).train()
    freeze(model, "last_block")
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [norm.running_mean.clone() for norm in norms]
    for _ in range(2):
        model.train()
        model(torch.randn(4, 3, 32, 32))
    assert [norm.training for norm in norms] == [False, False, True]
    same = [torch.equal(a, norm.running_mean) for a, norm in zip(before, norms, strict=True)]
    assert same == [True, True, False]
    freeze(model, "full")
    assert all(norm.training for norm in norms)


def test_freezing_keeps_the_mode() -> None:
    model = build_model(TINY, ["a"], image_size=32).eval()
    freeze(model, "last_block")
    assert not any(module.training for module in model.modules())


SPLITS = [
    *((name, "last_block") for name in ("resnet18", "densenet121", "efficientnet_b0", "vgg16")),
    *((name, "last_block") for name in ("mobilenetv2", "resnet50v2", "baseline_cnn", "xception")),
    ("vit_tiny_patch16_224", "last_block"),
    ("resnet18", "last_fraction"),
    ("densenet121", "last_fraction"),
    *((name, "frozen") for name in ("resnet18", "vit_tiny_patch16_224", "convnext_atto")),
]


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize(("name", "policy"), SPLITS)
def test_rest_of_trunk_is_the_model(name: str, policy: str, mode: str, size: int = 64) -> None:
    torch.manual_seed(0)
    model = build_model(ModelSpec(name), ["a", "b"], image_size=size)
    freeze(model, policy)
    model.train(mode == "train")
    x = torch.randn(2, 3, size, size)
    split = split_at_frozen(model)
    assert split is not None
    kept = split.trunk(x)
    assert not kept.requires_grad
    assert split.rest(kept).requires_grad
    assert torch.equal(split.rest(kept), model(x))


@pytest.mark.slow
def test_rest_of_trunk_is_the_model_for_inception_resnet_v2() -> None:
    test_rest_of_trunk_is_the_model("inception_resnet_v2", "last_block", "eval", 96)


def test_a_frozen_backbone_is_cut_behind_the_pooling() -> None:
    model = build_model(ModelSpec("resnet18"), ["a"], image_size=64)
    freeze(model, "frozen")
    split = split_at_frozen(model)
    assert split is not None
    assert split.trunk(torch.randn(5, 3, 64, 64)).shape == (5, 512)


def test_nothing_to_cut_is_none() -> None:
    model = empty(TINY, 32)
    assert split_at_frozen(model) is None
    freeze(model, "full")
    assert split_at_frozen(model) is None
    nasnet = empty(ModelSpec("nasnetlarge"))
    freeze(nasnet, "last_block")
    assert split_at_frozen(nasnet) is None


def test_a_trunk_gives_gradients_to_the_rest_alone() -> None:
    model = build_model(ModelSpec("resnet18"), ["a"], image_size=64)
    freeze(model, "last_block")
    split = split_at_frozen(model)
    assert split is not None
    split.rest(split.trunk(torch.randn(2, 3, 64, 64))).sum().backward()
    given = {name for name, w in model.backbone.named_parameters() if w.grad is not None}
    assert given == moving(model)


def test_every_policy_has_a_test_name() -> None:
    assert set(FREEZING_POLICIES) == {
        *("frozen", "classifier_only", "last_block"),
        *("last_n_layers", "last_fraction", "full"),
    }


class Watched(BaselineCNN):
    """A backbone whose layers cannot be followed without values."""

    def forward_features(self, x: Tensor) -> Tensor:
        return super().forward_features(x) * float(x.mean())


def test_layers_that_cannot_be_followed_are_refused() -> None:
    with pytest.raises(ModelError, match="cannot be counted"):
        layers(Watched(), 3, 32)
