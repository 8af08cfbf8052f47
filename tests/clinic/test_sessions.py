"""Signing in: lockout, idle and absolute limits, sessions ended by oneself and by others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from lucidray_clinic.accounts import sessions
from lucidray_clinic.accounts.middleware import BACKGROUND
from lucidray_clinic.accounts.models import Membership, Team, User, UserSession
from lucidray_clinic.accounts.services import make_one_time_link
from lucidray_clinic.administration import services
from lucidray_clinic.core.models import AuditEvent

DOOR = "account_login"


class Clock:
    """A time that the tests move."""

    def __init__(self) -> None:
        self.now = 1_900_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sessions.time, "time", clock)
    return clock


def try_in(client: Client, name: str, password: str, address: str = "10.0.0.1", **more: str) -> int:
    sent = {"login": name, "password": password}
    return client.post(reverse(DOOR), sent, REMOTE_ADDR=address, **more).status_code


def is_in(client: Client, **headers: str) -> bool:
    return client.get(reverse("home"), headers=headers).status_code == 200


def test_five_failures_lock_this_name_from_this_address_only(
    clinician: User, make_user: Callable[..., User], team: Team, password: str
) -> None:
    make_user("colleague", team, "reader")
    for _ in range(5):
        try_in(Client(), "clinician", "wrong")
    assert try_in(Client(), "clinician", password) in (403, 429)
    assert try_in(Client(), "CLINICIAN", password) in (403, 429)
    assert try_in(Client(), "clinician", password, "10.0.0.2") == 302
    assert try_in(Client(), "colleague", password) == 302


def test_four_failures_do_not_lock(clinician: User, password: str) -> None:
    for _ in range(4):
        try_in(Client(), "clinician", "wrong")
    assert try_in(Client(), "clinician", password) == 302


def test_a_forged_proxy_header_neither_evades_nor_aims_a_lock(
    clinician: User, password: str
) -> None:
    for n in range(5):
        try_in(Client(), "clinician", "wrong", HTTP_X_FORWARDED_FOR=f"10.9.9.{n}")
    assert try_in(Client(), "clinician", password, HTTP_X_FORWARDED_FOR="10.1.1.1") in (403, 429)
    assert try_in(Client(), "clinician", password, "10.9.9.1") == 302


def test_a_configured_proxy_is_believed(clinician: User, password: str, settings: Any) -> None:
    settings.PROXIES = 1
    for _ in range(5):
        try_in(Client(), "clinician", "wrong", HTTP_X_FORWARDED_FOR="6.6.6.6, 10.0.0.7")
    seen = {"HTTP_X_FORWARDED_FOR": "1.2.3.4, 10.0.0.7"}
    assert try_in(Client(), "clinician", password, **seen) in (403, 429)
    assert try_in(Client(), "clinician", password, HTTP_X_FORWARDED_FOR="10.0.0.8") == 302


def test_an_administrator_unlocks(
    clinician: User, make_user: Callable[..., User], team: Team, password: str
) -> None:
    admin = make_user("admin", team, "administrator")
    for _ in range(5):
        try_in(Client(), "clinician", "wrong")
    services.unlock(admin, clinician.pk)
    assert try_in(Client(), "clinician", password) == 302


def test_an_idle_session_ends_after_a_quarter_of_an_hour(
    clinician: User, sign_in: Callable[[User], Client], clock: Clock
) -> None:
    client = sign_in(clinician)
    for _ in range(5):
        clock.now += 14 * 60
        assert is_in(client)
    clock.now += 15 * 60 + 1
    assert not is_in(client)


def test_polling_does_not_keep_a_session_open(
    clinician: User, sign_in: Callable[[User], Client], clock: Clock
) -> None:
    client = sign_in(clinician)
    for _ in range(15):
        clock.now += 60
        assert is_in(client, **{BACKGROUND: "1"})
    clock.now += 2
    assert not is_in(client, **{BACKGROUND: "1"})


def test_a_session_ends_after_twelve_hours_whatever_happens(
    clinician: User, sign_in: Callable[[User], Client], clock: Clock
) -> None:
    client = sign_in(clinician)
    for _ in range(12 * 6):
        clock.now += 600
        assert is_in(client)
    clock.now += 60
    assert not is_in(client)


def test_closing_an_account_ends_its_sessions_at_once(
    clinician: User,
    make_user: Callable[..., User],
    team: Team,
    sign_in: Callable[[User], Client],
    password: str,
) -> None:
    client, admin = sign_in(clinician), make_user("admin", team, "administrator")
    assert is_in(client)
    services.set_active(admin, clinician.pk, False)
    assert not is_in(client)
    assert try_in(Client(), "clinician", password) == 302  # to the page that says "closed"
    assert clinician.sessions.filter(ended_at=None).count() == 0


def test_one_ends_the_own_other_sessions(
    clinician: User, sign_in: Callable[[User], Client]
) -> None:
    here, there, third = (sign_in(clinician) for _ in range(3))
    listed = here.get(reverse("sessions")).content.decode()
    assert listed.count("<tr>") == 4
    lost = UserSession.objects.get(session_key=third.session.session_key)
    here.post(reverse("end_session", args=[lost.pk]))
    assert (is_in(here), is_in(there), is_in(third)) == (True, True, False)
    here.post(reverse("end_other_sessions"))
    assert (is_in(here), is_in(there)) == (True, False)


def test_an_administrator_ends_anybody_s_sessions(
    clinician: User,
    make_user: Callable[..., User],
    team: Team,
    sign_in: Callable[[User], Client],
) -> None:
    client = sign_in(clinician)
    admin = sign_in(make_user("admin", team, "administrator"))
    admin.post(reverse("end_sessions", args=[clinician.pk]))
    assert (is_in(client), is_in(admin)) == (False, True)


def test_pages_are_never_stored(clinician: User, sign_in: Callable[[User], Client]) -> None:
    client = sign_in(clinician)
    for route in ("home", "patients", "cases"):
        assert "no-store" in client.get(reverse(route))["Cache-Control"]
    client.post(reverse("account_logout"))
    assert not is_in(client)


def test_headers_that_protect(client: Client, db: None) -> None:
    answer = client.get(reverse(DOOR))
    policy = answer["Content-Security-Policy"]
    assert "script-src 'self' 'wasm-unsafe-eval'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe-inline" not in policy
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"


def test_a_second_factor_can_be_required_of_a_role(
    clinician: User,
    make_user: Callable[..., User],
    team: Team,
    sign_in: Callable[[User], Client],
    settings: Any,
) -> None:
    settings.SECOND_FACTOR_ROLES = ("clinician",)
    client = sign_in(clinician)
    answer = client.get(reverse("patients"))
    assert (answer.status_code, answer["Location"]) == (302, reverse("mfa_index"))
    assert client.get(reverse("mfa_index")).status_code == 200
    assert client.get(reverse("api-1:bundles")).status_code == 302
    assert is_in(sign_in(make_user("reader", team, "reader")))
    from allauth.mfa.models import Authenticator

    Authenticator.objects.create(user=clinician, type=Authenticator.Type.TOTP, data={})
    assert is_in(sign_in(User.objects.get(pk=clinician.pk)))


def test_signing_up_is_closed_unless_opened_and_then_waits_for_approval(
    client: Client,
    settings: Any,
    make_user: Callable[..., User],
    team: Team,
    db: None,
) -> None:
    sent = {
        "username": "newcomer",
        "email": "new@example.org",
        "password1": "a very long secret",
        "password2": "a very long secret",
        "first_name": "New",
        "last_name": "Comer",
    }
    client.post(reverse("account_signup"), sent)
    assert not User.objects.filter(username="newcomer").exists()
    settings.SIGN_UP_IS_OPEN = True
    client.post(reverse("account_signup"), sent)
    newcomer = User.objects.get(username="newcomer")
    assert not newcomer.is_active
    assert not is_in(client)
    admin = make_user("admin", team, "administrator")
    services.set_active(admin, newcomer.pk, True)
    assert try_in(Client(), "newcomer", "a very long secret") == 302
    assert Membership.objects.filter(user=newcomer).count() == 0


def test_a_one_time_link_works_once(clinician: User) -> None:
    link = reverse("sign_in_once", args=[make_one_time_link(clinician)])
    first, second = Client(), Client()
    assert first.get(link).status_code == 302
    assert is_in(first)
    assert second.get(link).status_code == 403
    assert not is_in(second)


@pytest.fixture
def secret(clinician: User) -> str:
    """The secret of the clinician's authenticator app."""
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    made = generate_totp_secret()
    TOTP.activate(clinician, made)
    return str(made)


