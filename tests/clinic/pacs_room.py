"""Processes of a room with a node: what they start with, and what is counted at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from room import free_port

from lucidray.dicom.files import from_bytes
from lucidray.dicom.network import Inbox, NodeSettings, Peer, echo
from lucidray.errors import NetworkError

#: What results are, for an archive that takes nothing else.
RESULTS = (
    "1.2.840.10008.5.1.4.1.1.88.33",
    "1.2.840.10008.5.1.4.1.1.11.1",
    "1.2.840.10008.5.1.4.1.1.88.59",
)

PREPARE = """
import sys
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from lucidray_clinic.accounts.models import Team
from lucidray_clinic.analyses import shelf
from lucidray_clinic.pacs.models import Peer, Rule
team = Team.objects.create(name="Radiology")
Peer.objects.create(
    name="Archive",
    ae_title="ARCHIVE",
    way="store",
    host="127.0.0.1",
    port=sys.argv[1],
    tls="tls" in sys.argv,
)
bundle = shelf.bundles().get(name="adult-opacity")
Rule.objects.create(name="Chest", team=team, bundle=bundle, body_part="CHEST")
"""
COUNT = """
import json
import django
django.setup()
from lucidray_clinic.analyses.models import Reading
from lucidray_clinic.cases.models import Case, Instance
from lucidray_clinic.core.audit import faults
from lucidray_clinic.pacs.models import Arrival, Delivery
counted = [model._base_manager.count() for model in (Arrival, Case, Instance, Reading, Delivery)]
done = Delivery.everything.filter(state="done").count()
refused = sorted(Arrival.everything.filter(outcome="refused").values_list("code", flat=True))
print(json.dumps([*counted, done, refused, [fault.what for fault in faults()]]))
"""
ROOM = """
import sys
from pathlib import Path
from lucidray_clinic.serving import open_room
home, port = Path(sys.argv[1]), int(sys.argv[2])
open_room(home, "127.0.0.1", port, demo=False, link=False, node=True).run()
"""


def archive_settings(**told: Any) -> NodeSettings:
    """An archive that takes results of the room."""
    peers = {"LUCIDRAY": frozenset[str]()}
    return NodeSettings(peers=peers, ae_title="ARCHIVE", port=0, classes=RESULTS, **told)


def environment_of(home: Path, **told: str) -> dict[str, str]:
    """The variables of a room in a folder, with a node at a port of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LUCIDRAY_")}
    return kept | {
        "LUCIDRAY_HOME": str(home),
        "LUCIDRAY_NODE": f"127.0.0.1:{free_port()}",
        "DJANGO_SETTINGS_MODULE": "lucidray_clinic.settings",
        **told,
    }


def node_of(environment: dict[str, str], calling: str = "ARCHIVE", **told: Any) -> Peer:
    """The node of a room, as one calls it."""
    port = int(environment["LUCIDRAY_NODE"].rsplit(":", 1)[1])
    return Peer("LUCIDRAY", "127.0.0.1", port, calling=calling, **({"seconds": 20} | told))


def run(environment: dict[str, str], script: str, *arguments: object) -> str:
    """Run a script in a process of the room, and return what it prints."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert told.returncode == 0, told.stderr
    return told.stdout


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    """Start a command of ``lucidray-clinic``."""
    code = "from lucidray_clinic.manage import main; main()"
    return subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, at once."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def eventually(condition: Callable[[], Any], seconds: float = 240) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)


def answers(peer: Peer) -> bool:
    """Whether a node answers, and knows who calls."""
    try:
        echo(peer)
    except NetworkError:
        return False
    return True


def reports(inbox: Inbox) -> list[str]:
    """Return the study of each report in the archive."""
    held = [from_bytes(path.read_bytes()) for path in inbox.folder.rglob("*.dcm")]
    return [str(one.StudyInstanceUID) for one in held if one.Modality == "SR"]


def counted(environment: dict[str, str]) -> list[Any]:
    """Arrivals, cases, films, readings, deliveries, those done; refusals, faults of the audit."""
    told: list[Any] = json.loads(run(environment, COUNT))
    return told
