"""Splits: nothing leaks, labels are shared out evenly, official splits stay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidray.datasets import (
    assign_splits,
    balanced_subset,
    check_no_leakage,
    fold_ids,
    group_ids,
    load_dataset,
)
from lucidray.datasets.joining import make_table
from lucidray.errors import ConfigError, DataError, LeakageError, ShapeError


def table_of(patients, labels=None, splits=None):
    """A table of one finding or several, one image a patient entry."""
    count = len(patients)
    labels = np.zeros((count, 1)) if labels is None else np.atleast_2d(np.asarray(labels).T).T
    names = ["Pneumonia", "Effusion", "Mass"][: labels.shape[1]]
    columns = {
        "image": [f"film{place:05d}" for place in range(count)],
        "patient": list(patients),
        "split": list(splits) if splits is not None else [None] * count,
    }
    return make_table("made up", names, labels.astype(np.float32), columns)


def test_groups_join_patients_and_clusters_through_each_other():
    table = table_of(["a", "a", "b", None, None, "c"])
    assert group_ids(table).tolist() == [0, 0, 1, 2, 3, 4]
    # Film 1 (patient a) looks like film 2 (patient b), and film 3 like film 4.
    assert group_ids(table, [-1, 0, 0, 5, 5, -1]).tolist() == [0, 0, 0, 1, 1, 2]
    for wrong in ([0, 1], [0.5] * 6):
        with pytest.raises(ShapeError, match="expected whole numbers, one for each of the 6"):
            group_ids(table, wrong)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(-1, 6), st.booleans()), min_size=1),
    st.integers(0, 3),
)
def test_no_patient_and_no_cluster_is_ever_torn(rows, seed):
    patients, clusters, labels = (list(column) for column in zip(*rows, strict=True))
    table = table_of([f"p{n}" if n else None for n in patients], labels)
    whole = assign_splits(table, seed=seed, clusters=clusters)
    assert whole.rows["split"].notna().all()
    assert check_no_leakage(whole, clusters=clusters).images == 0
    groups = group_ids(table, clusters)
    if groups.max() > 0:
        folds = fold_ids(table, 2, seed=seed, clusters=clusters)
        assert set(folds) == {0, 1}
        assert all(len(set(folds[groups == group])) == 1 for group in set(groups))


def test_the_split_depends_on_the_seed_but_not_on_the_order_of_rows(rng):
    table = table_of(rng.integers(0, 60, 300).astype(str), rng.random((300, 3)) < 0.3)
    shuffled = table.rows.sample(frac=1, random_state=1).reset_index(drop=True)
    first = assign_splits(table).rows.set_index("image")["split"]
    again = assign_splits(type(table)(**{**vars(table), "rows": shuffled})).rows
    assert first.sort_index().equals(again.set_index("image")["split"].sort_index())
    other = assign_splits(table, seed=1).rows.set_index("image")["split"]
    assert not first.equals(other)


def test_fractions_and_labels_come_out_as_asked(rng):
    patients = np.repeat(np.arange(2000), rng.integers(1, 4, 2000))
    labels = rng.random((len(patients), 3)) < (0.5, 0.1, 0.01)
    table = assign_splits(table_of(patients.astype(str), labels), validation=0.2, test=0.1)
    shares = table.rows["split"].value_counts(normalize=True)
    assert shares["validation"] == pytest.approx(0.2, abs=0.002)
    assert shares["test"] == pytest.approx(0.1, abs=0.002)
    whole = labels.mean(axis=0)
    for name in ("train", "validation", "test"):
        assert table.split(name).labels().mean(axis=0) == pytest.approx(whole, abs=0.002)


def test_official_splits_stay_and_validation_comes_from_train():
    patients = [str(n) for n in range(100)]
    splits = ["train"] * 70 + ["test"] * 30
    table = table_of(patients, splits=splits)
    new = assign_splits(table, validation=0.1, test=0.5).rows["split"]
    assert (new[70:] == "test").all()
    assert new[:70].value_counts().to_dict() == {"train": 63, "validation": 7}
    anew = assign_splits(table, validation=0.1, test=0.5, official=False).rows["split"]
    assert anew.value_counts().to_dict() == {"test": 50, "train": 40, "validation": 10}


def test_a_small_official_validation_split_can_be_drawn_anew():
    table = table_of([str(n) for n in range(100)], splits=["train"] * 98 + ["validation"] * 2)
    kept = assign_splits(table, validation=0.2, test=0).rows["split"]
    assert kept.value_counts().to_dict() == {"train": 98, "validation": 2}
    drawn = assign_splits(table, validation=0.2, test=0, keep_validation=False).rows["split"]
    assert drawn.value_counts().to_dict() == {"train": 80, "validation": 20}


def test_an_overlap_with_the_official_test_is_an_error_unless_asked_for():
    table = table_of(["a", "b", "secret", "secret"], splits=["train", "train", "train", "test"])
    with pytest.raises(LeakageError, match="1 training images of 'made up' share") as caught:
        assign_splits(table, validation=0)
    assert "secret" not in str(caught.value)
    dropped = assign_splits(table, validation=0, overlap="drop").rows["split"]
    assert dropped.tolist()[:2] == ["train", "train"] and dropped.isna().tolist()[2]
    allowed = assign_splits(table, validation=0, overlap="allow").rows["split"]
    assert allowed.tolist() == ["train", "train", "train", "test"]
    with pytest.raises(LeakageError):
        assign_splits(table_of("ab", splits=["train", "test"]), clusters=[3, 3])


def test_leakage_is_counted_without_naming_anybody():
    table = table_of(
        ["a", "a", "b", "secret", "secret", None],
        splits=["train", "test", "train", "train", "validation", "test"],
    )
    with pytest.raises(LeakageError, match=r"2 patients and 0 near-duplicate.*\(4 images\)") as at:
        check_no_leakage(table)
    assert "secret" not in str(at.value)
    found = check_no_leakage(table, clusters=[-1, -1, 7, -1, -1, 7], allow=True)
    assert (found.patients, found.clusters, found.images) == (2, 1, 6)


def test_folds_leave_the_official_test_out():
    patients = ["a", "b", "c", "d", "d"]
    table = table_of(patients, splits=[None, "train", "train", "test", "train"])
    folds = fold_ids(table, 3)
    assert sorted(folds[:3]) == [0, 1, 2] and folds[3:].tolist() == [-1, -1]
    for wrong in (1, 4):
        with pytest.raises(ConfigError, match=f"folds is {wrong}; expected 2 to 3"):
            fold_ids(table, wrong)


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (-0.1, 0.2), (0.9, 0.2)])
def test_fractions_must_leave_something_to_train_on(fractions):
    with pytest.raises(ConfigError, match="something is left to train on"):
        assign_splits(table_of("abc"), validation=fractions[0], test=fractions[1])


def test_a_balanced_subset_takes_whole_patients(rng):
    patients = np.repeat(np.arange(300), 4).astype(str)
    labels = rng.random(1200) < 0.2
    table = table_of(patients, labels)
    subset = balanced_subset(table, "Pneumonia", 50)
    assert subset.labels().sum() == 50 and len(subset) == 100
    assert balanced_subset(table, "Pneumonia", 50).rows.equals(subset.rows)
    negative = subset.rows[subset.labels()[:, 0] == 0]["patient"]
    assert negative.nunique() < 25, "patients are drawn, not images"
    single = balanced_subset(table, "Pneumonia", 30, one_per_patient=True)
    assert len(single) == 60 and single.rows["patient"].is_unique
    with pytest.raises(DataError, match=r"with Pneumonia = 1, but 900 were asked for"):
        balanced_subset(table, "Pneumonia", 900)


@pytest.mark.data
def test_the_real_children_are_split_without_leakage(real_data):
    table = assign_splits(load_dataset(real_data / "pediatric_pneumonia"))
    assert check_no_leakage(table).images == 0
    counts = table.rows["split"].value_counts()
    assert counts["train"] == pytest.approx(0.7 * 5216, abs=3)
    rates = table.rows.groupby("split")["Pneumonia"].mean()
    assert rates.max() - rates.min() < 0.002


def test_patients_with_many_images_are_spread_over_all_parts():
    sizes = [1] * 600 + [5] * 100
    patients = [f"p{number}" for number, size in enumerate(sizes) for _ in range(size)]
    labels = (np.arange(len(patients)) % 3 == 0).astype(float)
    rows = assign_splits(table_of(patients, labels), validation=0.15, test=0.15).rows
    images = rows.groupby("split")["patient"].agg(["size", "nunique"])
    per_patient = images["size"] / images["nunique"]
    assert per_patient.min() > 0.8 * per_patient.max()
