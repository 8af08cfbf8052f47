"""The page of a trust report: verdicts first, every figure beside chance, pictures of both ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lucidray.images.color_maps import color_table
from lucidray.report.bars import Estimate, forest_figure
from lucidray.report.document import (
    Block,
    Legend,
    Note,
    Panel,
    Panels,
    Report,
    Row,
    Section,
    Table,
    Tone,
)
from lucidray.report.page import write_report
from lucidray.report.provenance import provenance_blocks, versions
from lucidray.trust.page_shortcut import shortcut_blocks
from lucidray.trust.page_tables import (
    ALIKE,
    NAMES,
    NOISE,
    PLACE,
    REMOVAL,
    ROAD,
    aspect_table,
    cell,
    sanity_table,
)
from lucidray.trust.result import FindingTrust, Grade, MethodTrust, TrustReport
from lucidray.trust.verdict import FEWEST, TAG_RATIO, is_exposed, short

TONES: dict[Grade, Tone] = {
    "supported": "good",
    "limited": "warning",
    "not supported": "bad",
    "unknown": "plain",
}

_INTRODUCTION = (
    "A heat map always looks like something. Here each method's maps are measured on films that "
    "show the finding, and every figure stands beside what a map scores that knows nothing. In "
    "brackets: 95 % intervals, patients resampled."
)
_READ = (
    "**supported**: above every blind map (where the place is marked), the answer hangs on what is "
    "marked, randomization is passed, nothing else is weak. **not supported**: one of these is "
    "turned around, or the heat falls on a planted tag. **limited**: something is weak or not "
    f"measured. **unknown**: fewer than {FEWEST} films, or nothing to judge by."
)


def write_trust_page(report: TrustReport, path: str | Path, commands: Iterable[str] = ()) -> Path:
    """Write a trust report as one self-contained HTML file, whole or not at all.

    Args:
        report: From `measure_trust`, with its pictures.
        path: The file.
        commands: Command lines that made it.

    Returns:
        The file.
    """
    return write_report(trust_page(report, tuple(commands)), path)


def trust_page(report: TrustReport, commands: tuple[str, ...] = ()) -> Report:
    """Return the page of a trust report."""
    sections = [Section("Verdicts", tuple(_verdicts(report)))]
    alone = len(report.findings) == 1
    for found in report.findings:
        parts = list(_parts(report, found))
        if alone:
            sections += [Section(title, blocks) for title, blocks in parts]
        else:
            blocks = tuple(block for _, several in parts for block in several)
            sections.append(Section(found.finding, blocks))
    if report.shortcut is not None:
        sections.append(Section("The planted shortcut", tuple(shortcut_blocks(report.shortcut))))
    sections.append(Section("How it was measured", tuple(_how(report))))
    if commands:
        sections.append(Section("Commands and versions", provenance_blocks(commands, versions())))
    return Report(
        f"Can the heat maps of {report.subject} be trusted?",
        sections,
        kicker="Trust report" + (" on simulated films" if report.simulated else ""),
        lede=_INTRODUCTION,
        facts=_facts(report),
        notes=tuple(_notes(report)),
    )


def _facts(report: TrustReport) -> tuple[tuple[str, str], ...]:
    images = sum(found.images for found in report.findings)
    patients = sum(found.patients for found in report.findings)
    return (
        ("Model", f"{report.kind} of a {report.network}"),
        ("Films", f"{images:,} that show a finding, of {patients:,} patients"),
        ("Data", report.data + (f", {report.selection}" if report.selection else "")),
        ("Findings", ", ".join(found.finding for found in report.findings)),
        ("Took", f"{report.seconds / 60:.1f} minutes"),
    )


def _notes(report: TrustReport) -> Iterable[Note]:
    exposed = [
        f"{found.finding}, {method.method}"
        for found in report.findings
        for method in found.methods
        if is_exposed(method.aspect("tag"))
    ]
    if exposed:
        yield Note(
            f"Heat falls on the tag that was planted on these films ({'; '.join(exposed)}). The "
            "model answers by the tag and not by what the film shows.",
            "This model has learned a shortcut",
            "bad",
        )
    few = [found for found in report.findings if found.images < 30]
    if few:
        names = ", ".join(f"{found.finding} ({found.images})" for found in few)
        yield Note(
            f"Few films: {names}. Intervals are wide; read them, not the means.", "", "warning"
        )
    if report.remarks:
        yield Note(report.remarks, "", "warning")
    if report.left_out:
        lines = tuple(f"`{name}`: {reason}" for name, reason in report.left_out.items())
        yield Note(lines, "Methods that cannot explain this model")


def _verdicts(report: TrustReport) -> Iterable[Block]:
    rows = [
        ((found.finding,) if len(report.findings) > 1 else ())
        + (method.method, method.verdict.grade, method.verdict.text)
        for found in report.findings
        for method in found.methods
    ]
    columns = ("Finding", "Method", "Maps are", "Because")
    yield Table(
        columns if len(report.findings) > 1 else columns[1:],
        tuple(rows),
        _READ,
        numeric=(),
        wide=True,
    )


def _parts(report: TrustReport, found: FindingTrust) -> Iterable[tuple[str, tuple[Block, ...]]]:
    yield "Where the heat lies", tuple(_place(found))
    yield "Does the answer hang on it?", tuple(_answer(found))
    yield "Does it depend on what was learned?", (sanity_table(found),)
    yield "Does it stay where it is?", tuple(_steady(found))
    if found.agreement:
        yield "Do methods agree?", (_agreement(found),)
    cases = tuple(_cases(report, found))
    if cases:
        yield "Best and worst films", cases
    groups = tuple(_groups(found))
    if groups:
        yield "Subgroups", groups


def _place(found: FindingTrust) -> Iterable[Block]:
    marked = [method for method in found.methods if not method.aspect("localization").missing]
    if marked:
        yield _forest(found, marked)
        yield aspect_table(
            found,
            "localization",
            PLACE,
            f"{found.finding}: maps against the true {found.truth}, and blind maps: `uniform` says "
            "nothing, `center` bets on the middle, `prior` is the mean place in other patients.",
            chance=("uniform", "center", "prior"),
            films=False,
        )
    else:
        yield (
            f"Nobody has marked where {found.finding} lies on these films, so whether maps point "
            "to it is not measured."
        )
    if any(not method.aspect("tag").missing for method in found.methods):
        yield aspect_table(
            found,
            "tag",
            ("energy_inside", "pointing_game"),
            f"Heat on the planted tag. Exposed from {TAG_RATIO:g} times a uniform map's share on.",
            chance=("uniform", "center"),
            digits=4,
        )
    yield _lungs(found)


def _forest(found: FindingTrust, marked: Sequence[MethodTrust]) -> Row:
    rows, levels = [], []
    for method in marked:
        aspect = method.aspect("localization")
        value = aspect.get("map_iou")
        rows.append(Estimate(method.method, value.value, value.low, value.high, value.count))
        levels += [aspect.chance_of("map_iou", name).value for name in ("uniform", "center")]
    for name in ("uniform", "center", "prior"):
        blind = marked[0].aspect("localization").chance_of("map_iou", name)
        if np.isfinite(blind.value):
            rows.append(Estimate(f"blind: {name}", blind.value, blind.low, blind.high))
    known = [level for level in levels if np.isfinite(level)]
    figure = forest_figure(
        rows,
        quantity=f"IoU with the true {found.truth}, map cut by Otsu's rule",
        caption="Dashed: the better of the uniform and the center map.",
        reference=max(known) if known else None,
        title=f"Does the map locate {found.finding}?",
    )
    return Row((figure,))


def _lungs(found: FindingTrust) -> Block:
    if not found.lungs:
        return "How much heat lies outside the lungs is not measured: there are no lung outlines."
    return aspect_table(
        found,
        "lungs",
        ("outside_lungs",),
        f"Share of the heat outside the lungs (outlines: {found.lungs}); lower is better where the "
        "finding lies in the lungs.",
        chance=("uniform", "center"),
    )


def _answer(found: FindingTrust) -> Iterable[Block]:
    yield aspect_table(
        found,
        "faithfulness",
        REMOVAL,
        "Deletion: the probability while what is hottest is removed first (should be low). "
        "Insertion: while it is put in first (should be high). Gap: their difference, 0 at chance. "
        "`random`: maps of noise of the same grid.",
        chance=("random",),
    )
    yield aspect_table(
        found,
        "road",
        ROAD,
        "ROAD: removed pixels are imputed from their neighbors, so that no hole shows.",
        chance=("random",),
    )


def _steady(found: FindingTrust) -> Iterable[Block]:
    yield aspect_table(
        found,
        "moves",
        ALIKE,
        "Likeness of maps of a film and of itself, turned and shifted a little; `others`: of "
        "moved films of different patients.",
        chance=("others",),
    )
    yield aspect_table(
        found,
        "noise",
        NOISE,
        "How far a map moves, as a share of its own length, under noise that nobody sees (lower is "
        "steadier), and how concentrated it is (Gini index, 0 for a uniform map).",
        more=("sparseness", ("gini_sparseness",)),
    )


def _agreement(found: FindingTrust) -> Table:
    names = (*ALIKE, "top_overlap")
    rows = []
    for pair, aspect in found.agreement.items():
        cells = [cell(aspect.get(name)) for name in names]
        beside = [short(aspect.chance_of(name, "others").value) for name in names]
        rows.append((pair, *[text for both in zip(cells, beside, strict=True) for text in both]))
    columns = ["Methods"]
    for name in names:
        columns += [NAMES[name], "strangers"]
    return Table(
        tuple(columns),
        tuple(rows),
        "Likeness of two methods' maps of one film; `strangers`: of films of different patients. "
        "Agreement is no proof: two maps may agree on the same wrong place.",
        stacked=True,
    )


def _cases(report: TrustReport, found: FindingTrust) -> Iterable[Block]:
    items = []
    for method in found.methods:
        for case in method.cases:
            at = case.picture.rpartition("/")[2]
            film = report.pictures.get(f"{found.finding}/film/{at}")
            drawn = report.pictures.get(f"{found.finding}/{case.picture}")
            if film is None or drawn is None:
                continue
            items.append(
                Panel(
                    (("film", film), ("where it looked", drawn)),
                    f"{method.method}: {case.kind}",
                    ((NAMES[case.measure], short(case.value)),),
                    "good" if case.kind == "best" else "bad",
                )
            )
    if items:
        legend = Legend(color_table("inferno"), "0", "its maximum", "positive part of the map")
        drawn_as = {"boxes": "Boxes", "masks": "Outlines"}.get(found.truth, "Nothing")
        yield Panels(
            tuple(items),
            f"{drawn_as} in cyan: the truth. Below a fifth of its maximum a map is not drawn.",
            legend,
        )


def _groups(found: FindingTrust) -> Iterable[Block]:
    rows = []
    for method in found.methods:
        for row in method.subgroups:
            value = row.measurement
            rows.append(
                (
                    f"{row.attribute}: {row.value}",
                    method.method,
                    NAMES[value.name],
                    cell(value),
                    f"{value.count}",
                )
            )
    if rows:
        yield Table(
            ("Subgroup", "Method", "Measure", "Mean", "Films"),
            tuple(sorted(rows)),
            "Films of a subgroup by themselves; subgroups of fewer than five are left out. With so "
            "many intervals some difference is to be expected.",
            numeric=(3, 4),
        )


def _how(report: TrustReport) -> Iterable[Block]:
    effort = report.effort
    rows = (
        ("Place, lungs, sparseness", f"all films, on a grid of {effort.grid} pixels"),
        (
            "Deletion and insertion",
            f"{effort.removal_images} films, {effort.removal_steps} steps, fill {effort.fill}",
        ),
        ("ROAD", f"{effort.road_images} films, {effort.road_steps} steps"),
        (
            "Randomization",
            f"{effort.sanity_images} films, {effort.sanity_steps} steps from the head down",
        ),
        (
            "Noise",
            f"{effort.noise_images} films, {effort.noise_samples} copies, up to "
            f"{effort.noise_radius:g} of the display range",
        ),
        ("Small moves", f"{effort.moved_images} films, {effort.moves} copies"),
        ("Intervals", f"{effort.n_boot:,} bootstrap replicates over patients"),
    )
    yield Table(("Aspect", "At most, of each finding"), rows, "", numeric=())
    yield (
        "Films show the finding; where its place is marked on some, only those are taken. A map "
        "without positive evidence counts as a miss. Crops are undone, so boxes stand where they "
        "were drawn. Pixels are removed and noise is added on the film, before normalization."
    )
