"""The part of the trust page that tells which methods reveal a planted shortcut."""

from __future__ import annotations

from collections.abc import Iterable

from lucidray.report.document import Block, Table
from lucidray.trust.page_tables import cell
from lucidray.trust.result import ShortcutTest
from lucidray.trust.verdict import TAG_RATIO, is_exposed, short


def shortcut_blocks(test: ShortcutTest) -> Iterable[Block]:
    """Return what a planted-shortcut test came to."""
    yield (
        f"Two networks learned {test.finding} on the same phantoms: for one a metal tag in a "
        "corner was always there with the finding, for the other it meant nothing. Both then "
        f"explain the same {test.images} films that show finding and tag. A method that tells the "
        "two apart would betray a shortcut in your model too."
    )
    rows = []
    for name, planted in test.planted.items():
        clean = test.clean[name]
        heats = [cell(each.get("energy_inside"), 4) for each in (planted, clean)]
        peaks = [cell(each.get("pointing_game")) for each in (planted, clean)]
        uniform = short(planted.chance_of("energy_inside", "uniform").value, 4)
        told = REVEALED[is_exposed(planted), is_exposed(clean)]
        rows.append((name, *heats, uniform, *peaks, told))
    yield Table(
        (
            *("Method", "Heat on tag: shortcut", "Heat on tag: clean", "Uniform map"),
            *("Peak on tag: shortcut", "Peak on tag: clean", "Reveals the shortcut?"),
        ),
        tuple(rows),
        f"Exposed from {TAG_RATIO:g} times a uniform map's share of heat on.",
        numeric=(1, 2, 3, 4, 5),
        stacked=True,
    )
    scores = ", ".join(f"{name} {short(value)}" for name, value in test.auc_without_tag.items())
    yield (
        f"AUC on films where the tag means nothing: {scores}. The test took "
        f"{test.seconds / 60:.1f} minutes."
    )


#: By whether the network with the shortcut is exposed, and whether the clean one is.
REVEALED = {
    (True, False): "yes",
    (True, True): "no: it accuses the clean one too",
    (False, False): "no: it hides it",
    (False, True): "no: it accuses the wrong one",
}
