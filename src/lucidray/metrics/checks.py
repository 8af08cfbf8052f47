"""Tables that check their own arithmetic: find what cannot be true in printed figures.

A figure is given as it is printed, best as text: ``"67.70"`` or ``"67.70%"`` stands for all values
that round to it. Figures above one are read as percent. Each check returns contradictions in
words, none where all is consistent to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lucidray.errors import MetricError, unknown_name
from lucidray.metrics import confusion
from lucidray.metrics.confusion import Counts
from lucidray.metrics.intervals import hanley_mcneil_se
from lucidray.records import Bool, Float64, Measurement

#: A figure as printed.
Printed = str | float | int
_TINY = 1e-9


def _macro_f1(counts: Counts) -> Float64:
    swapped = Counts(counts.tn, counts.fn, counts.fp, counts.tp)
    return np.asarray((confusion.f1(counts) + confusion.f1(swapped)) / 2)


_RATES: dict[str, Callable[[Counts], Float64]] = {
    "accuracy": confusion.accuracy,
    "balanced_accuracy": confusion.balanced_accuracy,
    "sensitivity": confusion.sensitivity,
    "specificity": confusion.specificity,
    "precision": confusion.precision,
    "npv": confusion.npv,
    "f1": confusion.f1,
    "f2": confusion.f2,
    "fnr": confusion.fnr,
    "fpr": confusion.fpr,
    "mcc": confusion.mcc,
    "kappa": confusion.kappa,
    "macro_f1": _macro_f1,
}


@dataclass(frozen=True)
class Range:
    """The values that round to a printed figure.

    Args:
        low: Smallest, as a fraction.
        high: Largest, as a fraction.
        text: As printed.
        percent: Whether it was printed in percent.
    """

    low: float
    high: float
    text: str
    percent: bool

    def holds(self, values: Float64) -> Bool:
        """Say, for each value, whether it rounds to the figure; never for nan."""
        return np.asarray((values >= self.low - _TINY) & (values <= self.high + _TINY))

    def show(self, low: float, high: float) -> str:
        """Return a range in the unit and with one digit more than the figure was printed in."""
        scale, sign = (100, "%") if self.percent else (1, "")
        digits = len(self.text.strip().rstrip("%").partition(".")[2]) + 1
        ends = [f"{value * scale:.{digits}f}{sign}" for value in (low, high)]
        return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def printed(value: Printed) -> Range:
    """Return what a printed figure can stand for.

    Args:
        value: Text as printed, with ``%`` or not, or a number, whose trailing zeros are lost.

    Raises:
        MetricError: It is no finite number.

    >>> figure = printed("67.70")
    >>> print(f"{figure.low:.5f} {figure.high:.5f}")
    0.67695 0.67705
    """
    text = str(value).strip()
    plain = text.rstrip("%").strip()
    try:
        number = float(plain)
    except ValueError as error:
        raise MetricError(
            f"'{text}' is no printed figure; expected for example '67.70%'"
        ) from error
    if not np.isfinite(number):
        raise MetricError(f"'{text}' is not finite; leave out what is not printed")
    half = 0.5 * 10.0 ** -len(plain.partition(".")[2])
    percent = text.endswith("%") or abs(number) > 1
    scale = 100 if percent else 1
    return Range((number - half) / scale, (number + half) / scale, text, percent)


def check_unit(name: str, value: Printed) -> list[str]:
    """Find a fraction that was printed as percent.

    >>> check_unit("accuracy", "0.49%")
    ['accuracy is printed as 0.49%; a rate below 1% is probably the fraction 0.49']
    """
    figure = printed(value)
    if not figure.text.endswith("%") or not 0 < figure.high <= 0.01:
        return []
    fraction = figure.text.rstrip("%").strip()
    return [
        f"{name} is printed as {figure.text}; a rate below 1% is probably the fraction {fraction}"
    ]


def check_sum(parts: Mapping[str, int], total: int, *, what: str = "the parts") -> list[str]:
    """Find parts that do not make up their total.

    >>> check_sum({"train": 70, "test": 20}, 100, what="the splits")
    ['the splits 70 (train) + 20 (test) make 90, not 100']
    """
    added = sum(parts.values())
    if added == total:
        return []
    listed = " + ".join(f"{value} ({name})" for name, value in parts.items())
    return [f"{what} {listed} make {added}, not {total}"]


def check_same(name: str, *values: Printed) -> list[str]:
    """Find one quantity that is printed with different values."""
    figures = [printed(value) for value in values]
    low, high = max(f.low for f in figures), min(f.high for f in figures)
    if low <= high + _TINY:
        return []
    return [f"{name} is printed as {' and as '.join(f.text for f in figures)}"]


def check_mean(values: Sequence[Printed], mean: Printed, *, what: str = "the average") -> list[str]:
    """Find an average that is not the mean of what it averages.

    Args:
        values: The averaged figures as printed, at least one.
        mean: The average as printed.
        what: Its name, for the message.

    Raises:
        MetricError: There is nothing to average.
    """
    if not values:
        raise MetricError("no figures to average; give at least one")
    figures, claimed = [printed(value) for value in values], printed(mean)
    low = float(np.mean([figure.low for figure in figures]))
    high = float(np.mean([figure.high for figure in figures]))
    if low <= claimed.high + _TINY and high >= claimed.low - _TINY:
        return []
    shown = claimed.show((low + high) / 2, (low + high) / 2)
    return [f"{what} is printed as {claimed.text}, but the mean of the {len(values)} is {shown}"]


def check_f1(
    precision: Printed, sensitivity: Printed, f1: Printed, *, what: str = "F1"
) -> list[str]:
    """Find an F1 that is not the harmonic mean of its precision and sensitivity."""
    p, r, claimed = printed(precision), printed(sensitivity), printed(f1)
    low, high = harmonic(p.low, r.low), harmonic(p.high, r.high)
    if low <= claimed.high + _TINY and high >= claimed.low - _TINY:
        return []
    return [
        f"{what} is printed as {claimed.text}, but precision {p.text} and sensitivity {r.text} "
        f"give {claimed.show(low, high)}"
    ]


def check_counts(
    tp: int, fp: int, fn: int, tn: int, *, n: int | None = None, **rates: Printed
) -> list[str]:
    """Check a printed confusion matrix against the rates printed beside it.

    Args:
        tp: Positives called positive.
        fp: Negatives called positive.
        fn: Positives called negative.
        tn: Negatives called negative.
        n: The number of images that the text states.
        rates: Printed rates by registered name (``accuracy="86%"``), and ``macro_f1``.

    Raises:
        UnknownNameError: No such rate.
    """
    counts = Counts(*(np.asarray(cell, dtype=np.float64) for cell in (tp, fp, fn, tn)))
    cells = {"tp": tp, "fp": fp, "fn": fn, "tn": tn}
    wrong = [] if n is None else check_sum(cells, n, what="the cells")
    for name, value in rates.items():
        figure, exact = printed(value), float(rate(name)(counts))
        if not figure.holds(np.asarray(exact)):
            wrong.append(
                f"{name} is printed as {figure.text}, but the counts give "
                f"{'nothing' if np.isnan(exact) else figure.show(exact, exact)}"
            )
    return wrong


def check_auc_difference(
    first: Printed, second: Printed, *, positives: int, negatives: int
) -> list[str]:
    """Find a claimed winner whose lead in AUC is within one standard error.

    Args:
        first: One model's printed AUC.
        second: The other's.
        positives: Number of positives.
        negatives: Number of negatives.

    Returns:
        One line where the lead is smaller than the standard error of a single AUC.
    """
    areas = [(printed(value).low + printed(value).high) / 2 for value in (first, second)]
    error = hanley_mcneil_se(max(areas), positives, negatives)
    lead = abs(areas[0] - areas[1])
    if lead > error:
        return []
    return [
        f"AUC {first} and {second} differ by {lead:.4f}, less than one standard error {error:.4f}"
    ]


def check_measurements(measurements: Mapping[str, Measurement], counts: Counts) -> list[str]:
    """Check our own table: each rate against the matrix, each value within its interval.

    Args:
        measurements: By registered name, as `measure_binary` returns them.
        counts: The confusion matrix printed beside them.
    """
    wrong = []
    for name, measured in measurements.items():
        if name in _RATES:
            exact = float(_RATES[name](counts))
            if not np.isclose(exact, measured.value, atol=1e-9, equal_nan=True):
                wrong.append(f"{name} is {measured.value:.6g}, but the counts give {exact:.6g}")
        if measured.low > measured.high:
            wrong.append(f"the interval of {name} runs backward: {measured}")
    return wrong


def rate(name: str) -> Callable[[Counts], Float64]:
    """Return a rate that can be checked, by its registered name, or ``macro_f1``.

    Raises:
        UnknownNameError: No such rate.
    """
    if name not in _RATES:
        raise unknown_name("rate", name, _RATES)
    return _RATES[name]


def harmonic(precision: float, sensitivity: float) -> float:
    """Return the harmonic mean of two rates; 0 where either is not above zero."""
    low, high = max(precision, 0.0), max(sensitivity, 0.0)
    return 2 * low * high / (low + high) if low * high > 0 else 0.0
