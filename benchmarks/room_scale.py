"""How long the reading room's pages take over a large hospital's years of cases.

    eval "$(.ci/services)"                                   # a PostgreSQL, or name your own
    python benchmarks/room_scale.py --fill --patients 100000 --cases 1000000
    python benchmarks/room_scale.py                          # the table

The database of `LUCIDRAY_DATABASE` (the benchmark makes it where it is missing) is filled with
generated patients, cases, films, readings, calls, decisions, boxes, reports and audit rows of four
teams, a quarter of the cases waiting, more than any ward would bear. Then each page is opened by a
member of one team and by a member of all four, through the whole stack of middleware; the table
tells median and 95th percentile in milliseconds, the processor's part of the median (the site's
and its database process's own: what is left of it on a machine that others use too) and how many
queries a page asks. Every figure of the home page is compared with a direct query of the same
moment.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

os.environ.setdefault("LUCIDRAY_HOME", str(Path(tempfile.gettempdir()) / "lucidray-room-scale"))
os.environ.setdefault("LUCIDRAY_DATABASE", "postgresql://lucidray@127.0.0.1:54329/lucidray_scale")
os.environ.setdefault("LUCIDRAY_HOSTS", "testserver,localhost,127.0.0.1")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lucidray_clinic.settings")

import django

django.setup()

import psycopg
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from lucidray_clinic.accounts.models import Membership, Team, User
from lucidray_clinic.accounts.roles import Role
from lucidray_clinic.analyses import shelf
from lucidray_clinic.cases import figures
from lucidray_clinic.cases.models import Case, Status, Urgency
from lucidray_clinic.core.models import AuditHead
from lucidray_clinic.patients.models import Patient

#: Teams and the part of all patients that each has.
TEAMS = (("Central", 70), ("North", 15), ("South", 10), ("Children", 5))

#: A page within this is fast enough.
GOAL_MS = 200


def make_database() -> None:
    """Make the database where it is missing, with its tables."""
    parts = urlsplit(os.environ["LUCIDRAY_DATABASE"])
    name = parts.path.lstrip("/")
    root = parts._replace(path="/postgres").geturl()
    with psycopg.connect(root, autocommit=True) as server:
        known = server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if not known:
            server.execute(f'CREATE DATABASE "{name}"')
    call_command("migrate", verbosity=0)


def make_people() -> None:
    """Make the teams, one person of the largest team and one of all; each with every role."""
    teams = [Team.objects.get_or_create(name=name)[0] for name, _ in TEAMS]
    for name, mine in (("one", teams[:1]), ("all", teams)):
        user, _ = User.objects.get_or_create(username=name)
        for team in mine:
            for role in Role:
                Membership.objects.get_or_create(user=user, team=team, role=role)
    shelf.offered()  # puts the shipped models on the shelf


def statements(patients: int, cases: int) -> list[str]:
    """Return what fills the tables, one statement each.

    Args:
        patients: How many.
        cases: How many.
    """
    text = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    numbers = "\n".join(lines).replace(":patients", str(patients)).replace(":cases", str(cases))
    return [each for each in numbers.split(";\n") if each.strip()]


def fill(patients: int, cases: int) -> None:
    """Fill empty tables.

    Args:
        patients: How many.
        cases: How many, two minutes apart.
    """
    if Patient.everything.exists():
        sys.exit("There are patients in this database; a benchmark fills an empty one only.")
    start = time.monotonic()
    make_people()
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        for statement in statements(patients, cases):
            begin = time.monotonic()
            cursor.execute(statement)
            words = " ".join(statement.split()[:3])
            print(f"{time.monotonic() - begin:7.1f} s  {words}", flush=True)
        cursor.execute("VACUUM ANALYZE")
    AuditHead.objects.update_or_create(pk=1, defaults={"number": cases, "seal": "0" * 64})
    print(f"{time.monotonic() - start:7.1f} s  altogether")


def pages(user: User) -> dict[str, tuple[str, dict[str, str] | None]]:
    """Return address and, for a search, what is posted, by what the page is.

    Args:
        user: Who opens them.
    """
    case = Case.objects.visible_to(user).filter(status=Status.READING).order_by("pk")[0]
    day = timezone.localdate().isoformat()
    after = Case.objects.visible_to(user).order_by("created_at")[50].pk
    last = Patient.objects.visible_to(user).order_by("-family_name")[50].pk
    lists = {
        "home": "/",
        "patients": "/patients/",
        "patients, the last page": f"/patients/?page=after.{last}",
        "a patient": f"/patients/{case.patient_id}/",
        "cases": "/cases/",
        "cases, the last page": f"/cases/?page=after.{after}",
        "cases that wait": "/cases/?status=open",
        "cases being read": "/cases/?status=reading",
        "emergencies": "/cases/?urgency=0",
        "cases that wait, urgent": "/cases/?status=open&urgency=1",
        "cases of a day": f"/cases/?day={day}",
        "a case": f"/cases/{case.pk}/",
        "a case in the viewer": f"/cases/{case.pk}/read/",
        "a case as JSON": f"/api/v1/cases/{case.pk}",
        "curate": "/curate/",
        "curate: called, 30 days": "/curate/?called=Pneumonia&days=30",
        "curate: called, ever": "/curate/?called=Pneumonia",
        "curate: reported": "/curate/?reported=Pneumonia",
        "curate: boxed": "/curate/?boxed=Pneumonia",
        "curate: refused": "/curate/?result=refused",
        "curate: readers disagree": "/curate/?agreement=disagree",
        "curate: readers agree": "/curate/?agreement=agree",
        "curate: women, AP": "/curate/?sex=F&view=AP",
        "curate: children": "/curate/?age_to=3",
        "curate: nothing fits": "/curate/?called=Hernia",
        "studies": "/studies/",
        "models": "/models/",
        "people": reverse("people"),
        "audit": reverse("audit"),
        "audit of one person": f"{reverse('audit')}?actor={user.username}",
        "audit of nobody": f"{reverse('audit')}?actor=zzzz",
        "deleted": reverse("deleted"),
    }
    searches = {
        "patients called …": ("/patients/", {"q": "alander anna"}),
        "patients, nobody": ("/patients/", {"q": "zzzz"}),
        "patient by number": ("/patients/", {"q": "N4711"}),
        "cases of patients called …": ("/cases/", {"q": "bercity"}),
        "cases of nobody": ("/cases/", {"q": "zzzz"}),
        "cases of a pseudonym": ("/cases/", {"q": str(case.patient.pseudonym)}),
    }
    return {name: (url, None) for name, url in lists.items()} | searches


def signed_in(user: User) -> Client:
    """Return a client of somebody.

    Args:
        user: The person.
    """
    client = Client()
    client.force_login(user, "allauth.account.auth_backends.AuthenticationBackend")
    return client


def processor_ms(backend: int) -> float:
    """Return the processor's time that this process and a process of the database have used.

    Args:
        backend: The database's process, on this machine; another machine's counts as nothing.
    """
    try:
        fields = Path(f"/proc/{backend}/schedstat").read_text(encoding="ascii").split()
        theirs = int(fields[0]) / 1e6
    except OSError:
        theirs = 0.0
    return 1000 * time.process_time() + theirs


def opened(client: Client, url: str, sent: dict[str, str] | None, rounds: int) -> dict[str, Any]:
    """Open a page several times.

    Args:
        client: Who opens it.
        url: Its address.
        sent: What is posted; None: nothing.
        rounds: How often, after once to warm up.

    Returns:
        Median and 95th percentile in milliseconds, the processor's part, and queries.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET max_parallel_workers_per_gather = 0")
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()[0]
    ask = (lambda: client.get(url)) if sent is None else (lambda: client.post(url, sent))
    with CaptureQueriesContext(connection) as queries:
        status = ask().status_code
    asked = list(queries.captured_queries)
    if status != 200:
        sys.exit(f"{url} answered {status}")
    times, busy = [], []
    for _ in range(rounds):
        begin, before = time.perf_counter(), processor_ms(backend)
        ask()
        times.append(1000 * (time.perf_counter() - begin))
        busy.append(processor_ms(backend) - before)
    slowest = sorted(times)[min(len(times) - 1, int(0.95 * len(times)))]
    return {
        "median": statistics.median(times),
        "p95": slowest,
        "busy": statistics.median(busy),
        "queries": len(asked),
        "slow": max(asked, key=lambda one: float(one["time"])),
    }


