"""The two phases on one data set and one seed: who is trained, who explains, who is given what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lucidray.datasets.split import fold_ids
from lucidray.models import Classifier
from lucidray.papers.cam_roi.fitting import Fitted, Schedule, Task, fit, load_into
from lucidray.papers.cam_roi.material import Int, Material, Pixels
from lucidray.papers.cam_roi.networks import Input, build, input_of, map_input_of
from lucidray.papers.cam_roi.protocol import SPLIT_SEED, Settings
from lucidray.papers.cam_roi.published import (
    BRAIN,
    FIRST_ROLES,
    OWN_ROLE,
    SECOND_ROLES,
)
from lucidray.papers.cam_roi.regions import (
    Maps,
    load_maps,
    maps_of,
    save_maps,
    views_of,
    write_mirrored,
)
from lucidray.training.weights import fingerprint

Tell = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Arm:
    """One configuration.

    Args:
        phase: 1 or 2.
        role: Of the network.
        strategy: ``"frozen"``, ``"partly"`` or ``"all"``.
        view: What it is given.
    """

    phase: int
    role: str
    strategy: str
    view: str = "full"

    @property
    def name(self) -> str:
        """Its folder and key in the results."""
        role = self.role.replace(" ", "_")
        return f"phase_{self.phase}_{role}_{self.strategy}_{self.view}"


@dataclass(frozen=True)
class Place:
    """Where and how one data set and seed is worked on.

    Args:
        material: The images.
        chosen: Every number of the protocol.
        seed: Of all networks.
        folder: Of this data set's runs.
        resume: Whether earlier work is taken up.
    """

    material: Material
    chosen: Settings
    seed: int
    folder: Path
    resume: bool

    def key(self, *facts: object) -> str:
        """Return a key that changes with the images, the settings and what is named."""
        told = [self.material.digest(), repr(self.chosen), str(self.seed), *map(repr, facts)]
        return fingerprint(told)[:32]


@dataclass(frozen=True)
class Explained:
    """Who made the heat maps, and they.

    Args:
        arm: Of phase 1.
        maps: Of all images of the data set.
    """

    arm: Arm
    maps: Maps


def first_arms(chosen: Settings) -> tuple[Arm, ...]:
    """Return the networks of phase 1."""
    own = (Arm(1, OWN_ROLE, "all"),) if chosen.own else ()
    return (*(Arm(1, role, "frozen") for role in FIRST_ROLES), *own)


def second_arms(chosen: Settings) -> tuple[Arm, ...]:
    """Return the networks of phase 2, the full image first in each group."""
    kinds = [(role, strategy) for role in SECOND_ROLES for strategy in ("frozen", "partly")]
    kinds += [(OWN_ROLE, "all")] if chosen.own else []
    return tuple(Arm(2, *kind, view) for kind in kinds for view in chosen.views)


def train_arm(
    place: Place,
    arm: Arm,
    pixels: Pixels,
    *,
    given: str = "",
    rows: tuple[Int, Int] | None = None,
    name: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """Train one network.

    Args:
        place: Where.
        arm: Which.
        pixels: uint8 ``(N, S, S)`` or ``(N, S, S, 3)``, what it is given.
        given: What `pixels` were made from, for the key.
        rows: Training and validation rows; None: those of the split.
        name: Its folder, where it is not the arm's.
        progress: Called with epochs done and in all.
    """
    material, chosen = place.material, place.chosen
    train, validation = rows or (material.rows("train"), material.rows("validation"))
    kind = input_of(arm.role, chosen)
    task = Task(pixels, material.labels, train, validation, kind)
    epochs = chosen.first_epochs if arm.phase == 1 else chosen.second_epochs
    plan = Schedule(epochs, chosen.batch_size, chosen.learning_rate, chosen.keep_best, place.seed)
    return fit(
        lambda: network(place, arm, train),
        task,
        plan,
        place.folder / (name or arm.name) / f"seed_{place.seed}",
        key=place.key(arm, given, train.tolist()),
        resume=place.resume,
        keep_model=arm.phase == 1,
        progress=progress,
    )


def network(place: Place, arm: Arm, train: Int) -> Classifier:
    """Build one network, frozen as it is to be."""
    return build(
        arm.role,
        arm.strategy,
        place.material.classes,
        place.chosen,
        hidden=arm.phase == 2,
        seed=place.seed,
        settle_on=place.material.pixels[train],
    )


def explainer(place: Place, found: dict[Arm, Fitted]) -> Arm:
    """Choose who makes the heat maps: as published, or by the smallest validation loss."""
    if not place.chosen.folds:
        return Arm(1, "Xception" if place.material.name == BRAIN else "VGG16", "frozen")

    def loss(arm: Arm) -> float:
        fitted = found[arm]
        return float(fitted.history["loss"]["validation"][fitted.best_epoch - 1])

    return min(found, key=loss)


def explain_all(place: Place, arm: Arm, tell: Tell) -> Explained:
    """Make the heat maps of all images, by one network or cross-fitted."""
    path = place.folder / "maps" / f"{place.key('maps', arm)}.npz"
    known = load_maps(path) if place.resume else None
    if known is not None:
        return Explained(arm, known)
    kind = map_input_of(arm.role, place.chosen)
    whole = _maps_by(place, arm, arm.name, place.material.rows("train"), kind)
    if place.chosen.folds:
        whole = _cross_fitted(place, arm, kind, whole, tell)
    save_maps(whole, path)
    return Explained(arm, whole)


def fold_rows(material: Material, folds: int) -> list[Int]:
    """Return the rows of each fold of the training and validation images."""
    rows = material.rows("train", "validation")
    pool = material.table.where(np.isin(np.arange(len(material.table)), rows))
    numbers = fold_ids(pool, folds, seed=SPLIT_SEED, clusters=material.groups[rows])
    return [rows[numbers == fold] for fold in range(folds)]


def _cross_fitted(place: Place, arm: Arm, kind: Input, whole: Maps, tell: Tell) -> Maps:
    """Replace the maps of training and validation images by ones of networks blind to them."""
    values, called = whole.values.copy(), whole.called.copy()
    parts = fold_rows(place.material, place.chosen.folds)
    for number, held in enumerate(parts):
        others = np.sort(np.concatenate([part for part in parts if part is not held]))
        name = f"{arm.name}_fold_{number}"
        tell(number, len(parts), f"cross-fitting heat maps, fold {number + 1}")
        nobody = np.empty(0, np.int64)
        train_arm(place, arm, place.material.pixels, rows=(others, nobody), name=name)
        found = _maps_by(place, arm, name, others, kind, held)
        values[held], called[held] = found.values, found.called
    return Maps(values, called)


def _maps_by(
    place: Place, arm: Arm, name: str, train: Int, kind: Input, rows: Int | None = None
) -> Maps:
    model = network(place, arm, train)
    load_into(model, place.folder / name / f"seed_{place.seed}")
    pixels = place.material.pixels
    return maps_of(model, pixels if rows is None else pixels[rows], kind)


def run_phases(place: Place, tell: Tell) -> tuple[dict[Arm, Fitted], Explained]:
    """Run both phases.

    Args:
        place: On which data set, with which seed.
        tell: Told steps done, in all, and what is going on.

    Returns:
        Every network's result, and the heat maps.
    """
    firsts, seconds = first_arms(place.chosen), second_arms(place.chosen)
    total = len(firsts) + 1 + len(seconds)
    found: dict[Arm, Fitted] = {}
    for at, arm in enumerate(firsts):
        tell(at, total, f"phase 1, {arm.role}")
        found[arm] = train_arm(place, arm, place.material.pixels)
    tell(len(firsts), total, "heat maps")
    who = explainer(place, found)
    explained = explain_all(place, who, lambda _, __, what: tell(len(firsts), total, what))
    pixels = {
        view: views_of(place.material.pixels, explained.maps, view) for view in place.chosen.views
    }
    for view in place.chosen.views[1:]:
        write_mirrored(place.material, pixels[view], place.folder / "roi" / f"{view}_{place.seed}")
    given = fingerprint([explained.maps.values.tobytes()])
    for at, arm in enumerate(seconds):
        tell(len(firsts) + 1 + at, total, f"phase 2, {arm.role}, {arm.strategy}, {arm.view}")
        of = given if arm.view != "full" else ""
        found[arm] = train_arm(place, arm, pixels[arm.view], given=of)
    return found, explained
