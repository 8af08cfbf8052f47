"""Deletion, insertion and their gap: by hand on linear models, by brute force, by properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidray.errors import MetricError, ShapeError, UnknownNameError
from lucidray.metrics.catalog import metrics, names_of
from lucidray.metrics.faithfulness import area, measure_faithfulness
from lucidray.metrics.faithfulness_curves import RemovalResult, removal_curves
from lucidray.metrics.faithfulness_fill import Removal
from lucidray.metrics.faithfulness_order import (
    order_status,
    removal_order,
    removed_fractions,
)

SIDE = 6
PIXELS = SIDE * SIDE
EVERY = Removal(steps=PIXELS, link="none", random_orders=0, batch_size=7)


class Linear:
    """A model whose outputs are weighted sums of pixels; it counts what it is asked."""

    def __init__(self, *weights: np.ndarray) -> None:
        self.weights = np.stack([w.astype(np.float64) for w in weights])
        self.batches: list[int] = []

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.batches.append(len(images))
        planes = images if images.ndim == 3 else images.sum(axis=1)
        return np.einsum("bhw,fhw->bf", planes.astype(np.float64), self.weights)


def _case(seed: int = 0, maps: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    image = (0.2 + rng.random((SIDE, SIDE))).astype(np.float32)
    return image, rng.standard_normal((maps, SIDE, SIDE)).astype(np.float32)


def _by_hand(image: np.ndarray, weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Remove one pixel after another, as the definition says."""
    left, found = image.astype(np.float64).ravel().copy(), []
    for pixel in [None, *np.argsort(-values.ravel(), kind="stable")]:
        if pixel is not None:
            left[pixel] = 0
        found.append(float(left @ weights.astype(np.float64).ravel()))
    return np.array(found)


def test_deletion_of_a_linear_model_is_known_by_hand() -> None:
    image, weights = _case(1)
    model = Linear(weights[0])
    result = removal_curves(model, [image], [weights], removal=EVERY)
    hand = _by_hand(image, weights[0], weights[0])
    back = _by_hand(image, weights[0], -weights[0])
    assert result.output.most_first[0, 0] == pytest.approx(hand, abs=1e-6)
    assert result.output.least_first[0, 0] == pytest.approx(back, abs=1e-6)
    assert result.output.fractions == pytest.approx(np.linspace(0, 1, PIXELS + 1))


def test_areas_of_equal_contributions_are_exact() -> None:
    # Half of the pixels carry 1/18 each: p falls from 1 to 0 over the first half, then stays.
    weights = np.zeros((SIDE, SIDE))
    weights[:, :3] = 1 / 18
    ones = np.ones((SIDE, SIDE), np.float32)
    found = measure_faithfulness(
        Linear(weights), [ones], [weights[None]], removal=EVERY, n_boot=0
    ).tables[0]
    assert found.values["deletion"] == pytest.approx([0.25])
    assert found.values["insertion"] == pytest.approx([0.75])
    assert found.values["faithfulness_gap"] == pytest.approx([0.5])
    assert found.values["deletion_normalized"] == pytest.approx([0.25])
    assert found.baselines["inverted"]["deletion"] == pytest.approx([0.75])
    assert found.baselines["inverted"]["faithfulness_gap"] == pytest.approx([-0.5])


def test_the_best_order_of_a_linear_model_is_its_contributions() -> None:
    image, weights = _case(2, maps=5)
    model = Linear(weights[0])
    contribution = weights[0] * image
    stack = np.concatenate([contribution[None], weights[1:]])
    found = removal_curves(model, [image], [stack], targets=[0] * 5, removal=EVERY).output
    areas = area(found.fractions, found.most_first)[0]
    assert areas.argmin() == 0
    assert area(found.fractions, found.least_first)[0].argmax() == 0


