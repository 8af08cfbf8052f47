"""Coordinates between a source image and a derived one; they change here and nowhere else.

A `Geometry` is affine, in edge coordinates: pixel ``(row, column)`` covers
``[column, column + 1) x [row, row + 1)``. Boxes and points therefore map exactly both ways, and
resampling follows the ``align_corners=False`` convention.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lucidray.errors import ShapeError
from lucidray.images.banded import Band, band, multiply
from lucidray.records import Bool, Float32, Float64, Geometry

Box = tuple[float, float, float, float]
Matrix = tuple[tuple[float, float, float], tuple[float, float, float]]


def identity(shape: tuple[int, int]) -> Geometry:
    """Return the geometry of an image that nothing was done to.

    Args:
        shape: ``(height, width)``.
    """
    return Geometry(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), shape, shape)


def scaling(source_shape: tuple[int, int], shape: tuple[int, int]) -> Geometry:
    """Return the geometry of a resize: the whole source onto the whole derived image.

    Args:
        source_shape: ``(height, width)`` before.
        shape: ``(height, width)`` after.

    >>> scaling((100, 200), (50, 50)).matrix
    ((0.25, 0.0, 0.0), (0.0, 0.5, 0.0))
    """
    x = shape[1] / source_shape[1]
    y = shape[0] / source_shape[0]
    return Geometry(((x, 0.0, 0.0), (0.0, y, 0.0)), source_shape, shape)


def cropping(source_shape: tuple[int, int], box: tuple[int, int, int, int]) -> Geometry:
    """Return the geometry of a crop.

    Args:
        source_shape: ``(height, width)`` before.
        box: ``(x_min, y_min, x_max, y_max)``, whole pixels, half-open.

    Raises:
        ShapeError: The box is empty or leaves the image.

    >>> cropping((100, 200), (20, 10, 60, 90)).shape
    (80, 40)
    """
    x_min, y_min, x_max, y_max = box
    height, width = source_shape
    if not (0 <= x_min < x_max <= width and 0 <= y_min < y_max <= height):
        raise ShapeError(
            f"crop box {box} does not lie in the image of {width} x {height} pixels; expected "
            "(x_min, y_min, x_max, y_max), half-open, not empty."
        )
    matrix = ((1.0, 0.0, -float(x_min)), (0.0, 1.0, -float(y_min)))
    return Geometry(matrix, source_shape, (y_max - y_min, x_max - x_min))


def placing(source_shape: tuple[int, int], shape: tuple[int, int], left: int, top: int) -> Geometry:
    """Return the geometry of pasting an image, unscaled, on a larger canvas.

    Args:
        source_shape: ``(height, width)`` of the image.
        shape: ``(height, width)`` of the canvas.
        left: Column of the canvas at which the image begins.
        top: Row of the canvas at which the image begins.
    """
    return Geometry(((1.0, 0.0, float(left)), (0.0, 1.0, float(top))), source_shape, shape)


def compose(first: Geometry, second: Geometry) -> Geometry:
    """Join two geometries: what `first` derives is the source of `second`.

    Raises:
        ShapeError: The two do not meet in one pixel grid.

    >>> compose(scaling((8, 8), (4, 4)), cropping((4, 4), (1, 0, 4, 4))).matrix
    ((0.5, 0.0, -1.0), (0.0, 0.5, 0.0))
    """
    if first.shape != second.source_shape:
        raise ShapeError(
            f"the first geometry ends in {first.shape} but the second begins in "
            f"{second.source_shape}; both must share one pixel grid."
        )
    matrix = _square(second.matrix) @ _square(first.matrix)
    return Geometry(_pack(matrix), first.source_shape, second.shape)


def invert(geometry: Geometry) -> Geometry:
    """Return the way back: derived becomes source.

    Raises:
        ShapeError: The geometry flattens the plane, so there is no way back.
    """
    (a, b, c), (d, e, f) = geometry.matrix
    determinant = a * e - b * d
    if determinant == 0 or not np.isfinite(determinant):
        raise ShapeError("a geometry that flattens the image to a line has no inverse.")
    ia, ib, id_, ie = e / determinant, -b / determinant, -d / determinant, a / determinant
    matrix = ((ia, ib, -(ia * c + ib * f)), (id_, ie, -(id_ * c + ie * f)))
    return Geometry(matrix, geometry.shape, geometry.source_shape)


def map_points(points: npt.ArrayLike, geometry: Geometry) -> Float64:
    """Carry points from the source to the derived image.

    Args:
        points: ``(..., 2)``, ``(x, y)`` in source pixels.
        geometry: The way; use `invert` for the way back.

    Returns:
        float64 ``(..., 2)`` in derived pixels; may lie outside the image.

    >>> map_points([100.0, 50.0], scaling((100, 200), (50, 50)))
    array([25., 25.])
    """
    values = _coordinates(points, 2, "points")
    matrix = np.asarray(geometry.matrix)
    return np.asarray(values @ matrix[:, :2].T + matrix[:, 2])


def map_boxes(boxes: npt.ArrayLike, geometry: Geometry, *, clip: bool = False) -> Float64:
    """Carry boxes from the source to the derived image.

    Args:
        boxes: ``(..., 4)``, ``(x_min, y_min, x_max, y_max)``, half-open, source pixels.
        geometry: The way; use `invert` for the way back.
        clip: Whether to cut the boxes at the borders of the derived image.

    Returns:
        float64 ``(..., 4)``: exact where the geometry keeps the axes, otherwise the smallest
        upright box around the turned one.  A clipped box outside the image has no area.

    >>> map_boxes([0, 0, 100, 100], scaling((100, 200), (50, 50)))
    array([ 0.,  0., 25., 50.])
    """
    values = _coordinates(boxes, 4, "boxes")
    corners = values[..., [0, 1, 2, 1, 2, 3, 0, 3]].reshape(*values.shape[:-1], 4, 2)
    moved = map_points(corners, geometry)
    mapped = np.concatenate([moved.min(axis=-2), moved.max(axis=-2)], axis=-1)
    if clip:
        height, width = geometry.shape
        mapped = np.clip(mapped, 0, [width, height, width, height])
    return np.asarray(mapped)


def heatmap_to_source(
    heatmap: npt.NDArray[np.floating], geometry: Geometry, *, outside: float = 0.0
) -> Float32:
    """Bring a heat map back from the model's grid to source pixels.

    Args:
        heatmap: ``(h, w)``, finite, of any resolution; it spans the whole derived image, so a
            7 x 7 map of a 224 x 224 input has cells of 32 pixels.
        geometry: From the source to the derived image.
        outside: Value of source pixels whose center the derived image does not show (cropped
            away); ``nan`` marks them as unknown.

    Returns:
        float32 ``source_shape``: bilinear between cell centers, held constant beyond the outermost
        centers (``align_corners=False``, not antialiased).
    """
    values = _plane(heatmap, "heat map").astype(np.float32, copy=False)
    way = compose(geometry, scaling(geometry.shape, (values.shape[0], values.shape[1])))
    if not _is_upright(way):
        return _linear_turned(values, way, outside)
    (a, _, c), (_, e, f) = way.matrix
    rows, rows_inside = _linear_band(way.source_shape[0], values.shape[0], e, f)
    columns, columns_inside = _linear_band(way.source_shape[1], values.shape[1], a, c)
    mapped = multiply(rows, values, columns)
    if not (rows_inside.all() and columns_inside.all()):
        mapped[~rows_inside, :] = outside
        mapped[:, ~columns_inside] = outside
    return mapped


def mask_to_source(mask: Bool, geometry: Geometry) -> Bool:
    """Bring a mask back from the derived image to source pixels, by the nearest pixel.

    Args:
        mask: bool ``(h, w)`` that spans the whole derived image, at any resolution.
        geometry: From the source to the derived image.

    Returns:
        bool ``source_shape``; False where the derived image does not show the source.
    """
    values = _plane(mask, "mask").astype(bool, copy=False)
    way = compose(geometry, scaling(geometry.shape, (values.shape[0], values.shape[1])))
    return _nearest(values, way)


def mask_to_model(mask: Bool, geometry: Geometry) -> Bool:
    """Carry a mask from source pixels to the derived image, by the nearest pixel.

    Args:
        mask: bool ``source_shape``.
        geometry: From the source to the derived image.

    Returns:
        bool ``shape``; False where the derived image shows padding.

    Raises:
        ShapeError: The mask is not on the source's pixel grid.
    """
    values = _plane(mask, "mask").astype(bool, copy=False)
    if values.shape != geometry.source_shape:
        raise ShapeError(
            f"mask is {values.shape} but the source is {geometry.source_shape}; "
            "both must share one pixel grid."
        )
    return _nearest(values, invert(geometry))


def _nearest(values: Bool, way: Geometry) -> Bool:
    if not _is_upright(way):
        return _nearest_turned(values, way)
    (a, _, c), (_, e, f) = way.matrix
    rows, rows_inside = _nearest_index(way.source_shape[0], values.shape[0], e, f)
    columns, columns_inside = _nearest_index(way.source_shape[1], values.shape[1], a, c)
    picked = values[rows[:, None], columns[None, :]]
    return np.asarray(picked & rows_inside[:, None] & columns_inside[None, :])


def _nearest_index(
    count: int, size: int, scale: float, offset: float
) -> tuple[npt.NDArray[np.intp], Bool]:
    position = (np.arange(count) + 0.5) * scale + offset
    index = np.floor(position).astype(np.intp)
    return np.clip(index, 0, size - 1), (position >= 0) & (position < size)


def _linear_band(count: int, size: int, scale: float, offset: float) -> tuple[Band, Bool]:
    position = (np.arange(count, dtype=np.float64) + 0.5) * scale + offset
    inside = (position >= 0) & (position <= size)
    low, share = _between(position, size)
    weights = np.stack([1 - share, share], axis=1)
    return band(low, weights, size), inside


def _between(position: Float64, size: int) -> tuple[npt.NDArray[np.intp], Float64]:
    """Return the lower of the two cells whose centers a place lies between, and its way to both."""
    place = np.clip(position - 0.5, 0, size - 1)
    low = np.minimum(place.astype(np.intp), max(size - 2, 0))
    return low, place - low


def _linear_turned(values: Float32, way: Geometry, outside: float) -> Float32:
    x, y, inside = _spots(values.shape, way)
    left, across = _between(x, values.shape[1])
    top, down = _between(y, values.shape[0])
    right = np.minimum(left + 1, values.shape[1] - 1)
    bottom = np.minimum(top + 1, values.shape[0] - 1)
    upper = values[top, left] * (1 - across) + values[top, right] * across
    lower = values[bottom, left] * (1 - across) + values[bottom, right] * across
    return np.where(inside, upper * (1 - down) + lower * down, outside).astype(np.float32)


def _nearest_turned(values: Bool, way: Geometry) -> Bool:
    x, y, inside = _spots(values.shape, way)
    row = np.clip(np.floor(y).astype(np.intp), 0, values.shape[0] - 1)
    column = np.clip(np.floor(x).astype(np.intp), 0, values.shape[1] - 1)
    return np.asarray(values[row, column] & inside)


def _spots(shape: tuple[int, ...], way: Geometry) -> tuple[Float64, Float64, Bool]:
    """Return where the centers of all source pixels lie in the derived image, and which inside."""
    height, width = way.source_shape
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    x, y = np.moveaxis(map_points(np.stack([columns, rows], axis=-1), way), -1, 0)
    inside = (x >= 0) & (y >= 0) & (x <= shape[1]) & (y <= shape[0])
    return x, y, inside


def _is_upright(geometry: Geometry) -> bool:
    (_, b, _), (d, _, _) = geometry.matrix
    return b == 0 and d == 0


def _square(matrix: Matrix) -> Float64:
    return np.array([*matrix, (0.0, 0.0, 1.0)])


def _pack(matrix: Float64) -> Matrix:
    first, second = matrix[:2].tolist()
    return (tuple(first), tuple(second))


def _coordinates(values: npt.ArrayLike, last: int, what: str) -> Float64:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] != last:
        raise ShapeError(f"{what} are {array.shape}; expected (..., {last}).")
    return array


def _plane(values: npt.NDArray[np.generic], what: str) -> npt.NDArray[np.generic]:
    array = np.asarray(values)
    if array.ndim != 2 or array.size == 0:
        raise ShapeError(f"the {what} is {array.shape}; expected (h, w), not empty.")
    return array
