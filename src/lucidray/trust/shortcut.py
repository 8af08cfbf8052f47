"""The planted-shortcut test: does a method's heat fall on a tag that a network has learned?

Two small networks learn the same finding on the same phantoms. In one series a metal tag stands in
the corner of each film with the finding and of none without it; in the other it comes and goes by
chance. On films that show both, a method that is worth anything puts its heat on the tag for the
first network and not for the second.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lucidray.config import STRICT, from_mapping
from lucidray.datasets import ImageTable, load_dataset
from lucidray.datasets.phantom import PhantomConfig, write_phantoms
from lucidray.errors import DataError
from lucidray.images.preprocessing import spatial
from lucidray.images.read import read_xray
from lucidray.metrics import auc
from lucidray.training import Recipe, train
from lucidray.trust.aspects import measure_tag
from lucidray.trust.films import Frame, choose_films, read_frame
from lucidray.trust.measure import Stages
from lucidray.trust.network import NetworkSubject, open_subject
from lucidray.trust.result import Aspect, ShortcutTest
from lucidray.trust.store import Store
from lucidray.trust.subject import Subject

_BATCH = 8


@dataclass(frozen=True)
class ShortcutSetting:
    """How the test is made; the defaults take about ten minutes on two idle cores.

    Args:
        finding: What the tag gives away.
        films: Phantoms in each series.
        film_size: Their side in pixels.
        size: What the networks see of them.
        backbone: The networks' architecture.
        epochs: How long they learn.
        images: Films that are explained, at most.
        seed: Same seed, same test.
    """

    __pydantic_config__ = STRICT

    finding: str = "Effusion"
    films: int = 400
    film_size: int = 256
    size: int = 192
    backbone: str = "resnet18"
    epochs: int = 8
    images: int = 40
    seed: int = 0

    def phantoms(self, strength: float) -> PhantomConfig:
        """Return what the phantoms of a series are like."""
        return PhantomConfig(
            size=self.film_size,
            abundance=0.0,
            prevalences={self.finding: 0.5},
            child_share=0.0,
            images_per_patient=1.0,
            test_share=0.3,
            shortcut=self.finding,
            shortcut_strength=strength,
        )

    def recipe(self) -> Recipe:
        """Return how the networks learn: from nothing, on films as they are."""
        values = {
            "data": {"name": "nih_chestxray14", "findings": [self.finding], "validation": 0.2},
            "image": {"size": self.size, "normalization": "zscore", "channels": 1},
            "model": {"backbone": self.backbone, "weights": "none", "in_channels": 1},
            "phases": [{"epochs": self.epochs, "batch_size": 16, "learning_rate": 1e-3}],
            "seeds": [self.seed],
        }
        return from_mapping(Recipe, values, where="the shortcut test")


def run_shortcut_test(
    methods: Sequence[str],
    *,
    setting: ShortcutSetting | None = None,
    folder: str | Path | None = None,
    n_boot: int = 2000,
    stage: Stages | None = None,
) -> ShortcutTest:
    """Train a network with the shortcut and one without, and see which methods tell them apart.

    Args:
        methods: Registered explanation methods.
        setting: How; None: the defaults.
        folder: Where phantoms and runs are kept, so that a second test goes fast; None: nowhere.
        n_boot: Bootstrap replicates.
        stage: As in `measure_trust`.

    Returns:
        Heat on the tag, by method, of both networks.

    Raises:
        DataError: No test film shows both finding and tag: there are too few films.
    """
    setting, began = setting or ShortcutSetting(), time.monotonic()
    stage = stage or (lambda _: lambda _done, _total: None)
    with tempfile.TemporaryDirectory(prefix="lucidray-shortcut-") as nowhere:
        place = Path(nowhere) if folder is None else Path(folder)
        subjects, tables = {}, {}
        for name, strength in (("shortcut", 1.0), ("clean", 0.0)):
            films = write_phantoms(
                place / f"{name}-films",
                setting.films,
                setting.phantoms(strength),
                seed=setting.seed,
                progress=stage(f"Making phantoms ({name})"),
            )
            tables[name] = load_dataset(films, "nih_chestxray14")
            run = train(
                setting.recipe(),
                tables[name],
                place / f"{name}-run",
                resume=True,
                cache=place / "cache",
                progress=stage(f"Training ({name})"),
            )
            subjects[name] = open_subject(run)
        aspects, images = compare_tag_heat(
            subjects["shortcut"],
            subjects["clean"],
            tables["shortcut"].split("test"),
            setting.finding,
            methods,
            count=setting.images,
            n_boot=n_boot,
            stage=stage,
        )
        fair = tables["clean"].split("test")
        scores = {name: _auc(each, fair, setting.finding) for name, each in subjects.items()}
    return ShortcutTest(
        setting.finding, images, aspects[0], aspects[1], scores, time.monotonic() - began
    )


def compare_tag_heat(
    planted: Subject,
    clean: Subject,
    table: ImageTable,
    finding: str,
    methods: Sequence[str],
    *,
    count: int = 40,
    n_boot: int = 2000,
    stage: Stages | None = None,
) -> tuple[tuple[dict[str, Aspect], dict[str, Aspect]], int]:
    """Measure two models' heat on a planted tag, on the same films.

    Args:
        planted: The model that learned with the tag.
        clean: The one that did not; both take films alike.
        table: Phantoms.
        finding: What is explained.
        methods: Registered methods.
        count: Films, at most.
        n_boot: Bootstrap replicates.
        stage: As in `measure_trust`.

    Returns:
        Aspects by method of either, and how many films there were.

    Raises:
        DataError: No film shows both finding and tag.
    """
    stage = stage or (lambda _: lambda _done, _total: None)
    with tempfile.TemporaryDirectory(prefix="lucidray-tag-") as folder:
        squares, frames = _tagged(planted, table, finding, count, Path(folder))
        found: list[dict[str, Aspect]] = []
        for number, subject in enumerate((planted, clean)):
            tick = stage("Explaining tagged films")
            by_method = {}
            for done, method in enumerate(methods, start=1):
                maps = _maps(subject, squares, finding, method, Path(folder) / f"{number}-{method}")
                by_method[method] = measure_tag(maps, frames, {"n_boot": n_boot})
                tick(number * len(methods) + done, 2 * len(methods))
            found.append(by_method)
    return (found[0], found[1]), len(frames)


def _tagged(
    subject: Subject, table: ImageTable, finding: str, count: int, folder: Path
) -> tuple[Store, list[Frame]]:
    planted = table.rows.get("shortcut")
    if planted is None or not (planted == 1).any():
        raise DataError("none of these films has a planted tag; make phantoms with --shortcut.")
    films = choose_films(table.where((planted == 1).to_numpy()), finding, count)
    squares, frames = Store(folder / "squares.npy", len(films)), []
    for film in films:
        square, frame = read_frame(film, finding, subject.preprocessing, grid=256)
        squares.add(square)
        frames.append(frame)
    return squares, frames


def _maps(subject: Subject, squares: Store, finding: str, method: str, path: Path) -> Store:
    maps = Store(path.with_suffix(".npy"), len(squares))
    for start in range(0, len(squares), _BATCH):
        places = list(range(start, min(start + _BATCH, len(squares))))
        for raw in subject.explain(squares.take(places), finding, method):
            maps.add(raw)
    return maps


def _auc(subject: NetworkSubject, table: ImageTable, finding: str) -> float:
    labels, size = table.labels([finding])[:, 0], subject.preprocessing
    logits = [subject.predict(spatial(read_xray(path), size)[0][None])[0] for path in table.paths()]
    return float(auc(labels, np.stack(logits)[:, subject.findings.index(finding)]))
