"""What methods share that change the image and look again: what is put in its place, in batches."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from lucidray.errors import ConfigError, ModelError, unknown_name

#: What stands where the image is taken away: ``"mean"``, 0 after normalization, a middling grey;
#: ``"black"``, no intensity at all; ``"blur"``, the image without detail; or a number after
#: normalization.
Baseline: TypeAlias = Literal["mean", "black", "blur"] | float

#: Called with the forward or backward passes done and those there are.
Progress: TypeAlias = Callable[[int, int], None]

#: Standard deviation of the blur, in parts of the image's longer edge.
_BLUR = 0.05


def baseline_of(model: nn.Module, x: Tensor, kind: Baseline) -> Tensor:
    """Return what stands where images are taken away.

    Args:
        model: The model; it must know its normalization for ``"black"``.
        x: Images ``(B, C, H, W)``, normalized.
        kind: See `Baseline`.

    Returns:
        ``(B, C, H, W)``.

    Raises:
        UnknownNameError: There is no such kind.
        ConfigError: The number is not finite.
        ModelError: The model does not say how black looks after normalization.
    """
    if not isinstance(kind, str):
        if not math.isfinite(kind):
            raise ConfigError(f"baseline is {kind}; a finite number is expected.")
        return torch.full_like(x, kind)
    if kind == "mean":
        return torch.zeros_like(x)
    if kind == "blur":
        return blurred(x)
    if kind == "black":
        return _black(model, x)
    raise unknown_name("baseline", kind, ("mean", "black", "blur"))


def _black(model: Any, x: Tensor) -> Tensor:
    constants = getattr(model, "normalization", None)
    if constants is None or len(constants[0]) not in (1, x.shape[1]):
        raise ModelError(
            "the model does not say how it is normalized, so black is not known; "
            "give its value after normalization as a number instead."
        )
    mean, deviation = (x.new_tensor(values) for values in constants)
    return (-mean / deviation).view(1, -1, 1, 1).expand_as(x)


def blurred(x: Tensor) -> Tensor:
    """Blur images ``(B, C, H, W)`` with a Gaussian of a twentieth of the longer edge."""
    deviation = max(_BLUR * max(x.shape[2:]), 0.5)
    reach = math.ceil(3 * deviation)
    steps = torch.arange(-reach, reach + 1, device=x.device, dtype=torch.float32)
    bell = torch.exp(-0.5 * (steps / deviation) ** 2)
    bell = (bell / bell.sum()).to(x.dtype)
    flat = x.flatten(0, 1)[:, None]
    flat = functional.pad(flat, (reach, reach, reach, reach), mode="replicate")
    flat = functional.conv2d(flat, bell.view(1, 1, 1, -1))
    return functional.conv2d(flat, bell.view(1, 1, -1, 1)).view_as(x)


class Counter:
    """Tells how far a method is.

    Args:
        progress: Called after each step with passes done and passes there are; None for nobody.
        total: Passes there are.
    """

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._done, self._total = progress, 0, total

    def add(self, passes: int) -> None:
        """Note passes that are done."""
        self._done += passes
        if self._progress is not None:
            self._progress(self._done, self._total)


def spans(count: int, batch_size: int) -> list[range]:
    """Cut ``range(count)`` into pieces of at most a batch.

    >>> spans(5, 2)
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    return [range(first, min(first + batch_size, count)) for first in range(0, count, batch_size)]


def look_again(
    model: Callable[[Tensor], Tensor],
    count: int,
    make: Callable[[range], Tensor],
    *,
    batch_size: int,
    counter: Counter,
) -> Tensor:
    """Return the logits of many inputs, made and looked at a batch at a time.

    Args:
        model: From inputs to logits.
        count: Number of inputs.
        make: Makes the inputs of a span of their numbers.
        batch_size: Inputs a forward pass.
        counter: Told of each batch.

    Returns:
        float32 ``(count, F)``.
    """
    found = []
    with torch.no_grad():
        for span in spans(count, batch_size):
            found.append(model(make(span)).float())
            counter.add(len(span))
    return torch.cat(found)
