"""RISE: the model looks at the image through many random masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lucidray.errors import ConfigError
from lucidray.explain.method import chosen, evaluating, explainers, no_layer, positive, prepare
from lucidray.explain.perturbing import Baseline, Counter, Progress, baseline_of, spans


@explainers.register(
    "rise",
    source="arXiv:1806.07421, equations 4 to 6",
    needs="nothing but logits",
    cost="1 + samples forward (all findings at once): 1001",
    class_specific=True,
    odd=True,
)
def rise(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
    samples: int = 1000,
    cells: int = 7,
    keep: float = 0.5,
    seed: int = 0,
    baseline: Baseline = "mean",
    batch_size: int = 32,
    progress: Progress | None = None,
) -> tuple[Tensor, Tensor]:
    """Explain by how much higher a logit is, on average, when a pixel can be seen.

    The masks are the same for each image and serve all findings.

    Args:
        model: Any network that returns logits ``(B, F)``.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: Must be None.
        sign: 1 explains a logit, -1 its absence.
        samples: Budget: number of masks. The paper takes 4000 to 8000; the map's noise falls with
            the square root.
        cells: Rows and columns of the random grid that is enlarged to a mask.
        keep: Probability that a cell can be seen.
        seed: Of the masks; the same seed gives the same masks on any device.
        baseline: What stands where the mask hides the image; ``"mean"`` as in the paper.
        batch_size: Images a forward pass.
        progress: Called with the looks done and those there are.

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), H, W)``: raw, signed, float32; positive
        where seeing the pixel raises the target's logit.

    Raises:
        ModelError: A layer was named.
        ShapeError: The images or the targets do not fit.
        ConfigError: A budget is below 1, or ``keep`` is not in (0, 1).

    Source: Petsiuk et al., RISE, arXiv:1806.07421, equations 4 to 6.
    Deviates: scores are logits, from which the mean over all masks is taken: else a map shows,
        before all, how large the logit is. Each pixel's sum is divided by the masks that show it,
        not by their expected number, which takes away the grid's own pattern.
    """
    no_layer(layer, "rise")
    positive(samples=samples, cells=cells, batch_size=batch_size)
    if not 0 < keep < 1:
        raise ConfigError(f"keep is {keep}; a probability above 0 and below 1 is expected.")
    x = prepare(model, x)
    size = (x.shape[2], x.shape[3])
    coarse, shifts = _draw(samples, cells, keep, size, seed)
    counter = Counter(progress, len(x) * samples)
    with evaluating(model), torch.no_grad():
        logits: Tensor = model(x)
        wanted = chosen(targets, logits.shape[-1])
        hidden = baseline_of(model, x, baseline)
        found = _Sums.empty(x, len(wanted))
        for span in spans(samples, batch_size):
            part = slice(span.start, span.stop)
            masks = _masks(coarse[part], shifts[part], size).to(x.device)
            found.seen.add_(masks.sum((0, 1)).flatten())
            for i in range(len(x)):
                looked = masks.to(x.dtype)
                scores: Tensor = model(x[i] * looked + hidden[i] * (1 - looked))
                found.add(i, (scores.float() - logits[i].float())[:, wanted].T, masks.flatten(1))
                counter.add(len(span))
    return logits, sign * found.maps(samples).view(len(x), -1, *size)


class _Sums(NamedTuple):
    """Sums over masks."""

    seen: Tensor  # (P,), masks that show a pixel
    change: Tensor  # (B, T), of the logit
    shown: Tensor  # (B, T, P), of the logit where a pixel is shown

    @classmethod
    def empty(cls, x: Tensor, targets: int) -> _Sums:
        pixels = x.shape[2] * x.shape[3]
        shapes = ((pixels,), (len(x), targets), (len(x), targets, pixels))
        return cls(*(x.new_zeros(shape, dtype=torch.float32) for shape in shapes))

    def add(self, image: int, change: Tensor, masks: Tensor) -> None:
        """Add the changes ``(T, N)`` of one image's logits under masks ``(N, P)``."""
        with torch.autocast(masks.device.type, enabled=False):
            self.shown[image] += change @ masks
        self.change[image] += change.sum(1)

    def maps(self, samples: int) -> Tensor:
        """Return how much higher a logit is where a pixel is shown; 0 where it never is."""
        never = self.seen == 0
        shown = self.shown / torch.where(never, 1, self.seen)
        return torch.where(never, 0, shown - self.change[..., None] / samples)


def _draw(
    samples: int, cells: int, keep: float, size: tuple[int, int], seed: int
) -> tuple[Tensor, Tensor]:
    """Draw grids ``(N, 1, cells, cells)`` and shifts in pixels ``(N, 2)``, on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    coarse = (torch.rand(samples, 1, cells, cells, generator=generator) < keep).float()
    parts = [torch.rand(samples, generator=generator) * math.ceil(edge / cells) for edge in size]
    return coarse, torch.stack(parts, 1).long()


def _masks(coarse: Tensor, shifts: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarge grids by one cell more than the image has, and cut the image's size out."""
    cells = coarse.shape[-1]
    edges = [(cells + 1) * math.ceil(edge / cells) for edge in size]
    large = functional.interpolate(coarse, size=edges, mode="bilinear")
    return torch.stack(
        [
            mask[:, top : top + size[0], left : left + size[1]]
            for mask, (top, left) in zip(large, shifts.tolist(), strict=True)
        ]
    )
