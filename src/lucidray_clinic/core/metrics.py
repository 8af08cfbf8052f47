"""Numbers for Prometheus: how requests go, and what each app counts. Nothing about patients."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUESTS = CollectorRegistry()
REQUESTS = Counter(
    "lucidray_requests",
    "Requests, by the name of their route.",
    ["method", "route", "status"],
    registry=_REQUESTS,
)
SECONDS = Histogram(
    "lucidray_request_seconds",
    "Time to the response, in seconds.",
    ["route"],
    registry=_REQUESTS,
    buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)


@dataclass(frozen=True)
class Gauge:
    """One number.

    Args:
        name: After ``lucidray_``.
        help: What it is.
        value: The number.
        labels: What it is of; few values, never of a person.
    """

    name: str
    help: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


#: Counts something when the numbers are asked for.
Counting = Callable[[], Iterable[Gauge]]

_COUNTING: dict[str, Counting] = {}


def add_gauges(name: str, count: Counting) -> None:
    """Add numbers, from an app's ``ready``.

    Args:
        name: Unique.
        count: Counts them.
    """
    _COUNTING[name] = count


def note_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count a request.

    Args:
        method: Its method.
        route: The name of its route; never the address.
        status: Of the response.
        seconds: How long it took.
    """
    known = method if method in _METHODS else "OTHER"
    REQUESTS.labels(known, route, str(status)).inc()
    SECONDS.labels(route).observe(seconds)


def exposition() -> bytes:
    """Return all numbers in Prometheus' text format.

    Several processes share their counts where ``PROMETHEUS_MULTIPROC_DIR`` names a folder.
    """
    requests = _REQUESTS
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        requests = CollectorRegistry()
        MultiProcessCollector(requests)  # type: ignore[no-untyped-call]
    counted = CollectorRegistry()
    counted.register(_Counted())
    return generate_latest(requests) + generate_latest(counted)


class _Counted:
    """What the apps count, as Prometheus' client collects it."""

    def collect(self) -> Iterator[Any]:
        """Yield one family for each name."""
        families: dict[str, GaugeMetricFamily] = {}
        for count in _COUNTING.values():
            for one in count():
                name = f"lucidray_{one.name}"
                family = families.setdefault(
                    name, GaugeMetricFamily(name, one.help, labels=list(one.labels))
                )
                family.add_metric(list(one.labels.values()), one.value)
        yield from families.values()

    def describe(self) -> list[Any]:
        """Name nothing beforehand, so that registering counts nothing."""
        return []
