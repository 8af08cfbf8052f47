"""A run folder that is no run says so; a mistake in the recipe leaves no folder behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from training_stand_ins import small

from lucidray.datasets.table import ImageTable
from lucidray.errors import RunError, UnknownNameError, WeightsError
from lucidray.training import load_run, train


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"recipe": {}}', '{"recipe": 3, "findings": [], "data": 1}']
)
def test_a_folder_that_is_no_run_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "status").write_text("finished\n", encoding="utf-8")
    (tmp_path / "operating_points.json").write_text("{}", encoding="utf-8")
    (tmp_path / "run.json").write_text(content, encoding="utf-8")
    with pytest.raises(RunError, match=r"lucidray train"):
        load_run(tmp_path)


def test_a_missing_folder_and_a_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such run folder"):
        load_run(tmp_path / "none")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(RunError, match="is a file"):
        load_run(tmp_path / "file")


@pytest.mark.parametrize("points", [None, "{", '{"Pneumonia": 3}', "[1]"])
def test_damaged_operating_points_are_refused(
    table: ImageTable, cache: Path, tmp_path: Path, points: str | None
) -> None:
    facts = {"recipe": {}, "findings": ["Pneumonia"], "exclusive": False, "members": [], "data": {}}
    (tmp_path / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    (tmp_path / "status").write_text("finished\n", encoding="utf-8")
    if points is not None:
        (tmp_path / "operating_points.json").write_text(points, encoding="utf-8")
    with pytest.raises(RunError, match=r"operating_points\.json"):
        load_run(tmp_path)


def test_a_network_that_cannot_be_built_leaves_no_folder(
    table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'resnet18'"):
        train(small(model__backbone="resnet19"), table, tmp_path / "run")
    weights = str(tmp_path / "none.safetensors")
    with pytest.raises(WeightsError):
        train(small(model__weights=weights), table, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_in_the_way_is_refused_before_images_are_read(
    table: ImageTable, cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("x", encoding="utf-8")
    read: list[int] = []
    with pytest.raises(RunError, match="in the way"):
        train(small(), table, tmp_path, reading=lambda done, _: read.append(done))
    assert not read
