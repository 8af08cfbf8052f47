"""Which images a model leaves to a person: what its calls cost, and from where on it refers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.inputs import as_float, ratio
from lucidray.metrics.multiclass import class_samples
from lucidray.metrics.selective import risk_levels
from lucidray.records import Float64


@dataclass(frozen=True)
class Referral:
    """A threshold of uncertainty with what it did on the images that it was chosen on.

    Args:
        threshold: An image is referred at and above it.
        referred: Share of images that are.
        before: Risk of all images.
        after: Risk of those that are not referred; optimistic, since it was chosen here.
        target: The risk that was aimed at; nan where a share was given.
        met: Whether it was reached; True where a share was given.
    """

    threshold: float
    referred: float
    before: float
    after: float
    target: float
    met: bool


def call_losses(
    labels: npt.ArrayLike, called: npt.ArrayLike, *, balanced: bool = False
) -> tuple[Float64, Float64]:
    """Return how wrong the calls on each image are, for findings that do not exclude each other.

    Args:
        labels: ``(N, F)``: 1, 0 or nan (not counted).
        called: bool ``(N, F)``: whether the finding counts as present.
        balanced: Whether calls count as much as if each finding were as often present as absent.

    Returns:
        Losses ``(N,)`` in [0, 1] and sizes ``(N,)``; both 0 where nothing is labeled.

    Raises:
        ShapeError: The arrays are not both ``(N, F)``.
    """
    truth, found = as_float(labels, "labels"), np.asarray(called, dtype=bool)
    if truth.ndim != 2 or truth.shape != found.shape:
        raise ShapeError(f"labels are {truth.shape}, calls {found.shape}; both must be (N, F)")
    weight = np.zeros(truth.shape)
    for value in (0, 1):
        here = truth == value
        share = ratio(here.sum(axis=0), (~np.isnan(truth)).sum(axis=0))
        weight += here * (np.nan_to_num(ratio(0.5, share)) if balanced else 1.0)
    sizes = weight.sum(axis=1)
    lost = (weight * (found != (truth == 1))).sum(axis=1)
    return np.nan_to_num(ratio(lost, sizes)), sizes


def class_losses(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, balanced: bool = False
) -> tuple[Float64, Float64]:
    """Return whether the likeliest of K findings is the wrong one.

    Args:
        labels: ``(N,)`` class indices or ``(N, K)`` one-hot; nan = not counted.
        probabilities: ``(N, K)``, rows summing to one.
        balanced: Whether images count as much as if all classes were equally frequent.

    Returns:
        Losses ``(N,)``, 0 or 1, and sizes ``(N,)``; both 0 where nothing is labeled.

    Raises:
        ShapeError, MetricError: As in `class_samples`.
    """
    truth, values, known = class_samples(labels, probabilities)
    losses, sizes = np.zeros(len(known)), np.zeros(len(known))
    losses[known] = values.argmax(axis=1) != truth
    count = np.bincount(truth, minlength=values.shape[1])
    sizes[known] = ratio(len(truth), (count > 0).sum() * count)[truth] if balanced else 1.0
    return losses, sizes


def choose_referral(
    losses: npt.ArrayLike,
    uncertainty: npt.ArrayLike,
    *,
    sizes: npt.ArrayLike | None = None,
    target: float | None = None,
    most: float = 0.2,
    share: float | None = None,
) -> Referral:
    """Choose the uncertainty from which on an image goes to a person.

    Args:
        losses: ``(N,)`` of validation images.
        uncertainty: ``(N,)`` in [0, 1].
        sizes: ``(N,)``, 0 = left out; None: all the same.
        target: Refer the fewest images that bring the risk of the rest down to it; None: to half
            the risk of all images.
        most: Never refer more than this share; where the target then is out of reach, the cut with
            the lowest risk is taken.
        share: Refer this share instead, whatever the risk; fewer only where images are equally
            unsure.

    Returns:
        The threshold, midway between two uncertainties; where none needs to be referred, midway
        between the largest one seen and 1, so that stranger images still are.

    Raises:
        ShapeError: The arrays are not all ``(N,)``.
        MetricError: A setting is out of range or no image counts.
    """
    limit = most if share is None else share
    if not 0 <= limit < 1 or (target is not None and target < 0):
        raise MetricError(
            f"at most {limit:g} of the images are to be referred, for a risk of {target}; expected "
            "a share in [0, 1) and a risk of at least 0"
        )
    ordered = risk_levels(losses, uncertainty, sizes, None)
    lost, size, count = (part[1:] for part in ordered.plain())
    risk, kept = ratio(lost, size), count / count[-1]
    aim = risk[-1] / 2 if target is None else target
    allowed = np.flatnonzero(kept >= 1 - limit - 1e-9)
    good = allowed[risk[allowed] <= aim + 1e-12]
    lowest = allowed[risk[allowed] <= risk[allowed].min() + 1e-12]
    cut = int(good[-1] if good.size else lowest[-1]) if share is None else int(allowed[0])
    return Referral(
        _threshold(ordered.levels, cut),
        float(1 - kept[cut]),
        float(risk[-1]),
        float(risk[cut]),
        float("nan") if share is not None else float(aim),
        bool(share is not None or good.size),
    )


def _threshold(levels: Float64, last: int) -> float:
    """Return a cut between the last uncertainty that is kept and the next one, or 1."""
    above = levels[last + 1] if last + 1 < len(levels) else max(1.0, levels[last] + 1e-6)
    return float(max((levels[last] + above) / 2, np.nextafter(levels[last], np.inf)))
