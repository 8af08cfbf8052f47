"""From a finished run to a bundle: its card, its calibration, its file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lucidray.bundle.box_rule import BoxPoint, BoxRule
from lucidray.bundle.calibration import calibrate
from lucidray.bundle.card import (
    Card,
    Estimate,
    FindingCode,
    OperatingPoint,
    Performance,
)
from lucidray.bundle.card_version import METADATA_VERSION
from lucidray.config import from_mapping
from lucidray.errors import ExportError
from lucidray.export.calibration import Method, carry_points, choose_points, fit_calibration
from lucidray.export.trained_run import (
    TrainedRun,
    estimate_of,
    metadata_of,
    points_of,
    training_of,
    validation_of,
)
from lucidray.export.uncertainty import UncertaintySettings, fit_uncertainty
from lucidray.export.write import export_bundle
from lucidray.findings import FINDINGS
from lucidray.models.region import RegionSpec


@dataclass(frozen=True)
class About:
    """What only the author knows of a bundle.

    Args:
        summary: One sentence; ``""``: made from network and findings.
        license: Of the weights.
        authors: Who made them.
        source: Where they come from.
        intended_use: ``""``: the card's own words.
        limits: What it is not for and where it fails.
        experimental: Whether its performance is too low or uncertain to rely on.
        explanation_trust: See `Card`.
        created: ISO date.
    """

    summary: str = ""
    license: str = "not stated"
    authors: str = ""
    source: str = ""
    intended_use: str = ""
    limits: str = "not stated"
    experimental: bool = False
    explanation_trust: Mapping[str, Estimate] | None = None
    created: str = ""


#: What masks show, with its codes.
_REGIONS = {"Lungs": FindingCode("Lungs", snomed="39607008", radlex="RID1301")}

NOTHING = About()
USUAL = UncertaintySettings()


def export_run(
    run: TrainedRun,
    out: str | Path,
    *,
    calibration: Method = "auto",
    uncertainty: UncertaintySettings | None = USUAL,
    performance: Sequence[Performance] = (),
    about: About = NOTHING,
    extra: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a finished run as a bundle.

    Args:
        run: The run.
        out: The file; its name without ``.lucid`` becomes the bundle's name.
        calibration: How probabilities are fitted to the run's validation answers.
        uncertainty: How conformal sets and referral are fixed on them; None: not at all.
        performance: What was measured, for example by `performance_of`.
        about: What only the author knows.
        extra: Further files for the bundle, by name.

    Returns:
        The file.

    Raises:
        ExportError: The run cannot be written as a graph, or the graph does not answer as it does.
        RunError, WeightsError: The run is not complete.
    """
    path = Path(out)
    if run.recipe.model.decoder:
        card = mask_card_of(run, path.stem, performance=performance, about=about)
        return export_bundle(run.segmenters(), card, path, extra=extra)
    card = card_of(
        run,
        path.stem,
        calibration=calibration,
        uncertainty=uncertainty,
        performance=performance,
        about=about,
    )
    return export_bundle(run.models(), card, path, extra=extra)


def mask_card_of(
    run: TrainedRun,
    name: str,
    *,
    performance: Sequence[Performance] = (),
    about: About = NOTHING,
) -> Card:
    """Write the card of a run that makes masks; else as `export_run`."""
    network = f"{run.recipe.model.backbone} with a U-Net decoder"
    return Card(
        name=name,
        task="segmentation",
        findings=tuple(_REGIONS.get(each, FindingCode(each)) for each in run.findings),
        exclusive=False,
        preprocessing=run.recipe.image,
        network=network,
        flip=run.recipe.test_time_augmentation == "flip",
        explanation="the maps are the probability of each pixel to lie in the mask",
        operating_points={each: OperatingPoint(0.5, "fixed") for each in run.findings},
        training=training_of(run),
        performance=tuple(performance),
        **given(about, f"Outlines {', '.join(run.findings)} by {network}."),
    )


