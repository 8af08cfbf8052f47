"""With a real Orthanc: results by STOW and C-STORE, studies looked for and fetched."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import orthanc as real
import pytest
import requests

from lucidray.dicom import read_sr
from lucidray.dicom.files import from_bytes, to_bytes
from lucidray_clinic.accounts.models import Team, User
from lucidray_clinic.cases.models import Case, Instance
from lucidray_clinic.core.jobs import JobState
from lucidray_clinic.errors import SiteError
from lucidray_clinic.pacs import fetching, saying, sending, services
from lucidray_clinic.pacs.models import Arrival, Delivery, Peer, Rule, StudyImport, Way

pytestmark = [
    pytest.mark.orthanc,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

Film = Callable[..., Any]


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    """Sweep here what pynetdicom leaves, so that no other test is blamed for it."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real.Orthanc]:
    if real.installed() is None:
        pytest.skip(real.MISSING)
    with real.running(tmp_path_factory.mktemp("orthanc"), real.free_port()) as running:
        yield running


@pytest.fixture
def peer(db: None, archive: real.Orthanc) -> Peer:
    """The archive, as an administrator has entered it."""
    return Peer.objects.create(
        name="Orthanc",
        ae_title="ORTHANC",
        way=Way.STORE,
        host="127.0.0.1",
        port=archive.dicom_port,
        web_url=archive.web,
    )


@pytest.mark.parametrize("way", [Way.STORE, Way.WEB])
def test_a_result_arrives_once_however_often_it_is_sent(
    archive: real.Orthanc,
    peer: Peer,
    rule: Rule,
    make_film: Film,
    send: Callable[..., Arrival],
    work: Callable[[], None],
    way: str,
) -> None:
    Peer.objects.update(way=way)
    peer.refresh_from_db()
    send(make_film({"store": 11, "web": 12}[way]), peer)
    work()
    delivery = Delivery.objects.get()
    expected = saying.objects_for(delivery)["sr"]
    for _ in range(2):
        assert sending.send_once()
        delivery.refresh_from_db()
        assert (delivery.state, delivery.error) == (JobState.DONE, "")
        Delivery.everything.update(state=JobState.WAITING)
    for told in delivery.objects_sent:
        found = requests.post(f"{archive.http}/tools/lookup", data=told["uid"], timeout=10).json()
        assert len([one for one in found if one["Type"] == "Instance"]) == 1
    (place,) = requests.post(
        f"{archive.http}/tools/lookup", data=str(expected.SOPInstanceUID), timeout=10
    ).json()
    held = requests.get(f"{archive.http}/instances/{place['ID']}/file", timeout=10).content
    back = read_sr(from_bytes(held)).statement
    assert back.findings == saying.statement_of_reading(delivery.reading).findings


def test_a_study_is_found_by_its_number_and_comes_as_it_is(
    archive: real.Orthanc,
    peer: Peer,
    rule: Rule,
    clinician: User,
    team: Team,
    make_film: Film,
    work: Callable[[], None],
) -> None:
    second = make_film(21, SOPInstanceUID="1.2.3.21.1.2", ViewPosition="LL")
    second.PixelData = second.PixelData[::-1]
    for one in (make_film(21), second):
        requests.post(f"{archive.http}/instances", data=to_bytes(one), timeout=30)
    (study,) = fetching.find(clinician, peer, "A21")
    assert (study.uid, study.day, study.images) == ("1.2.3.21", "2026-01-05", "2")
    assert fetching.find(clinician, peer, "A22") == []
    fetching.ask(clinician, peer, team, study.uid)
    assert fetching.fetch_once()
    work()
    job = StudyImport.objects.get()
    assert (job.state, job.fetched, job.total) == (JobState.DONE, 2, 2)
    case = Case.objects.get()
    assert (case.accession, case.instances.count()) == ("A21", 2)
    assert Delivery.objects.count() == 1, "the frontal film is answered, the lateral one is not"
    pixels = {film.pixels_sha256 for film in Instance.objects.all()}
    assert len(pixels) == 2


def test_the_archive_says_that_it_is_there(peer: Peer, make_user: Any, team: Team) -> None:
    chief = make_user("chief", team, "administrator")
    assert len(services.test_peer(chief, peer.pk)) == 2
    Peer.objects.update(web_url=f"{peer.web_url}/nowhere")
    with pytest.raises(SiteError, match="answer"):
        services.test_peer(chief, peer.pk)
