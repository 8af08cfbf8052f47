"""Bundles: a trained model in one file, read by ONNX Runtime or OpenVINO, without torch.

>>> from lucidray.bundle import load_bundle                    # doctest: +SKIP
>>> reading = load_bundle("pediatric-pneumonia").read(pixels)  # doctest: +SKIP
>>> reading.prediction.probabilities, reading.maps.shape       # doctest: +SKIP

The card's classes are in `lucidray.bundle.card`; they are not imported here, so that a reading
starts fast.
"""

from lucidray.bundle.installed import bundles, find_bundle
from lucidray.bundle.runtime import Bundle, Reading, load_bundle

__all__ = ["Bundle", "Reading", "bundles", "find_bundle", "load_bundle"]
