"""The experiment on transfer learning and its grid, end to end on a few phantoms."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lucidray.datasets.phantom import PhantomConfig, write_phantoms
from lucidray.papers import Outcome, papers, run
from lucidray.papers.catalog import Mode, Scale
from lucidray.papers.transfer_grid import background, experiment, material
from lucidray.papers.transfer_grid.protocol import Settings, Source, settings

PAPER = papers["transfer_grid"]


def tiny(mode: Mode, scale: Scale, *, pretrained: bool) -> Settings:
    """Return scale smoke, smaller still."""
    return replace(
        settings(mode, scale, pretrained=pretrained),
        size=32,
        images=60,
        epochs=1,
        grid_epochs=1,
        grid_rates=(1e-3,),
        grid_dropouts=(0.2,),
        cnn_heads=("avg",),
        replicates=50,
        source=Source(images=24, size=128, epochs=1),
    )


@pytest.fixture(scope="module", autouse=True)
def small_world() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    patch = pytest.MonkeyPatch()
    patch.setattr(experiment, "settings", tiny)
    yield
    patch.undo()
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def nih(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films in NIH's own layout: phantoms that do not say so."""
    folder = tmp_path_factory.mktemp("nih")
    config = PhantomConfig(size=128, abundance=1.2, images_per_patient=2.5)
    write_phantoms(folder, 90, config, seed=5)
    (folder / "phantoms.json").unlink()
    return folder