def code(secret: str) -> str:
    from allauth.mfa.totp.internal import auth

    counter = int(time.time()) // 30
    return str(auth.format_hotp_value(auth.hotp_value(secret, counter)))


@pytest.mark.parametrize("roles", [(), ("clinician",)])
def test_a_one_time_link_stands_for_the_password_alone(
    clinician: User, secret: str, roles: tuple[str, ...], settings: Any
) -> None:
    settings.SECOND_FACTOR_ROLES = roles
    client = Client()
    answer = client.get(reverse("sign_in_once", args=[make_one_time_link(clinician)]))
    assert answer["Location"] == reverse("mfa_authenticate")
    assert not is_in(client)
    assert UserSession.objects.count() == 0
    client.post(reverse("mfa_authenticate"), {"code": "000000"})
    assert not is_in(client)
    answer = client.post(reverse("mfa_authenticate"), {"code": code(secret)})
    assert answer["Location"] == reverse("home")
    assert is_in(client)
    other = Client().get(reverse("sign_in_once", args=[make_one_time_link(clinician)]))
    assert other["Location"] == reverse("mfa_authenticate")


def test_a_role_that_needs_a_second_factor_sets_one_up_after_its_link(
    clinician: User, settings: Any
) -> None:
    settings.SECOND_FACTOR_ROLES = ("clinician",)
    clinician.set_unusable_password()  # as of a new person; others are asked for theirs first
    clinician.save()
    client = Client()
    client.get(reverse("sign_in_once", args=[make_one_time_link(clinician)]))
    assert client.get(reverse("patients"))["Location"] == reverse("mfa_index")
    assert client.get(reverse("mfa_activate_totp")).status_code == 200


