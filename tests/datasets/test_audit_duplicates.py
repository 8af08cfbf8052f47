"""Copies are found in any disguise; look-alikes are not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from lucidray.datasets.audit import duplicates
from lucidray.datasets.audit.duplicates import (
    Pairs,
    clusters,
    exact_groups,
    find_duplicates,
    near_pairs,
    parities,
    strongest_links,
)
from lucidray.datasets.audit.scan import scan_images

Bytes = npt.NDArray[np.uint8]


def film(seed: int, side: int = 256) -> Image.Image:
    """A generated gray picture with coarse and fine structure of its own."""
    rng = np.random.default_rng(seed)
    scale = side / 64
    parts = [
        weight * _scaled(gaussian_filter(rng.normal(size=(side, side)), sigma * scale))
        for weight, sigma in ((3.0, 7.0), (1.0, 1.5))
    ]
    return Image.fromarray(_gray(sum(parts)))


def _scaled(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return values / values.std()


def _gray(values: npt.NDArray[np.float64]) -> Bytes:
    low, high = values.min(), values.max()
    return np.rint(20 + 200 * (values - low) / (high - low)).astype(np.uint8)


def thumbnail(image: Image.Image) -> Bytes:
    return np.asarray(image.resize((64, 64), Image.Resampling.BOX))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("L")


DISGUISES = {
    "compressed": lambda image: jpeg(image, 30),
    "shrunk": lambda image: image.resize((128, 128), Image.Resampling.BILINEAR),
    "brighter": lambda image: image.point([min(255, round(1.1 * k)) for k in range(256)]),
    "gamma": lambda image: image.point([round(255 * (k / 255) ** 0.7) for k in range(256)]),
    "turned a little": lambda image: image.rotate(0.5, Image.Resampling.BILINEAR),
}
TURNS = {
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "upside down": lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    "turned by 180°": lambda image: image.transpose(Image.Transpose.ROTATE_180),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_disguised_copies_are_found(disguise: str) -> None:
    originals = [film(seed) for seed in range(6)]
    copies = [DISGUISES[disguise](image) for image in originals[:2]]
    pairs = near_pairs(np.stack([thumbnail(image) for image in originals + copies]))
    assert sorted(zip(pairs.first, pairs.second, strict=True)) == [(0, 6), (1, 7)]
    assert (pairs.orientation == 0).all()


@pytest.mark.parametrize("turn", TURNS)
def test_turned_copies_are_found_and_named(turn: str) -> None:
    originals = [film(seed) for seed in range(4)]
    images = [*originals, jpeg(TURNS[turn](originals[2]), 60)]
    pairs = near_pairs(np.stack([thumbnail(image) for image in images]))
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([2], [4])
    assert duplicates.ORIENTATIONS[int(pairs.orientation[0])] == turn
    assert pairs.detail[0] > 0.9


def test_look_alikes_are_no_copies() -> None:
    """One anatomy, another patient: alike at 32×32, different in detail."""
    rng = np.random.default_rng(0)
    anatomy = _scaled(gaussian_filter(rng.normal(size=(64, 64)), 7))
    images = [
        _gray(6 * anatomy + _scaled(gaussian_filter(rng.normal(size=(64, 64)), 1)))
        for _ in range(12)
    ]
    thumbnails = np.stack(images)
    unit = parities(thumbnails).transpose(1, 0, 2).reshape(12, -1)
    likeness = (unit @ unit.T)[np.triu_indices(12, 1)]
    assert (likeness > duplicates.NEAR).all()
    assert len(near_pairs(thumbnails)) == 0


def test_like_films_of_one_patient_are_no_copies(tmp_path: Path) -> None:
    """A follow-up film is alike in detail; only a nearly identical one counts as a copy."""
    rng = np.random.default_rng(3)
    first, change = (gaussian_filter(rng.normal(size=(64, 64)), 1.5) for _ in range(2))
    coarse = 4 * _scaled(gaussian_filter(rng.normal(size=(64, 64)), 7))
    second = 0.85 * _scaled(first) + 0.53 * _scaled(change)
    for name, fine in (("a", _scaled(first)), ("b", second)):
        Image.fromarray(_gray(coarse + fine)).save(tmp_path / f"{name}.png")
    scan = scan_images(sorted(tmp_path.iterdir()))
    strangers = find_duplicates(scan, patients=np.array([0, 1]))[1]
    assert len(strangers) == 1
    assert strangers.detail[0] < duplicates.SAME_PATIENT_DETAIL
    assert len(find_duplicates(scan, patients=np.array([-1, -1]))[1]) == 1
    _, pairs, numbers = find_duplicates(scan, patients=np.array([4, 4]))
    assert len(pairs) == 0
    assert numbers[0] != numbers[1]


def test_blank_images_match_nothing() -> None:
    assert len(near_pairs(np.full((5, 64, 64), 7, np.uint8))) == 0


def test_no_images_no_pairs() -> None:
    assert len(near_pairs(np.zeros((0, 64, 64), np.uint8))) == 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_signs_of_parities_are_correlations_of_flips(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pair = rng.integers(0, 256, (2, 64, 64)).astype(np.uint8)
    small = pair.reshape(2, 32, 2, 32, 2).mean(axis=(2, 4))
    parts = np.einsum("pd,pd->p", *parities(pair).transpose(1, 0, 2))
    views = [small[1], small[1][:, ::-1], small[1][::-1], small[1][::-1, ::-1]]
    expected = [np.corrcoef(small[0].ravel(), view.ravel())[0, 1] for view in views]
    np.testing.assert_allclose(duplicates._SIGNS @ parts, expected, atol=1e-5)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    images = [film(seed, 64) for seed in range(9)]
    thumbnails = np.stack([thumbnail(image) for image in [*images, *images[:5]]])
    whole = near_pairs(thumbnails)
    monkeypatch.setattr(duplicates, "_BLOCK", 4)
    monkeypatch.setattr(duplicates, "_CONFIRM", 2)
    seen: list[tuple[int, int]] = []
    parted = near_pairs(thumbnails, progress=lambda done, total: seen.append((done, total)))
    assert set(zip(whole.first, whole.second, strict=True)) == {(k, k + 9) for k in range(5)}
    assert set(zip(parted.first, parted.second, strict=True)) == {(k, k + 9) for k in range(5)}
    assert seen == [(4, 14), (8, 14), (12, 14), (14, 14)]


def test_exact_groups_leave_out_empty_digests() -> None:
    assert exact_groups([b"x", b"", b"y", b"x", b"", b"y", b"y"]) == [[0, 3], [2, 5, 6]]


def made(links: list[tuple[int, int, float]]) -> Pairs:
    first, second, detail = (np.array(part) for part in zip(*links, strict=True))
    return Pairs(
        first.astype(np.int64),
        second.astype(np.int64),
        detail.astype(np.float32),
        detail.astype(np.float32),
        np.zeros(len(links), dtype=np.int64),
    )


def test_clusters_join_exact_groups_and_pairs() -> None:
    numbers = clusters(7, [[0, 3], [2, 5]], made([(3, 4, 0.9), (1, 6, 0.8)]))
    together = [set(np.flatnonzero(numbers == number)) for number in np.unique(numbers)]
    assert sorted(map(sorted, together)) == [[0, 3, 4], [1, 6], [2, 5]]


def test_strongest_links_hold_each_cluster() -> None:
    links = made([(0, 1, 0.8), (1, 2, 0.99), (0, 2, 0.95), (3, 4, 1.0)])
    kept = strongest_links(links, 5)
    assert list(zip(kept.first, kept.second, strict=True)) == [(1, 2), (0, 2), (3, 4)]
