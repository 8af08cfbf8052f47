"""The films that a user names: each once, in order, whatever lies between them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lucidray.cli.film_stream import FilmStream
from lucidray.errors import DataError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Films in folders, among all else that lies in folders."""
    names = ("b/2.png", "b/10.PNG", "a/1.jpg", "a/.hidden.png", ".git/x.png", "notes.txt", "z.tif")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "1.2.840.99").write_bytes(bytes(128) + b"DICM")
    return tmp_path


def names(stream: FilmStream, folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in stream]


def test_a_folder_is_walked_in_order_and_says_what_it_passed_over(tree: Path) -> None:
    stream = FilmStream([tree])
    assert names(stream, tree) == ["1.2.840.99", "a/1.jpg", "b/10.PNG", "b/2.png", "z.tif"]
    assert (stream.skipped.hidden, stream.skipped.others) == (2, 1)
    told = stream.skipped.in_words()
    assert told == "Passed over: 2 hidden, 1 no film by name and beginning."
    assert stream.most() == 6
    assert len(list(stream)) == 5, "a second walk begins anew"
    assert (stream.skipped.hidden, stream.skipped.others) == (2, 1)


def test_a_film_named_in_several_ways_comes_once(tree: Path, monkeypatch) -> None:
    monkeypatch.chdir(tree)
    stream = FilmStream(["b/2.png", "b", "**/*.png", "./a/../b/2.png", "notes.txt"])
    assert [str(path) for path in stream] == ["b/2.png", "b/10.PNG", "notes.txt"]
    assert stream.skipped.twice == 3


def test_a_name_that_is_there_is_no_pattern(tmp_path: Path) -> None:
    odd = tmp_path / "films [1]*"
    odd.mkdir()
    (odd / "x.png").touch()
    assert list(FilmStream([odd])) == [odd / "x.png"]
    assert list(FilmStream([str(tmp_path / "film*" / "?.png")])) == [odd / "x.png"]


@pytest.mark.parametrize("named", ["nowhere", "no*where"])
def test_what_is_not_there_is_refused_at_once(named: str) -> None:
    with pytest.raises(DataError, match=r"no\*?where"):
        FilmStream([named])


def test_links_are_followed_but_never_in_a_circle(tree: Path) -> None:
    (tree / "a" / "up").symlink_to(tree, target_is_directory=True)
    (tree / "lost.png").symlink_to(tree / "gone")
    os.mkfifo(tree / "pipe.png")
    found = names(FilmStream([tree]), tree)
    assert found == ["1.2.840.99", "a/1.jpg", "b/10.PNG", "b/2.png", "lost.png", "z.tif"]


def test_nothing_is_read_ahead(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"{number:02}").mkdir()
        (tmp_path / f"{number:02}" / "x.png").touch()
    films = iter(FilmStream([tmp_path]))
    assert next(films).parent.name == "00"
    (tmp_path / "01" / "x.png").unlink()
    assert next(films).parent.name == "02"
