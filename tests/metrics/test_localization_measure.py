"""Many maps at once: values, chance, intervals, sizes, and what is undefined."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from lucidray import metrics as m
from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.catalog import metrics, names_of
from lucidray.metrics.localization_batch import MapOptions
from lucidray.metrics.localization_measure import MISSABLE

SHAPE = (32, 40)


def _films(count: int = 20, seed: int = 0) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return masks of one box each, and the boxes."""
    rng = np.random.default_rng(seed)
    low = rng.integers(1, 20, (count, 2))
    boxes = np.concatenate([low, low + rng.integers(4, 12, (count, 2))], axis=1)
    masks = np.stack([m.mask_from_boxes(box, SHAPE) for box in boxes])
    return masks, [box[None].astype(float) for box in boxes]


def _noise(count: int = 20) -> np.ndarray:
    rng = np.random.default_rng(9)
    return ndimage.gaussian_filter(rng.normal(size=(count, *SHAPE)), (0, 3, 3)).astype(np.float32)


def _distance(mask: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.distance_transform_edt(mask))


def test_values_are_those_of_the_single_measures() -> None:
    masks, _ = _films()
    maps = _noise() + 0.1 * masks
    table = m.measure_localization(maps, masks=masks, lungs=masks, n_boot=0)
    assert set(table.values) == set(names_of("maps_and_masks", "maps_and_lungs"))
    for name, found in table.values.items():
        assert found == pytest.approx(metrics[name](maps, masks), abs=1e-12), name
        assert table.measurements[name].value == pytest.approx(found.mean())
        assert np.isnan(table.measurements[name].low)


def test_baselines_are_measured_by_the_same_functions() -> None:
    masks, _ = _films()
    table = m.measure_localization(_noise(), masks=masks, n_boot=0)
    center = np.broadcast_to(m.center_map(SHAPE), masks.shape)
    for name in table.values:
        assert table.baselines["center"][name] == pytest.approx(metrics[name](center, masks))
        uniform = metrics[name](np.ones(masks.shape), masks)
        assert table.chance["uniform", name].value == pytest.approx(uniform.mean())
        assert table.measurements[name].chance == pytest.approx(uniform.mean())


def test_truth_beats_chance_uniform_is_chance_and_the_opposite_is_below() -> None:
    masks, _ = _films()
    truth = m.measure_localization(masks * 1.0, masks=masks, n_boot=200)
    flat = m.measure_localization(np.ones(masks.shape), masks=masks, n_boot=200)
    away = np.stack([_distance(~mask) - _distance(mask) for mask in masks])
    wrong = m.measure_localization(away, masks=masks, n_boot=200)
    for name in truth.values:
        assert truth.measurements[name].value > 0.99, name
        assert truth.gain["uniform", name].low > 0, name
        assert flat.measurements[name].value == pytest.approx(flat.measurements[name].chance)
        if not name.startswith("box"):
            assert wrong.gain["uniform", name].high < 0, name


def test_intervals_are_over_patients() -> None:
    masks, _ = _films(8)
    maps = _noise(8) + 0.1 * masks
    double = np.repeat(maps, 30, axis=0), np.repeat(masks, 30, axis=0)
    patients = np.repeat(np.arange(8), 30)

    def width(groups: np.ndarray | None) -> float:
        table = m.measure_localization(
            double[0], masks=double[1], groups=groups, only=["pixel_auroc"], n_boot=400
        )
        found = table.measurements["pixel_auroc"]
        return found.high - found.low

    assert width(patients) > 3 * width(None)


def test_undefined_is_counted_and_chance_rests_on_the_same_images() -> None:
    masks, _ = _films(6)
    masks[0] = False
    maps = masks * 1.0
    maps[1], maps[2, 0, 0] = -1, np.nan
    table = m.measure_localization(maps, masks=masks, n_boot=0)
    assert table.status[:3] == ("empty_mask", "no_positive_evidence", "not_finite")
    assert table.counts() == {
        "empty_mask": 1,
        "no_positive_evidence": 1,
        "not_finite": 1,
        "ok": 3,
    }
    energy, iou = table.measurements["energy_inside"], table.measurements["map_iou"]
    assert (energy.count, energy.undefined, energy.value) == (3, 3, 1)
    assert (iou.count, iou.undefined, iou.value) == (4, 2, 0.75)
    assert energy.chance == pytest.approx(masks[3:].mean(axis=(1, 2)).mean())
    strict = m.measure_localization(maps, masks=masks, n_boot=0, no_evidence="undefined")
    for name in MISSABLE:
        assert strict.measurements[name].value == 1
        assert strict.measurements[name].undefined == 3


def test_boxes_serve_as_masks() -> None:
    masks, boxes = _films()
    maps = _noise() + 0.1 * masks
    by_mask = m.measure_localization(maps, masks=masks, n_boot=50)
    by_box = m.measure_localization(list(maps), boxes=boxes, n_boot=50)
    for name, values in by_mask.values.items():
        assert np.array_equal(by_box.values[name], values), name
    assert by_box.chance == by_mask.chance


