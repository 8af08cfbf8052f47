"""The experiment on findings and boxes, on a few phantoms, and who learns which boxes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lucidray.datasets import ImageTable, load_dataset
from lucidray.datasets.phantom import PREVALENCES, PhantomConfig, write_phantoms
from lucidray.errors import DataError
from lucidray.papers import Outcome, papers, run
from lucidray.papers.catalog import Mode, Scale
from lucidray.papers.multitask_boxes import experiment
from lucidray.papers.multitask_boxes.background import sums_again
from lucidray.papers.multitask_boxes.images import divide
from lucidray.papers.multitask_boxes.locating import (
    MEAN_BOX,
    find_cases,
    locate,
    mean_boxes,
)
from lucidray.papers.multitask_boxes.measuring import Reading, measure
from lucidray.papers.multitask_boxes.protocol import Schedule, Settings, describe, settings
from lucidray.papers.multitask_boxes.published import (
    AP,
    AUC,
    AVERAGE,
    BY_BOTH,
    BY_BOXES,
    FINDINGS,
    MULTI,
    NETWORKS,
    TABLE_2,
    TWIN,
)
from lucidray.papers.multitask_boxes.recipes import multi_recipe, single_recipe


def tiny(mode: Mode, scale: Scale, *, pretrained: bool) -> Settings:
    """Return scale smoke, smaller still."""
    short = Schedule(1, 1e-3, "adamw")
    chosen = settings(mode, scale, pretrained=pretrained)
    return replace(chosen, single=short, multi=short, replicates=20)


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
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 phantoms of 128 pixels in ChestX-ray14's layout."""
    config = PhantomConfig(
        size=128, prevalences=dict.fromkeys(PREVALENCES, 0.25), images_per_patient=1.5,
        test_share=0.4,
    )  # fmt: skip
    return write_phantoms(tmp_path_factory.mktemp("films") / "nih", 64, config)


