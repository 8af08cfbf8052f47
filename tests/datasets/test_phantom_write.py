"""Phantoms on disk: the publisher's layout to the letter, DICOM that others read, resumption."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from lucidray.datasets.phantom import FINDINGS, PhantomConfig, make_phantom, write_phantoms
from lucidray.datasets.phantom.dicom import dicom_bytes
from lucidray.datasets.phantom.tables import held_patients
from lucidray.errors import ConfigError, DataError

CONFIG = PhantomConfig(size=128, abundance=3.0, shortcut="Effusion", shortcut_strength=1.0)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantoms(tmp_path_factory.mktemp("phantoms") / "set", 14, CONFIG, seed=3)


def rows(path: Path) -> list[list[str]]:
    return list(csv.reader(path.read_text().splitlines()))


def test_headers_are_the_publishers(written: Path) -> None:
    entry = (written / "Data_Entry_2017.csv").read_text().split("\n")[0]
    assert entry == (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
        "View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
    )
    boxes = (written / "BBox_List_2017.csv").read_text().split("\n")[0]
    assert boxes == "Image Index,Finding Label,Bbox [x,y,w,h],,,"


def test_rows_tell_what_the_phantoms_are(written: Path) -> None:
    entries = rows(written / "Data_Entry_2017.csv")[1:]
    assert len(entries) == 14
    for index, row in enumerate(entries):
        phantom = make_phantom(3, index, CONFIG)
        assert row[0] == f"{phantom.image}.png"
        assert row[1] == ("|".join(phantom.severities) or "No Finding")
        assert row[2:7] == [
            str(phantom.patient.follow_up),
            str(phantom.patient.number),
            str(phantom.patient.age_years),
            phantom.patient.sex,
            phantom.view_position,
        ]
        assert row[7:9] == ["128", "128"]
        assert float(row[9]) == phantom.spacing_mm[1]


def test_images_are_16_bit_and_hold_the_pixels(written: Path) -> None:
    phantom = make_phantom(3, 0, CONFIG)
    with Image.open(written / "images" / f"{phantom.image}.png") as image:
        assert image.mode == "I;16"
        np.testing.assert_array_equal(np.asarray(image), phantom.raw)
    with Image.open(written / "masks" / "lungs" / f"{phantom.image}.png") as image:
        assert image.mode == "1"
        np.testing.assert_array_equal(np.asarray(image), phantom.lung_mask)


def test_boxes_use_the_publishers_spelling_and_bound_the_masks(written: Path) -> None:
    listed = rows(written / "BBox_List_2017.csv")[1:]
    names = {row[1] for row in listed}
    assert "Infiltrate" in names
    assert "Infiltration" not in names
    for image, finding, *numbers in listed:
        x, y, width, height = (int(number) for number in numbers)
        name = finding.replace("Infiltrate", "Infiltration")
        mask_file = written / "masks" / "lesions" / f"{Path(image).stem}_{name}.png"
        with Image.open(mask_file) as picture:
            mask = np.asarray(picture)
        part = mask[y : y + height, x : x + width]
        assert part.any(axis=0)[[0, -1]].all()
        assert part.any(axis=1)[[0, -1]].all()


def test_lists_part_the_patients(written: Path) -> None:
    lists = [(written / f"{name}_list.txt").read_text().split() for name in ("train_val", "test")]
    images = {row[0] for row in rows(written / "Data_Entry_2017.csv")[1:]}
    assert set(lists[0]) | set(lists[1]) == images
    patients = [{name.split("_")[0] for name in part} for part in lists]
    assert patients[0]
    assert patients[1]
    assert not patients[0] & patients[1]


def test_a_test_share_is_kept_over_many_patients() -> None:
    held = held_patients(range(1, 2001), 0, 0.23)
    assert len(held) / 2000 == pytest.approx(0.23, abs=0.03)
    assert held_patients([1, 2], 0, 1e-9)
    assert len(held_patients([1, 2], 0, 1.0)) == 2
    assert held_patients([1, 2], 0, 0.0) == set()


def test_truth_tells_severity_and_tag(written: Path) -> None:
    with (written / "truth.csv").open() as file:
        table = list(csv.DictReader(file))
    for index, row in enumerate(table):
        phantom = make_phantom(3, index, CONFIG)
        for finding in FINDINGS:
            expected = phantom.severities.get(finding, 0)
            assert float(row[finding]) == pytest.approx(expected, abs=1e-6)
        assert int(row["shortcut"]) == phantom.shortcut == phantom.labels["Effusion"]
        tag = written / "masks" / "shortcut" / f"{phantom.image}.png"
        assert tag.exists() == phantom.shortcut


def test_fixations_are_listed(written: Path) -> None:
    table = rows(written / "fixations.csv")
    assert table[0] == ["image", "x", "y", "start_s", "duration_s", "target"]
    expected = sum(len(make_phantom(3, i, CONFIG).fixations) for i in range(14))
    assert len(table) - 1 == expected


def test_workers_change_nothing(written: Path, tmp_path: Path) -> None:
    other = write_phantoms(tmp_path / "two", 14, CONFIG, seed=3, workers=2)
    assert digests(other) == digests(written)


class Killed(Exception):
    """Stands for a kill."""


def test_a_killed_run_goes_on_to_the_same_bytes(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "again"

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise Killed

    with pytest.raises(Killed):
        write_phantoms(folder, 14, CONFIG, seed=3, progress=stop)
    (folder / "images" / ".00000009_000.png.77.part").write_bytes(b"half")
    seen: list[int] = []
    write_phantoms(folder, 14, CONFIG, seed=3, progress=lambda done, total: seen.append(done))
    assert seen[0] == 5
    assert seen[-1] == 14
    assert digests(folder) == digests(written)


def test_a_longer_series_begins_with_the_shorter(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "grown"
    write_phantoms(folder, 6, CONFIG, seed=3)
    write_phantoms(folder, 14, CONFIG, seed=3)
    assert digests(folder) == digests(written)


def test_other_phantoms_are_not_written_over(written: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="another seed"):
        write_phantoms(written, 14, CONFIG, seed=4)
    with pytest.raises(DataError, match="begun for 14"):
        write_phantoms(written, 3, CONFIG, seed=3)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        write_phantoms(tmp_path, 3, CONFIG)
    with pytest.raises(DataError, match="is a file"):
        write_phantoms(tmp_path / "mine.txt", 3, CONFIG)


@pytest.mark.parametrize("wrong", [{"n": 0}, {"seed": -1}, {"workers": 0}, {"file_format": "bmp"}])
def test_wrong_numbers_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    arguments: dict[str, object] = {"n": 1, "config": CONFIG} | wrong
    with pytest.raises(ConfigError, match="expected"):
        write_phantoms(tmp_path / "x", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "x").exists()


def test_dicom_is_read_back_by_pydicom_as_the_same_picture(tmp_path: Path) -> None:
    folder = write_phantoms(tmp_path / "dicom", 2, CONFIG, seed=3, file_format="dicom")
    phantom = make_phantom(3, 0, CONFIG)
    assert rows(folder / "Data_Entry_2017.csv")[1][0] == f"{phantom.image}.dcm"
    data = pydicom.dcmread(folder / "images" / f"{phantom.image}.dcm")
    assert data.SOPClassUID.name == "Digital X-Ray Image Storage - For Presentation"
    np.testing.assert_array_equal(data.pixel_array, phantom.raw)
    shown = apply_voi_lut(apply_modality_lut(data.pixel_array, data), data)
    np.testing.assert_allclose(np.asarray(shown) / 65535, phantom.pixels, atol=1e-6)
    assert data.ViewPosition == phantom.view_position
    assert [float(v) for v in data.ImagerPixelSpacing] == list(phantom.spacing_mm)


def test_dicom_has_what_its_standard_requires() -> None:
    phantom = make_phantom(3, 1, CONFIG)
    strict = pydicom.config.settings
    before = strict.reading_validation_mode
    strict.reading_validation_mode = pydicom.config.RAISE
    try:
        data = pydicom.dcmread(io.BytesIO(dicom_bytes(phantom)))
        assert all(element.tag for element in data.iterall())
    finally:
        strict.reading_validation_mode = before
    required = (
        "SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality ImageType "
        "PresentationIntentType SamplesPerPixel PhotometricInterpretation Rows Columns "
        "BitsAllocated BitsStored HighBit PixelRepresentation PixelIntensityRelationship "
        "PixelIntensityRelationshipSign RescaleIntercept RescaleSlope RescaleType "
        "PresentationLUTShape LossyImageCompression BurnedInAnnotation ImageLaterality "
        "PatientOrientation ImagerPixelSpacing PixelData"
    )
    for keyword in required.split():
        assert data.get(keyword) not in (None, ""), keyword
    present = (
        "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime StudyID "
        "ReferringPhysicianName AccessionNumber SeriesNumber InstanceNumber Manufacturer "
        "DetectorType AcquisitionContextSequence AnatomicRegionSequence"
    )
    for keyword in present.split():
        assert keyword in data, keyword
    assert dicom_bytes(phantom) == dicom_bytes(make_phantom(3, 1, CONFIG))


def test_follow_ups_share_the_patient_but_not_the_study() -> None:
    config = PhantomConfig(size=128, images_per_patient=8)
    one, two = (
        pydicom.dcmread(io.BytesIO(dicom_bytes(make_phantom(0, i, config)))) for i in (0, 1)
    )
    assert one.PatientID == two.PatientID
    assert one.StudyInstanceUID != two.StudyInstanceUID
    assert one.SOPInstanceUID != two.SOPInstanceUID


def test_the_card_tells_seed_and_config(written: Path) -> None:
    card = json.loads((written / "phantoms.json").read_text())
    assert card["seed"] == 3
    assert card["n"] == 14
    assert card["config"]["shortcut"] == "Effusion"
