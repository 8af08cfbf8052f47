"""Named things of one kind: backbones, losses, data sets, explanation methods, papers.

A registry is filled by explicit imports, never by scanning folders; command-line choices,
documentation tables and contract tests are all read from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from lucidray.errors import ConfigError, unknown_name

T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One registered thing.

    Args:
        name: The name that a user types.
        value: The thing itself.
        summary: The first sentence of its docstring.
        source: Where it comes from: a paper, an equation, a publisher.
        facts: Anything else that its kind declares, for example ``needs="gradients"``.
    """

    name: str
    value: T
    summary: str
    source: str
    facts: Mapping[str, Any] = field(default_factory=dict)


class Registry(Generic[T]):
    """A table of named things of one kind.

    >>> losses = Registry[Callable[[float], float]]("loss")
    >>> @losses.register("square", source="Gauss 1809")
    ... def square(error: float) -> float:
    ...     '''Square the error.'''
    ...     return error * error
    >>> losses["square"](3.0)
    9.0
    >>> losses.entry("square").summary
    'Square the error.'
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry[T]] = {}

    def register(self, name: str, *, source: str, **facts: Any) -> Callable[[T], T]:
        """Return a decorator that enters a thing under a name.

        Args:
            name: The name that a user types; must be new.
            source: Where the thing comes from.
            facts: Further properties that the kind declares.

        Raises:
            ConfigError: The name is taken.
        """

        def enter(value: T) -> T:
            if name in self._entries:
                raise ConfigError(f"{self.kind} '{name}' is registered twice")
            summary = (getattr(value, "__doc__", None) or "").strip().split("\n")[0]
            self._entries[name] = Entry(name, value, summary, source, facts)
            return value

        return enter

    def entry(self, name: str) -> Entry[T]:
        """Return the whole entry of a name.

        Raises:
            UnknownNameError: No such name; the message lists the choices and the nearest.
        """
        try:
            return self._entries[name]
        except KeyError:
            raise unknown_name(self.kind, name, self._entries) from None

    def __getitem__(self, name: str) -> T:
        return self.entry(name).value

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self) -> list[Entry[T]]:
        """Return all entries, by name."""
        return [self._entries[name] for name in self]
