"""From raw maps of a network to attributions on source pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lucidray.images.attribution import attribute
from lucidray.records import Attribution, Geometry


def to_attribution(
    raw: Tensor | npt.NDArray[np.floating], geometry: Geometry, finding: str, method: str
) -> Attribution:
    """Carry one raw map ``(h, w)``, a tensor on any device or an array, back to source pixels.

    Else as `lucidray.images.attribution.attribute`.

    Args:
        raw: ``(h, w)``, signed, spanning the whole input of the model.
        geometry: From the file's pixels to the model's input.
        finding: The finding explained.
        method: The registered name of the method.

    Raises:
        ShapeError: The map is not ``(h, w)``.
    """
    values = raw.detach().float().cpu().numpy() if isinstance(raw, torch.Tensor) else raw
    return attribute(finding, values, geometry, method)
