"""The finished run that finds the region for a network with two branches."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

from lucidray.config import to_mapping
from lucidray.datasets.table import ImageTable
from lucidray.errors import ConfigError, LeakageError, RunError
from lucidray.models.region import RegionSpec
from lucidray.training.recipe import Recipe
from lucidray.training.run import Run, load_run


def with_finder(recipe: Recipe) -> Recipe:
    """Write into a recipe what the run is made of that finds its region.

    Args:
        recipe: Any recipe; one without such a run comes back as it is.

    Raises:
        RunError: There is no such finished run.
        ConfigError: It does not outline or judge as the region's source wants it, or sees films
            otherwise.
    """
    region = recipe.model.region
    if not region.run:
        return recipe
    run = load_run(region.run)
    _check_kind(region, run)
    _check_image(recipe, run)
    finder = {
        "model": to_mapping(run.recipe.model),
        "size": run.recipe.image.size,
        "findings": list(run.facts["findings"]),
        "exclusive": run.exclusive,
        "weights": str(run.weights[0]),
    }
    return replace(recipe, model=replace(recipe.model, region=replace(region, finder=finder)))


def check_finder(recipe: Recipe, table: ImageTable) -> None:
    """Refuse a finder that has learned from patients who are kept for validation or test here.

    Args:
        recipe: What is trained.
        table: All images, split.

    Raises:
        LeakageError: It has.
        RunError: The finder's list of images is missing.
    """
    if not recipe.model.region.run:
        return
    run = load_run(recipe.model.region.run)
    if run.facts["data"]["name"] != table.name:
        return
    rows = table.rows[table.rows["split"].isin(["validation", "test"])]
    kept = set(rows["image"]) | {f"patient {each}" for each in rows["patient"].dropna()}
    both = len(_learned(run) & kept)
    if both:
        raise LeakageError(
            f"the run in {run.folder} that finds the region has learned from {both:,} of the "
            "images and patients that are kept for validation or test here, so it would show more "
            "than it may. Set data.split_from to its folder."
        )


def _learned(run: Run) -> set[str]:
    path = Path(run.folder) / "split.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    except (OSError, KeyError) as error:
        raise RunError(f"{path} is missing; train again, or restore it from a copy.") from error
    return {row["image"] for row in rows} | {row.get("patient") or "" for row in rows} - {""}


def _check_kind(region: RegionSpec, run: Run) -> None:
    outlines = bool(run.recipe.model.decoder)
    if outlines != (region.source == "lungs"):
        raise ConfigError(
            f"region.source is '{region.source}' but the run in {run.folder} "
            f"{'outlines regions' if outlines else 'judges findings'}; name a run that fits, or "
            f"set region.source = '{'lungs' if outlines else 'heat'}'."
        )


def _check_image(recipe: Recipe, run: Run) -> None:
    mine, theirs = (replace(each.image, size=64) for each in (recipe, run.recipe))
    if mine != theirs:
        changed = [name for name in vars(mine) if getattr(mine, name) != getattr(theirs, name)]
        told = ", ".join(
            f"{name} = {getattr(mine, name)!r}, not {getattr(theirs, name)!r}" for name in changed
        )
        raise ConfigError(
            f"the recipe's [image] has {told} as the run in {run.folder} that finds the region; "
            "both see one square (of any size), so set them alike."
        )
