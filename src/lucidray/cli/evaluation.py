"""An evaluation in a terminal, and its probabilities in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from lucidray.cli.console import add_row, new_table, out, print_warning, say

if TYPE_CHECKING:
    from lucidray.records import Float32, Measurement
    from lucidray.training import Evaluation

_SHOWN = (
    *("auc", "average_precision", "balanced_accuracy", "accuracy"),
    *("sensitivity", "specificity", "precision", "f1"),
)

#: With more groups than this, findings go down and measures across.
_MOST_COLUMNS = 4


def show_evaluation(found: Evaluation) -> None:
    """Print every headline number with its interval."""
    known = found.images.rows["patient"].dropna().nunique()
    patients = f"{known:,} patients" if known else "unknown patients"
    say(f"{len(found.labels):,} images of {patients} of {escape(found.images.name)}.")
    averages = [name for name in ("overall", "macro") if name in found.measurements]
    groups = [name for name in (*found.findings, *averages) if name in found.measurements]
    out.print(_upright(found, groups) if len(groups) <= _MOST_COLUMNS else _by_finding(found))
    say("In brackets: 95 % interval, patients resampled. For research use only.")
    if found.beside:
        _show_beside(found)
    constant = [name for i, name in enumerate(found.findings) if _is_constant(found.labels[:, i])]
    if constant:
        print_warning(
            f"{', '.join(constant)}: all labels are alike here, so nan stands where a figure needs "
            "films with and without it."
        )
    if found.seen:
        print_warning(
            f"the run has learned from or been validated on {found.seen:,} of these images, so "
            "these figures are too good."
        )


def _show_beside(found: Evaluation) -> None:
    """Print what the film alone, metadata alone and both come to, and how much is missing."""
    titles = {"film": "film alone", "metadata": "metadata alone", "together": "both"}
    table = new_table("auc", *(titles[kind] for kind in found.beside))
    for name in found.findings:
        add_row(table, name, *(_brief(each.get(name)) for each in found.beside.values()))
    out.print(table)
    gaps = ", ".join(f"{name} in {share:.0%}" for name, share in found.missing.items())
    say(f"Metadata alone is a model that has seen no film. Missing, so counted as average: {gaps}.")


def _is_constant(labels: Float32) -> bool:
    return len(set(labels[labels == labels].tolist())) < 2


def _upright(found: Evaluation, groups: list[str]) -> Table:
    table = new_table("", *groups)
    for name in _SHOWN:
        cells = [found.measurements[group].get(name) for group in groups]
        if any(cells):
            add_row(table, name.replace("_", " "), *(str(cell or "") for cell in cells))
    return table


def _by_finding(found: Evaluation) -> Table:
    table = new_table("finding", "auc", "average precision", "sens. / spec.")
    for group, values in found.measurements.items():
        both = [values.get(name) for name in ("sensitivity", "specificity")]
        rates = " / ".join(f"{rate.value:.2f}" for rate in both if rate)
        areas = (_brief(values.get(name)) for name in ("auc", "average_precision"))
        add_row(table, group, *areas, rates)
    return table


def _brief(found: Measurement | None) -> str:
    """Return a figure so short that a table of all findings fits a terminal."""
    if found is None:
        return ""
    interval = f" [{found.low:.2f}, {found.high:.2f}]" if found.high == found.high else ""
    return f"{found.value:.2f}{interval}"


def write_predictions(found: Evaluation, path: Path) -> None:
    """Write one row an image: its id, labels, logits and probabilities."""
    import pandas as pd

    from lucidray.training.weights import write_text

    columns: dict[str, Any] = {"image": found.images.rows["image"].to_numpy()}
    for i, finding in enumerate(found.findings):
        columns[f"{finding} label"] = found.labels[:, i]
        columns[f"{finding} logit"] = found.predictions.logits[:, i]
        columns[f"{finding} probability"] = found.predictions.probabilities[:, i]
    write_text(path, pd.DataFrame(columns).to_csv(index=False))
