"""Attention: what is caught, what is read, and the published recursions beside ours."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lucidray.errors import ModelError
from lucidray.explain import attention_relevance, attention_rollout, raw_attention
from lucidray.explain.attending import attentions, catching


@pytest.fixture
def vit(build):
    """A transformer of three blocks that attend unevenly."""
    model = build("vit_tiny_patch16_224")
    model.backbone.blocks = model.backbone.blocks[:3]
    for block in model.backbone.blocks:
        nn.init.normal_(block.attn.qkv.weight, 0, 0.1)
    return model


def by_hand(model, x: Tensor) -> list[Tensor]:
    """Compute each block's attention from its queries and keys."""
    found: list[Tensor] = []
    for block in model.backbone.blocks:
        block.attn.qkv.register_forward_hook(lambda _m, _i, out: found.append(out))
    with torch.no_grad():
        model(x)
    heads = model.backbone.blocks[0].attn.num_heads
    maps = []
    for joint in found:
        queries, keys, _ = joint.view(*joint.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
        maps.append((queries @ keys.mT / queries.shape[-1] ** 0.5).softmax(-1))
    for block in model.backbone.blocks:
        block.attn.qkv._forward_hooks.clear()
    return maps


def test_what_is_caught_is_the_attention_and_the_answer_stays(vit, images) -> None:
    with torch.no_grad():
        expected = vit(images)
        with catching(attentions(vit, "test")) as caught:
            logits = vit(images)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    assert len(caught) == 3
    for ours, theirs in zip(caught, by_hand(vit, images), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    assert all(block.attn.fused_attn for block in vit.backbone.blocks)


def test_raw_attention_is_the_class_tokens_row(vit, images) -> None:
    _, maps = raw_attention(vit, images)
    last = by_hand(vit, images)[-1].mean(1)
    expected = last[:, 0, 1:].view(2, 4, 4)
    for finding in range(3):
        torch.testing.assert_close(maps[:, finding], expected, rtol=1e-4, atol=1e-6)


def test_rollout_is_abnars_product(vit, images) -> None:
    _, maps = attention_rollout(vit, images)
    joint = torch.eye(17).expand(2, 17, 17)
    for attention in by_hand(vit, images):
        mixed = attention.mean(1) + torch.eye(17)
        mixed = mixed / mixed.sum(-1, keepdim=True)
        joint = mixed @ joint
    torch.testing.assert_close(maps[:, 1], joint[:, 0, 1:].view(2, 4, 4), rtol=1e-4, atol=1e-6)


def test_relevance_is_chefers_recursion(vit, images) -> None:
    _, maps = attention_relevance(vit, images)
    modules = attentions(vit, "test")
    for target in range(3):
        with catching(modules) as caught:
            logits = vit(images)
        slopes = torch.autograd.grad(logits[:, target].sum(), caught)
        relevance = torch.eye(17).expand(2, 17, 17)
        for attention, slope in zip(caught, slopes, strict=True):
            step = (attention * slope).clamp(min=0).mean(1).detach()
            relevance = relevance + step @ relevance
        expected = relevance[:, 0, 1:].view(2, 4, 4)
        torch.testing.assert_close(maps[:, target], expected, rtol=1e-4, atol=1e-7)


def test_a_finding_and_its_absence_have_different_relevance(vit, images) -> None:
    present, absent = (attention_relevance(vit, images, [0], sign=sign)[1] for sign in (1, -1))
    assert not torch.allclose(present, absent)
    assert (present >= 0).all()
    assert (absent >= 0).all()


def test_where_the_mean_of_patches_is_classified_their_mean_is_read(build, images) -> None:
    model = build("vit_wee_patch16_reg1_gap_256")
    model.backbone.blocks = model.backbone.blocks[:2]
    _, maps = attention_rollout(model, images)
    joint = torch.eye(17).expand(2, 17, 17)
    with catching(attentions(model, "test")) as caught, torch.no_grad():
        model(images)
    for attention in caught:
        joint = (0.5 * attention.mean(1) + 0.5 * torch.eye(17)) @ joint
    expected = joint[:, 1:].mean(1)[:, 1:].view(2, 4, 4)
    torch.testing.assert_close(maps[:, 0], expected, rtol=1e-4, atol=1e-6)


def test_frozen_weights_do_not_keep_relevance_from_being_found(vit, images) -> None:
    expected = attention_relevance(vit, images)[1]
    vit.requires_grad_(False)
    torch.testing.assert_close(attention_relevance(vit, images)[1], expected)


def test_an_error_within_leaves_the_model_as_found(vit, images) -> None:
    with pytest.raises(RuntimeError), catching(attentions(vit, "test")):
        vit(images[:, :2])
    for block in vit.backbone.blocks:
        assert block.attn.fused_attn
        assert not block.attn.attn_drop._forward_hooks


@pytest.mark.parametrize("run", [raw_attention, attention_rollout, attention_relevance])
@pytest.mark.parametrize(
    "backbone", ["swin_tiny_patch4_window7_224", "vit_dwee_patch16_reg1_gap_256"]
)
def test_other_transformers_are_refused(build, images, run, backbone: str) -> None:
    with pytest.raises(ModelError, match="grad_cam"):
        run(build(backbone), images)


def test_a_layer_is_refused(vit, images) -> None:
    with pytest.raises(ModelError, match="no layer"):
        attention_rollout(vit, images, layer="blocks.1")
