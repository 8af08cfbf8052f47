"""Films that came, filed under patient and case and put on the list of readings, or refused."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from lucidray_clinic.analyses import runs
from lucidray_clinic.analyses.models import InferenceRun
from lucidray_clinic.cases import uploading
from lucidray_clinic.cases.filing import Destination
from lucidray_clinic.cases.models import Instance
from lucidray_clinic.cases.quarantine import Inspected, Inspector
from lucidray_clinic.core import audit, jobs
from lucidray_clinic.core.heartbeat import kept_alive
from lucidray_clinic.core.identifiers import new_id
from lucidray_clinic.errors import ScannerAway, SiteError
from lucidray_clinic.pacs import receiving, routing
from lucidray_clinic.pacs.models import Answer, Answering, Arrival, Outcome, Rule

log = logging.getLogger(__name__)

#: The child that decodes what comes; it ends with its worker.
_INSPECTOR = Inspector()


def take_once() -> bool:
    """File or refuse one object that came.

    Returns:
        Whether there was one.
    """
    rows = Arrival.everything.select_related("peer", "team", "fetch")
    arrival = jobs.claim(jobs.open_jobs(rows), _("Three workers died on this object."))
    if arrival is not None:
        with kept_alive(arrival):
            take(arrival)
    return arrival is not None


def take(arrival: Arrival) -> None:
    """File or refuse an object that came.

    Args:
        arrival: As `jobs.claim` returned it.
    """
    facts: dict[str, str] = {}
    try:
        with _inspected(arrival) as film:
            facts = routing.facts_of(film.facts)
            _file(arrival, facts, film)
    except ScannerAway as error:
        jobs.fail(arrival, str(error), jobs.pause_after(arrival))
    except SiteError as error:
        _refuse(arrival, error, facts)
    except FileNotFoundError:
        jobs.fail(arrival, _("The file of this object is gone."), None)
    except Exception as error:
        log.error("an object could not be filed: %s", type(error).__name__)  # noqa: TRY400
        jobs.fail(arrival, _("It could not be filed."), jobs.pause_after(arrival))


@contextmanager
def _inspected(arrival: Arrival) -> Iterator[Inspected]:
    """Inspect a copy, so that the file stays until its row says that it is filed."""
    copy = Path(settings.FILE_UPLOAD_TEMP_DIR) / f"{new_id().hex}.received"
    picture = copy.with_suffix(".picture")
    try:
        shutil.copyfile(receiving.path_of(arrival), copy)
        yield _INSPECTOR.inspect(copy)
    finally:
        copy.unlink(missing_ok=True)
        picture.unlink(missing_ok=True)


def _file(arrival: Arrival, facts: dict[str, str], film: Inspected) -> None:
    rule = routing.rule_for(arrival, facts)
    where = _destination(arrival, rule)
    with transaction.atomic():
        if not jobs.finish(arrival, facts=facts, outcome=Outcome.FILED, rule=rule):
            return
        filed = uploading.file_film(None, where, film, _name(facts)).instance
        if filed is None:
            raise SiteError(_("It could not be filed."), "not_filed")
        run = _asked(rule, filed)
        Arrival.everything.filter(pk=arrival.pk).update(
            instance=filed, team=where.team, run=run, **_answer(arrival, rule, run, filed)
        )
    receiving.forget(arrival)


def _destination(arrival: Arrival, rule: Rule | None) -> Destination:
    urgency = arrival.urgency if rule is None else min(rule.urgency, arrival.urgency)
    if arrival.fetch is not None:
        return Destination(arrival.fetch.team, values={"urgency": urgency})
    if rule is None:
        raise SiteError(_("No rule says where such a film goes."), "no_rule")
    return Destination(rule.team, values={"urgency": rule.urgency})


def _name(facts: dict[str, str]) -> str:
    told = " ".join(part for part in (facts["modality"], facts["view"]) if part)
    return f"{told or 'film'}.dcm"


def _asked(rule: Rule | None, film: Instance) -> InferenceRun | None:
    """Put a frontal film on the list of readings, if a rule says by which model."""
    if rule is None or rule.bundle is None or film.has_remark("lateral"):
        return None
    return runs.ask(None, film, rule.bundle)


def _answer(
    arrival: Arrival, rule: Rule | None, run: InferenceRun | None, film: Instance
) -> dict[str, Any]:
    if run is None or rule is None:
        lateral = film.has_remark("lateral")
        why = _("A lateral film: filed, not judged; models judge frontal ones.") if lateral else ""
        return {"told": why, "code": "lateral" if lateral else ""}
    to = arrival.peer if rule.answer == Answer.SENDER else rule.answer_to
    if rule.answer == Answer.NOBODY or to is None or not to.way:
        return {}
    return {"answering": Answering.PENDING, "answer_to": to, "pictures": rule.pictures}


@transaction.atomic
def _refuse(arrival: Arrival, error: SiteError, facts: dict[str, str]) -> None:
    told = {"outcome": Outcome.REFUSED, "told": str(error)[:300], "code": error.code[:40]}
    if jobs.finish(arrival, facts=facts, **told):
        audit.record(None, "upload refused", arrival, code=error.code)


def close() -> None:
    """End the child that decodes; the next object starts another."""
    _INSPECTOR.__exit__(None, None, None)
