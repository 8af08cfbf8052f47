"""Languages: Arabic turns the pages around, and its catalog says all that the source says."""

from __future__ import annotations

import ast
import gettext
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import translation

import lucidray_clinic
from lucidray_clinic.accounts.models import Team, User
from lucidray_clinic.analyses.models import ModelBundle
from lucidray_clinic.cases.models import Case
from lucidray_clinic.pacs.forms import PeerForm, RuleForm
from lucidray_clinic.pacs.models import Peer

SITE = Path(lucidray_clinic.__file__).parent
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
