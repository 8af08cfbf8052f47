"""The pages: peers with secrets never shown, rules, what came, studies that are fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pydicom
import pytest
from django.test import Client
from django.urls import reverse

from lucidray.dicom.network import Archive
from lucidray.errors import NetworkError
from lucidray_clinic.accounts.models import Team, User
from lucidray_clinic.cases.models import Case, Instance
from lucidray_clinic.core.jobs import JobState
from lucidray_clinic.core.models import AuditEvent
from lucidray_clinic.errors import SiteError
from lucidray_clinic.pacs import fetching, sending, services
from lucidray_clinic.pacs.models import Arrival, Delivery, Outcome, Peer, Rule, StudyImport
from lucidray_clinic.pacs.node import senders

Film = Callable[..., Any]
Send = Callable[..., Arrival]
Work = Callable[[], None]
PEER = {"name": "PACS", "ae_title": "PACS1", "may_send": "on", "active": "on"}


@pytest.fixture
def chief(make_user: Any, team: Team) -> User:
    found: User = make_user("chief", team, "administrator")
    return found


@pytest.fixture
def desk(chief: User, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(chief)


def test_a_peer_is_added_changed_and_its_password_never_shown(desk: Client) -> None:
    sent = PEER | {"way": "web", "web_url": "https://pacs.example/dw/", "password": "open sesame"}
    assert desk.post(reverse("pacs_new_peer"), sent).status_code == 302
    peer = Peer.objects.get()
    assert peer.web_url == "https://pacs.example/dw"
    assert sending.archive_of(peer).password == "open sesame"
    page = desk.get(reverse("pacs_peer", args=[peer.pk])).content.decode()
    assert "sesame" not in page
    assert peer.web_secret not in page
    address = reverse("pacs_peer", args=[peer.pk])
    desk.post(address, sent | {"password": "", "addresses": "10.0.0.5 ,10.0.0.6"})
    peer.refresh_from_db()
    assert sending.archive_of(peer).password == "open sesame"
    assert senders() == {"PACS1": frozenset({"10.0.0.5", "10.0.0.6"})}
    assert AuditEvent.objects.filter(action__in=["add peer", "edit peer"]).count() == 2


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"ae_title": "a/b"}, "1 to 16 letters"),
        ({"ae_title": "A" * 17}, "16"),
        ({"addresses": "pacs.example.org"}, "no IP address"),
        ({"way": "store"}, "host and port"),
        ({"way": "web"}, "needs its address"),
        ({"web_url": "ftp://x/y"}, "https://pacs.example.org"),
        ({"web_url": "https://user:secret@x/y"}, "https://pacs.example.org"),
    ],
)
def test_what_cannot_work_is_not_saved(desk: Client, changed: dict[str, str], told: str) -> None:
    answer = desk.post(reverse("pacs_new_peer"), PEER | changed)
    assert answer.status_code == 200
    assert told in answer.content.decode()
    assert not Peer.objects.exists()


def test_nobody_may_send_who_is_not_in_use(peer: Peer) -> None:
    Peer.objects.update(active=False)
    assert senders() == {}


def test_a_peer_is_asked_whether_it_is_there(
    desk: Client, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = reverse("pacs_test_peer", args=[peer.pk])
    monkeypatch.setattr(services, "echo", lambda _: None)
    assert "answers and knows us" in desk.post(address, follow=True).content.decode()

    def silent(_: Any) -> None:
        raise NetworkError("cannot reach ARCHIVE")

    monkeypatch.setattr(services, "echo", silent)
    assert "cannot reach ARCHIVE" in desk.post(address, follow=True).content.decode()


def test_rules_are_of_teams_that_one_manages(
    desk: Client, team: Team, other_team: Team, peer: Peer
) -> None:
    rule = {
        **{"order": 5, "name": "Chest", "team": team.pk, "urgency": 2, "answer": "sender"},
        **{"modality": "DX", "active": "on"},
    }
    assert desk.post(reverse("pacs_new_rule"), rule).status_code == 302
    row = Rule.objects.get()
    assert (row.team, row.modality) == (team, "DX")
    stolen = desk.post(reverse("pacs_new_rule"), rule | {"team": other_team.pk})
    assert stolen.status_code == 200
    nobody = desk.post(reverse("pacs_new_rule"), rule | {"answer": "peer"})
    assert "Choose the archive" in nobody.content.decode()
    theirs = Rule.objects.create(name="theirs", team=other_team)
    assert desk.get(reverse("pacs_rule", args=[theirs.pk])).status_code == 404
    assert "theirs" not in desk.get(reverse("pacs_rules")).content.decode()
    assert desk.post(reverse("pacs_delete_rule", args=[row.pk])).status_code == 302
    assert list(Rule.objects.all()) == [theirs]


def test_what_was_refused_stands_there_with_the_reason_and_without_the_patient(
    desk: Client,
    clinician: User,
    sign_in: Callable[[User], Client],
    rule: Rule,
    make_film: Film,
    send: Send,
    work: Work,
) -> None:
    send(make_film(1, BodyPartExamined="KNEE"))
    send(make_film(2))
    work()
    page = desk.get(reverse("pacs_incoming"), {"shown": "refused"}).content.decode()
    assert "KNEE" in page
    assert "Example" not in page
    both = desk.get(reverse("pacs_incoming")).content.decode()
    assert Case.objects.get().patient.pseudonym in both
    mine = sign_in(clinician).get(reverse("pacs_incoming")).content.decode()
    assert "KNEE" not in mine, "what no team has claimed is for administrators"
    overview = desk.get(reverse("pacs")).content.decode()
    assert "refused" in overview
    assert Delivery.objects.count() == 1
    assert "waits" in desk.get(reverse("pacs_outgoing")).content.decode()


def test_what_failed_is_an_alert_until_somebody_deals_with_it(
    desk: Client, clinician: User, sign_in: Any, rule: Rule, make_film: Film, send: Send
) -> None:
    arrival = send(make_film())
    Arrival.everything.update(state=JobState.FAILED, error="three workers died")
    assert "could not be filed" in desk.get(reverse("home")).content.decode()
    assert "could not be filed" not in sign_in(clinician).get(reverse("home")).content.decode()
    desk.post(reverse("pacs_arrival_seen", args=[arrival.pk]))
    assert "could not be filed" not in desk.get(reverse("home")).content.decode()
    desk.post(reverse("pacs_look_again", args=[arrival.pk]))
    arrival.refresh_from_db()
    assert (arrival.state, arrival.attempts) == (JobState.WAITING, 0)


class FakeArchive:
    """A DICOMweb archive of two films and a report, one film of which cannot be fetched once."""

    def __init__(self, films: list[pydicom.Dataset]) -> None:
        self.films, self.fail = films, True

    def find_studies(self, **filters: str) -> list[pydicom.Dataset]:
        found = pydicom.Dataset()
        found.StudyInstanceUID, found.PatientName, found.PatientID = "1.2.3.1", "Example^Anna", "P1"
        found.StudyDate, found.ModalitiesInStudy = "20260105", ["DX", "SR"]
        return [found] if filters == {"AccessionNumber": "A1"} else []

    def find_instances(self, study: str) -> Iterator[pydicom.Dataset] | list[pydicom.Dataset]:
        report = pydicom.Dataset()
        report.SOPClassUID = pydicom.uid.ComprehensiveSRStorage
        report.SeriesInstanceUID = report.SOPInstanceUID = "1.2"
        return [*self.films, report] if study == "1.2.3.1" else []

    def fetch(self, study: str, series: str, instance: str) -> pydicom.Dataset:
        if instance.endswith("2") and self.fail:
            self.fail = False
            raise NetworkError("the archive does not answer")
        return next(one for one in self.films if instance == one.SOPInstanceUID)


@pytest.fixture
def archive(make_film: Film, monkeypatch: pytest.MonkeyPatch, peer: Peer) -> FakeArchive:
    second = make_film(1, SOPInstanceUID="1.2.3.1.1.2")
    second.PixelData = second.PixelData[::-1]
    made = FakeArchive([make_film(1), second])
    monkeypatch.setattr(fetching, "archive_of", lambda _: made)
    Peer.objects.update(web_url="https://pacs.example/dw")
    return made


def test_a_study_is_found_by_its_number_and_fetched_once(
    clinician: User,
    sign_in: Callable[[User], Client],
    archive: FakeArchive,
    peer: Peer,
    team: Team,
    work: Work,
) -> None:
    client = sign_in(clinician)
    page = client.post(reverse("pacs_import"), {"peer": peer.pk, "accession": "A1"})
    assert "Example Anna" in page.content.decode()
    none = client.post(reverse("pacs_import"), {"peer": peer.pk, "accession": "A2"})
    assert "No such study" in none.content.decode()
    wild = client.post(reverse("pacs_import"), {"peer": peer.pk, "accession": "A*"})
    assert wild.status_code == 400
    sent = {"peer": peer.pk, "team": team.pk, "study": "1.2.3.1"}
    for _ in range(2):
        assert client.post(reverse("pacs_start_import"), sent).status_code == 302
    job = StudyImport.objects.get()
    assert fetching.fetch_once()
    job.refresh_from_db()
    assert (job.state, job.fetched, job.total) == (JobState.WAITING, 1, 2)
    assert "does not answer" in job.error
    StudyImport.objects.update(not_before=job.created_at)
    assert fetching.fetch_once()
    assert not fetching.fetch_once()
    work()
    job.refresh_from_db()
    assert (job.state, job.fetched, job.skipped) == (JobState.DONE, 2, 1)
    case = Case.objects.get()
    assert (case.team, case.study_uid, Instance.objects.count()) == (team, "1.2.3.1", 2)
    assert set(Arrival.everything.values_list("outcome", flat=True)) == {Outcome.FILED}
    told = AuditEvent.objects.filter(action="search archive").first()
    assert "A1" not in str(told.detail) if told else False
    assert "2 / 2" in client.get(reverse("pacs_import")).content.decode()


def test_who_may_not_upload_there_fetches_nothing(
    clinician: User,
    outsider: User,
    sign_in: Callable[[User], Client],
    archive: FakeArchive,
    peer: Peer,
    team: Team,
) -> None:
    sent = {"peer": peer.pk, "team": team.pk, "study": "1.2.3.1"}
    assert sign_in(outsider).post(reverse("pacs_start_import"), sent).status_code == 400
    assert not StudyImport.objects.exists()
    fetching.ask(clinician, peer, team, "1.2.3.9")
    fetching.fetch_once()
    assert "does not have this study" in StudyImport.objects.get().error


def test_the_case_offers_the_rest_of_its_study(
    clinician: User, sign_in: Callable[[User], Client], archive: FakeArchive, case: Case
) -> None:
    Case.objects.update(accession="A1")
    page = sign_in(clinician).get(reverse("case", args=[case.pk])).content.decode()
    assert "Look for the whole study in Archive" in page


def test_an_archive_without_secret_is_told(peer: Peer) -> None:
    Peer.objects.update(web_secret="sealed under another key")
    peer.refresh_from_db()
    with pytest.raises(SiteError, match="Enter it again"):
        sending.archive_of(peer)


def test_archives_have_our_title_and_address(peer: Peer, settings: Any) -> None:
    address = sending.address_of(peer)
    assert (address.ae_title, address.port, address.calling) == ("ARCHIVE", 9, settings.NODE.title)
    assert address.tls is None
    Peer.objects.update(tls=True)
    peer.refresh_from_db()
    assert sending.address_of(peer).tls is not None
    assert isinstance(sending.archive_of(peer), Archive)
