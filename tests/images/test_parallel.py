"""Threads with a bounded number of results in flight."""

from __future__ import annotations

import threading

import pytest

from lucidray.images.parallel import map_in_order


@pytest.mark.parametrize("workers", [0, 1, 2, 7])
def test_results_come_in_order(workers: int) -> None:
    assert list(map_in_order(str, range(100), workers=workers)) == [str(n) for n in range(100)]


def test_items_are_taken_as_needed() -> None:
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    results = map_in_order(abs, items(), workers=2)
    next(results)
    assert len(taken) <= 8
    results.close()


def test_errors_come_where_the_result_would() -> None:
    results = map_in_order(lambda n: 1 // n, [1, 1, 0, 1], workers=2)
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not [t for t in threading.enumerate() if t.name.startswith("lucidray")]
