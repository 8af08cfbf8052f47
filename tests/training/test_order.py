"""The order of images: complete, repeatable, balanced, and fairly shared."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidray.training.order import batches, derive_seed, epoch_order, whole_batches


def test_an_epoch_is_a_permutation_and_depends_on_each_part() -> None:
    labels = np.zeros((50, 1), np.float32)
    first = epoch_order(labels, balanced=False, parts=(0, 0, 0))
    assert sorted(first) == list(range(50))
    assert (first == epoch_order(labels, balanced=False, parts=(0, 0, 0))).all()
    for parts in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        assert (first != epoch_order(labels, balanced=False, parts=parts)).any()


def test_balance_draws_each_class_equally_and_uses_images_up_first() -> None:
    labels = np.zeros((40, 1), np.float32)
    labels[:10] = 1
    order = epoch_order(labels, balanced=True, parts=(0,))
    assert len(order) == 40
    counts = np.bincount(order, minlength=40)
    assert counts[:10].sum() == 20 and set(counts[:10]) == {2}
    assert counts[10:].max() == 1


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60), st.integers(2, 16), st.integers(1, 4))
def test_shares_are_equal_and_disjoint(count: int, size: int, world: int) -> None:
    size = size * world
    order = np.arange(count)
    shares = [batches(order, size, world=world, rank=rank) for rank in range(world)]
    assert len({len(share) for share in shares}) == 1
    for together in zip(*shares, strict=True):
        assert len({len(part) for part in together}) == 1
    for number, whole in enumerate(whole_batches(order, size, world=world)):
        for rank, share in enumerate(shares):
            assert share[number].tolist() == whole[rank::world].tolist()
    used = np.concatenate([np.concatenate(share) for share in shares])
    assert len(set(used)) == len(used) >= count - 2 * world


def test_seeds_fit_torch() -> None:
    assert all(0 <= derive_seed(a, b) < 2**63 for a in range(20) for b in range(20))
