"""Training: learns, writes its folder, and goes on to the same result wherever it was stopped."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_stand_ins import make_table, small

from lucidray.datasets.table import ImageTable
from lucidray.errors import ConfigError, DataError, ModelError, RunError, UnknownNameError
from lucidray.models import build_model
from lucidray.training import Recipe, Run, load_run, train
from lucidray.training.order import batches, derive_seed, epoch_order
from lucidray.training.pixels import CachedPixels
from lucidray.training.schedules import build_optimizer

#: Everything that has a state or draws at random, at once.
BUSY = {
    "augment": {"rotate": 10, "noise": 0.05, "flip": 0.5, "style": 0.5},
    "model": {"dropout_before": 0.3, "backbone": "baseline_cnn", "in_channels": 1},
    "phases": [
        {"policy": "classifier_only", "epochs": 1, "batch_size": 8, "learning_rate": 0.01},
        {
            "policy": "full",
            "epochs": 3,
            "batch_size": 8,
            "scheduler": "plateau",
            "plateau_patience": 1,
            "learning_rate": 0.01,
        },
    ],
    "mixup": 0.3,
    "ema": 0.8,
    "balanced": True,
    "clip_gradient": 1.0,
}


def weights(run: Run) -> dict[str, torch.Tensor]:
    return load_file(run.weights[0]) | {
        f"last.{name}": value for name, value in load_file(run.folder / "last.safetensors").items()
    }


def history(run: Run) -> list[dict[str, str]]:
    with (run.folder / "history.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def assert_same(first: Run, second: Run) -> None:
    torch.testing.assert_close(weights(first), weights(second), rtol=0, atol=0)
    assert history(first) == history(second)
    assert first.operating_points == second.operating_points


@pytest.fixture(scope="module")
def busy(table: ImageTable, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The busy recipe, never interrupted."""
    return train(small(**BUSY), table, tmp_path_factory.mktemp("busy") / "run")


