"""A few long calls, spread over the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lucidray.cluster.session import RETRIES, load_ray, work_in
from lucidray.errors import ClusterError, LucidRayError

Result = TypeVar("Result")


def call_each(
    function: Callable[..., Result],
    calls: Sequence[tuple[Any, ...]],
    *,
    threads: int = 1,
    done: Callable[[int], object] | None = None,
) -> list[Result]:
    """Call a function with each of several sets of arguments, as many at a time as there is room.

    The process must be part of a cluster (`connected`). A call whose worker dies is made again, so
    what it writes must be whole or not at all.

    Args:
        function: What to call; it and its arguments are sent to other processes.
        calls: The arguments of each call.
        threads: Processors that each call takes.
        done: Told the place of each call as it ends.

    Returns:
        What each call returned, in the order of `calls`.

    Raises:
        LucidRayError: The first that a call raised; calls not begun are not made.
        ClusterError: Workers kept dying over one call.
    """
    ray = load_ray()
    remote = ray.remote(num_cpus=threads, max_retries=RETRIES)(_call)
    # What several calls share, such as a table of images, is sent to a machine once.
    sent = {id(each): ray.put(each) for arguments in calls for each in arguments}
    waiting = {
        remote.remote(Path.cwd(), function, *(sent[id(each)] for each in arguments)): place
        for place, arguments in enumerate(calls)
    }
    results: dict[int, Result] = {}
    try:
        while waiting:
            (ended,), _ = ray.wait(list(waiting), num_returns=1)
            place = waiting.pop(ended)
            results[place] = _result(ray, ended)
            if done is not None:
                done(place)
    finally:
        for left in waiting:
            ray.cancel(left, force=True)
    return [results[place] for place in range(len(calls))]


def _call(here: Path, function: Callable[..., Any], *arguments: Any) -> Any:
    work_in(here)
    return function(*arguments)


def _result(ray: Any, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, LucidRayError | KeyboardInterrupt):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise ClusterError(_died(error)) from error


def _died(error: BaseException) -> str:
    told = str(error).strip().partition("\n")[0]
    return (
        f"workers died {RETRIES + 1} times over the same work: {told} What was finished is kept. "
        "Give each worker more memory (fewer workers), then run the same command again."
    )
