"""The node and the senders, with pynetdicom peers and raw sockets on loopback."""

from __future__ import annotations

import copy
import gc
import random
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import certificates
from mischief import dataset_bytes, raw_store, recorded, talk
from pydicom.dataset import Dataset
from pynetdicom import AE

from lucidray.dicom.files import from_bytes, to_bytes
from lucidray.dicom.network import (
    Delivery,
    Inbox,
    Kept,
    Node,
    NodeSettings,
    Peer,
    Received,
    Retry,
    Tls,
    echo,
    send,
)
from lucidray.dicom.network.send import keep_answers
from lucidray.dicom.network.tls import client_context
from lucidray.errors import ConfigError, DicomError, NetworkError

# Of a call that nobody answers, pynetdicom leaves the socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

Mutate = Callable[[bytes, random.Random], bytes]
AT_ONCE = Retry(tries=3, first_s=0.0)


def settings(**changes: object) -> NodeSettings:
    told: dict[str, object] = {"peers": {"LUCIDRAY": frozenset()}, "port": 0, "seconds": 5.0}
    return NodeSettings(**(told | changes))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    """Sweep here what pynetdicom leaves, so that no other test is blamed for it."""
    yield
    gc.collect()


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox")


@pytest.fixture
def node(inbox: Inbox) -> Iterator[Node]:
    with Node(settings(), inbox.keep) as running:
        yield running


def peer(node: Node, **changes: object) -> Peer:
    return Peer("LUCIDRAY", "127.0.0.1", node.port, **changes)  # type: ignore[arg-type]


def files(inbox: Inbox) -> list[Path]:
    return [path for path in inbox.folder.rglob("*") if path.is_file()]


def test_a_known_peer_is_answered_and_an_unknown_one_is_not(node: Node) -> None:
    echo(peer(node))
    assert node.counts["echoed"] == 1
    with pytest.raises(NetworkError, match="turned us away"):
        echo(peer(node, calling="STRANGER"))
    with pytest.raises(NetworkError, match="turned us away"):
        echo(Peer("SOMEBODY", "127.0.0.1", node.port))
    assert node.counts["echoed"] == 1


def test_who_is_known_can_change_while_it_runs(node: Node) -> None:
    echo(peer(node))
    node.admit({"OTHER": frozenset()})
    echo(peer(node, calling="OTHER"))
    with pytest.raises(NetworkError, match="turned us away"):
        echo(peer(node))
    with pytest.raises(ConfigError, match="knows no peer"):
        node.admit({})
    echo(peer(node, calling="OTHER"))


def test_a_peer_must_call_from_where_it_stands(inbox: Inbox, image: Dataset) -> None:
    known = {"LUCIDRAY": frozenset({"192.0.2.7"}), "ANYWHERE": frozenset[str]()}
    with Node(settings(peers=known), inbox.keep) as node:
        with pytest.raises(NetworkError, match="not with success"):
            echo(peer(node))
        assert send([image], peer(node), AT_ONCE)[0].error == (
            "LUCIDRAY refused it with status 0x0124."
        )
    assert files(inbox) == []


def test_an_object_is_on_disk_before_the_sender_hears_of_it(tmp_path: Path, image: Dataset) -> None:
    told: list[bool] = []
    inbox = Inbox(tmp_path, lambda kept: told.append(kept.path.is_file()))
    answered = threading.Event()

    def slow(received: Received) -> None:
        inbox.keep(received)
        time.sleep(0.2)
        assert not answered.is_set()

    with Node(settings(), slow) as node:
        delivery = send([image], peer(node))[0]
        answered.set()
    assert delivery == Delivery(tries=1, error=None)
    assert told == [True]
    (path,) = files(inbox)
    stored = from_bytes(path.read_bytes())
    assert stored.PixelData == image.PixelData
    assert stored == image


def test_the_same_object_sent_again_is_kept_once_and_told_again(
    tmp_path: Path, image: Dataset
) -> None:
    told: list[Kept] = []
    inbox = Inbox(tmp_path / "inbox", told.append)
    with Node(settings(), inbox.keep) as node:
        for _ in range(2):
            assert send([image], peer(node))[0].error is None
        image.PatientComments = "another"
        assert send([image], peer(node))[0].error is None
    assert len(files(inbox)) == 2
    assert [each.new for each in told] == [True, False, True]
    assert [each.conflict for each in told] == [False, False, True]
    assert {each.sender for each in told} == {"LUCIDRAY"}


