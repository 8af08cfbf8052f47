"""A Ray cluster for a while: found or started, kept quiet, and left when the work is done."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lucidray.errors import ClusterError, missing_extra

#: The address that starts a cluster on this machine, for as long as the work lasts.
LOCAL = "local"

#: How often a piece of work is given to another worker where one died over it.
RETRIES = 3

#: Seconds within which a cluster's first machine must let one in.
_KNOCK_S = 10.0

#: Ray's own switches: nothing is sent to its makers, and its daemons do not write to our terminal.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}


def work_in(folder: Path) -> None:
    """Work, in a worker, where the command was given, so that relative paths mean the same.

    Args:
        folder: The command's working folder.

    Raises:
        ClusterError: This machine does not see it.
    """
    if not folder.is_dir():
        raise ClusterError(
            f"{socket.gethostname()} does not see {folder}. Every machine of the cluster must see "
            "data and results under the same path."
        )
    os.chdir(folder)


@contextmanager
def connected(address: str, *, cpus: int | None = None) -> Iterator[None]:
    """Be part of a cluster while the block runs.

    Args:
        address: ``"local"`` starts a cluster on this machine, which ends with the block; else that
            of a running one, for example ``"auto"`` or ``"10.0.0.1:6379"``. Within a process that
            is part of one already, that one serves.
        cpus: Processors that a cluster started here may use; None: all.

    Raises:
        ClusterError: No cluster answers there.
        MissingExtraError: Ray is not installed.
    """
    if address == LOCAL:
        _lock_out_others()
    ray = load_ray()
    if ray.is_initialized():
        yield
        return
    _join(ray, address, cpus)
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ray.shutdown()


def processors() -> int:
    """Return how many processors the cluster has that this process is part of."""
    return int(load_ray().cluster_resources().get("CPU", 0))


def load_ray() -> Any:
    """Return Ray, told to be quiet.

    Raises:
        MissingExtraError: It is not installed.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ModuleNotFoundError as error:
        raise missing_extra("working on a cluster", "cluster") from error
    return ray


def _lock_out_others() -> None:
    """Let nobody into a cluster started here: whoever reaches its ports could run code on it.

    Ray looks at this when it is imported, so a program that did so itself decides for itself.
    """
    if "ray" not in sys.modules:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def _join(ray: Any, address: str, cpus: int | None) -> None:
    given: dict[str, Any] = {"address": address}
    if address == LOCAL:
        given |= {"num_cpus": cpus or _own_processors(), "include_dashboard": False}
    try:
        _knock(address)
        with warnings.catch_warnings(), _silent():
            warnings.simplefilter("ignore")
            _mute(ray)
            ray.init(logging_level=logging.CRITICAL, log_to_driver=False, **given)
    except (OSError, ValueError, RuntimeError) as error:
        told = str(getattr(error, "strerror", None) or error).strip().partition("\n")[0]
        raise ClusterError(
            f"no cluster answers at '{address}': {told.partition('. ')[0].rstrip('.')}. Start one "
            "with `ray start --head` and name its address, or use --cluster local."
        ) from error


def _knock(address: str) -> None:
    """Find out soon that nobody is there; Ray itself asks for minutes.

    Raises:
        OSError: Nobody listens at the address.
    """
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=_KNOCK_S).close()


@contextmanager
def _silent() -> Iterator[None]:
    """Close standard error to what Ray's C++ writes past Python while it starts."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _mute(ray: Any) -> None:
    """Keep Ray from printing to standard output, which belongs to results, that a worker died.

    A worker that dies is replaced; one that cannot be is told as an error. Ray has no switch.
    """
    if hasattr(ray._private.worker, "print_to_stdstream"):
        ray._private.worker.print_to_stdstream = lambda *_, **__: None


def _own_processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