@pytest.fixture(scope="module")
def careful(nih: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    out = tmp_path_factory.mktemp("careful")
    return run(PAPER, nih, out, mode="careful", scale="smoke", seeds=2)


def test_results_hold_every_arm_and_setting(careful: Outcome) -> None:
    found = json.loads(careful.results.read_text(encoding="utf-8"))
    assert found == json.loads(json.dumps(careful.numbers))
    assert not found["phantoms"]
    assert found["pretrained_on_phantoms"]
    arms = [arm.name for arm in PAPER.arms]
    assert [(each["arm"], each["seed"]) for each in found["runs"]] == [
        (arm, seed) for arm in arms for seed in (0, 1)
    ]
    assert set(found["values"]) == {*arms, "view"}
    assert {each["second"] for each in found["differences"]} == {*arms, "view"} - {
        "efficientnet_b0_grid"
    }
    grid = found["grid"]
    assert [setting["rank"] for setting in grid["settings"]].count(None) == 0
    assert sum(setting["would_win"] for setting in grid["settings"]) == pytest.approx(1)
    assert len(grid["settings"]) == 4
    assert grid["feature_passes"] == 4, "head and last block, for each seed"
    for values in found["values"].values():
        assert 0 <= values["AUC"]["value"] <= 1


def test_patients_stay_apart_and_classes_balance(nih: Path, tmp_path: Path) -> None:
    chosen = tiny("careful", "smoke", pretrained=False)
    divided = material.divide(nih, tmp_path, chosen)
    assert divided.shared_test == 0
    total = sum(np.array(list(counts.values())) for counts in divided.counts().values())
    assert total[0] == total[1]
    spread = material.divide(nih, tmp_path, replace(chosen, split_patients=False))
    assert spread.shared_test > 0


def test_tables_set_ours_beside_theirs(careful: Outcome) -> None:
    tables = careful.numbers["tables"]
    rows = {row[0]: row for row in tables["accuracies"]["rows"]}
    assert rows["DenseNet121"][1] == "0.6867"
    assert rows["Custom CNN, searched"][1] == "–"
    rates = {row[0]: row for row in tables["test"]["rows"]}
    assert rates["EfficientNet-B0, grid, printed"][1:] == [
        "0.677", "0.6642", "0.7147", "0.6885", "0.727",
    ]  # fmt: skip
    assert tables["top_5"]["rows"][0][1] == "last block, 0.0003, 32, 0.3"
    assert len(tables["small_network"]["rows"]) == 2
    for table in tables.values():
        assert all(len(row) == len(table["columns"]) for row in table["rows"])


def test_the_page_is_self_contained_and_shows_right_and_wrong(careful: Outcome) -> None:
    html = careful.report.read_text(encoding="utf-8")
    assert re.findall(r'(?:src|href)="(?!#|data:image/png;base64,)', html) == []
    title = re.search(r"<title>(.*?)</title>", html, re.DOTALL)
    assert title is not None
    assert "pretrained on phantoms" in title[1]
    assert "on phantoms," not in title[1]
    for text in (
        "Right: ",
        "Wrong: ",
        "Patients apart",
        "Why the small network learned nothing",
        "What the view position alone tells",
        "would win",
        "How much one training differs from another",
        "lucidray paper run transfer_grid",
    ):
        assert text in html, text
    plain = html.replace("&#39;", "'").replace("&lt;", "<")
    for fault in PAPER.faults:
        assert fault.what[:30] in plain


def test_a_finished_run_is_taken_up_again_wherever_it_was_moved(
    nih: Path, careful: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lucidray.training import member

    def forbidden(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(member, "_train_phase", forbidden)
    told: list[tuple[int, int]] = []
    again = run(
        PAPER,
        nih,
        shutil.copytree(careful.report.parent, tmp_path / "moved"),
        mode="careful",
        scale="smoke",
        seeds=2,
        progress=lambda done, total, _: told.append((done, total)),
    )
    assert again.numbers["values"] == careful.numbers["values"]
    assert again.numbers["grid"] == careful.numbers["grid"]
    assert told[-1][0] == told[-1][1]
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_killed_run_goes_on(nih: Path, careful: Outcome, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(done: int, total: int, text: str) -> None:
        if text == "grid" and done % 1000 > 400:
            raise Killed

    order = {"mode": "careful", "scale": "smoke", "seeds": 1}
    with pytest.raises(Killed):
        run(PAPER, nih, tmp_path, progress=kill, **order)  # type: ignore[arg-type]
    resumed = run(PAPER, nih, tmp_path, **order)  # type: ignore[arg-type]
    for arm in ("cnn", "densenet121"):
        (auc,) = resumed.numbers["by_seed"][arm]["AUC"]
        assert auc == careful.numbers["by_seed"][arm]["AUC"][0]
    first = [each["validation_accuracy"][0] for each in careful.numbers["grid"]["settings"]]
    assert [each["validation_accuracy"][0] for each in resumed.numbers["grid"]["settings"]] == first


def test_without_films_phantoms_serve_and_the_title_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = run(PAPER, tmp_path / "empty", tmp_path / "out", mode="faithful", scale="smoke")
    assert found.numbers["phantoms"]
    html = found.report.read_text(encoding="utf-8")
    assert "run again on phantoms" in html
    assert "Why the small network learned nothing" not in html
    assert found.numbers["runs"][0]["threshold"] == 0.5


def test_the_printed_numbers_are_checked() -> None:
    lines = background.contradictions()
    assert any("ResNet18: consistent; 971 true positive, 487 false" in line for line in lines)
    assert any("DenseNet121: consistent; 998 true positive" in line for line in lines)
    assert any(line.startswith("Method 3") and "consistent; 1,072 true" in line for line in lines)
    assert any("EfficientNet-B0, grid: no matrix" in line for line in lines)
    assert any("differ by 0.0027, less than one standard error 0.0092" in line for line in lines)


def test_tables_are_typed_in_rightly() -> None:
    found = papers["transfer_grid"]
    assert found.table("Table 1").number("DenseNet121", "best validation accuracy") == 0.6867
    assert found.table("Table 1").number("Custom CNN", "test accuracy") == 0.5
    assert found.table("Section 6.2").number("EfficientNet-B0, grid", "AUC") == 0.7270
    assert found.table("Method 3").number("EfficientNet-B0, grid", "accuracy") == 0.6767
    assert [found.table("Section 3.6").number(str(rank), "dropout") for rank in range(1, 6)] == [
        0.3, 0.2, 0.3, 0.3, 0.3,
    ]  # fmt: skip