def test_films_of_different_sizes_are_read_once() -> None:
    masks, _ = _films(6)
    maps = _noise(6) + 0.1 * masks
    pairs = enumerate(zip(maps, masks, strict=True))
    mixed = [(a[:30], b[:30]) if k % 2 else (a, b) for k, (a, b) in pairs]
    seen: list[tuple[int, int]] = []
    table = m.measure_localization(
        (each for each, _ in mixed),
        masks=[each for _, each in mixed],
        n_boot=0,
        progress=lambda done, total: seen.append((done, total)),
    )
    expected = [float(metrics["pixel_auprc"](a, b)) for a, b in mixed]
    assert table.values["pixel_auprc"] == pytest.approx(expected)
    assert seen[-1] == (6, 6)


def test_many_blocks_equal_one(monkeypatch: pytest.MonkeyPatch) -> None:
    masks, _ = _films()
    maps = _noise()
    whole = m.measure_localization(maps, masks=masks, n_boot=0)
    monkeypatch.setattr("lucidray.metrics.localization_measure._BLOCK", 3 * masks[0].size)
    parts = m.measure_localization(maps, masks=masks, n_boot=0)
    for name, values in whole.values.items():
        assert parts.values[name] == pytest.approx(values, nan_ok=True)


def test_options_and_choice_reach_the_measures() -> None:
    masks, _ = _films()
    maps = _noise() + 0.1 * masks
    options = MapOptions(threshold=0.3, tolerance_px=3)
    table = m.measure_localization(
        maps, masks=masks, only=["map_iou", "pointing_game"], options=options, n_boot=0
    )
    assert list(table.values) == ["map_iou", "pointing_game"]
    assert np.array_equal(table.values["map_iou"], m.map_iou(maps, masks, threshold=0.3))
    near = m.pointing_game(maps, masks, tolerance_px=3)
    assert np.array_equal(table.values["pointing_game"], near)


def test_a_given_prior_replaces_the_mean_of_the_others() -> None:
    masks, _ = _films(4)
    table = m.measure_localization(
        _noise(4), masks=masks, prior=np.ones(SHAPE), n_boot=0, baselines=["uniform", "prior"]
    )
    for name in table.values:
        both = [table.chance[base, name].value for base in ("uniform", "prior")]
        assert both[0] == pytest.approx(both[1], abs=1e-6)


def test_columns_make_a_table() -> None:
    masks, _ = _films(3)
    columns = m.measure_localization(_noise(3), masks=masks, n_boot=0).columns()
    assert {len(column) for column in columns.values()} == {3}
    assert {"status", "map_iou", "map_iou_center", "map_iou_prior"} <= columns.keys()


@pytest.mark.data
def test_chance_on_the_published_boxes(real_data: Path) -> None:
    table = real_data / "tables" / "BBox_List_2017.csv.gz"
    if not table.exists():
        pytest.skip("no table of ChestX-ray14 boxes in the folder of real data")
    boxes: dict[str, list[np.ndarray]] = {"Cardiomegaly": [], "Nodule": []}
    with gzip.open(table, "rt", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    for row in rows:
        x, y, width, height = (float(cell) / 4 for cell in row[2:6])
        if row[1] in boxes:
            boxes[row[1]].append(np.array([[x, y, x + width, y + height]]))
    flat = np.ones((256, 256), np.float32)
    for finding, share in (("Cardiomegaly", 0.176), ("Nodule", 0.005)):
        given = boxes[finding]
        table_ = m.measure_localization(
            [flat] * len(given), boxes=given, only=["pointing_game"], baselines=["prior"], n_boot=0
        )
        assert table_.measurements["pointing_game"].value == pytest.approx(share, abs=6e-4)
        assert table_.chance["prior", "pointing_game"].value > 2 * share


def test_wrong_input_is_named() -> None:
    masks, boxes = _films(3)
    maps = _noise(3)
    with pytest.raises(MetricError, match="neither masks nor boxes"):
        m.measure_localization(maps)
    with pytest.raises(ShapeError, match="numbers of images differ"):
        m.measure_localization(maps, masks=masks, boxes=boxes[:2])
    with pytest.raises(ShapeError, match="more maps"):
        m.measure_localization(maps, masks=masks[:2], n_boot=0)
    with pytest.raises(ShapeError, match="2 maps but 3"):
        m.measure_localization(maps[:2], masks=masks, n_boot=0)
    with pytest.raises(ShapeError, match="pixel grid"):
        m.measure_localization(maps, masks=masks[:, :5])
    with pytest.raises(MetricError, match="choose from"):
        m.measure_localization(maps, masks=masks, only=["auc"])
    with pytest.raises(MetricError, match="no_evidence"):
        m.measure_localization(maps, masks=masks, no_evidence="skip", n_boot=0)  # type: ignore[arg-type]
