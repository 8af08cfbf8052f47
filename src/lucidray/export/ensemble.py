"""Several finished runs as one bundle: one graph, weights fitted on validation images alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lucidray.bundle.calibration import calibrate
from lucidray.bundle.card import Card, Estimate, OperatingPoint, Performance, Training
from lucidray.bundle.ensemble import EnsembleMember, EnsembleRule, How
from lucidray.export.calibration import Method, choose_points, fit_calibration
from lucidray.export.ensemble_check import check_members, shared_validation
from lucidray.export.ensemble_evidence import (
    measure_auc,
    measure_disagreement,
    measure_errors_told,
    measure_log_loss,
    plain_probabilities,
)
from lucidray.export.from_run import NOTHING, USUAL, About, finding_codes, given
from lucidray.export.mixing import cross_joined, fit_mixture
from lucidray.export.trained_run import TrainedRun, Validation, training_of
from lucidray.export.uncertainty import UncertaintySettings, fit_uncertainty
from lucidray.export.write import export_bundle
from lucidray.records import Float32, Float64

_IMAGES = "validation images of the trainings"


def export_ensemble(
    runs: Sequence[TrainedRun],
    out: str | Path,
    *,
    how: How = "mean",
    calibration: Method = "auto",
    uncertainty: UncertaintySettings | None = USUAL,
    performance: Sequence[Performance] = (),
    about: About = NOTHING,
) -> Path:
    """Write several finished runs, over seeds or architectures, as one bundle.

    Args:
        runs: Two or more that judge the same findings, see films alike (normalization and channels
            may differ) and were validated on the same images.
        out: The file; its name without ``.lucid`` becomes the bundle's name.
        how: How their logits become one; see `lucidray.export.mixing.fit_mixture`.
        calibration: How probabilities are fitted to the joined logits.
        uncertainty: How conformal sets and referral are fixed on them; None: not at all.
        performance: What was measured.
        about: What only the author knows.

    Returns:
        The file.

    Raises:
        ExportError: The runs cannot be joined, or the graph does not answer as they do.
        LeakageError: One has learned from a patient whom another keeps for validation or test.
        MetricError: No weights can be fitted on the validation images.
    """
    path = Path(out)
    card = card_of_ensemble(
        runs,
        path.stem,
        how=how,
        calibration=calibration,
        uncertainty=uncertainty,
        performance=performance,
        about=about,
    )
    return export_bundle([model for run in runs for model in run.models()], card, path)


def card_of_ensemble(
    runs: Sequence[TrainedRun],
    name: str,
    *,
    how: How = "mean",
    calibration: Method = "auto",
    uncertainty: UncertaintySettings | None = USUAL,
    performance: Sequence[Performance] = (),
    about: About = NOTHING,
) -> Card:
    """Write the card of an ensemble; else as `export_ensemble`.

    Calibration, operating points, uncertainty and all evidence rest on joined logits of which each
    was made by weights that were fitted without its patient; the weights of the bundle itself are
    fitted on all validation images.
    """
    check_members(runs)
    known, answers = shared_validation(runs)
    findings, exclusive, groups = runs[0].findings, runs[0].exclusive, known.patients
    told = _Told(runs, np.stack([each.logits for each in answers]), known)
    joined = cross_joined(how, told.logits, known.labels, exclusive=exclusive, groups=groups)
    answered = (findings, joined, known.labels)
    fit = fit_calibration(
        *answered, exclusive=exclusive, method=calibration, images=_IMAGES, groups=groups
    )
    shown = calibrate(joined, fit, exclusive=exclusive)
    points = choose_points(findings, known.labels, shown, groups=groups)
    rule = None
    if uncertainty is not None:
        rule = fit_uncertainty(
            *answered, fit, points, exclusive=exclusive, groups=groups, settings=uncertainty,
            images=_IMAGES,
        )  # fmt: skip
    network = " + ".join(run.recipe.model.backbone for run in runs)
    return Card(
        name=name,
        findings=finding_codes(findings),
        exclusive=exclusive,
        preprocessing=runs[0].recipe.image,
        network=network,
        flip=runs[0].recipe.test_time_augmentation == "flip",
        explanation=(
            "Grad-CAM in closed form, within the graph (arXiv:1610.02391): the runs' maps, summed "
            "with the weights of their logits"
        ),
        calibration=fit,
        operating_points=points,
        uncertainty=rule,
        ensemble=told.rule(how, joined, shown, points),
        training=_training(runs),
        performance=tuple(performance),
        **given(about, f"{', '.join(findings)} by {len(runs)} runs together ({how}): {network}."),
    )


@dataclass(frozen=True)
class _Told:
    """What the runs said of the validation images that they share.

    Args:
        runs: R runs.
        logits: ``(R, N, F)``.
        known: Labels and patients.
    """

    runs: Sequence[TrainedRun]
    logits: Float32
    known: Validation

    @property
    def findings(self) -> tuple[str, ...]:
        return self.runs[0].findings

    @property
    def exclusive(self) -> bool:
        return self.runs[0].exclusive

    def rule(
        self, how: How, joined: Float32, shown: Float32, points: Mapping[str, OperatingPoint]
    ) -> EnsembleRule:
        """Fit the weights, and gather what the card tells of them.

        Args:
            how: How logits become one.
            joined: ``(N, F)`` logits, each joined by weights fitted without its patient.
            shown: ``(N, F)`` the probabilities that they become.
            points: Operating points on those.
        """
        labels, groups = self.known.labels, self.known.patients
        fit = fit_mixture(how, self.logits, labels, exclusive=self.exclusive)
        apart: Float64 = plain_probabilities(self.logits, exclusive=self.exclusive).std(axis=0)
        thresholds = {self.findings.index(name): at.threshold for name, at in points.items()}
        return EnsembleRule(
            how,
            tuple(map(self._member, range(len(self.runs)))),
            tuple(tuple(row) for row in fit.weights.tolist()),
            tuple(fit.intercepts.tolist()),
            fitted_on="" if how == "mean" else _IMAGES,
            images=len(labels),
            patients=len(labels) if groups is None else len(np.unique(groups)),
            log_loss=measure_log_loss(joined, labels, exclusive=self.exclusive, groups=groups),
            auc=self._auc(joined),
            disagreement=measure_disagreement(self.findings, apart, groups),
            disagreement_of_errors=measure_errors_told(
                apart, shown, labels, thresholds, exclusive=self.exclusive, groups=groups
            ),
        )

    def _member(self, index: int) -> EnsembleMember:
        run, logits = self.runs[index], self.logits[index]
        image, seeds = run.recipe.image, tuple(run.recipe.seeds)
        return EnsembleMember(
            network=run.recipe.model.backbone,
            networks=len(seeds),
            normalization=image.normalization,
            channels=image.channels,
            seeds=seeds,
            recipe=training_of(run).recipe,
            log_loss=measure_log_loss(
                logits, self.known.labels, exclusive=self.exclusive, groups=self.known.patients
            ),
            auc=self._auc(logits),
        )

    def _auc(self, logits: Float32) -> dict[str, Estimate]:
        return measure_auc(
            self.findings,
            logits,
            self.known.labels,
            exclusive=self.exclusive,
            groups=self.known.patients,
        )


def _training(runs: Sequence[TrainedRun]) -> Training:
    """Tell of the first run's training; what differs stands with the members."""
    first, *others = (training_of(run) for run in runs)
    names = dict.fromkeys([first.data, *(each.data for each in others)])
    terms = dict.fromkeys([first.terms, *(each.terms for each in others)])
    seeds = tuple(seed for run in runs for seed in run.recipe.seeds)
    return replace(first, data=" + ".join(names), terms="; ".join(terms), seeds=seeds)
