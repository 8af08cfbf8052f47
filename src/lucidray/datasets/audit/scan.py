"""Read each image of a table once and keep what the audit needs of it: 4 KB and a few numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lucidray.errors import LucidRayError
from lucidray.images.read import read_xray
from lucidray.records import Bool, Float32, XRay

#: Side of the square thumbnails that a scan keeps, in pixels.
SIDE = 64

#: Columns of `Scan.numbers`.
NUMBERS = ("mean", "spread", "dark", "bright", "low", "high")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Glimpse:
    """What is kept of one readable image.

    Args:
        file_digest: Hex digest of the file's bytes.
        pixel_digest: Digest of the decoded pixels and their shape, so that a changed header or
            container does not hide a copy.
        thumbnail: uint8 ``(64, 64)``, area averages stretched to 0–255.
        numbers: float32 ``(6,)``: see `NUMBERS`; mean and standard deviation of the intensity in
            [0, 1], shares of pixels in the darkest and brightest 1/128, and the intensities that 0
            and 255 of the thumbnail stand for.
        shape: ``(height, width)`` of the file's own pixel grid.
        encoding: Format and bit depth in words, for example ``"jpeg 8 bit"``.
    """

    file_digest: str
    pixel_digest: bytes
    thumbnail: npt.NDArray[np.uint8]
    numbers: Float32
    shape: tuple[int, int]
    encoding: str


@dataclass(frozen=True)
class Scan:
    """What is kept of N images, row by row; unreadable rows are zero or empty.

    Args:
        thumbnails: uint8 ``(N, 64, 64)``.
        numbers: float32 ``(N, 6)``: see `NUMBERS`.
        shapes: int32 ``(N, 2)``, height and width.
        file_digests: Hex digests of the bytes.
        pixel_digests: Digests of the decoded pixels.
        encodings: Format and bit depth in words.
        reasons: Why a row could not be read, by row number.
    """

    thumbnails: npt.NDArray[np.uint8]
    numbers: Float32
    shapes: npt.NDArray[np.int32]
    file_digests: list[str]
    pixel_digests: list[bytes]
    encodings: list[str]
    reasons: dict[int, str]

    def __len__(self) -> int:
        return len(self.thumbnails)

    @property
    def readable(self) -> Bool:
        """Whether each row could be read, bool ``(N,)``."""
        readable = np.ones(len(self), dtype=bool)
        readable[list(self.reasons)] = False
        return readable

    def column(self, name: str) -> Float32:
        """Return one column of `numbers`."""
        column: Float32 = self.numbers[:, NUMBERS.index(name)]
        return column

    def intensities(self, rows: npt.NDArray[Any]) -> Float32:
        """Return thumbnails of some rows in the images' own intensities, [0, 1]."""
        low = self.column("low")[rows, None, None]
        high = self.column("high")[rows, None, None]
        return np.asarray(low + (high - low) * (self.thumbnails[rows] / 255.0), dtype=np.float32)


def scan_images(
    paths: Sequence[Path], *, workers: int = 2, progress: Progress | None = None
) -> Scan:
    """Read every file once and keep digests, a thumbnail and a few numbers of each.

    Args:
        paths: The files.
        workers: Threads that read side by side; decoders let go of the interpreter's lock.
        progress: Called with (done, total) after each file.

    Returns:
        The scan, in the order of `paths`; a file that cannot be read has a reason instead.
    """
    scan = _empty(len(paths))
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        for row, seen in enumerate(pool.map(glimpse, paths)):
            if isinstance(seen, Glimpse):
                _enter(scan, row, seen)
            else:
                scan.reasons[row] = seen
            if progress is not None:
                progress(row + 1, len(paths))
    return scan


def glimpse(path: Path) -> Glimpse | str:
    """Look at one file.

    Returns:
        What is kept of it; or, where it cannot be read, the reason in words.
    """
    try:
        xray = read_xray(path)
    except (LucidRayError, OSError) as error:
        return _reason(error, path)
    return summarize(xray)


def summarize(xray: XRay) -> Glimpse:
    """Reduce a read image to what the audit keeps of it."""
    thumbnail, low, high = _thumbnail(xray.pixels)
    pixels = np.multiply(xray.pixels, 65535.0)
    levels = np.rint(pixels, out=pixels).astype(np.uint16)
    counts = np.bincount(levels.ravel() >> 9, minlength=128) / levels.size
    mean, spread = float(xray.pixels.mean()), float(xray.pixels.std())
    numbers = np.array([mean, spread, counts[0], counts[127], low, high], dtype=np.float32)
    return Glimpse(
        file_digest=xray.sha256,
        pixel_digest=_pixel_digest(levels),
        thumbnail=thumbnail,
        numbers=numbers,
        shape=xray.geometry.source_shape,
        encoding=f"{xray.file_format} {xray.source_bits} bit",
    )


def _pixel_digest(levels: npt.NDArray[np.uint16]) -> bytes:
    digest = hashlib.sha256(repr(levels.shape).encode())
    digest.update(np.ascontiguousarray(levels).data)
    return digest.digest()


def _thumbnail(pixels: Float32) -> tuple[npt.NDArray[np.uint8], float, float]:
    small = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BOX)
    values = np.asarray(small, dtype=np.float32)
    low, high = float(values.min()), float(values.max())
    scale = 255.0 / (high - low) if high - low > 1e-4 else 0.0
    return np.rint((values - low) * scale).astype(np.uint8), low, high


def _empty(count: int) -> Scan:
    return Scan(
        thumbnails=np.zeros((count, SIDE, SIDE), dtype=np.uint8),
        numbers=np.zeros((count, len(NUMBERS)), dtype=np.float32),
        shapes=np.zeros((count, 2), dtype=np.int32),
        file_digests=[""] * count,
        pixel_digests=[b""] * count,
        encodings=[""] * count,
        reasons={},
    )


def _enter(scan: Scan, row: int, seen: Glimpse) -> None:
    scan.thumbnails[row] = seen.thumbnail
    scan.numbers[row] = seen.numbers
    scan.shapes[row] = seen.shape
    scan.file_digests[row] = seen.file_digest
    scan.pixel_digests[row] = seen.pixel_digest
    scan.encodings[row] = seen.encoding


def _reason(error: Exception, path: Path) -> str:
    text = str(error).replace(str(path), path.name) or type(error).__name__
    return text.splitlines()[0].removeprefix(f"cannot read {path.name}: ")
