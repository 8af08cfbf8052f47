"""What is measured together on the same patients: one finding, many findings, many classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lucidray.metrics.catalog import metrics
from lucidray.metrics.confusion import Counts, cell_matrix
from lucidray.metrics.inputs import Samples, Statistic, pool, ratio
from lucidray.metrics.resampling import Key
from lucidray.records import Float64


@dataclass(frozen=True)
class BinaryPanel:
    """All measures of one finding, as a function of patient weights.

    Args:
        of: The finding or average.
        names: Registered measures.
        statistics: Those of them that need no threshold.
        cells: float64 ``(4, C)`` tp, fp, fn, tn of each patient; None: no threshold, so that
            rates are undefined.
        shares: ``(2,)`` shares of negatives and positives.
        labeled: Number of labeled images.
        unlabeled: Number of images left out.
    """

    of: str
    names: tuple[str, ...]
    statistics: Mapping[str, Statistic]
    cells: Float64 | None
    shares: Float64
    labeled: int
    unlabeled: int

    def __call__(self, weights: Float64) -> dict[Key, Float64]:
        """Return each measure ``(B,)`` for patient weights ``(C, B)``."""
        counts = None if self.cells is None else Counts(*(self.cells @ weights))
        missing = np.full(weights.shape[1], np.nan)
        values: dict[Key, Float64] = {}
        for name in self.names:
            if name in self.statistics:
                values[self.of, name] = self.statistics[name](weights)
            else:
                values[self.of, name] = missing if counts is None else metrics[name](counts)
        return values


def binary_panel(
    samples: Samples, threshold: float | None, names: Sequence[str], *, of: str = ""
) -> BinaryPanel:
    """Return the panel of one finding.

    Args:
        samples: Labeled images.
        threshold: The operating point; None: rates are undefined.
        names: Registered measures that need counts, scores or probabilities.
        of: The finding's name.
    """
    cells = None if threshold is None else cell_matrix(samples, threshold)
    return assemble(samples, cells, names, of=of)


def assemble(
    samples: Samples, cells: Float64 | None, names: Sequence[str], *, of: str
) -> BinaryPanel:
    """Return a panel from samples and cells that were counted elsewhere."""
    facts = {name: metrics.entry(name).facts for name in names}
    statistics = {n: f["statistic"](samples) for n, f in facts.items() if "statistic" in f}
    return BinaryPanel(
        of, tuple(names), statistics, cells, samples.shares, len(samples), samples.unlabeled
    )


@dataclass(frozen=True)
class AveragedPanel:
    """The measures of several findings with their macro, weighted and micro averages.

    Macro is the plain mean over the findings for which a measure is defined; weighted, the mean
    weighted by the number of positives; micro pools all pairs of image and finding.

    Args:
        parts: One panel a finding.
        micro: The pooled panel.
        supports: float64 ``(F, C)``, positives of each finding in each patient.
    """

    parts: tuple[BinaryPanel, ...]
    micro: BinaryPanel
    supports: Float64

    def __call__(self, weights: Float64) -> dict[Key, Float64]:
        """Return each measure ``(B,)`` for patient weights ``(C, B)``."""
        values: dict[Key, Float64] = {}
        for part in self.parts:
            values |= part(weights)
        support = self.supports @ weights
        for name in self.micro.names:
            stack = np.stack([values[part.of, name] for part in self.parts])
            values["macro", name] = weighted_mean(stack, np.ones_like(stack))
            values["weighted", name] = weighted_mean(stack, support)
        return values | self.micro(weights)


def weighted_mean(values: Float64, weights: Float64) -> Float64:
    """Return the mean over the first axis of what is not nan; nan where nothing is left."""
    known = ~np.isnan(values)
    total = np.where(known, weights, 0.0).sum(axis=0)
    return ratio(np.where(known, values * weights, 0.0).sum(axis=0), total)


def supports(parts: list[Samples]) -> Float64:
    """Return ``(F, C)``: the positives of each finding in each patient."""
    rows = [np.bincount(p.cluster[p.positive], minlength=p.clusters) for p in parts]
    return np.stack(rows).astype(np.float64)


def micro_panel(
    parts: list[Samples], singles: tuple[BinaryPanel, ...], names: Sequence[str]
) -> BinaryPanel:
    """Return the panel of all pairs of image and finding, pooled.

    Args:
        parts: Labeled images, one entry a finding.
        singles: The panels of the findings; those without cells do not count in rates.
        names: Registered measures.
    """
    counted = [panel.cells for panel in singles if panel.cells is not None]
    cells = np.sum(counted, axis=0) if counted else None
    return assemble(pool(parts), cells, names, of="micro")
