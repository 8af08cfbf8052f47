"""What is refused before anything is measured."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.inputs import (
    Samples,
    binary_samples,
    encode_groups,
    finding_samples,
    in_blocks,
    pool,
)


@pytest.mark.parametrize(
    ("labels", "scores", "error", "words"),
    [
        ([1, 0], [0.5], ShapeError, "both must be"),
        ([], [], ShapeError, "at least 1"),
        ([1, 2], [0.1, 0.2], MetricError, "neither 1, 0 nor nan"),
        ([1, -1], [0.1, 0.2], MetricError, "uncertain"),
        ([1, 0], [0.1, np.nan], MetricError, "nan or infinite"),
        ([1, 0], [0.1, 1.2], MetricError, "sigmoid or softmax"),
        (["yes", "no"], [0.1, 0.2], MetricError, "must be numbers"),
    ],
)
def test_refused(labels: list, scores: list, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        binary_samples(labels, scores, probabilities=True)


def test_scores_of_unlabeled_images_may_be_anything() -> None:
    samples = binary_samples([1, 0, np.nan], [0.9, 0.1, np.nan], probabilities=True)
    assert len(samples) == 2
    assert samples.unlabeled == 1
    assert samples.clusters == 3


@pytest.mark.parametrize("missing", [[None, "a"], [float("nan"), 1.0], [pd.NA, "a"]])
def test_a_missing_patient_is_refused(missing: list) -> None:
    with pytest.raises(MetricError, match="missing"):
        encode_groups(missing, 2)


def test_groups_must_fit() -> None:
    with pytest.raises(ShapeError, match="one key each"):
        encode_groups(["a"], 2)
    with pytest.raises(MetricError, match="one type"):
        encode_groups(np.array(["a", 1], dtype=object), 2)


def test_columns_of_a_table_are_taken_as_they_are() -> None:
    rows = pd.DataFrame({"p": ["a", "a", "b"], "y": [1.0, 0.0, np.nan], "s": [0.5, 0.2, 0.1]})
    samples = binary_samples(rows["y"], rows["s"], groups=rows["p"])
    assert samples.cluster.tolist() == [0, 0]
    assert samples.clusters == 2


def test_groups_of_text_are_numbered() -> None:
    codes, clusters = encode_groups(["b", "a", "b"], 3)
    assert codes.tolist() == [1, 0, 1]
    assert clusters == 2


def test_pooled_findings_keep_their_patients() -> None:
    parts = finding_samples([[1, np.nan], [0, 1]], [[0.5, 0.5], [0.4, 0.3]], ["p", "q"])
    both = pool(parts)
    assert both.cluster.tolist() == [0, 1, 1]
    assert both.unlabeled == 1
    with pytest.raises(ShapeError, match=r"\(N, F\)"):
        finding_samples([1, 0], [0.1, 0.2])


def test_shares_of_nothing_are_nan() -> None:
    nothing = Samples(np.zeros(0, bool), np.zeros(0), np.zeros(0, np.int64), 1)
    assert np.isnan(nothing.shares).all()


def test_blocks_change_nothing(rng: np.random.Generator) -> None:
    weights = rng.random((3, 150))
    assert np.array_equal(in_blocks(weights, lambda w: w.sum(axis=0)), weights.sum(axis=0))