def test_a_run_learns_and_leaves_its_folder(table: ImageTable, cache: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    recipe = small(phases__0__epochs=4, phases__0__monitor="val_auc")
    run = train(recipe, table, tmp_path / "run", progress=lambda *done: steps.append(done))
    assert steps[-1] == (12, 12) and [done for done, _ in steps] == sorted({d for d, _ in steps})
    names = {path.name for path in run.folder.iterdir()}
    assert names == {
        *("run.json", "status", "best.safetensors", "last.safetensors", "history.csv"),
        *("split.csv", "validation.npz", "operating_points.json", "log"),
    }
    assert (run.folder / "status").read_text() == "finished\n"
    assert float(history(run)[-1]["train_loss"]) < float(history(run)[0]["train_loss"])
    assert max(float(row["val_auc"]) for row in history(run)) == 1.0
    assert list((run.folder / "log").rglob("events.out.tfevents*"))
    with np.load(run.folder / "validation.npz") as found:
        assert found["logits"].shape == found["labels"].shape == (12, 2)
    facts = json.loads((run.folder / "run.json").read_text())
    assert facts["versions"]["torch"] == torch.__version__.split("+")[0]
    assert facts["data"]["train"] == 20 and facts["seconds"] > 0
    loaded = load_run(run.folder)
    assert loaded.recipe == recipe and loaded.findings == ("Pneumonia", "Effusion")
    assert set(loaded.operating_points) == {"Pneumonia", "Effusion"}


def test_validation_images_are_varied_as_training_images_are(
    table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    point = {"operating_point": {"varied": 2}}
    first = train(small(**point, augment={"noise": 0.2}), table, tmp_path / "first")
    second = train(small(**point, augment={"noise": 0.2}), table, tmp_path / "second")
    with np.load(first.folder / "validation.npz") as found:
        varied, own = found["varied_logits"], found["logits"]
    assert varied.shape == (2, *own.shape) and len(set(found_patients(first))) > 1
    assert np.abs(varied - own).max() > 1e-3 and np.abs(varied[0] - varied[1]).max() > 1e-3
    assert np.abs(varied - own).mean() < 10 * np.abs(own).mean() + 1
    with np.load(second.folder / "validation.npz") as again:
        np.testing.assert_array_equal(again["varied_logits"], varied)


def found_patients(run: Run) -> list[str]:
    with np.load(run.folder / "validation.npz") as found:
        return [str(each) for each in found["patients"]]


def test_training_is_what_a_plain_loop_in_torch_does(
    table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    recipe = small(phases__0__scheduler="none", phases__0__keep="last", phases__0__optimizer="sgd")
    run = train(recipe, table, tmp_path / "run")
    part = table.split("train")
    pixels = CachedPixels(part.paths(), recipe.image, cache)[np.arange(20)]
    images = torch.from_numpy(pixels)[:, None].float() / 255
    labels = torch.from_numpy(part.labels())
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed(0))
        model = build_model(recipe.model, table.findings, image_size=32)
    optimizer = build_optimizer("sgd", model, learning_rate=0.01, weight_decay=0.01)
    for epoch in range(2):
        order = epoch_order(part.labels(), balanced=False, parts=(0, 0, epoch))
        for batch in batches(order, 8):
            optimizer.zero_grad()
            logits = model(images[batch])
            torch.nn.functional.binary_cross_entropy_with_logits(logits, labels[batch]).backward()
            optimizer.step()
    state = load_file(run.weights[0])
    for name, value in model.state_dict().items():
        torch.testing.assert_close(state[name], value, rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_run_and_another_seed_another(
    busy: Run, table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    assert_same(busy, train(small(**BUSY), table, tmp_path / "again"))
    other = train(small(**BUSY, seeds=[1]), table, tmp_path / "other")
    assert not torch.equal(weights(busy)["head.1.weight"], weights(other)["head.1.weight"])


@pytest.mark.parametrize("stop", [1, 3, 4, 8, 12])
def test_an_interrupted_run_goes_on_to_the_same_result(
    busy: Run, table: ImageTable, cache: Path, tmp_path: Path, stop: int
) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == stop:
            raise KeyboardInterrupt

    recipe, out, handler = small(**BUSY), tmp_path / "run", signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, table, out, progress=interrupt, save_every_s=0.0 if stop % 2 else 300.0)
    assert (out / "status").read_text() == "interrupted\n"
    with pytest.raises(RunError, match="--resume"):
        load_run(out)
    assert signal.getsignal(signal.SIGINT) is handler
    assert_same(busy, train(recipe, table, out, resume=True))


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import torch
from training_stand_ins import make_table, small
from test_fit import BUSY
from lucidray.training import train
torch.set_num_threads(1)
def die(done, total):
    if done == 8: os.kill(os.getpid(), signal.SIGKILL)
data = Path(sys.argv[2]); data.mkdir(exist_ok=True)
train(small(**BUSY), make_table(data), sys.argv[3], progress=die, cache=data, save_every_s=0.0)
"""


def test_a_killed_process_is_resumed_by_another_to_the_same_result(
    busy: Run, cache: Path, tmp_path: Path
) -> None:
    data, out = tmp_path / "data", tmp_path / "run"
    here = str(Path(__file__).parent)
    arguments = [sys.executable, "-c", KILLED, here, str(data), str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(arguments, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (out / "status").read_text() == "running\n"
    assert_same(busy, train(small(**BUSY), make_table(data), out, resume=True, cache=data))


def test_a_finished_run_is_returned_and_a_fresh_one_may_be_resumed(
    table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    recipe = small(phases__0__epochs=1)
    run = train(recipe, table, tmp_path / "run", resume=True)
    before = (run.folder / "run.json").read_bytes()
    again = train(recipe, table, tmp_path / "run", resume=True)
    assert again.facts == run.facts and (run.folder / "run.json").read_bytes() == before


def test_folders_in_the_way_and_other_recipes_or_data_are_refused(
    table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    recipe = small(phases__0__epochs=1)
    run = train(recipe, table, tmp_path / "run")
    with pytest.raises(RunError, match="in the way"):
        train(recipe, table, run.folder)
    changed = small(phases__0__epochs=2)
    with pytest.raises(RunError, match=r"recipe\.phases"):
        train(changed, table, run.folder, resume=True)
    fewer = table.where(np.arange(len(table)) != 2)
    with pytest.raises(RunError, match="other images, labels or splits"):
        train(recipe, fewer, run.folder, resume=True)
    with pytest.raises(RunError, match="no run"):
        load_run(tmp_path)


def test_early_stopping_ends_a_phase_and_keeps_its_best(
    table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    recipe = small(
        phases__0__epochs=9,
        phases__0__patience=1,
        phases__0__learning_rate=1e-9,
        phases__0__monitor="val_accuracy",
        phases__0__weight_decay=0.0,
    )
    run = train(recipe, table, tmp_path / "run")
    values = [float(row["val_accuracy"]) for row in history(run)]
    assert len(values) < 9
    member = run.facts["members"][0]
    assert member["epoch"] == values.index(max(values)) and member["val_accuracy"] == max(values)


def test_several_seeds_make_members(table: ImageTable, cache: Path, tmp_path: Path) -> None:
    run = train(small(seeds=[3, 5], phases__0__epochs=1), table, tmp_path / "run")
    assert [path.name for path in run.weights] == [
        "best.seed_3.safetensors",
        "best.seed_5.safetensors",
    ]
    first, second = (next(iter(model.head.parameters())) for model in run.models())
    assert not torch.equal(first, second)


def test_exclusive_findings_are_learned_with_a_softmax(
    classes: ImageTable, cache: Path, tmp_path: Path
) -> None:
    recipe = small(phases__0__epochs=6, phases__0__monitor="val_balanced_accuracy")
    run = train(recipe, classes, tmp_path / "run")
    assert run.exclusive and run.models()[0].exclusive
    assert run.facts["members"][0]["val_balanced_accuracy"] > 0.6


def test_bf16_trains_too(table: ImageTable, cache: Path, tmp_path: Path) -> None:
    run = train(small(precision="bf16", clip_gradient=1.0), table, tmp_path / "run")
    assert run.facts["machine"]["precision"] == "bf16"
    assert all(value.dtype != torch.bfloat16 for value in weights(run).values())


def test_tables_that_cannot_be_learned_are_refused_before_anything_is_written(
    table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    rows = table.rows.assign(Effusion=np.float32(0))
    never = ImageTable("never", table.findings, rows)
    with pytest.raises(DataError, match="Effusion is never present"):
        train(small(data__findings=list(table.findings)), never, tmp_path / "run")
    none = ImageTable("none", table.findings, rows.assign(Pneumonia=np.float32(1)))
    with pytest.raises(DataError, match="Pneumonia is never absent"):
        train(small(), none, tmp_path / "run")
    with pytest.raises(UnknownNameError, match="did you mean 'Effusion'"):
        train(small(data__findings=["Efusion"]), table, tmp_path / "run")
    unknown = ImageTable(
        "none", table.findings, table.rows.assign(Pneumonia=np.nan, Effusion=np.nan)
    )
    with pytest.raises(DataError, match="no labeled images"):
        train(small(), unknown, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_findings_that_cannot_be_learned_are_left_out_unless_asked_for(
    table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    rows = table.rows.assign(Effusion=np.float32(0))
    run = train(small(), ImageTable("never", table.findings, rows), tmp_path / "run")
    assert run.findings == ("Pneumonia",)
    assert run.facts["data"]["findings_left_out"] == ["Effusion"]


def test_unreadable_images_are_refused_or_skipped_as_the_recipe_says(
    cache: Path, tmp_path: Path
) -> None:
    table = make_table(tmp_path, 32)
    table.paths()[0].write_bytes(b"broken")
    with pytest.raises(DataError, match=r"skip_unreadable = true"):
        train(small(), table, tmp_path / "run")
    skipping = small(data__skip_unreadable=True, phases__0__epochs=1)
    run = train(skipping, table, tmp_path / "run")
    assert run.facts["data"]["train"] == 19


def test_a_diverging_training_says_what_to_do(
    table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    recipe = small(phases__0__learning_rate=1e30, phases__0__optimizer="sgd")
    with pytest.raises(ModelError, match="lower the learning rate"):
        train(recipe, table, tmp_path / "run")
    assert (tmp_path / "run" / "status").read_text() == "failed\n"


def test_no_devices_are_refused(table: ImageTable, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="devices is 0"):
        train(Recipe(), table, tmp_path / "run", devices=0)


@pytest.mark.slow
def test_two_processes_learn_what_one_does(table: ImageTable, cache: Path, tmp_path: Path) -> None:
    recipe = {"phases__0__optimizer": "sgd", "phases__0__batch_size": 10, "mixup": 0.3}
    recipe |= {"augment": {"rotate": 20, "reframe": 0.2, "style": 0.5, "noise": 0.1}}
    alone = train(small(**recipe), table, tmp_path / "alone")
    shared = train(small(**recipe), table, tmp_path / "shared", devices=2)
    torch.testing.assert_close(weights(shared), weights(alone), rtol=1e-3, atol=1e-5)
    assert float(history(shared)[-1]["val_loss"]) == pytest.approx(
        float(history(alone)[-1]["val_loss"]), abs=1e-4
    )


def test_a_run_from_before_an_option_existed_goes_on(
    table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    run = train(small(), table, tmp_path / "run")
    facts = json.loads((run.folder / "run.json").read_text())
    del facts["recipe"]["data"]["split_from"]
    (run.folder / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    again = train(small(), table, run.folder, resume=True)
    assert again.operating_points == run.operating_points


def test_a_run_can_tell_some_of_its_findings_only(busy: Run) -> None:
    images = torch.rand(2, 1, 32, 32)
    alone = busy.only(["Effusion"])
    assert set(alone.operating_points) <= {"Effusion"} and alone.findings == ("Effusion",)
    with torch.no_grad():
        both, one = busy.models()[0](images), alone.models()[0](images)
    torch.testing.assert_close(one, both[:, [busy.findings.index("Effusion")]])
    assert busy.only(busy.findings[::-1]).models()[0].findings == busy.findings[::-1]
    with pytest.raises(UnknownNameError, match="Efusion"):
        busy.only(["Efusion"])
