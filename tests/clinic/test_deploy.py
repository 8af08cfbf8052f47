"""What ``deploy/`` starts: web, worker and migration as processes, and what its files promise."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import films
import pytest
import yaml
from room import (
    Browser,
    Room,
    database,
    end,
    environ_server,
    kill_hard,
    missing_server,
    opened,
    until,
)

from lucidray_clinic.environment import read_environment

DEPLOY = Path(__file__).parents[2] / "deploy"
OURS = ("migrate", "web", "worker", "node")
TOKEN = "only the scraper knows this"

QUEUE = """
from lucidray_clinic.analyses import runs, shelf
from lucidray_clinic.cases.models import Instance
bundle = shelf.bundles().get(name="pediatric-pneumonia")
for film in Instance.objects.all():
    runs.ask(None, film, bundle)
print(bundle.pk)
"""
COOKIES = """
import json
from django.conf import settings as s
print(json.dumps({
    "names": [s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME],
    "flags": [s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SESSION_COOKIE_HTTPONLY,
              s.SESSION_COOKIE_SAMESITE, s.CSRF_COOKIE_SAMESITE, s.DEBUG],
    "transport": [s.SECURE_SSL_REDIRECT, s.SECURE_HSTS_SECONDS, s.SECURE_HSTS_INCLUDE_SUBDOMAINS],
}))
"""
STATES = """
from lucidray_clinic.analyses.models import InferenceRun, Reading
print(InferenceRun.objects.filter(state="done").count(), Reading.objects.count())
"""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return told


@pytest.mark.parametrize("name", OURS)
def test_our_containers_may_do_as_little_as_they_need(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["user"].split(":")[0] not in ("0", "root")
    assert not service.get("privileged")
    assert service["pids_limit"] <= 500


def test_only_proxy_and_node_can_be_reached_from_outside(compose: dict[str, Any]) -> None:
    reached = {name for name, one in compose["services"].items() if "ports" in one}
    assert reached == {"proxy", "node"}
    assert compose["networks"]["back"]["internal"] is True
    assert compose["services"]["database"]["networks"] == ["back"]
    assert "back" not in compose["services"]["proxy"]["networks"]


def test_no_secret_stands_in_a_file_of_ours(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for key, value in service.get("environment", {}).items():
            secret = re.search("PASSWORD|SECRET|TOKEN|KEY", key)
            assert not secret or key.endswith("_FILE"), (name, key)
            assert not re.search(r"postgresql://[^/@]*:[^/@]*@", str(value))
    made = (DEPLOY / "make-secrets").read_text()
    for name, told in compose["secrets"].items():
        assert name in made
        assert told["file"].startswith("./secrets/")
    assert "deploy/secrets/" in (DEPLOY.parent / ".gitignore").read_text()


def test_every_variable_and_secret_is_understood(compose: dict[str, Any], tmp_path: Path) -> None:
    told = dict(compose["services"]["web"]["environment"])
    known = (DEPLOY.parent / "docs" / "how-to" / "deploy.md").read_text()
    known += (DEPLOY.parent / "docs" / "how-to" / "run-the-reading-room.md").read_text()
    known += (DEPLOY.parent / "docs" / "how-to" / "dicom.md").read_text()
    assert [key for key in told if key not in known] == []
    for key in [key for key in told if key.endswith("_FILE")]:
        assert told[key].removeprefix("/run/secrets/") in compose["secrets"]
        (tmp_path / "secret").write_text("x")
        told[key] = str(tmp_path / "secret")
    told |= {"LUCIDRAY_HOME": str(tmp_path), "LUCIDRAY_SECOND_FACTOR": "administrator"}
    told |= {"LUCIDRAY_HOSTS": "room.example,localhost", "LUCIDRAY_ORIGINS": "https://room.example"}
    assert read_environment(told).https
    assert read_environment(told).database()["PASSWORD"] == "x"


def test_every_command_is_one_that_the_image_knows(compose: dict[str, Any]) -> None:
    script = (DEPLOY / "start").read_text()
    for name in OURS:
        assert re.search(rf"^  {compose['services'][name]['command'][0]}\)", script, re.M)
    image = (DEPLOY / "Dockerfile").read_text()
    assert re.search(r"^USER 10001", image, re.M)
    assert "AS build" in image
    assert not re.search(r"^(ADD|USER root)", image, re.M)
    for source in re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", image, re.M):
        assert all((DEPLOY.parent / one).exists() for one in source.split()), source


@pytest.mark.parametrize("script", ["start", "make-secrets"])
def test_scripts_are_sound(script: str) -> None:
    assert os.access(DEPLOY / script, os.X_OK)
    subprocess.run(["sh", "-n", str(DEPLOY / script)], check=True)


def test_secrets_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    script = tmp_path / "make-secrets"
    script.write_text((DEPLOY / "make-secrets").read_text().replace("chown", ": chown"))
    script.chmod(0o700)
    subprocess.run([script], check=True)
    made = {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()}
    subprocess.run([script], check=True)
    assert made == {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()}
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "secrets").iterdir())
    assert len(set(made.values())) == len(made) == 5
    assert len(made["secret_key"]) == 72
    json.loads(made["orthanc_users"])


@pytest.mark.slow
@pytest.mark.processes
def test_django_finds_nothing_to_warn_of_before_deployment(tmp_path: Path) -> None:
    variables = {"LUCIDRAY_HTTPS": "1", "LUCIDRAY_HOSTS": "room.example", "LUCIDRAY_PROXIES": "1"}
    room = Room(tmp_path / "home", **variables)
    room.run("check", "--deploy", "--fail-level", "INFO")
    told = json.loads(room.python(COOKIES))
    assert told["names"] == ["__Host-lucidray_session", "__Host-lucidray_csrf"]
    assert told["flags"] == [True, True, True, "Lax", "Lax", False]
    assert told["transport"] == [True, 365 * 86400, True]
    room.variables["LUCIDRAY_DEMO"] = "1"
    assert "This is a demonstration" in room.run("check", "--deploy", ok=False)


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.skipif(bool(missing_server()), reason=missing_server())
def test_web_and_worker_work_as_processes_on_postgresql(tmp_path: Path) -> None:
    with database(environ_server()) as url:
        settings = {"LUCIDRAY_DATABASE": url, "LUCIDRAY_METRICS_TOKEN": TOKEN}
        with opened(Room(tmp_path / "home", **settings)) as room:
            _from_empty_to_read(room)


def _from_empty_to_read(room: Room) -> None:
    room.run("migrate")
    web = room.serve()
    browser = Browser(room)
    told = [
        browser.upload(f"{n}.dcm", films.dicom(n, PatientName="Zwirbelmann^Q", PatientID=f"Q{n}"))
        for n in range(3)
    ]
    assert not any(one["refused"] for one in told)
    assert b"Zwirbelmann" in browser.get(told[0]["case"])
    room.python(QUEUE)
    worker = room.start("worker")
    until(lambda: room.python(STATES) != "0 0", worker)
    kill_hard(worker)  # in the midst of it
    second = room.start("worker")
    until(lambda: room.python(STATES) == "3 3", second)
    time.sleep(1)
    assert room.python(STATES) == "3 3"
    _count_over_all_processes(room, browser)
    assert (end(second), end(web)) == (0, 0)
    said = room.logs()
    assert "Zwirbelmann" not in said
    assert "sign-in/" not in said
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert {"upload", "case", "sign_in_once"} <= {line.get("route") for line in lines}


def _count_over_all_processes(room: Room, browser: Browser) -> None:
    import urllib.request

    for _ in range(30):
        browser.get("/health/live")
    headers = {"Authorization": f"Bearer {TOKEN}"}
    request = urllib.request.Request(room.address + "/metrics", headers=headers)
    told = urllib.request.urlopen(request, timeout=30).read().decode()
    found = re.search(r'requests_total{method="GET",route="live",status="200"} ([\d.]+)', told)
    assert found is not None
    assert float(found[1]) == 30
    assert 'lucidray_runs{state="done"} 3.0' in told
