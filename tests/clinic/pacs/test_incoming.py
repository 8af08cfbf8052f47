"""Films that come by themselves: filed once, read once, refused by name, never lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from lucidray.dicom.files import to_bytes
from lucidray.dicom.network import Received
from lucidray_clinic.accounts.models import Team
from lucidray_clinic.analyses.models import InferenceRun, Reading
from lucidray_clinic.cases.models import Case, Instance, Urgency
from lucidray_clinic.core.jobs import JobState
from lucidray_clinic.core.models import AuditEvent
from lucidray_clinic.errors import SiteError
from lucidray_clinic.pacs import receiving, taking
from lucidray_clinic.pacs.models import (
    Answer,
    Answering,
    Arrival,
    Delivery,
    Outcome,
    Peer,
    Rule,
    StudyImport,
)
from lucidray_clinic.pacs.secrets import seal, unseal
from lucidray_clinic.patients.models import Patient

Film = Callable[..., Any]
Send = Callable[..., Arrival]
Work = Callable[[], None]


def test_a_film_becomes_patient_case_reading_and_result(
    rule: Rule, team: Team, peer: Peer, make_film: Film, send: Send, work: Work
) -> None:
    arrival = send(make_film(1, StationName="ROOM3"))
    assert receiving.path_of(arrival).is_file()
    work()
    arrival.refresh_from_db()
    case = Case.objects.get()
    assert (case.team, case.accession, case.study_uid) == (team, "A1", "1.2.3.1")
    assert case.patient.identifiers.get().value == "P1"
    assert (arrival.state, arrival.outcome) == (JobState.DONE, Outcome.FILED)
    assert arrival.facts["station"] == "ROOM3"
    assert arrival.instance == Instance.objects.get()
    reading = Reading.objects.get()
    assert (reading.bundle, reading.instance) == (rule.bundle, arrival.instance)
    delivery = Delivery.objects.get()
    assert (delivery.reading, delivery.peer, delivery.team) == (reading, peer, team)
    assert arrival.answering == Answering.MADE
    assert not receiving.path_of(arrival).exists()
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"receive", "upload", "analyze"} <= actions


def test_the_same_film_again_changes_nothing(
    rule: Rule, make_film: Film, send: Send, work: Work
) -> None:
    for _ in range(2):
        send(make_film())
        work()
    send(make_film())
    counts = [one._base_manager.count() for one in (Arrival, Case, Instance, Reading, Delivery)]
    assert counts == [1, 1, 1, 1, 1]
    assert not list(receiving.spool().rglob("*.dcm"))


def test_two_films_of_a_study_are_one_case(
    rule: Rule, make_film: Film, send: Send, work: Work
) -> None:
    send(make_film())
    second = make_film(SOPInstanceUID="1.2.3.1.1.2")
    second.PixelData = second.PixelData[::-1]
    send(second)
    work()
    assert (Case.objects.count(), Instance.objects.count()) == (1, 2)
    assert Delivery.objects.count() == 2


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({"BodyPartExamined": "KNEE"}, "not_a_film"),
        ({"Modality": "CT"}, "not_a_film"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "not_a_film"),
        ({"NumberOfFrames": 2}, "not_a_film"),
        ({"PatientID": ""}, "no_patient"),
        ({"Rows": 60_000, "Columns": 60_000}, "not_a_film"),
    ],
)
def test_what_is_no_chest_film_is_refused_by_name(
    rule: Rule, make_film: Film, send: Send, work: Work, tags: dict[str, Any], code: str
) -> None:
    arrival = send(make_film(**tags))
    work()
    arrival.refresh_from_db()
    assert (arrival.state, arrival.outcome, arrival.code) == (
        JobState.DONE,
        Outcome.REFUSED,
        code,
    )
    assert arrival.told
    assert "Example" not in arrival.told
    assert not Instance.everything.exists()
    assert not Case.everything.exists()
    assert not Patient.everything.exists()
    assert not Delivery.objects.exists()


def test_a_number_of_another_person_is_not_mixed_up(
    rule: Rule, make_film: Film, send: Send, work: Work
) -> None:
    send(make_film(1, PatientBirthDate="19600101"))
    married = {"PatientID": "P1", "PatientName": "Other^Anna"}
    send(make_film(2, **married, PatientBirthDate="19600101"))
    stranger = send(make_film(3, **married, PatientBirthDate="19710303"))
    work()
    stranger.refresh_from_db()
    assert (stranger.outcome, stranger.code) == (Outcome.REFUSED, "other_person")
    assert "Other" not in stranger.told
    assert (Patient.objects.count(), Instance.objects.count()) == (1, 2)


def test_a_lateral_film_is_filed_but_not_judged(
    rule: Rule, make_film: Film, send: Send, work: Work
) -> None:
    arrival = send(make_film(ViewPosition="LL"))
    work()
    arrival.refresh_from_db()
    assert (arrival.outcome, arrival.code) == (Outcome.FILED, "lateral")
    assert "lateral" in arrival.told.lower()
    assert not InferenceRun.objects.exists()
    assert not Delivery.objects.exists()


def test_without_a_rule_a_film_is_refused_and_taken_once_there_is_one(
    team: Team, peer: Peer, make_film: Film, send: Send, work: Work
) -> None:
    arrival = send(make_film())
    work()
    arrival.refresh_from_db()
    assert (arrival.outcome, arrival.code) == (Outcome.REFUSED, "no_rule")
    Rule.objects.create(name="All", team=team)
    assert receiving.reopen(arrival)
    work()
    arrival.refresh_from_db()
    assert arrival.outcome == Outcome.FILED
    assert not receiving.reopen(arrival), "filed for good"


def test_what_was_refused_is_looked_at_anew_when_it_is_sent_again(
    team: Team, make_film: Film, send: Send, work: Work
) -> None:
    send(make_film())
    work()
    Rule.objects.create(name="All", team=team)
    send(make_film())
    work()
    assert Arrival.everything.get().outcome == Outcome.FILED


def test_the_first_rule_that_fits_holds(
    team: Team, other_team: Team, peer: Peer, make_film: Film, send: Send, work: Work
) -> None:
    other = Peer.objects.create(name="Ward", ae_title="WARD")
    Rule.objects.create(order=1, name="a", team=other_team, peer=other)
    Rule.objects.create(order=2, name="b", team=other_team, station="ROOM9")
    Rule.objects.create(order=3, name="c", team=other_team, view="AP")
    Rule.objects.create(order=4, name="d", team=other_team, modality="CR")
    Rule.objects.create(order=5, name="e", team=other_team, active=False)
    urgent = Urgency.URGENT
    Rule.objects.create(order=6, name="f", team=team, modality="dx", view="PA", urgency=urgent)
    send(make_film(ViewPosition="PA", StationName="ROOM3"))
    work()
    assert (Case.objects.get().team, Case.objects.get().urgency) == (team, urgent)
    send(make_film(2, ViewPosition="PA"), other)
    send(make_film(3, ViewPosition="PA", StationName="room9"))
    send(make_film(4, ViewPosition="AP"))
    work()
    assert Case.objects.filter(team=other_team).count() == 3


def test_the_result_goes_where_the_rule_says(
    rule: Rule, peer: Peer, make_film: Film, send: Send, work: Work
) -> None:
    modality = Peer.objects.create(name="Room 1", ae_title="ROOM1")
    send(make_film(1), modality)
    work()
    assert not Delivery.objects.exists(), "a modality takes no results"
    Rule.objects.update(answer=Answer.PEER, answer_to=peer, pictures=True)
    send(make_film(2), modality)
    work()
    assert (Delivery.objects.get().peer, Delivery.objects.get().pictures) == (peer, True)
    Rule.objects.update(answer=Answer.NOBODY)
    send(make_film(3), modality)
    work()
    assert Delivery.objects.count() == 1


def test_a_film_that_came_from_two_peers_is_answered_to_both(
    rule: Rule, make_film: Film, send: Send, work: Work
) -> None:
    other = Peer.objects.create(name="B", ae_title="B", way="store", host="h", port=1)
    send(make_film())
    send(make_film(), other)
    work()
    assert (Instance.objects.count(), Reading.objects.count()) == (1, 1)
    assert Delivery.objects.count() == 2


def test_a_worker_that_dies_while_filing_leaves_the_object_to_the_next(
    rule: Rule, make_film: Film, send: Send, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    arrival = send(make_film())
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(taking.runs, "ask", die)
        taking.take_once()
    arrival.refresh_from_db()
    assert arrival.state == JobState.RUNNING
    assert not Instance.everything.exists(), "the transaction took all of it back"
    assert receiving.path_of(arrival).is_file()
    Arrival.everything.update(lease_until=timezone.now() - timedelta(seconds=1))
    work()
    assert Instance.objects.count() == 1


def test_poison_is_given_up_after_three_tries_and_others_go_on(
    rule: Rule, make_film: Film, send: Send, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison, real = send(make_film(1)), taking.uploading.file_film

    def sick(user: Any, where: Any, film: Any, name: str) -> Any:
        if film.facts["tags"]["patient_number"] == "P1":
            raise ValueError("Anna Example")
        return real(user, where, film, name)

    monkeypatch.setattr(taking.uploading, "file_film", sick)
    send(make_film(2))
    for _ in range(4):
        Arrival.everything.filter(state=JobState.WAITING).update(not_before=timezone.now())
        work()
    poison.refresh_from_db()
    assert (poison.state, poison.attempts) == (JobState.FAILED, 3)
    assert "Anna" not in poison.error
    assert Instance.objects.count() == 1
    monkeypatch.undo()
    assert receiving.reopen(poison)


def test_a_file_that_is_gone_is_told(rule: Rule, make_film: Film, send: Send) -> None:
    arrival = send(make_film())
    receiving.path_of(arrival).unlink()
    taking.take_once()
    arrival.refresh_from_db()
    assert (arrival.state, arrival.error) == (JobState.FAILED, "The file of this object is gone.")


def test_a_lease_that_was_lost_files_nothing(
    rule: Rule, make_film: Film, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(make_film())
    real = taking.routing.rule_for

    def slow(arrival: Arrival, facts: dict[str, str]) -> Rule | None:
        Arrival.everything.update(lease=None, state=JobState.WAITING)
        return real(arrival, facts)

    monkeypatch.setattr(taking.routing, "rule_for", slow)
    taking.take_once()
    assert not Instance.everything.exists()


def test_the_spool_is_swept_of_what_is_no_longer_needed(
    rule: Rule, make_film: Film, send: Send, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    filed, refused, waiting = (
        send(make_film(1)),
        send(make_film(2, BodyPartExamined="KNEE")),
        send(make_film(3)),
    )
    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.unlink", lambda *_, **__: None)  # killed before that
        taking.take_once()
        taking.take_once()
    assert receiving.path_of(filed).is_file()
    assert receiving.sweep()
    assert not receiving.path_of(filed).exists()
    assert receiving.path_of(refused).is_file(), "a new rule may still take it"
    assert receiving.path_of(waiting).is_file()
    old = timezone.now() - timedelta(days=receiving.KEPT_DAYS + 1)
    Arrival.everything.filter(pk=refused.pk).update(finished_at=old)
    receiving.sweep()
    assert not receiving.path_of(refused).exists()


def test_nobody_else_may_hand_over(peer: Peer, make_film: Film) -> None:
    Peer.objects.update(may_send=False)
    with pytest.raises(Peer.DoesNotExist):
        receiving.keep_from_node(Received(b"x", "1.2", peer.ae_title))


def test_what_is_fetched_goes_to_the_team_that_fetched_it(
    rule: Rule, peer: Peer, team: Team, other_team: Team, make_film: Film, work: Work
) -> None:
    fetch = StudyImport.objects.create(peer=peer, team=other_team, study_uid="1.2.3.1")
    data = to_bytes(make_film())
    receiving.keep(Received(data, "1.2.3.1.1.1", "ARCHIVE"), peer, fetch)
    work()
    assert Case.objects.get().team == other_team
    assert not InferenceRun.objects.exists(), "the rule is another team's"


def test_secrets_are_not_readable_in_the_database() -> None:
    sealed = seal("open sesame")
    assert "sesame" not in sealed
    assert unseal(sealed) == "open sesame"
    assert seal("") == unseal("") == ""
    with pytest.raises(SiteError, match="Enter it again"):
        unseal(sealed[:-4] + "AAA=")


def test_while_the_virus_scanner_is_away_objects_wait(
    rule: Rule, make_film: Film, send: Send, settings: Any, work: Work
) -> None:
    settings.SCANNER = ("/nowhere/scanner",)
    arrival = send(make_film())
    work()
    arrival.refresh_from_db()
    assert (arrival.state, arrival.outcome) == (JobState.WAITING, Outcome.PENDING)
    assert "scanner does not work" in arrival.error
    settings.SCANNER = ()
    Arrival.everything.update(not_before=timezone.now())
    work()
    arrival.refresh_from_db()
    assert arrival.outcome == Outcome.FILED


def test_what_the_virus_scanner_refuses_is_seen(
    rule: Rule, make_film: Film, send: Send, settings: Any, work: Work
) -> None:
    settings.SCANNER = ("false",)
    arrival = send(make_film())
    work()
    arrival.refresh_from_db()
    assert (arrival.outcome, arrival.code) == (Outcome.REFUSED, "virus")
