"""Reports: written, previewed, signed, then immutable; addenda; print and PDF."""

from __future__ import annotations

import builtins
import io
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.test import Client
from django.urls import reverse
from PIL import Image

from lucidray_clinic.accounts.models import Team, User
from lucidray_clinic.administration.purging import destroy
from lucidray_clinic.analyses import runs, shelf
from lucidray_clinic.analyses.models import Reading
from lucidray_clinic.annotations import deciding
from lucidray_clinic.annotations.models import Box
from lucidray_clinic.cases.models import Case, Instance, Status
from lucidray_clinic.core.models import AuditEvent
from lucidray_clinic.reports import content
from lucidray_clinic.reports.models import Report, Reported

Enter = Callable[[User], Client]


@pytest.fixture
def reading(clinician: User, case: Case, film: Instance) -> Reading:
    bundle = shelf.bundles().get(name="pediatric-pneumonia")
    run = runs.read_on_server(clinician, case.pk, film.pk, bundle.digest)
    assert run.reading is not None
    return run.reading


def form(version: int, *findings: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "version": version,
        "impression": "Pneumonia of the right lower lobe.",
        "comparison": "None.",
        "reading": "",
        "finding-TOTAL_FORMS": len(findings),
        "finding-INITIAL_FORMS": 0,
    }
    for number, (finding, certainty, note) in enumerate(findings):
        data |= {
            f"finding-{number}-finding": finding,
            f"finding-{number}-certainty": certainty,
            f"finding-{number}-note": note,
        }
    return data | more


def write(client: Client, case: Case, version: int = 0, **more: Any) -> Any:
    rows = (("Pneumonia", "present", "right lower lobe"), ("Effusion", "absent", ""))
    return client.post(reverse("edit_report", args=[case.pk]), form(version, *rows, **more))


def sign(client: Client, case: Case, version: int, password: str) -> Any:
    body = {"version": version, "password": password}
    return client.post(reverse("sign_report", args=[case.pk]), body)


@pytest.fixture
def signed(clinician: User, sign_in: Enter, case: Case, password: str) -> Report:
    client = sign_in(clinician)
    assert write(client, case).status_code == 302
    assert sign(client, case, 1, password).status_code == 302
    return Report.objects.get()


def test_a_new_report_begins_with_what_was_accepted(
    clinician: User, sign_in: Enter, case: Case, reading: Reading
) -> None:
    deciding.decide(clinician, case.pk, "Pneumonia", reading.pk, "accept")
    page = sign_in(clinician).get(reverse("edit_report", args=[case.pk])).content.decode()
    assert '<option value="Pneumonia" selected>' in page
    assert f'<option value="{reading.pk}" selected>' in page
    assert not Report.objects.exists(), "looking begins nothing"


def test_a_draft_is_written_and_shown(
    clinician: User, sign_in: Enter, case: Case, reading: Reading
) -> None:
    client = sign_in(clinician)
    keys = [f"film:{reading.instance_id}", f"map:{reading.pk}:Pneumonia"]
    told = write(client, case, reading=str(reading.pk), key_images=keys)
    assert (told.status_code, told["Location"]) == (302, reverse("report", args=[case.pk]))
    page = client.get(told["Location"]).content.decode()
    for words in ("right lower lobe", "Absent", reading.bundle.digest, "not a lesion outline"):
        assert words in page
    for number in (0, 1):
        answer = client.get(reverse("report_picture", args=[case.pk, number]))
        assert Image.open(io.BytesIO(answer.content)).format == "JPEG"
    assert client.get(reverse("report_picture", args=[case.pk, 2])).status_code == 404


def test_more_rows_lose_nothing(clinician: User, sign_in: Enter, case: Case) -> None:
    page = write(sign_in(clinician), case, more="1")
    assert page.status_code == 200
    assert 'name="finding-TOTAL_FORMS" value="4"' in page.content.decode()
    assert "right lower lobe" in page.content.decode()
    assert not Report.objects.exists()


def test_the_second_to_save_learns_of_the_first(
    clinician: User, make_user: Any, team: Team, sign_in: Enter, case: Case
) -> None:
    first, second = sign_in(clinician), sign_in(make_user("second", team, "reader"))
    write(first, case)
    late = write(second, case, impression="Another view.")
    assert late.status_code == 409
    page = late.content.decode()
    assert "Another view." in page
    assert "Pneumonia of the right lower lobe." in page
    assert 'name="version" value="1"' in page
    assert write(second, case, 1, impression="Agreed.").status_code == 302
    assert Report.objects.get().impression == "Agreed."
    assert write(first, case, 1).status_code == 409


