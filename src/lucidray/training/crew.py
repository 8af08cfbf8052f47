"""The processes that train one model together, where torchrun or Ray Train started them.

All of them run the same program. The first decides and writes; the others follow, so that a file is
read only when it is there and a mistake is told by all. A process of its own leads a crew of one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from torch import distributed

from lucidray.errors import LucidRayError

Value = TypeVar("Value")

#: How long a process waits for the first, which chooses operating points and the like alone.
PATIENCE = timedelta(days=2)

#: Numbers travel by way of the processors' memory or of the cards', whichever they are in.
BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}


@contextmanager
def crew(accelerator: str) -> Iterator[None]:
    """Be together with the processes that were started beside this one, while the block runs.

    Args:
        accelerator: ``"cpu"`` or ``"cuda"``.
    """
    if distributed.is_initialized() or "TORCHELASTIC_RUN_ID" not in os.environ:
        yield
        return
    distributed.init_process_group(BACKENDS[accelerator], timeout=PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def speaks() -> bool:
    """Tell whether a command that runs in this process is the one of its crew that says so."""
    return "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("RANK", "0") == "0"


def size() -> int:
    """Return how many processes train together; 1: this one alone."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def size_here() -> int:
    """Return how many of them run on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if size() > 1 else 1


def leads() -> bool:
    """Tell whether this process decides and writes."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def first(decide: Callable[[], Value]) -> Value:
    """Return in every process what a function returns in the first, where alone it is called.

    Args:
        decide: What it returns is sent to the others, and so is an error of ours.

    Raises:
        LucidRayError: The function raised it.
    """
    if size() == 1:
        return decide()
    told: list[Any] = [None, None]
    if leads():
        try:
            told[0] = decide()
        except LucidRayError as error:
            told[1] = error
    distributed.broadcast_object_list(told, src=0)
    if told[1] is not None:
        raise told[1]
    value: Value = told[0]
    return value


def one_by_one(make: Callable[[], Value]) -> Value:
    """Call a function in every process, in the first before the others: what it keeps serves them.

    Args:
        make: What it keeps on disk is found there by the second who calls it.
    """
    made: list[Value] = []
    first(lambda: made.append(make()))
    return made[0] if made else make()
