"""Splits that keep a patient, and every near-duplicate, on one side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lucidray.datasets.table import ImageTable
from lucidray.errors import ConfigError, DataError, LeakageError, ShapeError
from lucidray.records import Bool

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Overlap = Literal["error", "drop", "allow"]


@dataclass(frozen=True)
class Leakage:
    """How many patients, near-duplicate clusters and images stand in more than one split."""

    patients: int
    clusters: int
    images: int


def group_ids(table: ImageTable, clusters: npt.ArrayLike | None = None) -> Int64:
    """Number the groups of images that must stay together.

    Two images are in one group if they share a patient or a cluster, directly or through others.
    Images without a patient and without a cluster are groups of their own.

    Args:
        table: The table.
        clusters: int ``(N,)``, the near-duplicate cluster of each image; negative: none.

    Returns:
        int64 ``(N,)``, numbered from 0 in order of first appearance.
    """
    count = len(table)
    patients = _codes(table.rows["patient"].to_numpy(dtype=object))
    links = [_links(codes) for codes in (patients, _cluster_codes(clusters, count))]
    rows = np.concatenate([a for a, _ in links])
    columns = np.concatenate([b for _, b in links])
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def check_no_leakage(
    table: ImageTable, *, clusters: npt.ArrayLike | None = None, allow: bool = False
) -> Leakage:
    """Check that no patient and no near-duplicate cluster stands in more than one split.

    Args:
        table: A table with splits; rows without a split are left out.
        clusters: int ``(N,)``, the near-duplicate cluster of each image; negative: none.
        allow: Whether to return the counts instead of raising.

    Returns:
        What overlaps; all zero where nothing does.

    Raises:
        LeakageError: Something overlaps and `allow` is False.
    """
    splits = _codes(table.rows["split"].to_numpy(dtype=object))
    patients = _codes(table.rows["patient"].to_numpy(dtype=object))
    by_patient = _crossing(patients, splits)
    by_cluster = _crossing(_cluster_codes(clusters, len(table)), splits)
    found = Leakage(
        patients=len(np.unique(patients[by_patient])),
        clusters=len(np.unique(_cluster_codes(clusters, len(table))[by_cluster])),
        images=int((by_patient | by_cluster).sum()),
    )
    if found.images and not allow:
        raise LeakageError(
            f"{found.patients} patients and {found.clusters} near-duplicate clusters of "
            f"'{table.name}' ({found.images} images) stand in more than one split; each must stand "
            "in one. Split anew with assign_splits, or ask for it with allow=True."
        )
    return found


def assign_splits(
    table: ImageTable,
    *,
    validation: float = 0.15,
    test: float = 0.15,
    seed: int = 0,
    clusters: npt.ArrayLike | None = None,
    official: bool = True,
    keep_validation: bool = True,
    overlap: Overlap = "error",
) -> ImageTable:
    """Divide a table into train, validation and test by patient and near-duplicate cluster.

    Official splits are honored: test (and validation) rows stay, and what is missing is drawn
    from the other rows. Fractions are those of the rows that are drawn from. Labels are
    stratified as far as the groups allow.

    Args:
        table: The table.
        validation: Fraction for validation, unless an official one is kept.
        test: Fraction for test, unless there is an official one.
        seed: Of the draw; the same seed gives the same split, whatever the order of rows.
        clusters: int ``(N,)``, the near-duplicate cluster of each image; negative: none.
        official: Whether to honor the column `split`; False draws all anew.
        keep_validation: Whether an official validation split stays as it is; False puts it back
            to train before a new one is drawn (Kermany's holds 16 films).
        overlap: What to do where a group of the official test (or validation) also has rows
            elsewhere: ``"error"``, ``"drop"`` (those rows get no split), ``"allow"``.

    Returns:
        The table with a new column `split`.

    Raises:
        ConfigError: The fractions are negative or leave nothing to train on.
        LeakageError: The official splits overlap and `overlap` is ``"error"``.

    Source: Sechidis et al. 2011, doi:10.1007/978-3-642-23808-6_10 (iterative stratification).
    Deviates: whole groups are drawn instead of single images.
    """
    _check_fractions(validation, test)
    groups = group_ids(table, clusters)
    split = _kept(table, official, keep_validation)
    pool = np.asarray(split == None, bool)  # noqa: E711 - elementwise
    touched = np.isin(groups, np.unique(groups[~pool])) & pool
    if touched.any() and overlap == "error":
        raise LeakageError(
            f"{int(touched.sum())} training images of '{table.name}' share a patient or a "
            "near-duplicate with its official test or validation images. Leave them out with "
            "overlap='drop', or keep them with overlap='allow'."
        )
    if overlap == "drop":
        pool &= ~touched
    drawn = {"validation": validation, "test": test}
    wanted = {name: part for name, part in drawn.items() if part and not (split == name).any()}
    parts = {"train": 1 - sum(wanted.values()), **wanted}
    dealt = _deal(table, groups, pool, list(parts.values()), seed)
    split[pool] = np.array(list(parts), dtype=object)[dealt[pool]]
    return replace(table, rows=table.rows.assign(split=split))


def _kept(table: ImageTable, official: bool, keep_validation: bool) -> npt.NDArray[np.object_]:
    """Return the official splits that stay, None elsewhere."""
    split = np.full(len(table), None, dtype=object)
    if official:
        held = ("test", "validation") if keep_validation else ("test",)
        given = table.rows["split"].to_numpy(dtype=object)
        split[np.isin(given, held)] = given[np.isin(given, held)]
    return split


def fold_ids(
    table: ImageTable, folds: int, *, seed: int = 0, clusters: npt.ArrayLike | None = None
) -> Int64:
    """Number the folds of a cross-validation by patient, stratified by label.

    Args:
        table: The table; official test rows take no part.
        folds: How many, at least 2.
        seed: Of the draw.
        clusters: int ``(N,)``, the near-duplicate cluster of each image; negative: none.

    Returns:
        int64 ``(N,)``: 0 to `folds` - 1, or -1 for rows of the official test split and rows that
        share a group with one.

    Raises:
        ConfigError: Fewer than two folds, or fewer groups than folds.
    """
    groups = group_ids(table, clusters)
    held = (table.rows["split"] == "test").to_numpy(dtype=bool)
    pool = ~np.isin(groups, np.unique(groups[held]))
    available = len(np.unique(groups[pool]))
    if folds < 2 or available < folds:
        raise ConfigError(
            f"folds is {folds}; expected 2 to {available}, the number of separate patients."
        )
    return np.where(pool, _deal(table, groups, pool, [1 / folds] * folds, seed), -1)


def balanced_subset(
    table: ImageTable,
    finding: str,
    per_class: int,
    *,
    seed: int = 0,
    one_per_patient: bool = False,
) -> ImageTable:
    """Draw as many images with a finding as without, patient after patient.

    Patients are drawn at random and give all their images, so that only the last one of each
    class may be cut short.

    Args:
        table: The table; rows where the finding is unknown are left out.
        finding: Which finding; ``"No Finding"`` balances normal against abnormal.
        per_class: Images with the finding, and as many without.
        seed: Of the draw.
        one_per_patient: Whether each patient may give one image only (DeLong's test needs it).

    Returns:
        The subset, in the order of the table.

    Raises:
        DataError: There are not enough images.
    """
    labels = table.labels([finding])[:, 0]
    order = _by_drawn_patient(table, seed)
    if one_per_patient:
        groups = group_ids(table)[order]
        known = ~np.isnan(labels[order])
        order = order[known][np.sort(np.unique(groups[known], return_index=True)[1])]
    chosen = np.zeros(len(table), bool)
    for value in (1, 0):
        rows = order[labels[order] == value]
        if len(rows) < per_class:
            raise DataError(
                f"'{table.name}' has {len(rows)} images with {finding} = {value}, but {per_class} "
                f"were asked for. Ask for at most {len(rows)}."
            )
        chosen[rows[:per_class]] = True
    return table.where(chosen)


def _by_drawn_patient(table: ImageTable, seed: int) -> Int64:
    names = table.rows["image"].to_numpy(dtype=str)
    groups = group_ids(table)
    keys = _drawn_order(groups, names, np.random.default_rng(seed))
    rank = np.empty(len(keys), np.int64)
    rank[keys] = np.arange(len(keys))
    return np.lexsort((names, rank[groups]))


def _drawn_order(groups: Int64, names: npt.NDArray[np.str_], rng: np.random.Generator) -> Int64:
    """Shuffle group numbers, starting from an order that does not depend on that of the rows."""
    by_name = np.argsort(names, kind="stable")
    _, first = np.unique(groups[by_name], return_index=True)
    ordered = groups[by_name][np.sort(first)]
    return np.asarray(rng.permutation(ordered), np.int64)


def _deal(table: ImageTable, groups: Int64, pool: Bool, fractions: list[float], seed: int) -> Int64:
    """Deal whole groups to parts: rarest label first, each to the part that lacks it most."""
    part = np.full(len(table), -1, np.int64)
    if not pool.any():
        return part
    inside = np.flatnonzero(pool)
    names = table.rows["image"].to_numpy(dtype=str)[inside]
    _, local = np.unique(groups[inside], return_inverse=True)
    weight = _weights(table, inside)
    counts = np.zeros((local.max() + 1, weight.shape[1]))
    np.add.at(counts, local, weight)
    order = _drawn_order(local, names, np.random.default_rng(seed))
    part[inside] = _dealt(counts, order, np.asarray(fractions, np.float64))[local]
    return part


def _weights(table: ImageTable, rows: Int64) -> Float64:
    """Return float64 ``(n, 1 + F)``: one for the image, then its labels that are 1."""
    labels = np.nan_to_num(table.labels()[rows].astype(np.float64))
    return np.column_stack([np.ones(len(rows)), labels])


def _dealt(counts: Float64, order: Int64, fractions: Float64) -> Int64:
    """Give each group to the part that lacks the largest share of what it is to have.

    Shares are relative to a part's own size: by absolute need all large groups, the patients
    with many images, would go to the largest part.
    """
    totals = counts.sum(axis=0)
    rarity = np.where(counts > 0, totals, np.inf)
    rarest = np.where(np.isfinite(rarity[:, 1:]).any(axis=1), 1 + _first_min(rarity[:, 1:]), 0)
    order = order[np.lexsort((-counts[order, 0], rarity[order, rarest[order]]))]
    part = np.empty(len(counts), np.int64)
    lacking = np.where(fractions > 0, 1.0, -np.inf)[:, None] * np.ones_like(totals)
    for group in order:
        need = lacking[:, rarest[group]]
        best = np.flatnonzero(need >= need.max() - 1e-12)
        chosen = best[np.argmax(lacking[best, 0])]
        part[group] = chosen
        lacking[chosen] -= counts[group] / np.maximum(totals, 1) / fractions[chosen]
    return part


def _first_min(values: Float64) -> Int64:
    if values.shape[1] == 0:
        return np.zeros(len(values), np.int64)
    return np.asarray(values.argmin(axis=1), np.int64)


def _codes(values: npt.NDArray[np.object_]) -> Int64:
    """Number the distinct values; -1 where missing."""
    missing = np.array([value is None or value != value for value in values], bool)
    codes = np.full(len(values), -1, np.int64)
    if not missing.all():
        codes[~missing] = np.unique(values[~missing].astype(str), return_inverse=True)[1]
    return codes


def _cluster_codes(clusters: npt.ArrayLike | None, count: int) -> Int64:
    if clusters is None:
        return np.full(count, -1, np.int64)
    codes = np.asarray(clusters)
    if codes.shape != (count,) or not np.issubdtype(codes.dtype, np.integer):
        raise ShapeError(
            f"clusters are {codes.dtype} {codes.shape}; expected whole numbers, one for each of "
            f"the {count} images, negative where an image has no near-duplicate."
        )
    return codes.astype(np.int64)


def _links(codes: Int64) -> tuple[Int64, Int64]:
    """Link every row of a code to the first row that has it."""
    rows = np.flatnonzero(codes >= 0)
    if not len(rows):
        return np.arange(0), np.arange(0)
    _, first, inverse = np.unique(codes[rows], return_index=True, return_inverse=True)
    return rows, rows[first][inverse]


def _crossing(codes: Int64, splits: Int64) -> Bool:
    """Return bool ``(N,)``: whether the row's code stands in more than one split."""
    rows = np.flatnonzero((codes >= 0) & (splits >= 0))
    crossing = np.zeros(len(codes), bool)
    pairs = np.unique(np.column_stack([codes[rows], splits[rows]]), axis=0)
    values, times = np.unique(pairs[:, 0], return_counts=True)
    crossing[rows] = np.isin(codes[rows], values[times > 1])
    return crossing


def _check_fractions(validation: float, test: float) -> None:
    if not (validation >= 0 and test >= 0 and validation + test < 1):
        raise ConfigError(
            f"validation is {validation} and test is {test}; expected fractions from 0 on whose "
            "sum is below 1, so that something is left to train on."
        )
