"""The drawings that only this experiment has: heat ratios, and spreads of Diff_GradCAM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lucidray.papers.cam_depth.published import FAMILIES, Network
from lucidray.records import Float64
from lucidray.report import Figure
from lucidray.report.style import INK, MUTED, color, drawing, to_svg

#: Lines of one family's networks, from shallow to deep.
_DASHES = ("-", (0, (5, 1.5)), (0, (2, 1.5)), (0, (1, 1)))


def styles(networks: Sequence[Network]) -> dict[str, tuple[str, object]]:
    """Return each network's color, that of its family, and its line, the denser the shallower."""
    found: dict[str, tuple[str, object]] = {}
    for index, family in enumerate(FAMILIES):
        own = [network for network in networks if network.family == family]
        for at, network in enumerate(own):
            found[network.name] = (color(index), _DASHES[at % len(_DASHES)])
    return found


def heat_ratio_figure(
    networks: Sequence[Network],
    thresholds: Float64,
    curves: Mapping[str, Float64],
    labels: Mapping[str, str],
) -> Figure:
    """Draw the mean effective heat ratio over the thresholds, chance beside it.

    Args:
        networks: What is compared.
        thresholds: float64 ``(K,)``.
        curves: Network or ``"chance"`` → float64 ``(K,)``.
        labels: Network → what the legend says.
    """
    looks = styles(networks)
    with drawing(7.2, 3.9) as canvas:
        axes = canvas.subplots()
        axes.plot(thresholds, curves["chance"], color=MUTED, linewidth=1.1, label="uniform map")
        for network in networks:
            tint, dash = looks[network.name]
            values = curves[network.name]
            axes.plot(thresholds, values, color=tint, linestyle=dash, label=labels[network.name])
        axes.set(xlim=(0, 1), xlabel="threshold on the map", ylabel="effective heat ratio")
        axes.set_ylim(bottom=0)
        axes.set_title("How much of what the map shows is pneumothorax")
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
        canvas.legend(loc="outside right center")
        alt = "Effective heat ratio: " + "; ".join(labels.values())
        caption = (
            "Mean over the test images with a pneumothorax. Color: family; broken lines: deeper "
            "networks. The area under each curve is its EHR AUC; the flat line is what a map that "
            "knows nothing scores."
        )
        return Figure(to_svg(canvas, alt), caption, alt, "wide")


def spread_figure(networks: Sequence[Network], samples: Mapping[str, Float64]) -> Figure:
    """Draw each network's Diff_GradCAM, image by image, as boxes.

    Args:
        networks: What is compared.
        samples: Network → float64 ``(P,)``; nan is left out.
    """
    looks = styles(networks)
    with drawing(max(4.6, 0.75 * len(networks) + 1.4), 3.5) as canvas:
        axes = canvas.subplots()
        axes.grid(visible=False, axis="x")
        axes.axhline(0, color=MUTED, linewidth=0.9, linestyle=(0, (2, 3)))
        for at, network in enumerate(networks):
            values = samples[network.name]
            known = values[np.isfinite(values)]
            _box(axes, at, known, looks[network.name][0])
        axes.set_xticks(range(len(networks)), [network.title for network in networks])
        axes.set(ylabel="inside − outside", title="Diff_GradCAM, image by image")
        alt = "Boxes of Diff_GradCAM: " + "; ".join(
            f"{network.title} median {_median(samples[network.name]):.3f}" for network in networks
        )
        caption = (
            "Line: median; box: middle half of the images; whiskers: 5th to 95th percentile; dot: "
            "mean. Zero is chance."
        )
        return Figure(to_svg(canvas, alt), caption, alt, "wide")


def _box(axes: Axes, at: int, values: Float64, tint: str) -> None:
    if not values.size:
        return
    low, first, middle, third, high = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    axes.vlines(at, low, high, color=tint, linewidth=1.2)
    axes.bar(at, third - first, 0.5, bottom=first, color=tint, alpha=0.45)
    axes.hlines(middle, at - 0.25, at + 0.25, color=INK, linewidth=1.4)
    axes.plot(at, values.mean(), "o", color=INK, markersize=4)


def _median(values: Float64) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")
