"""Segmenters: shapes, what is taken off the backbone, freezing, and settings that do not fit."""

from __future__ import annotations

import pytest
import timm
import torch

from lucidray.errors import ConfigError, ModelError
from lucidray.models import ModelSpec, Segmenter, build_segmenter, freeze

torch.set_num_threads(1)


def make(decoder: tuple[int, ...] = (8, 8), **spec: object) -> Segmenter:
    torch.manual_seed(0)
    described = ModelSpec(**{"backbone": "regnetx_002", "in_channels": 1, **spec}, decoder=decoder)
    return build_segmenter(described, ("Lungs", "Heart"), image_size=32).eval()


@pytest.mark.parametrize("backbone", ["regnetx_002", "mobilenetv3_small_050", "resnet18"])
def test_masks_have_the_size_of_the_image(backbone: str) -> None:
    model = make((8, 8, 8), backbone=backbone)
    with torch.no_grad():
        assert model(torch.rand(2, 1, 64, 48)).shape == (2, 2, 64, 48)


def test_each_step_doubles_the_map_and_takes_in_the_backbones_own() -> None:
    model = make((12, 6))
    with torch.no_grad():
        features = model.features(torch.rand(1, 1, 64, 64))
    assert [each.shape[-1] for each in features] == [32, 16, 8]
    steps = [step.mix[0] for step in model.decoder]
    assert [step.out_channels for step in steps] == [12, 6]
    widths = [each.shape[1] for each in features]
    assert [step.in_channels for step in steps] == [widths[2] + widths[1], 12 + widths[0]]
    assert model.embed(features).shape == (1, widths[2])


def test_the_backbone_is_timms_without_its_last_stages() -> None:
    model = make((8,))
    whole = timm.create_model("regnetx_002", in_chans=1, num_classes=0).eval()
    own = {k.removeprefix("backbone."): v for k, v in model.backbone.state_dict().items()}
    whole.load_state_dict(own, strict=False)
    x = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        expected = whole.forward_intermediates(x, indices=[0, 1], intermediates_only=True)
        torch.testing.assert_close(model.features(x), expected)
    assert not any(name.startswith(("s2", "s3", "s4", "head")) for name in own)


def test_the_same_seed_gives_the_same_segmenter_and_it_learns() -> None:
    model, again = make(), make()
    torch.testing.assert_close(model.state_dict(), again.state_dict(), rtol=0, atol=0)
    x, mask = torch.rand(4, 1, 32, 32), torch.zeros(4, 2, 32, 32)
    mask[..., 8:24, 8:24] = 1
    x[..., 8:24, 8:24] += 1
    optimizer = torch.optim.Adam(model.train().parameters(), 0.03)
    losses = []
    for _ in range(15):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x), mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.35 < 0.6 < losses[0]


def test_a_frozen_backbone_rests_while_the_decoder_trains() -> None:
    model = make().train()
    moving = freeze(model, "frozen").trainable
    assert moving == sum(w.numel() for w in [*model.decoder.parameters(), *model.head.parameters()])
    assert not any(module.training for module in model.backbone.modules())
    assert all(module.training for module in model.decoder.modules())
    assert freeze(model, "full").frozen == 0
    with pytest.raises(ModelError, match="full or frozen"):
        freeze(model, "last_block")


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ModelError, match="gives 5"):
        make((8,) * 5)
    with pytest.raises(ModelError, match="another backbone"):
        make(backbone="baseline_cnn")
    with pytest.raises(ModelError, match="none twice"):
        build_segmenter(ModelSpec("regnetx_002", decoder=(8,)), ("Lungs", "Lungs"))
    with pytest.raises(ConfigError, match="leave out decoder"):
        ModelSpec(decoder=(8,), pool="max")
    with pytest.raises(ConfigError, match="at least 1"):
        ModelSpec(decoder=(8, 0))
