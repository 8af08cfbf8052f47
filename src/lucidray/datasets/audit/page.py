"""The audit as one HTML page with pictures, which needs nothing but itself."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from lucidray.datasets.audit.baselines import class_names
from lucidray.datasets.audit.build import relative_names
from lucidray.datasets.audit.grouping import SPLIT_ORDER, label_text
from lucidray.datasets.audit.pictures import Album, Box
from lucidray.datasets.audit.result import Association, Audit, NearPair, Outlier
from lucidray.datasets.table import ImageTable

T = TypeVar("T")

#: At most so many pictures, pairs or rows of a kind; the rest is in the JSON.
SHOWN = 18
#: Pictures of each class on the contact sheet (fewer where there are many), and classes shown.
SHEET, SHEET_OF_MANY, CLASSES = 8, 5, 16


@dataclass(frozen=True)
class Shelf:
    """A class and some of its images for the contact sheet."""

    title: str
    names: tuple[str, ...]
    total: int


@dataclass(frozen=True)
class Row:
    """A row of the chart of counts: parts of the whole, one a split."""

    title: str
    parts: tuple[tuple[str, int, float], ...]
    total: int


def write_audit_page(audit: Audit, table: ImageTable, path: str | Path) -> Path:
    """Write an audit as one self-contained HTML file with small pictures, whole or not at all.

    Args:
        audit: What was found.
        table: The same table that was audited; its files are read again for the pictures.
        path: The file to write.

    Returns:
        The file written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_text(render_audit_page(audit, table), encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def render_audit_page(audit: Audit, table: ImageTable) -> str:
    """Return the text of the page; it loads nothing and runs no script."""
    room = Environment(
        loader=PackageLoader("lucidray.datasets.audit"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    room.filters.update(number=lambda value: f"{value:,}", amount=_amount, leaf=_leaf)
    here = table.present()
    names = relative_names(here.paths(), audit.root)
    album = Album(dict(zip(names, here.paths(), strict=True)), _boxes(here, names))
    return room.get_template("page.html").render(
        audit=audit,
        totals=audit.totals(),
        picture=album,
        shown=SHOWN,
        shelves=_shelves(here, names),
        counts=_count_rows(audit),
        splits=_splits(audit),
        exact=sorted(audit.exact, key=len, reverse=True)[:SHOWN],
        near=_telling_pairs(audit.near),
        odd=_varied(audit.outliers, SHOWN),
        told=audit.baselines[:24],
        tied=[item for item in audit.associations if _notable(item)][:16],
        labels=_labels(here, names),
    )


def _shelves(table: ImageTable, names: Sequence[str]) -> list[Shelf]:
    rng = np.random.default_rng(0)
    labels = table.labels()
    if table.exclusive:
        kinds = class_names(table)
        masks = {name: (kinds == name).to_numpy(dtype=bool) for name in table.findings}
    else:
        masks = {name: labels[:, column] == 1 for column, name in enumerate(table.findings)}
        masks["None of these"] = (labels == 0).all(axis=1)
    filled = {title: np.flatnonzero(mask) for title, mask in masks.items() if mask.any()}
    each = SHEET_OF_MANY if len(filled) > 5 else SHEET
    shelves = []
    for title, rows in (filled or {"Some images": np.arange(len(table))}).items():
        chosen = rng.permutation(rows)[:each]
        shelves.append(Shelf(title, tuple(names[int(row)] for row in chosen), len(rows)))
    return shelves[:CLASSES]


def _count_rows(audit: Audit) -> list[Row]:
    totals: dict[str, dict[str, int]] = {}
    for count in audit.counts:
        totals.setdefault(count.finding, {})[count.split] = count.present
    most = max((sum(parts.values()) for parts in totals.values()), default=0)
    rows = []
    for finding, parts in totals.items():
        shares = tuple(
            (split, parts[split], parts[split] / most)
            for split in SPLIT_ORDER
            if parts.get(split) and most
        )
        rows.append(Row(finding, shares, sum(parts.values())))
    return sorted(rows, key=lambda row: -row.total)


def _splits(audit: Audit) -> list[str]:
    present = {count.split for count in audit.counts}
    return [name for name in SPLIT_ORDER if name in present]


def _labels(table: ImageTable, names: Sequence[str]) -> dict[str, str]:
    labels = table.labels()
    return {name: label_text(table.findings, labels[row]) for row, name in enumerate(names)}


def _boxes(table: ImageTable, names: Sequence[str]) -> dict[str, list[Box]]:
    called = dict(zip(table.rows["image"], names, strict=True))
    boxes: dict[str, list[Box]] = {}
    for image, *corners in table.boxes[["image", "x_min", "y_min", "x_max", "y_max"]].itertuples(
        index=False
    ):
        left, top, right, bottom = (float(corner) for corner in corners)
        boxes.setdefault(called.get(image, ""), []).append((left, top, right, bottom))
    return boxes


def _telling_pairs(pairs: Sequence[NearPair]) -> list[NearPair]:
    """Pairs from the surest to the most doubtful, evenly, the flipped ones among them."""
    kept: list[NearPair] = []
    for orientation in dict.fromkeys(pair.orientation for pair in pairs):
        own = [pair for pair in pairs if pair.orientation == orientation]
        kinds = len({pair.orientation for pair in pairs})
        kept += _spread(own, max(3, SHOWN // kinds))
    return sorted(kept, key=lambda pair: -pair.detail)


def _varied(outliers: Sequence[Outlier], limit: int) -> list[Outlier]:
    """Some outliers of each trait, the farthest first."""
    kinds = list(dict.fromkeys(outlier.trait for outlier in outliers))
    each = max(3, limit // max(1, len(kinds)))
    return [
        outlier
        for kind in kinds
        for outlier in [item for item in outliers if item.trait == kind][:each]
    ]


def _spread(items: Sequence[T], limit: int) -> list[T]:
    if len(items) <= limit:
        return list(items)
    places = np.linspace(0, len(items) - 1, limit).round().astype(int).tolist()
    return [items[place] for place in places]


def _notable(item: Association) -> bool:
    return item.cramers_v >= 0.05 and item.p_value < 0.05


def _amount(value: Any) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def _leaf(path: str) -> str:
    return path.rsplit("/", 1)[-1]
