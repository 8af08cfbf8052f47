"""All published experiments in one go, each in its folder, and one page that leads to them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lucidray.datasets import recognized
from lucidray.errors import LucidRayError
from lucidray.papers.catalog import Mode, Paper, Progress, Scale, at_hand, papers, run
from lucidray.papers.clock import Clock
from lucidray.report import Block, Link, Note, Report, Section, Table, write_report
from lucidray.report.provenance import provenance_blocks, versions
from lucidray.training.weights import write_text

#: What is remembered of a finished experiment, beside its numbers.
_DONE = "finished.json"

#: How long it has taken so far, all calls together.
_SPENT = "spent.json"


@dataclass(frozen=True)
class Chapter:
    """How one experiment of many went.

    Args:
        paper: The experiment.
        data: The folder that it read.
        report: Its page; None: it did not come to an end.
        numbers: Its results; empty likewise.
        seconds: How long it took, all calls together that worked on it.
        mistake: Why it did not come to an end.
        calls: How many calls these were.
    """

    paper: Paper
    data: Path
    report: Path | None
    numbers: Mapping[str, Any]
    seconds: float
    mistake: str = ""
    calls: int = 1


def run_all(
    data: str | Path,
    out: str | Path,
    *,
    mode: Mode = "careful",
    scale: Scale = "small",
    seeds: int = 1,
    progress: Progress | None = None,
    cluster: str | None = None,
) -> tuple[Path, tuple[Chapter, ...]]:
    """Run every published experiment and write one page that leads to all.

    The page is written anew after each. An experiment that cannot run is told and passed over. When
    the same is asked for again, what is finished is kept and what was stopped goes on.

    Args:
        data: A folder with the data sets as its subfolders; `find_data` says which is taken.
        out: Folder to write to: one subfolder an experiment, and ``index.html``.
        mode: As for `run`.
        scale: As for `run`.
        seeds: As for `run`.
        progress: Called with steps done, steps in all and what is going on.
        cluster: As for `run`.

    Returns:
        The page, and how each experiment went.
    """
    entries = [entry.value for entry in papers.entries()]
    asked = {"mode": mode, "scale": scale, "seeds": seeds}
    chapters: list[Chapter] = []
    with at_hand(cluster or ""):
        for number, paper in enumerate(entries):
            tell = _part(progress, number, len(entries), paper.name)
            place = Path(out) / paper.name
            chapters.append(_chapter(paper, Path(data), place, asked, tell, cluster))
            index = _index(chapters, Path(data), Path(out), asked)
            page = write_report(index, Path(out, "index.html"))
    return page, tuple(chapters)


def find_data(paper: Paper, data: Path) -> Path:
    """Return the folder that an experiment is to read.

    Args:
        paper: The experiment.
        data: A folder with data sets as its subfolders, or one data set.

    Returns:
        The one subfolder with the layout of the experiment's data set; `data` itself where it has
        that layout, where several or none of its subfolders do: experiments on several sets take
        their parent, and those that can do with phantoms make them where their set is absent.
    """
    wanted = {name.strip() for name in paper.dataset.split(",")}
    if not data.is_dir() or wanted & set(recognized(data)):
        return data
    folders = sorted(item for item in data.iterdir() if item.is_dir())
    matching = [folder for folder in folders if wanted & set(recognized(folder))]
    return matching[0] if len(matching) == 1 else data


def _part(progress: Progress | None, part: int, parts: int, name: str) -> Progress:
    def tell(done: int, total: int, what: str) -> None:
        if progress is not None:
            at = 1000 * part + round(1000 * done / max(total, 1))
            progress(at, 1000 * parts, f"{name}: {what}")

    return tell


def _chapter(
    paper: Paper,
    data: Path,
    out: Path,
    asked: Mapping[str, Any],
    progress: Progress,
    cluster: str | None,
) -> Chapter:
    folder = find_data(paper, data)
    kept = _kept(out, asked)
    if kept is not None:
        progress(1, 1, "finished before")
        done = json.loads((out / _DONE).read_text(encoding="utf-8"))
        took = float(done["seconds"])
        return Chapter(paper, folder, out / "report.html", kept, took, calls=done.get("calls", 1))
    clock = Clock(out / _SPENT, asked)
    clock.start()
    try:
        outcome = run(
            paper, folder, out, **asked, progress=_counted(progress, clock), cluster=cluster
        )
    except (LucidRayError, OSError, RuntimeError) as error:
        clock.write()
        return Chapter(paper, folder, None, {}, clock.seconds, str(error), clock.calls)
    took, calls = clock.seconds, clock.calls
    write_text(out / _DONE, json.dumps({**asked, "seconds": took, "calls": calls}) + "\n")
    return Chapter(paper, folder, outcome.report, outcome.numbers, took, calls=calls)


def _counted(progress: Progress, clock: Clock) -> Progress:
    """Let the clock tick whenever progress is told."""

    def tell(done: int, total: int, what: str) -> None:
        clock.tick()
        progress(done, total, what)

    return tell


def _kept(out: Path, asked: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the numbers of an experiment that was finished just as it is asked for."""
    if not (out / _DONE).is_file() or not (out / "report.html").is_file():
        return None
    done = json.loads((out / _DONE).read_text(encoding="utf-8"))
    if any(done.get(name) != value for name, value in asked.items()):
        return None
    found: Mapping[str, Any] = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return found


def _index(chapters: Sequence[Chapter], data: Path, out: Path, asked: Mapping[str, Any]) -> Report:
    command = f"lucidray paper run --all --data {data} --out {out}" + "".join(
        f" --{name} {value}" for name, value in asked.items()
    )
    rows = tuple(
        (one.paper.name, one.paper.document, one.paper.title, _ended(one)) for one in chapters
    )
    columns = ("Experiment", "Source", "Publication", "Time taken")
    overview = Section("Overview", (Table(columns, rows, numeric=(), wide=True),))
    last = Section("Command and versions", provenance_blocks((command,), dict(versions())))
    return Report(
        "Published experiments, run again",
        (overview, *(_section(one) for one in chapters), last),
        kicker="Papers",
        lede="Each experiment has a page of its own; here stand its question, its first table "
        "beside the published one, and the way to the page.",
        facts=tuple((name.capitalize(), str(value)) for name, value in asked.items()),
    )


def _ended(chapter: Chapter) -> str:
    """Say how long an experiment took: all calls together, and how many these were."""
    if chapter.report is None:
        return "did not run"
    took = f"{chapter.seconds / 60:.1f} minutes"
    return took if chapter.calls == 1 else f"{took} in {chapter.calls} calls"


def _section(chapter: Chapter) -> Section:
    blocks: list[Block] = [chapter.paper.question]
    if chapter.report is None:
        blocks.append(Note(chapter.mistake, "This experiment did not run", "bad"))
        return Section(chapter.paper.name, tuple(blocks))
    for found in list(chapter.numbers.get("tables", {}).values())[:1]:
        rows = tuple(tuple(str(cell) for cell in row) for row in found["rows"])
        blocks.append(Table(tuple(found["columns"]), rows, found["caption"], stacked=True))
    blocks.append(
        Link(f"Open the page of {chapter.paper.name}", f"{chapter.paper.name}/report.html")
    )
    return Section(chapter.paper.name, tuple(blocks))
