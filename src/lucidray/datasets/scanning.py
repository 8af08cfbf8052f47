"""Finding image files: each folder is listed once, no file is looked at on its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lucidray.datasets.table import Split
from lucidray.errors import DataError

#: File names that are taken for images.
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom")

#: A folder with more folders than this holds patients or studies, not classes.
_MOST_CLASSES = 1000

#: How publishers call the three splits, as folder names in lower case.
SPLIT_FOLDERS: Mapping[str, Split] = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip


def image_files(root: Path) -> Iterator[Path]:
    """Yield every image below a folder, in order of name; hidden files and folders are left out.

    Raises:
        DataError: A name is no valid UTF-8, so that no table can hold it.
    """
    entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith((".", "__MACOSX")):
            continue
        if entry.is_dir():
            yield from image_files(Path(entry.path))
        elif entry.name.lower().endswith(IMAGE_SUFFIXES):
            check_name(entry.path)
            yield Path(entry.path)


def check_name(path: str | os.PathLike[str]) -> None:
    """Refuse a path that is no valid UTF-8, so that no table could hold it.

    Raises:
        DataError: It is not.
    """
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError as error:
        told = os.fspath(path).encode(errors="backslashreplace").decode()
        raise DataError(
            f"the name {told} is no valid UTF-8. Rename it, for example with: "
            "convmv -r -f latin1 -t utf8 --notest DIR"
        ) from error


def image_index(root: Path) -> dict[str, str]:
    """Map the name without suffix of every image below a folder to its absolute path."""
    found: dict[str, str] = {}
    for path in image_files(root.resolve()):
        found.setdefault(path.stem, str(path))
    return found


def located(root: Path, names: Sequence[str]) -> list[str | None]:
    """Return the absolute paths of files below a folder, None where one is absent.

    Args:
        root: The folder.
        names: Paths relative to it; each folder that they name is listed once.
    """
    listings: dict[str, frozenset[str]] = {}
    paths: list[str | None] = []
    base = str(root.resolve())
    for name in names:
        folder, file = os.path.split(name)
        if folder not in listings:
            place = os.path.join(base, folder)  # noqa: PTH118 - a Path each would double the time
            listings[folder] = frozenset(os.listdir(place) if os.path.isdir(place) else ())  # noqa: PTH112, PTH208
        paths.append(f"{base}/{name}" if file in listings[folder] else None)
    return paths


@dataclass(frozen=True)
class ClassImage:
    """An image in a class folder.

    Args:
        path: The file.
        image: Its path below the data set's folder.
        folder: The class folder's name as it is spelled.
        split: From the split folder around it; None where there is none.
    """

    path: Path
    image: str
    folder: str
    split: Split | None


def class_folders(root: Path) -> list[tuple[Split | None, Path]]:
    """Return the class folders below a folder, each with its split.

    A class folder directly holds images. It lies in `root` itself or in a split folder
    (``train``, ``val``, ``Testing``, ...) of `root`; a `root` named like a split is that split.
    """
    here = SPLIT_FOLDERS.get(root.resolve().name.lower())
    found: list[tuple[Split | None, Path]] = []
    for folder in subfolders(root):
        split = SPLIT_FOLDERS.get(folder.name.lower())
        if split is not None:
            inside = subfolders(folder)
            if len(inside) <= _MOST_CLASSES:
                found += [(split, inner) for inner in inside if first_image(inner)]
        elif first_image(folder):
            found.append((here, folder))
    return found


def class_images(root: Path) -> list[ClassImage]:
    """Return every image of every class folder, in order of name.

    Raises:
        DataError: There is no class folder with images.
    """
    found = [
        ClassImage(path, path.relative_to(root).as_posix(), folder.name, split)
        for split, folder in class_folders(root)
        for path in image_files(folder)
    ]
    if not found:
        raise DataError(
            f"{root} has no class folders with images; expected CLASS/IMAGE or "
            "SPLIT/CLASS/IMAGE with SPLIT one of train, val, test."
        )
    return found


def class_names(root: Path) -> set[str]:
    """Return the names of the class folders in lower case; none where `root` is a file."""
    return {folder.name.lower() for _, folder in class_folders(root)}


def subfolders(root: Path) -> list[Path]:
    """Return the visible folders of a folder in order of name; none where `root` is a file."""
    if not root.is_dir():
        return []
    with os.scandir(root) as entries:
        names = [entry.name for entry in entries if entry.is_dir()]
    return [root / name for name in sorted(names) if not name.startswith((".", "__MACOSX"))]


def first_image(folder: Path) -> str | None:
    """Return the name of an image that lies directly in a folder; None if there is none."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.lower().endswith(IMAGE_SUFFIXES) and not entry.name.startswith("."):
                return entry.name
    return None
