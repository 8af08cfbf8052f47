"""The demonstration in a real browser: both engines read alike; nothing is left when one leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served import READ_HERE, Served, served

pytestmark = [pytest.mark.browser, pytest.mark.slow]

#: Names of what the browser's store holds of drafts.
DRAFTS = """() => new Promise((resolve) => {
  const open = indexedDB.open('lucidray');
  open.onsuccess = () => {
    const all = open.result.transaction('drafts').objectStore('drafts').getAllKeys();
    all.onsuccess = () => resolve(all.result);
    open.result.close();
  };
})"""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demonstration, in a folder of its own."""
    with served(tmp_path_factory.mktemp("demonstration") / "room", "--demo") as opened:
        yield opened


@pytest.fixture(scope="module")
def context(browser: Any, room: Served) -> Iterator[Any]:
    """A browser in which somebody is signed in."""
    opened = browser.new_context(viewport={"width": 1280, "height": 860})
    opened.set_default_timeout(60_000)
    opened.new_page().goto(room.link)
    yield opened
    opened.close()


@pytest.fixture
def page(context: Any, room: Served) -> Iterator[Any]:
    """The viewer on a child's film that nobody has read yet."""
    opened = context.new_page()
    opened.goto(f"{room.address}/cases/?urgency=0")
    case = opened.locator("table a[href^='/cases/']").first.get_attribute("href")
    opened.goto(f"{room.address}{case}read/")
    opened.wait_for_selector(".lr-below .lr-line-of")
    yield opened
    opened.close()


def told(page: Any, path: str) -> Any:
    answer = page.request.get(f"{page.evaluate('location.origin')}{path}")
    assert answer.status == 200
    return answer


def readings(page: Any) -> dict[str, dict[str, Any]]:
    """The case's readings by where they were made."""
    case = page.url.split("/cases/")[1].split("/")[0]
    kept = told(page, f"/api/v1/cases/{case}").json()["readings"]
    return {each["engine"]: each for each in kept}


def server_maps(page: Any, reading: dict[str, Any]) -> dict[str, np.ndarray]:
    header, raw = told(page, reading["maps_url"]).body().split(b"\n", 1)
    facts = json.loads(header)
    maps = np.frombuffer(raw, "<f4").reshape(facts["shape"])
    return dict(zip(facts["findings"], maps, strict=True))


def browser_maps(page: Any, reading: dict[str, Any]) -> dict[str, np.ndarray]:
    bundles = told(page, "/api/v1/bundles").json()
    digest = reading["bundle"]["digest"]
    asked = {
        "files": [reading["instance"]],
        "digest": digest,
        "url": next(each["url"] for each in bundles if each["digest"] == digest),
        "address": page.evaluate("location.origin"),
    }
    (found,) = page.evaluate(READ_HERE, asked)
    return {each["name"]: np.array(each["map"], np.float32) for each in found["findings"]}


def test_browser_and_server_read_a_film_alike(page: Any) -> None:
    page.keyboard.press("a")
    page.locator(".lr-result").wait_for(timeout=120_000)
    page.get_by_role("button", name="Keep this reading with the case").click()
    page.get_by_text("Kept with the case.").wait_for()
    page.get_by_role("button", name="Read on the server instead").click()
    page.get_by_role("dialog").get_by_role("button", name="Read on the server").click()
    page.locator(".lr-identity", has_text="read on the server").wait_for(timeout=120_000)
    kept = readings(page)
    here, there = kept["browser"], kept["server"]
    assert here["bundle"]["digest"] == there["bundle"]["digest"]
    assert (here["refused"], there["refused"]) == (None, None)
    first, second = (
        {each["name"]: each["probability"] for each in one["findings"]} for one in (here, there)
    )
    assert first == pytest.approx(second, abs=1e-4)
    one, other = browser_maps(page, here), server_maps(page, there)
    assert set(one) == set(other) == set(first)
    for name, theirs in other.items():
        span = float(np.ptp(theirs))
        assert span > 0
        assert np.abs(one[name] - theirs.ravel()).max() <= 1e-4 * span


PAGES = ("/", "/patients/", "/cases/", "/curate/", "/upload/", "/models/", "/admin-room/")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
AXE = """async ([theme, rules]) => {
  document.documentElement.dataset.theme = theme;
  const told = await axe.run(document, {runOnly: {type: 'tag', values: rules}});
  return told.violations.map((each) => `${each.id}: ${each.nodes[0].html}`);
}"""


def test_pages_and_viewer_keep_to_wcag_in_both_themes(
    page: Any, room: Served, context: Any, browser: Any
) -> None:
    script = Path(pytest.importorskip("axe_playwright_python").__file__).with_name("axe.min.js")
    kept = context.storage_state()
    other = browser.new_context(storage_state=kept, bypass_csp=True, reduced_motion="reduce")
    opened = other.new_page()
    case = page.url.removeprefix(room.address)
    for path in (*PAGES, case.removesuffix("read/"), case):
        opened.goto(room.address + path)
        opened.wait_for_load_state("networkidle")
        opened.evaluate(script.read_text(encoding="utf-8"))
        for theme in ("dark", "light"):
            assert opened.evaluate(AXE, [theme, RULES]) == [], (path, theme)
    other.close()


def test_signing_out_clears_what_was_not_sent(page: Any, room: Served, context: Any) -> None:
    context.route("**/api/v1/cases/*/notes", lambda route: route.abort())
    page.get_by_role("tab", name="Notes").click()
    page.get_by_label("New note").fill("half a thought")
    page.wait_for_function(f"async () => (await ({DRAFTS})()).length === 1")
    home = context.new_page()
    home.goto(f"{room.address}/")
    asked: list[str] = []
    answers = iter([False, True])

    def answer(dialog: Any) -> None:
        asked.append(dialog.message)
        dialog.accept() if next(answers) else dialog.dismiss()

    home.on("dialog", answer)
    home.locator("details.menu summary").click()
    home.get_by_role("button", name="Sign out").click()
    home.wait_for_timeout(300)
    assert len(asked) == 1 and "never sent" in asked[0]
    assert len(home.evaluate(DRAFTS)) == 1  # somebody who stays loses nothing
    home.get_by_role("button", name="Sign out").click()
    home.get_by_label("Username").wait_for()
    assert home.evaluate(DRAFTS) == []
    assert Path(home.evaluate("location.pathname")).name == "login"
