"""A measured number on a card, without what a fast start has no time to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lucidray.errors import ConfigError


@dataclass(frozen=True)
class Estimate:
    """A measured number; None = undefined.

    Args:
        value: The number.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
        count: Samples that it rests on.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "ignore"}

    value: float | None
    low: float | None = None
    high: float | None = None
    count: int = 0

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ConfigError(f"count is {self.count}; a number rests on 0 samples or more.")
