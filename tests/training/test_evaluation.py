"""Prediction and evaluation: through the run's own preprocessing, against scikit-learn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics
from training_stand_ins import small

from lucidray.datasets.table import ImageTable
from lucidray.errors import DataError, ImageError, UnknownNameError
from lucidray.images.preprocessing import load_tensor
from lucidray.training import Run, evaluate, load_run, predict, train


@pytest.fixture(scope="module")
def run(table: ImageTable, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An ensemble of two with flips averaged."""
    recipe = small(seeds=[0, 1], test_time_augmentation="flip", image__normalization="zscore")
    return train(recipe, table, tmp_path_factory.mktemp("run") / "run")


@pytest.fixture(scope="module")
def exclusive(classes: ImageTable, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run over three exclusive classes."""
    return train(small(), classes, tmp_path_factory.mktemp("run") / "run")


def test_prediction_is_the_mean_over_members_and_flips(run: Run, table: ImageTable) -> None:
    paths = table.paths()[:5]
    found = predict(run, paths)
    images = torch.stack([torch.from_numpy(load_tensor(p, run.recipe.image)) for p in paths])
    with torch.no_grad():
        each = [(m(images) + m(images.flip(-1))) / 2 for m in run.models()]
    wanted = torch.stack(each).mean(0).numpy()
    np.testing.assert_allclose(found.logits, wanted, atol=0.1)  # the cache rounds to 8 bits
    np.testing.assert_allclose(found.probabilities, 1 / (1 + np.exp(-found.logits)), atol=1e-6)


def test_prediction_does_not_depend_on_the_batch_or_the_way_in(run: Run, table: ImageTable) -> None:
    whole = predict(run, table)
    small_batches = predict(run, [str(path) for path in table.paths()], batch_size=3)
    np.testing.assert_allclose(whole.logits, small_batches.logits, atol=1e-5)
    one = whole.one(4, load_run(run.folder))
    assert one.findings == run.findings and one.logits[0] == whole.logits[4, 0]
    assert one.positive("Effusion") in {True, False}


def test_validation_predictions_are_those_of_the_finished_run(run: Run, table: ImageTable) -> None:
    found = predict(run, table.split("validation"))
    with np.load(run.folder / "validation.npz") as kept:
        np.testing.assert_allclose(kept["logits"], found.logits, atol=1e-5)
        assert kept["images"].tolist() == table.split("validation").rows["image"].tolist()


def test_evaluation_is_scikit_learn_s_at_the_run_s_own_points(run: Run, table: ImageTable) -> None:
    found = evaluate(run, table, n_boot=50)
    labels, probabilities = table.labels(), found.predictions.probabilities
    auc = found.measurements["Effusion"]["auc"]
    assert auc.value == pytest.approx(
        sklearn_metrics.roc_auc_score(labels[:, 1], probabilities[:, 1])
    )
    called = probabilities[:, 1] >= run.operating_points["Effusion"]
    wanted = sklearn_metrics.balanced_accuracy_score(labels[:, 1], called)
    assert found.measurements["Effusion"]["balanced_accuracy"].value == pytest.approx(wanted)
    macro = found.measurements["macro"]["auc"].value
    values = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert values["auc"] == pytest.approx(macro)
    assert values["images"] == 32 and values["patients"] == 16
    for name in ("accuracy", "sensitivity", "specificity", "average_precision"):
        assert 0 <= values[name] <= 1 and len(values["intervals"][name]) == 2


def test_images_seen_in_training_are_counted(run: Run, table: ImageTable, tmp_path: Path) -> None:
    assert evaluate(run, table, n_boot=0).seen == 32
    for path in table.paths()[:3]:
        with (tmp_path / path.name).open("wb") as file:
            file.write(path.read_bytes() + b"\0")
    rows = table.rows.assign(path=[str(tmp_path / Path(p).name) for p in table.rows["path"]])
    moved = ImageTable("moved", table.findings, rows).where(np.arange(32) < 3)
    assert evaluate(run, moved, n_boot=0).seen == 0


def test_a_single_finding_and_missing_patients_are_measured(
    table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    anonymous = ImageTable("anonymous", table.findings, table.rows.assign(patient=None))
    recipe = small(data__findings=["Effusion"], phases__0__epochs=1)
    found = evaluate(train(recipe, anonymous, tmp_path / "run"), anonymous, n_boot=20)
    assert set(found.measurements) == {"Effusion"}
    assert found.to_json()["patients"] == 32
    headline = found.headline("auc")
    assert headline is not None and headline.value == found.measurements["Effusion"]["auc"].value


def test_exclusive_findings_are_measured_by_the_likeliest(
    exclusive: Run, classes: ImageTable
) -> None:
    found = evaluate(exclusive, classes, n_boot=20)
    np.testing.assert_allclose(found.predictions.probabilities.sum(1), 1, atol=1e-5)
    called = found.predictions.probabilities.argmax(1)
    accuracy = (called == classes.labels().argmax(1)).mean()
    assert found.to_json()["accuracy"] == pytest.approx(accuracy)
    assert set(classes.findings) < set(found.measurements)
    assert found.to_json()["auc"] == pytest.approx(found.measurements["macro"]["auc"].value)


def test_what_cannot_be_predicted_or_measured_is_refused(
    run: Run, table: ImageTable, classes: ImageTable, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(b"broken")
    with pytest.raises(ImageError):
        predict(run, [tmp_path / "a.png"])
    with pytest.raises(DataError, match="1 of 2 images cannot be read"):
        predict(run, [tmp_path / "a.png", table.paths()[0]])
    with pytest.raises(DataError, match="no images"):
        predict(run, [])
    with pytest.raises(UnknownNameError):
        evaluate(run, classes)
    unknown = ImageTable(
        "none", table.findings, table.rows.assign(Pneumonia=np.nan, Effusion=np.nan)
    )
    with pytest.raises(DataError, match="labeled with"):
        evaluate(run, unknown)
