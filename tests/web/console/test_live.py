"""Live: exchanges come by themselves, the filter is the box's, and each role sees what it may."""

from __future__ import annotations

import pytest
from browser import HOSTILE, Guarded, Opened, Said, opened
from playwright.sync_api import Browser, expect
from serving import Served

pytestmark = pytest.mark.slow


@pytest.fixture
def live(ada: Opened) -> Opened:
    ada.go("live")
    ada.page.wait_for_selector("text=● live")
    return ada


def rows(page: Opened) -> list[str]:
    return page.page.locator("main tbody tr").all_inner_texts()


def test_an_exchange_is_shown_as_it_happens(live: Opened, box: Served) -> None:
    box.ask(f"note for dora@example.org {HOSTILE}", user="ada")
    row = live.page.locator("main tbody tr", has_text="note for dora@example.org")
    row.wait_for()
    shown = row.inner_text()
    assert "1 EMAIL" in shown and " B" in shown and "cloud" in shown and "<script>" in shown and "ada" in shown
    assert live.page.locator("main img, main script, main style").count() == 0
    picture = live.page.locator("svg[role=img]").first.get_attribute("aria-label") or ""
    assert "requests in 24 hours" in picture and "values hidden" in picture


def test_the_box_filters_what_it_keeps_and_what_comes(live: Opened, box: Served) -> None:
    box.ask("plain words", user="ada", model="netgpt/edge")
    box.ask("mail eve@example.org", user="ada")
    live.page.select_option("select[name=route]", "edge")
    live.page.locator("main tbody tr", has_text="plain words").first.wait_for()
    expect(live.page.locator("main tbody tr", has_text="mail eve@")).to_have_count(0)
    live.page.wait_for_selector("text=● live")
    box.ask("mail eve@example.org again", user="ada")
    box.ask("plain words again", user="ada", model="netgpt/edge")
    live.page.locator("main tbody tr", has_text="plain words again").wait_for()
    assert not any("mail eve@" in row for row in rows(live))
    live.page.click("button:has-text('Clear')")
    live.page.fill("input[name=hidden]", "email")
    live.page.press("input[name=hidden]", "Enter")
    live.page.locator("main tbody tr", has_text="mail eve@example.org again").wait_for()
    expect(live.page.locator("main tbody tr", has_text="plain words")).to_have_count(0)
    live.page.fill("input[name=words]", "no such reason anywhere")
    live.page.press("input[name=words]", "Enter")
    live.page.wait_for_selector("text=None.")


def test_nothing_moves_under_the_hand_and_what_is_new_is_a_click_away(live: Opened, box: Served) -> None:
    box.ask("first of two", user="ada")
    live.page.locator("main tbody tr", has_text="first of two").hover()
    box.ask("second of two", user="ada")
    live.page.locator("button:has-text('new: show')").wait_for()
    assert not any("second of two" in row for row in rows(live))
    live.page.mouse.move(0, 0)
    live.page.locator("main tbody tr", has_text="second of two").wait_for()


def test_it_says_when_it_is_not_live_and_comes_back(ada: Opened, box: Served) -> None:
    ada.page.route("**/exchanges/stream*", lambda route: route.abort())
    ada.go("live")
    ada.page.wait_for_selector("text=○ not live: the box does not answer")
    ada.page.unroute("**/exchanges/stream*")
    ada.page.wait_for_selector("text=● live")
    box.ask("after it came back", user="ada")
    ada.page.locator("main tbody tr", has_text="after it came back").wait_for()


def test_older_ones_are_a_page_away(browser: Browser, box: Served, said: Said) -> None:
    for number in range(52):
        box.ask(f"number {number}", model="netgpt/edge", user="many")
    with opened(browser, box, person="many") as page:
        page.go("live")
        page.page.wait_for_selector("text=number 51")
        assert len(rows(page)) == 50
        page.page.click("button:has-text('Older')")
        page.page.locator("main tbody tr", has_text="number 0").first.wait_for()
        assert len(rows(page)) == 52 and page.page.locator("button:has-text('Older')").is_hidden()


def test_each_role_sees_what_it_may(browser: Browser, guarded: Guarded) -> None:
    box, keys = guarded.box, guarded.keys
    box.key = keys["user"]
    with opened(browser, box, key=keys["operator"]) as operator, opened(browser, box, key=keys["user"]) as user:
        for page in (operator, user):
            page.go("live")
            page.page.wait_for_selector("text=● live")
        box.ask("of my own to finn@example.org")
        for page in (operator, user):
            page.page.wait_for_selector("td:has-text('1 EMAIL')")
        assert "finn@example.org" not in operator.page.content() and "ada" not in " ".join(rows(operator))
        assert "finn@example.org" in " ".join(rows(user)) and "ada" in " ".join(rows(user))
