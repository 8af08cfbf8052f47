"""An evaluation of outlines in a terminal, and its figures by image in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from lucidray.cli.choosing import choose_images, load_images
from lucidray.cli.console import (
    add_row,
    needs,
    new_table,
    out,
    print_json,
    print_warning,
    say,
    shown,
)
from lucidray.cli.progress import progress
from lucidray.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lucidray.records import Measurement
    from lucidray.training import Run
    from lucidray.training.mask_evaluation import MaskEvaluation

#: Measures and how they are called in a table.
_SHOWN = {
    "dice": "Dice",
    "median_dice": "median",
    "mask_iou": "IoU",
    "surface_distance": "border off by",
    "hd95": "95 % within",
}

#: So many of the worst images are named.
_WORST = 3


def evaluate_outlines(
    run: Run,
    data: Path,
    name: str | None,
    split: str,
    page: Path | None,
    table: Path | None,
    *,
    n_boot: int,
    as_json: bool,
) -> None:
    """Measure a run that outlines lungs, and tell it as `lucidray evaluate` tells it.

    Raises:
        ConfigError: A page was asked for; there is none of outlines.
    """
    if page is not None:
        raise ConfigError(
            "there is no page of a run that outlines lungs; leave --html out, and write its "
            "figures by image with --csv."
        )
    with needs("train", "evaluating a run"):
        from lucidray.training import evaluate_masks
    with progress("Reading tables") as stage:
        known = load_images(data, name, run)
        images = choose_images(known, run, split, stage("Telling new images from seen ones"))
        reading, outlining = stage("Reading images"), stage("Outlining")
        found = evaluate_masks(run, images, n_boot=n_boot, reading=reading, progress=outlining)
    if table is not None:
        write_overlaps(found, table)
    if as_json:
        print_json(found.to_json())
        return
    show_masks(found)
    if table is not None:
        say(f"Every image's figures are in {shown(table)}.")


def show_masks(found: MaskEvaluation) -> None:
    """Print overlap and border distance with their intervals, over all images and by hospital."""
    patients = len(set(found.patients))
    say(f"{len(found.images):,} images of {patients:,} patients of {escape(found.images.name)}.")
    by_source = found.subgroups["source"]
    groups = dict(by_source) if len(by_source) > 1 else {}
    table = new_table("", "images", *_SHOWN.values())
    rows = {"all": next(iter(found.measurements.values())), **groups}
    for title, measured in rows.items():
        add_row(table, title, str(measured["dice"].count), *_cells(measured))
    out.print(table)
    say(
        "In brackets: 95 % interval, patients resampled. Distances of borders in pixels of the "
        "files."
    )
    worst = found.values.nsmallest(_WORST, "dice")
    told = (
        f"{name} ({dice:.3f})" for name, dice in zip(worst["image"], worst["dice"], strict=True)
    )
    say(f"Lowest Dice: {escape(', '.join(told))}. For research use only.")
    if found.seen:
        print_warning(
            f"the run has learned from or been validated on {found.seen:,} of these images, so "
            "these figures are too good."
        )


def _cells(measured: Mapping[str, Measurement]) -> list[str]:
    """Return figures so short that they fit a terminal; the interval of the first alone."""
    plain = [f"{measured[name].value:.3g}" for name in _SHOWN]
    return [str(measured["dice"]), *plain[1:]]


def write_overlaps(found: MaskEvaluation, path: Path) -> None:
    """Write one row an image: its id, source, overlap and border distances."""
    from lucidray.training.weights import write_text

    write_text(path, found.values.to_csv(index=False))
