"""``lucidray dicom send``: to a node that takes, to none, and to what is no address."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from lucidray.cli.dicom_send import Sender, peer_of
from lucidray.datasets.phantom import PhantomConfig, make_phantom
from lucidray.datasets.phantom.dicom import dicom_bytes
from lucidray.dicom.network import Inbox, Node, NodeSettings
from lucidray.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    """Sweep here what pynetdicom leaves, so that no other test is blamed for it."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two DICOM films."""
    folder = tmp_path_factory.mktemp("films")
    for number in range(2):
        phantom = make_phantom(1, number, PhantomConfig(size=128))
        (folder / f"{number}.dcm").write_bytes(dicom_bytes(phantom))
    return folder


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    settings = NodeSettings(peers={"WARD": frozenset()}, ae_title="PACS", port=0)
    with Node(settings, Inbox(tmp_path / "inbox").keep) as up:
        yield up


def test_files_arrive_once_however_often_they_are_sent(
    lucidray, films: Path, node: Node, tmp_path: Path
) -> None:
    to = f"PACS@127.0.0.1:{node.port}"
    for _ in range(2):
        answer = lucidray("dicom", "send", films, "--to", to, "--calling", "WARD", "--json")
        assert answer.code == 0, answer.err
        assert answer.json() == {"to": to, "sent": 2, "failed": {}}
    there = sorted(path.read_bytes() for path in (tmp_path / "inbox").rglob("*.dcm"))
    sent = sorted(path.read_bytes() for path in films.iterdir())
    assert [one[-1000:] for one in there] == [one[-1000:] for one in sent]


def test_who_is_not_known_is_told_so(lucidray, films: Path, node: Node) -> None:
    to = f"PACS@127.0.0.1:{node.port}"
    answer = lucidray("dicom", "send", films, "--to", to, "--tries", "1")
    assert answer.code == 2
    assert "0 of 2 files" in answer.out
    assert "turned us away" in answer.err


@pytest.mark.parametrize("to", ["PACS@127.0.0.1:9", "http://127.0.0.1:9/dicom-web"])
def test_where_nobody_is_files_are_named(lucidray, films: Path, to: str) -> None:
    answer = lucidray("dicom", "send", films / "0.dcm", "--to", to, "--tries", "1", "--json")
    assert answer.code == 2
    (why,) = answer.json()["failed"].values()
    assert "127.0.0.1:9" in why


@pytest.mark.parametrize("to", ["PACS", "PACS@host", "@host:1", "A@h:0", "A@h:70000", "A" * 17])
def test_what_is_no_address_is_refused(to: str) -> None:
    with pytest.raises(ConfigError, match="AET@HOST:PORT"):
        peer_of(to, Sender())


def test_addresses() -> None:
    peer = peer_of("PACS@[::1]:104", Sender(calling="ME"))
    assert (peer.ae_title, peer.host, peer.port, peer.calling) == ("PACS", "::1", 104, "ME")
