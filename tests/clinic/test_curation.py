"""Finding cases, agreement, and data sets that `lucidray data check` and `lucidray train` take."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import films
import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image
from typer.testing import CliRunner

from lucidray.cli.app import app
from lucidray.datasets import load_dataset
from lucidray.datasets.audit import audit
from lucidray.errors import LucidRayError
from lucidray_clinic.accounts.models import Membership, Team, User
from lucidray_clinic.analyses import figures as model_figures
from lucidray_clinic.analyses import shelf
from lucidray_clinic.analyses.models import Called, FirstOpinion, Reading
from lucidray_clinic.annotations.models import Box, FindingDecision
from lucidray_clinic.cases import storage
from lucidray_clinic.cases.models import Case, Instance
from lucidray_clinic.cases.services import list_cases
from lucidray_clinic.core.models import AuditEvent
from lucidray_clinic.curation import agreeing, exporting, figures, searching
from lucidray_clinic.curation.cells import to_csv
from lucidray_clinic.curation.filtering import Filters, filtered
from lucidray_clinic.curation.gathering import split_of
from lucidray_clinic.curation.labeling import labels_of
from lucidray_clinic.curation.models import DataSet, DataSetVersion
from lucidray_clinic.errors import SiteError
from lucidray_clinic.patients.models import Patient
from lucidray_clinic.reports.models import Report, Reported

Enter = Callable[[User], Client]
SECRET = "Unmistakable"


@pytest.fixture
def researcher(make_user: Any, team: Team) -> User:
    return make_user("researcher", team, "researcher")


@pytest.fixture
def second(make_user: Any, team: Team) -> User:
    return make_user("second", team, "reader")


@pytest.fixture
def new_case(team: Team) -> Callable[..., Case]:
    """Makes a case of a patient of its own, with one film."""

    def make(seed: int, data: bytes = b"", **values: Any) -> Case:
        patient = Patient.objects.create(
            id=UUID(int=seed),
            team=team,
            family_name=f"{SECRET}{seed}",
            given_name="Zelda",
            sex="F" if seed // 2 % 2 else "M",
            birth_date=date(1990, 1, 1),
        )
        case = Case.objects.create(
            team=team,
            patient=patient,
            accession=f"{SECRET}ACC",
            acquired_on=date(2026, 1, 2),
            **values,
        )
        film = Instance.objects.create(
            case=case,
            name=f"{SECRET}.png",
            media_type="image/png",
            size=1,
            sha256="0" * 64,
            pixels_sha256=f"{seed:064d}",
            rows=160,
            columns=160,
            view_position="PA",
            sop_uid=f"1.2.{seed}",
        )
        place = storage.file_path(film.pk)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data or films.png(seed))
        return case

    return make


@pytest.fixture
def report(clinician: User) -> Callable[..., Report]:
    """Signs a report, as the service would leave it."""

    def make(case: Case, **findings: str) -> Report:
        told = [
            {"finding": name.replace("_", " "), "certainty": certainty, "note": ""}
            for name, certainty in findings.items()
        ]
        row = Report.objects.create(
            case=case,
            author=clinician,
            findings=told,
            impression="x",
            signed_at=timezone.now(),
            signed_by=clinician,
        )
        for each in told:
            Reported.objects.create(
                report=row, case=case, finding=each["finding"], certainty=each["certainty"]
            )
        return row

    return make


@pytest.fixture
def call(clinician: User) -> Callable[..., Reading]:
    """Keeps a reading that calls findings as told."""

    def make(case: Case, days_ago: int = 0, **more: Any) -> Reading:
        at = timezone.now() - timedelta(days=days_ago)
        said = more.pop("said", {"Pneumonia": True})
        findings = [
            {"name": name, "probability": 0.9, "threshold": 0.5, "positive": positive}
            for name, positive in said.items()
        ]
        reading = Reading.objects.create(
            instance=case.instances.get(),
            bundle=shelf.bundles().get(name="pediatric-pneumonia"),
            engine="server",
            image_sha256="0" * 64,
            findings=findings,
            created_at=at,
            **more,
        )
        for name, positive in said.items():
            Called.objects.create(
                reading=reading,
                case=case,
                finding=name,
                probability=0.9,
                positive=positive,
                made_at=at,
            )
        return reading

    return make


def decide(case: Case, reading: Reading, who: User, decision: str, after: str = "") -> None:
    said = reading.findings[0]
    FindingDecision.objects.create(
        case=case,
        reading=reading,
        finding=said["name"],
        author=who,
        decision=decision,
        finding_after=after,
        original=said,
    )


def box(case: Case, who: User, finding: str = "Pneumonia", **more: Any) -> Box:
    corners = {"x_min": 10.5, "y_min": 20.0, "x_max": 60.5, "y_max": 90.0}
    film = case.instances.get()
    return Box.objects.create(
        case=case, instance=film, author=who, finding=finding, **(corners | more)
    )


def found(user: User, **words: Any) -> set[Any]:
    return {case.pk for case in filtered(user, Filters(**words))}


# --- finding cases -------------------------------------------------------------------------------
def test_filters_equal_a_look_at_the_rows(
    clinician: User, second: User, new_case: Any, report: Any, call: Any
) -> None:
    one, two, three, four = (new_case(seed) for seed in range(4))
    first, old = call(one), call(two, days_ago=40)
    call(three, said={}, refusal={"reason": "unlike_training", "message": "No."})
    call(four, said={"Pneumonia": False}, refer=True)
    decide(one, first, clinician, "accept")
    decide(two, old, clinician, "accept")
    decide(two, old, second, "reject")
    report(one, Pneumonia="probable")
    report(four, Pneumonia="possible")
    box(three, clinician, "Mass")
    assert found(clinician, called="Pneumonia") == {one.pk, two.pk}
    assert found(clinician, called="Pneumonia", days=30) == {one.pk}
    assert found(clinician, result="refused") == {three.pk}
    assert found(clinician, result="referred") == {four.pk}
    assert found(clinician, result="reliable") == {one.pk, two.pk}
    assert found(clinician, result="any") == {one.pk, two.pk, three.pk, four.pk}
    assert found(clinician, agreement="agree") == {one.pk}
    assert found(clinician, agreement="disagree") == {two.pk}
    assert found(clinician, agreement="decided") == {one.pk, two.pk}
    assert found(clinician, reported="Pneumonia") == {one.pk}
    assert found(clinician, boxed="Mass") == {three.pk}
    assert found(clinician, sex="F") == {three.pk, four.pk}
    assert found(clinician, view="AP") == set()
    assert found(clinician, age_from=36, age_to=36) == {one.pk, two.pk, three.pk, four.pk}
    assert found(clinician, age_from=37) == set()
    today = timezone.localdate()
    assert len(found(clinician, since=today, until=today)) == 4
    assert found(clinician, until=today - timedelta(days=1)) == set()


@pytest.mark.parametrize("few", [0, 1, 1000])
def test_few_and_many_rows_find_the_same_cases(
    clinician: User, new_case: Any, call: Any, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lucidray_clinic.core.few.FEW", few)
    one, two, three, _ = (new_case(seed) for seed in range(4))
    call(one)
    call(one, days_ago=3)
    call(two, said={"Mass": True})
    call(three, said={}, refusal={"reason": "x", "message": "No."})
    assert found(clinician, called="Pneumonia") == {one.pk}
    assert found(clinician, called="Hernia") == set()
    assert found(clinician, result="refused") == {three.pk}
    assert found(clinician, result="reliable") == {one.pk, two.pk}
    assert found(clinician, result="any", sex="F") == {three.pk}
    names = {case.pk for case in list_cases(clinician, query=f"{SECRET}1 zel")}
    assert names == {two.pk}
    assert {case.pk for case in list_cases(clinician, query="nobody")} == set()


def test_an_emergency_is_found_by_what_a_model_called(
    outsider: User, clinician: User, new_case: Any, call: Any
) -> None:
    case = new_case(1)
    call(case)
    assert found(outsider, called="Pneumonia") == set()
    until = timezone.now() + timedelta(hours=1)
    opened = {"patient_id": case.patient_id, "team": case.team}
    outsider.emergencies.create(reason="x", until=until, **opened)
    assert found(User.objects.get(pk=outsider.pk), called="Pneumonia") == {case.pk}


def test_pages_of_a_filter_are_those_of_all_teams_together(
    make_user: Any, team: Team, other_team: Team, new_case: Any, call: Any
) -> None:
    user = make_user("both", team, "clinician")
    Membership.objects.create(user=user, team=other_team, role="clinician")
    cases = [new_case(seed) for seed in range(6)]
    for case in cases[::2]:
        patient = Patient.objects.create(team=other_team, family_name="Else")
        Case.objects.filter(pk=case.pk).update(team=other_team, patient=patient)
    for case in cases[1:]:
        call(Case.objects.get(pk=case.pk))
    seen = searching.search(user, {"called": "Pneumonia"})
    page = searching.page_of(user, seen, None)
    assert [case.pk for case in page["page"].rows] == [case.pk for case in cases[:0:-1]]
    assert page["total"] == 5


def test_nobody_finds_another_teams_cases(outsider: User, new_case: Any) -> None:
    new_case(1)
    assert found(outsider) == set()


def test_the_database_counts_years_as_people_do(clinician: User, new_case: Any) -> None:
    cases = [new_case(seed) for seed in range(12)]
    born = [date(2000, 2, 29), date(2000, 3, 1), date(1999, 12, 31), None]
    taken = [date(2018, 2, 28), date(2018, 3, 1), None]
    for number, case in enumerate(cases):
        Patient.objects.filter(pk=case.patient_id).update(birth_date=born[number % 4])
        Case.objects.filter(pk=case.pk).update(acquired_on=taken[number // 4])
    rows = list(Case.objects.select_related("patient"))
    for low, high in ((0, 17), (17, 17), (18, 18), (18, None), (None, 17), (0, 200)):
        wanted = {
            case.pk
            for case in rows
            if case.age_years is not None
            and (low or 0) <= case.age_years <= (200 if high is None else high)
        }
        assert found(clinician, age_from=low, age_to=high) == wanted


def test_figures_of_the_home_page_equal_their_cases(
    clinician: User, new_case: Any, report: Any, call: Any, sign_in: Enter
) -> None:
    one, two, three = (new_case(seed) for seed in range(3))
    reading = call(one)
    call(one)  # again by the same model: still one case
    call(two, said={"Pneumonia": True, "Mass": True})
    call(three, said={}, refusal={"reason": "x", "message": "No."})
    decide(one, reading, clinician, "reject")
    report(two, Mass="present")
    values = {one.label: one.value for one in model_figures.called(clinician)}
    assert values == {"Pneumonia": 2, "Mass": 1}
    told = model_figures.reliability(clinician)
    assert (told["total"], told["refused"]["count"], told["refused"]["percent"]) == (4, 1, 25.0)
    assert {one.label: one.value for one in figures.reported(clinician)} == {"Mass": 1}
    agreement = figures.agreement(clinician)
    assert (agreement["total"], agreement["accepted"]) == (1, 0)
    assert sum(one.value for one in model_figures.called_by_week(clinician, "Pneumonia")) == 2
    client = sign_in(clinician)
    home = client.get(reverse("home")).content.decode()
    for value in model_figures.called(clinician):
        assert value.url.replace("&", "&amp;") in home
        page = client.get(value.url).content.decode()
        assert page.count('<th scope="row"><a href="/cases/') == value.value


def test_agreement_with_models_and_between_readers(
    clinician: User, second: User, new_case: Any, call: Any
) -> None:
    cases = [new_case(seed) for seed in range(4)]
    for number, case in enumerate(cases):
        reading = call(case)
        decide(case, reading, clinician, "accept")
        decide(case, reading, second, "accept" if number else "reject")
    rows = agreeing.with_models([case.pk for case in cases])
    assert [(row["finding"], row["total"], row["accepted"]) for row in rows] == [
        ("Pneumonia", 8, 7)
    ]
    between = agreeing.between_readers([case.pk for case in cases])[0]
    assert (between["total"], between["agreed"]) == (4, 3)
    # By hand: of 8 ordered pairs 6 agree; each says "present" in 7 of 8: chance is 50/64.
    assert between["kappa"] == pytest.approx((6 / 8 - 50 / 64) / (1 - 50 / 64))


# --- labels ---------------------------------------------------------------------------------
def test_a_signed_report_goes_before_readers(
    clinician: User, new_case: Any, report: Any, call: Any
) -> None:
    one, two = new_case(1), new_case(2)
    decide(one, call(one), clinician, "accept")
    decide(two, call(two), clinician, "edit", "Atelectasis")
    report(one, Pneumonia="absent", Effusion="possible")
    keys = [one.pk, two.pk]
    assert labels_of(keys, unmentioned_absent=False) == {
        one.pk: {"Pneumonia": 0},
        two.pk: {"Pneumonia": 0, "Atelectasis": 1},
    }
    assert labels_of(keys)[one.pk] == {"Pneumonia": 0, "Atelectasis": 0}
    assert labels_of(keys, "readers")[one.pk] == {"Pneumonia": 1}
    assert labels_of(keys, "reports")[two.pk] == {}


def test_readers_are_counted_and_a_draw_is_unknown(
    clinician: User, second: User, make_user: Any, team: Team, new_case: Any
) -> None:
    case = new_case(1)
    third = make_user("third", team, "reader")
    for reader, certainty in ((clinician, 0.9), (second, 0.1)):
        opinion = [{"finding": "Mass", "certainty": certainty}]
        FirstOpinion.objects.create(case=case, reader=reader, findings=opinion)
    assert labels_of([case.pk], "readers") == {case.pk: {}}
    box(case, third, "Mass")
    assert labels_of([case.pk], "readers") == {case.pk: {"Mass": 1}}


# --- data sets ------------------------------------------------------------------------------
@pytest.fixture
def curated(
    researcher: User, clinician: User, team: Team, new_case: Any, report: Any
) -> DataSetVersion:
    # Splits follow from keys; those given here leave no split empty, whatever the day.
    DataSet.objects.create(id=UUID(int=1), team=team, name="chest", created_by=researcher)
    for seed in range(30):
        case = new_case(seed)
        report(case, Pneumonia="present" if seed % 2 else "absent")
        if seed % 2:
            box(case, clinician, certainty=0.75, note=f"{SECRET} note")
    return exporting.make_version(researcher, team, "chest", Filters(), "best")


def unpacked(version: DataSetVersion, folder: Path, layout: str = "table") -> Path:
    with zipfile.ZipFile(exporting.archive_path(version, layout)) as archive:
        archive.extractall(folder)
    return folder


def test_the_table_is_read_back_as_it_was(curated: DataSetVersion, tmp_path: Path) -> None:
    folder = unpacked(curated, tmp_path / "chest")
    table = load_dataset(folder)
    assert (table.name, table.findings, len(table)) == ("table", ("Pneumonia",), 30)
    assert table.labels().sum() == 15
    assert len(table.boxes) == 15
    assert table.boxes.iloc[0][["x_min", "y_min", "x_max", "y_max"]].tolist() == [
        10.5,
        20.0,
        60.5,
        90.0,
    ]
    assert set(table.rows["age_years"]) == {36.0}
    assert set(table.rows["view_position"]) == {"PA"}
    assert [split_of(patient) for patient in table.rows["patient"]] == list(table.rows["split"])
    assert {"train", "validation", "test"} == set(table.rows["split"])
    assert table.terms == exporting.TERMS


def test_pixels_come_out_as_they_went_in(curated: DataSetVersion, tmp_path: Path) -> None:
    folder = unpacked(curated, tmp_path / "chest")
    originals = {films.pixels(seed).tobytes() for seed in range(30)}
    for path in (folder / "images").iterdir():
        with Image.open(path) as picture:
            assert picture.mode == "L"
            assert not picture.info
            assert np.array(picture).tobytes() in originals


def test_a_dicom_film_becomes_sixteen_bit_grey_without_tags(
    researcher: User, team: Team, new_case: Any, report: Any, tmp_path: Path
) -> None:
    data = films.dicom(PatientName=f"{SECRET}^Dicom", PatientComments=SECRET)
    report(new_case(1, data), Mass="present")
    version = exporting.make_version(researcher, team, "deep", Filters(), "best")
    folder = unpacked(version, tmp_path / "deep")
    path = next((folder / "images").iterdir())
    with Image.open(path) as picture:
        assert picture.mode.startswith("I;16")
        assert np.array(picture).max() > 255
    assert SECRET.encode() not in path.read_bytes()


@pytest.mark.parametrize("layout", exporting.LAYOUTS)
def test_nothing_tells_whose_films_they_are(
    curated: DataSetVersion, clinician: User, researcher: User, tmp_path: Path, layout: str
) -> None:
    folder = unpacked(curated, tmp_path / "chest", layout)
    rows = [*Patient.objects.all(), *Case.objects.all(), *Instance.objects.all()]
    secrets = {SECRET, "Zelda", "1990-01-01", "2026-01-02", clinician.username, researcher.username}
    secrets |= {str(row.pk) for row in rows} | {row.pk.hex for row in rows}
    secrets |= {patient.pseudonym for patient in Patient.objects.all()}
    for path in folder.rglob("*"):
        data = b"" if path.is_dir() else path.read_bytes()
        for secret in secrets:
            assert secret.encode() not in data, (path, secret)
            assert secret not in path.name


def test_the_manifest_holds_every_files_hash(curated: DataSetVersion, tmp_path: Path) -> None:
    folder = unpacked(curated, tmp_path / "chest")
    manifest = json.loads((folder / "manifest.json").read_text())
    listed = {one["path"]: one["sha256"] for one in manifest["files"]}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == set(listed) | {"manifest.json", "CARD.md"}
    for path, digest in listed.items():
        assert hashlib.sha256((folder / path).read_bytes()).hexdigest() == digest
    assert manifest["digest"] == curated.digest
    assert manifest["findings"]["Pneumonia"] == {"present": 15, "absent": 15, "unknown": 0}
    card = (folder / "CARD.md").read_text()
    assert "| Pneumonia | 15 | 15 | 0 |" in card
    assert "burned into" in card


def test_coco_boxes_lie_where_readers_drew_them(curated: DataSetVersion, tmp_path: Path) -> None:
    folder = unpacked(curated, tmp_path / "chest")
    coco = json.loads((folder / "annotations.coco.json").read_text())
    assert len(coco["images"]) == 30
    assert all((folder / one["file_name"]).is_file() for one in coco["images"])
    one = coco["annotations"][0]
    assert (one["bbox"], one["area"], one["certainty"]) == ([10.5, 20, 50, 70], 3500, 0.75)
    assert coco["categories"] == [{"id": 1, "name": "Pneumonia", "supercategory": "chest"}]


def test_chestxray14s_layout_is_recognized(curated: DataSetVersion, tmp_path: Path) -> None:
    table = load_dataset(unpacked(curated, tmp_path / "nih", "chestxray14"))
    assert (table.name, len(table)) == ("nih_chestxray14", 30)
    assert table.labels(["Pneumonia"]).sum() == 15
    assert len(table.boxes) == 15
    assert table.boxes["x_max"].iloc[0] == 60.5
    assert table.rows["path"].notna().all()


def test_data_check_finds_no_fault(curated: DataSetVersion, tmp_path: Path) -> None:
    folder = unpacked(curated, tmp_path / "chest")
    told = CliRunner().invoke(app, ["data", "check", str(folder), "--json"])
    assert told.exit_code == 0, told.output
    found = audit(load_dataset(folder), workers=1)
    critical = [one.title for one in found.remarks if one.severity == "critical"]
    assert not critical


@pytest.mark.slow
def test_the_export_trains_as_it_is(curated: DataSetVersion, tmp_path: Path) -> None:
    folder, recipe = unpacked(curated, tmp_path / "chest"), tmp_path / "recipe.toml"
    recipe.write_text(
        '[image]\nsize = 32\nchannels = 1\nnormalization = "zscore"\n'
        '[model]\nbackbone = "test_resnet"\nin_channels = 1\n'
        "[[phases]]\nepochs = 1\nlearning_rate = 1e-3\n"
    )
    run = tmp_path / "run"
    words = ["train", str(recipe), "--data", str(folder), "--out", str(run), "--json"]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.output
    assert list(run.rglob("*.safetensors"))


def test_versions_count_up_and_old_ones_stay(
    curated: DataSetVersion, researcher: User, team: Team, new_case: Any, report: Any
) -> None:
    before = exporting.archive_path(curated, "table").read_bytes()
    report(new_case(99), Pneumonia="present")
    later = exporting.make_version(researcher, team, "chest", Filters(), "best")
    assert (curated.number, later.number, later.manifest["images"]) == (1, 2, 31)
    assert exporting.archive_path(curated, "table").read_bytes() == before
    same = {one["path"] for one in curated.manifest["files"] if "images/" in one["path"]}
    assert same < {one["path"] for one in later.manifest["files"]}, "pseudonyms stay"
    other = exporting.make_version(researcher, team, "other", Filters(), "best")
    assert not same & {one["path"] for one in other.manifest["files"]}, "but not across data sets"


def test_a_failure_leaves_nothing(
    researcher: User, team: Team, new_case: Any, report: Any, settings: Any
) -> None:
    case = new_case(1)
    report(case, Mass="present")
    storage.file_path(case.instances.get().pk).unlink()
    with pytest.raises(LucidRayError):
        exporting.make_version(researcher, team, "broken", Filters(), "best")
    assert not DataSetVersion.objects.exists()
    assert not DataSet.objects.exists()
    assert not list(Path(settings.EXPORTS_ROOT).iterdir())


def test_cases_without_labels_make_no_data_set(
    researcher: User, team: Team, new_case: Any, settings: Any
) -> None:
    new_case(1)
    with pytest.raises(SiteError, match="Nothing is known"):
        exporting.make_version(researcher, team, "empty", Filters(), "best")
    settings.EXPORT_MAX_CASES = 0
    with pytest.raises(SiteError, match="narrow the filter"):
        exporting.make_version(researcher, team, "empty", Filters(), "best")


def test_no_cell_is_a_formula() -> None:
    cells = ["=1+1", "+1", "-1", "@x", "\tx", " =1", "fine", -3, None]
    rows = list(csv.reader(io.StringIO(to_csv(["a", "=b"], [cells]).decode())))
    assert rows[0] == ["a", "'=b"]
    assert rows[1] == ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "' =1", "fine", "-3", ""]


# --- pages ----------------------------------------------------------------------------------------
def test_a_data_set_from_page_to_download(
    researcher: User, sign_in: Enter, team: Team, new_case: Any, report: Any
) -> None:
    report(new_case(1), Mass="present")
    report(new_case(2), Effusion="present")
    client = sign_in(researcher)
    page = client.get(reverse("curate"), {"reported": "Mass"}).content.decode()
    assert "1 case" in page
    assert 'name="reported" value="Mass"' in page
    body = {"reported": "Mass", "team": team.pk, "name": "masses", "rule": "reports"}
    told = client.post(reverse("make_data_set"), body)
    assert told.status_code == 422
    assert "burned-in names stay in" in told.content.decode()
    made = client.post(reverse("make_data_set"), body | {"looked": "on"})
    assert made.status_code == 302
    version = DataSetVersion.objects.get()
    assert version.manifest["images"] == 1
    assert version.filters == {"reported": "Mass"}
    assert "masses" in client.get(reverse("data_sets")).content.decode()
    assert version.digest in client.get(made["Location"]).content.decode()
    answer = client.get(reverse("download_data_set", args=[version.pk, "table"]))
    assert zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))).testzip() is None
    assert "attachment" in answer["Content-Disposition"]
    assert AuditEvent.objects.get(action="export").detail["digest"] == version.digest
    unknown = client.get(reverse("download_data_set", args=[version.pk, "tarball"]))
    assert unknown.status_code == 400


def test_a_researcher_curates_without_names(
    researcher: User, sign_in: Enter, new_case: Any, report: Any
) -> None:
    report(new_case(1), Mass="present")
    page = sign_in(researcher).get(reverse("curate")).content.decode()
    assert SECRET not in page


@pytest.mark.parametrize(
    ("role", "finds", "makes"),
    [
        ("researcher", 200, 302),
        ("clinician", 200, 403),
        ("reader", 200, 403),
        ("administrator", 200, 403),
    ],
)
def test_who_may_export(
    make_user: Any,
    team: Team,
    sign_in: Enter,
    new_case: Any,
    report: Any,
    role: str,
    finds: int,
    makes: int,
) -> None:
    report(new_case(1), Mass="present")
    client = sign_in(make_user("somebody", team, role))
    assert client.get(reverse("curate")).status_code == finds
    body = {"team": team.pk, "name": "x", "rule": "best", "looked": "on"}
    told = client.post(reverse("make_data_set"), body)
    expected = (makes, 422) if role == "administrator" else (makes,)
    assert told.status_code in expected
    assert DataSetVersion.objects.exists() == (makes == 302)
    status = client.get(reverse("data_sets")).status_code
    assert status == (200 if role == "researcher" else 403)


def test_other_teams_download_nothing(
    curated: DataSetVersion, make_user: Any, other_team: Team, sign_in: Enter
) -> None:
    client = sign_in(make_user("stranger", other_team, "researcher"))
    assert client.get(reverse("data_set", args=[curated.pk])).status_code == 404
    for layout in exporting.LAYOUTS:
        url = reverse("download_data_set", args=[curated.pk, layout])
        assert client.get(url).status_code == 404
    assert client.get(reverse("data_set", args=[uuid4()])).status_code == 404
