"""The whole Grad-CAM region experiment at scale smoke, on generated images."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lucidray.errors import ConfigError, DataError
from lucidray.papers import Outcome, papers, run
from lucidray.papers.cam_roi import phases
from lucidray.papers.cam_roi.material import Material, find_sets, prepare
from lucidray.papers.cam_roi.phases import Arm, Place, explain_all, fold_rows, second_arms
from lucidray.papers.cam_roi.protocol import settings

CHEST = ("normal", "pneumonia", "tuberculosis")
BRAIN = ("glioma", "meningioma", "notumor", "pituitary")


def write_set(root: Path, classes: tuple[str, ...], each: int, *, copies: int = 0) -> None:
    """Write noisy images with one bright block a class, in another place in each class."""
    rng = np.random.default_rng(len(classes))
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for index in range(each):
            grey = rng.normal(100, 20, (40, 40))
            grey[8 * number : 8 * number + 10, 5:20] += 90
            picture = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
            picture.save(root / name / f"{name}-{index}.png")
            if index < copies:
                picture.save(root / name / f"{name}-{index + 1000}.png")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sets")
    write_set(root / "chest_multiclass" / "train", CHEST, 24, copies=8)
    write_set(root / "brain_mri" / "Training", BRAIN, 18)
    return root


@pytest.fixture(scope="module")
def careful(both: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    out = tmp_path_factory.mktemp("careful")
    chest = both / "chest_multiclass"
    return run(papers["cam_roi"], chest, out, mode="careful", scale="smoke", seeds=1)


@pytest.fixture(scope="module")
def faithful(both: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    out = tmp_path_factory.mktemp("faithful")
    return run(papers["cam_roi"], both, out, mode="faithful", scale="smoke", seeds=1)


def test_results_hold_every_arm_raw_and_deduplicated(faithful: Outcome) -> None:
    found = json.loads(faithful.results.read_text(encoding="utf-8"))
    assert found == json.loads(json.dumps(faithful.numbers))
    assert list(found["data"]) == ["chest_multiclass", "brain_mri"]
    wanted = {
        f"phase_2_{role}_{strategy}_{view}"
        for role in ("EfficientNetB4", "DenseNet201")
        for strategy in ("frozen", "partly")
        for view in ("full", "overlay")
    }
    for chapter in found["data"].values():
        assert wanted | {"phase_1_VGG16_frozen_full"} <= set(chapter["raw"]["values"])
        assert set(chapter["raw"]["roi_minus_full"]) == {n for n in wanted if "overlay" in n}
        for part in (chapter["raw"], chapter["deduplicated"]):
            for name, matrix in part["confusion"].items():
                cells = np.array(matrix)
                accuracy = part["values"][name]["accuracy"]["value"]
                assert cells.sum() == part["images"]
                assert np.trace(cells) / cells.sum() == pytest.approx(accuracy)
    chest = found["data"]["chest_multiclass"]
    assert chest["heat_maps_by"] == ["VGG16"]
    assert found["data"]["brain_mri"]["heat_maps_by"] == ["Xception"]
    assert chest["deduplicated"]["images"] < chest["raw"]["images"]
    assert found["input_fault"]
    assert found["random_start"]


def test_published_numbers_stand_beside_ours(faithful: Outcome) -> None:
    table = faithful.numbers["tables"]["brain_mri_beside_published"]
    rows = {row[0]: row for row in table["rows"]}
    assert rows["DenseNet201, last 25 %, full"][1] == "0.99"
    assert rows["DenseNet201, last 25 %, ROI painted"][1] == "0.97"
    assert rows["EfficientNetB4, frozen, full"][4].startswith("1.15 / ")


def test_the_page_is_self_contained_and_says_what_it_is(
    faithful: Outcome, careful: Outcome
) -> None:
    pages = [item.report.read_text(encoding="utf-8") for item in (faithful, careful)]
    for html in pages:
        assert re.findall(r'(?:src|href)="(?!#|data:image/png;base64,)', html) == []
        for text in (
            "from random weights",
            "frozen backbone is then a fixed random filter bank",
            "Scale smoke",
            "Table 4.5 (chest) beside ours",
            "Does the region help?",
            "Class and source are confounded",
            "Confusion matrices",
            "lucidray paper run cam_roi",
            "imply",
        ):
            assert text in html, text
    assert "The published [0, 1]-input fault is reproduced" in pages[0]
    assert "The published [0, 1]-input fault is reproduced" not in pages[1]
    assert "ROI hidden" in pages[1]
    assert "does not hold: brain_mri" in pages[1]


def test_careful_leaves_copies_out_and_adds_a_trained_arm(careful: Outcome) -> None:
    chest = careful.numbers["data"]["chest_multiclass"]
    assert chest["copies_left_out"] == 24
    assert chest["deduplicated"]["images"] == chest["raw"]["images"]
    assert "phase_2_Small_network_all_hidden" in chest["raw"]["values"]
    assert not careful.numbers["input_fault"]


def test_regions_lie_in_folders_that_mirror_the_data_set(careful: Outcome) -> None:
    root = careful.report.parent / "runs" / "chest_multiclass" / "roi"
    counts = careful.numbers["data"]["chest_multiclass"]["images"]
    for view, channels in (("overlay_0", "RGB"), ("hidden_0", "L")):
        for split, classes in counts.items():
            for name, count in classes.items():
                found = sorted((root / view / split / name).glob("*.png"))
                assert len(found) == count
                with Image.open(found[0]) as picture:
                    assert picture.mode == channels


def test_a_second_run_takes_up_what_is_there(
    careful: Outcome, both: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a finished network was built again")

    monkeypatch.setattr(phases, "build", never)
    folder = careful.report.parent
    chest = both / "chest_multiclass"
    again = run(papers["cam_roi"], chest, folder, mode="careful", scale="smoke", seeds=1)
    assert again.numbers["data"] == careful.numbers["data"]


@pytest.fixture(scope="module")
def chest(both: Path) -> Material:
    return prepare("chest_multiclass", both / "chest_multiclass", settings("careful", "smoke"))


def test_no_map_comes_from_a_network_that_saw_the_image(
    chest: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, set[int]] = {}
    used: dict[int, str] = {}

    def train(place: Place, arm: Arm, pixels: object, **given: object) -> None:
        train_rows, validation = given["rows"]  # type: ignore[misc]
        seen[str(given["name"])] = {*train_rows.tolist(), *validation.tolist()}

    def explained(place: Place, arm: Arm, name: str, *rest: object) -> phases.Maps:
        rows = rest[2] if len(rest) > 2 else None
        at = np.arange(len(chest.labels)) if rows is None else np.asarray(rows)
        used.update(dict.fromkeys(at.tolist(), name))
        return phases.Maps(np.zeros((len(at), 2, 2), np.float32), np.zeros(len(at), np.int64))

    monkeypatch.setattr(phases, "train_arm", train)
    monkeypatch.setattr(phases, "_maps_by", explained)
    arm = Arm(1, "VGG16", "frozen")
    seen[arm.name] = set(chest.rows("train", "validation").tolist())
    place = Place(chest, settings("careful", "smoke"), 0, tmp_path, resume=False)
    explain_all(place, arm, lambda *_: None)
    assert sorted(used) == list(range(len(chest.labels)))
    assert len(set(used.values())) == 3
    assert all(row not in seen[name] for row, name in used.items())


def test_folds_hold_every_training_and_validation_image_once(chest: Material) -> None:
    parts = fold_rows(chest, 2)
    joined = np.concatenate(parts)
    assert sorted(joined.tolist()) == chest.rows("train", "validation").tolist()


def test_copies_stay_in_but_are_told_apart_in_faithful_mode(both: Path) -> None:
    chosen = replace(settings("faithful", "smoke"), images=None)
    found = prepare("chest_multiclass", both / "chest_multiclass", chosen)
    assert found.copies == 0
    assert len(found.table) == 96
    clean, test = found.clean(), found.rows("test")
    outside = set(found.groups[found.rows("train", "validation")].tolist())
    for row, kept in zip(test, clean, strict=True):
        twice = int((found.groups[test] == found.groups[row]).sum()) > 1
        assert kept == (found.groups[row] not in outside) or twice


def test_arms_of_each_mode() -> None:
    assert len(second_arms(settings("faithful", "full"))) == 8
    assert len(second_arms(settings("careful", "full"))) == 12
    assert len(second_arms(settings("careful", "small"))) == 15


def test_full_scale_is_as_published() -> None:
    chosen = settings("faithful", "full")
    assert (chosen.size, chosen.first_epochs, chosen.second_epochs) == (224, 30, 20)
    assert (chosen.batch_size, chosen.dropout, chosen.hidden) == (8, 0.5, 256)
    assert chosen.weights == "imagenet"
    assert chosen.images is None


def test_a_folder_without_the_sets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds neither of the two data sets"):
        find_sets(tmp_path)


def test_one_weights_file_is_refused(both: Path, tmp_path: Path) -> None:
    file = tmp_path / "one.safetensors"
    file.write_bytes(b"")
    with pytest.raises(ConfigError, match="six backbones"):
        run(papers["cam_roi"], both, tmp_path / "out", scale="smoke", weights=file)
