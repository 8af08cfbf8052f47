"""A hospital's day against real parts: films in by C-STORE, results back, while processes die.

Generated studies lie in a real Orthanc, which sends each to the reading room's node. Node and
workers are killed at random (`kill -9`) and started again; with `--postgresql` on a server of
their own, which is killed as well. At the end each study must be one case
with one reading, and Orthanc must hold one structured report for each, valid and readable by
another library.

    python benchmarks/hospital.py --studies 1000 --workers 3 --kill-every 60 --postgresql

Needs Orthanc with its DICOMweb plug-in and dciodvfy (Debian: orthanc orthanc-dicomweb dicom3tools).
"""

from __future__ import annotations

import argparse
import io
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from pydicom.dataset import Dataset

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "dicom"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "clinic"))
import orthanc as real_orthanc
import pg_cluster

from lucidray.datasets.phantom import PhantomConfig, make_phantom
from lucidray.datasets.phantom.dicom import to_dicom
from lucidray.dicom.files import from_bytes, to_bytes

#: Phantoms that are made; others repeat one of them with other pixels in a corner.
DRAWN = 32


@dataclass
class Process:
    """One process of the reading room, started again when it dies.

    Args:
        name: The command of ``lucidray-clinic``.
        log: Where its output goes.
    """

    name: str
    log: Path
    peak_mb: float = 0
    kills: int = 0
    running: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it."""
        code = "import sys; from lucidray_clinic.manage import main; main()"
        command = [sys.executable, "-c", code, self.name]
        if self.name == "work":
            command += ["--pause", "0.2"]
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(command, stdout=log, stderr=log)

    def measure(self) -> None:
        """Note how much memory it has needed at most."""
        assert self.running is not None
        try:
            told = Path(f"/proc/{self.running.pid}/status").read_text()
        except OSError:
            return
        peaks = [line.split()[1] for line in told.splitlines() if line.startswith("VmHWM")]
        self.peak_mb = max([self.peak_mb, *(int(one) / 1024 for one in peaks)])

    def kill(self) -> None:
        """Kill it in the midst of whatever it does, and start it again."""
        assert self.running is not None
        self.measure()
        self.running.send_signal(signal.SIGKILL)
        self.running.wait()
        self.kills += 1
        self.start()

    def end(self) -> None:
        """End it."""
        assert self.running is not None
        self.measure()
        self.running.terminate()
        self.running.wait(60)


@dataclass
class Server:
    """A PostgreSQL of this run alone, as something to be killed.

    Args:
        cluster: The server, which runs.
    """

    cluster: pg_cluster.Cluster
    name: str = "database"
    kills: int = 0
    peak_mb: float = 0

    def kill(self) -> None:
        """Kill it with all its connections, and start it again a little later."""
        self.cluster.kill()
        self.kills += 1
        time.sleep(3)
        self.cluster.start()


def main() -> None:
    """Run it and print what came of it."""
    told = arguments()
    if real_orthanc.installed() is None:
        raise SystemExit(real_orthanc.MISSING)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before its end"))  # clears away
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hospital-")))
        server = Server(stack.enter_context(pg_cluster.running())) if told.postgresql else None
        if server is not None:
            told.database = server.cluster.url
        node_port = real_orthanc.free_port()
        set_environment(folder, node_port, told.database)
        archive = stack.enter_context(real_orthanc.running(folder, node_port))
        open_room(archive, told.bundle)
        day(told, folder, archive, server)


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=50)
    parser.add_argument(
        "--kill-every", type=float, default=20, help="Seconds on average; 0: never."
    )
    parser.add_argument("--side", type=int, default=512, help="Pixels of a film's side.")
    parser.add_argument("--bundle", default="adult-opacity")
    parser.add_argument("--database", default="", help="postgresql://…; SQLite otherwise.")
    parser.add_argument(
        "--postgresql", action="store_true", help="A server of this run, which is killed, too."
    )
    parser.add_argument("--minutes", type=float, default=60, help="Give up after so long.")
    parser.add_argument("--workers", type=int, default=1, help="Processes that do the jobs.")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def set_environment(folder: Path, node_port: int, database: str) -> None:
    """Set what the reading room's processes find, and this one's Django."""
    os.environ |= {
        "LUCIDRAY_HOME": str(folder / "room"),
        "LUCIDRAY_DATABASE": database,
        "LUCIDRAY_NODE": f"127.0.0.1:{node_port}",
        "DJANGO_SETTINGS_MODULE": "lucidray_clinic.settings",
        "OMP_NUM_THREADS": "1",
    }
    import django

    django.setup()


def open_room(archive: real_orthanc.Orthanc, bundle: str) -> None:
    """Make an empty reading room that knows the archive, and one rule."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from lucidray_clinic.accounts.models import Team
    from lucidray_clinic.analyses import shelf
    from lucidray_clinic.pacs.models import Peer, Rule

    team = Team.objects.create(name="Radiology")
    Peer.objects.create(
        name="Orthanc",
        ae_title="ORTHANC",
        way="store",
        host="127.0.0.1",
        port=archive.dicom_port,
    )
    Rule.objects.create(name="Chest", team=team, bundle=shelf.bundles().get(name=bundle))


