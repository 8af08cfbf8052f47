"""How a decoder that shrinks while loading places its pixels on the file's own grid."""

from __future__ import annotations

from dataclasses import dataclass

from lucidray.records import Geometry

#: The most that a decoder may be asked to shrink by.
LARGEST_FACTOR = 8


@dataclass(frozen=True)
class Shrink:
    """A shrink while loading, by a power of two.

    Args:
        factor: Source pixels a side for one loaded pixel; 1: not shrunk.
        offset: Where the source's edge 0 lies in loaded pixels. JPEG keeps the edges (0). JPEG
            2000's smaller image holds every `factor`-th low-passed sample, beginning with the
            first, so its pixel centers lie on source centers and its edges do not.
    """

    factor: int = 1
    offset: float = 0.0

    def geometry(self, source_shape: tuple[int, int], shape: tuple[int, int]) -> Geometry:
        """Return the geometry from the file's pixels to the loaded ones.

        Args:
            source_shape: ``(height, width)`` in the file's header.
            shape: ``(height, width)`` as loaded.
        """
        scale = 1.0 / self.factor
        matrix = ((scale, 0.0, self.offset), (0.0, scale, self.offset))
        return Geometry(matrix, source_shape, shape)


#: Loaded as it lies in the file.
UNSHRUNK = Shrink()


def largest_factor(shape: tuple[int, int], shrink_to: int | None) -> int:
    """Return the largest power of two that leaves both sides at least `shrink_to` long.

    Args:
        shape: ``(height, width)`` in the file's header.
        shrink_to: Shortest side wanted; None: no shrinking.

    >>> largest_factor((1024, 1000), 224)
    4
    """
    factor = 1
    if shrink_to is None:
        return factor
    while factor < LARGEST_FACTOR and min(shape) // (2 * factor) >= max(shrink_to, 1):
        factor *= 2
    return factor
