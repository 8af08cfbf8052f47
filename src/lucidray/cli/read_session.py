"""One run of ``lucidray read``: what is opened before the first film and written after the last."""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidray.bundle import Bundle, bundles, load_bundle
from lucidray.bundle.engines import available_threads
from lucidray.cli.console import print_error, say, shown
from lucidray.cli.film_pictures import Desk
from lucidray.cli.film_stream import FilmStream
from lucidray.cli.finding_names import finding_of
from lucidray.cli.lines import Line, kind_of
from lucidray.cli.places import folder_to_write
from lucidray.cli.progress import progress
from lucidray.cli.reading import Earlier, Failure, Outcome, Work, outlines, read_films
from lucidray.cli.results import Results, open_results, write_whole
from lucidray.cli.telling import (
    MOST_IN_TABLE,
    Csv,
    Json,
    Silent,
    Table,
    Teller,
    Words,
    tell_failed,
    tell_summary,
)
from lucidray.errors import BundleError, ConfigError

if TYPE_CHECKING:
    from lucidray.cli.read_page import Origin
    from lucidray.cli.reading_apart import Order

TABLE, PAGE, FAILED = "results.csv", "index.html", "failed.jsonl"

#: Longer side of the page's small pictures in pixels, by how many films there are at most.
_SIDES = ((3, 896), (200, 448))
_SMALLEST_SIDE = 320


@dataclass(frozen=True)
class Wish:
    """What the user asked for.

    Args:
        bundle: Name or file; None: the only one that there is.
        folder: Where results are kept; None: nowhere.
        as_json: Whether lines are printed as JSON.
        as_csv: Whether a table is printed, where no folder is named.
        as_html: Whether a page is printed, where no folder is named.
        engine: What runs the bundle.
        threads: Processor threads in all; None: all.
        workers: Films read at the same time; None: as many as threads.
        findings: What to draw and box; none: what is called present.
        maps: Whether maps are drawn and boxed.
        anew: Whether earlier results in the folder are dropped.
        cluster: Where films are read: ``"local"`` or the address of a cluster; None: here.
        known: What is said of patient and view, by field of `XRay`.
    """

    bundle: str | None
    folder: Path | None
    as_json: bool
    as_csv: bool
    as_html: bool
    engine: str
    threads: int | None
    workers: int | None
    findings: tuple[str, ...]
    maps: bool
    anew: bool
    cluster: str | None = None
    known: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prints_results(self) -> bool:
        """Whether standard output belongs to the results."""
        return self.as_json or (self.folder is None and (self.as_csv or self.as_html))

    def check(self) -> None:
        """Refuse what cannot be, before anything is read.

        Raises:
            ConfigError: Two formats for one output, or no place to write to.
        """
        if self.folder is not None:
            folder_to_write(self.folder)
        elif self.as_json + self.as_csv + self.as_html > 1:
            raise ConfigError(
                "only one of --json, --csv and --html can be printed; add --out DIR to have the "
                "others as files."
            )
        elif self.as_html and sys.stdout.isatty():
            raise ConfigError(
                "a page is nothing for a terminal; add --out DIR, or send it to a file with "
                "> page.html"
            )


@dataclass
class Account:
    """What a reading came to so far.

    Args:
        counts: Films by what their reading came to; ``"earlier"``: those that were read before.
        failed: Path and message of each file that could not be read.
    """

    counts: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[str, str]] = field(default_factory=list)

    @property
    def finished(self) -> int:
        """How many films were read or refused, now or before."""
        return sum(self.counts.values()) - self.counts["earlier"]

    def take(self, outcome: Outcome) -> Line | None:
        """Count what came of a file, and return its line if it has one."""
        if isinstance(outcome, Failure):
            self.failed.append((str(outcome.path), outcome.message))
            return None
        self.counts["earlier"] += isinstance(outcome, Earlier)
        line = outcome.line if isinstance(outcome, Earlier) else outcome
        self.counts[kind_of(line)] += 1
        return line


