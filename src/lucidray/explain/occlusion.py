"""Occlusion: a window is covered, and the model looks again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lucidray.errors import ConfigError
from lucidray.explain.method import chosen, evaluating, explainers, no_layer, positive, prepare
from lucidray.explain.perturbing import Baseline, Counter, Progress, baseline_of, look_again


@explainers.register(
    "occlusion",
    source="arXiv:1311.2901, section 4.2",
    needs="nothing but logits",
    cost="1 + (cells - window + 1)^2 forward (all findings at once): 170",
    class_specific=True,
    odd=True,
)
def occlusion(
    model: nn.Module,
    x: Tensor,
    targets: Sequence[int] | None = None,
    *,
    layer: str | nn.Module | None = None,
    sign: float = 1.0,
    cells: int = 14,
    window: int = 2,
    baseline: Baseline = "mean",
    batch_size: int = 32,
    progress: Progress | None = None,
) -> tuple[Tensor, Tensor]:
    """Explain by what a logit loses when a window of the image is covered.

    The window moves over a grid by one cell a step; a cell's value is the mean loss over the
    windows that cover it.

    Args:
        model: Any network that returns logits ``(B, F)``.
        x: Images ``(B, C, H, W)``.
        targets: Indices of logits; None = all.
        layer: Must be None.
        sign: 1 explains a logit, -1 its absence.
        cells: Rows and columns of the grid, which is the map's resolution.
        window: Edge of the window in cells.
        baseline: What covers it. Black hides nothing where the film is dark (lungs, a
            pneumothorax), so a middling grey is the default.
        batch_size: Images a forward pass.
        progress: Called with the looks done and those there are.

    Returns:
        Logits ``(B, F)`` and maps ``(B, len(targets), cells, cells)``: raw, signed, float32;
        positive where the covered part spoke for the target.

    Raises:
        ModelError: A layer was named.
        ShapeError: The images or the targets do not fit.
        ConfigError: The window is larger than the grid, or the grid than the image.

    Source: Zeiler and Fergus, Visualizing and Understanding Convolutional Networks,
        arXiv:1311.2901, section 4.2.
    Deviates: the map shows the loss of the logit, not the probability that is left, so that
        positive speaks for the target.
    """
    no_layer(layer, "occlusion")
    positive(cells=cells, window=window, batch_size=batch_size)
    x = prepare(model, x)
    if not window <= cells <= min(x.shape[2:]):
        raise ConfigError(
            f"the window has {window} and the grid {cells} cells an edge, the image "
            f"{min(x.shape[2:])} pixels; window <= cells <= pixels is expected."
        )
    places = cells - window + 1
    counter = Counter(progress, len(x) * places**2)
    with evaluating(model):
        with torch.no_grad():
            logits: Tensor = model(x)
        wanted = chosen(targets, logits.shape[-1])
        cover = baseline_of(model, x, baseline)
        losses = []
        for image, grey, seen in zip(x, cover, logits.float(), strict=True):

            def make(span: range, image: Tensor = image, grey: Tensor = grey) -> Tensor:
                return _covered(image, grey, span, cells, window)

            left = look_again(model, places**2, make, batch_size=batch_size, counter=counter)
            losses.append((seen - left)[:, wanted].T.reshape(-1, places, places))
    return logits, sign * _spread(torch.stack(losses), window)


def _covered(image: Tensor, cover: Tensor, numbers: range, cells: int, window: int) -> Tensor:
    """Cover one window a copy of an image, windows numbered by rows."""
    edges = [
        [round(cell * length / cells) for cell in range(cells + 1)] for length in image.shape[1:]
    ]
    copies = image.repeat(len(numbers), 1, 1, 1)
    for copy, number in zip(copies, numbers, strict=True):
        row, column = divmod(number, cells - window + 1)
        rows = slice(edges[0][row], edges[0][row + window])
        columns = slice(edges[1][column], edges[1][column + window])
        copy[:, rows, columns] = cover[:, rows, columns]
    return copies


def _spread(losses: Tensor, window: int) -> Tensor:
    """Give each cell the mean over the windows that cover it."""
    places = losses.shape[-1]
    total = losses.new_zeros(*losses.shape[:2], places + window - 1, places + window - 1)
    count = torch.zeros_like(total[0, 0])
    for row in range(window):
        for column in range(window):
            total[..., row : row + places, column : column + places] += losses
            count[row : row + places, column : column + places] += 1
    return total / count
