"""From a request on the command line to a trust report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from lucidray.bundle.installed import bundles
from lucidray.bundle.runtime import load_bundle
from lucidray.cli.choosing import choose_images, load_images
from lucidray.cli.finding_names import finding_of
from lucidray.cli.progress import Bars, Tick
from lucidray.datasets import ImageTable, load_dataset
from lucidray.errors import BundleError, DataError
from lucidray.trust import (
    METHODS,
    BundleSubject,
    Effort,
    Subject,
    TrustReport,
    choose_findings,
    joined,
    measure_trust,
)
from lucidray.trust.card import check_same, write_card
from lucidray.trust.films import Outline

#: The bundle that outlines lungs unless another is named.
LUNGS = "lung-fields"


@dataclass(frozen=True)
class Request:
    """What a user wants measured.

    Args:
        model: A run folder, or a bundle's path or name.
        data: A data set's folder.
        name: Its registered name; None: recognized.
        split: Which images.
        methods: None: the usual ones.
        findings: As the user writes them; None: chosen.
        images: Films of each finding, at most.
        lungs: Bundle that outlines lungs; None: `LUNGS`, if it is here.
        n_boot: Bootstrap replicates.
        cluster: Whose workers measure a finding each; None: this process measures all.
    """

    model: str
    data: Path
    name: str | None = None
    split: str = "auto"
    methods: tuple[str, ...] | None = None
    findings: tuple[str, ...] | None = None
    images: int = 200
    lungs: str | None = None
    n_boot: int = 2000
    cluster: str | None = None


def trust_report(
    asked: Request, stage: Bars, *, shortcut: bool = False, card: str | None = None
) -> TrustReport:
    """Open the model, choose images, measure, and write what was asked for.

    Args:
        asked: What is wanted.
        stage: Makes the bar of a stage.
        shortcut: Whether to train the two networks of the planted-shortcut test.
        card: Bundle whose card gets the verdicts; None: none.

    Raises:
        LucidRayError: See `measure_trust` and `write_card`.
    """
    subject, table, selection, remarks = _opened(asked, stage)
    if card is not None:
        check_same(subject, BundleSubject(load_bundle(card)))
    outline, lungs = _outline(asked.lungs)
    of = f"this {subject.kind}"
    wanted = asked.findings and tuple(
        finding_of(name, subject.findings, of=of) for name in asked.findings
    )
    effort = Effort(images=asked.images, n_boot=asked.n_boot)
    if asked.cluster is not None:
        report = _apart(asked, choose_findings(subject, table, wanted), stage)
    else:
        report = measure_trust(
            subject,
            table,
            findings=wanted,
            methods=asked.methods,
            effort=effort,
            outline=outline,
            lungs=lungs,
            selection=selection,
            remarks=remarks,
            stage=stage,
        )
    if shortcut:
        from lucidray.trust.shortcut import run_shortcut_test

        names = tuple(method.method for method in report.findings[0].methods) or METHODS
        test = run_shortcut_test(names, n_boot=asked.n_boot, stage=stage)
        report = replace(report, shortcut=test)
    if card is not None:
        write_card(card, report, subject)
    return report


def _apart(asked: Request, findings: tuple[str, ...], stage: Bars) -> TrustReport:
    """Let the workers of a cluster measure a finding each."""
    from lucidray.cluster import call_each, connected

    tick, done = stage("Measuring findings"), count(1)
    calls = [(replace(asked, findings=(name,), cluster=None), _unseen) for name in findings]
    with connected(asked.cluster or ""):
        told = call_each(trust_report, calls, done=lambda _: tick(next(done), len(calls)))
    return joined(told)


def _unseen(_: str) -> Tick:
    """Return what takes note of a stage's progress where nobody sees it."""
    return lambda *_: None


def _opened(asked: Request, stage: Bars) -> tuple[Subject, ImageTable, str, tuple[str, ...]]:
    """Return the model, the images, which these are, and what one must know of them."""
    if Path(asked.model).is_dir():
        from lucidray.training import load_run
        from lucidray.trust.network import open_subject

        run = load_run(asked.model)
        subject: Subject = open_subject(run)
        table = load_images(asked.data, asked.name, run)
        tick = stage("Telling new images from seen ones")
        table = choose_images(table, run, asked.split, tick)
        if asked.split in ("all", "train"):
            told = "Among these films are such that the run has learned from: figures are too good."
            return subject, table, asked.split, (told,)
        words = {"auto": "images that the run has not seen"}
        return subject, table, words.get(asked.split, f"its {asked.split} images"), ()
    subject = BundleSubject(load_bundle(asked.model))
    table, selection = _of_bundle(load_dataset(asked.data, asked.name), asked.split)
    learned = subject.bundle.card.training.data
    told = (
        f"A bundle does not list the films that it learned from ({learned}); on those, figures "
        "would be too good. Its randomization is not measured: that needs the run."
    )
    return subject, table, selection, (told,)


def _of_bundle(table: ImageTable, split: str) -> tuple[ImageTable, str]:
    here = table.present()
    if split == "all":
        return here, "all images"
    wanted = "test" if split == "auto" else split
    chosen = here.where((here.rows["split"] == wanted).to_numpy())
    if len(chosen):
        return chosen, f"its {wanted} images"
    if split == "auto":
        return here, "all images"
    raise DataError(
        f"'{here.name}' has no images here in the split '{split}'. Leave --split out to measure "
        "on all of them."
    )


def _outline(name: str | None) -> tuple[Outline | None, str]:
    """Return what outlines lungs, and its name; nothing where it is not here and not asked for."""
    if name is None and LUNGS not in bundles():
        return None, ""
    bundle = load_bundle(name or LUNGS)
    if bundle.task != "segmentation":
        raise BundleError(
            f"'{bundle.name}' judges findings and outlines nothing; name a bundle that outlines "
            "lungs with --lungs."
        )
    return bundle.segment, f"the bundle {bundle.name}"