@dataclass(frozen=True)
class Session:
    """A reading that is ready to run; made by `open_session`.

    Args:
        wish: What the user asked for.
        films: The films.
        most: How many there are at most.
        work: How they are read.
        workers: How many at the same time.
        results: Where lines are kept; None: nowhere.
        order: How a cluster's workers read them; None: this process does.
        account: What it came to.
    """

    wish: Wish
    films: FilmStream
    most: int
    work: Work
    workers: int
    results: Results | None
    order: Order | None = None
    account: Account = field(default_factory=Account)

    def run(self) -> None:
        """Read all films, telling each, and leave page, table and list of failures."""
        teller, outcomes = self._teller(), self._outcomes()
        with progress("Reading films") as stage:
            tick = stage("Reading films")
            for number, outcome in enumerate(outcomes, start=1):
                line = self.account.take(outcome)
                if line is not None:
                    teller.tell(line)
                tick(number, max(self.most, number))
        teller.end()
        self._finish()

    def _outcomes(self) -> Iterator[Outcome]:
        if self.order is None:
            return read_films(self.films, self.work, self.results, workers=self.workers)
        from lucidray.cli.reading_apart import read_apart

        return read_apart(self.films, self.order, self.results, workers=self.workers)

    def _teller(self) -> Teller:
        if self.wish.as_json:
            return Json()
        if self.wish.prints_results:
            return Csv() if self.wish.as_csv else Silent()
        return Table() if self.most <= MOST_IN_TABLE else Words()

    def _finish(self) -> None:
        passed_over = self.films.skipped
        self.account.failed.extend((each, each) for each in passed_over.closed)
        listed = self._write_files()
        words = passed_over.in_words()
        tell_summary(self.account.counts, words, on_error=self.wish.prints_results)
        tell_failed([message for _, message in self.account.failed], listed)
        if self.wish.folder is not None and not self.wish.prints_results and self.account.finished:
            say(f"Open {shown(self.wish.folder / PAGE)} in a browser. For research use only.")
        if not self.account.finished and not self.account.failed:
            print_error("no films here. Name PNG, JPEG, TIFF or DICOM files, or folders of them.")

    def _write_files(self) -> Path | None:
        if self.results is None:
            return None
        if self.wish.folder is None:
            self._print_page(self.results)
            return None
        self._write_table(self.results)
        self._write_page(self.results)
        return self._write_failed(self.results.folder / FAILED)

    def _write_failed(self, path: Path) -> Path | None:
        if not self.account.failed:
            path.unlink(missing_ok=True)
            return None
        pairs = ({"path": place, "message": message} for place, message in self.account.failed)
        write_whole(path, "".join(f"{json.dumps(pair)}\n" for pair in pairs).encode())
        return path

    def _write_table(self, results: Results) -> None:
        from lucidray.cli.read_page import write_table

        draft = results.folder / f".{TABLE}"
        with draft.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            write_table(results.lines(), file)
        draft.replace(results.folder / TABLE)

    def _write_page(self, results: Results) -> None:
        from lucidray.cli.read_page import film_rows, reading_page
        from lucidray.report.reading import write_reading

        page = reading_page(results, self._origin(), self._messages())
        write_reading(page, film_rows(results, page, linked=True), results.folder / PAGE)

    def _print_page(self, results: Results) -> None:
        from lucidray.cli.read_page import film_rows, reading_page
        from lucidray.report.reading import render_reading

        page = reading_page(results, self._origin(), self._messages(), inside=True)
        sys.stdout.writelines(render_reading(page, film_rows(results, page, linked=False)))

    def _messages(self) -> list[str]:
        return [message for _, message in self.account.failed]

    def _origin(self) -> Origin:
        from lucidray.cli.read_page import Origin

        bundle = self.work.bundle
        return Origin(bundle.card, bundle.name, bundle.digest, bundle.engine)


