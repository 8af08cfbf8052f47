"""From a raw map on a model's grid to an attribution on source pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lucidray.errors import ShapeError
from lucidray.images.geometry import heatmap_to_source
from lucidray.records import Attribution, AttributionStatus, Float32, Geometry


def attribute(
    finding: str, raw: npt.NDArray[np.floating], geometry: Geometry, method: str
) -> Attribution:
    """Carry one raw map back to the pixels of the file that it explains.

    Args:
        finding: The finding explained.
        raw: ``(h, w)``, signed, spanning the whole input of the model.
        geometry: From the file's pixels to the model's input.
        method: The registered name of the method.

    Returns:
        The attribution, float32 on source pixels: bilinear between the map's cells, 0 where the
        model did not see the image. Its status is ``no_positive_evidence`` where no value is
        above 0, and ``not_finite`` where one is nan or infinite: then all source pixels are nan.

    Raises:
        ShapeError: The map is not ``(h, w)``.
    """
    if raw.ndim != 2 or not raw.size:
        raise ShapeError(
            f"the raw map is {raw.shape}; (h, w) of one image and one finding is expected. "
            "Take maps[image, finding]."
        )
    values = np.array(raw, dtype=np.float32)
    status = _status(values)
    if status == "not_finite":
        mapped = np.full(geometry.source_shape, np.nan, np.float32)
    else:
        mapped = heatmap_to_source(values, geometry)
    return Attribution(finding, method, mapped, values, status)


def _status(values: Float32) -> AttributionStatus:
    if not np.isfinite(values).all():
        return "not_finite"
    return "ok" if (values > 0).any() else "no_positive_evidence"
