"""Which confusion matrices printed rates leave possible, by trying all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from lucidray.errors import MetricError
from lucidray.metrics.checks import Printed, Range, printed, rate
from lucidray.metrics.confusion import Counts
from lucidray.metrics.inputs import Int
from lucidray.records import Float64

_CELLS = 2**20  # matrices that are tried at once


def implied_counts(positives: int, negatives: int, **rates: Printed) -> list[Counts]:
    """Return every confusion matrix of the class sizes that gives all printed rates.

    Args and Raises as in `check_rates`.

    >>> found = implied_counts(1500, 1500, accuracy="66.13", precision="66.60", f1="65.65")
    >>> [(int(c.tp), int(c.fp)) for c in found]
    [(971, 487)]
    """
    figures = {name: printed(value) for name, value in rates.items()}
    found = []
    for counts, misfits, _ in _tables(positives, negatives, figures):
        for at in np.flatnonzero(misfits == 0):
            cells = (counts.tp[at], counts.fp[at], counts.fn[at], counts.tn[at])
            found.append(Counts(*(np.asarray(cell) for cell in cells)))
    return found


def check_rates(positives: int, negatives: int, **rates: Printed) -> list[str]:
    """Check whether any confusion matrix at all gives the printed rates together.

    All matrices of the two class sizes are tried. Where none fits, the fewest figures that must be
    wrong are named, with what the others leave for them.

    Args:
        positives: Number of positives.
        negatives: Number of negatives.
        rates: Printed rates by registered name, and ``macro_f1``.

    Returns:
        Nothing where a matrix fits, else one line.

    Raises:
        UnknownNameError: No such rate.
        MetricError: A class is empty or no rate is given.

    >>> lines = check_rates(500, 500, sensitivity="0.880", precision="0.8224", accuracy="83.7%")
    >>> print(lines[0])
    no matrix of 500 positives and 500 negatives gives sensitivity 0.880, precision 0.8224 and
    accuracy 83.7% together: the other figures leave precision 0.81031; or accuracy 84.50%
    """
    figures = {name: printed(value) for name, value in rates.items()}
    ways = _ways_out(positives, negatives, figures)
    if 0 in ways:
        return []
    listed = _join([f"{name} {figure.text}" for name, figure in figures.items()])
    out = "; or ".join(_leave(figures, code, *ends) for code, ends in sorted(ways.items()))
    return [
        f"no matrix of {positives} positives and {negatives} negatives gives {listed} together: "
        f"the other figures leave {out}"
    ]


def _tables(
    positives: int, negatives: int, figures: Mapping[str, Range]
) -> Iterator[tuple[Counts, Int, Float64]]:
    """Yield matrices, which figures each misses (bit k = figure k), and their rates ``(K, M)``."""
    if positives < 1 or negatives < 1 or not figures:
        raise MetricError(
            f"{positives} positives, {negatives} negatives and {len(figures)} rates; each must be "
            "at least 1"
        )
    step = max(1, _CELLS // (negatives + 1))
    for start in range(0, positives + 1, step):
        hits = np.arange(start, min(start + step, positives + 1), dtype=np.float64)
        tp, tn = (grid.ravel() for grid in np.meshgrid(hits, np.arange(negatives + 1.0)))
        counts = Counts(tp, negatives - tn, positives - tp, tn)
        values = np.stack([rate(name)(counts) for name in figures])
        misfits = np.zeros(tp.size, dtype=np.int64)
        for k, figure in enumerate(figures.values()):
            misfits |= (~figure.holds(values[k])).astype(np.int64) << k
        yield counts, misfits, values


def _ways_out(
    positives: int, negatives: int, figures: Mapping[str, Range]
) -> dict[int, tuple[Float64, Float64]]:
    """Return the smallest sets of figures that must be wrong, with the range of each rate then."""
    ways: dict[int, tuple[Float64, Float64]] = {}
    fewest = len(figures) + 1
    for _, misfits, values in _tables(positives, negatives, figures):
        wrong = np.array([bin(code).count("1") for code in range(1 << len(figures))])[misfits]
        if wrong.min() < fewest:
            fewest, ways = int(wrong.min()), {}
        for code in np.unique(misfits[wrong == fewest]):
            here = values[:, misfits == code]
            low, high = here.min(axis=1), here.max(axis=1)
            known = ways.get(int(code), (low, high))
            ways[int(code)] = np.fmin(known[0], low), np.fmax(known[1], high)
    return ways


def _leave(figures: Mapping[str, Range], code: int, low: Float64, high: Float64) -> str:
    wrong = [k for k in range(len(figures)) if code >> k & 1]
    names, ranges = list(figures), list(figures.values())
    return _join([f"{names[k]} {ranges[k].show(low[k], high[k])}" for k in wrong])


def _join(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