@contextmanager
def open_session(wish: Wish, films: FilmStream) -> Iterator[Session]:
    """Open everything that a reading needs, and close it whatever happens.

    Args:
        wish: What the user asked for.
        films: The films.

    Raises:
        BundleError: No bundle is named, or it cannot be run.
        ConfigError: The wish cannot be granted, or the folder holds another reading.
        UnknownNameError: No such bundle, engine or finding.
    """
    wish.check()
    most, chosen = films.most(), choose_bundle(wish.bundle)
    with ExitStack() as stack:
        threads, workers = _shares(wish, most, stack)
        streams = workers if wish.cluster is None else 1
        bundle = load_bundle(chosen, engine=wish.engine, threads=threads, streams=streams)
        named = tuple(
            finding_of(each, bundle.findings, of=f"'{bundle.name}'") for each in wish.findings
        )
        folder = wish.folder
        if folder is None and wish.as_html:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lucidray-")))
        results = desk = None
        if folder is not None:
            kept = open_results(folder, _setting(bundle, wish, named), anew=wish.anew)
            results = stack.enter_context(kept)
            desk = Desk(folder, _keeps_pictures(bundle, wish), _side(most))
        _check_known(bundle, wish)
        work = Work(bundle, desk, named, wish.maps, wish.known)
        share = max(threads // workers, 1)
        order = None if wish.cluster is None else _order(chosen, wish, work, share)
        yield Session(wish, films, most, work, workers, results, order)


def _check_known(bundle: Bundle, wish: Wish) -> None:
    """Refuse what is said of the patient where nobody asks for it, or it would not arrive."""
    if wish.known and not bundle.metadata:
        raise ConfigError(
            f"'{bundle.name}' looks at the film alone; leave out --age, --sex and --view."
        )
    if wish.known and wish.cluster is not None:
        raise ConfigError(
            "--age, --sex and --view are for films read here, one patient at a time; leave out "
            "--cluster, or them: a DICOM file's own tags are read everywhere."
        )


def _shares(wish: Wish, most: int, stack: ExitStack) -> tuple[int, int]:
    """Return processor threads and films at the same time, in all; joins the cluster if any."""
    threads = wish.threads or available_threads()
    if wish.cluster is not None:
        from lucidray.cluster import connected, processors

        cpus = max(threads, wish.workers or 1)
        stack.enter_context(connected(wish.cluster, cpus=cpus))
        threads = min(wish.threads or processors(), processors())
    return threads, wish.workers or min(threads, max(most, 1))


def _order(chosen: str, wish: Wish, work: Work, threads: int) -> Order:
    from lucidray.cli.reading_apart import Order

    file = Path(chosen)
    return Order(
        bundle=str(file.absolute()) if file.is_file() else chosen,
        digest=work.bundle.digest,
        engine=wish.engine,
        threads=threads,
        desk=work.desk and replace(work.desk, folder=work.desk.folder.absolute()),
        findings=work.findings,
        maps=work.maps,
        here=Path.cwd(),
    )


def choose_bundle(named: str | None) -> str:
    """Return the bundle that is meant.

    Args:
        named: A name or a file; None: the only one that there is.

    Raises:
        BundleError: None is named, and there is none, or more than one.
    """
    if named is not None:
        return named
    known = bundles()
    if len(known) == 1:
        return next(iter(known))
    if known:
        raise BundleError(
            f"say which bundle is to read with --bundle; there are: {', '.join(known)}. "
            "`lucidray bundle list` tells what each is for."
        )
    raise BundleError(
        "there is no bundle here. Name a .lucid file with --bundle, or write one with: "
        "lucidray bundle export RUN --out NAME.lucid"
    )


def _setting(bundle: Bundle, wish: Wish, findings: tuple[str, ...]) -> dict[str, object]:
    return {
        "bundle": bundle.name,
        "bundle_sha256": bundle.digest,
        "engine": wish.engine,
        "findings": list(findings),
        "maps": wish.maps,
        **({"known": dict(wish.known)} if wish.known else {}),
    }


def _keeps_pictures(bundle: Bundle, wish: Wish) -> bool:
    return wish.folder is not None and (wish.maps or outlines(bundle))


def _side(most: int) -> int:
    return next((side for count, side in _SIDES if most <= count), _SMALLEST_SIDE)