def test_signing_freezes(signed: Report, clinician: User, case: Case) -> None:
    case.refresh_from_db()
    assert (case.status, signed.signed_by) == (Status.REPORTED, clinician)
    assert content.is_intact(signed)
    assert signed.content["patient"]["name"] == "Example, Anna"
    rows = Reported.objects.values_list("finding", "certainty")
    assert set(rows) == {("Pneumonia", "present"), ("Effusion", "absent")}
    assert AuditEvent.objects.get(action="sign").detail == {"digest": signed.digest}


def test_what_is_signed_cannot_be_edited(
    signed: Report, clinician: User, sign_in: Enter, case: Case, password: str
) -> None:
    client = sign_in(clinician)
    assert write(client, case, 2)["Location"] == reverse("report", args=[case.pk])
    assert sign(client, case, 2, password).status_code == 409
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        Report.objects.filter(pk=signed.pk).update(impression="Nothing.")
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        Reported.objects.update(certainty="absent")
    signed.refresh_from_db()
    assert content.is_intact(signed)


def test_a_signed_report_stays_when_patient_and_boxes_change(
    signed: Report, clinician: User, sign_in: Enter, case: Case
) -> None:
    case.patient.family_name = "Renamed"
    case.patient.save()
    page = sign_in(clinician).get(reverse("print_report", args=[case.pk])).content.decode()
    assert "Example, Anna" in page


def test_altering_the_row_past_the_trigger_is_seen(signed: Report) -> None:
    signed.content["impression"] = "Nothing."
    assert not content.is_intact(signed)


def test_a_wrong_password_signs_nothing_and_five_lock(
    clinician: User, sign_in: Enter, case: Case, password: str
) -> None:
    client = sign_in(clinician)
    write(client, case)
    for _ in range(5):
        assert sign(client, case, 1, "wrong").status_code == 400
    assert AuditEvent.objects.filter(action="sign refused").count() == 5
    locked = sign(client, case, 1, password)
    assert "quarter of an hour" in locked.content.decode()
    assert Report.objects.get().signed_at is None


def test_an_old_page_does_not_sign_what_it_did_not_show(
    clinician: User, sign_in: Enter, case: Case, password: str
) -> None:
    client = sign_in(clinician)
    write(client, case)
    write(client, case, 1, impression="Changed since.")
    assert sign(client, case, 1, password).status_code == 409
    assert Report.objects.get().signed_at is None


def test_without_an_impression_nothing_is_signed(
    clinician: User, sign_in: Enter, case: Case, password: str
) -> None:
    client = sign_in(clinician)
    write(client, case, impression=" ")
    assert sign(client, case, 1, password).status_code == 400


def test_addenda_stand_beside_the_report(
    signed: Report, clinician: User, sign_in: Enter, case: Case, password: str
) -> None:
    client, url = sign_in(clinician), reverse("add_addendum", args=[case.pk])
    told = client.post(url, {"text": "The ward was told.", "password": password})
    assert told.status_code == 302
    addendum = signed.addenda.get()
    assert addendum.is_signed and content.is_intact(addendum)
    assert "The ward was told." in client.get(reverse("report", args=[case.pk])).content.decode()
    before = signed.digest
    signed.refresh_from_db()
    assert signed.digest == before
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        Report.objects.filter(pk=addendum.pk).update(impression="No.")


def test_a_draft_takes_no_addendum(
    clinician: User, sign_in: Enter, case: Case, password: str
) -> None:
    client = sign_in(clinician)
    write(client, case)
    body = {"text": "More.", "password": password}
    assert client.post(reverse("add_addendum", args=[case.pk]), body).status_code == 400


@pytest.mark.parametrize(
    "change",
    [
        {"key_images": ["film:00000000-0000-0000-0000-000000000000"]},
        {"finding-1-finding": "Headache"},
        {"finding-1-finding": "Pneumonia"},
    ],
)
def test_what_is_not_of_the_case_is_not_reported(
    clinician: User, sign_in: Enter, case: Case, change: dict[str, Any]
) -> None:
    assert write(sign_in(clinician), case, **change).status_code in (200, 400)
    assert not Report.objects.exists()


def test_before_the_own_opinion_no_model_is_offered(
    clinician: User, sign_in: Enter, case: Case, reading: Reading
) -> None:
    Case.objects.filter(pk=case.pk).update(read_first=True)
    page = sign_in(clinician).get(reverse("edit_report", args=[case.pk])).content.decode()
    assert str(reading.pk) not in page


def test_the_printed_page_is_complete(
    signed: Report, clinician: User, sign_in: Enter, case: Case
) -> None:
    page = sign_in(clinician).get(reverse("print_report", args=[case.pk])).content.decode()
    for words in ("For research and education", "Example, Anna", "right lower lobe", signed.digest):
        assert words in page
    assert AuditEvent.objects.filter(action="print").count() == 1


