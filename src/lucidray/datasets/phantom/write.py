"""Phantoms on disk, in ChestX-ray14's own layout, with their truth beside them."""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from lucidray.config import to_mapping
from lucidray.datasets.phantom.case import patient_of
from lucidray.datasets.phantom.config import Phantom, PhantomConfig
from lucidray.datasets.phantom.dicom import dicom_bytes
from lucidray.datasets.phantom.make import make_phantom
from lucidray.datasets.phantom.tables import write_tables
from lucidray.errors import ConfigError, DataError
from lucidray.records import Bool

FileFormat = Literal["png", "dicom"]
Progress = Callable[[int, int], None]

#: Grows whenever the same seed would give another image.
VERSION = 1

_SUFFIX = {"png": ".png", "dicom": ".dcm"}


def write_phantoms(
    folder: str | Path,
    n: int,
    config: PhantomConfig | None = None,
    *,
    seed: int = 0,
    file_format: FileFormat = "png",
    workers: int = 1,
    progress: Progress | None = None,
) -> Path:
    """Write a series of phantoms in ChestX-ray14's layout.

    ``images/00000001_000.png`` (16 bit), ``Data_Entry_2017.csv``, ``BBox_List_2017.csv``,
    ``train_val_list.txt`` and ``test_list.txt`` (by patient) as the publisher has them; beside
    them ``masks/lungs``, ``masks/lesions`` and ``masks/shortcut`` (1-bit PNG), ``fixations.csv``,
    ``truth.csv`` (severities, cardiothoracic ratio, tag), ``truth/ID.json`` and ``phantoms.json``
    (seed and configuration). A run that was killed goes on where it stopped, to the same bytes;
    a longer series begins with the shorter one's images.

    Args:
        folder: Where to; made if absent.
        n: Number of images, at least 1.
        config: What phantoms are to be like; None: the defaults.
        seed: The series' seed, 0 or more.
        file_format: ``"png"`` or ``"dicom"``; tables then name ``.dcm`` files.
        workers: Processes that share the work; the result does not depend on it.
        progress: Called with images done and wanted.

    Returns:
        The folder.

    Raises:
        ConfigError: A number is out of range or the format unknown.
        DataError: The folder holds other phantoms, or something else.
    """
    config = config or PhantomConfig()
    folder = Path(folder)
    _check(n, seed, file_format, workers)
    _claim(folder, n, config, seed, file_format)
    todo = [i for i in range(n) if not _record(folder, _name(seed, i, config)).exists()]
    if progress:
        progress(n - len(todo), n)
    write = partial(write_phantom, folder, seed, config=config, file_format=file_format)
    for count, _ in enumerate(_spread(write, todo, workers), start=n - len(todo) + 1):
        if progress:
            progress(count, n)
    names = [_name(seed, i, config) for i in range(n)]
    write_tables(folder, names, _SUFFIX[file_format], seed=seed, test_share=config.test_share)
    return folder


def write_phantom(
    folder: Path, seed: int, index: int, *, config: PhantomConfig, file_format: FileFormat
) -> None:
    """Write one image with its masks, and last its record, which says that all is there."""
    phantom = make_phantom(seed, index, config)
    name = phantom.image
    encode = png_bytes if file_format == "png" else dicom_bytes
    place(folder / "images" / f"{name}{_SUFFIX[file_format]}", encode(phantom))
    place(folder / "masks" / "lungs" / f"{name}.png", mask_bytes(phantom.lung_mask))
    for finding, mask in phantom.lesion_masks.items():
        place(folder / "masks" / "lesions" / f"{name}_{finding}.png", mask_bytes(mask))
    if phantom.shortcut:
        place(folder / "masks" / "shortcut" / f"{name}.png", mask_bytes(phantom.shortcut_mask))
    record = json.dumps(describe(phantom), indent=1) + "\n"
    place(_record(folder, name), record.encode())


