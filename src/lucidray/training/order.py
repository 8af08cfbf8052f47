"""Which images come when: a pure function of seed, phase and epoch.

Nothing here has a state, so a run that was killed finds the same order again.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lucidray.records import Float32

Indices = npt.NDArray[np.int64]


def derive_seed(*parts: int) -> int:
    """Mix integers into one seed below 2^63; the same parts give the same seed.

    >>> derive_seed(0, 1) == derive_seed(0, 1) != derive_seed(1, 0)
    True
    """
    state = np.random.SeedSequence([abs(part) for part in parts]).generate_state(2)
    return (int(state[0]) << 31) ^ int(state[1])


def epoch_order(labels: Float32, *, balanced: bool, parts: tuple[int, ...]) -> Indices:
    """Order the images of one epoch.

    Args:
        labels: ``(N, F)``, used for balance only.
        balanced: Draw each stratum (see `strata`) equally often instead of each image once.
        parts: Seed, phase and epoch.

    Returns:
        ``(N,)`` indices: a permutation, or where balanced a sample in which the images of a
        stratum are used up before any returns.
    """
    generator = np.random.default_rng(derive_seed(*parts))
    if not balanced:
        return generator.permutation(len(labels))
    groups = [np.flatnonzero(strata(labels) == key) for key in np.unique(strata(labels))]
    quotas = np.full(len(groups), len(labels) // len(groups))
    quotas[: len(labels) % len(groups)] += 1
    drawn = [
        _repeat(group, int(quota), generator) for group, quota in zip(groups, quotas, strict=True)
    ]
    return generator.permutation(np.concatenate(drawn))


def strata(labels: Float32) -> Indices:
    """Assign each image to its rarest present finding, or to none (-1).

    >>> strata(np.array([[1, 0], [1, 1], [0, 0], [1, np.nan]], np.float32)).tolist()
    [0, 1, -1, 0]
    """
    present = labels == 1
    counts = present.sum(axis=0)
    rarity = np.where(present, counts, np.iinfo(np.int64).max)
    return np.where(present.any(axis=1), rarity.argmin(axis=1), -1)


def batches(order: Indices, size: int, *, world: int = 1, rank: int = 0) -> list[Indices]:
    """Cut an order into the batches of one process.

    Args:
        order: ``(N,)`` indices.
        size: Images a step, over all processes together.
        world: Number of processes.
        rank: Which of them this is.

    Returns:
        One array a step, equally many and equally long for every process; a rest too small to
        give each process two images is left out, for batch normalization learns nothing of one.
    """
    return [cut[rank::world] for cut in whole_batches(order, size, world=world)]


def whole_batches(order: Indices, size: int, *, world: int = 1) -> list[Indices]:
    """Cut an order into the batches that all processes share, each divisible among them.

    Args:
        order: ``(N,)`` indices.
        size: Images a step.
        world: Number of processes.
    """
    cuts = [order[start : start + size] for start in range(0, len(order), size)]
    if len(cuts) > 1 and len(cuts[-1]) < 2 * world:
        cuts.pop()
    return [cut[: len(cut) - len(cut) % world] for cut in cuts]


def _repeat(group: Indices, quota: int, generator: np.random.Generator) -> Indices:
    rounds = -(-quota // len(group))
    return np.concatenate([generator.permutation(group) for _ in range(rounds)])[:quota]
