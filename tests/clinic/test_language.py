"""Languages: Arabic turns the pages around, and its catalog says all that the source says."""

from __future__ import annotations

import ast
import gettext
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django import template
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import translation

import lucidray
import lucidray_clinic
from lucidray.bundle import gate
from lucidray.bundle.archive import read
from lucidray.findings import FINDINGS
from lucidray.images import draw_boxes, lettering
from lucidray.images.lettering import can_write
from lucidray.images.quality import check_quality
from lucidray.images.read import read_xray
from lucidray_clinic.accounts.models import Team, User
from lucidray_clinic.analyses import runs, shelf
from lucidray_clinic.analyses.models import ModelBundle
from lucidray_clinic.analyses.pictures import label_of
from lucidray_clinic.cases.models import Case
from lucidray_clinic.core import findings
from lucidray_clinic.core.refusals import MESSAGES
from lucidray_clinic.core.viewer import viewer_strings
from lucidray_clinic.core.viewer_words import WORDS
from lucidray_clinic.pacs.forms import PeerForm, RuleForm
from lucidray_clinic.pacs.models import Peer
from lucidray_clinic.reports.wording import finding_choices

SITE = Path(lucidray_clinic.__file__).parent
EXAMPLES = Path(lucidray.__file__).parent / "examples"
SHIPPED = Path(lucidray.__file__).parent / "bundle" / "shipped"
FOLDER = SITE / "locale" / "ar" / "LC_MESSAGES"
HOLES = re.compile(r"%\(\w+\)[a-z]|%%")


def entries(folder: Path = FOLDER) -> Iterator[tuple[str, list[str]]]:
    """Yield each English text and its translations, one for each plural form."""
    for block in (folder / "django.po").read_text(encoding="utf-8").split("\n\n")[1:]:
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            found = re.match(r'(msg\w+(?:\[\d\])?) (".*")$', line)
            if found:
                name = found[1]
            if line.startswith("msg") or line.startswith('"'):
                text = found[2] if found else line
                fields[name] = fields.get(name, "") + ast.literal_eval(text)
        if "msgid" in fields:
            yield (
                fields["msgid"],
                [text for key, text in fields.items() if key.startswith("msgstr")],
            )


