"""What tests of the PACS share: a peer, a rule, objects that come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from lucidray.datasets.phantom import PhantomConfig, make_phantom
from lucidray.datasets.phantom.dicom import to_dicom
from lucidray.dicom.files import from_bytes, to_bytes
from lucidray.dicom.network import Received
from lucidray_clinic.accounts.models import Team
from lucidray_clinic.analyses import runs, shelf
from lucidray_clinic.pacs import answering, receiving, taking
from lucidray_clinic.pacs.models import Arrival, Peer, Rule

_PHANTOM = to_bytes(to_dicom(make_phantom(5, 0, PhantomConfig(size=192))))

Send = Callable[..., Arrival]


@pytest.fixture(scope="package", autouse=True)
def _one_child() -> Iterator[None]:
    yield
    taking.close()


@pytest.fixture(autouse=True)
def _own_spool(settings: Any, tmp_path: Path) -> None:
    settings.SPOOL_ROOT = tmp_path / "spool"


@pytest.fixture
def peer(db: None) -> Peer:
    return Peer.objects.create(
        name="Archive", ae_title="ARCHIVE", way="store", host="127.0.0.1", port=9
    )


@pytest.fixture
def rule(team: Team, peer: Peer) -> Rule:
    bundle = shelf.bundles().get(name="adult-opacity")
    return Rule.objects.create(name="Chest", team=team, bundle=bundle, body_part="CHEST")


def film(number: int = 1, **tags: Any) -> pydicom.Dataset:
    """A generated chest film of a study of its own."""
    made = from_bytes(_PHANTOM)
    made.PatientID, made.PatientName = f"P{number}", f"Example^Number {number}"
    made.StudyInstanceUID, made.SeriesInstanceUID = f"1.2.3.{number}", f"1.2.3.{number}.1"
    made.AccessionNumber, made.StudyDate = f"A{number}", "20260105"
    made.SOPInstanceUID = f"1.2.3.{number}.1.1"
    for name, value in tags.items():
        setattr(made, name, value)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


@pytest.fixture
def make_film() -> Callable[..., pydicom.Dataset]:
    return film


@pytest.fixture
def send(peer: Peer) -> Send:
    """Has the peer send a film, as the node hands it over."""

    def arrive(dataset: pydicom.Dataset, sender: Peer = peer) -> Arrival:
        data = to_bytes(dataset)
        receiving.keep(Received(data, str(dataset.SOPInstanceUID), sender.ae_title), sender)
        row: Arrival = Arrival.everything.filter(
            sop_uid=dataset.SOPInstanceUID, peer=sender
        ).latest("created_at")
        return row

    return arrive


@pytest.fixture
def work() -> Callable[[], None]:
    """Does all that waits but sending."""

    def run() -> None:
        while taking.take_once() or runs.work_once() or answering.answer_once():
            pass

    return run
