"""Both registries, walked: every method on every kind of model keeps the contract."""

from __future__ import annotations

import importlib
import inspect
from functools import partial
from pathlib import Path

import pytest
import torch
from timm.models import VisionTransformer

import lucidray.explain
import lucidray.models
from lucidray.errors import ModelError
from lucidray.explain import explainers

#: Files that hold no method of their own.
SUPPORT = {
    "__init__", "method", "layers", "class_token", "choosing", "attribution",
    "activations", "attending", "input_gradients", "perturbing", "randomize",
}  # fmt: skip

#: Small budgets, so that each run is a matter of milliseconds.
SMALL = {
    "integrated_gradients": {"steps": 2},
    "occlusion": {"cells": 3},
    "rise": {"samples": 6},
    "score_cam": {"channels": 6},
    "smooth_grad": {"samples": 3},
}

#: What a method cannot explain, and must say so.
REFUSED = {
    "cam": {"map, mlp", "map, native", "tokens", "tokens, mean"},
    "closed_form": {"map, native", "tokens, mean"},
    "attention_relevance": {"map", "map, mlp", "map, native"},
    "attention_rollout": {"map", "map, mlp", "map, native"},
    "raw_attention": {"map", "map, mlp", "map, native"},
}

MODELS = {
    "map": ("baseline_cnn", {}),
    "map, mlp": ("resnet18", {"head": "mlp", "hidden": (8,)}),
    "map, native": ("convnext_atto", {}),
    "tokens": ("vit_tiny_patch16_224", {}),
    "tokens, mean": ("vit_wee_patch16_reg1_gap_256", {}),
}


def test_every_file_in_the_folder_is_registered() -> None:
    folder = Path(inspect.getfile(lucidray.explain)).parent
    files = {path.stem for path in folder.glob("*.py")} - SUPPORT
    assert files == {entry.value.__module__.rsplit(".", 1)[-1] for entry in explainers.entries()}


def test_every_file_of_models_is_imported_with_the_package() -> None:
    for package in (lucidray.models, lucidray.explain):
        folder = Path(inspect.getfile(package)).parent
        for path in folder.glob("[!_]*.py"):
            module = importlib.import_module(f"{package.__name__}.{path.stem}")
            assert (module.__doc__ or "").strip().endswith((".", "``"))
        for name in package.__all__:
            value = getattr(package, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                assert (value.__doc__ or "").strip(), name


@pytest.mark.parametrize("entry", explainers.entries(), ids=lambda entry: entry.name)
def test_every_method_is_documented(entry) -> None:
    assert entry.summary.endswith(".")
    assert entry.source
    assert entry.facts["needs"]
    for part in ("Args:", "Returns:", "Raises:", "Source:", "Deviates:"):
        assert part in entry.value.__doc__
    assert entry.facts["cost"]
    assert isinstance(entry.facts["class_specific"], bool)
    assert isinstance(entry.facts["odd"], bool)
    parameters = inspect.signature(entry.value).parameters
    assert list(parameters)[:5] == ["model", "x", "targets", "layer", "sign"]
    for option in list(parameters)[5:]:
        assert parameters[option].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[option].default is not inspect.Parameter.empty
        assert f"        {option}: " in entry.value.__doc__


def shallow(model):
    """Keep two blocks of a transformer, for speed."""
    if isinstance(model.backbone, VisionTransformer):
        model.backbone.blocks = model.backbone.blocks[:2]
    return model


def small(name: str):
    """Return a method with a small budget."""
    return partial(explainers[name], **SMALL.get(name, {}))


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("name", list(explainers))
def test_every_method_keeps_the_contract(build, images, name: str, kind: str) -> None:
    backbone, options = MODELS[kind]
    model = shallow(build(backbone, **options)).train()
    run = small(name)
    if kind in REFUSED.get(name, ()):
        with pytest.raises(ModelError, match="grad_cam"):
            run(model, images)
        return
    model.backbone.requires_grad_(False)
    model.head.eval()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    free = [weight.requires_grad for weight in model.parameters()]
    given = images.clone()

    logits, maps = run(model, given, [2, 0])
    torch.manual_seed(99)
    again_logits, again = run(model, given, [2, 0])

    assert logits.shape == (2, 3)
    assert maps.shape[:2] == (2, 2)
    assert maps.ndim == 4
    assert maps.dtype == torch.float32
    assert maps.isfinite().all()
    assert float(maps.abs().max()) > 0
    facts = explainers.entry(name).facts
    if facts["odd"]:
        assert torch.equal(run(model, given, [2, 0], sign=-1)[1], -maps)
    assert torch.equal(maps[:, 0], maps[:, 1]) != facts["class_specific"]
    assert torch.equal(maps, again)
    assert torch.equal(logits, again_logits)
    model_logits = model.eval()(images)
    torch.testing.assert_close(logits, model_logits.detach(), rtol=1e-4, atol=1e-5)

    assert torch.equal(given, images)
    assert not given.requires_grad
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert free == [weight.requires_grad for weight in model.parameters()]
    assert all(weight.grad is None for weight in model.parameters())
    hooks = [m for m in model.modules() if m._forward_hooks or m._forward_pre_hooks]
    assert not hooks


@pytest.mark.parametrize("kind", ["map", "tokens"])
@pytest.mark.parametrize("name", list(explainers))
def test_the_batch_does_not_matter(build, images, name: str, kind: str) -> None:
    if kind in REFUSED.get(name, ()):
        pytest.skip("refused: see the contract")
    backbone, options = MODELS[kind]
    model, run = shallow(build(backbone, **options)), small(name)
    _, together = run(model, images)
    _, alone = run(model, images[1:], [2, 0])
    scale = float(together.abs().max())
    torch.testing.assert_close(alone[0] / scale, together[1, [2, 0]] / scale, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", list(explainers))
def test_every_method_leaves_each_module_in_its_own_mode(build, images, name: str) -> None:
    tokens = "map" in REFUSED.get(name, ())
    model = shallow(build("vit_tiny_patch16_224" if tokens else "baseline_cnn")).train()
    model.backbone.blocks[0].eval()
    modes = [module.training for module in model.modules()]
    small(name)(model, images)
    assert modes == [module.training for module in model.modules()]
    with pytest.raises(Exception, match="targets are"):
        small(name)(model, images, [7])
    assert modes == [module.training for module in model.modules()]


@pytest.mark.parametrize("kind", ["map", "tokens"])
@pytest.mark.parametrize("name", list(explainers))
def test_neither_the_callers_gradient_mode_nor_half_precision_is_in_the_way(
    build, images, name: str, kind: str
) -> None:
    if kind in REFUSED.get(name, ()):
        pytest.skip("refused: see the contract")
    backbone, options = MODELS[kind]
    model, run = shallow(build(backbone, **options)), small(name)
    _, expected = run(model, images)
    with torch.inference_mode():
        logits, got = run(model, images.clone())
    assert torch.equal(got, expected)
    assert not logits.requires_grad
    logits, halved = run(model.bfloat16(), images)
    assert logits.shape == (2, 3)
    assert halved.dtype == torch.float32
    assert halved.shape == expected.shape
    assert halved.isfinite().all()
