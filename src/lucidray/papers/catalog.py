"""What every published experiment has in common, and the registry of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from lucidray.errors import ConfigError, unknown_name
from lucidray.registry import Registry

Mode = Literal["faithful", "careful"]
Scale = Literal["smoke", "small", "full"]

MODES: tuple[Mode, ...] = get_args(Mode)
SCALES: tuple[Scale, ...] = get_args(Scale)

#: What each mode is, in words.
MODE_WORDS: Mapping[str, str] = {
    "faithful": "as published, its faults included wherever they can be reproduced",
    "careful": "the same question, asked with the faults mended",
}


@dataclass(frozen=True)
class PublishedTable:
    """Numbers as somebody else printed them.

    Args:
        name: Where they stand, for example ``"Table I"``.
        caption: What they are, in the publication's words.
        columns: The headings over the numbers.
        rows: Row heading → one number a column, as printed; None where nothing is printed.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[float | None, ...]]

    def __post_init__(self) -> None:
        for heading, numbers in self.rows.items():
            if len(numbers) != len(self.columns):
                raise ConfigError(
                    f"row '{heading}' of {self.name} has {len(numbers)} numbers; "
                    f"expected {len(self.columns)}, one a column."
                )

    def number(self, row: str, column: str) -> float:
        """Return one number; nan where nothing is printed.

        Raises:
            UnknownNameError: No such row or column.
        """
        if row not in self.rows:
            raise unknown_name("row", row, self.rows)
        if column not in self.columns:
            raise unknown_name("column", column, self.columns)
        value = self.rows[row][self.columns.index(column)]
        return float("nan") if value is None else float(value)


@dataclass(frozen=True)
class Arm:
    """One of the things that an experiment compares.

    Args:
        name: Its folder and key in the results.
        title: What a reader sees.
        description: What distinguishes it, in one sentence.
    """

    name: str
    title: str
    description: str


@dataclass(frozen=True)
class Fault:
    """Something in a publication that contradicts itself or misleads.

    Args:
        what: What is wrong.
        evidence: How one sees it.
        faithful: What the mode ``faithful`` does about it.
        careful: What the mode ``careful`` does about it.
    """

    what: str
    evidence: str
    faithful: str
    careful: str


@dataclass(frozen=True)
class Plan:
    """One order to run an experiment.

    Args:
        data: Folder of the data set.
        out: Folder of everything that is written.
        mode: ``"faithful"`` or ``"careful"``.
        scale: ``"smoke"``, ``"small"`` or ``"full"``.
        seeds: How often each arm is trained.
        weights: A local file of pretrained weights; None: none are to be had.
        resume: Whether finished and interrupted runs in `out` are taken up again.
        cluster: Address of the Ray cluster whose workers train; ``""``: this process does.
    """

    data: Path
    out: Path
    mode: Mode = "faithful"
    scale: Scale = "full"
    seeds: int = 1
    weights: Path | None = None
    resume: bool = True
    cluster: str = ""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise unknown_name("mode", self.mode, MODES)
        if self.scale not in SCALES:
            raise unknown_name("scale", self.scale, SCALES)
        if self.seeds < 1:
            raise ConfigError(f"seeds is {self.seeds}; at least one run of each arm is needed.")
        if self.weights is not None and not self.weights.is_file():
            raise ConfigError(
                f"no weights file {self.weights}. Name a local safetensors file, or leave the "
                "option away to train from scratch on a substitute schedule."
            )


@dataclass(frozen=True)
class Outcome:
    """What an experiment left behind.

    Args:
        report: The HTML page.
        results: The JSON file.
        numbers: Its content.
    """

    report: Path
    results: Path
    numbers: Mapping[str, Any]


#: Tells how far a run is: steps done, steps in all, and what is going on.
Progress = Callable[[int, int, str], None]

#: Runs an experiment.
Experiment = Callable[[Plan, Progress | None], Outcome]


@dataclass(frozen=True)
class Paper:
    """A published experiment that can be run again.

    Args:
        name: What a user types.
        title: The publication's title.
        authors: Who published it, and where.
        document: Which source document of the project it is, for example ``"S4"``.
        question: What is asked, in one sentence.
        dataset: The registered name of the data set.
        arms: What is compared.
        tables: What was printed.
        faults: What the publication contradicts.
        words: The protocol of a mode and a scale, one sentence or two an entry.
        experiment: Runs it.
    """

    name: str
    title: str
    authors: str
    document: str
    question: str
    dataset: str
    arms: tuple[Arm, ...]
    tables: tuple[PublishedTable, ...]
    faults: tuple[Fault, ...]
    words: Callable[[Mode, Scale], tuple[str, ...]]
    experiment: Experiment

    def __post_init__(self) -> None:
        object.__setattr__(self, "__doc__", self.question)

    def protocol(self, mode: Mode, scale: Scale = "full") -> tuple[str, ...]:
        """Say in words what a run does.

        Raises:
            UnknownNameError: No such mode or scale.
        """
        if mode not in MODES:
            raise unknown_name("mode", mode, MODES)
        if scale not in SCALES:
            raise unknown_name("scale", scale, SCALES)
        return self.words(mode, scale)

    def table(self, name: str) -> PublishedTable:
        """Return a published table by its name.

        Raises:
            UnknownNameError: No such table.
        """
        for table in self.tables:
            if table.name == name:
                return table
        raise unknown_name("table", name, [table.name for table in self.tables])


#: Every published experiment, by the name that a user types.
papers: Registry[Paper] = Registry("paper")


def run(
    paper: Paper,
    data: str | Path,
    out: str | Path,
    *,
    mode: Mode = "faithful",
    scale: Scale = "full",
    seeds: int = 1,
    weights: str | Path | None = None,
    progress: Progress | None = None,
    resume: bool = True,
    cluster: str | None = None,
) -> Outcome:
    """Run a published experiment and write its page and its numbers.

    Args:
        paper: From the registry `papers`.
        data: Folder of its data set, in the publisher's layout.
        out: Folder to write to: ``report.html``, ``results.json`` and one run folder an arm and
            seed. A run that was killed goes on from there.
        mode: ``"faithful"``: as published, faults included; ``"careful"``: faults mended.
        scale: ``"smoke"``: seconds, to see that it runs; ``"small"``: at most an hour on two
            cores; ``"full"``: as published.
        seeds: How often each arm is trained.
        weights: A local file of pretrained weights; None: training from scratch, announced.
        progress: Called with steps done, steps in all and what is going on.
        resume: Whether earlier runs in `out` are taken up again.
        cluster: Address of a Ray cluster over whose workers arms and seeds are spread; ``"local"``:
            one that is started on this machine. None: this process does all.

    Returns:
        Where the page and the numbers are.

    Raises:
        UnknownNameError: No such mode or scale.
        ConfigError: `seeds` is below one, or the weights file is missing.
        DataError: The folder does not hold the data set.
    """
    file = None if weights is None else Path(weights)
    plan = Plan(Path(data), Path(out), mode, scale, seeds, file, resume, cluster or "")
    with at_hand(plan.cluster):
        return paper.experiment(plan, progress)


@contextmanager
def at_hand(cluster: str) -> Iterator[None]:
    """Be part of the cluster that is named while the block runs; ``""``: of none."""
    if not cluster:
        yield
        return
    from lucidray.cluster import connected

    with connected(cluster):
        yield
