"""A reading room in processes of its own, as a container or a service runs it, and a browser."""

from __future__ import annotations

import http.client
import http.cookiejar
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

START = Path(__file__).parents[2] / "deploy" / "start"
PATIENCE_S = 300


class Room:
    """An installation in a folder of its own."""

    def __init__(self, home: Path, **variables: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home, self.port, self.running = home, free_port(), []
        kept = {key: value for key, value in os.environ.items() if not key.startswith("LUCIDRAY_")}
        kept.pop("DJANGO_SETTINGS_MODULE", None)
        self.variables = kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "LUCIDRAY_HOME": str(home),
            "LUCIDRAY_BIND": f"127.0.0.1:{self.port}",
            "LUCIDRAY_WEB_PROCESSES": "2",
            "LUCIDRAY_LOGS": "json",
            "LUCIDRAY_WORKER": "separate",
            "LUCIDRAY_BACKUP_PASSPHRASE": "correct horse battery",
            "PROMETHEUS_MULTIPROC_DIR": str(home / "numbers"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **variables,
        }

    def run(self, *command: str, ok: bool = True) -> str:
        """Run a command to its end, as ``start COMMAND`` in a container does."""
        done = subprocess.run(
            [str(START), *command],
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert not ok or done.returncode == 0, done.stdout + done.stderr
        return done.stdout if ok else done.stderr

    def python(self, script: str) -> str:
        """Run some Python in the room, and return what it prints last."""
        said = self.run("shell", "--no-imports", "-c", script).strip()
        return said.splitlines()[-1] if said else ""

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a process; what it says is kept in a file."""
        log = (self.home / f"{command[0]}.log").open("ab")
        process = subprocess.Popen(
            [str(START), *command],
            env=self.variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        self.running.append(process)
        return process

    def serve(self) -> subprocess.Popen[bytes]:
        """Start the web processes, and wait until they are ready."""
        process = self.start("web")
        until(lambda: self.answers("/health/ready"), process)
        return process

    def answers(self, path: str) -> bool:
        """Whether an address answers with 200."""
        try:
            with urllib.request.urlopen(self.address + path, timeout=20) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    @property
    def address(self) -> str:
        """Where it is served."""
        return f"http://127.0.0.1:{self.port}"

    def logs(self) -> str:
        """Everything that any process of it has said."""
        return "".join(path.read_text() for path in sorted(self.home.glob("*.log")))

    def close(self) -> None:
        """End every process that is still there."""
        for process in self.running:
            if process.poll() is None:
                kill_hard(process)


class Browser:
    """Somebody who has signed in by a one-time link."""

    def __init__(self, room: Room, link: str = "") -> None:
        self.address, self.jar = room.address, http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))
        self.get((link or room.run("sign_in_link")).strip())

    def get(self, path: str) -> bytes:
        """Return what an address answers."""
        return self._open(urllib.request.Request(self.address + path))

    def send(self, method: str, path: str, body: Any) -> Any:
        """Send JSON, and return what comes back."""
        data = json.dumps(body).encode()
        return json.loads(self._send(method, path, data, "application/json") or b"null")

    def post(self, path: str, fields: dict[str, str], files: dict[str, bytes] | None = None) -> Any:
        """Send a form, with files where there are any."""
        mark = uuid4().hex
        parts = [_part(mark, f'name="{name}"', text.encode()) for name, text in fields.items()]
        for name, content in (files or {}).items():
            parts.append(_part(mark, f'name="files"; filename="{name}"', content))
        data = b"".join(parts) + f"--{mark}--\r\n".encode()
        return self._send("POST", path, data, f"multipart/form-data; boundary={mark}")

    def upload(self, name: str, content: bytes) -> dict[str, Any]:
        """Upload a film, and return what became of it."""
        told: dict[str, Any] = json.loads(self.post("/upload/", {}, {name: content}))
        return dict(told["outcomes"][0])

    def _send(self, method: str, path: str, data: bytes, kind: str) -> bytes:
        token = next(one.value for one in self.jar if one.name == "lucidray_csrf")
        headers = {"Content-Type": kind, "X-CSRFToken": str(token), "Accept": "application/json"}
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        return self._open(request)

    def _open(self, request: urllib.request.Request) -> bytes:
        with self.opener.open(request, timeout=PATIENCE_S) as answer:
            return bytes(answer.read())


#: What a request raises when its server dies meanwhile.
BROKEN_OFF = (OSError, http.client.HTTPException)


@contextmanager
def opened(room: Room) -> Iterator[Room]:
    """Give a room, and end its processes whatever happens."""
    try:
        yield room
    finally:
        room.close()


def kill_hard(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with all its children, at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


def end(process: subprocess.Popen[bytes]) -> int:
    """Ask a process to end, and return its exit status."""
    process.terminate()
    return process.wait(60)


def until(is_so: Any, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until something is so; fail where a process ends before, or it takes too long."""
    last = time.monotonic() + PATIENCE_S
    while not is_so():
        assert process is None or process.poll() is None, "the process has ended"
        assert time.monotonic() < last, "it took too long"
        time.sleep(0.2)


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def database(server: str) -> Iterator[str]:
    """Give the address of a fresh database of a PostgreSQL server."""
    import psycopg

    name = f"room_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{server.rsplit('/', 1)[0]}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _part(mark: str, about: str, content: bytes) -> bytes:
    head = f"--{mark}\r\nContent-Disposition: form-data; {about}\r\n"
    return head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n"


def missing_server() -> str:
    """Say why PostgreSQL cannot be used; empty: it can."""
    told = os.environ.get("LUCIDRAY_TEST_SERVER", "")
    return "" if told else 'no PostgreSQL: eval "$(.ci/services)"'


def environ_server() -> str:
    """Return the PostgreSQL server of the tests."""
    return os.environ["LUCIDRAY_TEST_SERVER"]
