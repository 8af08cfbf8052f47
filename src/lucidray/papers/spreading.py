"""The independent parts of an experiment: one after the other here, or spread over a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from lucidray.papers.catalog import Plan

Result = TypeVar("Result")


def each(
    plan: Plan,
    function: Callable[..., Result],
    calls: Sequence[tuple[Any, ...]],
    tells: Sequence[Callable[..., object]],
) -> list[Result]:
    """Call a function for each part of an experiment: here, or by the workers of its cluster.

    A worker trains into the experiment's own folder, which every machine must see under the same
    path, and takes up what another that died has left there. So where a part is done changes no
    number.

    Args:
        plan: Says where; it is the function's first argument.
        function: ``function(plan, *arguments, tell)``; on a cluster all of it is sent.
        calls: The arguments of each part.
        tells: What each part tells its progress; on a cluster only that it is done.

    Returns:
        What each call returned, in the order of `calls`.

    Raises:
        LucidRayError: The first that a part raised.
    """
    if not plan.cluster:
        return [function(plan, *call, tell) for call, tell in zip(calls, tells, strict=True)]
    from lucidray.cluster import call_each

    alone = replace(plan, cluster="", resume=True)
    return call_each(
        function,
        [(alone, *call, quietly) for call in calls],
        done=lambda place: tells[place](1, 1),
    )


def quietly(*_: object) -> Callable[..., object]:
    """Take note of progress, or of who wants to tell some, where nobody sees it."""
    return quietly
