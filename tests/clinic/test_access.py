"""Who may open what: every route, as nobody, as somebody of another team, and in each role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import films
import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from lucidray_clinic.accounts.models import Emergency, Team, User, UserSession
from lucidray_clinic.accounts.roles import PERMISSIONS, Permission, Role, roles_with
from lucidray_clinic.administration.models import PurgeRequest
from lucidray_clinic.analyses import shelf
from lucidray_clinic.analyses.models import Reading
from lucidray_clinic.care.models import DriftAlert, Shadow
from lucidray_clinic.cases import storage
from lucidray_clinic.cases.models import Case, Instance
from lucidray_clinic.curation.models import DataSet, DataSetVersion
from lucidray_clinic.pacs.models import Arrival, Delivery, Peer, Rule
from lucidray_clinic.patients.models import Merge, Patient
from lucidray_clinic.studies.models import Study

A, C, R, S = Role.ADMINISTRATOR, Role.CLINICIAN, Role.READER, Role.RESEARCHER
ALL = (A, C, R, S)

#: Routes that nobody has to sign in for.
OPEN = {
    "health",
    "live",
    "ready",
    "metrics",
    "account_login",
    "account_logout",
    "account_inactive",
    "account_signup",
    "admin_login",
    "sign_in_once",
}

#: Which roles may open a route, and how it is asked. A new route belongs here.
ROUTES: dict[str, tuple[str, tuple[Role, ...]]] = {
    "home": ("GET", ALL),
    "preferences": ("GET", ALL),
    "sessions": ("GET", ALL),
    "alive": ("POST", ALL),
    "end_other_sessions": ("POST", ALL),
    "account_reauthenticate": ("GET", ALL),
    "account_change_password": ("GET", ALL),
    "account_set_password": ("GET", ALL),
    "patients": ("GET", (A, C, R)),
    "new_patient": ("GET", (A, C)),
    "patient": ("GET", (A, C, R)),
    "edit_patient": ("GET", (A, C)),
    "delete_patient": ("POST", (A, C)),
    "export_patient": ("GET", (A,)),
    "add_identifier": ("POST", (A, C)),
    "remove_identifier": ("POST", (A, C)),
    "merge_patient": ("POST", (A, C)),
    "undo_merge": ("POST", (A, C)),
    "cases": ("GET", ALL),
    "case": ("GET", ALL),
    "edit_case": ("GET", (A, C)),
    "delete_case": ("POST", (A, C)),
    "read_case": ("GET", ALL),
    "picture": ("GET", ALL),
    "delete_instance": ("POST", (A, C)),
    "upload": ("GET", (A, C)),
    "break_glass": ("GET", (C,)),
    "people": ("GET", (A,)),
    "new_person": ("GET", (A,)),
    "person": ("GET", (A,)),
    "set_roles": ("POST", (A,)),
    "open_account": ("POST", (A,)),
    "close_account": ("POST", (A,)),
    "end_sessions": ("POST", (A,)),
    "unlock": ("POST", (A,)),
    "new_link": ("POST", (A,)),
    "forget_second_factor": ("POST", (A,)),
    "teams": ("GET", (A,)),
    "audit": ("GET", (A,)),
    "deleted": ("GET", (A, C)),
    "restore": ("POST", (A, C)),
    "request_purge": ("POST", (A, C)),
    "approve_purge": ("POST", (A, C)),
    "withdraw_purge": ("POST", (A, C)),
    "emergencies": ("GET", (A,)),
    "review_emergency": ("POST", (A,)),
    "system": ("GET", (A,)),
    "care": ("GET", (A,)),
    "shadow": ("GET", (A,)),
    "start_shadow": ("POST", (A,)),
    "install_shadow": ("POST", (A,)),
    "stop_shadow": ("POST", (A,)),
    "promote_shadow": ("POST", (A,)),
    "roll_back_shadow": ("POST", (A,)),
    "drift_seen": ("POST", (A,)),
    "drift_reference": ("POST", (A,)),
    "pacs": ("GET", (A, C)),
    "pacs_state": ("GET", (A, C)),
    "pacs_incoming": ("GET", (A, C)),
    "pacs_look_again": ("POST", (A, C)),
    "pacs_arrival_seen": ("POST", (A, C)),
    "pacs_outgoing": ("GET", (A, C)),
    "pacs_send_again": ("POST", (A, C)),
    "pacs_delivery_seen": ("POST", (A, C)),
    "pacs_import": ("GET", (A, C)),
    "pacs_start_import": ("POST", (A, C)),
    "pacs_peers": ("GET", (A,)),
    "pacs_new_peer": ("GET", (A,)),
    "pacs_peer": ("GET", (A,)),
    "pacs_test_peer": ("POST", (A,)),
    "pacs_rules": ("GET", (A,)),
    "pacs_new_rule": ("GET", (A,)),
    "pacs_rule": ("GET", (A,)),
    "pacs_delete_rule": ("POST", (A,)),
    "pacs_send_report": ("POST", (C,)),
    "pacs_send_reading": ("POST", (A, C)),
    "models": ("GET", ALL),
    "model": ("GET", ALL),
    "compare_models": ("GET", ALL),
    "install_model": ("POST", (A,)),
    "retire_model": ("POST", (A,)),
    "offer_model": ("POST", (A,)),
    "quick_look": ("GET", ALL),
    "api-1:bundles": ("GET", ALL),
    "api-1:bundle_file": ("GET", ALL),
    "api-1:quick_look_server": ("POST", ALL),
    "api-1:reading": ("GET", ALL),
    "api-1:reading_maps": ("GET", ALL),
    "api-1:readings": ("JSON", (C, R)),
    "api-1:server_readings": ("JSON", (C, R)),
    "api-1:reveal": ("JSON", (C, R)),
    "report": ("GET", (A, C, R)),
    "edit_report": ("GET", (C, R)),
    "sign_report": ("POST", (C,)),
    "add_addendum": ("POST", (C,)),
    "print_report": ("GET", (A, C, R)),
    "pdf_report": ("GET", (A, C, R)),
    "report_picture": ("GET", (A, C, R)),
    "curate": ("GET", ALL),
    "data_sets": ("GET", (S,)),
    "data_set": ("GET", (S,)),
    "make_data_set": ("POST", (A, S)),
    "download_data_set": ("GET", (S,)),
    "studies": ("GET", ALL),
    "new_study": ("GET", (S,)),
    "study": ("GET", (S,)),
    "prepare_study": ("POST", (S,)),
    "open_study": ("POST", (S,)),
    "close_study": ("POST", (S,)),
    "study_answers": ("GET", (S,)),
    "read_study": ("GET", (C, R)),
    "study_picture": ("GET", (C, R)),
    "api-1:boxes": ("PUT", (C, R)),
    "api-1:box_history": ("GET", ALL),
    "api-1:decision": ("PUT", (C, R)),
    "api-1:notes": ("JSON", (C, R)),
    "api-1:openapi-json": ("GET", ALL),
    "api-1:case": ("GET", ALL),
    "api-1:instance_file": ("GET", ALL),
}

#: Of these, another team's id does not even tell whether it exists.
OF_A_PERSON = {"end_session"}

#: Answered by the framework alone, with nothing of ours.
EMPTY = {"api-1:api-root"}

#: Parts of a report or of an export that the row in question does not have.
ABSENT = {
    *("sign_report", "print_report", "pdf_report", "report_picture", "download_data_set"),
    *("api-1:decision", "api-1:reading_maps", "read_study", "study_picture", "pacs_send_report"),
}

#: What some routes want to be sent; by argument name, or as it is.
SENT: dict[str, dict[str, Any]] = {
    "add_identifier": {"system": "PID", "value": "2"},
    "set_roles": {"team": "team", "roles": "reader"},
    "compare_models": {"first": "bundle", "second": "bundle"},
    "api-1:readings": {
        "instance": "instance",
        "bundle_digest": "digest",
        "findings": [],
        "self_test": {"passed": True},
    },
    "api-1:boxes": {"version": 0, "boxes": []},
    "api-1:decision": {"reading": "reading", "decision": "accept"},
    "pacs_send_report": {"peer": "peer"},
    "pacs_send_reading": {"peer": "peer", "reading": "reading"},
    "sign_report": {"version": "1", "password": "a long enough password"},
    "add_addendum": {"text": "more", "password": "a long enough password"},
    "api-1:notes": {"text": "a note"},
    "api-1:server_readings": {"instance": "instance", "bundle": "digest"},
    "api-1:reveal": {"first_opinion": []},
    "request_purge": {"reason": "asked for by the patient"},
}


def walk(
    patterns: Any = None, space: str = "", held: dict[str, Any] | None = None
) -> Iterator[Any]:
    """Yield ``(name, argument names)`` of every named route of the URLconf."""
    for entry in patterns or get_resolver().url_patterns:
        names = {**(held or {}), **entry.pattern.converters}
        if isinstance(entry, URLResolver):
            inner = f"{space}{entry.namespace}:" if entry.namespace else space
            yield from walk(entry.url_patterns, inner, names)
        elif isinstance(entry, URLPattern) and entry.name:
            yield f"{space}{entry.name}", tuple(names)


WALKED = dict(walk())
OURS = sorted(name for name in WALKED if not name.startswith(("admin:", "mfa_")))
#: Models belong to the installation, not to a team.
OF_ALL_TEAMS = {"bundle", "digest", "shadow", "alert", "peer"}
OF_ROWS = sorted(
    name for name, arguments in WALKED.items() if name in ROUTES and set(arguments) - OF_ALL_TEAMS
)


@pytest.fixture
def arguments(
    team: Team, patient: Patient, case: Case, make_user: Callable[..., User]
) -> dict[str, UUID | str]:
    """A value for every argument that stands in a route, each of `team`."""
    person = make_user("somebody", team, "reader")
    boss = make_user("another administrator", team, "administrator")
    other = Patient.objects.create(team=team, family_name="Other")
    gone = Patient.objects.create(team=team, family_name="Gone", deleted_at=timezone.now())
    film = Instance.objects.create(
        case=case, name="x.png", media_type="image/png", size=1, rows=160, columns=160
    )
    storage.file_path(film.pk).parent.mkdir(parents=True)
    storage.file_path(film.pk).write_bytes(films.png())
    storage.picture_path(film.pk).write_bytes(films.jpeg())
    merged = Patient.objects.create(
        team=team, family_name="Merged", merged_into=patient, deleted_at=timezone.now()
    )
    bundle = shelf.bundles().get(name="pediatric-pneumonia")
    reading = Reading.objects.create(
        instance=film, bundle=bundle, engine="server", image_sha256="0" * 64
    )
    data_set = DataSet.objects.create(team=team, name="set", created_by=boss)
    version = DataSetVersion.objects.create(
        data_set=data_set, number=1, rule="best", digest="0" * 64, created_by=boss
    )
    moved: dict[str, list[str]] = {"cases": [], "identifiers": []}
    peer = Peer.objects.create(name="Archive", ae_title="A", way="store")
    arrival = Arrival.objects.create(
        peer=peer, team=team, instance=film, state="failed", size=1, path="gone"
    )
    delivery = Delivery.objects.create(peer=peer, team=team, instance=film, reading=reading)
    wish = PurgeRequest.objects.create(
        team=team, kind="patient", row_id=gone.pk, reason="x", requested_by=boss
    )
    return {
        "patient": patient.pk,
        "target": other.pk,
        "case": case.pk,
        "instance": film.pk,
        "identifier": patient.identifiers.create(team=team, value="1").pk,
        "merge": Merge.objects.create(
            source=merged, target=patient, merged_by=boss, moved=moved
        ).pk,
        "person": person.pk,
        "kind": "patient",
        "row": gone.pk,
        "purge": wish.pk,
        "session": UserSession.objects.create(user=person, session_key="x").pk,
        "emergency_": Emergency.objects.create(
            user=boss, patient_id=patient.pk, team=team, reason="x", until=timezone.now()
        ).pk,
        "token": "unknown",
        "team": team.pk,
        "bundle": bundle.pk,
        "shadow": Shadow.objects.create(
            bundle=bundle, beside=bundle, films_since=timezone.now(), started_by=boss
        ).pk,
        "alert": DriftAlert.objects.create(kind="films", what="mean").pk,
        "digest": bundle.digest,
        "reading": reading.pk,
        "peer": peer.pk,
        "arrival": arrival.pk,
        "delivery": delivery.pk,
        "rule": Rule.objects.create(name="x", team=team).pk,
        "version": version.pk,
        "study": Study.objects.create(
            team=team, name="x", findings=[], design="unaided", seed=1, created_by=boss
        ).pk,
        "finding": "Pneumonia",
        "number": 1,
        "layout": "table",
    }


def ask(client: Client, name: str, given: dict[str, Any]) -> HttpResponse:
    """Open a route as it is meant to be asked."""
    held = {one: given[one] for one in WALKED[name]}
    method = ROUTES.get(name, ("GET", ()))[0]
    sent = {
        key: given.get(value, value) if isinstance(value, str) else value
        for key, value in SENT.get(name, {}).items()
    }
    address = reverse(name, kwargs=held)
    if method == "PUT":
        answer: HttpResponse = client.put(address, sent, "application/json")
    elif method == "JSON":
        answer = client.post(address, sent, "application/json")
    else:
        answer = getattr(client, method.lower())(address, sent)
    if answer.streaming:
        b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    return answer


def turned_away(answer: HttpResponse) -> bool:
    """Whether somebody unknown was sent to the door."""
    doors = (reverse("account_login"), reverse("admin_login"))
    door = answer.status_code == 302 and answer["Location"].startswith(doors)
    return door or answer.status_code == 401


def test_every_route_is_in_the_table() -> None:
    assert set(OURS) == set(ROUTES) | OPEN | OF_A_PERSON | EMPTY


@pytest.mark.parametrize("name", sorted(WALKED))
def test_nobody_is_turned_away_everywhere_but_at_the_door(
    client: Client, arguments: dict[str, Any], name: str
) -> None:
    given = {**dict.fromkeys(WALKED[name], 1), **arguments}
    held = {one: given[one] for one in WALKED[name]}
    try:
        address = reverse(name, kwargs=held)
    except NoReverseMatch:
        pytest.skip("a route with a choice in it")
    for method in ("get", "post", "put", "delete"):
        answer = getattr(client, method)(address)
        assert turned_away(answer) or name in OPEN | {"mfa_authenticate"}
        assert not (name == "health" and turned_away(answer))


@pytest.mark.parametrize("name", OF_ROWS)
def test_what_another_team_owns_is_not_there(
    name: str,
    arguments: dict[str, Any],
    make_user: Callable[..., User],
    other_team: Team,
    sign_in: Callable[[User], Client],
) -> None:
    stranger = make_user("stranger", other_team, *Role.values)
    answer = ask(sign_in(stranger), name, arguments)
    # A review of an emergency that is not one's own changes nothing and tells nothing.
    expected = 302 if name == "review_emergency" else 404
    assert answer.status_code == expected
    assert Emergency.objects.get(pk=arguments["emergency_"]).seen_by is None


@pytest.mark.parametrize("name", sorted(ROUTES))
@pytest.mark.parametrize("role", ALL)
def test_each_role_opens_what_the_table_says(
    name: str,
    role: Role,
    arguments: dict[str, Any],
    make_user: Callable[..., User],
    team: Team,
    sign_in: Callable[[User], Client],
) -> None:
    client = sign_in(make_user("the one", team, role))
    answer = ask(client, name, arguments)
    if role in ROUTES[name][1]:
        absent = {404} if name in ABSENT else set()
        assert answer.status_code in {200, 201, 202, 204, 302, 400, 422} | absent
        assert not turned_away(answer)
    else:
        assert answer.status_code == (404 if name == "download_data_set" and role == A else 403)


def test_a_researcher_sees_no_name(
    make_user: Callable[..., User],
    team: Team,
    sign_in: Callable[[User], Client],
    case: Case,
    patient: Patient,
) -> None:
    Case.objects.filter(pk=case.pk).update(question="Why?")
    case.refresh_from_db()
    client = sign_in(make_user("researcher", team, "researcher"))
    pages = [
        client.get(reverse("home")),
        client.get(reverse("cases")),
        client.post(reverse("cases"), {"q": "Anna"}),
        client.get(reverse("case", args=[case.pk])),
        client.get(reverse("read_case", args=[case.pk])),
        client.get(reverse("api-1:case", args=[case.pk])),
    ]
    for page in pages:
        assert page.status_code == 200
        assert "Example" not in page.content.decode()
    assert case.question not in pages[2].content.decode()
    assert patient.pseudonym in client.get(reverse("cases")).content.decode()


def test_roles_add_up_and_nobody_signs_but_clinicians() -> None:
    assert roles_with(Permission.SIGN) == [Role.CLINICIAN]
    assert {one for held in PERMISSIONS.values() for one in held} == set(Permission)


def test_a_closed_account_may_nothing(make_user: Callable[..., User], team: Team) -> None:
    person = make_user("closed", team, "clinician", is_active=False)
    assert not any(person.may(one) for one in Permission)


def test_who_owns_no_session_cannot_end_it(
    clinician: User, outsider: User, sign_in: Callable[[User], Client]
) -> None:
    sign_in(outsider).get("/")
    theirs = outsider.sessions.get()
    client = sign_in(clinician)
    assert client.post(reverse("end_session", args=[theirs.pk])).status_code == 404
    assert client.post(reverse("end_session", args=[uuid4()])).status_code == 404