def test_what_cannot_be_kept_is_sent_again(image: Dataset, inbox: Inbox) -> None:
    calls: list[int] = []

    def full_at_first(received: Received) -> None:
        calls.append(1)
        if len(calls) < 3:
            raise OSError(28, "No space left on device")
        inbox.keep(received)

    waits: list[float] = []
    with Node(settings(), full_at_first) as node:
        delivery = send(
            [image], peer(node), Retry(tries=5, first_s=2, factor=3), wait=waits.append
        )[0]
    assert delivery == Delivery(tries=3, error=None)
    assert node.counts == {"failed": 2, "stored": 1}
    assert len(waits) == 2
    assert 1 <= waits[0] <= 2
    assert 3 <= waits[1] <= 6


def test_an_archive_that_is_away_is_tried_and_told(image: Dataset) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = Peer("ARCHIVE", "127.0.0.1", taken.getsockname()[1], seconds=1)
        waits: list[float] = []
        (delivery,) = send([image], nobody, Retry(tries=2), wait=waits.append)
        assert (delivery.tries, len(waits)) == (2, 1)
        assert "nobody answers" in str(delivery.error)
        with pytest.raises(NetworkError, match="nobody answers"):
            echo(nobody)


def test_an_object_that_the_archive_never_takes_is_not_sent_again(
    image: Dataset, node: Node
) -> None:
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    (delivery,) = send([image], peer(node), AT_ONCE)
    assert (delivery.tries, delivery.final) == (1, True)
    assert "does not take such objects" in str(delivery.error)


def test_what_says_not_what_it_is_cannot_be_sent(image: Dataset) -> None:
    del image.SOPClassUID
    with pytest.raises(DicomError, match="says not what it is"):
        send([image], Peer("A", "127.0.0.1", 1))


def test_an_object_too_large_is_cut_off_and_the_node_lives_on(image: Dataset, inbox: Inbox) -> None:
    with Node(settings(most_bytes=20_000), inbox.keep) as node:
        (delivery,) = send([image], peer(node, seconds=2), Retry(tries=1))
        assert delivery.error is not None
        assert node.counts["cut_off"] == 1
        echo(peer(node))
    assert files(inbox) == []


def test_the_limit_is_for_each_object_by_itself(image: Dataset, inbox: Inbox) -> None:
    most = len(to_bytes(image)) + 2000
    others = []
    for number in range(4):
        other = copy.deepcopy(image)
        other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = f"1.2.{number + 1}"
        others.append(other)
    with Node(settings(most_bytes=most), inbox.keep) as node:
        assert [each.error for each in send(others, peer(node))] == [None] * 4


def test_no_more_than_so_many_associations(node: Node, inbox: Inbox) -> None:
    with Node(settings(most_associations=2, most_from_one=3), inbox.keep) as small:
        entity = AE("LUCIDRAY")
        entity.add_requested_context("1.2.840.10008.1.1")
        held = [entity.associate("127.0.0.1", small.port, ae_title="LUCIDRAY") for _ in range(2)]
        assert all(each.is_established for each in held)
        with pytest.raises(NetworkError, match="turned us away"):
            echo(peer(small))
        for each in held:
            each.release()
        eventually(lambda: _reached(small))


def silent(node: Node, address: str, count: int) -> list[socket.socket]:
    """Open connections from an address, and say nothing."""
    at, mine = ("127.0.0.1", node.port), (address, 0)
    return [socket.create_connection(at, 5, mine) for _ in range(count)]


def ended(line: socket.socket, seconds: float) -> bool:
    """Whether the other side hangs up within some seconds."""
    line.settimeout(seconds)
    try:
        return line.recv(100) in (b"", line_abort())
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_silent_callers_from_one_address_keep_nobody_else_out(inbox: Inbox) -> None:
    with Node(settings(most_associations=4, seconds_to_ask=3.0), inbox.keep) as node:
        flood = silent(node, "127.0.0.2", 30)
        eventually(lambda: node.counts["turned_away"] == 28)
        begin = time.monotonic()
        echo(peer(node))
        assert time.monotonic() - begin < 2, "who knows the node is heard at once"
        assert sum(ended(line, 0.05) for line in flood) == 28
        assert all(ended(line, 10) for line in flood), "nor do the two stay"
        eventually(lambda: len(silent(node, "127.0.0.2", 1)) == 1 and _reached(node))
        for line in flood:
            line.close()


def test_who_speaks_slowly_must_still_ask_in_time(inbox: Inbox) -> None:
    with (
        Node(settings(seconds_to_ask=0.6), inbox.keep) as node,
        socket.create_connection(("127.0.0.1", node.port), timeout=5) as line,
    ):
        begin = time.monotonic()
        with pytest.raises(OSError, match=r"."):
            for _ in range(40):
                line.sendall(b"\x01")
                time.sleep(0.1)
        assert time.monotonic() - begin < 3


