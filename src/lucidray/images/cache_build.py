"""Building the pixel cache: decoding what is not in it yet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lucidray.errors import ImageError, LucidRayError, ShapeError
from lucidray.images.cache import CacheFailure, PixelCache, cache_key
from lucidray.images.cache_files import Entry, Index, Levels, Line, SegmentWriter, Stamp
from lucidray.images.contrast import to_levels
from lucidray.images.parallel import map_in_order
from lucidray.images.preprocessing import Preprocessing, decode_spatial
from lucidray.images.read import MAX_PIXELS, read_bytes
from lucidray.images.transforms import PixelBox

Progress = Callable[[int, int], None]


def build_cache(
    paths: Sequence[str | Path],
    config: Preprocessing,
    folder: str | Path,
    *,
    boxes: Sequence[PixelBox | None] | None = None,
    exact: bool = False,
    workers: int = 2,
    progress: Progress | None = None,
) -> PixelCache:
    """Decode what is not cached yet, and open the cache.

    A build that was killed goes on where it stopped; several may run at once. Images that cannot
    be read are listed, not raised. Files of the same bytes share their cached pixels.

    Args:
        paths: The images, in the order in which they will be asked for.
        config: What is done to them; see `decode_spatial`.
        folder: Where caches lie; made if absent.
        boxes: For each image a box in its own pixels that replaces the crop of `config`, or None.
        exact: Whether to decode every pixel of JPEG and JPEG 2000.
        workers: Threads that decode.
        progress: Called with the count done and the total.

    Returns:
        The cache, with its failures.

    Raises:
        DataError: The folder cannot be written, or the disk is full; what was finished stays.
        ShapeError: There are not as many boxes as paths.
    """
    jobs = _jobs(paths, boxes)
    home = Path(folder) / cache_key(config, exact=exact)
    before = Index(home, config.size)
    outcome = _Outcome(total=len(jobs), progress=progress)
    missing = [job for job in jobs if not _is_cached(job, before)]
    outcome.advance(len(jobs) - len(missing))
    with SegmentWriter(home, config.size) as writer:
        work = _Worker(config, exact, before)
        for made in map_in_order(work, missing, workers=workers):
            outcome.take(made, before, writer)
    after = Index(home, config.size)
    return PixelCache(
        config=config,
        entries=tuple(outcome.entry(job, after) for job in jobs),
        segments=tuple(after.segments),
        failures=tuple(outcome.failures),
        changed=tuple(outcome.changed),
        decoded=outcome.decoded,
    )


@dataclass(frozen=True)
class _Job:
    index: int
    path: Path
    box: PixelBox | None


@dataclass(frozen=True)
class _Made:
    job: _Job
    line: Line
    pixels: Levels | None


@dataclass(frozen=True)
class _Worker:
    config: Preprocessing
    exact: bool
    known: Index

    def __call__(self, job: _Job) -> _Made | CacheFailure:
        try:
            return self._make(job)
        except (LucidRayError, OSError, MemoryError) as error:
            return CacheFailure(job.index, job.path, str(error))

    def _make(self, job: _Job) -> _Made:
        stamp = _stamp(job.path)
        data = read_bytes(job.path, MAX_PIXELS)
        digest = hashlib.sha256(data).hexdigest()
        same = self.known.by_content(digest, job.box)
        if same is not None:
            return _Made(job, Line(stamp, digest, same.source_shape, job.box, None), None)
        pixels, geometry = decode_spatial(data, self.config, box=job.box, exact=self.exact)
        line = Line(stamp, digest, geometry.source_shape, job.box, None)
        return _Made(job, line, to_levels(pixels))


@dataclass
class _Outcome:
    total: int
    progress: Progress | None
    done: int = 0
    decoded: int = 0
    failures: list[CacheFailure] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    _digests: dict[int, str] = field(default_factory=dict)
    _failed: set[int] = field(default_factory=set)
    _written: set[tuple[str, PixelBox | None]] = field(default_factory=set)

    def advance(self, count: int = 1) -> None:
        self.done += count
        if self.progress is not None and count:
            self.progress(self.done, self.total)

    def take(self, made: _Made | CacheFailure, before: Index, writer: SegmentWriter) -> None:
        if isinstance(made, CacheFailure):
            self.failures.append(made)
            self._failed.add(made.index)
        else:
            self._keep(made, before, writer)
        self.advance()

    def _keep(self, made: _Made, before: Index, writer: SegmentWriter) -> None:
        line, content = made.line, (made.line.sha256, made.line.box)
        known = before.digest_at(line.stamp.place, line.box)
        if known is not None and known != line.sha256:
            self.changed.append(made.job.index)
        fresh = made.pixels is not None and content not in self._written
        writer.add(line, made.pixels if fresh else None)
        if fresh:
            self._written.add(content)
            self.decoded += 1
        self._digests[made.job.index] = line.sha256

    def entry(self, job: _Job, after: Index) -> Entry | None:
        digest = self._digests.get(job.index)
        if digest is not None:
            return after.by_content(digest, job.box)
        if job.index in self._failed:
            return None
        return after.by_content(after.digest_at(_place(job.path), job.box) or "", job.box)


def _jobs(paths: Sequence[str | Path], boxes: Sequence[PixelBox | None] | None) -> list[_Job]:
    crops = list(boxes) if boxes is not None else [None] * len(paths)
    if len(crops) != len(paths):
        raise ShapeError(f"there are {len(crops)} boxes for {len(paths)} images.")
    pairs = zip(paths, crops, strict=True)
    return [_Job(index, Path(path), box) for index, (path, box) in enumerate(pairs)]


def _is_cached(job: _Job, known: Index) -> bool:
    try:
        stamp = _stamp(job.path)
    except ImageError:
        return False
    return known.by_stamp(stamp, job.box) is not None


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError as error:
        raise ImageError(f"it cannot be opened ({error.strerror}).") from error
    return Stamp(_place(path), status.st_size, status.st_mtime_ns)


def _place(path: Path) -> str:
    return hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:32]
