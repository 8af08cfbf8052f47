"""Every planted fault is found, and a clean set has none."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from lucidray.datasets.audit import Audit, audit, scan_images, write_audit_page
from lucidray.datasets.audit.build import common_root, relative_names
from lucidray.datasets.catalog import load_dataset
from lucidray.datasets.table import ImageTable
from lucidray.errors import ConfigError, DataError

TOTALS = (
    "images",
    "corrupt",
    "exact_duplicate_groups",
    "cross_split_duplicates",
    "label_conflicts",
    "patients_in_several_splits",
)
SIDE = 96
COUNT = 48


def film(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    values = sum(
        weight * (layer / layer.std())
        for weight, sigma in ((3.0, 10.0), (1.0, 2.0))
        for layer in [gaussian_filter(rng.normal(size=(SIDE, SIDE)), sigma)]
    )
    low, high = np.min(values), np.max(values)
    return Image.fromarray(np.rint(20 + 200 * (values - low) / (high - low)).astype(np.uint8))


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of different pictures, labeled without any tie to anything."""
    folder = tmp_path_factory.mktemp("films")
    for number in range(COUNT):
        film(number).save(folder / f"film{number:02}.png")
    return folder


@pytest.fixture
def table(films: Path) -> ImageTable:
    return table_of([films / f"film{number:02}.png" for number in range(COUNT)])