def test_who_has_asked_may_stay_longer(inbox: Inbox) -> None:
    with Node(settings(seconds_to_ask=0.3, most_associations=2), inbox.keep) as node:
        entity = AE("LUCIDRAY")
        entity.add_requested_context("1.2.840.10008.1.1")
        association = entity.associate("127.0.0.1", node.port, ae_title="LUCIDRAY")
        keep_answers(association)
        time.sleep(0.6)
        assert association.send_c_echo().Status == 0
        association.release()
        for _ in range(5):
            echo(peer(node))  # who is done is no longer counted


def test_where_all_addresses_are_known_others_are_not_let_in(inbox: Inbox) -> None:
    peers = {"LUCIDRAY": frozenset({"127.0.0.1"}), "OTHER": frozenset({"127.0.0.3"})}
    with Node(settings(peers=peers), inbox.keep) as node:
        (stranger,) = silent(node, "127.0.0.2", 1)
        assert ended(stranger, 3)
        stranger.close()
        echo(peer(node))
        node.admit(peers | {"ANYWHERE": frozenset()})
        (stranger,) = silent(node, "127.0.0.2", 1)
        assert not ended(stranger, 0.3)
        stranger.close()


def _reached(node: Node) -> bool:
    try:
        echo(peer(node))
    except NetworkError:
        return False
    return True


def eventually(condition: Callable[[], bool], seconds: float = 8) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


def test_an_envelope_that_lies_is_refused(node: Node, inbox: Inbox, image: Dataset) -> None:
    assert raw_store(node.port, [dataset_bytes(image)], instance="1.2.3.4") == [0xA900]
    assert files(inbox) == []


def test_mutated_files_neither_crash_the_node_nor_leave_halves(
    node: Node, inbox: Inbox, image: Dataset, mutate: Mutate
) -> None:
    count = 200  # benchmarks/node_fuzz.py has more
    image.SOPInstanceUID = "1.2.3"
    body, rng = dataset_bytes(image), random.Random(5)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answers = raw_store(node.port, [mutate(body, rng) for _ in range(count)])
    assert len(answers) == count
    assert set(answers) <= {0x0000, 0xA900, 0xC000}
    assert answers.count(0) > 0
    assert answers.count(0) < count
    assert node.counts["failed"] == 0
    assert node.counts["stored"] == answers.count(0)
    for path in files(inbox):
        assert path.suffix == ".dcm"
        assert from_bytes(path.read_bytes()).SOPInstanceUID == "1.2.3"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200_000, f"{grown} kB more"
    echo(peer(node))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_mutated_associations_neither_crash_the_node_nor_stall_it(
    inbox: Inbox, image: Dataset, mutate: Mutate
) -> None:
    rng = random.Random(7)
    with Node(settings(seconds=1.0, most_associations=64), inbox.keep) as node:
        script = recorded(node.port, image)
        kept = len(files(inbox))
        assert kept == 1
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        threads = threading.active_count()
        for number in range(50):
            with socket.create_connection(("127.0.0.1", node.port), timeout=5) as line:
                line.settimeout(0.05)
                talk(line, mutate(script, rng), rng)
            if number % 10 == 0:
                echo(peer(node))
        echo(peer(node))
        eventually(lambda: threading.active_count() <= threads + 2, seconds=20)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 200_000, f"{grown} kB more"
    for path in files(inbox):
        assert from_bytes(path.read_bytes()).SOPInstanceUID


@pytest.mark.parametrize("said", [b"", b"\x01\x00\x00\x00", b"\x01\x00\x00\x00\x01\x00abc"])
def test_who_says_nothing_more_is_let_go(inbox: Inbox, said: bytes) -> None:
    with Node(settings(seconds=0.5), inbox.keep) as node:
        with socket.create_connection(("127.0.0.1", node.port), timeout=10) as line:
            line.sendall(said)
            assert line.recv(100) in (b"", line_abort())
        echo(peer(node))


def line_abort() -> bytes:
    """Return the A-ABORT that a node may say before it hangs up."""
    return b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00"


def test_a_pdu_without_end_is_not_waited_for(node: Node) -> None:
    with socket.create_connection(("127.0.0.1", node.port), timeout=5) as line:
        line.sendall(b"\x01\x00\xff\xff\xff\xff" + b"x" * 1000)
        assert line.recv(100) in (b"", line_abort())
    eventually(lambda: node.counts["cut_off"] == 1)
    echo(peer(node))


def test_with_tls_only_those_who_show_a_certificate_are_heard(
    tmp_path: Path, inbox: Inbox, image: Dataset
) -> None:
    certificate, key = certificates(tmp_path)
    ours = Tls(certificate, key, authorities=certificate)
    with Node(settings(tls=ours), inbox.keep) as node:
        assert send([image], peer(node, tls=ours), AT_ONCE)[0].error is None
        with pytest.raises(NetworkError):
            echo(peer(node, seconds=1))
        with pytest.raises(NetworkError):
            echo(peer(node, tls=Tls(authorities=certificate), seconds=1))
        with pytest.raises(NetworkError):
            echo(peer(node, tls=Tls(certificate, key), seconds=1))
        echo(peer(node, tls=ours))
    assert len(files(inbox)) == 1


