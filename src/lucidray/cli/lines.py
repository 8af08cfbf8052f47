"""What was said of one image, in plain values: a line of JSON, rows of a table, a few words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lucidray.cli.results import Stamp
from lucidray.findings import ABSENCES
from lucidray.records import Diagnosis, Float32, Prediction, Refusal, Region

Line = dict[str, Any]

#: What a reading came to; the first are looked at first.
Kind = Literal["positive", "uncertain", "refused", "uncalled", "measured", "negative"]

COLUMNS = (
    *("path", "bundle", "refused", "uncertain", "finding", "probability", "threshold", "positive"),
    *(
        "entropy",
        "may_be",
        "boxes",
        "detections",
        "lung_area_share",
        "image_sha256",
        "bundle_sha256",
    ),
)


@dataclass(frozen=True)
class Film:
    """A file to be read.

    Args:
        path: As the user named it.
        name: What the names of its results begin with.
        stamp: How it is known again.
    """

    path: Path
    name: str
    stamp: Stamp


def line_of(film: Film, diagnosis: Diagnosis, files: Mapping[str, Any]) -> Line:
    """Return the line of a film that was judged.

    Args:
        film: The film.
        diagnosis: What the bundle says of it.
        files: What was written about it, relative to the folder of results.

    Returns:
        Plain values; a refused image has no findings.
    """
    told = diagnosis.prediction
    refusal = told.refusal
    unsure = told.uncertainty
    return {
        **_head(film, diagnosis.image_sha256, diagnosis.provenance),
        "refused": refusal.reason if refusal else None,
        "refusal": _refusal(refusal) if refusal else None,
        "findings": [] if refusal else list(_findings(diagnosis)),
        "uncertain": bool(unsure is not None and unsure.refer and refusal is None),
        "calibrated": told.calibrated,
        "method": diagnosis.attributions[0].method if diagnosis.attributions else None,
        **_gaze(diagnosis.gaze),
        **_region(told.region),
        **({"metadata": dict(told.metadata)} if told.metadata else {}),
        **_tail(film, diagnosis.provenance, files),
    }


def _gaze(gaze: Float32 | None) -> Line:
    """Return the pixel at which a reader would look most; nothing where the model says none."""
    if gaze is None:
        return {}
    row, column = np.unravel_index(int(gaze.argmax()), gaze.shape)
    return {"gaze": {"x": int(column), "y": int(row)}}


def _region(region: Region | None) -> Line:
    """Return the box that the network looked at a second time; nothing where it looks once."""
    return {} if region is None else {"region": [round(edge, 2) for edge in region.box]}


def segmentation_line(
    film: Film,
    area_share: float,
    *,
    image_sha256: str,
    provenance: Mapping[str, Any],
    refusal: Refusal | None,
    files: Mapping[str, Any],
) -> Line:
    """Return the line of a film whose lungs were outlined; else as `line_of`."""
    return {
        **_head(film, image_sha256, provenance),
        "refused": refusal.reason if refusal else None,
        "refusal": _refusal(refusal) if refusal else None,
        "findings": [],
        "uncertain": False,
        "lung_area_share": None if refusal else round(area_share, 6),
        **_tail(film, provenance, files),
    }


def _head(film: Film, image_sha256: str, provenance: Mapping[str, Any]) -> Line:
    return {
        "path": str(film.path),
        "bundle": provenance["bundle"],
        "bundle_sha256": provenance["bundle_sha256"],
        "image_sha256": image_sha256,
    }


def _tail(film: Film, provenance: Mapping[str, Any], files: Mapping[str, Any]) -> Line:
    return {
        "engine": provenance["engine"],
        "name": film.name,
        "files": dict(files),
        "absolute_path": film.stamp.place,
        "bytes": film.stamp.size,
        "modified_ns": film.stamp.modified_ns,
    }


def _refusal(refusal: Refusal) -> Line:
    return {
        "reason": refusal.reason,
        "message": refusal.message,
        "value": refusal.value,
        "low": refusal.low,
        "high": refusal.high,
    }


def _findings(diagnosis: Diagnosis) -> Iterator[Line]:
    told = diagnosis.prediction
    maps = {each.finding: each.status for each in diagnosis.attributions}
    for index, name in enumerate(told.findings):
        yield {
            "name": name,
            "probability": float(told.probabilities[index]),
            "positive": told.positive(name),
            "threshold": told.operating_points.get(name),
            **_unsure(told, index),
            **_disagreement(told, index),
            "map": maps.get(name),
            "boxes": [list(box) for box in diagnosis.boxes.get(name, ())],
            "detections": [
                {"box": [round(side, 2) for side in each.box], "score": round(each.score, 6)}
                for each in told.detections
                if each.finding == name
            ],
        }


def _unsure(told: Prediction, index: int) -> Line:
    if told.uncertainty is None:
        return {"entropy": None, "may_be": None}
    either = {
        "present": bool(told.uncertainty.may_be_present[index]),
        "absent": bool(told.uncertainty.may_be_absent[index]),
    }
    return {
        "entropy": float(told.uncertainty.entropy[index]),
        "may_be": [word for word, possible in either.items() if possible],
    }


def _disagreement(told: Prediction, index: int) -> Line:
    """Return how far the runs of an ensemble disagree; nothing of a single run."""
    values = told.disagreement
    return {} if values is None else {"disagreement": round(float(values[index]), 6)}


def table_rows(line: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table: one a finding; one without finding where there is none."""
    shared = {key: line.get(key) for key in COLUMNS if key in line}
    findings: list[Line] = line["findings"] or [{}]
    for found in findings:
        boxes = found.get("boxes")
        own = {
            "finding": found.get("name"),
            **{key: found.get(key) for key in ("probability", "threshold", "positive", "entropy")},
            "may_be": " or ".join(found.get("may_be") or ()),
            "boxes": ";".join(" ".join(map(str, box)) for box in boxes or ()),
            "detections": ";".join(
                " ".join(map(str, (*each["box"], each["score"])))
                for each in found.get("detections") or ()
            ),
        }
        yield {key: ({**shared, **own}).get(key) for key in COLUMNS}


