"""The console in a real browser, at a real box: every page, by mouse and keyboard, wide and narrow, for each role."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser import HOSTILE, Opened, Said, opened
from patience import wait_until
from playwright.sync_api import Browser
from serving import Served

from netgpt.testing.server import FaultyCloud

pytestmark = pytest.mark.slow


def test_a_question_is_answered_and_what_left_is_shown_beside_it(ada: Opened, box: Served) -> None:
    shown = ada.ask("Write to bob@example.org on +44 20 7946 0018")
    assert "You wrote: Write to bob@example.org" in shown and "2 hidden" in shown and "answered by cloud" in shown
    ada.page.click("text=what left, and why")
    ada.page.wait_for_selector("h2:has-text('The decision')")
    written, left = (
        ada.page.locator(f"section[aria-label='{name}']").inner_text() for name in ("What was written", "What left")
    )
    assert "bob@example.org" in written and "bob@example.org" not in left and "[EMAIL_1]" in left
    assert ada.page.locator("section[aria-label='What was written'] mark").all_inner_texts() == [
        "bob@example.org",
        "+44 20 7946 0018",
    ]
    ada.page.click("text=Check it here")
    ada.told("belong together")
    assert box.cloud is not None and b"bob@example.org" not in box.cloud.all_bytes()


def test_a_conversation_goes_on_and_an_answer_is_rated(ada: Opened, box: Served) -> None:
    ada.ask("My name is Zbigniew Brzezicki")
    assert "and again" in ada.ask("and again")
    assert box.cloud is not None
    last = json.loads(box.cloud.received[-1].body)
    assert len(last["messages"]) == 3 and "Brzezicki" not in json.dumps(last)
    ada.page.locator("button[aria-label='A bad answer']").last.click()
    ada.told("Noted as bad")
    assert box.get("/v1/exchanges?user=ada").json()["data"][0]["rating"] == -1
    ada.page.click("text=New conversation")
    assert ada.page.locator(".turn").count() == 0


def test_an_error_is_said_and_the_next_question_is_answered(ada: Opened, box: Served) -> None:
    assert box.cloud is not None
    box.cloud.schedule("refused", "refused")
    assert "cloud" in ada.ask("will it rain", model="netgpt/cloud")
    box.cloud.unschedule()
    assert "You wrote: once more" in ada.ask("once more")


def test_a_fact_is_added_used_and_taken_away(ada: Opened, box: Served) -> None:
    ada.go("me")
    ada.page.fill("[aria-label='A fact']", "plays the bassoon")
    ada.page.fill("[aria-label='Kind, one word']", "music")
    ada.page.click("button:has-text('Add')")
    ada.told("The fact is kept")
    assert [each["text"] for each in box.get("/v1/profiles/ada").json()["facts"]] == ["The user plays the bassoon"]
    ada.page.click("button[aria-label^='Remove: The user plays the bassoon']")
    ada.told("The fact is gone")
    assert box.get("/v1/profiles/ada").json()["facts"] == []


def test_consents_are_said_and_kept(ada: Opened, box: Served) -> None:
    ada.go("me")
    ada.page.click("button[aria-label^='No: Where I am']")
    ada.told("No is noted")
    entry = box.get("/v1/profiles/ada/consents").json()["history"][-1]
    assert (entry["purpose"], entry["given"]) == ("location", False)
    ada.page.click("summary:has-text('All that was said')")
    assert ada.page.locator("details table >> text=location").count() >= 1


def test_what_was_said_in_passing_is_kept_only_after_a_yes(browser: Browser, box: Served) -> None:
    with opened(browser, box, person="cem") as cem:
        cem.go("me")
        cem.page.click("button[aria-label^='Yes: What I say in passing']")
        cem.told("Yes is noted")
        cem.go("chat")
        cem.ask("As a vegetarian, what can I cook tonight?", model="netgpt/edge")
        cem.ask("I am allergic to peanuts, what snack is fine?", model="netgpt/edge")
        wait_until(lambda: len(box.get("/v1/profiles/cem/proposals").json()["data"]) == 2, 60)
        assert box.get("/v1/profiles/cem").json()["facts"] == []
        cem.go("me")
        cem.page.locator("button:has-text('Keep')").first.click()
        cem.told("The fact was kept")
        cem.page.locator(".card button:has-text('No')").first.click()
        cem.told("The fact was dropped")
    assert len(box.get("/v1/profiles/cem").json()["facts"]) == 1
    assert box.get("/v1/profiles/cem/proposals").json()["data"] == []


def test_a_text_is_tried_against_the_rules_and_nothing_leaves(ada: Opened, box: Served) -> None:
    assert box.cloud is not None
    before = len(box.cloud.received)
    ada.go("privacy")
    ada.page.fill("#try", "Call Ada Lovelace on +44 20 7946 0018")
    ada.page.locator("section[aria-label='Try a text'] button.main").click()
    ada.page.wait_for_selector("section[aria-label='Would leave']")
    assert "[PHONE_1]" in ada.page.locator(".two").inner_text() and len(box.cloud.received) == before


def test_a_person_forgets_themselves_after_a_question(browser: Browser, box: Served) -> None:
    with opened(browser, box, person="eve") as eve:
        eve.ask("hello from eve")
        eve.go("me")
        with eve.page.expect_download() as download:
            eve.page.click("text=Export everything")
        assert "hello from eve" in Path(download.value.path()).read_text()
        eve.page.click("text=Forget me")
        eve.page.locator("dialog >> text=Cancel").click()
        assert len(box.get("/v1/exchanges?user=eve").json()["data"]) == 1
        eve.page.click("text=Forget me")
        eve.page.locator("dialog button.main").click()
        eve.page.wait_for_selector("[role=status]:has-text('eve is forgotten')")
    assert box.get("/v1/exchanges?user=eve").json()["data"] == []


def test_the_box_page_says_what_works(ada: Opened) -> None:
    ada.go("box")
    text = ada.page.locator("main").inner_text()
    assert "It can answer" in text and "Machine" in text
    assert "netgpt/cloud" in (ada.page.locator("details:has-text('Names that programs')").text_content() or "")


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits(browser: Browser, box: Served, width: int, scheme: Any) -> None:
    with opened(browser, box, person="ada", width=width, color_scheme=scheme) as page:
        page.ask("Write to someone@example.org about a_very_long_word" + "x" * 300)
        for name in ("live", "privacy", "box", "me", "chat"):
            page.go(name)
            assert page.is_narrow_enough(), name
        page.page.click("text=what left, and why")
        page.page.wait_for_selector("h2:has-text('The decision')")
        assert page.is_narrow_enough()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_stands_in_the_way_of_those_who_see_or_move_otherwise(
    browser: Browser, box: Served, scheme: Any
) -> None:
    """axe-core's rules (WCAG 2.2 among them) find nothing on any page."""
    with opened(browser, box, person="ada", color_scheme=scheme) as page:
        page.ask("Write to someone@example.org")
        found = {}
        for name in ("live", "privacy", "box", "me", "chat"):
            page.go(name)
            found[name] = page.barriers()
        page.page.locator("text=what left, and why").first.click()
        page.page.wait_for_selector("h2:has-text('The decision')")
        found["exchange"] = page.barriers()
    assert {name: barriers for name, barriers in found.items() if barriers} == {}


