"""Band matrices against dense ones."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidray.images.banded import Band, band, multiply

sides = st.integers(1, 70)


def random_band(count: int, size: int, seed: int) -> tuple[Band, np.ndarray]:
    """A band whose outputs look at random places, and the same as a dense matrix."""
    rng = np.random.default_rng(seed)
    taps = int(rng.integers(1, size + 1))
    first = rng.integers(0, size, count)
    weights = rng.standard_normal((count, taps))
    weights[first[:, None] + np.arange(taps) >= size] = 0
    dense = np.zeros((count, size + taps))
    np.put_along_axis(dense, first[:, None] + np.arange(taps), weights, axis=1)
    return band(first, weights, size), dense[:, :size]


@settings(max_examples=50, deadline=None)
@given(source=st.tuples(sides, sides), shape=st.tuples(sides, sides), seed=st.integers(0, 99))
def test_equal_to_dense_products(
    source: tuple[int, int], shape: tuple[int, int], seed: int
) -> None:
    rows, down = random_band(shape[0], source[0], seed)
    columns, across = random_band(shape[1], source[1], seed + 1)
    pixels = np.random.default_rng(seed).random(source, dtype=np.float32)
    ours = multiply(rows, pixels, columns)
    assert (ours.shape, ours.dtype) == (shape, np.float32)
    expected = down @ pixels @ across.T
    scale = np.abs(down) @ pixels @ np.abs(across).T
    assert (np.abs(ours - expected) <= 1e-5 * scale + 1e-7).all()


def test_large_images_have_blocks_of_every_part() -> None:
    pixels = np.random.default_rng(0).random((900, 3000), dtype=np.float32)
    rows, down = random_band(40, 900, 0)
    columns, across = random_band(500, 3000, 1)
    np.testing.assert_allclose(multiply(rows, pixels, columns), down @ pixels @ across.T, atol=0.05)


def test_the_last_bit_does_not_depend_on_the_number_of_threads() -> None:
    code = (
        "import hashlib, sys, numpy as np\n"
        "from lucidray.images import resample\n"
        "pixels = np.random.default_rng(0).random((1100, 900), dtype=np.float32)\n"
        "print(hashlib.sha256(resample(pixels, (224, 300)).tobytes()).hexdigest())\n"
    )
    digests = set()
    for threads in ("1", "2"):
        more = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        found = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | more, capture_output=True, text=True
        )
        digests.add(found.stdout.strip())
    assert len(digests) == 1
    assert len(digests.pop()) == len(hashlib.sha256().hexdigest())
