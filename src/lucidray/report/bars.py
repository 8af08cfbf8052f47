"""Drawings of single numbers: confusion matrices, bars with intervals, forests, class counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import StrMethodFormatter

from lucidray.report.document import Figure
from lucidray.report.style import INK, MUTED, PAPER, RULE, SERIES, color, drawing, to_svg


@dataclass(frozen=True)
class Estimate:
    """A value with its interval.

    Args:
        label: What it is of.
        value: The number; nan = undefined, not drawn.
        low: Lower end; nan: no interval.
        high: Upper end.
        count: Number of samples; 0: not shown.
        published: The number that others printed; nan: none.
    """

    label: str
    value: float
    low: float = float("nan")
    high: float = float("nan")
    count: int = 0
    published: float = float("nan")


def confusion_figure(
    counts: npt.NDArray[np.int64],
    names: Sequence[str],
    *,
    caption: str,
    title: str = "Confusion matrix",
) -> Figure:
    """Draw a confusion matrix with counts and the share of each true class.

    Args:
        counts: int ``(K, K)``, rows true, columns predicted.
        names: The K classes.
        caption: What to see.
        title: The drawing's heading.
    """
    table = np.asarray(counts)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    with drawing(3.5, 3.2) as canvas:
        axes = canvas.subplots()
        axes.grid(visible=False)
        for row, column in np.ndindex(*table.shape):
            place = (column - 0.48, row - 0.48)
            tint = SERIES[0] if row == column else SERIES[1]
            strength = 0.08 + 0.5 * float(share[row, column])
            axes.add_patch(_cell(place, tint, strength))
            text = f"{table[row, column]:,}"
            axes.text(column, row - 0.08, text, ha="center", va="center", fontsize=14)
            text = f"{share[row, column]:.1%}"
            axes.text(column, row + 0.22, text, ha="center", va="center", fontsize=8.5)
        span = (-0.5, len(names) - 0.5)
        axes.set(xlim=span, ylim=span[::-1], aspect="equal", title=title)
        axes.set(xlabel="predicted", ylabel="true")
        axes.set_xticks(range(len(names)), names)
        axes.set_yticks(range(len(names)), names, rotation=90, va="center")
        axes.spines[:].set_visible(False)
        alt = f"{title}: {_cells_in_words(table, names)}"
        return Figure(to_svg(canvas, alt), caption, alt, "third")


def _cell(place: tuple[float, float], tint: str, strength: float) -> FancyBboxPatch:
    return FancyBboxPatch(
        (place[0] + 0.03, place[1] + 0.03),
        0.9,
        0.9,
        boxstyle="round,pad=0.03,rounding_size=0.06",
        facecolor=tint,
        alpha=strength,
        linewidth=0,
    )


def _cells_in_words(table: npt.NDArray[np.int64], names: Sequence[str]) -> str:
    return "; ".join(
        f"{table[row, column]} {names[row]} called {names[column]}"
        for row, column in np.ndindex(*table.shape)
    )


def bars_figure(
    groups: Mapping[str, Sequence[Estimate]],
    *,
    caption: str,
    title: str = "Before and after",
    chance: float | None = None,
) -> Figure:
    """Draw groups of bars side by side, with intervals and published values.

    Args:
        groups: Series (``"full image"``) → one estimate a quantity, in [0, 1]; the same
            quantities in the same order in each.
        caption: What to see.
        title: The drawing's heading.
        chance: A level to mark; None: none.
    """
    labels = [estimate.label for estimate in next(iter(groups.values()))]
    width = 0.78 / len(groups)
    with drawing(max(5.2, 1.45 * len(labels) + 0.6), 3.5) as canvas:
        axes = canvas.subplots()
        axes.grid(visible=False, axis="x")
        for index, (name, estimates) in enumerate(groups.items()):
            at = np.arange(len(labels)) + (index - (len(groups) - 1) / 2) * width
            values = np.array([estimate.value for estimate in estimates])
            axes.bar(at, values, width * 0.92, color=color(index), alpha=0.85, label=name)
            _whiskers(axes, at, estimates, INK)
            _published(axes, at, estimates, first=index == 0)
            for x, estimate in zip(at, estimates, strict=True):
                axes.text(x, 0.02, f"{estimate.value:.2f}", ha="center", color=PAPER, fontsize=8.5)
        if chance is not None:
            axes.axhline(chance, color=MUTED, linewidth=0.9, linestyle=(0, (2, 3)))
        axes.set(ylim=(0, 1.03), title=title)
        axes.set_xticks(np.arange(len(labels)), labels)
        canvas.legend(loc="outside lower center", ncols=len(groups) + 1)
        alt = f"{title}: " + "; ".join(
            f"{name} {estimate.label} {estimate.value:.3f}"
            for name, estimates in groups.items()
            for estimate in estimates
        )
        return Figure(to_svg(canvas, alt), caption, alt, "wide")


def _whiskers(
    axes: Axes, at: npt.NDArray[np.floating], estimates: Sequence[Estimate], tint: str
) -> None:
    low = np.array([estimate.low for estimate in estimates])
    high = np.array([estimate.high for estimate in estimates])
    here = np.isfinite(low) & np.isfinite(high)
    if here.any():
        axes.vlines(at[here], low[here], high[here], color=tint, linewidth=1.2)


def _published(
    axes: Axes, at: npt.NDArray[np.floating], estimates: Sequence[Estimate], *, first: bool
) -> None:
    values = np.array([estimate.published for estimate in estimates])
    here = np.isfinite(values)
    if here.any():
        axes.plot(
            at[here],
            values[here],
            "D",
            markersize=5.5,
            color=PAPER,
            markeredgecolor=INK,
            markeredgewidth=1.3,
            label="published" if first else None,
            zorder=6,
        )


def forest_figure(
    rows: Sequence[Estimate],
    *,
    quantity: str,
    caption: str,
    reference: float | None = None,
    title: str = "Subgroups",
) -> Figure:
    """Draw one line a subgroup: value, interval and count.

    Args:
        rows: The subgroups, from top to bottom.
        quantity: What is measured, for the axis.
        caption: What to see.
        reference: The value of all together, or no difference; marked by a line.
        title: The drawing's heading.
    """
    with drawing(6.6, 0.9 + 0.32 * len(rows)) as canvas:
        axes = canvas.subplots()
        axes.grid(visible=False, axis="y")
        if reference is not None:
            axes.axvline(reference, color=MUTED, linewidth=0.9, linestyle=(0, (2, 3)))
        for at, row in enumerate(rows):
            if np.isfinite(row.low) and np.isfinite(row.high):
                axes.hlines(at, row.low, row.high, color=SERIES[0], linewidth=1.8)
            if np.isfinite(row.value):
                axes.plot(row.value, at, "s", color=SERIES[0], markersize=5.5)
            axes.annotate(
                _forest_text(row),
                (1.02, at),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=8.5,
                color=INK,
            )
        axes.set_yticks(range(len(rows)), [row.label for row in rows], color=INK)
        axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel=quantity, title=title)
        axes.spines["left"].set_visible(False)
        alt = f"{title}, {quantity}: " + "; ".join(
            f"{row.label} {_forest_text(row)}" for row in rows
        )
        return Figure(to_svg(canvas, alt), caption, alt, "wide")


def _forest_text(row: Estimate) -> str:
    text = f"{row.value:.3f}" if np.isfinite(row.value) else "undefined"
    if np.isfinite(row.low) and np.isfinite(row.high):
        text += f" [{row.low:.3f}, {row.high:.3f}]"
    return f"{text}, n = {row.count:,}" if row.count else text


def counts_figure(
    counts: Mapping[str, Mapping[str, int]],
    *,
    caption: str,
    title: str = "Images",
    unit: str = "images",
) -> Figure:
    """Draw how many images of each class lie in each split.

    Args:
        counts: Split (``"train"``) → class → number.
        caption: What to see.
        title: The drawing's heading.
        unit: What is counted.
    """
    classes = list(dict.fromkeys(name for row in counts.values() for name in row))
    with drawing(5.2, 0.95 + 0.42 * len(counts)) as canvas:
        axes = canvas.subplots()
        axes.grid(visible=False, axis="y")
        left = np.zeros(len(counts))
        for index, name in enumerate(classes):
            values = np.array([row.get(name, 0) for row in counts.values()], dtype=float)
            axes.barh(
                np.arange(len(counts)), values, 0.62, left=left, color=color(index), label=name
            )
            left += values
        for at, total in enumerate(left):
            axes.annotate(
                f"{total:,.0f}",
                (total, at),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8.5,
            )
        axes.axvline(0, color=RULE, linewidth=0.6)
        axes.set_yticks(range(len(counts)), list(counts), color=INK)
        axes.set(ylim=(len(counts) - 0.4, -0.6), xlabel=unit, title=title)
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.set_xlim(0, float(left.max(initial=1.0)) * 1.12)
        canvas.legend(loc="outside upper right", ncols=len(classes))
        axes.spines["left"].set_visible(False)
        alt = f"{title}: " + "; ".join(
            f"{split}: " + ", ".join(f"{number} {name}" for name, number in row.items())
            for split, row in counts.items()
        )
        return Figure(to_svg(canvas, alt), caption, alt)
