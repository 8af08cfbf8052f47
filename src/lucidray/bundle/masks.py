"""What a segmentation bundle's answer says on the pixels of the file."""

from __future__ import annotations

from lucidray.images.geometry import compose, heatmap_to_source
from lucidray.images.lungs import tidy_lungs
from lucidray.images.preprocessing import Preprocessing, spatial_geometry
from lucidray.records import Bool, Float32, XRay


def to_source(values: Float32, xray: XRay, preprocessing: Preprocessing) -> Float32:
    """Carry a map over the network's square to the pixels of the file.

    Args:
        values: float32 ``(h, w)``.
        xray: The radiograph that the network saw.
        preprocessing: What was done to it before.

    Returns:
        float32 ``(H, W)``, bilinear; 0 where the network did not see the file.
    """
    height, width = xray.pixels.shape
    within = spatial_geometry((height, width), preprocessing)
    return heatmap_to_source(values, compose(xray.geometry, within))


def outline(probabilities: Float32, threshold: float) -> Bool:
    """Cut probabilities of lung to the mask of both lungs.

    Args:
        probabilities: float32 ``(H, W)``.
        threshold: Probability at and above which a pixel counts as lung.

    Returns:
        bool ``(H, W)``; all False where there is no lung.
    """
    return tidy_lungs(probabilities >= threshold)
