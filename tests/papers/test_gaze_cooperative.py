"""The experiment on gaze: end to end on a few phantoms, and on the publisher's own layout."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from lucidray.bundle import load_bundle
from lucidray.datasets.phantom import PhantomConfig, write_phantoms
from lucidray.errors import ConfigError, DataError, RunError
from lucidray.metrics import fixation_map, gaze_cc
from lucidray.papers import Outcome, run
from lucidray.papers.catalog import Mode, Scale
from lucidray.papers.gaze_cooperative import GAZE_COOPERATIVE, background, experiment, published
from lucidray.papers.gaze_cooperative.films import divide
from lucidray.papers.gaze_cooperative.measure import (
    GAZE_CC,
    GAZE_KL,
    GAZE_SIM,
    Looked,
    PairTest,
    measure,
)
from lucidray.papers.gaze_cooperative.pictures import choose_films
from lucidray.papers.gaze_cooperative.protocol import Settings, settings
from lucidray.papers.gaze_cooperative.published import (
    FULL,
    GRAD_CAM,
    JUDGES,
    LOOKERS,
    RES_SE,
    TABLE_1,
    TABLE_2,
    UNET,
)
from lucidray.papers.gaze_cooperative.recipes import weights_of
from lucidray.records import Measurement


def tiny(mode: Mode, scale: Scale, *, pretrained: bool) -> Settings:
    """Return scale smoke, smaller still."""
    chosen = settings(mode, scale, pretrained=pretrained)
    return replace(chosen, films=36, looking=1, replicates=40)


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
def careful(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    empty, out = (tmp_path_factory.mktemp(name) for name in ("no_data", "careful"))
    return run(GAZE_COOPERATIVE, empty, out, mode="careful", scale="smoke")


def test_results_hold_every_network_beside_chance(careful: Outcome) -> None:
    found = json.loads(careful.results.read_text(encoding="utf-8"))
    assert found == json.loads(json.dumps(careful.numbers))
    assert found["phantoms"]
    assert [item["arm"] for item in found["runs"]] == [
        "triplets",
        *(arm.name for arm in published.ARMS),
    ]
    assert set(found["diagnosis"]) == set(JUDGES)
    assert set(found["gaze"]) == {*LOOKERS, GRAD_CAM}
    assert set(found["beats_plain_unet"]) == {GAZE_KL, GAZE_CC, GAZE_SIM}
    for arm in LOOKERS:
        told = found["gaze"][arm]
        assert told["chance"]["prior gaze_cc"]["value"] > 0.3
        assert told["chance"]["uniform gaze_kl"]["value"] > told["chance"]["prior gaze_kl"]["value"]
        assert len(told["films"][GAZE_KL]) == sum(found["data"]["films"]["test"].values())
    assert len(found["gaze_tests"]) == 16
    assert len(found["finding_tests"]) == 5


def test_no_patient_is_in_two_parts(careful: Outcome) -> None:
    assert careful.numbers["data"]["patients_in_several_parts"] == 0
    films = careful.numbers["data"]["films"]
    assert set(films) == {"train", "validation", "test"}
    assert all(min(counts.values()) >= 2 for counts in films.values())


def test_the_page_says_what_it_is(careful: Outcome) -> None:
    page = careful.report.read_text(encoding="utf-8")
    title = re.search(r"<h1[^>]*>(.*?)</h1>", page, re.DOTALL)
    assert title and "phantoms with simulated gaze" in title.group(1)
    for text in (
        "Table 4.1 beside ours",
        "Table 4.2 beside ours",
        "Chance: mean training gaze",
        "reader&#39;s gaze",
        "Grad-CAM of DenseNet-CL",
        "At this scale the numbers mean nothing",
    ):
        assert text in page, text
    assert page.count("<img") >= 3 * 6


def test_its_bundle_gives_probabilities_maps_and_gaze(careful: Outcome) -> None:
    bundle = load_bundle(careful.report.parent / str(careful.numbers["bundle"]))
    film = next((careful.report.parent / "phantoms").rglob("images/*.png"))
    with Image.open(film) as opened:
        pixels = (np.asarray(opened, np.float32) / 65535).clip(0, 1)
    reading = bundle.read(pixels)
    assert reading.prediction.findings == published.FINDINGS
    assert float(reading.prediction.probabilities.sum()) == pytest.approx(1, abs=1e-5)
    assert reading.maps.shape[0] == 3
    assert reading.prediction.gaze is not None
    assert reading.prediction.gaze.shape == (32, 32)
    card = bundle.card
    assert card.experimental and card.gaze is not None
    assert "simulated" in card.gaze.readers
    assert card.gaze.measurements["gaze_cc"].value == pytest.approx(
        careful.numbers["gaze"][FULL]["values"]["gaze_cc"]["value"]
    )


def test_a_finished_experiment_is_taken_up_where_it_was_moved_and_another_refused(
    careful: Outcome, tmp_path: Path
) -> None:
    out = shutil.copytree(careful.report.parent, tmp_path / "moved")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("phase_0.safetensors")}
    again = run(GAZE_COOPERATIVE, out / "none", out, mode="careful", scale="smoke")
    assert again.numbers["gaze"] == careful.numbers["gaze"]
    assert again.numbers["diagnosis"] == careful.numbers["diagnosis"]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    with pytest.raises(RunError):
        run(GAZE_COOPERATIVE, out / "none", out, mode="faithful", scale="smoke")


def write_recordings(root: Path) -> Path:
    """Write phantoms as the publisher lays eye-gaze recordings out, with a few that do not fit."""
    config = PhantomConfig(size=128, images_per_patient=1.5)
    write_phantoms(root / "made", 38, config)
    looks = pd.read_csv(root / "made" / "fixations.csv")
    rows, seen = [], []
    for index, film in enumerate(sorted((root / "made" / "images").iterdir())):
        place = f"files/p10/p{index // 2}/s{index}/{film.stem}.jpg"
        (root / place).parent.mkdir(parents=True)
        with Image.open(film) as opened:
            levels = (np.asarray(opened, np.float32) / 257).astype(np.uint8)
        Image.fromarray(levels).save(root / place)
        labels = np.eye(3, dtype=int)[index % 3]
        if index == 36:
            labels = np.array([0, 1, 1])
        facts = (film.stem, place.replace(".jpg", ".dcm"), index, f"p{index // 2}", "F", "60 - 70")
        rows.append((*facts, *labels))
        own = looks[looks["image"] == film.name]
        seen += [
            (film.stem, look.start_s + look.duration_s, look.duration_s, look.x, look.y)
            for look in (own.itertuples() if index != 37 else ())
        ]
    columns = ("dicom_id", "path", "study_id", "patient_id", "gender", "anchor_age", "Normal",
               "CHF", "pneumonia")  # fmt: skip
    pd.DataFrame(rows, columns=columns).to_csv(root / "master_sheet.csv", index=False)
    fixed = ("DICOM_ID", "Time (in secs)", "FPOGD", "X_ORIGINAL", "Y_ORIGINAL")
    pd.DataFrame(seen, columns=fixed).to_csv(root / "fixations.csv", index=False)
    return root


def test_the_publishers_layout_is_read_and_selected_on_the_test(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = write_recordings(tmp_path_factory.mktemp("recordings"))
    out = tmp_path_factory.mktemp("faithful")
    found = run(GAZE_COOPERATIVE, root, out, mode="faithful", scale="smoke", seeds=2)
    assert not found.numbers["phantoms"]
    assert found.numbers["data"]["available_films"] == 38
    assert found.numbers["data"]["left_out"] == 2
    assert set(found.numbers["data"]["films"]) == {"train", "test"}
    assert found.numbers["data"]["patients_in_several_parts"] > 0
    assert found.numbers["bundle"] == ""
    assert len(found.numbers["diagnosis_by_seed"][FULL]) == 2
    page = found.report.read_text(encoding="utf-8")
    assert "Selected on the test" in page
    assert "simulated gaze" not in page.split("</h1>")[0]
    assert "No bundle was written" in page


def test_tables_without_films_are_refused(tmp_path: Path) -> None:
    root = write_recordings(tmp_path / "there")
    for film in root.rglob("files/**/*.jpg"):
        film.unlink()
    chosen = tiny("careful", "smoke", pretrained=False)
    with pytest.raises(DataError, match="none of the films"):
        divide(root, tmp_path / "out", chosen)


def test_weights_of_both_networks_are_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "densenet201.safetensors"
    file.write_bytes(b"")
    with pytest.raises(ConfigError, match="inception_resnet_v2"):
        weights_of(settings("careful", "full", pretrained=True), file)


def test_measures_and_tests_come_out_as_they_must() -> None:
    rng = np.random.default_rng(0)
    count, side = 24, 16
    labels = np.eye(3, dtype=np.float32)[np.arange(count) % 3]
    places = [rng.uniform(2, 14, (4, 2)) for _ in range(count)]
    seconds = [np.ones(4) for _ in range(count)]
    looked = Looked(places, seconds, 1.5, np.full((side, side), 1 / side**2))
    truth = np.stack([fixation_map(each, (side, side), sigma_px=1.5) for each in places]).astype(
        np.float32
    )
    noise = rng.random((count, side, side)).astype(np.float32)
    good, bad = truth + 0.0005 * noise, truth + 0.01 * noise
    maps = {arm: [good if arm == FULL else bad + 0.01 * rng.random(bad.shape)] for arm in LOOKERS}
    maps = {arm: [each.astype(np.float32) for each in given] for arm, given in maps.items()}
    sure = 5 * labels.astype(np.float64)
    logits = {arm: [sure if arm == FULL else sure[:, ::-1].copy()] for arm in JUDGES}
    found = measure(labels, np.arange(count), logits, maps, looked, n_boot=50)
    assert found.diagnosis[FULL]["overall"]["accuracy"].value == 1
    assert found.diagnosis["mt_unet"]["overall"]["accuracy"].value == pytest.approx(1 / 3)
    expected = gaze_cc(good, truth).mean()
    assert found.gaze[FULL].measurements[GAZE_CC].value == pytest.approx(expected, abs=1e-4)
    assert found.verdict() == {GAZE_KL: True, GAZE_CC: True, GAZE_SIM: True}
    test = next(t for t in found.finding_tests if (t.first, t.second) == (FULL, "mt_unet"))
    assert test.difference.value == pytest.approx(2 / 3)
    assert test.flip_p < 0.01


@pytest.mark.parametrize(
    ("measure", "value", "p_value", "better"),
    [
        (GAZE_KL, -0.1, 0.01, True),
        (GAZE_KL, 0.1, 0.01, False),
        (GAZE_CC, 0.1, 0.01, True),
        (GAZE_CC, 0.1, 0.06, False),
        (GAZE_CC, 0.1, float("nan"), False),
    ],
)
def test_better_is_lower_for_divergence_and_needs_a_small_p(
    measure: str, value: float, p_value: float, better: bool
) -> None:
    test = PairTest(FULL, UNET, measure, Measurement("x", value), p_value, 1)
    assert bool(test.better()) is better
    turned = replace(test, difference=Measurement("x", -value))
    assert bool(turned.worse()) is better
    assert not (test.better() and test.worse())


def test_shown_films_are_not_picked_by_hand() -> None:
    labels = np.eye(3, dtype=np.float32)[np.arange(12) % 3]
    likeness = np.arange(12.0)
    likeness[0] = np.nan
    assert choose_films(labels, likeness, 1) == [6, 7, 8]
    assert len(choose_films(labels, likeness, 10)) == 11


def test_the_tables_are_typed_in_rightly() -> None:
    assert TABLE_1.number("Cooperative", "AUC") == 0.925
    assert TABLE_1.number("Gaze graph", "accuracy") == 0.73
    assert TABLE_2.number("UNet", "KL") == 0.781
    assert TABLE_2.number("Res-SE-UNet", "HS std") == 0.058
    assert set(published.TITLES) == {*(arm.name for arm in published.ARMS), GRAD_CAM}
    assert (RES_SE, UNET) in published.TOLD


def test_the_contradictions_are_found_by_arithmetic() -> None:
    lines = background.contradictions()
    assert lines[0].startswith("Cooperative: mean of the classes' AUC 0.925, as printed")
    assert any("DenseNet: mean of the classes' AUC 0.903, printed is 0.880" in x for x in lines)
    assert "95 % interval 0.71 to 0.87" in lines[0]