def test_the_keyboard_is_enough(ada: Opened) -> None:
    page = ada.page
    page.wait_for_selector("#ask")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.locator("#ask").focus()
    page.keyboard.type("by keyboard alone")
    page.keyboard.press("Enter")
    page.wait_for_selector("a:has-text('what left, and why')")
    page.locator("a:has-text('what left, and why')").last.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('Exchange')")
    missing = page.evaluate(
        "() => [...document.querySelectorAll('button, a, input, select, textarea')].filter((each) =>"
        " !(each.textContent.trim() || each.getAttribute('aria-label') || each.labels?.length))"
        ".map((each) => each.outerHTML)"
    )
    assert missing == []


def test_what_a_model_writes_stays_text_on_every_page(ada: Opened, said: Said, box: Served) -> None:
    said.text = HOSTILE
    try:
        assert "<script>" in ada.ask(f"hostile {HOSTILE}")
        ada.page.click("text=what left, and why >> nth=-1")
        ada.page.wait_for_selector("h2:has-text('The decision')")
        ada.page.click("summary:has-text('Everything')")
        for name in ("live", "privacy", "box", "me"):
            ada.go(name)
    finally:
        said.text = None
    assert (
        ada.page.title().endswith("NetGPT")
        and ada.page.locator("main img, main script, main style, main a[href^=javascript]").count() == 0
    )


def test_the_files_come_with_a_policy_that_lets_nothing_else_in(box: Served) -> None:
    for path in ("/console/", "/console/main.js", "/console/pages/chat.js", "/console/style.css"):
        answer = box.get(path)
        policy = answer.headers["content-security-policy"]
        assert answer.status_code == 200 and "unsafe" not in policy and "default-src 'none'" in policy
        again = httpx.get(f"{box.url}{path}", headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert httpx.get(f"{box.url}/", follow_redirects=True).url.path == "/console/"
    for path in (
        "/console/../settings.py",
        "/console/%2e%2e/app.py",
        "/console/pages",
        "/console//etc/passwd",
        "/console/none.js",
    ):
        assert box.get(path).status_code == 404


def test_each_role_sees_what_its_key_may(browser: Browser, tmp_path: Path) -> None:
    with FaultyCloud() as cloud, Served(tmp_path / "keys", cloud=cloud) as box:
        keys = {
            role: box.netgpt("keys", "create", "--name", role, "--role", role, *more, "--json").stdout
            for role, more in {"user": ("--user", "ada"), "operator": (), "admin": ()}.items()
        }
        key = {role: json.loads(text)["secret"] for role, text in keys.items()}
        with opened(browser, box) as nobody:
            nobody.page.wait_for_selector("[role=alert]:has-text('key')")
            nobody.page.locator("main button:has-text('Sign in')").click()
            nobody.page.fill("#key", "ngpt_wrong")
            nobody.page.keyboard.press("Enter")
            nobody.told("key")
            nobody.page.fill("#key", key["user"])
            nobody.page.keyboard.press("Enter")
            assert "dear Ada" in nobody.ask("dear Ada")
        with opened(browser, box, key=key["user"], person="bob") as user:
            user.go("live")
            user.page.wait_for_selector("[role=alert]")
        with opened(browser, box, key=key["operator"]) as operator:
            operator.go("live")
            operator.page.locator("table a").first.click()
            operator.page.wait_for_selector("text=figures, not texts")
            assert "dear Ada" not in operator.page.content()
            operator.go("box")
            assert "Links" in operator.page.locator("main").inner_text()