def test_a_link_signs_nobody_in_beside_somebody_else(
    clinician: User, secret: str, outsider: User, sign_in: Callable[[User], Client]
) -> None:
    client = sign_in(outsider)
    answer = client.get(reverse("sign_in_once", args=[make_one_time_link(clinician)]))
    assert answer["Location"] == reverse("mfa_authenticate")
    assert not is_in(client), "neither the one nor the other"
    client.post(reverse("mfa_authenticate"), {"code": code(secret)})
    assert client.get(reverse("home")).wsgi_request.user == clinician


def test_a_lost_second_factor_is_forgotten_by_an_administrator_or_on_the_machine(
    clinician: User,
    secret: str,
    make_user: Callable[..., User],
    team: Team,
    other_team: Team,
    sign_in: Callable[[User], Client],
) -> None:
    admin, stranger = (
        make_user(name, of, "administrator") for name, of in (("admin", team), ("a2", other_team))
    )
    at_work = sign_in(clinician)
    url = reverse("forget_second_factor", args=[clinician.pk])
    assert sign_in(stranger).post(url).status_code == 404
    page = reverse("person", args=[clinician.pk])
    assert url in sign_in(admin).get(page).content.decode()
    assert sign_in(admin).post(url).status_code == 302
    assert url not in sign_in(admin).get(page).content.decode()
    assert not is_in(at_work)
    told = AuditEvent.objects.filter(action="forget second factor", actor=admin)
    assert told.get().object_id == str(clinician.pk)
    client = Client()
    client.get(reverse("sign_in_once", args=[make_one_time_link(clinician)]))
    assert is_in(client)
    assert sign_in(admin).post(url, follow=True).status_code == 200
    assert told.count() == 1, "there was none any more"


