"""From a stream of films to a stream of lines: read ahead, judged, drawn, in the films' order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidray.cli.film_pictures import Desk
from lucidray.cli.lines import Film, Line, line_of, segmentation_line, wanted_maps
from lucidray.cli.results import Results, Stamp
from lucidray.errors import ImageError, ModelError, ShapeError
from lucidray.images.parallel import map_in_order
from lucidray.images.read import read_xray
from lucidray.pipeline import explain_judgment, judge

if TYPE_CHECKING:
    from lucidray.bundle import Bundle


@dataclass(frozen=True)
class Work:
    """How films are read.

    Args:
        bundle: Reads them; from several threads at once.
        desk: Where pictures go; None: none are wanted.
        findings: Findings to explain; none: what is called present.
        maps: Whether to draw and box maps at all.
        known: What the user says of patient and view, by field of `XRay`; it wins over the file.
    """

    bundle: Bundle
    desk: Desk | None = None
    findings: tuple[str, ...] = ()
    maps: bool = True
    known: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A file that could not be read.

    Args:
        path: The file.
        message: Why.
    """

    path: Path
    message: str


@dataclass(frozen=True)
class Earlier:
    """A film that was read before.

    Args:
        line: Its line.
    """

    line: Line


Outcome = Line | Failure | Earlier


def read_films(
    paths: Iterable[Path], work: Work, results: Results | None = None, *, workers: int = 1
) -> Iterator[Outcome]:
    """Read films, several at a time, and yield what came of each, in their order.

    Args:
        paths: Drawn as they are needed; so any number may come.
        work: How they are read.
        results: What was read before, which is not read again, and where each new line is kept
            before it is yielded; None: nothing is kept.
        workers: Films that are read at the same time.

    Yields:
        A line for each film that was read or refused, a `Failure` for each that cannot be.
    """
    for outcome in map_in_order(partial(read_film, work), tasks(paths, results), workers=workers):
        keep(outcome, results)
        yield outcome


def keep(outcome: Outcome, results: Results | None) -> None:
    """Append the line of a film that was read now, where results are kept."""
    if results is not None and isinstance(outcome, dict):
        results.add(outcome)


def tasks(paths: Iterable[Path], results: Results | None) -> Iterator[Film | Failure | Earlier]:
    """Yield what is to be done about each path: read it, tell why not, or tell what it was.

    Args:
        paths: Drawn as they are needed.
        results: What was read before, and who is called how; None: nothing is kept.
    """
    for path in paths:
        try:
            stamp = stamp_of(path)
        except OSError as error:
            yield Failure(path, f"cannot read {path}: {error.strerror}.")
            continue
        earlier = results.earlier(stamp) if results is not None else None
        if earlier is not None:
            yield Earlier(earlier)
        else:
            name = results.name_for(path, stamp.place) if results is not None else path.stem
            yield Film(path, name, stamp)


def stamp_of(path: Path) -> Stamp:
    """Return how a file is known again.

    Raises:
        OSError: It is not there.
    """
    status = path.stat()
    place = os.path.abspath(path)  # noqa: PTH100 - Path.absolute keeps ".."
    return Stamp(place, status.st_size, status.st_mtime_ns)


def read_film(work: Work, film: Film | Failure | Earlier) -> Outcome:
    """Read a film and write what is drawn of it; what is no film to be read is returned as it is.

    Args:
        work: How it is read.
        film: The film.
    """
    if not isinstance(film, Film):
        return film
    try:
        return _segmented(work, film) if outlines(work.bundle) else _judged(work, film)
    except (ImageError, ModelError, ShapeError) as error:
        return Failure(film.path, str(error))
    except MemoryError:
        return Failure(film.path, f"cannot read {film.path}: it needs more memory than is free.")


def _judged(work: Work, film: Film) -> Line:
    xray = replace(read_xray(film.path), **work.known)
    judgment = judge(xray, work.bundle)
    wanted = wanted_maps(judgment.prediction, work.findings) if work.maps else ()
    diagnosis = explain_judgment(judgment, wanted)
    files = work.desk.write(film.name, xray, judgment, diagnosis) if work.desk else {}
    return line_of(film, diagnosis, files)


def _segmented(work: Work, film: Film) -> Line:
    xray = read_xray(film.path)
    refusal = work.bundle.refuse(xray)
    if refusal is None:
        mask = work.bundle.segment(xray)
        share, what = float(mask.mean()), work.bundle.findings[0]
        files = work.desk.write_mask(film.name, xray, mask, what) if work.desk else {}
    else:
        share = 0.0
        files = work.desk.write_film(film.name, xray) if work.desk else {}
    return segmentation_line(
        film,
        share,
        image_sha256=xray.sha256,
        provenance=work.bundle.provenance,
        refusal=refusal,
        files=files,
    )


def outlines(bundle: Bundle) -> bool:
    """Tell whether a bundle outlines regions instead of judging findings."""
    return bundle.task == "segmentation"
