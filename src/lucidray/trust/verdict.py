"""From figures to one line in words: what holds, what does not, and what nobody has measured.

Every rule is one of intervals, never of a mean alone, and each threshold stands here by name. The
line says first where the map points, then whether the answer hangs on it, then whether it would
look the same on a network that has learned nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from lucidray.records import Measurement
from lucidray.trust.result import Aspect, Grade, Verdict

#: Fewest films on which a place, or what the answer hangs on, is judged.
FEWEST = 10

#: How many times the heat of a uniform map must lie on a planted tag to call it exposed.
TAG_RATIO = 3.0

#: Maps that know nothing of the film: to be beaten before a map locates anything.
BLIND = ("uniform", "center")

#: Findings that lie within the lungs, so that heat elsewhere speaks against a map.
IN_LUNGS = frozenset(
    {
        *("Atelectasis", "Consolidation", "COVID-19", "Edema", "Emphysema", "Fibrosis"),
        *("Infiltration", "Lung Lesion", "Lung Opacity", "Mass", "Nodule", "Pneumonia"),
        *("Tuberculosis", "Bacterial Pneumonia", "Viral Pneumonia"),
    }
)

Standing = Literal["good", "weak", "bad", "open"]


class Clause(NamedTuple):
    """One part of the line.

    Args:
        standing: ``"good"``: holds; ``"weak"``: does not quite; ``"bad"``: the opposite holds;
            ``"open"``: not known.
        text: In words; empty: it goes without saying.
    """

    standing: Standing
    text: str


def verdict(finding: str, aspects: Mapping[str, Aspect]) -> Verdict:
    """Say in one line how far a method's maps of a finding can be trusted.

    ``not supported``: maps stay alike when the network forgets, point away from the finding, do the
    answer's opposite, or fall on a planted tag. ``supported``: the place (where it is known) is
    above every map that knows nothing, the answer hangs on what is marked, randomization is passed,
    nothing else is weak. ``unknown``: neither place nor answer could be judged. ``limited``: the
    rest.

    Args:
        finding: What is explained.
        aspects: By name, as `lucidray.trust.result.ASPECTS`; what is absent was not measured.

    Returns:
        The grade and the line.
    """
    nothing = Aspect(missing="not asked for")
    parts = {
        "tag": tag_clause(aspects.get("tag", nothing)),
        "place": place_clause(finding, aspects.get("localization", nothing)),
        "answer": answer_clause(aspects.get("faithfulness", nothing)),
        "sanity": sanity_clause(aspects.get("sanity", nothing)),
        "moves": moves_clause(aspects.get("moves", nothing)),
        "lungs": lungs_clause(finding, aspects.get("lungs", nothing)),
    }
    text = "; ".join(clause.text for clause in parts.values() if clause.text)
    return Verdict(grade_of(parts, aspects), f"{text[:1].upper()}{text[1:]}.")


def grade_of(parts: Mapping[str, Clause], aspects: Mapping[str, Aspect]) -> Grade:
    """Grade the clauses; else as `verdict`."""
    standings = {name: clause.standing for name, clause in parts.items()}
    if "bad" in standings.values():
        return "not supported"
    if standings["place"] == standings["answer"] == "open":
        return "unknown"
    unmarked = bool(aspects.get("localization", Aspect(missing="no")).missing)
    needed = ("answer", "sanity") if unmarked else ("place", "answer", "sanity")
    if "weak" not in standings.values() and all(standings[name] == "good" for name in needed):
        return "supported"
    return "limited"


def place_clause(finding: str, found: Aspect) -> Clause:
    """Judge the IoU of the map, cut by Otsu's rule, against maps that know nothing of the film.

    Above chance: the interval of the gain over the uniform and over the center map lies above 0.
    Below: that over either lies below 0. A map that does not also beat the finding's usual place
    (where that is known) is weak: one need not look at the film to do as well.
    """
    if found.missing:
        return Clause("open", "whether it points to the finding is not measured")
    value = found.get("map_iou")
    if value.count < FEWEST:
        return Clause("open", f"too few films are marked ({value.count}) to say if it locates")
    gains = [found.gain_over("map_iou", name) for name in BLIND]
    best = max((found.chance_of("map_iou", name).value for name in BLIND), default=float("nan"))
    against = f"IoU {interval(value)} vs {short(best)}"
    if any(gain.high < 0 for gain in gains):
        return Clause("bad", f"locates {finding} below chance ({against})")
    if not all(gain.low > 0 for gain in gains):
        return Clause("weak", f"does not locate {finding} above chance ({against})")
    usual = found.gain_over("map_iou", "prior")
    if np.isfinite(usual.low) and not usual.low > 0:
        place = found.chance_of("map_iou", "prior")
        return Clause(
            "weak",
            f"locates {finding} above chance ({against}), but no better than its usual place "
            f"({short(place.value)})",
        )
    return Clause("good", f"locates {finding} above chance ({against})")


def answer_clause(found: Aspect) -> Clause:
    """Judge insertion less deletion: above 0 where the answer hangs on what the map marks."""
    if found.missing:
        return Clause("open", "whether the answer hangs on it is not measured")
    gap = found.get("faithfulness_gap")
    if gap.count < FEWEST:
        return Clause("open", f"too few films ({gap.count}) to say if the answer hangs on it")
    if gap.low > 0:
        return Clause("good", f"the answer hangs on what it marks (gap {interval(gap)})")
    if gap.high < 0:
        return Clause("bad", f"the answer hangs on what it leaves out (gap {interval(gap)})")
    return Clause("weak", f"the answer does not clearly hang on it (gap {interval(gap)})")


def sanity_clause(found: Aspect) -> Clause:
    """Take over the pass rule of `lucidray.metrics.sanity`."""
    if found.missing:
        return Clause("open", f"randomization {found.missing}")
    return {
        "passes": Clause("good", "passes randomization"),
        "fails": Clause("bad", "fails randomization: a network without knowledge gives its like"),
        "undecided": Clause("weak", "randomization is undecided"),
    }.get(found.outcome, Clause("open", "randomization is undefined"))


def moves_clause(found: Aspect) -> Clause:
    """Judge whether maps of a moved film are more alike than maps of different patients."""
    if found.missing:
        return Clause("open", "")
    gain = found.gain_over("map_ssim", "others")
    if np.isnan(gain.low) or gain.low > 0:
        return Clause("good" if gain.low > 0 else "open", "")
    return Clause("weak", "changes with small moves as much as between patients")


def lungs_clause(finding: str, found: Aspect) -> Clause:
    """Say how much heat lies outside the lungs; weak where a uniform map has no more there.

    Only of findings `IN_LUNGS`; of others it is stated and not judged.
    """
    share = found.get("outside_lungs")
    if found.missing or np.isnan(share.value):
        return Clause("open", "")
    text = f"{share.value:.0%} of its heat lies outside the lungs".replace("%", " %")
    gain = found.gain_over("outside_lungs", "uniform")
    if finding in IN_LUNGS and share.count >= FEWEST and not gain.high < 0:
        return Clause("weak", f"{text}, no less than of a uniform map")
    return Clause("good", text)


def tag_clause(found: Aspect) -> Clause:
    """Judge heat on a planted tag, which no model should look at."""
    if found.missing or not is_exposed(found):
        return Clause("open", "")
    heat, chance = found.get("energy_inside"), found.chance_of("energy_inside", "uniform")
    return Clause(
        "bad",
        f"its heat falls on a planted tag (share {interval(heat, 3)} vs {short(chance.value, 4)}), "
        "so the model has learned the tag",
    )


def is_exposed(found: Aspect) -> bool:
    """Tell whether a map's heat on a tag shows that the model looks at it.

    So where the interval of its share, less that of a uniform map, lies above 0, and the share is
    at least `TAG_RATIO` times that of the uniform map.
    """
    heat = found.get("energy_inside").value
    chance = found.chance_of("energy_inside", "uniform").value
    gain = found.gain_over("energy_inside", "uniform").low
    return bool(gain > 0 and heat >= TAG_RATIO * chance)


def short(value: float, digits: int = 2) -> str:
    """Return a share as radiology prints it, without the leading zero.

    >>> short(0.314), short(-0.05), short(1.0), short(float("nan"))
    ('.31', '-.05', '1.00', 'undefined')
    """
    if not np.isfinite(value):
        return "undefined"
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def interval(found: Measurement, digits: int = 2) -> str:
    """Return a value with its interval.

    >>> interval(Measurement("map_iou", 0.31, low=0.27, high=0.35))
    '.31 [.27–.35]'
    """
    text = short(found.value, digits)
    if np.isfinite(found.low) and np.isfinite(found.high):
        text += f" [{short(found.low, digits)}–{short(found.high, digits)}]"
    return text
