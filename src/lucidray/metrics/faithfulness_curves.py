"""What a model says while pixels go: in the order of its map, in the inverse, and at random.

One pass serves all: the image as it is and the image without anything are shared by all maps of
it, random orders by all findings; inserting is removing read backward. So the model's own time is
nearly all that is spent, and no batch is left half empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.faithfulness_fill import Fill, Removal, make_fill
from lucidray.metrics.faithfulness_order import (
    OrderStatus,
    Steps,
    order_status,
    removal_order,
    removed_fractions,
    units_of,
)
from lucidray.metrics.resampling import Progress
from lucidray.records import Float32, Float64

#: Images float32 ``(B, H, W)`` or ``(B, C, H, W)`` to outputs ``(B, F)``.
Predict: TypeAlias = Callable[[Float32], npt.ArrayLike]


@dataclass(frozen=True)
class RemovalCurves:
    """Outputs of a model by the share of pixels removed.

    Args:
        fractions: float64 ``(K,)``, the share removed, rising from 0.
        most_first: float64 ``(N, T, K)``: the highest values of the map removed first; nan where
            the map has no order.
        least_first: The same, the lowest first.
        random: The mean over random orders; nan without them.
        status: ``(N, T)`` of text: ``"ok"``, ``"no_order"`` (constant map) or ``"not_finite"``.
    """

    fractions: Float64
    most_first: Float64
    least_first: Float64
    random: Float64
    status: npt.NDArray[np.str_]


@dataclass(frozen=True)
class RemovalResult:
    """Curves of the same forward passes on two scales.

    Args:
        probability: Curves of probabilities.
        output: Curves of what the model returned, for example logits.
    """

    probability: RemovalCurves
    output: RemovalCurves


def removal_curves(
    predict: Predict,
    images: Iterable[npt.ArrayLike],
    maps: Iterable[npt.ArrayLike],
    *,
    targets: npt.ArrayLike | None = None,
    removal: Removal | None = None,
    progress: Progress | None = None,
) -> RemovalResult:
    """Remove pixels in the order of maps and record what the model says.

    Args:
        predict: The model: a batch of images to outputs ``(B, F)``. It must not keep the batch,
            which is written over.
        images: float32 ``(H, W)`` or ``(C, H, W)`` of each image, as `predict` takes them.
        maps: ``(T, h, w)`` of each image, raw and signed, spanning it; the T maps may be of T
            findings, or of several methods for one finding: what they share is computed once.
        targets: The output that each map explains: ``(T,)``, or ``(N, T)`` where that differs by
            image (the class predicted); None: map ``t`` explains output ``t``.
        removal: How pixels are removed.
        progress: Called with images done and in all (0: not known).

    Returns:
        Curves of probabilities and of outputs. Chance is a random map *of the same grid*: a map of
        7 x 7 cells is compared with 7 x 7 cells of noise, upsampled alike.

    Raises:
        ShapeError: Images, maps, targets and outputs do not fit.
        MetricError: An image is not finite.
    """
    how = removal or Removal()
    total = len(images) if isinstance(images, (list, tuple, np.ndarray)) else 0
    runner, plans = _Runner(predict, how.batch_size), list[_Plan]()
    for index, (image, stack) in enumerate(_pairs(images, maps)):
        plan = _plan(image, stack, _targets(targets, index, len(stack)), how, index)
        plans.append(plan)
        if any(status == "ok" for status in plan.status):
            runner.add(plan)
        if progress is not None:
            progress(index + 1, total)
    runner.flush()
    if not plans:
        raise ShapeError("there are no images; give at least one")
    _check_alike(plans)
    curves = [_curves(plans, how, linked) for linked in (True, False)]
    return RemovalResult(*curves)


@dataclass
class _Plan:
    """One image's work: which steps are to be seen, and what the model said of each.

    Row 0 is the whole image, row 1 the emptied one, then the inner steps of each series.
    """

    image: Float32
    fill: Fill
    series: list[Steps | None]
    status: list[OrderStatus]
    targets: npt.NDArray[np.intp]
    steps: range
    units: int
    ends: bool
    outputs: Float64 | None = None

    def rows(self) -> Iterator[tuple[int, Callable[[Float32], None]]]:
        """Yield each row's number and what writes its image."""
        yield 0, self._whole
        if self.ends:
            yield 1, lambda row: self.fill(np.ones(self.image.shape[-2:], bool), row)
        for place, numbers in enumerate(self.series):
            for step in self.steps if numbers is not None else ():
                number = 2 + place * len(self.steps) + step - 1
                yield number, self._writer(numbers, step)

    def _whole(self, row: Float32) -> None:
        row[...] = self.image

    def _writer(self, numbers: Steps | None, step: int) -> Callable[[Float32], None]:
        return lambda row: self.fill(np.asarray(numbers) < step, row)

    def keep(self, number: int, values: Float64) -> None:
        """Note what the model said of one row."""
        if self.outputs is None:
            count = 2 + len(self.series) * len(self.steps)
            self.outputs = np.full((count, len(values)), np.nan)
        self.outputs[number] = values

    def release(self) -> None:
        """Forget the pixels, once all has been seen."""
        self.series, self.image = [None] * len(self.series), self.image[..., :0, :0]


