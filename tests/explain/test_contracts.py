"""Both registries, walked: every method on every kind of model keeps the contract."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest
import torch

import lucidray.explain
import lucidray.models
from lucidray.explain import explainers

#: Files that hold no method of their own.
SUPPORT = {"__init__", "method", "layers", "class_token", "choosing", "attribution"}

MODELS = {
    "map": ("baseline_cnn", {}),
    "map, mlp": ("resnet18", {"head": "mlp", "hidden": (8,)}),
    "tokens": ("vit_tiny_patch16_224", {}),
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
    parameters = inspect.signature(entry.value).parameters
    assert list(parameters) == ["model", "x", "targets", "layer", "sign"]


@pytest.mark.parametrize(("backbone", "options"), MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("name", list(explainers))
def test_every_method_keeps_the_contract(build, images, name: str, backbone, options) -> None:
    model = build(backbone, **options).train()
    model.backbone.requires_grad_(False)
    model.head.eval()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    free = [weight.requires_grad for weight in model.parameters()]
    given = images.clone()

    logits, maps = explainers[name](model, given, [2, 0])
    torch.manual_seed(99)
    again_logits, again = explainers[name](model, given, [2, 0])

    assert logits.shape == (2, 3)
    assert maps.shape[:2] == (2, 2)
    assert maps.ndim == 4
    assert maps.dtype == torch.float32
    assert maps.isfinite().all()
    assert float(maps.abs().max()) > 0
    assert torch.equal(explainers[name](model, given, [2, 0], sign=-1)[1], -maps)
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


@pytest.mark.parametrize("name", list(explainers))
def test_every_method_leaves_each_module_in_its_own_mode(build, images, name: str) -> None:
    model = build().train()
    model.backbone.blocks[0].eval()
    modes = [module.training for module in model.modules()]
    explainers[name](model, images)
    assert modes == [module.training for module in model.modules()]
    with pytest.raises(Exception, match="targets are"):
        explainers[name](model, images, [7])
    assert modes == [module.training for module in model.modules()]
