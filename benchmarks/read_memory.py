"""Whether reading any number of films holds steady memory: RSS every thousand films.

A folder of links to generated films of several sizes is read as `lucidray read --out` does: films
decoded ahead, judged, drawn, one line kept for each. Memory after the first tenth is the measure;
what comes later may be a twentieth more.

    python benchmarks/read_memory.py --bundle NAME.lucid
    python benchmarks/read_memory.py --bundle NAME.lucid --films 2000 --workers 2 --pictures
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from lucidray.bundle import load_bundle
from lucidray.cli.film_pictures import Desk
from lucidray.cli.film_stream import FilmStream
from lucidray.cli.reading import Failure, Work, read_films
from lucidray.cli.results import open_results

SIDES = ((224, 224), (512, 400), (600, 800), (1024, 1024), (900, 1300))
ALLOWED = 1.05


def main() -> int:
    """Read the films and say how memory went."""
    asked = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        films = make_films(folder, asked.films)
        bundle = load_bundle(asked.bundle, threads=asked.workers, streams=asked.workers)
        desk = Desk(folder / "out", asked.pictures, 320) if asked.pictures else None
        results = open_results(folder / "out", {"bundle_sha256": bundle.digest})
        outcomes = read_films(
            FilmStream([films]), Work(bundle, desk), results, workers=asked.workers
        )
        seen, start, failed = [], time.monotonic(), 0
        step = max(asked.films // 10, 1)
        for number, outcome in enumerate(outcomes, start=1):
            failed += isinstance(outcome, Failure)
            if number % step == 0:
                seen.append(resident_mib())
                rate = number / (time.monotonic() - start)
                print(f"{number:>7,} films  {seen[-1]:7.1f} MiB  {rate:6.1f} films a second")
        results.close()
    growth = max(seen) / seen[0]
    verdict = "steady" if growth <= ALLOWED and not failed else "NOT STEADY"
    print(f"{verdict}: {growth:.3f} times the first tenth's, {failed} failures")
    return 0 if verdict == "steady" else 1


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", required=True, help="a bundle's name or file")
    parser.add_argument("--films", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--pictures", action="store_true", help="draw and keep maps too")
    return parser.parse_args()


def make_films(folder: Path, count: int) -> Path:
    """Write films of several sizes, and as many links to them as asked for."""
    (folder / "made").mkdir()
    (folder / "films").mkdir()
    rng = np.random.default_rng(0)
    for place, shape in enumerate(SIDES):
        smooth = Image.fromarray(rng.integers(30, 220, (12, 12), dtype=np.uint8))
        smooth.resize(shape, Image.Resampling.BICUBIC).save(folder / f"made/{place}.png")
    for number in range(count):
        link = folder / f"films/{number:06}.png"
        link.symlink_to(folder / f"made/{number % len(SIDES)}.png")
    return folder / "films"


def resident_mib() -> float:
    """Return the memory that this process holds now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


if __name__ == "__main__":
    sys.exit(main())
