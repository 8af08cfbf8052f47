"""How bright films are, from the small pictures that were made when they came in."""

from __future__ import annotations

from typing import Any

import numpy as np
from django.db import transaction
from PIL import Image

from lucidray_clinic.care.models import FilmStatistics
from lucidray_clinic.cases import storage
from lucidray_clinic.cases.models import Instance

#: What is measured of each film.
STATISTICS = ("mean", "spread", "dark", "bright")

#: Films that are measured at once.
BATCH = 200

#: Grey, from 0 to 1, below which a pixel counts as dark, and above which as bright.
DARK, BRIGHT = 0.05, 0.95


def measure_new() -> int:
    """Measure films that have not been measured, the latest first.

    Returns:
        How many were measured; a film without its picture is left for the next time.
    """
    films = Instance.objects.filter(film_statistics=None).order_by("-created_at")
    rows = films.values_list("pk", "case__team_id")[:BATCH]
    measured = [_row(key, team) for key, team in rows if storage.picture_path(key).is_file()]
    with transaction.atomic():
        FilmStatistics.objects.bulk_create(measured, ignore_conflicts=True)
    return len(measured)


def statistics_of(grey: Any) -> dict[str, float]:
    """Return how bright a picture is.

    Args:
        grey: uint8 ``(H, W)``, as it is displayed.

    Returns:
        Mean and standard deviation of its grey from 0 to 1, and the shares of dark and bright.
    """
    shown = np.asarray(grey, np.float64) / 255
    return {
        "mean": float(shown.mean()),
        "spread": float(shown.std()),
        "dark": float((shown < DARK).mean()),
        "bright": float((shown > BRIGHT).mean()),
    }


def _row(key: Any, team: Any) -> FilmStatistics:
    with Image.open(storage.picture_path(key)) as picture:
        numbers = statistics_of(picture.convert("L"))
    return FilmStatistics(instance_id=key, team_id=team, **numbers)
