"""Frozen parts are computed once: what a frozen trunk makes of every image, kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lucidray.models.classifier import Classifier
from lucidray.training.averaging import moving_names
from lucidray.training.inputs import Examples, to_unit
from lucidray.training.pixels import Progress
from lucidray.training.weights import fingerprint


class Features:
    """Features of all images of one set, mapped from a file.

    Args:
        values: ``(N, ...)``; maps lie channels last, ``(N, h, w, C)``, as they are computed.
    """

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, indices: Tensor) -> Tensor:
        """Return the features ``(B, ...)`` of some images, maps as ``(B, C, h, w)``."""
        chosen = self.values[indices]
        return chosen.permute(0, 3, 1, 2) if chosen.ndim == 4 else chosen


def trunk_key(model: Classifier, *facts: str) -> str:
    """Return a key that changes with the frozen weights and with anything else that is named.

    Args:
        model: In training mode, frozen as its phase wants it.
        facts: Digests of data, preprocessing and precision.

    Returns:
        The same for models that differ in what comes after their frozen beginning alone (head,
        dropout), so that runs of one search can share what it makes.
    """
    moving = set(moving_names(model))
    spec = model.spec
    trunk = f"{spec.backbone} {spec.in_channels} {spec.pool} {model.image_size}"
    frozen = ((n, value) for n, value in model.state_dict().items() if n not in moving)
    return fingerprint([trunk, *facts, *(part for pair in frozen for part in pair)])[:32]


def compute_features(
    trunk: Callable[[Tensor], Tensor],
    examples: Examples,
    path: Path,
    *,
    device: torch.device,
    context: Callable[[], AbstractContextManager[object]],
    batch_size: int = 16,
    progress: Progress | None = None,
) -> Features:
    """Send every image through a trunk, once; a file that is there already is used as it is.

    Args:
        trunk: From images float ``(B, 1, S, S)`` in [0, 1] to features.
        examples: The images.
        path: The file, named by `trunk_key`; `path` with ``.shape`` beside it says what it holds.
        device: Where the trunk runs.
        context: Entered around each batch, for example autocast.
        batch_size: Images at a time; that of a recipe has no part in it, so that all recipes get
            the same features.
        progress: Called with images done and in all.

    Returns:
        The features, in the precision in which the trunk gives them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.with_suffix(".lock")):
        shape_file = path.with_suffix(".shape.pt")
        if not shape_file.is_file():
            _write_features(trunk, examples, path, device, context, batch_size, progress)
        if not shape_file.is_file():
            return Features(torch.zeros(0))
        return Features(_map(path, *torch.load(shape_file, weights_only=True)))


def _write_features(
    trunk: Callable[[Tensor], Tensor],
    examples: Examples,
    path: Path,
    device: torch.device,
    context: Callable[[], AbstractContextManager[object]],
    batch_size: int,
    progress: Progress | None,
) -> None:
    values: Tensor | None = None
    for start, batch in _outputs(trunk, examples, device, context, batch_size):
        if values is None:
            path.unlink(missing_ok=True)
            values = _map(path, (len(examples), *batch.shape[1:]), batch.dtype)
        values[start : start + len(batch)] = batch
        if progress is not None:
            progress(start + len(batch), len(examples))
    if values is not None:
        torch.save((tuple(values.shape), values.dtype), path.with_suffix(".shape.pt"))


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one process in at a time; a second finds what the first has made."""
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows, where no search is spread over processes
        yield
        return
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _outputs(
    trunk: Callable[[Tensor], Tensor],
    examples: Examples,
    device: torch.device,
    context: Callable[[], AbstractContextManager[object]],
    size: int,
) -> Iterator[tuple[int, Tensor]]:
    for start in range(0, len(examples), size):
        indices = np.arange(start, min(start + size, len(examples)))
        pixels, _ = examples.fetch(indices)
        with torch.no_grad(), context():
            batch = trunk(to_unit(pixels.to(device))).cpu()
        yield start, batch.permute(0, 2, 3, 1) if batch.ndim == 4 else batch


def _map(path: Path, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    size = int(np.prod(shape))
    return torch.from_file(str(path), shared=True, size=size, dtype=dtype).view(shape)
