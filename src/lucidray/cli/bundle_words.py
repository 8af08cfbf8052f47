"""What is said of bundles: written, checked, listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidray.bundle import load_bundle
from lucidray.bundle.archive import read
from lucidray.bundle.card_version import parse_card
from lucidray.bundle.reference import Verification, verify_bundle
from lucidray.bundle.reference import verify as check
from lucidray.cli.console import print_json, print_warning, say, say_next, shown
from lucidray.errors import BundleError, LucidRayError

if TYPE_CHECKING:
    from lucidray.bundle.card import PrecisionLoss


def tell_written(path: Path, notes: Sequence[str], *, as_json: bool) -> None:
    """Tell of a bundle that was written, read back and checked.

    Args:
        path: Its file.
        notes: What could not be done.
        as_json: Whether to print one JSON object instead of words.
    """
    found = load_bundle(path)
    checked = verify_bundle(found)
    if as_json:
        print_json(
            {
                "bundle": found.name,
                "path": str(path),
                "bytes": path.stat().st_size,
                "bundle_sha256": found.digest,
                "findings": list(found.findings),
                "precision": found.card.precision,
                "precision_loss": _plain(found.card.precision_loss),
                "operating_points": dict(found.operating_points),
                "calibration": found.card.calibration.method,
                "probability_difference": checked.probability_difference,
                "map_difference": checked.map_difference,
                "notes": list(notes),
            }
        )
        return
    size = path.stat().st_size / 1e6
    say(f"{shown(path)}: {size:.1f} MB, {found.card.precision}, {', '.join(found.findings)}.")
    say(
        f"Read back, its answers to {checked.images} reference images differ from those that it "
        f"was written with by {checked.probability_difference:.1g} at most, its maps by "
        f"{checked.map_difference:.1g} of their range."
    )
    _tell_loss(found.card.precision_loss)
    for note in notes:
        print_warning(note)
    say_next("read", "FILM", "--bundle", path)


def _plain(loss: PrecisionLoss | None) -> dict[str, Any] | None:
    return None if loss is None else asdict(loss)


def _tell_loss(loss: PrecisionLoss | None) -> None:
    if loss is None:
        return
    say(f"What the lower precision costs on {loss.images:,} images:")
    for name, before in loss.auc_before.items():
        after = loss.auc_after[name]
        if before is not None and after is not None:
            say(f"  {name}: AUC {before:.4f} → {after:.4f}")
    say(f"  largest change of a probability: {loss.largest_change:.3f}")


def verified(name: str, engine: str) -> dict[str, Any]:
    """Check a bundle, and return what came of it as plain values.

    Args:
        name: Its name or file.
        engine: What runs it.
    """
    try:
        found = check(name, engine=engine)
    except LucidRayError as error:
        return {"bundle": name, "passed": False, "error": str(error)}
    return {
        "bundle": name,
        "passed": found.passed,
        "error": None if found.passed else _difference(name, found),
        "images": found.images,
        "probability_difference": found.probability_difference,
        "map_difference": found.map_difference,
        "tolerance": list(found.tolerance),
        "engine": found.engine,
    }


def _difference(name: str, found: Verification) -> str:
    return (
        f"{name} does not answer here as where it was written: probabilities differ by "
        f"{found.probability_difference:.2g} (allowed {found.tolerance[0]:.0e}), maps by "
        f"{found.map_difference:.2g} of their range (allowed {found.tolerance[1]:.0e})."
    )


def show_verified(found: Mapping[str, Any]) -> None:
    """Print what `verified` found, where it passed."""
    if found["passed"]:
        say(
            f"{shown(found['bundle'])}: every byte as written; {found['images']} reference images "
            f"differ by {found['probability_difference']:.1g} in probability and "
            f"{found['map_difference']:.1g} of the range of maps, in {found['engine']}."
        )


def listed(name: str, path: Path) -> dict[str, Any]:
    """Return the row of a list: what a bundle judges, or why it cannot be used."""
    row: dict[str, Any] = {
        "name": name,
        "path": str(path),
        "bytes": path.stat().st_size,
        "error": None,
    }
    try:
        facts = parse_card(card_of(read(path).members, path))
    except BundleError as error:
        facts = {"findings": [], "summary": "", "precision": None, "experimental": False}
        row["error"] = str(error)
    return row | {
        "findings": [each["name"] for each in facts["findings"]],
        "summary": facts["summary"],
        "precision": facts["precision"],
        "experimental": bool(facts["experimental"]),
    }


def card_of(members: Mapping[str, bytes], path: Path) -> bytes:
    """Return the bytes of a bundle's card.

    Raises:
        BundleError: It has none.
    """
    if "card.json" not in members:
        raise BundleError(f"{path.name} has no card.json; get the bundle again.")
    return members["card.json"]
