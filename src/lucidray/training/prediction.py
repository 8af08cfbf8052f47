"""Predict with a run: the mean of its members' logits, through its own preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lucidray.datasets.table import ImageTable
from lucidray.errors import ShapeError
from lucidray.models.classifier import Classifier
from lucidray.records import Float32, Prediction
from lucidray.training.inputs import Examples, Normalized, to_unit
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
        )


def predict(
    run: Run,
    images: ImageTable | Sequence[str | Path],
    *,
    cache: str | Path | None = None,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> Predictions:
    """Predict images with every member of a run.

    Always in float32, so that probabilities do not depend on the processor.

    Args:
        run: A finished run.
        images: A table whose rows all have files, or the files.
        cache: Folder of decoded pixels; None: the user's cache folder.
        batch_size: Images at a time.
        progress: Called with images done and in all, over all members.

    Returns:
        Logits and probabilities in the order of `images`.

    Raises:
        ImageError: A file is no readable radiograph.
        DataError: A row of the table has no file.
    """
    paths = images.paths() if isinstance(images, ImageTable) else [Path(path) for path in images]
    folder = cache_folder() if cache is None else Path(cache)
    pixels = CachedPixels(paths, run.recipe.image, folder)
    pixels.check()
    labels = np.zeros((len(paths), len(run.findings)), np.float32)
    return predict_examples(
        run,
        Examples(pixels, labels),
        run.models(),
        batch_size=batch_size,
        progress=progress,
        device=torch.device(choose_accelerator()),
    )


def predict_examples(
    run: Run,
    examples: Examples,
    models: Sequence[Classifier],
    *,
    batch_size: int = 32,
    progress: Progress | None = None,
    device: torch.device | None = None,
) -> Predictions:
    """Predict decoded images with given members of a run.

    Args:
        run: Says which preprocessing and which averaging.
        examples: The images.
        models: The members.
        batch_size: Images at a time.
        progress: Called with images done and in all, over all members.
        device: Where to compute; None: the processor.
    """
    keep_memory()
    device = torch.device("cpu") if device is None else device
    flip = run.recipe.test_time_augmentation == "flip"
    total = torch.zeros(len(examples), len(run.findings))
    for number, model in enumerate(models):
        model = model.to(memory_format=torch.channels_last).to(device).eval()
        network = Normalized(model, run.recipe.image)
        for start, logits in _logits(network, examples, batch_size, device, flip):
            total[start : start + len(logits)] += logits
            if progress is not None:
                done = number * len(examples) + start + len(logits)
                progress(done, len(models) * len(examples))
    logits = total / len(models)
    probabilities = models[0].probabilities(logits)
    return Predictions(run.findings, logits.numpy(), probabilities.numpy())


def _logits(
    network: Callable[[Tensor], Tensor],
    examples: Examples,
    size: int,
    device: torch.device,
    flip: bool,
) -> Iterator[tuple[int, Tensor]]:
    for start in range(0, len(examples), size):
        indices = np.arange(start, min(start + size, len(examples)))
        pixels, _ = examples.fetch(indices)
        images = to_unit(pixels.to(device))
        with torch.no_grad():
            logits = network(images)
            if flip:
                logits = (logits + network(images.flip(-1))) / 2
        yield start, logits.float().cpu()
