"""Fixtures of the site's tests: teams, people in every role, patients, cases."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from PIL import Image

import lucidray
from lucidray_clinic.accounts.models import Membership, Team, User
from lucidray_clinic.cases import storage
from lucidray_clinic.cases.models import Case, Instance
from lucidray_clinic.core.identifiers import new_id
from lucidray_clinic.patients.models import Patient

PASSWORD = "a long enough password"
CHROMIUM = (
    os.environ.get("LUCIDRAY_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
)


@pytest.fixture
def password() -> str:
    """The password of everybody whom `make_user` makes."""
    return PASSWORD


@pytest.fixture(autouse=True)
def _own_folders(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "films"
    settings.MEDIA_ROOT.mkdir()
    cache.clear()  # of counted requests
    settings.MODELS_ROOT = tmp_path / "models"
    settings.INFERENCE_THREADS = 1
    settings.EXPORTS_ROOT = tmp_path / "exports"


@pytest.fixture
def team(db: None) -> Team:
    return Team.objects.create(name="Radiology")


@pytest.fixture
def other_team(db: None) -> Team:
    return Team.objects.create(name="Elsewhere")


@pytest.fixture
def make_user(db: None) -> Callable[..., User]:
    def make(name: str, team: Team | None = None, *roles: str, **values: Any) -> User:
        user = User.objects.create_user(name, password=PASSWORD, **values)
        for role in roles:
            Membership.objects.create(user=user, team=team, role=role)
        return user

    return make


@pytest.fixture
def clinician(make_user: Callable[..., User], team: Team) -> User:
    return make_user("clinician", team, "clinician")


@pytest.fixture
def outsider(make_user: Callable[..., User], other_team: Team) -> User:
    return make_user("outsider", other_team, "clinician")


@pytest.fixture
def patient(team: Team) -> Patient:
    return Patient.objects.create(team=team, family_name="Example", given_name="Anna")


@pytest.fixture
def case(patient: Patient) -> Case:
    return Case.objects.create(team=patient.team, patient=patient, title="Chest PA")


@pytest.fixture
def add_film() -> Callable[..., Instance]:
    """Files one of the generated films that are shipped under a case, without the quarantine."""

    def add(case: Case, name: str = "child_pneumonia_a") -> Instance:
        path = Path(lucidray.__file__).parent / "examples" / f"{name}.jpg"
        with Image.open(path) as picture:
            columns, rows = picture.size
        key, digest = new_id(), hashlib.sha256(path.read_bytes()).hexdigest()
        place, small = storage.file_path(key), storage.picture_path(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
        shutil.copyfile(path, small)
        return Instance.objects.create(
            id=key,
            case=case,
            name=path.name,
            media_type="image/jpeg",
            size=path.stat().st_size,
            sha256=digest,
            pixels_sha256=hashlib.sha256(digest.encode()).hexdigest(),
            rows=rows,
            columns=columns,
        )

    return add


@pytest.fixture
def film(case: Case, add_film: Callable[..., Instance]) -> Instance:
    return add_film(case)


@pytest.fixture
def sign_in() -> Callable[[User], Client]:
    def enter(user: User) -> Client:
        client = Client()
        client.force_login(user, "allauth.account.auth_backends.AuthenticationBackend")
        return client

    return enter


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium, or a skip that says what is missing."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    if CHROMIUM is None:
        pytest.skip("no Chromium here: install it, or set LUCIDRAY_CHROMIUM to one")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-quic"]
        )
        yield running
        running.close()
