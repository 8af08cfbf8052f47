"""What findings change on an image, gathered before it is projected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from lucidray.datasets.phantom.chest import Chest, Lung
from lucidray.datasets.phantom.draw import Random, Samples
from lucidray.datasets.phantom.frame import Window
from lucidray.records import Bool, Float32


@dataclass(frozen=True)
class Sign:
    """A finding that is present.

    Args:
        finding: Its name.
        severity: In (0, 1].
        side: -1 right, 1 left, of the patient; 0 both.
        rng: Its own source of chance.
    """

    finding: str
    severity: float
    side: int
    rng: Random

    @property
    def sides(self) -> tuple[int, ...]:
        """The sides concerned."""
        return (self.side,) if self.side else (-1, 1)


@dataclass(frozen=True)
class Lesion:
    """A lesion and where it is seen.

    Args:
        finding: What it is.
        window: Where it lies.
        mask: bool ``(h, w)`` on the window.
    """

    finding: str
    window: Window
    mask: Bool


@dataclass
class Scene:
    """The changes that findings make.

    Args:
        chest: The body on its frame.
        filled: Share of each lung's air that has given way to fluid or tissue, by side.
        thinned: Factor on each lung's density, by side.
        kept: Factor on each lung's vessels, by side.
        added: Optical depths to add, with their windows.
        strokes: Fine lines to add.
        lesions: What is there to be found.
    """

    chest: Chest
    filled: dict[int, Float32] = field(default_factory=dict)
    thinned: dict[int, Float32] = field(default_factory=dict)
    kept: dict[int, Float32] = field(default_factory=dict)
    added: list[tuple[Window, Float32]] = field(default_factory=list)
    strokes: list[Samples] = field(default_factory=list)
    lesions: list[Lesion] = field(default_factory=list)

    def fill(self, side: int, share: Float32) -> None:
        """Replace a share (0 to 1, on the lung's window) of what air is left."""
        before = self.filled.get(side)
        self.filled[side] = share if before is None else 1 - (1 - before) * (1 - share)

    def thin(self, side: int, factor: Float32) -> None:
        """Multiply the density of a lung."""
        self.thinned[side] = self.thinned[side] * factor if side in self.thinned else factor

    def keep(self, side: int, factor: Float32) -> None:
        """Multiply what is seen of the vessels."""
        self.kept[side] = self.kept[side] * factor if side in self.kept else factor

    def note(self, finding: str, window: Window, mask: Bool) -> None:
        """Record a lesion, unless nothing of it is on the image."""
        if mask.any():
            self.lesions.append(Lesion(finding, window, mask))


#: What draws a finding into a scene.
Drawer = Callable[[Scene, Sign], None]


def spot(lung: Lung, rng: Random, where: Bool) -> tuple[float, float]:
    """Choose a place in a lung.

    Args:
        lung: The lung.
        rng: Source of chance.
        where: bool on the lung's window: allowed places; where none is, the whole field is.

    Returns:
        ``x`` (outward) and ``y`` in body centimeters.
    """
    for allowed in (where & lung.inside, lung.inside):
        rows, columns = np.nonzero(allowed[::3, ::3])
        if rows.size:
            chosen = int(rng.integers(rows.size))
            row, column = 3 * rows[chosen], 3 * columns[chosen]
            return float(lung.x[row, column]), float(lung.y[row, column])
    middle = (lung.x.shape[0] // 2, lung.x.shape[1] // 2)
    return float(lung.x[middle]), float(lung.y[middle])
