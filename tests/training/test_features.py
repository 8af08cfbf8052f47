"""Frozen parts once: the same result as the plain way, for one pass over the images."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_stand_ins import small

from lucidray.datasets.table import ImageTable
from lucidray.models import build_model, freeze
from lucidray.models.baseline_cnn import BaselineCNN
from lucidray.training import Run, train
from lucidray.training.features import compute_features, trunk_key
from lucidray.training.inputs import Examples


def frozen(policy: str, **changes: object) -> dict[str, object]:
    return {"phases__0__policy": policy, "phases__0__optimizer": "sgd", **changes}


def both_ways(table: ImageTable, folder: Path, recipe: dict[str, object]) -> tuple[Run, Run]:
    once = train(small(**recipe), table, folder / "once")
    plain = train(small(**recipe, cache_features=False), table, folder / "plain")
    return once, plain


@pytest.mark.parametrize("backbone", ["baseline_cnn", "resnet10t"])
@pytest.mark.parametrize("policy", ["frozen", "last_block"])
def test_cached_training_is_plain_training(
    backbone: str, policy: str, table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    recipe = frozen(policy, model__backbone=backbone, model__dropout_before=0.2)
    once, plain = both_ways(table, tmp_path, recipe)
    first, second = load_file(once.weights[0]), load_file(plain.weights[0])
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-6)


def test_bf16_features_train_as_the_plain_way_does(
    table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    once, plain = both_ways(table, tmp_path, frozen("frozen", precision="bf16"))
    first, second = load_file(once.weights[0]), load_file(plain.weights[0])
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)


def count_images(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    seen: list[int] = []
    whole = BaselineCNN.forward_features

    def counted(self: BaselineCNN, x: torch.Tensor) -> torch.Tensor:
        if x.device.type != "meta":
            seen.append(len(x))
        return whole(self, x)

    monkeypatch.setattr(BaselineCNN, "forward_features", counted)
    return seen


def test_ten_epochs_cost_one_pass(
    table: ImageTable, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = count_images(monkeypatch)
    told: list[tuple[int, int]] = []
    recipe = small(**frozen("classifier_only", phases__0__epochs=10))
    train(recipe, table, tmp_path / "run", reading=lambda *done: told.append(done))
    assert sum(seen) == 20 + 12
    assert {(20, 20), (12, 12)} <= set(told)


def test_augmentation_and_mixup_forbid_caching(
    table: ImageTable, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, varied in enumerate(({"augment__noise": 0.1}, {"mixup": 0.2})):
        seen = count_images(monkeypatch)
        train(small(**frozen("classifier_only", **varied)), table, tmp_path / str(number))
        assert sum(seen) > 2 * (20 + 12)
        monkeypatch.undo()


def test_members_that_start_alike_share_features_and_others_do_not() -> None:
    recipe = small()
    keys = []
    for seed, facts in ((0, "a"), (0, "a"), (1, "a"), (0, "b")):
        torch.manual_seed(seed)
        model = build_model(recipe.model, ["x"], image_size=32)
        freeze(model, "frozen")
        keys.append(trunk_key(model.train(), facts))
    assert keys[0] == keys[1] and len(set(keys)) == 3
    with torch.no_grad():
        next(model.head.parameters()).add_(1)
    assert trunk_key(model, "b") == keys[3]


def test_features_lie_on_disk_and_are_found_again(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 4, 4), np.uint8)
    examples = Examples(pixels, np.zeros((7, 1), np.float32))
    calls = []

    def trunk(x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return torch.cat([x, 2 * x], dim=1)

    def compute() -> torch.Tensor:
        made = compute_features(
            trunk,
            examples,
            tmp_path / "features",
            device=torch.device("cpu"),
            context=contextlib.nullcontext,
            batch_size=3,
        )
        return made[torch.tensor([6, 0])]

    first, second = compute(), compute()
    assert calls == [3, 3, 1]
    wanted = torch.from_numpy(pixels[[6, 0]]).float()[:, None] / 255
    torch.testing.assert_close(first, torch.cat([wanted, 2 * wanted], dim=1))
    assert torch.equal(first, second)