def test_a_reader_of_arabic_sees_names_in_arabic_and_exports_do_not(
    clinician: User, sign_in: Enter, case: Case, reading: Reading, password: str
) -> None:
    client = sign_in(clinician)
    keys = [f"map:{reading.pk}:Pneumonia"]
    write(client, case, reading=str(reading.pk), key_images=keys)
    User.objects.filter(pk=clinician.pk).update(language="ar")
    draft = client.get(reverse("report", args=[case.pk])).content.decode()
    User.objects.filter(pk=clinician.pk).update(language="en")
    sign(client, case, 1, password)
    User.objects.filter(pk=clinician.pk).update(language="ar")
    assert "التهاب رئوي" in draft
    for route in ("report", "print_report"):
        page = client.get(reverse(route, args=[case.pk])).content.decode()
        found, called = page.index('class="found"'), page.index('class="calls"')
        assert '<th scope="row">التهاب رئوي</th><td class="nowrap">موجود</td>' in page[found:]
        assert '<th scope="row">التهاب رئوي</th>' in page[called:]
        assert "\u2068Pneumonia of the right lower lobe.\u2069" in page
    report = Report.objects.get()
    assert report.content is not None and content.is_intact(report)
    assert [one["finding"] for one in report.content["findings"]] == ["Pneumonia", "Effusion"]
    assert "Pneumonia" in {one["finding"] for one in report.content["model"]["findings"]}
    assert set(Reported.objects.values_list("finding", flat=True)) == {"Pneumonia", "Effusion"}


def test_the_pdf_fetches_nothing(
    clinician: User,
    sign_in: Enter,
    case: Case,
    reading: Reading,
    password: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("weasyprint")
    import socket

    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked for")

    Box.objects.create(
        case=case,
        instance=reading.instance,
        author=clinician,
        finding="Pneumonia",
        x_min=1,
        y_min=1,
        x_max=50,
        y_max=50,
    )
    client = sign_in(clinician)
    keys = [f"boxes:{reading.instance_id}"]
    link = '<img src="http://example.com/x.png"> & <b>'
    write(client, case, key_images=keys, reading=str(reading.pk), impression=link)
    sign(client, case, 1, password)
    monkeypatch.setattr(socket.socket, "connect", refused)
    answer = client.get(reverse("pdf_report", args=[case.pk]))
    assert answer.status_code == 200
    assert answer.content.startswith(b"%PDF-")
    assert answer["Content-Disposition"].startswith("attachment")
    assert b"/Image" in answer.content


def test_without_weasyprint_the_page_says_what_to_install(
    signed: Report, clinician: User, sign_in: Enter, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "weasyprint":
            raise OSError("cannot load library 'libpango-1.0-0'")
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "weasyprint", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    answer = sign_in(clinician).get(reverse("pdf_report", args=[case.pk]))
    assert answer.status_code == 400
    assert "lucidray[pdf]" in answer.content.decode()


@pytest.mark.parametrize(
    ("role", "sees", "writes", "signs"),
    [
        ("clinician", 200, 302, 302),
        ("reader", 200, 302, 403),
        ("administrator", 200, 403, 403),
        ("researcher", 403, 403, 403),
    ],
)
def test_who_may_what(
    make_user: Any,
    team: Team,
    sign_in: Enter,
    clinician: User,
    case: Case,
    password: str,
    role: str,
    sees: int,
    writes: int,
    signs: int,
) -> None:
    client = sign_in(make_user("somebody", team, role))
    assert write(client, case).status_code == writes
    if writes != 302:
        write(sign_in(clinician), case)
    assert client.get(reverse("report", args=[case.pk])).status_code == sees
    assert client.get(reverse("print_report", args=[case.pk])).status_code == sees
    assert sign(client, case, 1, password).status_code == signs
    page = client.get(reverse("case", args=[case.pk])).content.decode()
    assert ("Pneumonia of the right lower lobe." in page) == (sees == 200)


def test_other_teams_find_no_report(
    signed: Report, outsider: User, sign_in: Enter, case: Case, password: str
) -> None:
    client = sign_in(outsider)
    for name in ("report", "edit_report", "print_report", "pdf_report"):
        assert client.get(reverse(name, args=[case.pk])).status_code == 404
    assert client.get(reverse("report_picture", args=[case.pk, 0])).status_code == 404
    assert sign(client, case, 2, password).status_code == 404


def test_a_purge_takes_a_signed_report_with_it(
    signed: Report, clinician: User, sign_in: Enter, case: Case, password: str
) -> None:
    url = reverse("add_addendum", args=[case.pk])
    sign_in(clinician).post(url, {"text": "More.", "password": password})
    destroy(case.patient)
    assert not Report.objects.exists()
    assert not Reported.objects.exists()
