"""Check a printed table of K classes: its rows against each other, its accuracy and its total."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import ceil, floor

from lucidray.errors import MetricError
from lucidray.metrics.checks import Printed, Range, check_f1, printed

_TINY = 1e-9


@dataclass(frozen=True)
class ClassRow:
    """One printed row.

    Args:
        support: Number of images of the class.
        precision: As printed; None: not printed.
        sensitivity: As printed; None: not printed.
        f1: As printed; None: not printed.
    """

    support: int
    precision: Printed | None = None
    sensitivity: Printed | None = None
    f1: Printed | None = None


@dataclass(frozen=True)
class _Span:
    """What is possible for a count."""

    low: float
    high: float

    @property
    def empty(self) -> bool:
        return self.low > self.high + _TINY


def check_classes(rows: Mapping[str, ClassRow], *, accuracy: Printed | None = None) -> list[str]:
    """Check the rows of a table of K classes of which exactly one is right for each image.

    Args:
        rows: By class; supports must be known.
        accuracy: The accuracy printed for the same table.

    Returns:
        Contradictions in words: an F1 that its own row denies, a sensitivity that no whole number
        of images gives, rows that imply another accuracy, columns that do not add up to the number
        of images, rows printed twice. Where one class is not printed, what is left for it is
        worked out from the others first.

    Raises:
        MetricError: A table of fewer than two classes, or a class without images.
    """
    if len(rows) < 2 or min(row.support for row in rows.values()) < 1:
        raise MetricError("a table needs at least two classes with at least one image each")
    total = sum(row.support for row in rows.values())
    hits = {name: _hits(row) for name, row in rows.items()}
    wrong = [line for name, row in rows.items() for line in _row_faults(name, row, hits[name])]
    if wrong and any(span is not None and span.empty for span in hits.values()):
        return wrong + _twins(rows)
    wrong += _accuracy_faults(hits, total, accuracy)
    hits = _complete(hits, None if accuracy is None else _times(printed(accuracy), total))
    called = {name: _called(row, hits[name]) for name, row in rows.items()}
    wrong += _column_faults(called, total)
    called = _complete(called, _Span(total, total))
    wrong += [line for name in rows for line in _f1_faults(name, rows[name], hits, called)]
    return wrong + _twins(rows)


def _hits(row: ClassRow) -> _Span | None:
    if row.sensitivity is None:
        return None
    span = _times(printed(row.sensitivity), row.support)
    return _Span(ceil(span.low - _TINY), floor(span.high + _TINY))


def _times(figure: Range, size: int) -> _Span:
    return _Span(max(figure.low, 0.0) * size, min(figure.high, 1.0) * size)


def _called(row: ClassRow, hits: _Span | None) -> _Span | None:
    if row.precision is None or hits is None:
        return None
    figure = printed(row.precision)
    if figure.low <= 0:
        return None
    return _Span(hits.low / figure.high, hits.high / figure.low)


def _complete(spans: dict[str, _Span | None], total: _Span | None) -> dict[str, _Span | None]:
    """Work out the one class that is missing from the total, where just one is."""
    missing = [name for name, span in spans.items() if span is None]
    known = [span for span in spans.values() if span is not None]
    if len(missing) != 1 or total is None:
        return spans
    low = max(0.0, total.low - sum(span.high for span in known))
    high = total.high - sum(span.low for span in known)
    return {**spans, missing[0]: _Span(low, high)}


def _row_faults(name: str, row: ClassRow, hits: _Span | None) -> list[str]:
    if hits is not None and hits.empty:
        return [
            f"the sensitivity of {name} is printed as {row.sensitivity}, which no whole number of "
            f"its {row.support} images gives"
        ]
    if row.precision is None or row.sensitivity is None or row.f1 is None:
        return []
    return check_f1(row.precision, row.sensitivity, row.f1, what=f"F1 of {name}")


def _accuracy_faults(
    hits: Mapping[str, _Span | None], total: int, accuracy: Printed | None
) -> list[str]:
    known = [span for span in hits.values() if span is not None]
    if accuracy is None or len(known) < len(hits):
        return []
    figure = printed(accuracy)
    low, high = (sum(span.low for span in known) / total, sum(span.high for span in known) / total)
    if low <= figure.high + _TINY and high >= figure.low - _TINY:
        return []
    return [
        f"accuracy is printed as {figure.text}, but the sensitivities of the rows give "
        f"{figure.show(low, high)}"
    ]


def _column_faults(called: Mapping[str, _Span | None], total: int) -> list[str]:
    known = [span for span in called.values() if span is not None]
    low, high = sum(span.low for span in known), sum(span.high for span in known)
    if low > total + _TINY or (len(known) == len(called) and high < total - _TINY):
        return [
            f"precisions and sensitivities imply {low:.0f} to {high:.0f} calls, but there are "
            f"{total} images"
        ]
    return []


def _f1_faults(
    name: str,
    row: ClassRow,
    hits: Mapping[str, _Span | None],
    called: Mapping[str, _Span | None],
) -> list[str]:
    """Check F1 = 2 hits / (support + calls) where the row itself could not be checked."""
    own, calls = hits[name], called[name]
    printed_whole = row.precision is not None and row.sensitivity is not None
    if row.f1 is None or own is None or calls is None or printed_whole or calls.empty or own.empty:
        return []
    figure = printed(row.f1)
    low = 2 * own.low / (row.support + max(calls.high, own.low))
    high = min(1.0, 2 * own.high / (row.support + max(calls.low, own.high)))
    if low <= figure.high + _TINY and high >= figure.low - _TINY:
        return []
    return [
        f"F1 of {name} is printed as {figure.text}, but the other rows leave "
        f"{figure.show(low, high)}"
    ]


def _twins(rows: Mapping[str, ClassRow]) -> list[str]:
    """Find two rows whose three figures are all the same, which is likely a slip of copying."""
    found = []
    for (one, first), (two, second) in combinations(rows.items(), 2):
        figures = (first.precision, first.sensitivity, first.f1)
        same = figures == (second.precision, second.sensitivity, second.f1)
        if same and None not in figures and any(printed(f).high < 1 for f in figures if f):
            found.append(f"the rows of {one} and {two} are the same in every figure")
    return found
