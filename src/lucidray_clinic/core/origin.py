"""What the audit knows of the request that a service works for, without seeing the request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_address: ContextVar[str] = ContextVar("address", default="")
_request: ContextVar[str] = ContextVar("request", default="")


def origin_address() -> str:
    """Return the address that the current work was asked from; empty on the command line."""
    return _address.get()


@contextmanager
def coming_from(address: str) -> Iterator[None]:
    """Remember an address while a request is served.

    Args:
        address: The client's.
    """
    token = _address.set(address)
    try:
        yield
    finally:
        _address.reset(token)


def request_number() -> str:
    """Return the number of the request that is served; empty outside of one."""
    return _request.get()


@contextmanager
def naming_request(number: str) -> Iterator[None]:
    """Remember a request's number while it is served, so that log lines can be told together.

    Args:
        number: The number.
    """
    token = _request.set(number)
    try:
        yield
    finally:
        _request.reset(token)
