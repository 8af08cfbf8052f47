"""Pretraining: a backbone learns from films alone, or from which are alike, before it is trained.

```toml
method = "simclr"

[model]
backbone = "resnet18"

[image]
size = 224

[phase]
epochs = 50
learning_rate = 1e-3
```

What comes out is `backbone.safetensors`, which a recipe names as ``model.weights``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lucidray.config import STRICT, from_mapping, merge, read_toml, to_mapping
from lucidray.datasets.table import ImageTable
from lucidray.errors import ConfigError, DataError, RunError
from lucidray.images.preprocessing import Preprocessing
from lucidray.models.pretext import Projector, Restored, Restorer, backbone_state, restoring_loss
from lucidray.models.spec import ModelSpec
from lucidray.records import Float32
from lucidray.training.augmentation import Augment
from lucidray.training.contrastive import nt_xent, triplet_loss
from lucidray.training.inputs import Examples, Normalized, Targets
from lucidray.training.job import Row
from lucidray.training.machine import this_machine
from lucidray.training.order import Indices, derive_seed
from lucidray.training.pixels import CachedPixels, Progress
from lucidray.training.places import find_places, follow
from lucidray.training.processor import Precision, keep_memory
from lucidray.training.recipe import Data, Phase, Recipe
from lucidray.training.setting import Setting, ignore
from lucidray.training.stage import train_stage, write_history
from lucidray.training.task import choose_findings, read_part, read_table, split_table
from lucidray.training.weights import fingerprint, save_weights, write_text

Method = Literal["triplet", "supervised", "simclr", "masked"]

#: How training images of SimCLR are varied where a recipe says nothing.
_VIEWS = Augment(
    rotate=10, shift=0.1, zoom=0.2, flip=0.5, brightness=0.2, contrast=0.2, blur=1.0, noise=0.02
)


@dataclass(frozen=True)
class Pretraining:
    """Everything that decides what a pretraining makes.

    Args:
        method: ``"triplet"``: images with the same labels near each other, by a margin;
            ``"supervised"``: the same by a cross-entropy over the batch; ``"simclr"``: two variants
            of one image, without labels; ``"masked"``: hidden parts of an image are restored,
            without labels.
        data: Which images, which split. Test images are never used.
        image: As in a recipe.
        model: The backbone, and what it starts from; a head has no part in it.
        augment: How images are varied; None: not at all, but for ``"simclr"``, which lives from it,
            by shifts, turns, zoom, mirror, brightness, contrast and noise.
        phase: How long and how fast.
        width: Length of the projection that is compared.
        margin: Of triplets.
        temperature: Of the cross-entropies.
        patch: Edge in pixels of what is hidden together.
        hidden: Share of the image that is hidden.
        seed: Of start, order and variation.
        precision: As in a recipe.
    """

    method: Method = "simclr"
    data: Data = field(default_factory=Data)
    image: Preprocessing = field(default_factory=Preprocessing)
    model: ModelSpec = field(default_factory=ModelSpec)
    augment: Augment | None = None
    phase: Phase = field(default_factory=lambda: Phase(epochs=50, batch_size=64))
    width: Annotated[int, Field(ge=2)] = 128
    margin: Annotated[float, Field(gt=0)] = 0.3
    temperature: Annotated[float, Field(gt=0)] = 0.2
    patch: Annotated[int, Field(ge=2)] = 16
    hidden: Annotated[float, Field(gt=0, lt=1)] = 0.6
    seed: Annotated[int, Field(ge=0)] = 0
    precision: Precision = "auto"

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        if self.image.channels != self.model.in_channels:
            raise ConfigError(
                f"image.channels is {self.image.channels} but model.in_channels is "
                f"{self.model.in_channels}; set both to the same number (1 or 3)."
            )
        if self.phase.monitor not in {"val_loss", "train_loss"}:
            raise ConfigError(
                f"phase.monitor is '{self.phase.monitor}'; pretraining knows val_loss and "
                "train_loss."
            )

    @property
    def labeled(self) -> bool:
        """Whether labels say which images are alike."""
        return self.method in {"triplet", "supervised"}


@dataclass(frozen=True)
class Pretrained:
    """A finished pretraining.

    Args:
        folder: Where it lies.
        weights: The backbone's weights, for ``model.weights`` of a recipe.
        rows: One entry an epoch.
        epoch: Index of the one whose weights are kept.
    """

    folder: Path
    weights: Path
    rows: tuple[Row, ...]
    epoch: int


@dataclass(frozen=True)
class Views(Examples):
    """Images, each with a key that says which are alike.

    Args:
        keys: int64 ``(N,)``.
        views: How often each image stands in a batch, to be varied anew each time.
    """

    keys: Indices = field(default_factory=lambda: np.empty(0, np.int64))
    views: int = 1

    def fetch(self, indices: Indices) -> tuple[Tensor, Targets]:
        """Return images uint8 ``(views * B, 1, S, S)`` and their keys."""
        shown = np.tile(indices, self.views)
        pixels = torch.from_numpy(np.ascontiguousarray(self.pixels[shown]))[:, None]
        return pixels, torch.from_numpy(self.keys[shown])


def load_pretraining(
    path: str | Path, *, overrides: Mapping[str, Any] | None = None
) -> Pretraining:
    """Read a pretraining from a TOML file; else as `load_recipe`."""
    return from_mapping(Pretraining, merge(read_toml(path), overrides or {}), where=str(path))


def pretrain(
    recipe: Pretraining,
    data: str | Path | ImageTable,
    out: str | Path,
    *,
    resume: bool = False,
    cache: str | Path | None = None,
    progress: Progress | None = None,
    reading: Progress | None = None,
) -> Pretrained:
    """Pretrain a backbone on a data set's training images.

    Args:
        recipe: What to do.
        data: A data set's folder, or its table.
        out: Folder to write: ``backbone.safetensors``, ``pretraining.json``, ``history.csv``.
        resume: Whether to go on with what lies there; a finished one is returned as it is.
        cache: Folder of decoded pixels; None: the user's cache folder.
        progress: Called with training steps done and in all.
        reading: Called with images decoded and in all.

    Returns:
        The finished pretraining.

    Raises:
        RunError: `out` is in the way, or holds a pretraining by another recipe or other images.
        DataError: There are no images, or labels are needed and all alike.
    """
    folder = Path(out)
    keep_memory()
    train, validation = _parts(recipe, data, None if cache is None else Path(cache), reading)
    images = _claim(folder, recipe, (train, validation), resume=resume)
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed(recipe.seed))
        network = _network(recipe)
        setting = _setting(recipe, network, train, validation, progress)
        rows, epoch = train_stage(network, setting, this_machine(recipe.precision), folder)
    weights = folder / "backbone.safetensors"
    save_weights(weights, backbone_state(network))
    write_history(folder / "history.csv", rows)
    _write_facts(folder, recipe, images, "finished")
    return Pretrained(folder, weights, tuple(rows), epoch)


def _parts(
    recipe: Pretraining, data: str | Path | ImageTable, cache: Path | None, reading: Progress | None
) -> tuple[Views, Views]:
    table = split_table(read_table(data, recipe.data), recipe.data)
    reading_as = Recipe(data=recipe.data, image=recipe.image, model=recipe.model)
    found = []
    for name in ("train", "validation"):
        part = table.split(name)
        if not len(part):
            raise DataError(f"'{table.name}' has no images for {name}; check data.validation.")
        part, pixels = read_part(part, reading_as, cache=cache, progress=reading)
        found.append(_views(recipe, part, pixels))
    if recipe.labeled and len(np.unique(found[0].keys)) < 2:
        raise DataError(
            f"all training images of '{table.name}' have the same labels, so none is unlike "
            'another; take method = "simclr" or "masked".'
        )
    return found[0], found[1]


def _views(recipe: Pretraining, part: ImageTable, pixels: CachedPixels) -> Views:
    labels: Float32 = np.zeros((len(part), 1), np.float32)
    keys: Indices = np.arange(len(part))
    if recipe.labeled:
        findings, _ = choose_findings(part, recipe.data.findings)
        labels = part.labels(findings)
        keys = np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return Views(pixels, labels, keys=keys, views=2 if recipe.method == "simclr" else 1)


def _claim(folder: Path, recipe: Pretraining, parts: tuple[Views, Views], *, resume: bool) -> str:
    digests = []
    for part in parts:
        pixels = part.pixels
        digests += pixels.digests() if isinstance(pixels, CachedPixels) else []
        digests.append(repr(part.keys.tolist()))
    data = fingerprint(digests)
    path = folder / "pretraining.json"
    if path.is_file():
        if not resume or not _is_same(path, recipe, data):
            raise RunError(
                f"{folder} holds another pretraining, or one that you did not ask to resume; "
                "name a new folder, or resume it with the same recipe and data."
            )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{folder} is in the way: it is not an empty folder. Name a new one.")
    else:
        _write_facts(folder, recipe, data, "running")
    return data


def _is_same(path: Path, recipe: Pretraining, data: str) -> bool:
    """Compare as values, so that a setting that a later version adds stands in for its default."""
    facts = json.loads(path.read_text(encoding="utf-8"))
    if facts.get("data") != data:
        return False
    wanted = to_mapping(recipe)
    kept = follow(facts["recipe"], facts.get("places", {}), wanted, path.parent)
    return from_mapping(Pretraining, kept, where=str(path)) == recipe


def _write_facts(folder: Path, recipe: Pretraining, data: str, status: str) -> None:
    plain = to_mapping(recipe)
    places = find_places(plain, folder)
    facts = {"status": status, "data": data, "recipe": plain, "places": places}
    write_text(folder / "pretraining.json", json.dumps(facts, indent=2) + "\n")


def _network(recipe: Pretraining) -> Projector | Restorer:
    size = recipe.image.size
    if recipe.method == "masked":
        return Restorer(recipe.model, recipe.patch, recipe.hidden, image_size=size)
    return Projector(recipe.model, recipe.width, image_size=size)


def _setting(
    recipe: Pretraining,
    network: Projector | Restorer,
    train: Views,
    validation: Views,
    progress: Progress | None,
) -> Setting:
    steps = recipe.phase.epochs * -(-len(train) // recipe.phase.batch_size)
    loss = _loss(recipe)
    varied = _VIEWS if recipe.method == "simclr" else Augment()
    return Setting(
        phase=recipe.phase,
        number=0,
        seed=recipe.seed,
        train=train,
        validation=Views(validation.pixels, validation.labels, keys=validation.keys),
        loss=loss,
        judge=_RestoringJudge() if recipe.method == "masked" else _Judge(recipe, validation.keys),
        network=Normalized(network, recipe.image),
        augment=varied if recipe.augment is None else recipe.augment,
        step_done=(lambda done: progress(done, steps)) if progress is not None else ignore,
    )


def _loss(recipe: Pretraining) -> Callable[[Any, Any], Tensor]:
    if recipe.method == "masked":
        return restoring_loss
    if recipe.method == "triplet":
        return lambda found, keys: triplet_loss(found, keys, margin=recipe.margin)
    return lambda found, keys: nt_xent(found, keys, temperature=recipe.temperature)


@dataclass(frozen=True)
class _Judge:
    """Judges directions: by the loss, the mirror image standing for the second view."""

    recipe: Pretraining
    keys: Indices

    def keep(self, found: Tensor, targets: Targets) -> Tensor:  # noqa: ARG002
        return found.float()

    def measure(self, kept: Tensor) -> dict[str, float]:
        first, second = kept.chunk(2, dim=1)
        keys = torch.from_numpy(self.keys)
        if self.recipe.method == "triplet":
            margin = self.recipe.margin
            return {"val_loss": float(triplet_loss(first, keys, margin=margin, violating=False))}
        if self.recipe.method == "simclr":
            first, keys = torch.cat([first, second]), torch.cat([keys, keys])
        return {"val_loss": float(_loss(self.recipe)(first, keys))}


@dataclass(frozen=True)
class _RestoringJudge:
    """Judges restored images by how far their hidden pixels are off."""

    def keep(self, found: Restored, targets: Targets) -> Tensor:  # noqa: ARG002
        rows = zip(found.image, found.wanted, found.hidden, strict=True)
        each = [restoring_loss(Restored(*(part[None] for part in row))) for row in rows]
        return torch.stack(each)[:, None]

    def measure(self, kept: Tensor) -> dict[str, float]:
        return {"val_loss": float(kept.mean())}
