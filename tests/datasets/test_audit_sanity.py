"""Boxes, masks and odd images: each fault planted, found and named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lucidray.datasets.audit.sanity import check_boxes, check_masks, find_outliers, robust_z
from lucidray.datasets.audit.scan import Scan, scan_images
from lucidray.datasets.table import BOX_COLUMNS, ImageTable

HEIGHT, WIDTH = 40, 60


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    return scan_images(pictures(tmp_path_factory.mktemp("images"), 3))


def pictures(folder: Path, count: int) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [folder / f"{number}.png" for number in range(count)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint8)).save(path)
    return paths


def table_with(boxes: Sequence[tuple[object, ...]] = (), **columns: object) -> ImageTable:
    rows = pd.DataFrame(
        {
            "path": ["0.png", "1.png", "2.png"],
            "image": ["a", "b", "c"],
            "patient": None,
            "split": None,
            "view_position": None,
            "age_years": np.nan,
            "sex": None,
            "source": None,
            "Mass": np.array([1, 0, np.nan], dtype=np.float32),
        }
        | columns
    )
    return ImageTable("tiny", ("Mass",), rows, boxes=pd.DataFrame(boxes, columns=list(BOX_COLUMNS)))


BOXES = {
    "inverted": ("a", "Mass", 30.0, 5.0, 10.0, 20.0),
    "empty": ("a", "Mass", 10.0, 5.0, 10.0, 20.0),
    "not finite": ("a", "Mass", 10.0, np.nan, 20.0, 20.0),
    "outside the image": ("a", "Mass", 10.0, 5.0, 20.0, 55.0),
    "over nearly the whole image": ("a", "Mass", 0.0, 0.0, 60.0, 40.0),
    "without the image's label": ("b", "Mass", 10.0, 5.0, 20.0, 20.0),
    "of an image that the table lacks": ("z", "Mass", 10.0, 5.0, 20.0, 20.0),
}


@pytest.mark.parametrize("fault", BOXES)
def test_wrong_boxes_are_found(scan: Scan, fault: str) -> None:
    good = ("a", "Mass", 5.0, 6.0, 25.0, 30.0)
    found = check_boxes(table_with([good, BOXES[fault]]), scan, ["0", "1", "2"])
    assert [item.fault for item in found] == [fault]
    assert found[0].path == {"a": "0", "b": "1", "z": "z"}[str(BOXES[fault][0])]


def test_a_box_given_twice_is_found_once(scan: Scan) -> None:
    box = ("a", "Mass", 5.0, 6.0, 25.0, 30.0)
    found = check_boxes(table_with([box, box]), scan, ["0", "1", "2"])
    assert [item.fault for item in found] == ["given twice"]


def test_right_boxes_pass(scan: Scan) -> None:
    boxes = [
        ("a", "Mass", 0.0, 0.0, 30.0, 40.0),
        ("c", "Mass", 1.5, 2.5, 60.0, 39.0),
        ("b", "Something else", 5.0, 5.0, 9.0, 9.0),
    ]
    assert check_boxes(table_with(boxes), scan, ["0", "1", "2"]) == []


def test_wrong_masks_are_found_and_right_ones_counted(scan: Scan, tmp_path: Path) -> None:
    inside = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    inside[10:20, 10:30] = 255
    masks = {"right": inside, "empty": inside * 0, "small": inside[:20]}
    for name, mask in masks.items():
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
    paths = [str(tmp_path / f"{name}.png") for name in masks]
    count, found = check_masks(table_with(mask=paths), scan, ["0", "1", "2"])
    assert count == 3
    assert [(item.path, item.fault) for item in found] == [
        ("1", "empty"),
        ("2", "of another shape than the image"),
    ]
    missing = table_with(mask=[str(tmp_path / "none.png"), None, np.nan])
    count, found = check_masks(missing, scan, ["0", "1", "2"])
    assert (count, [item.fault for item in found]) == (1, ["cannot be read"])
    assert str(tmp_path) not in str(found)


def test_a_table_without_masks_has_none(scan: Scan) -> None:
    assert check_masks(table_with(), scan, ["0", "1", "2"]) == (0, [])


def test_robust_z_of_a_normal_sample_is_its_z(rng: np.random.Generator) -> None:
    values = rng.normal(5, 2, 20_000)
    np.testing.assert_allclose(robust_z(values), (values - 5) / 2, atol=0.15)
    assert robust_z(np.array([1.0, 1.0, 1.0, 9.0])).tolist() == [0, 0, 0, 0]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """Sixty like images, then one dark, one negative, one tiny, one of another size."""
    folder = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(1)
    slope = np.linspace(60, 190, 80)[:, None] + np.zeros((80, 80))
    arrays = [slope + rng.normal(0, 6, (80, 80)) for _ in range(61)]
    arrays[60] = arrays[60] / 8
    arrays += [250 - slope, slope[:30, :30], np.repeat(slope, 2, axis=1)]
    paths = [folder / f"{number:03}.png" for number in range(len(arrays))]
    for array, path in zip(arrays, paths, strict=True):
        Image.fromarray(np.clip(array, 0, 255).astype(np.uint8)).save(path)
    return scan_images(paths)


def test_odd_images_are_found(many: Scan) -> None:
    found = {(item.path, item.trait) for item in find_outliers(many, list(map(str, range(64))))}
    expected = {
        ("60", "mean intensity"),
        ("61", "likeness to the mean image"),
        ("62", "side in pixels"),
        ("63", "pixels"),
    }
    assert expected <= found
    assert {path for path, _ in found} == {"60", "61", "62", "63"}


def test_like_images_are_not_odd(many: Scan) -> None:
    chosen = replace(
        many,
        thumbnails=many.thumbnails[:60],
        numbers=many.numbers[:60],
        shapes=many.shapes[:60],
    )
    assert find_outliers(chosen, list(map(str, range(60)))) == []
