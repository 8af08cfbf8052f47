"""``lucidray read --cluster``: the same files as one process leaves, a worker killed or not."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lucidray.cli import reading_apart
from lucidray.cli.lines import Film
from lucidray.cli.reading_apart import Order


@pytest.fixture(scope="module")
def bundle(work: Path, command: Any) -> Path:
    """A bundle that judges whatever it is given."""
    given = ("--data", work / "films", "--out", work / "run")
    assert command("train", work / "recipe.toml", *given) == 0
    path = work / "open.lucid"
    assert command("bundle", "export", work / "run", "--out", path, "--no-gate") == 0
    return path


@pytest.fixture(scope="module")
def films(work: Path) -> Path:
    """The films, and a torn one among them."""
    folder = shutil.copytree(work / "films", work / "torn")
    whole = (folder / "normal" / "00.png").read_bytes()
    (folder / "normal" / "05_torn.png").write_bytes(whole[:200])
    return folder


@pytest.fixture(scope="module")
def alone(work: Path, films: Path, bundle: Path, command: Any) -> Path:
    """What one process leaves."""
    folder = work / "alone"
    given = ("--bundle", bundle, "--out", folder, "--threads", 1)
    assert command("read", films, *given) == 0
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Return all that a reading left, the machine's own times left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "index.html"
    }


def test_workers_leave_what_one_process_leaves_though_one_is_killed(
    work: Path,
    films: Path,
    bundle: Path,
    alone: Path,
    cluster: str,
    command: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mark, whole = work / "killed", Order.open

    def killed_once(order: Order) -> Callable[[Film], Any]:
        read = whole(order)

        def read_or_die(film: Film) -> Any:
            if film.path.name == "07.png" and not mark.exists():
                mark.write_text("")
                os.kill(os.getpid(), signal.SIGKILL)
            return read(film)

        return read_or_die

    original = reading_apart.map_on_cluster
    monkeypatch.setattr(
        reading_apart,
        "map_on_cluster",
        lambda make, *args, **options: original(
            partial(killed_once, make.__self__), *args, **options
        ),
    )
    out = work / "apart"
    given = ("--bundle", bundle, "--out", out, "--cluster", cluster)
    assert command("read", films, *given) == 0
    assert mark.exists(), "no worker was killed"
    assert contents(out) == contents(alone)
    told = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert set(Counter(line["path"] for line in told).values()) == {1}
    assert len(told) == 32
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page.count("pneumonia/07.png") == (alone / "index.html").read_text().count(
        "pneumonia/07.png"
    )


def test_a_reading_goes_on_where_it_stopped_whoever_reads(
    work: Path, films: Path, bundle: Path, alone: Path, cluster: str, command: Any
) -> None:
    out = work / "later"
    given = ("--bundle", bundle, "--out", out)
    assert command("read", films / "normal", *given, "--threads", 1) == 0
    before = (out / "results.jsonl").read_bytes()
    assert command("read", films, *given, "--cluster", cluster) == 0
    assert (out / "results.jsonl").read_bytes().startswith(before)
    assert contents(out) == contents(alone)


def test_a_worker_that_has_another_bundle_is_refused(
    work: Path, films: Path, bundle: Path, cluster: str, command: Any, monkeypatch, capfd
) -> None:
    original = reading_apart.Order
    monkeypatch.setattr(
        reading_apart, "Order", lambda **facts: original(**{**facts, "digest": "another"})
    )
    assert command("read", films, "--bundle", bundle, "--json", "--cluster", cluster) == 2
    assert "is another bundle on" in capfd.readouterr().err
