"""LucidRay: interpretable chest X-ray diagnosis, from training to the reading room.

>>> from lucidray import diagnose, load_bundle                                # doctest: +SKIP
>>> bundle = load_bundle("pediatric-pneumonia")                               # doctest: +SKIP
>>> diagnosis = diagnose("film.dcm", bundle)                                  # doctest: +SKIP
>>> diagnosis.prediction.probabilities, diagnosis.boxes                       # doctest: +SKIP

Names are imported when they are first used, so that ``import lucidray`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lucidray.errors import LucidRayError as LucidRayError

if TYPE_CHECKING:
    from lucidray.bundle import Bundle as Bundle
    from lucidray.bundle import bundles as bundles
    from lucidray.bundle import load_bundle as load_bundle
    from lucidray.images import overlay as overlay
    from lucidray.images import read_xray as read_xray
    from lucidray.images import save_png as save_png
    from lucidray.pipeline import diagnose as diagnose
    from lucidray.records import Attribution as Attribution
    from lucidray.records import Diagnosis as Diagnosis
    from lucidray.records import Prediction as Prediction
    from lucidray.records import Refusal as Refusal
    from lucidray.records import Uncertainty as Uncertainty
    from lucidray.records import XRay as XRay

__version__ = "0.1.0"

_PLACES = {
    "lucidray.bundle": ("Bundle", "bundles", "load_bundle"),
    "lucidray.images": ("overlay", "read_xray", "save_png"),
    "lucidray.pipeline": ("diagnose",),
    "lucidray.records": (
        *("Attribution", "Diagnosis", "Prediction", "Refusal", "Uncertainty", "XRay"),
    ),
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}

__all__ = [
    "LucidRayError",
    *_PLACE_OF,
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _PLACE_OF:
        raise AttributeError(f"module 'lucidray' has no attribute '{name}'")
    return getattr(import_module(_PLACE_OF[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return [*globals(), *_PLACE_OF]