def card_of(
    run: TrainedRun,
    name: str,
    *,
    calibration: Method = "auto",
    uncertainty: UncertaintySettings | None = USUAL,
    performance: Sequence[Performance] = (),
    about: About = NOTHING,
) -> Card:
    """Write the card of a run; else as `export_run`.

    Operating points are the run's own, moved to where calibration puts them; where findings
    exclude each other, calibration reorders images and they are chosen anew.
    """
    known = validation_of(run)
    answers, groups = (run.findings, known.logits, known.labels), known.patients
    fit = fit_calibration(
        *answers,
        exclusive=run.exclusive,
        method=calibration,
        groups=groups,
        varied=known.varied,
    )
    points = {k: at for k, at in points_of(run.folder).items() if k in run.findings}
    if run.exclusive and fit.calibrated:
        probabilities = calibrate(known.logits, fit, exclusive=True)
        points = choose_points(run.findings, known.labels, probabilities, groups=groups)
    elif fit.calibrated:
        points = carry_points(points, run.findings, fit)
    rule = None
    if uncertainty is not None:
        rule = fit_uncertainty(
            *answers, fit, points, exclusive=run.exclusive, groups=groups, settings=uncertainty
        )
    rule_read = metadata_of(run)
    twice = run.recipe.model.region.source != "none"
    network = run.recipe.model.backbone + (" x 2, film and region" if twice else "")
    return Card(
        name=name,
        findings=finding_codes(run.findings),
        exclusive=run.exclusive,
        preprocessing=run.recipe.image,
        network=network,
        flip=run.recipe.test_time_augmentation == "flip",
        calibration=fit,
        operating_points=points,
        uncertainty=rule,
        boxes=box_rule(run),
        region=_region_in_words(run.recipe.model.region),
        metadata=rule_read,
        minimum_reader=1 if rule_read is None else METADATA_VERSION,
        training=training_of(run),
        performance=tuple(performance),
        **given(about, f"{', '.join(run.findings)} by {network}."),
    )


def _region_in_words(region: RegionSpec) -> str:
    """Say how a second branch finds what it sees; ``""`` where there is none."""
    if region.source == "crop":
        top, bottom, left, right = region.crop
        return f"rows {top:.0%} to {bottom:.0%}, columns {left:.0%} to {right:.0%} of the square"
    return {
        "none": "",
        "lungs": "the box around the lungs that a network within the graph outlines",
        "heat": "the box around the strongest heat of a first network within the graph",
    }[region.source]


def box_rule(run: TrainedRun) -> BoxRule | None:
    """Return how the boxes of a run's detector are shown; None: it has none."""
    kind = run.recipe.model.detector
    if kind == "none":
        return None
    path = run.folder / "box_points.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExportError(
            f"{run.folder.name} has no readable box_points.json; name a finished run."
        ) from error
    points = {
        name: from_mapping(BoxPoint, point, where=path.name)
        for name, point in values.items()
        if name in run.findings
    }
    where = {"fpn": "a pyramid of the backbone's maps", "map": "the backbone's last map"}[kind]
    return BoxRule(f"Faster R-CNN on {where} (arXiv:1506.01497)", points=points)


def given(about: About, summary: str) -> dict[str, Any]:
    """Return what the author said as fields of a card, the summary made up where it is missing."""
    given = {key: value for key, value in vars(about).items() if value or key != "intended_use"}
    return given | {"summary": about.summary or summary}


def performance_of(evaluation: Mapping[str, Any], *, where: str) -> Performance:
    """Turn the JSON of `lucidray evaluate` into a part of a card.

    Args:
        evaluation: What ``Evaluation.to_json`` gave.
        where: What the images are, in words.
    """
    measured = {
        str(group): {str(name): estimate_of(value) for name, value in values.items()}
        for group, values in evaluation["measurements"].items()
    }
    subgroups = {
        str(attribute): {
            str(value): {str(name): estimate_of(each) for name, each in found.items()}
            for value, found in values.items()
        }
        for attribute, values in evaluation.get("subgroups", {}).items()
    }
    images, patients = int(evaluation["images"]), int(evaluation["patients"])
    return Performance(where, images, patients, measured, subgroups)


def finding_codes(
    findings: Sequence[str], source_names: Sequence[str] | None = None
) -> tuple[FindingCode, ...]:
    """Return findings with their codes; an unknown name has none.

    Args:
        findings: F names.
        source_names: What the model's authors call them.
    """
    codes = []
    for name, spelled in zip(findings, source_names or findings, strict=True):
        known = FINDINGS.get(name)
        codes.append(
            FindingCode(
                name,
                known.snomed if known else None,
                known.radlex if known else None,
                spelled if spelled != name else None,
            )
        )
    return tuple(codes)
