"""The child process that looks into files from outside: one line of JSON in, one out, for each.

It decodes under limits of memory and time, writes a small picture, and knows neither Django nor the
database, so that a hostile file reaches nothing but its own copy.
"""

from __future__ import annotations

import hashlib
import io
import json
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image

from lucidray.errors import ImageError
from lucidray.images import decode_xray, failed_checks
from lucidray.images.quality import block_means
from lucidray.records import XRay

#: What Body Part Examined may say of a chest film; empty: the file does not say.
CHEST = frozenset(
    {"", "CHEST", "THORAX", "LUNG", "CHESTABDOMEN", "RIB", "RIBS", "STERNUM", "HEART"}
)

_MEDIA_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "tiff": "image/tiff",
    "dicom": "application/dicom",
}
_SMALL = 320


def main() -> None:
    """Serve until standard input ends; arguments: limits of memory in bytes and of pixels."""
    memory, max_pixels = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        answer = inspect(json.loads(line), max_pixels)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def inspect(wish: dict[str, str], max_pixels: int) -> dict[str, Any]:
    """Look into one file.

    Args:
        wish: ``path`` of the file, and ``picture``: where the small picture goes.
        max_pixels: A header that promises more is refused before anything is decoded.

    Returns:
        ``refused`` with the reason, or what the file is and says of itself.
    """
    try:
        data = Path(wish["path"]).read_bytes()
        xray = decode_xray(data, max_pixels=max_pixels)
        tags = dicom_tags(data) if xray.file_format == "dicom" else {}
        refuse_other_parts(tags)
        Path(wish["picture"]).write_bytes(small_picture(xray))
        return described(xray, tags)
    except ImageError as error:
        return {"refused": str(error)}
    except MemoryError:
        return {"refused": "it needs more memory to decode than a film may."}


def described(xray: XRay, tags: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept about a film.

    Args:
        xray: The film.
        tags: As of `dicom_tags`.
    """
    height, width = xray.geometry.source_shape
    pixels = np.rint(xray.pixels * 65535).astype("<u2").tobytes()
    return {
        "kind": xray.file_format,
        "media_type": _MEDIA_TYPES[xray.file_format],
        "rows": height,
        "columns": width,
        "bits": xray.source_bits,
        "lossy": xray.lossy,
        "view_position": xray.view_position or "",
        "spacing_mm": xray.spacing_mm,
        "sha256": xray.sha256,
        "pixels_sha256": hashlib.sha256(f"{height}x{width}:".encode() + pixels).hexdigest(),
        "remarks": remarks(xray),
        "tags": tags,
    }


def remarks(xray: XRay) -> list[dict[str, str]]:
    """Return what a reader should know of a film that is taken in all the same.

    Args:
        xray: The film.
    """
    found = [{"code": check.name, "text": check.complaint} for check in failed_checks(xray)]
    if xray.view_position in ("LL", "RL"):
        found.insert(0, {"code": "lateral", "text": "a lateral film; models judge frontal ones"})
    if xray.lossy:
        found.append({"code": "lossy", "text": "compressed with loss"})
    return found


def refuse_other_parts(tags: dict[str, Any]) -> None:
    """Refuse a film that says that it shows another part of the body.

    Args:
        tags: As of `dicom_tags`.

    Raises:
        ImageError: It does.
    """
    part = str(tags.get("body_part", "")).upper().replace(" ", "")
    if part not in CHEST:
        raise ImageError(f"a film of another part of the body ({part[:16]}); expected the chest.")


def dicom_tags(data: bytes) -> dict[str, Any]:
    """Return the tags that file a film under its patient and study.

    Args:
        data: A DICOM file that has been decoded already.
    """
    held = pydicom.dcmread(io.BytesIO(data), force=True, stop_before_pixels=True)
    name = str(held.get("PatientName") or "").split("=")[0].split("^")
    return {
        "sop_uid": _text(held, "SOPInstanceUID"),
        "study_uid": _text(held, "StudyInstanceUID"),
        "series_uid": _text(held, "SeriesInstanceUID"),
        "accession": _text(held, "AccessionNumber"),
        "body_part": _text(held, "BodyPartExamined"),
        "modality": _text(held, "Modality"),
        "station": _text(held, "StationName"),
        "acquired_on": _day(_text(held, "AcquisitionDate") or _text(held, "StudyDate")),
        "patient_number": _text(held, "PatientID"),
        "family_name": name[0].strip()[:120],
        "given_name": " ".join(name[1:3]).strip()[:120],
        "birth_date": _day(_text(held, "PatientBirthDate")),
        "sex": _text(held, "PatientSex").upper()[:1],
    }


def small_picture(xray: XRay) -> bytes:
    """Return a small grey JPEG of a film, for lists.

    Args:
        xray: The film.
    """
    side = min(_SMALL, *xray.pixels.shape)
    grey = np.rint(np.clip(block_means(xray.pixels, side), 0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(grey)
    picture.thumbnail((_SMALL, _SMALL))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


def _text(held: pydicom.Dataset, keyword: str) -> str:
    try:
        return str(held.get(keyword) or "").strip("\0 ")[:64]
    except (TypeError, ValueError):
        return ""


def _day(text: str) -> str:
    digits = text.replace(".", "")[:8]
    return (
        f"{digits[:4]}-{digits[4:6]}-{digits[6:]}" if digits.isdigit() and len(digits) == 8 else ""
    )


if __name__ == "__main__":
    main()