@pytest.mark.parametrize("fill", ["black", "mean", "blur"])
@pytest.mark.parametrize("channels", [0, 3])
@pytest.mark.parametrize("steps", [5, 8])
def test_curves_equal_pixel_flipping_by_brute_force(fill: str, channels: int, steps: int) -> None:
    rng = np.random.default_rng(3)
    shape = (channels, SIDE, SIDE) if channels else (SIDE, SIDE)
    image = rng.standard_normal(shape).astype(np.float32)
    stack = rng.standard_normal((2, SIDE, SIDE)).astype(np.float32)
    model = Linear(*rng.standard_normal((3, SIDE, SIDE)))
    how = Removal(fill=fill, steps=steps, link="softmax", black=0.3, blur=0.2, random_orders=0)
    found = removal_curves(model, [image], [stack], targets=[2, 0], removal=how).probability

    removed_image = _reference(image, how)
    for place, target in enumerate([2, 0]):
        order = np.argsort(-stack[place].ravel(), kind="stable")
        for step in range(steps + 1):
            gone = np.zeros(PIXELS, bool)
            gone[order[: -(-step * PIXELS // steps)]] = True
            gone = gone.reshape(SIDE, SIDE)
            logits = model(np.where(gone, removed_image, image)[None])[0]
            expected = np.exp(logits) / np.exp(logits).sum()
            assert found.most_first[0, place, step] == pytest.approx(expected[target], abs=1e-6)


def _reference(image: np.ndarray, how: Removal) -> np.ndarray:
    from skimage.filters import gaussian

    if how.fill == "black":
        return np.full(image.shape, how.black, np.float32)
    if how.fill == "mean":
        return np.broadcast_to(image.mean(axis=(-2, -1), keepdims=True), image.shape)
    planes = image.reshape(-1, SIDE, SIDE)
    blurred = [gaussian(p, how.blur * SIDE, mode="nearest") for p in planes]
    return np.stack(blurred).reshape(image.shape)


@pytest.mark.parametrize("fill", ["black", "mean", "blur", "road"])
def test_display_intensities_stay_display_intensities(fill: str) -> None:
    rng = np.random.default_rng(0)
    image = np.round(rng.random((32, 32))).astype(np.float32)
    seen: list[np.ndarray] = []

    def predict(batch: np.ndarray) -> np.ndarray:
        seen.append(batch.copy())
        return np.zeros((len(batch), 1))

    how = Removal(fill=fill, steps=4, noise=0.5)
    removal_curves(predict, [image], [rng.random((1, 8, 8))], removal=how)
    assert np.concatenate(seen).min() >= 0
    assert np.concatenate(seen).max() <= 1


def test_what_maps_share_is_computed_once() -> None:
    image, stack = _case(4, maps=3)
    model = Linear(*stack)
    how = Removal(steps=5, random_orders=2, batch_size=8)
    removal_curves(model, [image, image], [stack, stack], removal=how)
    rows = 2 + (2 * 3 + 2) * 4
    assert sum(model.batches) == 2 * rows
    assert model.batches[:-1] == [8] * (len(model.batches) - 1)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_curves_do_not_depend_on_the_batch(batch_size: int) -> None:
    cases = [_case(seed, maps=2) for seed in range(3)]
    images, stacks = [c[0] for c in cases], [c[1] for c in cases]
    model = Linear(*stacks[0])
    many = removal_curves(model, images, stacks, removal=Removal(steps=4, batch_size=batch_size))
    whole = removal_curves(model, images, stacks, removal=Removal(steps=4, batch_size=10))
    for name in ("most_first", "least_first", "random"):
        assert np.array_equal(getattr(many.output, name), getattr(whole.output, name))


def test_images_of_several_sizes_go_through_one_call() -> None:
    rng = np.random.default_rng(0)
    images = [rng.random((4, 4)), rng.random((5, 7)), rng.random((4, 4))]

    def predict(batch: np.ndarray) -> np.ndarray:
        return batch.mean(axis=(1, 2))[:, None]

    maps = [image[None] for image in images]
    found = removal_curves(predict, images, maps, removal=Removal(steps=4, link="none"))
    assert found.output.most_first[:, 0, 0] == pytest.approx([i.mean() for i in images])
    assert np.isfinite(found.output.random).all()


def test_maps_without_an_order_are_nan_and_counted_and_cost_nothing() -> None:
    image, stack = _case(5)
    bad = np.full_like(stack, np.nan)
    flat = np.zeros_like(stack)
    model = Linear(stack[0])
    maps = [stack, flat, bad]
    report = measure_faithfulness(model, [image] * 3, maps, removal=EVERY, n_boot=20)
    table = report.tables[0]
    assert table.status == ("ok", "no_order", "not_finite")
    assert np.isnan(table.values["deletion"]).tolist() == [False, True, True]
    assert np.isnan(table.baselines["inverted"]["insertion"]).tolist() == [False, True, True]
    measured = table.measurements["deletion"]
    assert (measured.count, measured.undefined, measured.higher_is_better) == (1, 2, False)
    assert sum(model.batches) == 2 + 2 * (PIXELS - 1)


def test_nothing_but_maps_without_an_order_asks_the_model_nothing() -> None:
    model = Linear(np.ones((SIDE, SIDE)))
    image, _ = _case(6)
    found = removal_curves(model, [image], [np.ones((2, 7 - 1, 6))], targets=[0, 0])
    assert model.batches == []
    assert np.isnan(found.probability.most_first).all()


def test_normalized_is_undefined_where_nothing_is_to_be_explained() -> None:
    image, stack = _case(7)
    constant = Linear(np.zeros((SIDE, SIDE)))
    table = measure_faithfulness(constant, [image], [stack], removal=EVERY, n_boot=0).tables[0]
    assert np.isnan(table.values["deletion_normalized"]).all()
    assert table.values["deletion"] == pytest.approx([0])
    rising = Linear(-np.ones((SIDE, SIDE)))
    table = measure_faithfulness(rising, [image], [stack], removal=EVERY, n_boot=0).tables[0]
    assert np.isnan(table.values["insertion_normalized"]).all()


def test_random_maps_score_chance_and_a_true_map_beats_it() -> None:
    rng = np.random.default_rng(8)
    images = (0.2 + rng.random((60, SIDE, SIDE))).astype(np.float32)
    weights = np.abs(rng.standard_normal((SIDE, SIDE)))
    weights /= weights.sum()
    how = Removal(steps=12, link="none", random_orders=4)
    noise = rng.standard_normal((60, 1, SIDE, SIDE))
    true = images[:, None] * weights
    model = Linear(weights)
    by = {
        name: measure_faithfulness(model, images, maps, removal=how, n_boot=500).tables[0]
        for name, maps in {"true": true, "noise": noise, "inverted": -true}.items()
    }
    for name in ("deletion", "insertion"):
        gain = by["noise"].gain["random", name]
        assert gain.low < 0 < gain.high
    assert by["true"].gain["random", "deletion"].high < 0
    assert by["true"].gain["random", "insertion"].low > 0
    assert by["inverted"].gain["random", "deletion"].low > 0
    chance = by["true"].measurements["deletion"].chance
    assert chance == pytest.approx(by["true"].chance["random", "deletion"].value)
    gap = by["noise"].measurements["faithfulness_gap"]
    assert gap.low < 0 < gap.high


def test_logits_and_probabilities_come_of_one_pass() -> None:
    image, stack = _case(9)
    how = Removal(steps=4, random_orders=1)
    result = removal_curves(Linear(stack[0]), [image], [stack], removal=how)
    assert isinstance(result, RemovalResult)
    logits = result.output.most_first
    assert result.probability.most_first == pytest.approx(1 / (1 + np.exp(-logits)))
    report = measure_faithfulness(
        Linear(stack[0]), [image], [stack], removal=how, scale="output", n_boot=0
    )
    expected = area(result.output.fractions, logits)[0]
    assert report.tables[0].values["deletion"] == pytest.approx(expected)


def test_targets_may_differ_by_image() -> None:
    image, stack = _case(10, maps=1)
    model = Linear(stack[0], -stack[0])
    how = Removal(steps=4, link="none")
    found = removal_curves(model, [image] * 2, [stack] * 2, targets=[[0], [1]], removal=how).output
    assert found.most_first[1] == pytest.approx(-found.most_first[0])


class TestOrder:
    def test_ties_favor_no_side(self) -> None:
        values = np.zeros((64, 64), np.float32)
        values[0, 0] = 1
        order = removal_order(values, (64, 64), 2)
        early = order.most_first == 0
        assert early[0, 0]
        assert early[:, :32].mean() == pytest.approx(0.5, abs=0.05)
        assert early[:32].mean() == pytest.approx(0.5, abs=0.05)
        again = removal_order(values, (64, 64), 2)
        assert np.array_equal(order.most_first, again.most_first)
        other = removal_order(values, (64, 64), 2, seed=1)
        assert not np.array_equal(order.most_first, other.most_first)

    def test_negative_zero_is_zero(self) -> None:
        values = np.array([[0.0, 1.0], [-0.0, 0.0]], np.float32)
        same = np.array([[0.0, 1.0], [0.0, 0.0]], np.float32)
        assert np.array_equal(
            removal_order(values, (2, 2), 4).most_first, removal_order(same, (2, 2), 4).most_first
        )

    @settings(max_examples=50, deadline=None)
    @given(
        st.integers(1, 9),
        st.integers(1, 9),
        st.integers(1, 40),
        st.integers(0, 10**6),
    )
    def test_steps_are_even_and_follow_the_values(
        self, rows: int, columns: int, steps: int, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        values = rng.integers(-3, 4, (rows, columns)).astype(np.float32)
        order = removal_order(values, (rows, columns), steps)
        count = rows * columns
        gone = [(order.most_first < step).sum() for step in range(steps + 1)]
        assert gone == [-(-step * count // steps) for step in range(steps + 1)]
        assert np.array(gone) / count == pytest.approx(removed_fractions(count, steps))
        for step in range(steps):
            out, left = values[order.most_first <= step], values[order.most_first > step]
            assert not left.size or out.min() >= left.max()
            out, left = values[order.least_first <= step], values[order.least_first > step]
            assert not left.size or out.max() <= left.min()
        if steps == count:
            assert np.array_equal(order.most_first, steps - 1 - order.least_first)

    def test_cells_go_as_a_whole(self) -> None:
        values = np.array([[4.0, 3.0], [2.0, 1.0]], np.float32)
        order = removal_order(values, (4, 6), 4, units="cells")
        assert order.most_first.tolist() == [[0, 0, 0, 1, 1, 1]] * 2 + [[2, 2, 2, 3, 3, 3]] * 2

    def test_coarse_maps_are_upsampled_bilinearly(self) -> None:
        import torch
        from torch.nn import functional

        values = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
        fine = functional.interpolate(
            torch.from_numpy(values)[None, None], (17, 30), mode="bilinear", align_corners=False
        )[0, 0].numpy()
        order = removal_order(values, (17, 30), 10).most_first
        for step in range(9):
            assert fine[order <= step].min() >= fine[order > step].max() - 1e-5

    def test_what_has_no_order_says_so(self) -> None:
        assert order_status(np.ones((2, 2))) == "no_order"
        assert order_status(np.array([[1, np.inf]])) == "not_finite"
        assert order_status(np.array([[1.0, 2.0]])) == "ok"


def test_every_registered_measure_is_documented_and_bounded() -> None:
    names = names_of("removal_curves")
    assert {"deletion", "insertion", "road_gap"} <= set(names)
    for name in names:
        entry = metrics.entry(name)
        assert entry.summary.endswith(".")
        for part in ("Args:", "Returns:", "Source:"):
            assert part in entry.value.__doc__


def test_refusals_say_what_came() -> None:
    image, stack = _case(0)
    model = Linear(stack[0])
    with pytest.raises(ShapeError, match="as many images as maps"):
        removal_curves(model, [image, image], [stack])
    with pytest.raises(ShapeError, match=r"expected \(H, W\)"):
        removal_curves(model, [image], [stack[0]])
    with pytest.raises(ShapeError, match="no output"):
        removal_curves(model, [image], [stack], targets=[1])
    with pytest.raises(ShapeError, match="targets are"):
        removal_curves(model, [image], [stack], targets=[0.5])
    with pytest.raises(ShapeError, match="resample the map"):
        removal_curves(model, [image], [np.arange(81.0).reshape(1, 9, 9)])
    with pytest.raises(ShapeError, match="one a channel"):
        removal_curves(model, [image], [stack], removal=Removal(black=(0.1, 0.2)))
    with pytest.raises(ShapeError, match=r"expected \(B, F\)"):
        removal_curves(lambda x: x.sum(axis=(1, 2)), [image], [stack])
    with pytest.raises(ShapeError, match="no images"):
        removal_curves(model, [], [])
    with pytest.raises(ShapeError, match="different numbers"):
        removal_curves(model, [image, image], [stack, np.repeat(stack, 2, 0)], targets=None)
    with pytest.raises(MetricError, match="nan or infinite pixels"):
        removal_curves(model, [image * np.nan], [stack])
    with pytest.raises(MetricError, match="choose black"):
        Removal(fill="white")
    with pytest.raises(MetricError, match="expected at least"):
        Removal(steps=1)
    with pytest.raises(UnknownNameError):
        measure_faithfulness(model, [image], [stack], only=["deletio"])
    with pytest.raises(MetricError, match="nothing can be normalized"):
        measure_faithfulness(
            model, [image], [stack], removal=Removal(fill="road"), only=["deletion_normalized"]
        )