def describe(phantom: Phantom) -> dict[str, Any]:
    """Return all that is true of a phantom but its pixels, as plain JSON values."""
    return {
        "image": phantom.image,
        "index": phantom.index,
        "patient": asdict(phantom.patient),
        "view_position": phantom.view_position,
        "size": phantom.raw.shape[0],
        "spacing_mm": list(phantom.spacing_mm),
        "severities": {name: round(value, 6) for name, value in phantom.severities.items()},
        "cardiothoracic_ratio": round(phantom.cardiothoracic_ratio, 6),
        "shortcut": phantom.shortcut,
        "devices": list(phantom.devices),
        "boxes": [asdict(box) for box in phantom.boxes],
        "fixations": [asdict(fixation) for fixation in phantom.fixations],
    }


def png_bytes(phantom: Phantom) -> bytes:
    """Return a phantom as a 16-bit grey PNG."""
    return _encode(Image.fromarray(phantom.raw), 1, zlib.Z_RLE)


def mask_bytes(mask: Bool) -> bytes:
    """Return a mask as a 1-bit PNG."""
    return _encode(Image.fromarray(mask), 6, zlib.Z_DEFAULT_STRATEGY)


def _encode(image: Image.Image, level: int, strategy: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=level, compress_type=strategy)
    return buffer.getvalue()


def place(path: Path, content: bytes) -> None:
    """Write a file so that it is whole or absent, whatever happens meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _name(seed: int, index: int, config: PhantomConfig) -> str:
    number, follow_up = patient_of(seed, index, config.images_per_patient)
    return f"{number:08d}_{follow_up:03d}"


def _record(folder: Path, name: str) -> Path:
    return folder / "truth" / f"{name}.json"


def _check(n: int, seed: int, file_format: str, workers: int) -> None:
    for name, value, least in (("n", n, 1), ("seed", seed, 0), ("workers", workers, 1)):
        if value < least:
            raise ConfigError(f"{name} is {value}; expected a whole number from {least}.")
    if file_format not in _SUFFIX:
        raise ConfigError(f"file_format is '{file_format}'; expected 'png' or 'dicom'.")


def _claim(folder: Path, n: int, config: PhantomConfig, seed: int, file_format: str) -> None:
    """Make the folder ours, or see that it already holds the same series."""
    ours = {
        "version": VERSION,
        "seed": seed,
        "file_format": file_format,
        "config": to_mapping(config),
    }
    card = folder / "phantoms.json"
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file; name a folder to write phantoms into.")
    if card.exists():
        _compare(folder, json.loads(card.read_text(encoding="utf-8")), ours, n)
    elif folder.is_dir() and any(folder.iterdir()):
        raise DataError(f"{folder} is not empty and holds no phantoms; name a new folder.")
    for draft in folder.rglob(".*.part"):
        draft.unlink(missing_ok=True)
    place(card, (json.dumps({**ours, "n": n}, indent=1) + "\n").encode())


def _compare(folder: Path, theirs: dict[str, Any], ours: dict[str, Any], n: int) -> None:
    different = _differences(theirs, json.loads(json.dumps(ours)))
    if different:
        raise DataError(
            f"{folder} holds phantoms of another {' and '.join(different)}. "
            "Name a new folder, or the same settings to go on."
        )
    if n < theirs.get("n", 0):
        raise DataError(
            f"{folder} was begun for {theirs['n']} phantoms and n is {n}; "
            "ask for at least as many, or name a new folder."
        )


def _differences(theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """Return the keys that differ, those within ``config`` by their own names."""
    flat = [{**side, **side.get("config", {})} for side in (theirs, ours)]
    keys = dict.fromkeys(key for side in flat for key in side if key not in {"config", "n"})
    return [key for key in keys if flat[0].get(key) != flat[1].get(key)]


def _spread(write: Callable[[int], None], todo: list[int], workers: int) -> Iterator[int]:
    """Do the work here or in several processes, yielding each number when it is done."""
    if workers == 1 or len(todo) < 2:
        for index in todo:
            write(index)
            yield index
        return
    with ProcessPoolExecutor(min(workers, len(todo)), mp_context=get_context("spawn")) as pool:
        left = iter(todo)
        running: dict[Future[None], int] = {}
        while True:
            for index in left:
                running[pool.submit(write, index)] = index
                if len(running) >= 4 * workers:
                    break
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
                yield running.pop(future)
