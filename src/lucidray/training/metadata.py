"""Metadata beside the film: fitted at the end of a training, and measured with their baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from lucidray.bundle.estimate import Estimate
from lucidray.bundle.metadata import Attribute, Coding, Known, MetadataRule, load_rule
from lucidray.datasets.table import ImageTable
from lucidray.errors import DataError, MetricError, RunError
from lucidray.metrics import measure_binary
from lucidray.metrics.folds import patient_folds
from lucidray.metrics.logit_loss import loss_and_slope
from lucidray.records import Float32, Float64, Measurement

if TYPE_CHECKING:
    from lucidray.training.run import Run

#: The table's column of each attribute.
COLUMNS: dict[Attribute, str] = {"age": "age_years", "sex": "sex", "view": "view_position"}

#: Of the ridge on weights and scales.
_RIDGE = 1.0
_FOLDS = 5
_BOOT = 1000


def known_rows(table: ImageTable) -> list[Known]:
    """Return what a table knows of each image: age in years, sex, view; None where missing."""
    columns = [table.rows[name] for name in COLUMNS.values()]
    plain = [column.astype(object).where(column.notna(), None) for column in columns]
    return [dict(zip(COLUMNS, row, strict=True)) for row in zip(*plain, strict=True)]


def fix_coding(attributes: Sequence[Attribute], table: ImageTable) -> Coding:
    """Fix on training images how metadata become numbers.

    Args:
        attributes: Which are to be used.
        table: The training images.

    Raises:
        DataError: An attribute is the same, or missing, in all of them.
    """
    for name in attributes:
        if table.rows[COLUMNS[name]].dropna().nunique() < 2:
            raise DataError(
                f"{name} is missing or the same in all {len(table)} training images of "
                f"'{table.name}', so nothing can be learned from it. Leave it out of "
                "data.metadata."
            )
    ages = table.rows["age_years"].to_numpy(dtype=np.float64)
    sexes, views = table.rows["sex"].dropna(), table.rows["view_position"].dropna()
    counted = views.value_counts(normalize=True).sort_index()
    shares: dict[Any, Any] = dict(counted) if "view" in attributes else {}
    return Coding(
        tuple(attributes),
        float(np.nanmean(ages)) if "age" in attributes else 0.0,
        float(np.nanstd(ages)) if "age" in attributes else 1.0,
        float((sexes == "F").mean()) if "sex" in attributes else 0.5,
        tuple(str(name) for name in shares),
        tuple(float(part) for part in shares.values()),
    )


def fit_metadata(
    attributes: Sequence[Attribute],
    train: ImageTable,
    validation: ImageTable,
    film: Float32,
    findings: Sequence[str],
    *,
    exclusive: bool,
    groups: npt.ArrayLike,
) -> tuple[MetadataRule, Float32]:
    """Fit what metadata add to a network's logits, and the baseline that has nothing else.

    Args:
        attributes: Which are used.
        train: Training images: coding and baseline are fixed on them.
        validation: Validation images, on which metadata are joined with the film; the network's
            logits of images that it has learned from would be too sure.
        film: ``(N, F)`` logits of the validation images.
        findings: F names.
        exclusive: Whether exactly one finding holds.
        groups: ``(N,)`` patient keys of the validation images.

    Returns:
        The rule, and the validation images' joined logits ``(N, F)``, each by a rule that was
        fitted without its patient.

    Raises:
        DataError: An attribute is the same, or missing, in all training images.
    """
    coding = fix_coding(attributes, train)
    labels = validation.labels(findings)
    codes, values = coding.encode(known_rows(validation)), film.astype(np.float64)
    fit = _fit(codes, labels, values, exclusive=exclusive)
    alone = _fit(
        coding.encode(known_rows(train)), train.labels(findings), None, exclusive=exclusive
    )
    joined = _crossed(codes, labels, values, exclusive=exclusive, groups=groups)
    rule = MetadataRule(
        coding,
        *fit,
        alone_weights=alone[1],
        alone_intercepts=alone[2],
        fitted_on="validation images of the training",
        images=len(labels),
        known={name: float(train.rows[COLUMNS[name]].notna().mean()) for name in attributes},
    )
    answers = {
        "film": values,
        "metadata": rule.alone(known_rows(validation)),
        "together": joined.astype(np.float64),
    }
    auc = {
        kind: {name: _auc(labels[:, at], each[:, at], groups) for at, name in enumerate(findings)}
        for kind, each in answers.items()
    }
    return replace(rule, auc=auc), joined


def read_rule(run: Run) -> MetadataRule | None:
    """Return what metadata add to a run's logits; None of a run that uses none.

    Raises:
        RunError: The run uses some, but its rule is missing or damaged.
    """
    if not run.recipe.data.metadata:
        return None
    path = run.folder / "metadata.json"
    try:
        return load_rule(path, run.facts.get("findings", run.findings), run.findings)
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is missing or damaged. Train again.") from error


def fuse(rule: MetadataRule, film: Float32, table: ImageTable) -> Float32:
    """Return the logits ``(N, F)`` of a table's films and metadata together.

    Args:
        rule: Of the run.
        film: ``(N, F)`` logits of the films alone.
        table: The same images.
    """
    return rule.fuse(film.astype(np.float64), known_rows(table)).astype(np.float32)


def beside(
    labels: Float32,
    answers: Mapping[str, Float32],
    findings: Sequence[str],
    *,
    groups: npt.ArrayLike,
    n_boot: int,
) -> dict[str, dict[str, Measurement]]:
    """Measure the AUC of the film alone, of metadata alone, and of both.

    Args:
        labels: ``(N, F)``.
        answers: By ``"film"``, ``"metadata"``, ``"together"``: logits ``(N, F)``.
        findings: F names.
        groups: ``(N,)`` patient keys.
        n_boot: Bootstrap replicates; 0: no intervals.

    Returns:
        By kind, then by finding; a finding with one class only is left out.
    """
    return {
        kind: {
            name: measure_binary(
                labels[:, at], _sigmoid(values[:, at]), groups=groups, n_boot=n_boot, only=["auc"]
            )["auc"]
            for at, name in enumerate(findings)
            if len(np.unique(labels[np.isfinite(labels[:, at]), at])) == 2
        }
        for kind, values in answers.items()
    }


_Fit = tuple[tuple[float, ...], tuple[tuple[float, ...], ...], tuple[float, ...]]


def _fit(codes: Float64, labels: Float32, film: Float64 | None, *, exclusive: bool) -> _Fit:
    """Return scales, weights and intercepts with the least log loss.

    A ridge draws weights to 0 and scales to 1, so that few films do not carry them away.
    """
    count, width = codes.shape
    findings = labels.shape[1]
    ridge, start = _RIDGE / count, np.zeros((width + 2, findings))
    start[0] = film is not None

    def objective(flat: Float64) -> tuple[float, Float64]:
        scales, intercepts, weights = np.split(flat.reshape(width + 2, findings), [1, 2])
        seen = 0.0 if film is None else film * scales
        loss, slope = loss_and_slope(
            seen + intercepts + codes @ weights, labels, exclusive=exclusive
        )
        apart = scales - start[:1]
        by_scale = ridge * apart + (0.0 if film is None else (film * slope).sum(0)[None])
        by_weight = codes.T @ slope + ridge * weights
        grown = ridge / 2 * float((weights**2).sum() + (apart**2).sum())
        return loss + grown, np.concatenate([by_scale, slope.sum(0)[None], by_weight]).ravel()

    bounds = [(0, None)] * findings + [(None, None)] * ((width + 1) * findings)
    found = minimize(objective, start.ravel(), jac=True, method="L-BFGS-B", bounds=bounds).x
    scales, intercepts, *weights = found.reshape(width + 2, findings).tolist()
    return tuple(scales), tuple(map(tuple, weights)), tuple(intercepts)


def _crossed(
    codes: Float64, labels: Float32, film: Float64, *, exclusive: bool, groups: npt.ArrayLike
) -> Float32:
    found = np.empty_like(film)
    patients = len(np.unique(np.asarray(groups)))
    try:
        place = patient_folds(labels, groups=groups, folds=min(_FOLDS, patients))
    except MetricError:
        place = np.zeros(len(labels), np.int64) - 1
    for fold in np.unique(place):
        held = place == fold
        rest = ~held if not held.all() else held
        scales, weights, intercepts = _fit(
            codes[rest], labels[rest], film[rest], exclusive=exclusive
        )
        added = codes[held] @ np.array(weights).reshape(codes.shape[1], -1)
        found[held] = film[held] * scales + intercepts + added
    return found.astype(np.float32)


def _auc(truth: Float32, values: Float64, groups: npt.ArrayLike) -> Estimate:
    if len(np.unique(truth[np.isfinite(truth)])) < 2:
        return Estimate(None)
    found = measure_binary(truth, _sigmoid(values), groups=groups, n_boot=_BOOT, only=["auc"])[
        "auc"
    ]
    ends = [float(each) if np.isfinite(each) else None for each in (found.low, found.high)]
    return Estimate(float(found.value), ends[0], ends[1], found.count)


def _sigmoid(values: npt.NDArray[Any]) -> Float64:
    return np.asarray(expit(values.astype(np.float64)), np.float64)
