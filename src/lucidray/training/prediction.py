"""Predict with a run: the mean of its members' logits, through its own preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lucidray.bundle.metadata import Known, MetadataRule
from lucidray.datasets.table import ImageTable
from lucidray.errors import DataError, ShapeError
from lucidray.findings import kinds_among
from lucidray.records import Float32, Prediction
from lucidray.training.inputs import Examples, Normalized, Pixels, to_unit
from lucidray.training.metadata import known_rows, read_rule
from lucidray.training.order import Indices
from lucidray.training.pixels import CachedPixels, Progress, cache_folder
from lucidray.training.processor import choose_accelerator, keep_memory
from lucidray.training.run import Run


@dataclass(frozen=True)
class Predictions:
    """What a run says of many images.

    Args:
        findings: F names.
        logits: float32 ``(N, F)``: the mean over members (and over the mirror image, where the
            recipe averages it).
        probabilities: float32 ``(N, F)``, from those logits.
    """

    findings: tuple[str, ...]
    logits: Float32
    probabilities: Float32

    def __post_init__(self) -> None:
        wanted = (len(self.logits), len(self.findings))
        if self.logits.shape != wanted or self.probabilities.shape != wanted:
            raise ShapeError(
                f"logits are {self.logits.shape} and probabilities {self.probabilities.shape}; "
                f"expected {wanted}, one column a finding."
            )

    def __len__(self) -> int:
        return len(self.logits)

    def one(self, index: int, run: Run) -> Prediction:
        """Return what is said of one image, with the run's operating points."""
        return Prediction(
            self.findings,
            self.logits[index].copy(),
            self.probabilities[index].copy(),
            operating_points=run.operating_points,
            kinds={} if run.exclusive else kinds_among(self.findings),
        )


def predict(
    run: Run,
    images: ImageTable | Sequence[str | Path],
    *,
    cache: str | Path | None = None,
    batch_size: int = 32,
    progress: Progress | None = None,
    reading: Progress | None = None,
) -> Predictions:
    """Predict images with every member of a run.

    Always in float32, so that probabilities do not depend on the processor.

    Args:
        run: A finished run.
        images: A table whose rows all have files, or the files; of files alone all metadata that a
            run takes count as missing.
        cache: Folder of decoded pixels; None: the user's cache folder.
        batch_size: Images at a time.
        progress: Called with images done and in all, over all members.
        reading: Called, before that, with images decoded and in all.

    Returns:
        Logits and probabilities in the order of `images`.

    Raises:
        ImageError: A file is no readable radiograph.
        DataError: A row of the table has no file, or there are no images.
    """
    paths = images.paths() if isinstance(images, ImageTable) else [Path(path) for path in images]
    if not paths:
        raise DataError("there are no images to predict; name at least one file.")
    folder = cache_folder() if cache is None else Path(cache)
    pixels = CachedPixels(paths, run.recipe.image, folder, reading)
    pixels.check()
    found = predict_pixels(run, pixels, batch_size=batch_size, progress=progress)
    rule = read_rule(run)
    if rule is None:
        return found
    known = known_rows(images) if isinstance(images, ImageTable) else [{} for _ in paths]
    return with_metadata(found, rule, known, exclusive=run.exclusive)


def with_metadata(
    found: Predictions, rule: MetadataRule, known: Sequence[Known], *, exclusive: bool
) -> Predictions:
    """Join what a network says of films with their metadata.

    Args:
        found: Of the films alone.
        rule: Of the run.
        known: The films' metadata.
        exclusive: Whether exactly one finding holds.
    """
    logits = rule.fuse(found.logits.astype(np.float64), known).astype(np.float32)
    return as_predictions(found.findings, torch.from_numpy(logits), exclusive=exclusive)


def predict_pixels(
    run: Run, pixels: Pixels, *, batch_size: int = 32, progress: Progress | None = None
) -> Predictions:
    """Predict images that are decoded already, from the films alone.

    Args:
        run: A finished run.
        pixels: Images after the spatial half of the run's preprocessing.
        batch_size: Images at a time.
        progress: Called with images done and in all, over all members.
    """
    device = torch.device(choose_accelerator())
    examples = Examples(pixels, np.zeros((len(pixels), len(run.findings)), np.float32))
    models = [model.to(memory_format=torch.channels_last).to(device) for model in run.models()]
    logits = mean_logits(
        [(examples, Normalized(model, run.recipe.image)) for model in models],
        flip=run.recipe.test_time_augmentation == "flip",
        batch_size=batch_size,
        device=device,
        progress=progress,
    )
    return as_predictions(run.findings, logits, exclusive=run.exclusive)


def as_predictions(findings: tuple[str, ...], logits: Tensor, *, exclusive: bool) -> Predictions:
    """Turn logits ``(N, F)`` into predictions."""
    probabilities = logits.softmax(dim=1) if exclusive else logits.sigmoid()
    return Predictions(findings, logits.numpy(), probabilities.numpy())


#: Images, and a network that takes them in [0, 1] (or their features) to logits.
Network = tuple[Examples, Callable[[Tensor], Tensor]]


def mean_logits(
    networks: Sequence[Network],
    *,
    flip: bool = False,
    batch_size: int = 32,
    device: torch.device | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Average the logits of several networks on the same images.

    Args:
        networks: The members, each with the images as it takes them.
        flip: Whether to average each image's logits with those of its mirror image.
        batch_size: Images at a time.
        device: Where to compute; None: the processor.
        progress: Called with images done and in all, over all networks.

    Returns:
        float32 ``(N, F)``, on the processor.
    """
    keep_memory()
    total: Tensor | None = None
    count = len(networks[0][0])
    for number, (examples, network) in enumerate(networks):
        parts = []
        for start in range(0, count, batch_size):
            indices = np.arange(start, min(start + batch_size, count))
            parts.append(_logits(network, examples, indices, flip, device))
            if progress is not None:
                progress(number * count + int(indices[-1]) + 1, len(networks) * count)
        logits = torch.cat(parts)
        total = logits if total is None else total + logits
    return (torch.zeros(0) if total is None else total) / len(networks)


def _logits(
    network: Callable[[Tensor], Tensor],
    examples: Examples,
    indices: Indices,
    flip: bool,
    device: torch.device | None,
) -> Tensor:
    inputs = examples.fetch(indices)[0].to(device)
    if inputs.dtype == torch.uint8:
        inputs = to_unit(inputs)
    with torch.no_grad():
        logits = network(inputs)
        if flip:
            logits = (logits + network(inputs.flip(-1))) / 2
    return logits.float().cpu()