@dataclass
class _Runner:
    """Fills batches across images, so that only the very last one may be part empty."""

    predict: Predict
    size: int
    buffer: Float32 | None = None
    pending: list[tuple[_Plan, int]] = field(default_factory=list)

    def add(self, plan: _Plan) -> None:
        for number, write in plan.rows():
            if self.buffer is None or self.buffer.shape[1:] != plan.image.shape:
                self.flush()
                self.buffer = np.empty((self.size, *plan.image.shape), np.float32)
            write(self.buffer[len(self.pending)])
            self.pending.append((plan, number))
            if len(self.pending) == self.size:
                self.flush()
        plan.release()

    def flush(self) -> None:
        if self.buffer is None or not self.pending:
            return
        found = np.asarray(self.predict(self.buffer[: len(self.pending)]), np.float64)
        if found.ndim != 2 or len(found) != len(self.pending):
            raise ShapeError(
                f"the model returned {found.shape} for {len(self.pending)} images; expected (B, F)"
            )
        for (plan, number), values in zip(self.pending, found, strict=True):
            plan.keep(number, values)
        self.pending.clear()


def _pairs(
    images: Iterable[npt.ArrayLike], maps: Iterable[npt.ArrayLike]
) -> Iterator[tuple[Float32, npt.NDArray[Any]]]:
    try:
        for image, stack in zip(images, maps, strict=True):
            pixels, values = np.asarray(image, np.float32), np.asarray(stack, np.float32)
            if pixels.ndim not in (2, 3) or values.ndim != 3:
                raise ShapeError(
                    f"an image is {pixels.shape} and its maps {values.shape}; "
                    "expected (H, W) or (C, H, W), and (T, h, w)"
                )
            if not np.isfinite(pixels).all():
                raise MetricError("an image holds nan or infinite pixels; leave it out")
            yield pixels, values
    except ValueError as error:
        if "zip()" not in str(error):
            raise
        raise ShapeError("there are not as many images as maps; give one stack each") from error


def _plan(
    image: Float32, maps: npt.NDArray[Any], targets: npt.NDArray[np.intp], how: Removal, index: int
) -> _Plan:
    status = [order_status(values) for values in maps]
    rng = np.random.default_rng([how.seed, index, 0])
    noise = rng.standard_normal((how.random_orders, *maps.shape[1:]), np.float32)
    series: list[Steps | None] = []
    shape = (image.shape[-2], image.shape[-1])
    for values, state in zip(maps, status, strict=True):
        if state == "ok":
            order = removal_order(values, shape, how.steps, units=how.units, seed=how.seed)
            series += [order.most_first, order.least_first]
        else:
            series += [None, None]
    for values in noise:
        order = removal_order(values, shape, how.steps, units=how.units, seed=how.seed)
        series.append(order.most_first)
    return _Plan(
        image,
        make_fill(image, how, index),
        series,
        status,
        targets,
        range(1, how.steps),
        units_of(maps.shape, image.shape, how.units),
        how.last == how.steps,
    )


def _targets(targets: npt.ArrayLike | None, index: int, count: int) -> npt.NDArray[np.intp]:
    if targets is None:
        return np.arange(count)
    given = np.asarray(targets)
    row = given[index] if given.ndim == 2 and index < len(given) else given
    if row.shape != (count,) or row.dtype.kind not in "iu":
        raise ShapeError(
            f"targets are {given.dtype} {given.shape} for {count} maps an image; "
            "expected integers (T,) or (N, T)"
        )
    return row.astype(np.intp)


def _check_alike(plans: list[_Plan]) -> None:
    if len({len(plan.status) for plan in plans}) > 1:
        raise ShapeError("images have different numbers of maps; give each the same T")


def _curves(plans: list[_Plan], how: Removal, linked: bool) -> RemovalCurves:
    width = how.last + 1
    most, least, random = (
        np.full((len(plans), len(plans[0].status), width), np.nan) for _ in "mlr"
    )
    for index, plan in enumerate(plans):
        if plan.outputs is None:
            continue
        values = _linked(plan.outputs, how.link) if linked else plan.outputs
        for place, (target, state) in enumerate(zip(plan.targets, plan.status, strict=True)):
            if state != "ok":
                continue
            rows = _rows(_column(values, int(target)), len(plan.steps))[:, :width]
            most[index, place], least[index, place] = rows[2 * place], rows[2 * place + 1]
            if how.random_orders:
                random[index, place] = rows[2 * len(plan.status) :].mean(axis=0)
    status = np.array([plan.status for plan in plans])
    fractions = removed_fractions(plans[0].units, how.steps)[:width]
    return RemovalCurves(fractions, most, least, random, status)


def _column(values: Float64, target: int) -> Float64:
    if not 0 <= target < values.shape[1]:
        raise ShapeError(f"target {target} is no output of a model with {values.shape[1]} of them")
    return values[:, target]


def _rows(column: Float64, inner: int) -> Float64:
    """Return each series with the whole image before it and the emptied one behind."""
    series = column[2:].reshape(-1, inner)
    whole, empty = (np.full((len(series), 1), end) for end in column[:2])
    return np.hstack([whole, series, empty])


def _linked(outputs: Float64, link: str) -> Float64:
    if link == "none":
        return outputs
    if link == "sigmoid":
        return np.asarray(0.5 * (1 + np.tanh(outputs / 2)))
    shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def select(curves: RemovalCurves, place: int) -> RemovalCurves:
    """Return the curves of one of the T maps, ``(N, 1, K)``."""
    part = slice(place, place + 1)
    return replace(
        curves,
        most_first=curves.most_first[:, part],
        least_first=curves.least_first[:, part],
        random=curves.random[:, part],
        status=curves.status[:, part],
    )
