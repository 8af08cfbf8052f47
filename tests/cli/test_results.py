"""The results of a reading: none lost, none doubled, whatever happened to the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lucidray.cli.results import RESULTS, SETTING, Stamp, open_results
from lucidray.errors import ConfigError

SETTING_OF_BUNDLE = {"bundle_sha256": "abc", "maps": True}


def line(name: str, *, size: int = 1, value: Any = 0) -> dict[str, Any]:
    place = {"absolute_path": f"/films/{name}.png", "bytes": size, "modified_ns": 5}
    return {"name": name, "value": value, **place}


def stamp(name: str, size: int = 1) -> Stamp:
    return Stamp(f"/films/{name}.png", size, 5)


def values(folder: Path) -> list[Any]:
    return [json.loads(text)["value"] for text in (folder / RESULTS).read_text().splitlines()]


def test_a_line_is_in_the_file_as_soon_as_it_is_added(tmp_path: Path) -> None:
    with open_results(tmp_path, SETTING_OF_BUNDLE) as results:
        for count in range(1, 4):
            results.add(line(str(count), value=count))
            assert values(tmp_path) == list(range(1, count + 1))
        assert results.earlier(stamp("2")) == line("2", value=2)
        assert results.earlier(stamp("2", size=9)) is None, "the file was changed since"
        assert results.earlier(stamp("4")) is None


def fill(folder: Path, names: str) -> None:
    with open_results(folder, SETTING_OF_BUNDLE) as results:
        for name in names:
            results.add(line(name, value=name))


@pytest.mark.parametrize("torn", [b'{"name": "c", "absol', b'{"name": "c"', b"\x00\x00\x00", b"{}"])
def test_a_torn_last_line_is_dropped_and_the_rest_kept(tmp_path: Path, torn: bytes) -> None:
    fill(tmp_path, "ab")
    with (tmp_path / RESULTS).open("ab") as file:
        file.write(torn)
    with open_results(tmp_path, SETTING_OF_BUNDLE) as again:
        assert len(again) == 2
        again.add(line("c", value="c"))
    assert values(tmp_path) == ["a", "b", "c"]


def test_a_damaged_line_in_the_middle_costs_no_other(tmp_path: Path) -> None:
    fill(tmp_path, "abc")
    text = (tmp_path / RESULTS).read_bytes().splitlines(keepends=True)
    (tmp_path / RESULTS).write_bytes(text[0] + b"rubbish\n" + text[2])
    with open_results(tmp_path, SETTING_OF_BUNDLE) as again:
        assert [each["value"] for each in again.lines()] == ["a", "c"]
    assert values(tmp_path) == ["a", "c"]


def test_a_film_that_was_read_again_stands_once_as_last_read(tmp_path: Path) -> None:
    with open_results(tmp_path, SETTING_OF_BUNDLE) as results:
        for each in (line("a", value=1), line("b", value=2), line("a", size=7, value=3)):
            results.add(each)
        assert [each["value"] for each in results.lines()] == [2, 3]
    assert values(tmp_path) == [2, 3]
    with open_results(tmp_path, SETTING_OF_BUNDLE) as again:
        assert again.earlier(stamp("a", 7)) == line("a", size=7, value=3)
        assert again.earlier(stamp("b")) == line("b", value=2)


def test_names_stay_and_no_two_files_share_one(tmp_path: Path) -> None:
    with open_results(tmp_path, SETTING_OF_BUNDLE) as results:
        places = ("/a/X.png", "/b/x.png", "/c/x_2.jpg")
        assert [results.name_for(Path(p), p) for p in places] == ["X", "x_2", "x_2_2"]
        results.add({**line("x_2"), "absolute_path": "/b/x.png"})
        assert results.name_for(Path("/b/x.png"), "/b/x.png") == "x_2"
    with open_results(tmp_path, SETTING_OF_BUNDLE) as again:
        assert again.name_for(Path("/b/x.png"), "/b/x.png") == "x_2"
        assert again.name_for(Path("/d/x_2.png"), "/d/x_2.png") == "x_2_2"
        assert again.name_for(Path("/e/1.2.840.99"), "/e") == "1.2.840.99"
        long = again.name_for(Path("/f") / ("ü" * 100 + ".png"), "/f")
        assert len(f".{long}.pleural_thickening.jpg.1234567".encode()) < 255


def test_another_setting_is_refused_unless_all_is_to_be_dropped(tmp_path: Path) -> None:
    fill(tmp_path, "a")
    other = {**SETTING_OF_BUNDLE, "maps": False}
    with pytest.raises(ConfigError, match=r"maps: True, now False.*--anew"):
        open_results(tmp_path, other)
    assert values(tmp_path) == ["a"]
    with open_results(tmp_path, other, anew=True) as anew:
        assert len(anew) == 0
    assert values(tmp_path) == []


@pytest.mark.parametrize("anew", [False, True])
def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path, anew: bool) -> None:
    (tmp_path / RESULTS).write_text("mine\n")
    with pytest.raises(ConfigError, match="was not written by"):
        open_results(tmp_path, SETTING_OF_BUNDLE, anew=anew)
    assert (tmp_path / RESULTS).read_text() == "mine\n"
    assert not (tmp_path / SETTING).exists()


def test_two_processes_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with (
        open_results(tmp_path, SETTING_OF_BUNDLE),
        pytest.raises(ConfigError, match="another `lucidray read`"),
    ):
        open_results(tmp_path, SETTING_OF_BUNDLE)
    open_results(tmp_path, SETTING_OF_BUNDLE).close()
