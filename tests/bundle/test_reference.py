"""The reference: generated images, expected answers, and a check that can fail."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lucidray.bundle import archive, load_bundle
from lucidray.bundle.engines import Outputs
from lucidray.bundle.reference import (
    Reference,
    differences,
    from_bytes,
    make_images,
    to_bytes,
    verify,
)
from lucidray.bundle.runtime import REFERENCE
from lucidray.errors import BundleError


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_sound_bundle_passes(bundle_file: Path, engine: str) -> None:
    pytest.importorskip(engine)
    found = verify(bundle_file, engine=engine, threads=1)
    assert found.passed
    assert found.images == 4
    assert found.engine.startswith(engine)
    assert found.tolerance == (1e-5, 1e-4)


@pytest.mark.parametrize("part", ["probabilities", "maps"])
def test_another_answer_fails(bundle_file: Path, tmp_path: Path, part: str) -> None:
    members = dict(archive.read(bundle_file).members)
    reference = from_bytes(members[REFERENCE])
    first = reference.expected[0]
    shifted = first._replace(**{part: getattr(first, part) + 0.01 * np.ptp(first.maps)})
    wrong = replace(reference, expected=(shifted, *reference.expected[1:]))
    path = tmp_path / "wrong.lucid"
    archive.write(path, {**members, REFERENCE: to_bytes(wrong)})
    assert not verify(path, threads=1).passed


def test_images_are_the_same_each_time_and_of_many_sizes() -> None:
    images = make_images(32)
    assert [each.shape for each in images] == [(32, 32), (53, 43), (39, 67), (21, 24)]
    for image, again in zip(images, make_images(32), strict=True):
        np.testing.assert_array_equal(image, again)
        assert image.dtype == np.uint8
        assert image.std() > 20


def test_differences_by_hand() -> None:
    maps = np.array([[[0.0, 1.0], [2.0, 4.0]]], np.float32)
    wanted = [(np.array([0.5], np.float32), maps)]
    found = [(np.array([0.25], np.float32), maps + np.float32(0.5))]
    assert differences(found, wanted) == (0.25, 0.125)
    assert np.isnan(differences([(np.full(1, np.nan, np.float32), maps)], wanted)[0])
    assert np.isnan(differences([(wanted[0][0], maps[:, :1])], wanted)).all()


def test_numpy_reads_it_and_it_comes_back() -> None:
    ones = np.ones((1, 1), np.float32)
    outputs = Outputs(ones, ones * 2, np.ones((1, 1, 2, 2), np.float32), ones * 3)
    reference = Reference((make_images(32)[0],), (outputs,), (0.1, 0.2))
    data = to_bytes(reference)
    with np.load(io.BytesIO(data)) as file:
        np.testing.assert_array_equal(file["probabilities_0"], ones * 2)
    again = from_bytes(data)
    assert again.tolerance == (0.1, 0.2)
    np.testing.assert_array_equal(again.expected[0].embedding, ones * 3)
    assert to_bytes(again) == data


def test_an_incomplete_reference_is_refused() -> None:
    image = io.BytesIO()
    np.save(image, np.zeros((2, 2), np.uint8))
    with pytest.raises(BundleError, match="not complete"):
        from_bytes(archive.pack({"image_0.npy": image.getvalue()}))


def test_a_bundle_without_reference_is_refused(bundle_file: Path, tmp_path: Path) -> None:
    members = dict(archive.read(bundle_file).members)
    del members[REFERENCE]
    archive.write(tmp_path / "x.lucid", members)
    with pytest.raises(BundleError, match=r"no reference\.npz"):
        load_bundle(tmp_path / "x.lucid")
