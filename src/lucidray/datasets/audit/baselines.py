"""Features that should not tell a label, and how well they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lucidray.datasets.audit.association import (
    cramers_v,
    cross_validated_auc,
    independence_p,
)
from lucidray.datasets.audit.result import Association, Baseline
from lucidray.datasets.audit.scan import Scan
from lucidray.datasets.table import ImageTable
from lucidray.records import Bool, Float64

Int = npt.NDArray[np.int64]

#: Fewer images than this with, or without, a label: no baseline is fitted.
FEWEST = 20
#: At most so many images are used for the border baseline.
BORDER_LIMIT = 30_000

_LEVELS = 30


def traits(table: ImageTable, scan: Scan) -> dict[str, pd.Series[Any]]:
    """Return what is known of each image besides its findings, as categories by name."""
    rows = table.rows
    sizes = [f"{width} x {height}" if height else None for height, width in scan.shapes]
    return {
        "source": _levels(rows["source"]),
        "view position": _levels(rows["view_position"]),
        "sex": _levels(rows["sex"]),
        "age band": _levels(age_bands(rows["age_years"])),
        "image size": _levels(pd.Series(sizes, dtype=object)),
        "file encoding": _levels(pd.Series([name or None for name in scan.encodings])),
    }


def age_bands(ages: pd.Series[Any]) -> pd.Series[Any]:
    """Return ages in bands, None where unknown."""
    edges = [-np.inf, 1, 5, 18, 40, 60, 80, np.inf]
    names = ["under 1", "1-4", "5-17", "18-39", "40-59", "60-79", "80 and over"]
    bands = pd.cut(ages.astype("float64"), edges, labels=names, right=False)
    return bands.astype(object).where(bands.notna(), None)


def associations(table: ImageTable, known: dict[str, pd.Series[Any]]) -> list[Association]:
    """Measure how strongly labels and splits go together with each trait.

    Args:
        table: The data set.
        known: From `traits`.

    Returns:
        Every defined association, the strongest first. Where each image has exactly one class,
        the classes are taken together; else each finding on its own.
    """
    found = []
    for label, values in _targets(table):
        for trait, categories in known.items():
            found.append(_association(label, values, trait, categories))
    split = _levels(table.rows["split"])
    for label, values in _targets(table):
        if label != "split":
            found.append(_association("split", split, label, values))
    defined = [item for item in found if item.cramers_v == item.cramers_v]
    return sorted(defined, key=lambda item: -item.cramers_v)


def _association(label: str, values: Any, trait: str, categories: Any) -> Association:
    both = int((values.notna() & categories.notna()).sum())
    value, p = cramers_v(values, categories), independence_p(values, categories)
    return Association(label, trait, value, p, both)


def _targets(table: ImageTable) -> Iterator[tuple[str, pd.Series[Any]]]:
    if table.exclusive:
        yield "class", class_names(table)
    else:
        for finding in table.findings:
            values = table.rows[finding].astype("float64").reset_index(drop=True)
            yield finding, values.where(values.notna(), None)
    yield "split", _levels(table.rows["split"])


def class_names(table: ImageTable) -> pd.Series[Any]:
    """Return the one class of each row of an exclusive table, None where it has none."""
    labels = table.labels()
    names = np.array([*table.findings, None], dtype=object)
    place = np.where((labels == 1).any(axis=1), (labels == 1).argmax(axis=1), len(table.findings))
    return pd.Series(names[place], dtype=object)


def baselines(
    table: ImageTable,
    scan: Scan,
    known: dict[str, pd.Series[Any]],
    groups: Int,
    progress: Callable[[int, int], None] | None = None,
) -> list[Baseline]:
    """Try to tell each label (and the source) from what should not tell it.

    Args:
        table: The data set.
        scan: What was read of its images.
        known: From `traits`.
        groups: Rows that share a fold, int ``(N,)``.
        progress: Called with (done, total) after each fit.

    Returns:
        The AUC of each predictor and target with enough images, the highest first.
    """
    predictors = _predictors(table, scan, known)
    tasks = [
        (predictor, features, usable, target, values)
        for predictor, (features, usable) in predictors.items()
        for target, values in _binary_targets(table, known, predictor)
    ]
    found = []
    for done, (predictor, features, usable, target, values) in enumerate(tasks, start=1):
        rows = np.flatnonzero(usable & np.isfinite(values))
        positive = values[rows] == 1
        if min(positive.sum(), (~positive).sum()) >= FEWEST:
            score = cross_validated_auc(features[rows], positive, groups[rows])
            found.append(
                Baseline(
                    predictor, target, score.auc, score.low, score.high, score.count,
                    score.positives,
                )
            )  # fmt: skip
        if progress is not None:
            progress(done, len(tasks))
    defined = [item for item in found if item.auc == item.auc]
    return sorted(defined, key=lambda item: -item.auc)


def _predictors(
    table: ImageTable, scan: Scan, known: dict[str, pd.Series[Any]]
) -> dict[str, tuple[Float64, Bool]]:
    everyone = np.ones(len(table), dtype=bool)
    person = [_one_hot(known["view position"]), _one_hot(known["sex"]), _ages(table)]
    candidates = {
        "patient and view": (np.hstack(person), everyone),
        "source": (_one_hot(known["source"]), everyone),
        "file": (_file_features(scan, known), scan.readable),
        "border": (border_features(scan), _some(scan.readable, BORDER_LIMIT)),
    }
    return {
        name: (features, usable)
        for name, (features, usable) in candidates.items()
        if features[usable].size and float(np.ptp(features[usable], axis=0).max()) > 0
    }


def _binary_targets(
    table: ImageTable, known: dict[str, pd.Series[Any]], predictor: str
) -> Iterator[tuple[str, Float64]]:
    labels = table.labels().astype(np.float64)
    twin = table.exclusive and len(table.findings) == 2
    for column, finding in enumerate(table.findings):
        if not (twin and column == 0):
            yield finding, labels[:, column]
    sources = known["source"].dropna().unique()
    if predictor != "source" and 1 < len(sources) <= 10:
        for source in sorted(sources):
            values = np.where(known["source"].isna(), np.nan, known["source"] == source)
            yield f"source: {source}", values.astype(np.float64)


def border_features(scan: Scan) -> Float64:
    """Return the outer ring, two pixels wide, of 16×16 thumbnails, float64 ``(N, 112)``."""
    inner = np.zeros((16, 16), dtype=bool)
    inner[2:-2, 2:-2] = True
    features = np.empty((len(scan), int((~inner).sum())))
    for start in range(0, len(scan), 4096):
        rows = np.arange(start, min(start + 4096, len(scan)))
        tiny = scan.intensities(rows).reshape(len(rows), 16, 4, 16, 4).mean(axis=(2, 4))
        features[rows] = tiny[:, ~inner]
    return features


def _file_features(scan: Scan, known: dict[str, pd.Series[Any]]) -> Float64:
    sides = np.log(np.maximum(scan.shapes, 1).astype(np.float64))
    parts = [_one_hot(known["image size"]), _one_hot(known["file encoding"]), sides]
    return np.hstack(parts)


def _one_hot(categories: pd.Series[Any]) -> Float64:
    names = sorted(categories.dropna().unique())
    if len(names) + int(categories.isna().any()) < 2:
        return np.empty((len(categories), 0))
    columns = [(categories == name).to_numpy(dtype=np.float64) for name in names]
    return np.stack(columns, axis=1) if columns else np.empty((len(categories), 0))


def _ages(table: ImageTable) -> Float64:
    ages = table.rows["age_years"].to_numpy(dtype=np.float64)
    unknown = np.isnan(ages)
    if unknown.all():
        return np.empty((len(ages), 0))
    filled = np.where(unknown, np.nanmedian(ages), ages)
    return np.column_stack([filled, filled**2 / 100, unknown.astype(np.float64)])


def _levels(values: pd.Series[Any]) -> pd.Series[Any]:
    """Categories as text, None where unknown; beyond the 30 most common they are one."""
    text = values.reset_index(drop=True).astype(object)
    text = text.where(text.notna(), None).map(lambda value: value if value is None else str(value))
    common = text.value_counts().index[:_LEVELS]
    return text.where(text.isna() | text.isin(common), "other")


def _some(usable: Bool, limit: int) -> Bool:
    rows = np.flatnonzero(usable)
    if len(rows) <= limit:
        return usable
    chosen = np.zeros_like(usable)
    chosen[np.random.default_rng(0).choice(rows, limit, replace=False)] = True
    return chosen
