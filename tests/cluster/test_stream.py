"""Items and calls through worker processes: in order, each once, whatever happens to a worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from lucidray.cluster import call_each, connected, map_on_cluster, processors
from lucidray.errors import ClusterError, ConfigError


def dying_once(mark: Path, at: int) -> Callable[[], Callable[[int], tuple[int, int]]]:
    """Make what triples numbers, and kills its process the first time that it meets one of them."""

    def make() -> Callable[[int], tuple[int, int]]:
        def triple(number: int) -> tuple[int, int]:
            if number == at and not mark.exists():
                mark.write_text("")
                os.kill(os.getpid(), signal.SIGKILL)
            return 3 * number, os.getpid()

        return triple

    return make


def test_a_killed_worker_loses_nothing_and_doubles_nothing(cluster: str, tmp_path: Path) -> None:
    assert processors() == 2
    mark = tmp_path / "killed"
    told = list(map_on_cluster(dying_once(mark, 11), list(range(40)), workers=2))
    assert mark.exists()
    assert [triple for triple, _ in told] == [3 * number for number in range(40)]
    assert os.getpid() not in {process for _, process in told}


def test_an_error_of_ours_comes_through(cluster: str) -> None:
    def make() -> Callable[[int], int]:
        def refuse(number: int) -> int:
            raise ConfigError(f"no {number} here")

        return refuse

    with pytest.raises(ConfigError, match="no 0 here"):
        list(map_on_cluster(make, [0], workers=1))
    assert list(map_on_cluster(make, [], workers=1)) == []


def test_calls_return_in_order_and_are_made_again_where_a_worker_dies(
    cluster: str, tmp_path: Path
) -> None:
    mark, ended = tmp_path / "killed", list[int]()

    def call(number: int, word: str) -> str:
        if number == 1 and not mark.exists():
            mark.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        return f"{word} {number}"

    told = call_each(call, [(number, "call") for number in range(4)], done=ended.append)
    assert told == [f"call {number}" for number in range(4)]
    assert mark.exists()
    assert sorted(ended) == [0, 1, 2, 3]


def test_a_call_that_is_refused_or_kills_every_worker_is_told(cluster: str) -> None:
    def refuse() -> None:
        raise ConfigError("not like this")

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ConfigError, match=r"^not like this$"):
        call_each(refuse, [()])
    with pytest.raises(ClusterError, match="workers died 4 times over the same work"):
        call_each(die, [()])


def test_a_cluster_within_one_is_the_same(cluster: str) -> None:
    with connected("nowhere:1"):
        assert processors() == 2
    assert processors() == 2


def test_an_address_where_nobody_is_is_told_at_once(tmp_path: Path) -> None:
    film = tmp_path / "film.png"
    Image.new("L", (64, 64)).save(film)
    given = ["--bundle", "pediatric-pneumonia", "--cluster", "127.0.0.1:1"]
    said = subprocess.run(
        [sys.executable, "-m", "lucidray", "read", str(film), *given],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (said.returncode, said.stdout) == (2, "")
    assert "no cluster answers at '127.0.0.1:1'" in said.stderr
    assert "--cluster local" in said.stderr
