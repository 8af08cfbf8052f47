"""From a reading that is done to a result on its way."""

from __future__ import annotations

from importlib.metadata import version

from django.db import transaction

from lucidray_clinic.analyses.models import RunState
from lucidray_clinic.core.jobs import JobState
from lucidray_clinic.pacs.models import Answering, Arrival, Delivery


def answer_once() -> bool:
    """Put the result of one film on its way, once its reading is there.

    Returns:
        Whether there was one.
    """
    ended = {"answering": Answering.PENDING, "run__state__in": [RunState.DONE, RunState.FAILED]}
    rows = Arrival.everything.filter(**ended).order_by("urgency", "created_at")
    arrival = rows.select_related("run__reading", "instance", "answer_to").first()
    if arrival is not None:
        _answer(arrival)
    return arrival is not None


@transaction.atomic
def _answer(arrival: Arrival) -> None:
    reading = arrival.run.reading if arrival.run is not None else None
    after = Answering.FAILED if reading is None else Answering.MADE
    pending = Arrival.everything.filter(pk=arrival.pk, answering=Answering.PENDING)
    if not pending.update(answering=after) or reading is None:
        return
    Delivery.objects.get_or_create(
        reading=reading,
        report=None,
        peer=arrival.answer_to,
        defaults={
            "team_id": reading.team_id,
            "instance": arrival.instance,
            "urgency": arrival.run.urgency if arrival.run else arrival.urgency,
            "pictures": arrival.pictures,
            "software": version("lucidray"),
            "state": JobState.WAITING,
        },
    )
