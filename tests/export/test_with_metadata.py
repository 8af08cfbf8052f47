"""Runs that take age, sex and view beside the film: fitted, measured, exported, read, refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from lucidray.bundle import load_bundle
from lucidray.bundle.reference import verify
from lucidray.cli import app
from lucidray.cli.evaluation import show_evaluation
from lucidray.cli.patient import Sex, View, given
from lucidray.config import from_mapping
from lucidray.datasets.table import ImageTable
from lucidray.errors import ConfigError, DataError, ExportError, RunError
from lucidray.export import card_of_ensemble, export_run
from lucidray.images.read import read_xray
from lucidray.metrics.ranking import auc
from lucidray.pipeline import diagnose
from lucidray.training import Recipe, Run, evaluate, load_run, open_reader, predict, train
from lucidray.training.metadata import fit_metadata, known_rows, read_rule

Films = Callable[[Path, int, int], ImageTable]
FINDINGS = ("Pneumonia", "Effusion")
VALUES = {
    "data": {"metadata": ["age", "sex", "view"]},
    "image": {"size": 32, "normalization": "unit", "channels": 1, "fit": "letterbox"},
    "model": {"backbone": "baseline_cnn", "in_channels": 1},
    "phases": [{"epochs": 1, "batch_size": 8, "learning_rate": 0.01}],
    "augment": {"flip": 0.5},
    "operating_point": {"varied": 1},
    "precision": "fp32",
}
KNOWN = {"age_years": 70.0, "sex": "F", "view_position": "AP"}


def told_of(table: ImageTable, seed: int = 0) -> ImageTable:
    """Give films metadata: age tells Pneumonia, the rest nothing; some of it is missing."""
    rng = np.random.default_rng(seed)
    count, present = len(table), table.rows["Pneumonia"].to_numpy() == 1
    age = np.where(present, 65.0, 45.0) + rng.normal(0, 8, count)
    age[rng.random(count) < 0.2] = np.nan
    sexes = np.where(rng.random(count) < 0.5, "F", "M").astype(object)
    sexes[rng.random(count) < 0.2] = None
    views = np.where(rng.random(count) < 0.5, "PA", "AP").astype(object)
    rows = table.rows.assign(age_years=age, sex=sexes, view_position=views)
    return replace(table, rows=rows)


@pytest.fixture(scope="module")
def table(films_of: Films, tmp_path_factory: pytest.TempPathFactory) -> ImageTable:
    folder = tmp_path_factory.mktemp("metadata")
    return told_of(films_of(folder, 48, 0))


@pytest.fixture(scope="module")
def run(table: ImageTable, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    recipe = from_mapping(Recipe, VALUES, where="test")
    return train(recipe, table, folder / "run", cache=folder / "cache")


@pytest.fixture(scope="module")
def path(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_run(run, tmp_path_factory.mktemp("bundle") / "told.lucid")


def film_of(table: ImageTable) -> Path:
    return Path(table.rows["path"][0])


def test_what_tells_is_weighed_and_what_does_not_is_not(films_of: Films, tmp_path: Path) -> None:
    films = films_of(tmp_path, 320, 0)
    table = told_of(films, 3)
    film = np.zeros((320, 2), np.float32)
    rule, joined = fit_metadata(
        ("age", "sex", "view"), table, table, film, FINDINGS, exclusive=False,
        groups=table.rows["patient"].tolist(),
    )  # fmt: skip
    weights = np.abs(np.array(rule.weights))
    assert weights[0, 0] > 3 * weights[2:, 0].max()
    assert weights[:, 1].max() < 0.7
    labels = table.labels(FINDINGS)
    assert auc(labels[:, 0], joined[:, 0]) > 0.85
    assert auc(labels[:, 0], rule.alone(known_rows(table))[:, 0]) > 0.85
    assert rule.known["view"] == 1 and 0.7 < rule.known["age"] < 0.9
    assert rule.auc["film"]["Pneumonia"].value == pytest.approx(0.5)


def test_evaluate_tells_film_metadata_and_both(
    run: Run, table: ImageTable, tmp_path: Path, capsys
) -> None:
    found = evaluate(run, table.split("validation"), n_boot=50)
    assert set(found.beside) == {"film", "metadata", "together"}
    rule = read_rule(run)
    assert rule is not None
    labels = found.labels[:, 0]
    alone = rule.alone(known_rows(found.images))[:, 0]
    assert found.beside["metadata"]["Pneumonia"].value == pytest.approx(auc(labels, alone))
    together = found.beside["together"]["Pneumonia"]
    assert together.value == pytest.approx(auc(labels, found.predictions.logits[:, 0]))
    assert together.low <= together.value <= together.high
    told = found.to_json()["metadata"]
    assert set(told["auc"]) == set(found.beside) and 0 < told["missing"]["sex"] < 1
    show_evaluation(found)
    words = capsys.readouterr().out
    assert "metadata alone" in words and "has seen no film" in words
    from lucidray.cli.page import write_page

    page = write_page(found, run, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "AUC by metadata alone" in page and "counted as average" in page


def test_a_missing_value_counts_as_average(run: Run, table: ImageTable) -> None:
    validation = table.split("validation")
    nothing = replace(
        validation, rows=validation.rows.assign(age_years=np.nan, sex=None, view_position=None)
    )
    bare = predict(run, [Path(each) for each in validation.rows["path"]])
    np.testing.assert_allclose(predict(run, nothing).logits, bare.logits, atol=1e-6)
    assert not np.allclose(predict(run, validation).logits, bare.logits)


def test_the_bundle_says_what_the_run_says_and_what_it_used(
    run: Run, path: Path, table: ImageTable
) -> None:
    assert verify(path).passed
    bundle, reader = load_bundle(path), open_reader(run)
    assert bundle.metadata == ("age", "sex", "view") and bundle.card.minimum_reader == 2
    film = read_xray(film_of(table))
    for known in ({}, KNOWN, {"age_years": 20.0}):
        xray = replace(film, **known)
        wanted, found = diagnose(xray, reader), diagnose(xray, bundle)
        told = found.prediction
        np.testing.assert_allclose(told.logits, wanted.prediction.logits, atol=1e-5)
        assert dict(told.metadata) == dict(wanted.prediction.metadata)
        for mine, theirs in zip(found.attributions, wanted.attributions, strict=True):
            span = np.abs(theirs.values).max()
            np.testing.assert_allclose(mine.values, theirs.values, atol=1e-4 * span)
    assert told.metadata == {"age": 20.0, "sex": None, "view": None}
    old, young = (
        bundle.predict(replace(film, age_years=age)).probabilities[0] for age in (80.0, 30.0)
    )
    assert old > young
    plain = bundle.predict(film)
    assert plain.film_logits is not None
    np.testing.assert_array_equal(plain.film_logits, plain.logits)


def test_validation_answers_are_those_that_calibration_saw(run: Run, table: ImageTable) -> None:
    """Each was joined by a rule that had not seen its patient, close to the rule of the bundle."""
    with np.load(run.folder / "validation.npz") as saved:
        logits = saved["logits"]
    whole = predict(run, table.split("validation")).logits
    assert not np.array_equal(logits, whole)
    assert np.corrcoef(logits[:, 0], whole[:, 0])[0, 1] > 0.7


def test_read_takes_it_from_options_and_says_so(path: Path, table: ImageTable) -> None:
    shell, film = CliRunner(), str(film_of(table))
    command = ["read", film, "--bundle", str(path), "--json"]
    done = shell.invoke(app, [*command, "--age", "70", "--sex", "F", "--view", "AP"])
    assert done.exit_code == 0, done.output
    line = json.loads(done.output.splitlines()[0])
    assert line["metadata"] == {"age": 70.0, "sex": "F", "view": "AP"}
    bare = json.loads(shell.invoke(app, command).output.splitlines()[0])
    assert bare["metadata"] == {"age": None, "sex": None, "view": None}
    assert line["findings"][0]["probability"] != bare["findings"][0]["probability"]
    words = shell.invoke(app, ["bundle", "info", str(path)]).output
    assert "Metadata beside the film" in words and "no film" in words
    assert given(None, Sex.F, View.PA) == {"sex": "F", "view_position": "PA"}


def test_a_bundle_without_metadata_takes_none(run: Run, table: ImageTable, tmp_path: Path) -> None:
    plain = from_mapping(Recipe, VALUES | {"data": {}}, where="test")
    other = train(plain, table, tmp_path / "plain", cache=tmp_path / "cache")
    path = export_run(other, tmp_path / "plain.lucid")
    film = str(film_of(table))
    done = CliRunner().invoke(app, ["read", film, "--bundle", str(path), "--age", "50"])
    assert isinstance(done.exception, ConfigError) and "film alone" in str(done.exception)
    assert load_bundle(path).card.minimum_reader == 1
    with pytest.raises(ExportError, match="metadata beside the film"):
        card_of_ensemble([other, run], "x")
    with Image.open(film) as opened:
        assert load_bundle(path).predict(np.asarray(opened)).metadata == {}


def test_what_cannot_be_learned_from_says_why(run: Run, table: ImageTable, tmp_path: Path) -> None:
    recipe = from_mapping(Recipe, VALUES, where="test")
    rows = table.rows.assign(sex="F")
    with pytest.raises(DataError, match="sex is missing or the same"):
        train(recipe, replace(table, rows=rows), tmp_path / "a", cache=tmp_path / "cache")
    with pytest.raises(ConfigError, match="each once"):
        from_mapping(Recipe, VALUES | {"data": {"metadata": ["age", "age"]}}, where="test")
    masks = {"data": VALUES["data"], "model": {"backbone": "test_resnet", "decoder": [8]}}
    with pytest.raises(ConfigError, match="beside a network that judges"):
        from_mapping(Recipe, masks, where="test")
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("run.json", "status", "operating_points.json"):
        (copy / name).write_bytes((run.folder / name).read_bytes())
    with pytest.raises(RunError, match=r"metadata\.json"):
        read_rule(load_run(copy))