def day(
    told: argparse.Namespace, folder: Path, archive: real_orthanc.Orthanc, server: Server | None
) -> None:
    """Send everything, kill at random, wait until all is answered, check."""
    names = ["node", *["work"] * told.workers]
    processes = [Process(name, folder / f"{name}.log") for name in names]
    start = time.monotonic()
    stop = threading.Event()
    for process in processes:
        process.start()
    mortal: list[Any] = [*processes, *([server] if server is not None else [])]
    killer = threading.Thread(target=kill_at_random, args=(told, mortal, stop))
    watcher = threading.Thread(target=tell, args=(told.studies, start, stop))
    killer.start()
    watcher.start()
    try:
        send_all(told, archive)
        sent = time.monotonic() - start
        finished = wait_until_answered(told)
        taken = time.monotonic() - start
    finally:
        stop.set()
        killer.join()
        watcher.join()
        for process in processes:
            process.end()
    report(told, mortal, archive, sent, taken, finished)


def kill_at_random(told: argparse.Namespace, mortal: list[Any], stop: threading.Event) -> None:
    """Kill one of them every now and then, as long as there is something to do."""
    rng = random.Random(told.seed)
    while told.kill_every:
        if stop.wait(rng.uniform(0.2, 1.8) * told.kill_every):
            break
        rng.choice(mortal).kill()


def tell(studies: int, start: float, stop: threading.Event) -> None:
    """Say now and then how far it is."""
    while not stop.wait(20):
        told = ", ".join(f"{name} {count}" for name, count in patient(counts).items())
        print(f"  {time.monotonic() - start:6.0f} s of {studies}: {told}", flush=True)


def patient(ask: Callable[[], Any]) -> Any:
    """Ask the database, again and again while it is away."""
    from django.db import Error, close_old_connections

    while True:
        try:
            return ask()
        except Error:
            close_old_connections()
            time.sleep(0.5)


def counts() -> dict[str, int]:
    """Return how many there are of each kind."""
    from lucidray_clinic.analyses.models import Reading
    from lucidray_clinic.cases.models import Case, Instance
    from lucidray_clinic.core.jobs import JobState
    from lucidray_clinic.pacs.models import Arrival, Delivery

    delivered = Delivery.everything.filter(state=JobState.DONE)
    return {
        "received": Arrival.everything.count(),
        "cases": Case.everything.count(),
        "films": Instance.everything.count(),
        "readings": Reading.everything.count(),
        "delivered": delivered.count(),
    }


def send_all(told: argparse.Namespace, archive: real_orthanc.Orthanc) -> None:
    """Have the archive send each study until the node has it."""
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda film: send(film, archive), films(told)))


def films(told: argparse.Namespace) -> Iterator[bytes]:
    """Yield generated studies, each of its own patient."""
    drawn: list[bytes] = []
    config = PhantomConfig(size=told.side)
    for number in range(told.studies):
        if number < DRAWN:
            drawn.append(to_bytes(to_dicom(make_phantom(told.seed, number, config))))
        yield own(from_bytes(drawn[number % DRAWN]), number)


def own(film: Dataset, number: int) -> bytes:
    """Give a film a patient, a study and pixels of its own."""
    film.PatientID, film.PatientName = f"H{number:06d}", f"Hospital^Patient {number}"
    film.AccessionNumber, film.StudyID, film.StudyDate = f"A{number:06d}", "1", "20260105"
    film.StudyInstanceUID = f"1.2.826.0.1.3680043.8.498.7.{number + 1}"
    film.SeriesInstanceUID = f"{film.StudyInstanceUID}.1"
    film.SOPInstanceUID = f"{film.StudyInstanceUID}.1.1"
    film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
    film.PixelData = (number + 1).to_bytes(4, "little") + film.PixelData[4:]
    return to_bytes(film)


def send(film: bytes, archive: real_orthanc.Orthanc) -> None:
    """Put a film into the archive and have it sent by C-STORE until the node says "stored"."""
    stored = requests.post(f"{archive.http}/instances", data=film, timeout=60).json()
    end = time.monotonic() + 600
    while time.monotonic() < end:
        answer = requests.post(
            f"{archive.http}/modalities/node/store", data=stored["ID"], timeout=120
        )
        if answer.ok:
            return
        time.sleep(1)
    raise RuntimeError("the node does not take a film")


