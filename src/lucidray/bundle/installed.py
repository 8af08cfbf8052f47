"""Bundles by name: those that come with LucidRay and those that the user keeps."""

from __future__ import annotations

import os
from pathlib import Path

from lucidray.errors import BundleError, unknown_name

SUFFIX = ".lucid"


def folders() -> tuple[Path, ...]:
    """Return where bundles are looked for by name, the first found wins.

    ``LUCIDRAY_BUNDLES`` (folders, separated as in ``PATH``), the user's data folder, the package.
    """
    named = os.environ.get("LUCIDRAY_BUNDLES", "")
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    own = [Path(each) for each in named.split(os.pathsep) if each]
    return (*own, Path(data) / "lucidray" / "bundles", Path(__file__).parent / "shipped")


def bundles() -> dict[str, Path]:
    """Return every bundle that can be named, by name."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else ():
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def find_bundle(name: str | Path) -> Path:
    """Return the file of a bundle.

    Args:
        name: A path (with a folder or the suffix ``.lucid``), or a name.

    Raises:
        BundleError: The path is no file.
        UnknownNameError: No bundle has that name.
    """
    path = Path(name)
    if path.suffix == SUFFIX or path.parent != Path():
        if not path.is_file():
            raise BundleError(f"no such bundle: {path}. Check the path.")
        return path
    known = bundles()
    if str(name) not in known:
        if not known:
            raise BundleError(
                f"there is no bundle '{name}', nor any other. Give the path of a .lucid file, or "
                "write one with: lucidray bundle export RUN --out NAME.lucid"
            )
        raise unknown_name("bundle", str(name), known)
    return known[str(name)]
