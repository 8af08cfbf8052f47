"""Configuration: TOML in, frozen dataclasses out, nothing unknown let through.

Defaults stand in the dataclasses, beside the code that they steer, and nowhere else. pydantic is
imported when it is first needed, so that reading a film does without it.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from lucidray.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from pydantic import ConfigDict, TypeAdapter, ValidationError

T = TypeVar("T")

#: Give this to a config dataclass as ``__pydantic_config__``: unknown keys become errors.
STRICT: ConfigDict = {"extra": "forbid"}


def from_mapping(cls: type[T], values: Mapping[str, Any], *, where: str) -> T:
    """Build a config dataclass from plain values.

    Args:
        cls: A frozen dataclass whose ``__pydantic_config__`` is `STRICT`.
        values: What a TOML or JSON file holds.
        where: The file's name, for messages.

    Returns:
        The config, every value checked and of its declared type.

    Raises:
        ConfigError: A key is unknown or missing, or a value is of the wrong type or range; the
            message names the key, what came and what is expected.
    """
    from pydantic import ValidationError

    try:
        built: T = _adapter(cls).validate_python(dict(values))
    except ValidationError as error:
        raise ConfigError(_explain(cls, error, where)) from error
    return built


#: What checks each dataclass, made once: it takes longer to make than to use.
_adapters: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(cls: type[Any]) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    if cls not in _adapters:
        _adapters[cls] = TypeAdapter(cls)
    return _adapters[cls]


def load_toml(path: str | Path, cls: type[T], *, overrides: Mapping[str, Any] | None = None) -> T:
    """Read a config dataclass from a TOML file.

    Args:
        path: The TOML file.
        cls: The dataclass that it describes.
        overrides: Dotted keys (``"train.epochs"``) that win over the file.

    Raises:
        ConfigError: The file is missing, is no TOML, or does not fit the dataclass.
    """
    return from_mapping(cls, merge(read_toml(path), overrides or {}), where=str(path))


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file as plain values.

    Raises:
        ConfigError: The file is missing or is no TOML.
    """
    path = Path(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"no such file: {path}") from error
    except IsADirectoryError as error:
        raise ConfigError(f"{path} is a folder; name a TOML file in it") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def merge(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Lay dotted overrides over nested values, without changing either.

    Args:
        values: Nested mappings and lists.
        overrides: Dotted keys; a number in a key is a place in a list.

    Raises:
        ConfigError: A key leads through a single value or past the end of a list.

    >>> merge({"train": {"epochs": 3}}, {"train.epochs": 1, "seed": 7})
    {'train': {'epochs': 1}, 'seed': 7}
    """
    merged = copy.deepcopy(dict(values))
    for dotted, value in overrides.items():
        *parents, last = dotted.split(".")
        place: Any = merged
        for parent in parents:
            place = _step(place, parent, dotted)
        _step(place, last, dotted, value)
    return merged


def _step(place: Any, key: str, dotted: str, value: Any = None) -> Any:
    """Go one key deeper; where a value is given, put it there."""
    if isinstance(place, list):
        if not key.isdigit() or int(key) >= len(place):
            raise ConfigError(
                f"cannot set '{dotted}': '{key}' is none of its {len(place)} entries, which are "
                "numbered from 0."
            )
        place[int(key)] = place[int(key)] if value is None else value
        return place[int(key)]
    if not isinstance(place, dict):
        raise ConfigError(f"cannot set '{dotted}': what holds '{key}' is a single value.")
    if value is None:
        return place.setdefault(key, {})
    place[key] = value
    return value


def to_mapping(config: Any) -> dict[str, Any]:
    """Turn a config dataclass into plain JSON values, ready to be written or read back."""
    dumped = _adapter(type(config)).dump_python(config, mode="json")
    return dict(dumped)


def _explain(cls: type[Any], error: ValidationError, where: str) -> str:
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    key = ".".join(path)
    if first["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        return f"{where}: {unknown_name('key', path[-1], _keys(cls, path[:-1]))}"
    if first["type"].startswith("missing"):
        return f"{where}: '{key}' is missing. Add it, or start from a file in recipes/."
    if isinstance(first["input"], Mapping) and first["type"] == "value_error":
        return f"{where}: {_inside(key)}{_plain(first['msg'])}"
    return f"{where}: '{key}' is {first['input']!r}: {_plain(first['msg'])}"


def _inside(key: str) -> str:
    """Say in which table, as TOML writes it; nothing at the top."""
    return f"in [{key}] " if key else ""


def _plain(message: str) -> str:
    message = message.removeprefix("Value error, ").removesuffix(" after validation, not 0")
    message = message[:1].lower() + message[1:]
    message = message.replace("tuple should", "list should").replace("valid tuple", "list")
    return message + ("" if message.endswith(".") else ".")


def _keys(cls: type[Any], path: list[str]) -> list[str]:
    for part in path:
        fields = getattr(cls, "__dataclass_fields__", {})
        if part in fields:
            cls = _dataclass_in(get_type_hints(cls).get(part)) or cls
    return list(getattr(cls, "__dataclass_fields__", {}))


def _dataclass_in(hint: Any) -> type[Any] | None:
    if isinstance(hint, type) and is_dataclass(hint):
        return hint
    found = (_dataclass_in(arg) for arg in getattr(hint, "__args__", ()))
    return next((item for item in found if item is not None), None)