def table_of(paths: Sequence[Path], **columns: Any) -> ImageTable:
    count = len(paths)
    labels = (np.arange(count) * 7 % 11 < 5).astype(np.float32)
    rows = {
        "path": [str(path) for path in paths],
        "image": [path.name for path in paths],
        "patient": [f"p{number // 2}" for number in range(count)],
        "split": ["test" if number % 8 > 5 else "train" for number in range(count)],
        "view_position": "PA",
        "age_years": np.nan,
        "sex": [("F", "M")[(number // 3) % 2] for number in range(count)],
        "source": "one hospital",
        "Mass": labels,
    }
    return ImageTable("films", ("Mass",), pd.DataFrame(rows | columns))


def with_files(table: ImageTable, folder: Path, **files: Image.Image) -> ImageTable:
    """Add images of new patients to a table's training split."""
    paths = []
    for name, image in files.items():
        path = folder / name.replace("_", ".", 1)
        image.save(path)
        paths.append(path)
    added = table_of(paths).rows
    added["patient"] = [f"new {path.name}" for path in paths]
    added["split"] = "train"
    return replace(table, rows=pd.concat([table.rows, added], ignore_index=True))


def titles(found: Audit) -> str:
    return "\n".join(remark.title for remark in found.remarks)


def test_a_clean_set_has_no_fault(table: ImageTable) -> None:
    found = audit(table)
    totals = found.totals()
    assert totals.pop("images") == COUNT
    assert totals.pop("patients") == COUNT // 2
    assert set(totals.values()) == {0}, totals
    assert {remark.severity for remark in found.remarks} <= {"note"}


def test_exact_copies_are_found_behind_another_header(table: ImageTable, tmp_path: Path) -> None:
    more = with_files(table, tmp_path, copy_tiff=film(3), again_png=film(3))
    found = audit(more)
    assert [len(group) for group in found.exact] == [3]
    assert {Path(name).name for name in found.exact[0]} == {"film03.png", "copy.tiff", "again.png"}
    assert found.totals()["near_duplicate_groups"] == 0
    assert "exact duplicates" in titles(found)


def test_near_copies_are_found(table: ImageTable, tmp_path: Path) -> None:
    turned = film(5).resize((64, 64)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    found = audit(
        with_files(table, tmp_path, small_jpg=film(4).resize((64, 64)), turned_png=turned)
    )
    assert found.totals()["exact_duplicate_groups"] == 0
    assert found.totals()["near_duplicate_groups"] == 2
    pairs = {(Path(pair.first).name, pair.orientation) for pair in found.near}
    assert pairs == {("film04.png", "same"), ("film05.png", "mirrored")}


def test_copies_across_splits_and_with_other_labels(table: ImageTable, tmp_path: Path) -> None:
    more = with_files(table, tmp_path, copy_png=film(6), near_jpg=film(7).resize((80, 80)))
    rows = more.rows.copy()
    rows.loc[rows["image"] == "copy.png", "Mass"] = 1 - rows["Mass"][6]
    rows.loc[rows["image"] == "near.jpg", "Mass"] = rows["Mass"][7]
    found = audit(replace(more, rows=rows))
    assert found.totals()["cross_split_duplicates"] == 2
    assert found.totals()["label_conflicts"] == 1
    assert found.conflicts[0].labels in {("Mass", "none"), ("none", "Mass")}
    assert found.remarks[0].severity == "critical"


def test_unknown_labels_do_not_conflict(table: ImageTable, tmp_path: Path) -> None:
    more = with_files(table, tmp_path, copy_png=film(6))
    rows = more.rows.copy()
    rows.loc[rows["image"] == "copy.png", "Mass"] = np.nan
    assert audit(replace(more, rows=rows)).totals()["label_conflicts"] == 0


def test_corrupt_files_are_named_with_their_reason(table: ImageTable, tmp_path: Path) -> None:
    more = with_files(table, tmp_path, broken_png=film(90), text_png=film(91))
    whole = (tmp_path / "broken.png").read_bytes()
    (tmp_path / "broken.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no picture")
    found = audit(more)
    assert {Path(file.path).name for file in found.unreadable} == {"broken.png", "text.png"}
    assert all(len(file.reason) > 10 for file in found.unreadable)
    assert str(tmp_path) not in json.dumps(found.to_json())
    assert found.totals()["corrupt"] == 2
    assert found.totals()["exact_duplicate_groups"] == 0


def test_patients_in_several_splits(table: ImageTable) -> None:
    rows = table.rows.copy()
    rows.loc[1, "split"] = "validation"
    found = audit(replace(table, rows=rows))
    assert [(spread.patient, spread.splits) for spread in found.spreads] == [
        ("p0", ("train", "validation"))
    ]
    assert "stands in several splits" in titles(found)


def test_unknown_patients_are_said(table: ImageTable) -> None:
    found = audit(replace(table, rows=table.rows.assign(patient=None)))
    assert found.patients == 0
    assert "patients are not known" in titles(found)


def test_source_tied_to_label(table: ImageTable) -> None:
    source = np.where(table.rows["Mass"] == 1, "A", "B")
    found = audit(replace(table, rows=table.rows.assign(source=source)))
    tie = found.associations[0]
    assert (tie.label, tie.trait, tie.cramers_v) == ("Mass", "source", pytest.approx(1, abs=1e-9))
    assert "source all but tells the label" in titles(found)
    told = {item.predictor: item for item in found.baselines if item.target == "Mass"}
    assert told["source"].auc == 1
    assert told["source"].low > 0.9


def test_border_that_gives_the_label_away(tmp_path: Path) -> None:
    paths = []
    for number in range(COUNT):
        pixels = np.array(film(number + 200))
        if number * 7 % 11 < 5:
            pixels[:12] = 0
        paths.append(tmp_path / f"{number:02}.png")
        Image.fromarray(pixels).save(paths[-1])
    found = audit(table_of(paths))
    border = next(item for item in found.baselines if item.predictor == "border")
    assert border.low > 0.9
    assert "told from the border" in titles(found)


def test_image_size_tied_to_label(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:02}.png" for number in range(COUNT)]
    for number, path in enumerate(paths):
        side = 96 if number * 7 % 11 < 5 else 128
        film(number + 300).resize((side, side)).save(path)
    assert "The image size all but tells the label" in titles(audit(table_of(paths)))


def test_odd_images_are_named(table: ImageTable, tmp_path: Path) -> None:
    blank = Image.new("L", (SIDE, SIDE), 90)
    large = film(400).resize((500, 400))
    found = audit(with_files(table, tmp_path, blank_png=blank, large_png=large))
    odd = {(Path(item.path).name, item.trait) for item in found.outliers}
    assert {("blank.png", "blank"), ("large.png", "pixels")} <= odd
    assert "of one even gray" in titles(found)


def test_images_without_a_file_are_counted_apart(table: ImageTable) -> None:
    rows = table.rows.copy()
    rows.loc[[2, 9], "path"] = None
    found = audit(replace(table, rows=rows))
    assert (found.images, found.absent) == (COUNT - 2, 2)


def test_json_is_plain_whole_and_without_absolute_paths(table: ImageTable, films: Path) -> None:
    found = audit(table, root=films.parent).to_json()
    assert all(type(found[key]) is int for key in TOTALS)
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again == found
    assert str(films.parent) not in json.dumps(found)
    names = json.dumps(audit(with_copy(table, films), root=films.parent).to_json())
    assert f"{films.name}/film00.png" in names


def with_copy(table: ImageTable, films: Path) -> ImageTable:
    rows = table.rows.copy()
    rows.loc[5, "path"] = str(films / "film00.png")
    return replace(table, rows=rows)


def test_text_names_totals_and_advice(table: ImageTable, films: Path) -> None:
    text = audit(with_copy(table, films)).to_text()
    assert "48 images" in text
    assert "exact duplicate groups" in text
    assert "To do:" in text


def test_page_is_self_contained_and_shows_copies(
    table: ImageTable, films: Path, tmp_path: Path
) -> None:
    more = with_files(
        with_copy(table, films), tmp_path / "", near_jpg=film(7).resize((80, 80)), text_png=film(8)
    )
    (tmp_path / "text.png").write_text("no picture")
    found = audit(more)
    page = write_audit_page(found, more, tmp_path / "out" / "page.html").read_text()
    assert page.startswith("<!doctype html>") or page.lstrip().startswith("<!doctype html>")
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    assert page.count("data:image/jpeg;base64,") >= 8
    for name in ("film00.png", "near.jpg", "text.png", "Exact duplicates", "Near duplicates"):
        assert name in page
    assert str(tmp_path) not in page


def test_names_are_escaped_on_the_page(films: Path, tmp_path: Path) -> None:
    name = "a<b>&c.png"
    shutil.copy(films / "film00.png", tmp_path / name)
    table = table_of([tmp_path / name, films / "film00.png"])
    page = write_audit_page(audit(table), table, tmp_path / "p.html").read_text()
    assert "a&lt;b&gt;&amp;c.png" in page
    assert name not in page


def test_nothing_to_audit_is_an_error(table: ImageTable) -> None:
    with pytest.raises(DataError, match="no image files"):
        audit(replace(table, rows=table.rows.assign(path=None)))


def test_one_image_and_no_labels_are_enough(films: Path) -> None:
    table = table_of([films / "film00.png"])
    found = audit(replace(table, findings=(), rows=table.rows.drop(columns="Mass")))
    assert (found.images, found.exact, found.counts) == (1, (), ())


def test_a_set_of_broken_files_alone_is_reported(tmp_path: Path) -> None:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        path.write_bytes(b"")
    table = table_of(paths)
    found = audit(table)
    assert found.totals()["corrupt"] == found.images == 2
    assert found.exact == ()
    assert "not readable" in write_audit_page(found, table, tmp_path / "p.html").read_text()


@pytest.mark.parametrize("threshold", [0.0, 1.5, -1.0])
def test_thresholds_are_correlations(table: ImageTable, threshold: float) -> None:
    with pytest.raises(ConfigError, match="threshold"):
        audit(table, near_threshold=threshold)


def test_progress_reaches_its_total(films: Path) -> None:
    seen: list[tuple[int, int]] = []
    paths = sorted(films.iterdir())[:5]
    scan_images(paths, workers=1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 5) for number in range(1, 6)]


def test_workers_change_nothing(table: ImageTable) -> None:
    assert audit(table, workers=1).to_json() == audit(table, workers=4).to_json()


def test_paths_are_relative_to_the_deepest_common_folder(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "x.png", tmp_path / "b" / "y.png"]
    assert common_root(paths) == tmp_path
    assert relative_names(paths, tmp_path) == ["a/x.png", "b/y.png"]
    assert relative_names(paths, tmp_path / "a") == ["x.png", "y.png"]


@pytest.mark.data
def test_brain_slices_hold_over_a_hundred_groups_of_copies(real_data: Path) -> None:
    root = real_data / "brain_mri"
    table = load_dataset(root)
    healthy = table.where((table.rows["No Tumor"] == 1).to_numpy())
    found = audit(healthy, root=root)
    assert len(found.exact) > 100
    assert found.totals()["near_duplicate_groups"] > 50
    assert any(pair.orientation == "mirrored" for pair in found.near)
    assert found.exact[0][0].startswith("Training/notumor/")


@pytest.mark.data
def test_children_are_told_apart_but_some_films_stand_twice(real_data: Path) -> None:
    root = real_data / "pediatric_pneumonia"
    table = load_dataset(root)
    sick = table.where((table.rows["Pneumonia"] == 1).to_numpy())
    some = sick.where((np.arange(len(sick)) < 1500).astype(bool))
    totals = audit(some, root=root).totals()
    assert totals["exact_duplicate_groups"] > 0
    assert totals["near_duplicate_groups"] == 0
    assert totals["patients_in_several_splits"] == 0


@pytest.mark.data
def test_class_and_source_are_one_in_the_mixed_set(real_data: Path) -> None:
    root = real_data / "chest_multiclass"
    table = load_dataset(root)
    found = audit(table.where(np.arange(len(table)) % 4 == 0), root=root)
    tie = next(item for item in found.associations if item.trait == "source")
    assert tie.cramers_v > 0.9
    border = [item for item in found.baselines if item.predictor == "border"]
    assert max(item.low for item in border if ":" not in item.target) > 0.9
    assert "source all but tells the label" in titles(found)


def test_a_page_that_cannot_be_finished_leaves_nothing(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lucidray.datasets.audit.page.render_audit_page", fails)
    with pytest.raises(OSError, match="No space"):
        write_audit_page(None, None, tmp_path / "out" / "page.html")
    assert not list((tmp_path / "out").iterdir())
