"""What phantoms cost: images a second on one core, beside a plain step on the same pixels.

Generates distinct images in one process, and times on each in the same round, in shuffled order,
what one would do with any image of that size: Pillow's own 16-bit PNG encoding at its default
level, and decoding that file again. Figures are medians of processor time; noise of other users
is common, so trust the ratios. The goal is 20 images a second and core at 512 x 512.

    python benchmarks/phantom.py
    python benchmarks/phantom.py --size 1024 --images 20
"""

from __future__ import annotations

import argparse
import io
import random
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image

from lucidray.datasets.phantom import PhantomConfig, make_phantom
from lucidray.datasets.phantom.write import mask_bytes, png_bytes

GOAL_PER_SECOND = 20.0


def encode(raw: np.ndarray) -> bytes:
    """Encode as Pillow does by default."""
    buffer = io.BytesIO()
    Image.fromarray(raw).save(buffer, "PNG")
    return buffer.getvalue()


def decode(content: bytes) -> np.ndarray:
    """Decode with Pillow."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--images", type=int, default=60)
    args = parser.parse_args()
    config = PhantomConfig(size=args.size)
    spent: dict[str, list[float]] = {}

    def clock(name: str, step: Callable[[], object]) -> None:
        start = time.process_time()
        step()
        spent.setdefault(name, []).append(time.process_time() - start)

    for index in range(3):
        make_phantom(1, index, config)
    for index in range(args.images):
        sample = make_phantom(0, index, config)
        content = encode(sample.raw)
        steps: list[tuple[str, Callable[[], object]]] = [
            ("make_phantom", partial(make_phantom, 0, index, config)),
            ("our PNG", partial(png_bytes, sample)),
            ("our lung mask", partial(mask_bytes, sample.lung_mask)),
            ("Pillow PNG encode (peer)", partial(encode, sample.raw)),
            ("Pillow PNG decode (peer)", partial(decode, content)),
        ]
        random.shuffle(steps)
        for name, step in steps:
            clock(name, step)
    peer = statistics.median(spent["Pillow PNG encode (peer)"])
    print(f"{args.images} phantoms of {args.size} x {args.size}, one core, processor time\n")
    print(f"{'step':<34}{'ms':>9}{'images/s':>11}{'x encode':>11}")
    for name in sorted(spent, key=lambda name: -statistics.median(spent[name])):
        middle = statistics.median(spent[name])
        print(f"{name:<34}{middle * 1e3:>9.1f}{1 / middle:>11.1f}{middle / peer:>11.2f}")
    rate = 1 / statistics.median(spent["make_phantom"])
    if args.size == 512:
        verdict = "reached" if rate >= GOAL_PER_SECOND else "MISSED"
        print(
            f"\ngoal {GOAL_PER_SECOND:.0f} images/s and core at 512 x 512: {verdict} ({rate:.1f})"
        )


if __name__ == "__main__":
    main()