def differing(user: User) -> list[str]:
    """Return the figures that are not what a direct query counts at the same moment.

    Args:
        user: Whose figures.
    """
    teams = [str(one) for one in user.teams_with("case.view")]
    ask = "SELECT count(*) FROM cases_case WHERE team_id = ANY(%s) AND deleted_at IS NULL AND {}"

    def count(condition: str) -> int:
        with connection.cursor() as cursor:
            cursor.execute(ask.format(condition), [teams])
            return int(cursor.fetchone()[0])

    told = [
        *zip(figures.by_status(user), (f"status = '{one}'" for one in Status.values), strict=True),
        *zip(
            figures.waiting(user),
            (f"status <> 'reported' AND urgency = {one}" for one in Urgency.values),
            strict=True,
        ),
    ]
    return [one.label for one, where in told if one.value != count(where)]


def measure(rounds: int, *, explain: bool) -> int:
    """Print the table; return how many pages are slower than the goal.

    Args:
        rounds: How often each page is opened.
        explain: Whether the slowest query of each slow page is printed.
    """
    counts = {model.__name__: model.everything.count() for model in (Patient, Case)}
    print(", ".join(f"{number:,} {name.lower()}s" for name, number in counts.items()))
    print(f"{'page':32} {'of':>5} {'median':>8} {'p95':>8} {'processor':>9} {'queries':>8}")
    slow = 0
    for user in (User.objects.get(username="one"), User.objects.get(username="all")):
        client = signed_in(user)
        for name, (url, sent) in pages(user).items():
            told = opened(client, url, sent, rounds)
            mark = " <- slow" if min(told["p95"], told["busy"]) > GOAL_MS else ""
            slow += bool(mark)
            team = "1" if user.username == "one" else "4"
            numbers = f"{told['median']:8.0f} {told['p95']:8.0f} {told['busy']:9.0f}"
            numbers += f" {told['queries']:8}"
            print(f"{name:32} {team:>5} {numbers}{mark}", flush=True)
            if mark and explain:
                print(f"    {told['slow']['time']} s: {told['slow']['sql'][:1500]}")
        wrong = differing(user)
        print(f"figures that differ from a direct query: {', '.join(wrong) or 'none'}")
        slow += len(wrong)
    return slow


def main() -> None:
    """Fill, or measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fill", action="store_true", help="fill an empty database first")
    parser.add_argument("--patients", type=int, default=100_000)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--explain", action="store_true", help="print the slowest query too")
    told = parser.parse_args()
    make_database()
    if told.fill:
        fill(told.patients, told.cases)
    sys.exit(min(measure(told.rounds, explain=told.explain), 1))


if __name__ == "__main__":
    main()