@pytest.fixture(scope="module")
def as_nih(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same films, boxes in the test list alone, and no sign that they are phantoms."""
    root = tmp_path_factory.mktemp("as_nih")
    held = set((films / "test_list.txt").read_text().split())
    for name in ("images", "Data_Entry_2017.csv", "train_val_list.txt", "test_list.txt"):
        (root / name).symlink_to(films / name)
    first, *rows = (films / "BBox_List_2017.csv").read_text().splitlines()
    kept = [row for row in rows if row.split(",")[0] in held]
    (root / "BBox_List_2017.csv").write_text("\n".join([first, *kept]) + "\n")
    return root


@pytest.fixture(scope="module")
def careful(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    out = tmp_path_factory.mktemp("careful")
    return run(papers["multitask_boxes"], films, out, mode="careful", scale="smoke")


def test_results_hold_every_arm_and_cohort(careful: Outcome) -> None:
    found = json.loads(careful.results.read_text(encoding="utf-8"))
    assert found == json.loads(json.dumps(careful.numbers))
    assert found["phantoms"] and found["official_test"] and found["substitute_schedule"]
    assert found["data"]["test_images_learned_from"] == 0 and found["leak"] == {}
    assert [item["arm"] for item in found["runs"]] == [MULTI, TWIN, "toy"]
    for told in found["cohorts"].values():
        assert set(told["arms"]) == {MULTI, TWIN, BY_BOXES, BY_BOTH, "toy"}
        multi = told["arms"][MULTI]
        values = [multi[name]["AUC"]["value"] for name in found["findings"]]
        known = [value for value in values if value is not None]
        assert multi[AVERAGE]["AUC"]["value"] == pytest.approx(np.mean(known))
        other = told["arms"][TWIN][AVERAGE]["AUC"]["value"]
        gain = multi[AVERAGE]["AUC"]["value"] - other
        assert told["gain"]["AUC"]["value"] == pytest.approx(gain)
    assert 0 <= found["detection"]["films with boxes"]["macro"]["detection_ap50"]["value"] <= 1
    places = found["localization"]["values"]
    assert {"Grad-CAM, multi-task", "detector, surest box", MEAN_BOX} <= set(places)
    assert found["localization"]["cases"] > 0


def test_the_page_is_self_contained_and_says_what_it_is(careful: Outcome) -> None:
    html = careful.report.read_text(encoding="utf-8")
    assert re.findall(r'(?:src|href)="(?!#|data:image/png;base64,)', html) == []
    title = re.search(r"<title>(.*?)</title>", html, re.DOTALL)
    assert title is not None and "on phantoms" in title[1]
    for text in (
        "Phantoms, not patients",
        *(f"Table 5.{number} beside ours" for number in (1, 2, 3, 4)),
        "Grad-CAM boxes and found boxes",
        "Every printed average, computed again",
        "lucidray paper run multitask_boxes",
    ):
        assert text in html, text
    for table in careful.numbers["tables"].values():
        assert all(len(row) == len(table["columns"]) for row in table["rows"])
    rows = {row[0]: row for row in careful.numbers["tables"]["averages"]["rows"]}
    assert rows["MobileNetV2"][1:3] == ["0.723", "not run"]
    assert rows["Multi-task"][1] == "0.789"


def test_a_faithful_run_tells_the_leak(as_nih: Path, tmp_path: Path) -> None:
    found = run(papers["multitask_boxes"], as_nih, tmp_path, mode="faithful", scale="smoke")
    assert found.numbers["data"]["test_images_learned_from"] > 0
    assert "Test images were learned from" in found.report.read_text(encoding="utf-8")


def _boxed(table: ImageTable) -> set[str]:
    return set(table.boxes["image"])


def test_faithful_learns_boxed_test_images_and_no_others(as_nih: Path, tmp_path: Path) -> None:
    divided = divide(as_nih, tmp_path, settings("faithful", "smoke", pretrained=False))
    (fold,) = divided.folds
    test = divided.test
    learned = set(test.rows["image"][divided.learned])
    assert learned == _boxed(test) and _boxed(fold.table) == learned
    taught = fold.table.rows
    assert learned <= set(taught["image"][taught["split"].isin(["train", "validation"])])
    present = (fold.table.labels() == 1).any(axis=1)
    assert present.all(), "films without a finding are not learned from"


def test_careful_deals_boxed_test_patients_to_folds(as_nih: Path, tmp_path: Path) -> None:
    divided = divide(as_nih, tmp_path, settings("careful", "smoke", pretrained=False))
    assert len(divided.folds) == 2 and not divided.learned.any()
    test = divided.test
    asked = np.stack([fold.asked for fold in divided.folds])
    assert (asked.sum(axis=0) == 1).all(), "each test image is asked about once"
    for fold in divided.folds:
        held = set(test.rows["patient"][fold.asked])
        assert not held & set(fold.table.rows["patient"])
        assert _boxed(fold.table) == _boxed(test.where(~fold.asked))
    assert set(divided.plain.table.split("train").rows["image"]).isdisjoint(test.rows["image"])


def test_boxes_of_the_training_list_are_used_where_there_are_any(
    films: Path, tmp_path: Path
) -> None:
    careful_ = divide(films, tmp_path, settings("careful", "smoke", pretrained=False))
    (fold,) = careful_.folds
    assert fold.asked.all() and _boxed(fold.table.split("train"))
    shown = divide(films, tmp_path, settings("faithful", "smoke", pretrained=False))
    assert 0 < shown.learned.sum() < shown.with_finding().sum()
    assert _boxed(shown.folds[0].table) == set(shown.test.rows["image"][shown.learned])


def test_films_without_boxes_are_refused(films: Path, tmp_path: Path) -> None:
    root = tmp_path / "plain"
    root.mkdir()
    for name in ("images", "Data_Entry_2017.csv", "train_val_list.txt", "test_list.txt"):
        (root / name).symlink_to(films / name)
    with pytest.raises(DataError, match=r"BBox_List_2017\.csv"):
        divide(root, tmp_path, settings("careful", "smoke", pretrained=False))


def test_recipes_follow_the_thesis() -> None:
    chosen = settings("faithful", "full", pretrained=True)
    single = single_recipe(NETWORKS[0], 0, FINDINGS, chosen, "none")
    assert [phase.policy for phase in single.phases] == ["frozen", "last_n_layers"]
    assert single.phases[1].layer_count == 20 and single.loss.class_weights == "neg_pos"
    assert single.model.hidden == (512,) and single.model.dropout_after == 0.3
    multi = multi_recipe(0, FINDINGS, chosen, "none", detection=1.0)
    assert (multi.model.backbone, multi.model.detector) == ("densenet121", "map")
    twin = multi_recipe(0, FINDINGS, chosen, "none", detection=0.0)
    assert replace(twin, loss=multi.loss) == multi and twin.loss.detection == 0
    assert multi.phases[0].epochs == 15 and multi.operating_point.method == "f_beta"


def test_printed_averages_are_computed_again() -> None:
    lines = sums_again()
    assert len(lines) == 10
    assert lines[0] == "Table 5.2, DenseNet121: printed 0.694, the column 0.7038: not as printed."
    assert any(line.startswith("Table 5.3, AP: printed 0.369") for line in lines)
    assert TABLE_2.number("Nodule", "ResNet50") == 0.621


def test_protocols_differ_where_the_faults_are() -> None:
    faithful, careful_ = (
        " ".join(describe(settings(mode, "full", pretrained=True), "full"))
        for mode in ("faithful", "careful")
    )
    assert "The leak is told" in faithful and "dealt to 5 folds" in careful_


def test_measures_are_paired_over_patients_and_findings(rng: np.random.Generator) -> None:
    labels = (rng.random((60, 3)) < 0.4).astype(np.float32)
    labels[:, 2] = 0
    good = np.clip(labels * 0.5 + rng.random((60, 3)) * 0.5, 0, 1)[None].astype(np.float64)
    noise = rng.random((1, 60, 3))
    points = np.full((1, 60, 3), 0.6)
    readings = [Reading("a", noise, points), Reading("b", good, points)]
    keys = [f"p{index // 2}" for index in range(60)]
    told = measure(labels, keys, ("x", "y", "z"), readings, compared=("a", "b"), n_boot=100)
    assert np.isnan(told.values["b", "z", AUC].value)
    known = [told.values["b", name, AUC].value for name in ("x", "y")]
    assert told.values["b", AVERAGE, AUC].value == pytest.approx(np.mean(known))
    assert told.gain[AUC].low > 0 and told.p_values[AUC] < 0.05
    assert told.positives["z"] == 0 and told.gain[AP].value > 0
    half = measure(
        labels, keys, ("x", "y", "z"), readings, compared=("a", "b"), kept=labels[:, 0] == 1,
        n_boot=0,
    )  # fmt: skip
    assert half.images == int(labels[:, 0].sum()) and np.isnan(half.values["b", "x", AUC].value)
    precision, recall, _ = told.rates["b"]["at own thresholds"]
    assert 0.5 < precision <= 1 and 0.5 < recall <= 1


def test_boxes_are_compared_with_the_best_true_one(films: Path) -> None:
    truth = [np.array([[0, 0, 10, 10, 0.0], [20, 20, 30, 30, 0.0], [0, 0, 4, 4, 1.0]])]
    cases = find_cases(truth, [(64, 64)], ["p"])
    assert cases.places == (0, 1) and len(cases.boxes[0]) == 2
    mine = {0: np.array([[20, 20, 30, 25.0]]), 1: np.empty((0, 4))}
    found = locate({"mine": mine}, cases, n_boot=0)
    assert found.samples["mine"].tolist() == [0.5, 0.0] and found.empty["mine"] == 1
    assert found.values["mine", "hit at .5"].value == 0.5
    table = load_dataset(films, "nih_chestxray14")
    mean = mean_boxes(table, cases, ("Effusion", "nothing"))
    own = table.boxes[table.boxes["finding"] == "Effusion"]
    assert mean[0][0, 0] == pytest.approx(own["x_min"].mean()) and len(mean[1]) == 0
