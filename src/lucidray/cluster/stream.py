"""A long stream of items through the workers of a cluster, by Ray Data."""

from __future__ import annotations

import logging
import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from lucidray.cluster.session import RETRIES, load_ray
from lucidray.errors import ClusterError, LucidRayError

Item = TypeVar("Item")
Result = TypeVar("Result")

#: A worker takes so many items at a time, at most; what one that dies was at is done again.
_BLOCK = 32


def map_on_cluster(
    make: Callable[[], Callable[[Item], Result]],
    items: Sequence[Item],
    *,
    workers: int,
    threads: int = 1,
) -> Iterator[Result]:
    """Apply a function to items in worker processes and yield the results in the items' order.

    The process must be part of a cluster (`connected`). Where a worker dies, another takes its
    items, and the result of each item is yielded once.

    Args:
        make: Called once in each worker; returns the function.
        items: The items; they and the results are sent between processes.
        workers: Worker processes.
        threads: Processors that each of them takes.

    Raises:
        LucidRayError: The first that the function raised.
        ClusterError: Workers kept dying over the same items.
    """
    if not items:
        return
    ray = load_ray()
    try:
        for row in _rows(items, make, workers=min(workers, len(items)), threads=threads):
            yield _taken(row["result"])
    except ray.exceptions.RayError as error:
        raise ClusterError(
            f"workers died {RETRIES + 1} times over the same items. What was finished is kept. "
            "Give each worker more memory (fewer workers), then run the same command again."
        ) from error


class Worker:
    """What a worker process holds.

    Args:
        make: Returns the function; called when the first items come.
    """

    def __init__(self, make: Callable[[], Callable[[Any], Any]]) -> None:
        self.make = make
        self.function: Callable[[Any], Any] | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """Apply the function to a batch of pickled items; an error is sent as a result."""
        return {"result": [pickle.dumps(self._one(item)) for item in batch["item"]]}

    def _one(self, item: bytes) -> Any:
        try:
            if self.function is None:
                self.function = self.make()
            return self.function(pickle.loads(item))  # noqa: S301 - our own process wrote it
        except LucidRayError as error:
            return error


def _taken(result: bytes) -> Any:
    found = pickle.loads(result)  # noqa: S301 - our own worker wrote it
    if isinstance(found, LucidRayError):
        raise found
    return found


def _rows(
    items: Sequence[Any], make: Callable[[], Any], *, workers: int, threads: int
) -> Iterator[dict[str, Any]]:
    size = max(1, min(_BLOCK, len(items) // (4 * workers)))
    packed = [{"item": pickle.dumps(item)} for item in items]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own deprecations
        data = _ray_data()
        mapped = data.from_items(packed, override_num_blocks=-(-len(items) // size)).map_batches(
            Worker,
            fn_constructor_args=(make,),
            batch_size=None,
            compute=data.ActorPoolStrategy(size=workers),
            num_cpus=threads,
            max_restarts=-1,
            max_task_retries=RETRIES,
        )
    yield from mapped.iter_rows()


def _ray_data() -> Any:
    """Return Ray Data, told to keep the order and be quiet."""
    import ray.data as data

    options = data.DataContext.get_current()
    options.execution_options.preserve_order = True
    options.enable_progress_bars = False
    options.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    return data
