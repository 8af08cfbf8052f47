"""The pixel cache: complete, resumable, and never half valid."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lucidray.errors import DataError, ShapeError
from lucidray.images import cache_files
from lucidray.images.cache import cache_key
from lucidray.images.cache_build import build_cache
from lucidray.images.contrast import to_levels
from lucidray.images.preprocessing import Preprocessing, spatial
from lucidray.images.read import read_xray

CONFIG = Preprocessing(size=16)


@pytest.fixture
def films(tmp_path: Path) -> list[Path]:
    """Ten different small pictures."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(10):
        path = tmp_path / f"film_{number}.png"
        Image.fromarray(rng.integers(0, 256, (20 + number, 30), dtype=np.uint8)).save(path)
        paths.append(path)
    return paths


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where caches lie."""
    return tmp_path / "cache"


def expected(path: Path, config: Preprocessing = CONFIG) -> np.ndarray:
    """What the cache must hold of a film."""
    return to_levels(spatial(read_xray(path), config)[0])


def test_it_holds_what_preprocessing_gives(films: list[Path], home: Path) -> None:
    cache = build_cache(films, CONFIG, home)
    assert (len(cache), cache.decoded, cache.failures, cache.changed) == (10, 10, (), ())
    for index, film in enumerate(films):
        np.testing.assert_array_equal(cache[index], expected(film))
        assert cache.geometry(index) == spatial(read_xray(film), CONFIG)[1]
        assert cache.sha256(index) == read_xray(film).sha256
    batch = cache[[3, 3, 0, -1]]
    assert (batch.shape, batch.dtype) == ((4, 16, 16), np.uint8)
    np.testing.assert_array_equal(batch[3], expected(films[9]))
    np.testing.assert_array_equal(cache[2:4][1], expected(films[3]))
    with pytest.raises(IndexError):
        cache[10]


def test_the_second_time_nothing_is_decoded(
    films: list[Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_cache(films, CONFIG, home)
    monkeypatch.setattr("lucidray.images.cache_build.read_bytes", lambda *_: pytest.fail())
    again = build_cache(films[::-1], CONFIG, home)
    assert again.decoded == 0
    np.testing.assert_array_equal(again[0], expected(films[9]))
    subset = build_cache(films[4:6], CONFIG, home)
    np.testing.assert_array_equal(subset[1], expected(films[5]))


def test_other_configurations_lie_apart(films: list[Path], home: Path) -> None:
    build_cache(films, CONFIG, home)
    other = Preprocessing(size=16, contrast="equalize")
    cache = build_cache(films, other, home)
    assert cache.decoded == 10
    np.testing.assert_array_equal(cache[0], expected(films[0], other))
    assert cache_key(CONFIG) == cache_key(Preprocessing(size=16, normalization="xrv", channels=1))
    assert cache_key(CONFIG) != cache_key(CONFIG, exact=True)
    assert cache_key(CONFIG) != cache_key(Preprocessing(size=17))


def test_moved_and_copied_files_are_known_by_content(films: list[Path], home: Path) -> None:
    build_cache(films, CONFIG, home)
    moved = [film.rename(film.with_name("moved_" + film.name)) for film in films]
    twin = moved[0].with_name("twin.png")
    twin.write_bytes(moved[0].read_bytes())
    cache = build_cache([*moved, twin], CONFIG, home)
    assert (cache.decoded, cache.changed) == (0, ())
    np.testing.assert_array_equal(cache[10], cache[0])
    assert build_cache([*moved, twin], CONFIG, home).decoded == 0


def test_twins_are_stored_once(films: list[Path], home: Path) -> None:
    twin = films[0].with_name("twin.png")
    twin.write_bytes(films[0].read_bytes())
    cache = build_cache([films[0], twin], CONFIG, home)
    assert cache.decoded == 1
    np.testing.assert_array_equal(cache[0], cache[1])


def test_a_changed_file_is_told_and_decoded_anew(films: list[Path], home: Path) -> None:
    build_cache(films, CONFIG, home)
    Image.fromarray(np.full((9, 9), 77, np.uint8)).save(films[4])
    cache = build_cache(films, CONFIG, home)
    assert (cache.changed, cache.decoded) == ((4,), 1)
    assert (cache[4] == 77).all()
    assert build_cache(films, CONFIG, home).changed == ()


def test_touched_files_are_not_changed(films: list[Path], home: Path) -> None:
    build_cache(films, CONFIG, home)
    os.utime(films[3], (1, 1))
    cache = build_cache(films, CONFIG, home)
    assert (cache.changed, cache.decoded) == ((), 0)


def test_failures_are_listed_and_retried(films: list[Path], home: Path) -> None:
    whole = films[2].read_bytes()
    films[2].write_bytes(whole[:100])
    missing = films[0].with_name("none.png")
    cache = build_cache([*films, missing], CONFIG, home, workers=3)
    assert [failure.index for failure in cache.failures] == [2, 10]
    assert "truncated" in cache.failures[0].message
    assert cache.failures[0].path == films[2]
    assert cache.decoded == 9
    with pytest.raises(DataError, match="2 of 11 images could not be cached"):
        cache[[1, 2]]
    with pytest.raises(DataError, match="could not be cached"):
        cache.geometry(2)
    films[2].write_bytes(whole)
    mended = build_cache(films, CONFIG, home)
    assert (mended.failures, mended.decoded) == ((), 1)


def test_boxes_replace_the_crop(films: list[Path], home: Path) -> None:
    boxes = [(1, 2, 15, 18), None]
    cache = build_cache(films[:2], CONFIG, home, boxes=boxes)
    xray = read_xray(films[0])
    np.testing.assert_array_equal(cache[0], to_levels(spatial(xray, CONFIG, box=boxes[0])[0]))
    assert cache.geometry(0) == spatial(xray, CONFIG, box=boxes[0])[1]
    np.testing.assert_array_equal(cache[1], expected(films[1]))
    assert build_cache(films[:2], CONFIG, home).decoded == 1
    with pytest.raises(ShapeError, match="1 boxes for 2 images"):
        build_cache(films[:2], CONFIG, home, boxes=boxes[:1])


def test_progress_counts_to_the_total(films: list[Path], home: Path) -> None:
    seen: list[tuple[int, int]] = []
    build_cache(films[:4], CONFIG, home)
    build_cache(films, CONFIG, home, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 10) for done in range(4, 11)]


def test_it_travels_to_other_processes(films: list[Path], home: Path) -> None:
    cache = build_cache(films, CONFIG, home)
    cache[[0]]
    packed = pickle.dumps(cache)
    assert len(packed) < 10_000
    np.testing.assert_array_equal(pickle.loads(packed)[[4]], cache[[4]])


def test_a_killed_build_goes_on(films: list[Path], home: Path) -> None:
    script = (
        "import sys, os, signal\n"
        "from lucidray.images import cache_files\n"
        "from lucidray.images.cache_build import build_cache\n"
        "from lucidray.images.preprocessing import Preprocessing\n"
        "cache_files.COMMIT_EVERY = 3\n"
        "def stop(done, total):\n"
        "    if done == 8: os.kill(os.getpid(), signal.SIGKILL)\n"
        "build_cache(sys.argv[2:], Preprocessing(size=16), sys.argv[1], workers=1, progress=stop)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(home), *map(str, films)], check=False)
    assert ended.returncode != 0
    cache = build_cache(films, CONFIG, home)
    assert cache.decoded == 4
    for index, film in enumerate(films):
        np.testing.assert_array_equal(cache[index], expected(film))


def test_torn_lines_and_missing_pixels_do_not_count(films: list[Path], home: Path) -> None:
    build_cache(films, CONFIG, home)
    index = next(home.rglob("*.index"))
    pixels = index.with_suffix(".pixels")
    index.write_bytes(index.read_bytes()[:-5] + b"")
    assert build_cache(films, CONFIG, home).decoded == 1
    pixels.write_bytes(pixels.read_bytes()[: 16 * 16 * 5 + 7])
    cache = build_cache(films, CONFIG, home)
    assert cache.decoded == 4
    for number, film in enumerate(films):
        np.testing.assert_array_equal(cache[number], expected(film))


@pytest.mark.parametrize("images_that_fit", [0, 4])
def test_a_full_disk_is_told_and_leaves_nothing_half_valid(
    films: list[Path], home: Path, monkeypatch: pytest.MonkeyPatch, images_that_fit: int
) -> None:
    room = images_that_fit * 256 + 100
    write = os.write

    def full(file: int, data: bytes) -> int:
        nonlocal room
        if len(data) <= 256:
            if room == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            data, room = data[:room], max(room - len(data), 0)
        return write(file, data)

    monkeypatch.setattr(cache_files.os, "write", full)
    with pytest.raises(DataError, match="disk is full"):
        build_cache(films, CONFIG, home)
    monkeypatch.undo()
    sizes = [path.stat().st_size for path in home.rglob("*.pixels")]
    assert sizes == ([256 * images_that_fit] if images_that_fit else [])
    cache = build_cache(films, CONFIG, home)
    assert cache.decoded == 10 - images_that_fit
    np.testing.assert_array_equal(cache[9], expected(films[9]))


def test_folders_that_cannot_be_written(films: list[Path], tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with pytest.raises(DataError, match="cannot be written"):
        build_cache(films, CONFIG, blocked)


def test_builders_at_once_do_not_spoil_each_other(films: list[Path], home: Path) -> None:
    def build() -> None:
        build_cache(films, CONFIG, home, workers=2)

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cache = build_cache(films, CONFIG, home)
    assert cache.decoded == 0
    for index, film in enumerate(films):
        np.testing.assert_array_equal(cache[index], expected(film))


def test_no_images_make_an_empty_cache(home: Path) -> None:
    cache = build_cache([], CONFIG, home)
    assert (len(cache), cache.failures) == (0, ())
    assert cache[[]].shape == (0, 16, 16)
