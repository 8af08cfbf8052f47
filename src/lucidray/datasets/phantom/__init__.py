"""Phantoms: generated chest radiographs of which everything is known.

A parametric thorax is projected by the Beer-Lambert law, exposed with scatter and quantum noise,
and developed as a digital film. All fourteen findings of ChestX-ray14 can be present, each with a
severity, a mask and boxes; a simulated reader's gaze, devices and a planted shortcut are optional.
"""

from lucidray.datasets.phantom.config import (
    FINDINGS,
    PREVALENCES,
    Fixation,
    LesionBox,
    Patient,
    Phantom,
    PhantomConfig,
)
from lucidray.datasets.phantom.make import make_phantom
from lucidray.datasets.phantom.write import write_phantoms

__all__ = [
    "FINDINGS",
    "PREVALENCES",
    "Fixation",
    "LesionBox",
    "Patient",
    "Phantom",
    "PhantomConfig",
    "make_phantom",
    "write_phantoms",
]