def test_a_renewed_certificate_is_shown_from_then_on(tmp_path: Path, inbox: Inbox) -> None:
    old, new = certificates(tmp_path / "old"), certificates(tmp_path / "new")
    shown = tmp_path / "certificate.pem", tmp_path / "key.pem"
    for source, target in zip(old, shown, strict=True):
        target.write_bytes(source.read_bytes())
    with Node(settings(tls=Tls(*shown)), inbox.keep) as node:
        echo(peer(node, tls=Tls(authorities=old[0])))
        for source, target in zip(new, shown, strict=True):
            target.write_bytes(source.read_bytes())
        node.renew_certificate()
        echo(peer(node, tls=Tls(authorities=new[0])))
        with pytest.raises(NetworkError):
            echo(peer(node, tls=Tls(authorities=old[0]), seconds=1))
        shown[0].write_text("half a certif")
        with pytest.raises(ConfigError, match="cannot be read as PEM"):
            node.renew_certificate()
        echo(peer(node, tls=Tls(authorities=new[0])))
    with Node(settings(), inbox.keep) as node:
        node.renew_certificate()  # it has none


def test_who_names_authorities_believes_no_others(tmp_path: Path) -> None:
    certificate, _key = certificates(tmp_path)
    (only,) = client_context(Tls(authorities=certificate)).get_ca_certs()
    assert dict(part[0] for part in only["subject"])["commonName"] == "127.0.0.1"  # type: ignore[misc]
    with pytest.raises(ConfigError, match="cannot be read as PEM"):
        client_context(Tls(authorities=tmp_path / "none.pem"))


def test_who_does_not_shake_hands_keeps_nobody_waiting(tmp_path: Path, inbox: Inbox) -> None:
    certificate, key = certificates(tmp_path)
    ours = Tls(certificate, key)
    with (
        Node(settings(tls=ours, seconds=20.0), inbox.keep) as node,
        socket.create_connection(("127.0.0.1", node.port)),
    ):
        start = time.monotonic()
        echo(peer(node, tls=Tls(authorities=certificate), seconds=5))
        assert time.monotonic() - start < 5


def open_files() -> int:
    """Return how many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_callers_that_break_off_leave_nothing_open(tmp_path: Path, inbox: Inbox) -> None:
    certificate, key = certificates(tmp_path)
    for tls in (None, Tls(certificate, key)):
        with Node(settings(tls=tls), inbox.keep) as node:
            before = open_files()
            gc.disable()
            try:
                for said in (b"", b"\x01", b"no TLS, no DICOM", b"\x01\0\0\0\x01\0abc") * 5:
                    with socket.create_connection(("127.0.0.1", node.port)) as line:
                        line.sendall(said)
                eventually(lambda most=before + 1: open_files() <= most)
            finally:
                gc.enable()


def test_settings_that_cannot_be_are_refused(tmp_path: Path, inbox: Inbox) -> None:
    with pytest.raises(ConfigError, match="knows no peer"):
        NodeSettings(peers={})
    with pytest.raises(ConfigError, match="no AE title"):
        settings(ae_title="MUCH TOO LONG A TITLE")
    with pytest.raises(ConfigError, match="cannot be read as PEM"):
        Node(settings(tls=Tls(tmp_path / "none.pem")), inbox.keep).start()
    with pytest.raises(ConfigError, match="needs a certificate"):
        Node(settings(tls=Tls()), inbox.keep).start()
    with Node(settings(), inbox.keep) as node:
        with pytest.raises(NetworkError, match="cannot listen"):
            Node(settings(port=node.port), inbox.keep).start()
        port = node.port
    with pytest.raises(NetworkError, match="not running"):
        _ = node.port
    assert port


def test_no_answer_is_lost_to_another_thread(node: Node) -> None:
    entity = AE("LUCIDRAY")
    entity.add_requested_context("1.2.840.10008.1.1")
    association = entity.associate("127.0.0.1", node.port, ae_title="LUCIDRAY")
    keep_answers(association)
    association.dimse.msg_queue.put((1, "an answer"))
    time.sleep(0.05)  # pynetdicom's thread looks every millisecond, and would have taken it
    assert association.dimse.get_msg(block=True) == (1, "an answer")
    association.release()


def test_waits_grow_but_not_without_end() -> None:
    waits = list(Retry(tries=6, first_s=1, factor=4, most_s=10).waits())
    assert len(waits) == 5
    assert all(
        0.5 * most <= wait <= most for wait, most in zip(waits, [1, 4, 10, 10, 10], strict=True)
    )
