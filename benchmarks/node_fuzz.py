"""Mischief at the reading room's node: broken associations, broken files, and what is left of them.

A real node and a real worker run as processes. They get mutated associations and mutated files,
with whole films in between. Afterwards both must live, need no more memory than before, every whole
film must be a case, and whatever else was taken must be a film that can be decoded.

    python benchmarks/node_fuzz.py --associations 50 --files 2000
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import hospital

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "dicom"))
import mischief

from lucidray.datasets.phantom import PhantomConfig, make_phantom
from lucidray.datasets.phantom.dicom import to_dicom
from lucidray.dicom.files import from_bytes
from lucidray.dicom.network import Peer, Retry, echo, send
from lucidray.errors import NetworkError

#: Memory that a process may gain, in MB.
MOST_MB = 150
#: A whole film goes in after so many mutated ones.
EVERY = 100


def main() -> None:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--associations", type=int, default=50)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mischief-") as place:
        port = free_port()
        hospital.set_environment(Path(place), port, "")
        open_room()
        fuzz(told, Path(place), port)


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def open_room() -> None:
    """Make an empty reading room that files whatever is a chest film."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from lucidray_clinic.accounts.models import Team
    from lucidray_clinic.pacs.models import Peer as Known
    from lucidray_clinic.pacs.models import Rule

    Known.objects.create(name="Mischief", ae_title="LUCIDRAY")
    Rule.objects.create(name="All", team=Team.objects.create(name="Radiology"))


def fuzz(told: argparse.Namespace, folder: Path, port: int) -> None:
    """Do the mischief, then look at what is left."""
    processes = [hospital.Process(name, folder / f"{name}.log") for name in ("node", "work")]
    for process in processes:
        process.start()
    peer = Peer("LUCIDRAY", "127.0.0.1", port, seconds=30)
    try:
        wait_for(peer)
        whole = [send_whole(0, peer)]
        settle()
        before = [resident_mb(process) for process in processes]
        start = time.monotonic()
        broken_associations(told, port, peer)
        wait_for(peer)
        answers = broken_files(told, port, peer, whole)
        echo(peer)
        settle()
        taken = time.monotonic() - start
        alive = [
            process.running is not None and process.running.poll() is None for process in processes
        ]
        grown = [resident_mb(one) - was for one, was in zip(processes, before, strict=True)]
    finally:
        for process in processes:
            process.end()
    print(f"{told.associations} associations, {told.files} files in {taken:.0f} s")
    print(f"  the node answered: {dict(answers)}")
    for process, gain in zip(processes, grown, strict=True):
        print(f"  {process.name}: at most {process.peak_mb:.0f} MB, {gain:+.0f} MB in between")
    faults = [*faults_of_processes(alive, grown), *faults_of_room(whole)]
    print("\n".join(faults) or "  nobody died, nothing half is left, every whole film is a case")
    raise SystemExit(1 if faults else 0)


def wait_for(peer: Peer) -> None:
    """Wait until the node answers."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            echo(peer)
        except NetworkError:
            time.sleep(0.5)
        else:
            return
    raise SystemExit("the node does not answer")


def film(number: int) -> bytes:
    """Return a small film of its own patient and study."""
    made = to_dicom(make_phantom(3, number % 4, PhantomConfig(size=128)))
    return hospital.own(made, number)


def send_whole(number: int, peer: Peer) -> str:
    """Send a whole film and return its UID; the node must take it."""
    made = from_bytes(film(number))
    (answer,) = send([made], peer, Retry(tries=5, first_s=0.5))
    if answer.error is not None:
        raise SystemExit(f"a whole film was not taken: {answer.error}")
    return str(made.SOPInstanceUID)


def broken_associations(told: argparse.Namespace, port: int, peer: Peer) -> None:
    """Say in pieces what a sender says, with mistakes."""
    rng = random.Random(told.seed)
    script = mischief.recorded(port, from_bytes(film(999_000)))
    for number in range(told.associations):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
            line.settimeout(0.05)
            mischief.talk(line, mischief.mutated(script, rng), rng)
        if number % 10 == 0:
            wait_for(peer)  # silent callers hold all associations until they are let go


def broken_files(told: argparse.Namespace, port: int, peer: Peer, whole: list[str]) -> Counter[str]:
    """Send mutated files, each under a UID of its own, and whole films in between."""
    rng, answers = random.Random(told.seed + 1), Counter[str]()
    for start in range(0, told.files, EVERY):
        number = 1000 + start
        made = from_bytes(film(number))
        uid = str(made.SOPInstanceUID)
        body = mischief.dataset_bytes(made)
        count = min(EVERY, told.files - start)
        bodies = [mischief.mutated(body, rng) for _ in range(count)]
        for status in mischief.raw_store(port, bodies, uid):
            answers["no answer" if status is None else f"0x{status:04X}"] += 1
        whole.append(send_whole(1 + start // EVERY, peer))
    return answers


def settle() -> None:
    """Wait until all that came has been looked at."""
    from lucidray_clinic.core.jobs import JobState
    from lucidray_clinic.pacs.models import Arrival

    open_states = [JobState.WAITING, JobState.RUNNING]
    end = time.monotonic() + 900
    while Arrival.everything.filter(state__in=open_states).exists():
        if time.monotonic() > end:
            raise SystemExit("the worker does not come to an end")
        time.sleep(1)


def resident_mb(process: hospital.Process) -> float:
    """Return what a process holds in memory."""
    assert process.running is not None
    pages = Path(f"/proc/{process.running.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


def faults_of_processes(alive: list[bool], grown: list[float]) -> Iterator[str]:
    """Yield what is wrong with the processes."""
    if not all(alive):
        yield "FAULT: a process died"
    if max(grown) > MOST_MB:
        yield f"FAULT: a process holds {max(grown):.0f} MB more than before"


def faults_of_room(whole: list[str]) -> Iterator[str]:
    """Yield what is wrong in the reading room: halves, orphans, films that cannot be read."""
    from lucidray.errors import ImageError
    from lucidray.images import read_xray
    from lucidray_clinic.cases import storage
    from lucidray_clinic.cases.models import Case, Instance
    from lucidray_clinic.pacs.models import Arrival

    print(f"  arrivals: {dict(Counter(Arrival.everything.values_list('state', 'outcome')))}")
    rows = list(Instance.everything.all())
    missing = set(whole) - {row.sop_uid for row in rows}
    if missing:
        yield f"FAULT: {len(missing)} whole films are no cases"
    if Case.everything.filter(instances=None).exists():
        yield "FAULT: a case without a film"
    known, files = {row.pk for row in rows}, {key for key, _ in storage.kept_files()}
    if known != files:
        yield f"FAULT: {len(known ^ files)} rows without a file, or files without a row"
    for row in rows:
        try:
            read_xray(storage.file_path(row.pk))
        except ImageError as error:
            yield f"FAULT: a film that was taken cannot be read: {error}"
    failed = Arrival.everything.filter(state="failed")
    yield from (f"FAULT: given up: {row.error}" for row in failed)


if __name__ == "__main__":
    main()
