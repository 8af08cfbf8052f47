"""The loss of masks: how wrong pixels are, and how little masks overlap."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from lucidray.errors import ShapeError


def mask_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy of pixels plus one minus the soft Dice of masks, mean over images.

    Args:
        logits: ``(B, F, H, W)``.
        targets: ``(B, F, H, W)`` in [0, 1]: how much of each pixel the mask covers.

    Raises:
        ShapeError: The two differ in shape.

    Source:
        Isensee et al. 2021, doi:10.1038/s41592-020-01008-z (nnU-Net, Methods: the sum of both).

    Deviates:
        Dice is taken over each image, not over the batch, and smoothed by one pixel, so that an
        empty mask that is found empty costs nothing.

    >>> import torch
    >>> logits, mask = torch.tensor([[[[9.0, -9.0]]]]), torch.tensor([[[[1.0, 0.0]]]])
    >>> float(mask_loss(logits, mask)) < 0.001 < float(mask_loss(-logits, mask))
    True
    """
    if logits.ndim != 4 or logits.shape != targets.shape:
        raise ShapeError(
            f"logits are {tuple(logits.shape)} but masks {tuple(targets.shape)}; both must be "
            "(B, F, H, W)."
        )
    values = logits.float()
    pixels = functional.binary_cross_entropy_with_logits(values, targets)
    inside, axes = values.sigmoid(), (2, 3)
    common = (inside * targets).sum(axes)
    overlap = (2 * common + 1) / (inside.sum(axes) + targets.sum(axes) + 1)
    return pixels + (1 - overlap).mean()