def test_the_compiled_file_is_that_of_the_source() -> None:
    with (FOLDER / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    told = {key: texts for key, texts in entries() if all(texts)}
    assert len(told) > 400
    for key, texts in told.items():
        if len(texts) == 1:
            assert compiled.gettext(key) == texts[0]


def test_nothing_in_the_catalog_is_untranslated() -> None:
    missing = [key for key, texts in entries() if not all(texts)]
    assert missing == []


def extracted(folder: Path) -> dict[str, bool]:
    """Return the texts of the source, collected anew in a folder, and whether each has plurals."""
    left_out = shutil.ignore_patterns("static", "locale", "__pycache__")
    shutil.copytree(SITE, folder, ignore=left_out)
    (folder / "locale").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        call_command("makemessages", locale=["ar"], no_location=True, no_wrap=True, verbosity=0)
    found = entries(folder / "locale" / "ar" / "LC_MESSAGES")
    return {key: len(texts) > 1 for key, texts in found if key}


@pytest.mark.skipif(
    not all(map(shutil.which, ("xgettext", "msguniq", "msgmerge", "msgattrib"))),
    reason="collecting the texts of the source needs GNU gettext",
)
def test_every_text_of_the_source_is_in_the_catalog(tmp_path: Path, settings: Any) -> None:
    settings.LOCALE_PATHS = []  # else what is collected is written to the catalog itself
    told = {key: len(texts) for key, texts in entries() if all(texts)}
    source = extracted(tmp_path / "site")
    assert len(source) > 1000
    missing = {key for key, plural in source.items() if told.get(key) != (6 if plural else 1)}
    assert not missing, "run src/lucidray_clinic/locale/update.sh, then translate these"


def test_texts_are_marked_by_names_that_are_collected() -> None:
    other_name = re.compile(r"\b[nd]?p?gettext\w* as (?!_\b)\w+")
    for file in SITE.rglob("*.py"):
        assert other_name.search(file.read_text(encoding="utf-8")) is None, file


def test_what_stands_for_values_is_kept() -> None:
    for key, texts in entries():
        for text in filter(None, texts):
            lost = set(HOLES.findall(key)) - set(HOLES.findall(text))
            assert not lost or (len(texts) > 1 and lost == {"%(n)s"})
            assert set(HOLES.findall(text)) <= set(HOLES.findall(key))


ARABIC = re.compile("[\u0600-\u06ff]")


def test_every_finding_has_an_arabic_name_of_its_own() -> None:
    cards = [json.loads(read(path).members["card.json"]) for path in SHIPPED.glob("*.lucid")]
    shipped = {each["name"] for card in cards for each in card["findings"]}
    assert shipped
    assert set(findings.NAMES) == set(FINDINGS) | shipped
    with translation.override("ar"):
        told = {name: translation.gettext(name) for name in findings.NAMES}
        choices = dict(finding_choices())
        shown = template.Template("{% finding 'Pneumonia' %}").render(template.Context())
    assert all(ARABIC.search(text) for text in told.values())
    assert len(set(told.values())) == len(told)
    assert choices["Pleural Thickening"] == told["Pleural Thickening"]
    assert shown == told["Pneumonia"]
    assert translation.gettext("Pneumonia") == "Pneumonia"


def test_every_refusal_is_translated() -> None:
    checks = check_quality(read_xray(next(EXAMPLES.glob("adult_*.jpg"))))
    words = "No reliable result: the picture fails a quality check ({})."
    told = {words.format(one.complaint) for one in checks if one.name in gate.REFUSING}
    unlike = gate._unlike(0.0, 1.0)
    assert unlike is not None
    assert set(MESSAGES) == told | {unlike.message}


def test_a_refused_film_is_told_in_arabic(
    clinician: User, sign_in: Callable[[User], Client], case: Case, add_film: Any
) -> None:
    film = add_film(case, "not_judged_hand")
    bundle = shelf.bundles().get(name="adult-opacity")
    runs.read_on_server(clinician, case.pk, film.pk, bundle.digest)
    User.objects.filter(pk=clinician.pk).update(language="ar")
    (told,) = sign_in(clinician).get(f"/api/v1/cases/{case.pk}").json()["readings"]
    assert told["refused"]["message"] in MESSAGES
    assert ARABIC.search(told["verdict"])


def test_the_viewer_is_told_its_words() -> None:
    holes = re.compile(r"\{\w+\}")
    assert viewer_strings() == {}
    with translation.override("ar"):
        told = viewer_strings()
    assert set(told) == {*WORDS, *MESSAGES}
    for key, text in told.items():
        assert sorted(holes.findall(key)) == sorted(holes.findall(text)), key
        assert ARABIC.search(text), key


def test_the_json_interface_names_findings_twice(
    clinician: User, sign_in: Callable[[User], Client], case: Case
) -> None:
    User.objects.filter(pk=clinician.pk).update(language="ar")
    told = sign_in(clinician).get(f"/api/v1/cases/{case.pk}").json()["findings"]
    assert {"name": "Effusion", "title": "انصباب جنبي"} in told


def test_pictures_write_arabic_from_right_to_left() -> None:
    if not can_write("كتلة"):
        pytest.skip("no font with Arabic letters, or no Raqm, on this machine")
    paper = np.zeros((200, 300, 3), np.uint8)
    with translation.override("ar"):
        label = label_of("Mass")
    assert label == "كتلة"
    joined = draw_boxes(paper, [[20, 60, 200, 180]], labels=[label])
    apart = draw_boxes(paper, [[20, 60, 200, 180]], labels=["\u200c".join(label)])
    empty = draw_boxes(paper, [[20, 60, 200, 180]], labels=["\ue000" * len(label)])
    assert not np.array_equal(joined, empty)
    assert not np.array_equal(joined, apart)  # letters are joined


def test_a_machine_without_the_letters_writes_the_canonical_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lucidray.images.lettering.WIDE_FONTS", ("no such font",))
    lettering._wide_font.cache_clear()
    with translation.override("ar"):
        assert label_of("Mass") == "Mass"
    lettering._wide_font.cache_clear()


def test_fields_of_the_archive_s_forms_are_named_in_arabic() -> None:
    rule = RuleForm(
        teams=Team.objects.none(), bundles=ModelBundle.objects.none(), receivers=Peer.objects.none()
    )
    with translation.override("ar"):
        names = {str(field.label) for form in (PeerForm(), rule) for field in form.fields.values()}
    assert {name for name in names if not re.search("[\u0600-\u06ff]", name)} == {"TLS"}


@pytest.mark.parametrize("route", ["home", "patients", "cases", "upload", "preferences"])
def test_pages_run_from_right_to_left(
    clinician: User, sign_in: Callable[[User], Client], case: Case, route: str
) -> None:
    User.objects.filter(pk=clinician.pk).update(language="ar")
    answer = sign_in(clinician).get(reverse(route))
    page = answer.content.decode()
    assert '<html lang="ar" dir="rtl"' in page
    assert "للبحث والتعليم" in page
    assert answer["Content-Language"] == "ar"
    assert translation.get_language() == "en"


def test_the_door_speaks_the_browser_s_language(client: Client, db: None) -> None:
    page = client.get(reverse("account_login"), headers={"accept-language": "ar"}).content.decode()
    assert "تسجيل الدخول" in page
    assert 'dir="rtl"' in page


def test_preferences_change_language_and_theme(
    clinician: User, sign_in: Callable[[User], Client]
) -> None:
    client = sign_in(clinician)
    assert 'data-theme="dark"' in client.get("/").content.decode()
    client.post(reverse("preferences"), {"language": "ar", "theme": "light"})
    page = client.get("/").content.decode()
    assert 'data-theme="light"' in page
    assert 'lang="ar"' in page
