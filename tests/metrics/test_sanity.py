"""Cascading randomization: verdicts that are known, thresholds by hand, undefined counted."""

from __future__ import annotations

import numpy as np
import pytest

from lucidray.errors import MetricError, ShapeError, UnknownNameError
from lucidray.metrics.agreement import map_ssim, rank_correlation
from lucidray.metrics.sanity import SIMILARITIES, measure_randomization

SIDE = 16


def _blobs(seed: int, count: int = 24) -> np.ndarray:
    """Maps with one bright spot each, at random places."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    centers = rng.uniform(2, SIDE - 2, (count, 2, 1, 1))
    square = (rows - centers[:, 0]) ** 2 + (columns - centers[:, 1]) ** 2
    return np.exp(-square / 8) - 0.1


def _with(last: np.ndarray, **settings: object):
    maps = _blobs(0)
    return measure_randomization(
        maps, {"head": maps, "conv1": last}, n_boot=200, **{"rule": "rank_correlation", **settings}
    )


def test_maps_that_do_not_change_fail_on_every_similarity() -> None:
    found = _with(_blobs(0))
    assert set(found.verdicts.values()) == {"fails"}
    assert set(found.verdicts) == set(SIMILARITIES)
    assert found.cascade["conv1"]["map_ssim"].value == pytest.approx(1)
    assert found.verdict == "fails"


def test_inverted_maps_pass_on_signed_ranks() -> None:
    found = _with(-_blobs(0))
    assert found.verdict == "passes"
    assert found.cascade["conv1"]["rank_correlation"].value == pytest.approx(-1)
    assert found.gap["rank_correlation"].high < 0
    assert "rank_correlation" not in found.reason
    assert found.reason.startswith("similarity -1.000")


def test_maps_of_another_model_are_as_alike_as_strangers_so_not_a_pass() -> None:
    found = _with(_blobs(1), rule="map_ssim")
    assert found.verdicts["map_ssim"] == "undecided"
    gap = found.gap["map_ssim"]
    assert gap.low < 0 < gap.high


def test_an_absolute_map_does_not_see_a_change_of_sign() -> None:
    found = _with(-_blobs(0))
    assert found.cascade["conv1"]["rank_correlation_absolute"].value == pytest.approx(1)
    assert found.verdicts["rank_correlation_absolute"] == "fails"


def test_values_and_threshold_are_those_of_the_similarities_themselves() -> None:
    maps, other = _blobs(0), _blobs(2)
    found = measure_randomization(maps, {"head": other}, n_boot=20, strangers=200)
    assert found.cascade["head"]["map_ssim"].value == pytest.approx(map_ssim(maps, other).mean())
    pairs = [rank_correlation(maps[i], maps[j]) for i in range(24) for j in range(24) if i != j]
    assert found.threshold["rank_correlation"].value == pytest.approx(np.mean(pairs), abs=0.03)
    gap = found.gap["map_ssim"].value
    expected = found.cascade["head"]["map_ssim"].value - found.threshold["map_ssim"].value
    assert gap == pytest.approx(expected)
    assert found.cascade["head"]["map_ssim"].chance == found.threshold["map_ssim"].value


def test_threshold_never_pairs_maps_of_one_patient() -> None:
    maps = _blobs(0, 6)
    twins = np.concatenate([maps, maps])
    patients = np.tile(np.arange(6), 2)
    together = measure_randomization(twins, {"head": twins}, groups=patients, n_boot=20)
    assert together.threshold["map_ssim"].value < 0.9
    alone = measure_randomization(maps, {"head": maps}, groups=np.zeros(6), n_boot=20)
    assert alone.verdict == "undefined"
    assert np.isnan(alone.threshold["map_ssim"].value)


def test_maps_without_a_similarity_are_counted_not_passed() -> None:
    flat = np.zeros((24, SIDE, SIDE))
    found = _with(flat)
    assert found.verdict == "undefined"
    assert found.cascade["conv1"]["rank_correlation"].undefined == 24
    some = _blobs(1)
    some[:3] = np.nan
    assert _with(some).cascade["conv1"]["map_ssim"].undefined == 3


def test_refusals() -> None:
    maps = _blobs(0, 3)
    with pytest.raises(UnknownNameError, match="map_ssim"):
        measure_randomization(maps, {"head": maps}, rule="ssim")
    with pytest.raises(MetricError, match="at least 1"):
        measure_randomization(maps, {})
    with pytest.raises(ShapeError, match="after 'head'"):
        measure_randomization(maps, {"head": maps[:2]})
