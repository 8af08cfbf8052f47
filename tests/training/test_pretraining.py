"""Pretraining: what its losses ask for, what it leaves, that recipes begin from it, resuming."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_stand_ins import make_table, small

from lucidray.config import from_mapping
from lucidray.datasets.table import ImageTable
from lucidray.errors import ConfigError, DataError, RunError, ShapeError
from lucidray.models import ModelSpec, build_model, load_weights
from lucidray.models.pretext import Projector, Restored, Restorer, restoring_loss
from lucidray.training import Pretraining, load_pretraining, pretrain, train
from lucidray.training.contrastive import nt_xent, triplet_loss

VALUES = {
    "image": {"size": 32, "normalization": "unit", "channels": 1},
    "model": {"backbone": "baseline_cnn", "in_channels": 1},
    "phase": {"epochs": 2, "batch_size": 12, "learning_rate": 0.003},
    "width": 8,
    "patch": 8,
    "precision": "fp32",
}


def recipe(**changes: object) -> Pretraining:
    return from_mapping(Pretraining, {**VALUES, **changes}, where="test")


def test_triplets_cost_what_the_margin_lacks() -> None:
    z = torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 0.0]])
    keys = torch.tensor([0, 0, 1])
    # Anchor 0: 5 to its like, 6 to the other; anchor 1: 5 to its like, 5 to the other.
    assert float(triplet_loss(z, keys, margin=2.0)) == pytest.approx((1.0 + 2.0) / 2)
    assert float(triplet_loss(z, keys, margin=0.5)) == pytest.approx(0.5)
    assert float(triplet_loss(z, keys, margin=0.5, violating=False)) == pytest.approx(0.25)
    assert float(triplet_loss(z, torch.tensor([0, 0, 0]), margin=2.0)) == 0
    assert float(triplet_loss(z, torch.tensor([0, 1, 2]), margin=2.0)) == 0


def test_triplets_of_equal_vectors_have_a_gradient_that_is_finite() -> None:
    z = torch.zeros(4, 3, requires_grad=True)
    triplet_loss(z, torch.tensor([0, 0, 1, 1])).backward()
    assert torch.isfinite(z.grad).all()


def test_nt_xent_is_the_formula_of_simclr() -> None:
    torch.manual_seed(0)
    z, keys = torch.randn(6, 5), torch.tensor([0, 1, 2, 0, 1, 2])
    units = torch.nn.functional.normalize(z, dim=1)
    likeness = torch.exp(units @ units.T / 0.5)
    each = []
    for i in range(6):
        others = sum(likeness[i, j] for j in range(6) if j != i)
        each.append(-torch.log(likeness[i, (i + 3) % 6] / others))
    assert float(nt_xent(z, keys, temperature=0.5)) == pytest.approx(
        float(torch.stack(each).mean())
    )


def test_supervised_contrast_averages_over_all_likes() -> None:
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    alike, lonely = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 2, 3])
    near, opposite = torch.exp(torch.tensor(0.0)), torch.exp(torch.tensor(-1.0))
    total = torch.log(2 * near + opposite)
    # Each of the three has likes at 0 and at either 0 or -1 of cosine.
    expected = (2 * (total + 0.5) + total) / 3
    assert float(nt_xent(z, alike, temperature=1.0)) == pytest.approx(float(expected))
    assert float(nt_xent(z, lonely)) == 0


@pytest.mark.parametrize("loss", [triplet_loss, nt_xent])
def test_vectors_need_a_key_each(loss: object) -> None:
    with pytest.raises(ShapeError, match="keys"):
        loss(torch.zeros(3, 2), torch.zeros(2))


def test_directions_have_length_one_and_mirror_images_stand_beside() -> None:
    torch.manual_seed(0)
    spec = ModelSpec(backbone="baseline_cnn", in_channels=1)
    network, x = Projector(spec, 6, image_size=32), torch.rand(3, 1, 32, 32)
    found = network.train()(x)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))
    with torch.no_grad():
        both, mirrored = network.eval()(x), network(x.flip(-1))
    torch.testing.assert_close(both[:, :6], mirrored[:, 6:])


def test_hidden_patches_are_hidden_and_restored_from_the_rest() -> None:
    torch.manual_seed(0)
    spec = ModelSpec(backbone="baseline_cnn", in_channels=1)
    network, x = Restorer(spec, 8, 0.5, image_size=32).eval(), torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        found = network(x)
        assert found.image.shape == x.shape
        assert found.hidden.mean((1, 2, 3)).tolist() == [0.5, 0.5]
        changed = torch.where(found.hidden > 0, x.flip(-1), x)
        changed += (x.mean((1, 2, 3)) - changed.mean((1, 2, 3))).view(2, 1, 1, 1) * found.hidden * 2
        torch.testing.assert_close(network(changed).image, found.image, atol=1e-4, rtol=1e-3)
    other = found._replace(image=x + (1 - found.hidden))
    assert float(restoring_loss(other)) == 0
    assert float(restoring_loss(Restored(x + 2, x, found.hidden))) == pytest.approx(2)


@pytest.mark.parametrize("method", ["triplet", "supervised", "simclr", "masked"])
def test_each_method_leaves_weights_that_a_recipe_begins_from(
    method: str, classes: ImageTable, cache: Path, tmp_path: Path
) -> None:
    steps: list[tuple[int, int]] = []
    found = pretrain(
        recipe(method=method), classes, tmp_path / "pre", cache=cache,
        progress=lambda done, total: steps.append((done, total)),
    )  # fmt: skip
    assert len(found.rows) == 2
    assert steps[-1] == (4, 4)
    assert (found.folder / "history.csv").read_text().count("\n") == 3
    spec = ModelSpec(backbone="baseline_cnn", in_channels=1, weights=str(found.weights))
    model = build_model(spec, ["any"], image_size=32)
    kept = load_file(found.weights)
    torch.testing.assert_close(
        kept["backbone.blocks.0.0.weight"], model.backbone.blocks[0][0].weight
    )


def test_a_training_begins_from_it(classes: ImageTable, cache: Path, tmp_path: Path) -> None:
    found = pretrain(recipe(method="triplet"), classes, tmp_path / "pre", cache=cache)
    changed = small(model__weights=str(found.weights), phases=[
        {"policy": "classifier_only", "epochs": 1, "batch_size": 8}
    ])  # fmt: skip
    run = train(changed, classes, tmp_path / "probe", cache=cache)
    own, kept = run.models()[0].backbone.state_dict(), load_file(found.weights)
    for name, value in own.items():
        torch.testing.assert_close(value, kept[f"backbone.{name}"])


def test_triplets_bring_classes_apart(cache: Path, tmp_path: Path) -> None:
    table = make_table(tmp_path, 48, 3)
    longer = replace(recipe(method="triplet").phase, epochs=10, learning_rate=0.01)
    found = pretrain(
        replace(recipe(method="triplet"), phase=longer, width=16), table, tmp_path / "pre",
        cache=cache,
    )  # fmt: skip
    # At first all vectors are nearly alike, so that a triplet costs about the margin.
    assert found.rows[found.epoch]["val_loss"] < 0.5 * recipe().margin


def test_a_finished_one_is_returned_and_another_refused(
    classes: ImageTable, cache: Path, tmp_path: Path
) -> None:
    first = pretrain(recipe(method="simclr"), classes, tmp_path / "pre", cache=cache)
    again = pretrain(recipe(method="simclr"), classes, tmp_path / "pre", cache=cache, resume=True)
    assert again == first
    facts = json.loads((first.folder / "pretraining.json").read_text())
    assert facts["status"] == "finished"
    del facts["recipe"]["model"]["pool"]  # as a version wrote it that did not know this setting
    (first.folder / "pretraining.json").write_text(json.dumps(facts))
    older = pretrain(recipe(method="simclr"), classes, tmp_path / "pre", cache=cache, resume=True)
    assert older == first
    with pytest.raises(RunError, match="another pretraining"):
        pretrain(recipe(method="masked"), classes, tmp_path / "pre", cache=cache, resume=True)
    with pytest.raises(RunError, match="another pretraining"):
        pretrain(recipe(method="simclr"), classes, tmp_path / "pre", cache=cache)
    (tmp_path / "busy").mkdir()
    (tmp_path / "busy" / "letter.txt").write_text("mine")
    with pytest.raises(RunError, match="in the way"):
        pretrain(recipe(), classes, tmp_path / "busy", cache=cache)


def test_the_same_seed_gives_the_same_weights(
    classes: ImageTable, cache: Path, tmp_path: Path
) -> None:
    runs = [pretrain(recipe(), classes, tmp_path / name, cache=cache) for name in ("a", "b")]
    one, two = (load_file(run.weights) for run in runs)
    torch.testing.assert_close(one, two, rtol=0, atol=0)


def test_without_unlike_images_labels_teach_nothing(cache: Path, tmp_path: Path) -> None:
    table = make_table(tmp_path, 32)
    rows = table.rows.assign(Pneumonia=0.0, Effusion=0.0)
    with pytest.raises(DataError, match="same labels"):
        pretrain(recipe(method="triplet"), replace(table, rows=rows), tmp_path / "x", cache=cache)


def test_a_recipe_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="in_channels"):
        recipe(image={"size": 32, "channels": 3})
    with pytest.raises(ConfigError, match="monitor"):
        recipe(phase={"monitor": "val_auc"})
    path = tmp_path / "pre.toml"
    path.write_text('method = "masked"\n[model]\nbackbone = "resnet18"\n', encoding="utf-8")
    assert load_pretraining(path, overrides={"seed": 3}) == Pretraining(
        "masked", model=ModelSpec(backbone="resnet18"), seed=3
    )


def test_weights_of_another_backbone_do_not_fit(
    classes: ImageTable, cache: Path, tmp_path: Path
) -> None:
    found = pretrain(recipe(), classes, tmp_path / "pre", cache=cache)
    spec = ModelSpec(backbone="resnet18", in_channels=1, weights=str(found.weights))
    with pytest.raises(Exception, match="do not fit"):
        load_weights(build_model(replace(spec, weights="none"), ["any"]).backbone, spec)