def kind_of(line: Mapping[str, Any]) -> Kind:
    """Return what a reading came to."""
    if line["refused"] is not None:
        return "refused"
    if "lung_area_share" in line:
        return "measured"
    if present(line):
        return "positive"
    if line["uncertain"]:
        return "uncertain"
    called = [found["positive"] is not None for found in line["findings"]]
    return "negative" if any(called) else "uncalled"


def present(line: Mapping[str, Any]) -> list[Line]:
    """Return the findings that are called present, those that say that nothing is there left out,
    the farthest above its operating point first.
    """
    called = [
        found for found in line["findings"] if found["positive"] and found["name"] not in ABSENCES
    ]
    return sorted(called, key=lambda found: -_height(found))


def words_of(line: Mapping[str, Any]) -> str:
    """Return what a reading came to, in words."""
    kind = kind_of(line)
    if kind == "refused":
        return f"No reliable result: {why_refused(line)}"
    if kind == "measured":
        return f"Lungs: {line['lung_area_share']:.1%} of the image"
    told = _said(line, kind)
    return f"{told}; unsure, a person should read it" if line["uncertain"] else told


def why_refused(line: Mapping[str, Any]) -> str:
    """Return why there is no result, in words."""
    told = str((line.get("refusal") or {}).get("message") or line["refused"])
    return told.removeprefix("No reliable result:").strip()


def _said(line: Mapping[str, Any], kind: Kind) -> str:
    if kind == "positive":
        names = [found["name"] for found in present(line)]
        return f"{', '.join(names)} present"
    if kind == "uncalled":
        return "Not called: the bundle has no operating points"
    names = [found["name"] for found in line["findings"] if found["positive"]]
    if names:
        return ", ".join(names)
    named = [found["name"] for found in line["findings"] if found["positive"] is not None]
    if len(named) == 1:
        return f"{named[0]} not found"
    return f"None of {len(named)} findings reaches its operating point"


def urgency(line: Mapping[str, Any]) -> float:
    """Return how soon a person should look, from 0 to 1.

    The probability of each finding is stretched so that its operating point (or, without one, one
    half) comes to lie at one half, and the highest counts. Refused images, and those that the
    bundle is unsure of, lie at one half at least: no machine has cleared them.
    """
    heights = [_height(each) for each in line["findings"] if each["name"] not in ABSENCES]
    highest = max(heights, default=0.0)
    return max(highest, 0.5) if line["refused"] is not None or line["uncertain"] else highest


def _height(found: Mapping[str, Any]) -> float:
    value, point = found["probability"], found["threshold"]
    point = min(max(0.5 if point is None else point, 1e-6), 1 - 1e-6)
    height = 0.5 * value / point if value < point else 0.5 + 0.5 * (value - point) / (1 - point)
    return float(height)


def wanted_maps(prediction: Prediction, named: Sequence[str]) -> tuple[str, ...]:
    """Return the findings whose maps are drawn.

    Args:
        prediction: Of one image.
        named: What the user asked for; none: what is called present, or the likeliest where the
            bundle calls nothing at all.

    Returns:
        Of a refused image none.
    """
    if prediction.refusal is not None:
        return ()
    if named:
        return tuple(named)
    real = [name for name in prediction.findings if name not in ABSENCES]
    if prediction.operating_points or not real:
        return tuple(name for name in real if prediction.positive(name))
    likeliest = max(
        real, key=lambda name: prediction.probabilities[prediction.findings.index(name)]
    )
    return (likeliest,)