def test_whoever_holds_the_machine_can_forget_a_second_factor(
    clinician: User, secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for more, place in (([], "mfa_authenticate"), (["--forget-second-factor"], "home")):
        call_command("sign_in_link", "clinician", *more)
        answer = Client().get(capsys.readouterr().out.strip())
        assert answer["Location"] == reverse(place)


def test_an_old_link_of_a_closed_account_does_not_work(clinician: User) -> None:
    late = make_one_time_link(clinician, minutes=-1)
    closed = make_one_time_link(clinician)
    User.objects.update(is_active=False)
    for token in (late, closed, "guess"):
        assert Client().get(reverse("sign_in_once", args=[token])).status_code == 403


def test_a_team_keeps_an_administrator(make_user: Callable[..., User], team: Team) -> None:
    from lucidray_clinic.errors import SiteError

    admin = make_user("admin", team, "administrator")
    with pytest.raises(SiteError):
        services.set_roles(admin, admin.pk, team, ["reader"])
    with pytest.raises(SiteError):
        services.set_active(admin, admin.pk, False)


def test_work_on_a_page_keeps_the_session_open(
    clinician: User, sign_in: Callable[[User], Client], clock: Clock
) -> None:
    client = sign_in(clinician)
    for _ in range(10):
        clock.now += 10 * 60
        assert client.post(reverse("alive")).status_code == 204
    assert is_in(client)


def test_a_part_of_a_page_sends_the_whole_page_to_the_door(client: Client, db: None) -> None:
    answer = client.post(reverse("patients"), {"q": "x"}, headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Redirect"]) == (401, reverse("account_login"))


@pytest.mark.parametrize(
    ("password", "fits"),
    [
        ("LucidRay-Radiology-1", False),
        ("clinicianclinician", False),
        ("hospital-orthanc-2026", False),
        ("three wet umbrellas", True),
        ("radiology under seven bridges", True),
    ],
)
def test_words_of_the_house_make_no_password(password: str, fits: bool) -> None:
    if fits:
        return validate_password(password)
    with pytest.raises(ValidationError):
        validate_password(password)
    return None


def test_a_new_password_keeps_this_session_and_ends_the_others(
    clinician: User, sign_in: Callable[[User], Client], password: str
) -> None:
    here, elsewhere = sign_in(clinician), sign_in(clinician)
    fresh = "another long enough password"
    sent = {"oldpassword": password, "password1": fresh, "password2": fresh}
    assert here.post(reverse("account_change_password"), sent).status_code == 302
    assert is_in(here)
    assert not is_in(elsewhere)
    assert clinician.sessions.filter(ended_at=None).count() == 1


def test_the_first_password_is_chosen_without_leaving(db: None) -> None:
    user = User(username="first")
    user.set_unusable_password()
    user.save()
    client = Client()
    client.get(f"/sign-in/{make_one_time_link(user)}/")
    fresh = {"password1": "another long enough password"}
    answer = client.post(reverse("account_set_password"), fresh | {"password2": fresh["password1"]})
    assert answer.status_code == 302
    assert is_in(client)


def test_a_new_password_does_not_lengthen_a_session(
    clinician: User, sign_in: Callable[[User], Client], clock: Clock, password: str, settings: Any
) -> None:
    settings.SESSION_IDLE_SECONDS = 10**9
    client = sign_in(clinician)
    clock.now += settings.SESSION_LIFE_SECONDS - 10
    fresh = "another long enough password"
    sent = {"oldpassword": password, "password1": fresh, "password2": fresh}
    client.post(reverse("account_change_password"), sent)
    assert is_in(client)
    clock.now += 20
    assert not is_in(client)
