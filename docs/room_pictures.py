"""Pictures of the reading room's pages, and whether axe finds anything against WCAG 2.2 AA.

    python docs/room_pictures.py                 # docs/images/room/*.png, of the demonstration
    python docs/room_pictures.py --check-only    # every page, both themes, English and Arabic

Needs playwright, Chromium, and axe-core in ``web/node_modules``. Patients are invented, films
generated. Ends with an error where axe finds a violation.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "docs" / "images" / "room"
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = os.environ.get("LUCIDRAY_CHROMIUM") or shutil.which("chromium")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
COLORS = 128
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/)\d+(?=/)")
#: Addresses that send a file, or are Django's own pages.
NO_PAGE = re.compile(
    r"^/(api|django-admin|static|health)/|/(pdf|file|picture|csv|export|download)/|\.csv"
)

#: Pages by the name of their picture; a case and a patient are found on the pages before.
PAGES = {
    "home": "/",
    "patients": "/patients/",
    "patient": "patient",
    "cases": "/cases/",
    "case": "case",
    "read": "read",
    "report": "report",
    "upload": "/upload/",
    "quick-look": "/quick-look/",
    "curate": "/curate/",
    "studies": "/studies/",
    "models": "/models/",
    "administration": "/admin-room/",
}


@contextmanager
def demonstration() -> Iterator[tuple[str, str]]:
    """Serve the demonstration in a folder of its own; yield address and one-time link."""
    with socket.socket() as one, tempfile.TemporaryDirectory() as folder:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        one.close()
        words = [str(Path(sys.executable).with_name("lucidray")), "serve", "--demo"]
        words += ["--data", folder, "--port", str(port)]
        kept = {name: each for name, each in os.environ.items() if not name.startswith("LUCIDRAY")}
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, text=True, env=kept | {"COLUMNS": "400"}
        )
        told = ""
        for line in process.stdout or ():
            told += line
            if "Stop with" in told:
                break
        addresses = re.findall(r"http://\S+/", told)
        try:
            yield addresses[0].rstrip("/"), addresses[1]
        finally:
            process.terminate()
            process.wait(20)


def addresses(page: Any, site: str) -> dict[str, str]:
    """Return the pages' addresses, with a case and a patient that the lists show."""
    page.goto(f"{site}/cases/?status=reported")
    case = page.locator("table a[href^='/cases/']").first.get_attribute("href")
    page.goto(f"{site}/patients/")
    patient = page.locator("table a[href^='/patients/']").first.get_attribute("href")
    found = {"patient": patient, "case": case, "read": f"{case}read/", "report": f"{case}report/"}
    return {name: found.get(path, path) for name, path in PAGES.items()}


def every_page(page: Any, site: str) -> dict[str, str]:
    """Return the address of one page of each kind that links lead to, by its kind."""
    found: dict[str, str] = {}
    waiting = ["/", "/account/logout/", "/no-such-page/"]
    while waiting:
        path = waiting.pop(0)
        kind = ID.sub("*", path.partition("?")[0])
        if kind in found or NO_PAGE.search(path):
            continue
        found[kind] = path
        page.goto(site + path)
        links = page.locator("a[href^='/']").evaluate_all(
            "(all) => all.filter((each) => !each.hasAttribute('download'))"
            ".map((each) => each.getAttribute('href').split('#')[0])"
        )
        waiting += links
    return found


def show(page: Any, name: str, url: str) -> None:
    """Open a page and wait until it is whole."""
    page.goto(url)
    page.wait_for_load_state("networkidle")
    if name == "read":
        page.locator(".lr-below .lr-line-of").first.wait_for(timeout=60_000)
        page.keyboard.press("a")
        page.locator(".lr-result").first.wait_for(timeout=180_000)
        page.keyboard.press("h")
        page.wait_for_load_state("networkidle")


def violations(page: Any) -> list[str]:
    """Return what axe finds."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        "(rules) => axe.run(document, {runOnly: {type: 'tag', values: rules}})", RULES
    )
    return [
        f"{each['id']}: {node['html'][:150]}"
        for each in found["violations"]
        for node in each["nodes"][:3]
    ]


def prefer(page: Any, site: str, theme: str, language: str) -> None:
    """Choose theme and language."""
    page.goto(f"{site}/account/preferences/")
    page.locator("select[name=language]").select_option(language)
    page.locator("select[name=theme]").select_option(theme)
    page.locator("main form button[type=submit]").click()
    page.wait_for_load_state("networkidle")


def keep(page: Any, name: str) -> None:
    """Keep a picture of what is seen, in few colors."""
    PLACE.mkdir(parents=True, exist_ok=True)
    path = PLACE / f"{name}.png"
    page.screenshot(path=path)
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def main() -> None:
    """Open every page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check-only", action="store_true")
    told = parser.parse_args()
    looks = [("dark", "en")] if not told.check_only else []
    looks += [("light", "en"), ("dark", "ar"), ("light", "ar")] if told.check_only else []
    looks += [("dark", "en")] if told.check_only else []
    bad = 0
    with demonstration() as (site, link), sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": 1280, "height": 860}, bypass_csp=True, reduced_motion="reduce"
        )
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(link)
        kinds = every_page(page, site) if told.check_only else {}
        for theme, language in looks:
            prefer(page, site, theme, language)
            for name, path in (kinds | addresses(page, site)).items():
                show(page, name, site + path)
                if not told.check_only:
                    keep(page, name)
                for line in violations(page):
                    bad += 1
                    print(f"{name} ({theme}, {language}): {line}", flush=True)
        browser.close()
    print(f"{bad} violations")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
