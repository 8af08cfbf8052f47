"""Where the files that a recipe names lie, seen from the folder that keeps the recipe.

A recipe names weights and other runs by the paths that it was given. Its folder also keeps where
each lies as seen from itself, so that runs that are moved or copied together know each other again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lucidray.config import merge

#: Keys of a recipe that name a file or a folder.
KEYS = (
    "model.weights",
    "model.region.run",
    "model.region.finder.weights",
    "model.region.finder.model.weights",
    "data.split_from",
)

#: Weights that are no file.
_WORDS = ("", "none", "imagenet")


def find_places(recipe: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Say where the files of a recipe lie as seen from a folder.

    Args:
        recipe: Its plain values; any may be left out.
        folder: Which keeps it.

    Returns:
        Dotted key → path relative to the folder; keys that name no file are left out.

    >>> find_places({"model": {"weights": "out/first/best.safetensors"}}, Path("out/second"))
    {'model.weights': '../first/best.safetensors'}
    """
    found = {key: _value(recipe, key) for key in KEYS}
    return {
        key: Path(os.path.relpath(path, folder)).as_posix()
        for key, path in found.items()
        if isinstance(path, str) and path not in _WORDS and not path.startswith("torchxrayvision:")
    }


def follow(
    kept: Mapping[str, Any], places: Mapping[str, str], wanted: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    """Return a kept recipe that names its files as they are named now, where they moved with it.

    Args:
        kept: The recipe in the folder.
        places: What `find_places` said when it was kept; none where that is long ago.
        wanted: The recipe as it is given now.
        folder: Where the folder is now.

    Returns:
        `kept`, but each path that leads to the same place as seen from the folder is `wanted`'s.
    """
    now = find_places(wanted, folder)
    same = (key for key, place in now.items() if places.get(key) == place)
    return merge(kept, {key: _value(wanted, key) for key in same})


def at_home(recipe: Mapping[str, Any], places: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Return a kept recipe that names its files where they are now.

    Args:
        recipe: The recipe in the folder.
        places: What `find_places` said when it was kept.
        folder: Where the folder is now.

    Returns:
        The recipe; what is no longer where it was seen from the folder keeps its old path.
    """
    there = {key: folder / place for key, place in places.items()}
    found = {key: os.path.normpath(path) for key, path in there.items() if path.exists()}
    return merge(recipe, found)


def _value(recipe: Mapping[str, Any], key: str) -> Any:
    value: Any = recipe
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
