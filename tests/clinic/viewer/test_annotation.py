"""Boxes by mouse, touch and keyboard alone: exact, undone, saved by themselves, never lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import stand_in  # type: ignore[attr-defined]

pytestmark = pytest.mark.browser


@pytest.fixture
def site() -> Any:
    """One film without models: boxes need none."""
    site = stand_in.Site()
    site.films["film-1"] = ("chest.dcm", stand_in.phantom_film(600, 0))
    return site


def port(page: Any) -> dict[str, float]:
    """Where the film's viewport lies."""
    return dict(page.locator(".lr-port").first.bounding_box())


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag within the viewport, in shares of it."""
    box = port(page)
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move((at[0][0] + at[1][0]) / 2, (at[0][1] + at[1][1]) / 2)
    page.mouse.move(*at[1])
    page.mouse.up()


def saved(page: Any) -> None:
    """Wait until all is saved."""
    page.locator(".lr-saved[data-state=saved]").wait_for()


def draw(
    page: Any,
    site: Any,
    start: tuple[float, float] = (0.4, 0.3),
    end: tuple[float, float] = (0.6, 0.6),
) -> list[float]:
    """Draw a box and return where the server has it."""
    count = len(site.boxes)
    page.keyboard.press("b")
    drag(page, start, end)
    page.locator(".lr-own").nth(count).wait_for()
    saved(page)
    return list(site.boxes[-1]["box"])


def focus_box(page: Any) -> None:
    page.locator(".lr-own").last.focus()


def test_a_box_by_mouse_is_exact_whatever_the_view(
    open_viewer: Callable[..., Any], site: Any
) -> None:
    page = open_viewer(site)
    first = draw(page, site)
    box = port(page)
    scale = min(box["width"], box["height"]) / 600
    left = (box["width"] - 600 * scale) / 2
    top = (box["height"] - 600 * scale) / 2
    expected = [
        (0.4 * box["width"] - left) / scale,
        (0.3 * box["height"] - top) / scale,
        (0.6 * box["width"] - left) / scale,
        (0.6 * box["height"] - top) / scale,
    ]
    assert first == pytest.approx(expected, abs=1.5)
    page.keyboard.press("Escape")
    for key in ("r", "x", "+", "+", "Shift+R", "x", "f", "r", "r"):
        page.keyboard.press(key)
    page.wait_for_timeout(1200)
    assert site.boxes[0]["box"] == first
    rect = page.locator(".lr-own .lr-box").bounding_box()
    fit = min(box["width"], box["height"]) / 600
    assert rect["width"] == pytest.approx((first[2] - first[0]) * fit, abs=4)
    page.keyboard.press("0")
    page.wait_for_timeout(200)
    again = page.locator(".lr-own .lr-box").bounding_box()
    assert again["x"] == pytest.approx(box["x"] + 0.4 * box["width"], abs=3)


@pytest.mark.parametrize("keys", [[], ["r"], ["x"], ["r", "x"], ["r", "r"]])
def test_a_box_drawn_on_a_turned_film_lands_where_it_was_drawn(
    open_viewer: Callable[..., Any], site: Any, keys: list[str]
) -> None:
    page = open_viewer(site)
    for key in keys:
        page.keyboard.press(key)
    stored = draw(page, site, (0.42, 0.3), (0.5, 0.6))
    drawn = page.locator(".lr-own .lr-box").bounding_box()
    box = port(page)
    assert drawn["x"] == pytest.approx(box["x"] + 0.42 * box["width"], abs=3)
    assert drawn["y"] == pytest.approx(box["y"] + 0.3 * box["height"], abs=3)
    wide = (stored[2] - stored[0]) < (stored[3] - stored[1])
    assert wide is ("r" not in keys or keys.count("r") == 2)


def test_moving_and_stretching_by_mouse(open_viewer: Callable[..., Any], site: Any) -> None:
    page = open_viewer(site)
    before = draw(page, site)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    focus_box(page)
    drag(page, (0.5, 0.45), (0.45, 0.5))
    saved(page)
    moved = site.boxes[0]["box"]
    assert moved[0] < before[0] and moved[1] > before[1]
    assert moved[2] - moved[0] == pytest.approx(before[2] - before[0], abs=1e-6)
    assert page.locator(".lr-handles g").count() == 8
    hit = page.locator(".lr-handles g .lr-grip-hit").first.bounding_box()
    assert min(hit["width"], hit["height"]) >= 24
    box = port(page)
    corner = page.locator('.lr-handles g[data-grip="1,1"] .lr-grip').bounding_box()
    start = (
        (corner["x"] + 4 - box["x"]) / box["width"],
        (corner["y"] + 4 - box["y"]) / box["height"],
    )
    drag(page, start, (start[0] + 0.05, start[1] + 0.05))
    saved(page)
    stretched = site.boxes[0]["box"]
    assert stretched[:2] == pytest.approx(moved[:2])
    assert stretched[2] > moved[2] and stretched[3] > moved[3]


def test_boxes_by_keyboard_alone(open_viewer: Callable[..., Any], site: Any) -> None:
    page = open_viewer(site)
    page.locator(".lr-port").first.focus()
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.wait_for_selector(".lr-own")
    saved(page)
    made = site.boxes[0]["box"]
    for key in ("ArrowRight", "Shift+ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
    page.keyboard.press("Alt+Shift+ArrowDown")
    saved(page)
    moved = site.boxes[0]["box"]
    assert moved[0] - made[0] == 11 and moved[1] - made[1] == -1
    assert (moved[3] - moved[1]) - (made[3] - made[1]) == 10
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "SELECT"
    page.keyboard.type("Nod")
    page.keyboard.press("Tab")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.type("by keys")
    page.keyboard.press("Enter")
    saved(page)
    assert (site.boxes[0]["finding"], site.boxes[0]["note"]) == ("Nodule", "by keys")
    assert site.boxes[0]["certainty"] == pytest.approx(0.65)
    assert page.evaluate("document.activeElement.dataset.box") == site.boxes[0]["id"]
    page.keyboard.press("Delete")
    saved(page)
    assert site.boxes == []


def test_two_clicks_make_a_box(open_viewer: Callable[..., Any], site: Any) -> None:
    page = open_viewer(site)
    page.keyboard.press("b")
    box = port(page)
    page.mouse.click(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.4)
    page.mouse.click(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5)
    page.wait_for_selector(".lr-own")


def test_twenty_steps_are_undone_and_redone(open_viewer: Callable[..., Any], site: Any) -> None:
    page = open_viewer(site)
    page.locator(".lr-port").first.focus()
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    start = page.locator(".lr-own .lr-box").bounding_box()
    for _ in range(24):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(1)
        page.keyboard.press("Alt+ArrowRight")
    end = page.locator(".lr-own .lr-box").bounding_box()
    assert end["x"] > start["x"] and end["width"] > start["width"]
    for _ in range(48):
        page.keyboard.press("Control+z")
    page.wait_for_timeout(100)
    assert page.locator(".lr-own .lr-box").bounding_box() == start
    for _ in range(48):
        page.keyboard.press("Control+Shift+Z")
    page.wait_for_timeout(100)
    assert page.locator(".lr-own .lr-box").bounding_box() == end


def test_a_tool_s_key_leads_to_the_film(open_viewer: Callable[..., Any], site: Any) -> None:
    page = open_viewer(site)
    page.get_by_role("tab", name="Boxes").focus()
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.locator(".lr-own").wait_for()
    tools = page.get_by_role("toolbar")
    tools.get_by_role("button").first.focus()
    page.keyboard.press("z")
    assert tools.evaluate("(each) => each.contains(document.activeElement)")


def test_offline_edits_survive_a_reload(open_viewer: Callable[..., Any], site: Any) -> None:
    page = open_viewer(site)
    draw(page, site)
    site.offline = True
    page.keyboard.press("Escape")
    focus_box(page)
    page.keyboard.press("Shift+ArrowLeft")
    page.locator(".lr-saved[data-state=offline]").wait_for()
    page.get_by_role("tab", name="Notes").click()
    page.get_by_label("New note").fill("a thought kept")
    page.wait_for_timeout(300)
    before = list(site.boxes[0]["box"])
    page.reload()
    page.wait_for_selector(".lr-own")
    assert site.boxes[0]["box"] == before
    page.get_by_role("tab", name="Notes").click()
    assert page.get_by_label("New note").input_value() == "a thought kept"
    site.offline = False
    saved(page)
    assert site.boxes[0]["box"][0] < before[0]


#: What the browser's store holds of drafts, as one text in which letters stand for bytes.
STORED = """() => new Promise((resolve) => {
  const open = indexedDB.open('lucidray');
  open.onsuccess = () => {
    const all = open.result.transaction('drafts').objectStore('drafts').getAll();
    all.onsuccess = () => {
      const text = (each) => String.fromCharCode(...new Uint8Array(each));
      resolve(all.result.map((each) => JSON.stringify(each) + text(each.sealed)));
      open.result.close();
    };
  };
})"""

#: Put what one reader left under another reader's name.
TAKE_OVER = """(name) => new Promise((resolve) => {
  const open = indexedDB.open('lucidray');
  open.onsuccess = () => {
    const store = open.result.transaction('drafts', 'readwrite').objectStore('drafts');
    const all = store.getAll();
    all.onsuccess = () => {
      store.put(all.result[0], name).onsuccess = () => resolve(open.result.close());
    };
  };
})"""


def test_the_next_reader_cannot_open_what_was_left(
    open_viewer: Callable[..., Any], site: Any
) -> None:
    page = open_viewer(site)
    site.offline = True
    page.get_by_role("tab", name="Notes").click()
    page.get_by_label("New note").fill("a thought about the patient")
    page.wait_for_function(f"async () => (await ({STORED})()).length === 1")
    (left,) = page.evaluate(STORED)
    assert "thought" not in left and "note" not in left
    site.user = "reader-2"
    for _ in range(2):
        page.reload()
        page.wait_for_selector(".lr-below .lr-line-of")
        page.get_by_role("tab", name="Notes").click()
        assert page.get_by_label("New note").input_value() == ""
        page.evaluate(TAKE_OVER, "case:case-1:reader-2")
    site.user = "reader-1"
    page.reload()
    page.wait_for_selector(".lr-below .lr-line-of")
    page.get_by_role("tab", name="Notes").click()
    assert page.get_by_label("New note").input_value() == "a thought about the patient"


def test_without_a_key_nothing_is_left(open_viewer: Callable[..., Any], site: Any) -> None:
    site.user = ""
    page = open_viewer(site)
    draw(page, site)
    site.offline = True
    page.keyboard.press("Escape")
    focus_box(page)
    page.keyboard.press("Shift+ArrowLeft")
    page.locator(".lr-saved[data-state=offline]").wait_for()
    assert "as long as this page stays open" in page.locator(".lr-saved").inner_text()
    assert page.evaluate(STORED) == []


def test_a_conflict_loses_nothing(open_viewer: Callable[..., Any], site: Any) -> None:
    page = open_viewer(site)
    box = draw(page, site)
    theirs = json.loads(json.dumps(site.boxes[0]))
    theirs["note"] = "from the other tab"
    extra = theirs | {"id": "another", "box": [1, 2, 30, 40]}
    site.boxes = [theirs, extra]
    site.version += 1
    page.keyboard.press("Escape")
    focus_box(page)
    page.keyboard.press("ArrowLeft")
    page.locator(".lr-saved[data-state=conflict]").wait_for()
    assert site.boxes == [theirs, extra]
    page.get_by_role("button", name="Keep both").click()
    saved(page)
    assert len(site.boxes) == 3
    notes = sorted(each["note"] for each in site.boxes)
    assert notes == ["", "from the other tab", "from the other tab"]
    mine = next(each for each in site.boxes if each["note"] == "")
    assert mine["box"][0] < box[0]


def test_what_only_the_other_tab_changed_is_taken(
    open_viewer: Callable[..., Any], site: Any
) -> None:
    page = open_viewer(site)
    draw(page, site)
    extra = site.boxes[0] | {"id": "another", "box": [1, 2, 30, 40]}
    site.boxes = [*site.boxes, extra]
    site.version += 1
    page.keyboard.press("Escape")
    focus_box(page)
    page.keyboard.press("ArrowLeft")
    page.locator(".lr-own").nth(1).wait_for()
    saved(page)
    assert len(site.boxes) == 2


def test_boxes_of_others_are_shown_and_not_changed(
    open_viewer: Callable[..., Any], site: Any
) -> None:
    box = {
        "id": "o",
        "instance": "film-1",
        "finding": "Effusion",
        "box": [300, 300, 400, 400],
        "certainty": 0.6,
        "note": "",
        "source": "reader",
    }
    site.others = [box | {"author": "Dr Other", "own": False, "read_only": True}]
    page = open_viewer(site)
    other = page.locator(".lr-other")
    assert "Dr Other" in other.get_attribute("aria-label")
    other.focus()
    page.keyboard.press("Delete")
    page.keyboard.press("ArrowLeft")
    draw(page, site)
    assert all(each["id"] != "o" for each in site.boxes)
    assert page.locator(".lr-other").count() == 1


def test_who_may_not_read_draws_nothing(open_viewer: Callable[..., Any], site: Any) -> None:
    site.permissions = ("case.view",)
    page = open_viewer(site)
    page.keyboard.press("b")
    drag(page, (0.4, 0.4), (0.6, 0.6))
    assert page.locator(".lr-own").count() == 0
    assert page.get_by_role("button", name="Draw a box").is_disabled()


def test_pinching_zooms_and_two_fingers_pan(open_viewer: Callable[..., Any], site: Any) -> None:
    page = open_viewer(site, has_touch=True)
    words = page.inner_text(".lr-below")
    page.evaluate("""() => {
      const port = document.querySelector('.lr-port');
      const box = port.getBoundingClientRect();
      port.setPointerCapture = () => {};
      const send = (type, id, x, y) => port.dispatchEvent(new PointerEvent(type, {
        bubbles: true, pointerId: id, pointerType: 'touch', clientX: box.x + x, clientY: box.y + y,
        button: type === 'pointermove' ? -1 : 0, buttons: 1}));
      send('pointerdown', 1, 300, 300); send('pointerdown', 2, 400, 300);
      send('pointermove', 1, 250, 330); send('pointermove', 2, 450, 330);
      send('pointerup', 1, 250, 330); send('pointerup', 2, 450, 330);
    }""")
    page.wait_for_timeout(200)
    before = float(words.split("Zoom ")[1].split(" ")[0])
    after = float(page.inner_text(".lr-below").split("Zoom ")[1].split(" ")[0])
    assert after == pytest.approx(2 * before, rel=0.05)
    assert words.splitlines()[0] == page.inner_text(".lr-below").splitlines()[0]