def wait_until_answered(told: argparse.Namespace) -> bool:
    """Wait until every result is delivered, or the time is over."""
    end = time.monotonic() + told.minutes * 60
    while time.monotonic() < end:
        if patient(counts)["delivered"] >= told.studies:
            return True
        time.sleep(1)
    return False


def report(
    told: argparse.Namespace,
    mortal: list[Any],
    archive: real_orthanc.Orthanc,
    sent: float,
    taken: float,
    finished: bool,
) -> None:
    """Print figures and verdict; exit with 1 where something is missing or twice."""
    print(f"\n{'PostgreSQL' if told.database else 'SQLite'}, films of {told.side}²: {counts()}")
    for one in mortal:
        most = f", at most {one.peak_mb:.0f} MB" if one.peak_mb else ""
        print(f"  {one.name}: killed {one.kills} times{most}")
    rate = told.studies / taken * 60
    print(f"  sent in {sent:.0f} s, all answered in {taken:.0f} s: {rate:.0f} studies a minute")
    waits = latencies()
    print(
        f"  from receipt to result: median {statistics.median(waits):.1f} s, most {max(waits):.1f}"
    )
    faults = [*faults_of_room(told.studies), *faults_of_archive(told.studies, archive)]
    if not finished:
        faults.append("not everything was answered in time")
    print("\n".join(faults) or "  nothing lost, nothing twice, every report valid and readable")
    raise SystemExit(1 if faults else 0)


def latencies() -> list[float]:
    """Return the seconds from receipt to result of each study."""
    from lucidray_clinic.pacs.models import Arrival, Delivery

    ended = dict(Delivery.everything.values_list("instance_id", "finished_at"))
    rows = Arrival.everything.values_list("instance_id", "created_at")
    return [(ended[film] - came).total_seconds() for film, came in rows if ended.get(film)] or [0.0]


def faults_of_room(studies: int) -> Iterator[str]:
    """Yield what is wrong in the reading room."""
    from lucidray_clinic.core.audit import faults
    from lucidray_clinic.pacs.models import Arrival

    for name, count in counts().items():
        if count != studies:
            yield f"FAULT: {count} {name}, expected {studies}"
    states = Counter(Arrival.everything.values_list("state", "outcome", "answering"))
    if set(states) != {("done", "filed", "made")}:
        yield f"FAULT: arrivals are {dict(states)}"
    yield from (f"FAULT: audit row {fault.number} is {fault.what}" for fault in faults())


def faults_of_archive(studies: int, archive: real_orthanc.Orthanc) -> Iterator[str]:
    """Yield what is wrong with the results in the archive."""
    found: dict[str, list[Any]] = {"SR": [], "PR": [], "KO": [], "DX": []}
    for one in requests.get(f"{archive.http}/instances", params={"expand": ""}, timeout=300).json():
        series = requests.get(f"{archive.http}/series/{one['ParentSeries']}", timeout=60).json()
        found.setdefault(series["MainDicomTags"]["Modality"], []).append(one)
    print("  in the archive:", {kind: len(rows) for kind, rows in found.items()})
    for kind in ("SR", "KO", "DX"):
        if len(found[kind]) != studies:
            yield f"FAULT: {len(found[kind])} objects {kind} in the archive, expected {studies}"
    files = [
        requests.get(f"{archive.http}/instances/{one['ID']}/file", timeout=60).content
        for one in found["SR"]
    ]
    of_study = Counter(str(from_bytes(file).StudyInstanceUID) for file in files)
    twice = [study for study, count in of_study.items() if count > 1]
    if twice or len(of_study) != studies:
        yield f"FAULT: {len(of_study)} studies have a report, {len(twice)} more than one"
    for fault, count in Counter(
        fault for file in files for fault in faults_of_report(file)
    ).items():
        yield f"FAULT: {count} reports: {fault}"


def faults_of_report(data: bytes) -> Iterator[str]:
    """Yield what is wrong with a report: for dciodvfy, for us, for highdicom."""
    import highdicom

    from lucidray.dicom import validate

    with tempfile.NamedTemporaryFile(suffix=".dcm") as file:
        file.write(data)
        file.flush()
        result = validate(Path(file.name))
    if not result.asked:
        yield "dciodvfy is not installed"
    yield from result.errors
    read = highdicom.sr.srread(io.BytesIO(data))
    groups = read.content.get_image_measurement_groups()
    if not groups or read.PatientID[:1] != "H":
        yield "highdicom finds no findings, or another patient"


if __name__ == "__main__":
    main()
