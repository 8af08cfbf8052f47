"""Round trips through a real Orthanc: STOW and WADO-RS, C-STORE both ways, QIDO."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import highdicom as hd
import numpy as np
import orthanc as real
import pytest
import requests
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from lucidray.dicom import Extras, Result, objects_of, read_sr
from lucidray.dicom.files import from_bytes, to_bytes
from lucidray.dicom.network import Archive, Inbox, Node, NodeSettings, Peer, echo, send
from lucidray.dicom.statement import Algorithm
from lucidray.errors import DicomError, NetworkError

pytestmark = [
    pytest.mark.orthanc,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    """Sweep here what pynetdicom leaves, so that no other test is blamed for it."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Inbox:
    return Inbox(tmp_path_factory.mktemp("inbox"))


@pytest.fixture(scope="module")
def node(inbox: Inbox) -> Iterator[Node]:
    """Our node, which Orthanc knows."""
    with Node(NodeSettings(peers={"ORTHANC": frozenset({"127.0.0.1"})}, port=0), inbox.keep) as up:
        yield up


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory, node: Node) -> Iterator[Any]:
    if real.installed() is None:
        pytest.skip(real.MISSING)
    with real.running(tmp_path_factory.mktemp("orthanc"), node.port) as running:
        yield running


@pytest.fixture
def archive(orthanc: Any) -> Archive:
    return Archive(orthanc.web)


def encoded(dataset: Dataset) -> bytes:
    """Return the bytes of a data set without file meta information."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset)
    return bytes(buffer.getvalue())


def all_objects(result: Result) -> dict[str, Dataset]:
    mask = np.zeros(result.source.shape, np.bool_)
    mask[20:90, 15:50] = True
    picture = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    extras = Extras({"Pneumonia": picture}, {"lungs": mask}, Algorithm("lung-fields", "1"))
    return objects_of(result, ("sr", "gsps", "kos", "sc", "seg"), extras)


def test_all_objects_come_back_to_the_byte(
    archive: Archive, result: Result, image: Dataset
) -> None:
    objects = all_objects(result)
    archive.store([image, *objects.values()])
    for name, sent in [("image", image), *objects.items()]:
        back = archive.fetch(sent.StudyInstanceUID, sent.SeriesInstanceUID, sent.SOPInstanceUID)
        assert encoded(back) == encoded(from_bytes(to_bytes(sent))), name
    fetched = {
        str(each.SOPInstanceUID): each for each in archive.fetch_study(image.StudyInstanceUID)
    }
    assert {str(each.SOPInstanceUID) for each in objects.values()} <= set(fetched)
    assert read_sr(fetched[objects["sr"].SOPInstanceUID]).statement == result.statement
    mask = hd.seg.Segmentation.from_dataset(fetched[objects["seg"].SOPInstanceUID])
    assert int(mask.pixel_array.sum()) == 70 * 35


def test_the_same_result_stored_twice_is_there_once(
    archive: Archive, result: Result, image: Dataset
) -> None:
    for _ in range(2):
        archive.store([image, *objects_of(result).values()])
    found = archive.find_instances(image.StudyInstanceUID, Modality="SR")
    mine = [
        each for each in found if each.SOPInstanceUID == objects_of(result)["sr"].SOPInstanceUID
    ]
    assert len(mine) == 1


def test_a_study_is_found_by_its_accession_number(archive: Archive, image: Dataset) -> None:
    image.AccessionNumber = "ACC-42"
    image.StudyInstanceUID = "1.2.42"
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = "1.2.42.1"
    archive.store([image])
    (study,) = archive.find_studies(AccessionNumber="ACC-42")
    assert study.StudyInstanceUID == "1.2.42"
    assert archive.find_studies(AccessionNumber="ACC-43") == []


def test_objects_go_there_by_c_store_and_come_from_there(
    orthanc: Any, node: Node, inbox: Inbox, result: Result, image: Dataset
) -> None:
    peer = Peer("ORTHANC", "127.0.0.1", orthanc.dicom_port)
    echo(peer)
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = "1.2.77"
    deliveries = send([image, *all_objects(result).values()], peer)
    assert [each.error for each in deliveries] == [None] * 6
    url = orthanc.http
    (found,) = requests.post(f"{url}/tools/lookup", data="1.2.77", timeout=10).json()
    answer = requests.post(f"{url}/modalities/node/store", data=found["ID"], timeout=30)
    assert answer.status_code == 200
    assert requests.post(f"{url}/modalities/node/echo", data="{}", timeout=10).status_code == 200
    kept = [from_bytes(path.read_bytes()) for path in inbox.folder.rglob("*.dcm")]
    (back,) = [each for each in kept if each.SOPInstanceUID == "1.2.77"]
    assert encoded(back) == encoded(from_bytes(to_bytes(image)))
    assert node.counts["stored"] == 1


def test_what_is_not_there_is_said(archive: Archive) -> None:
    with pytest.raises(NetworkError, match="HTTP 404"):
        archive.fetch("1.2.3", "1.2.3", "1.2.3")
    with pytest.raises(DicomError, match="no object"):
        archive.store([])
    with pytest.raises(NetworkError, match="does not answer"):
        Archive("http://127.0.0.1:9/dicom-web", seconds=1).find_studies(PatientID="1")
