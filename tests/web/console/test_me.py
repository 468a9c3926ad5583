"""The page Me in a real browser: facts, consents, who looked, who speaks for one, export and forget."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from browser import Opened, opened
from playwright.sync_api import Browser
from serving import Served

from netgpt.testing.server import FaultyCloud

pytestmark = pytest.mark.slow


def facts(box: Served, person: str) -> list[tuple[str, str]]:
    return [(each["text"], each["label"]) for each in box.get(f"/v1/profiles/{person}").json()["facts"]]


def test_a_fact_is_changed_and_how_personal_it_is_too(browser: Browser, box: Served) -> None:
    with opened(browser, box, person="ina") as ina:
        ina.go("me")
        ina.page.fill("[aria-label='A fact']", "plays the bassoon")
        ina.page.select_option("form:has([aria-label='A fact']) select", "public")
        ina.page.click("button:has-text('Add')")
        ina.told("The fact is kept")
        ina.page.click("button[aria-label^='Change: The user plays']")
        ina.page.fill("[aria-label='The fact']", "plays the oboe")
        ina.page.select_option("td form select", "sensitive")
        ina.page.press("[aria-label='The fact']", "Enter")
        ina.told("The fact is changed")
        assert facts(box, "ina") == [("The user plays the oboe", "sensitive")]
        ina.page.click("button[aria-label^='Change:']")
        ina.page.press("[aria-label='The fact']", "Enter")
        ina.told("The fact is changed")
        ina.page.select_option("#complete", "off")
        ina.told("It is noted")
    assert facts(box, "ina") == [("The user plays the oboe", "sensitive")]
    assert box.get("/v1/profiles/ina").json()["complete"] == "off"


def test_a_consent_is_said_in_words_and_its_history_is_kept(browser: Browser, box: Served) -> None:
    with opened(browser, box, person="kim") as kim:
        kim.go("me")
        row = kim.page.locator("section[aria-label='Consents'] tr", has_text="may train this box")
        assert "nothing said: no" in row.inner_text()
        row.locator("button:has-text('Yes')").click()
        kim.told("Yes is noted")
        assert "yes since" in row.inner_text()
        row.locator("button:has-text('No')").click()
        kim.told("No is noted")
        assert "no since" in row.inner_text()


def test_who_speaks_for_me_and_who_read_my_texts_is_shown_to_the_person(browser: Browser, tmp_path: Path) -> None:
    with FaultyCloud() as cloud, Served(tmp_path / "keys", cloud=cloud) as box:
        made = box.netgpt("keys", "create", "--name", "phone of Ada", "--role", "user", "--user", "ada", "--json")
        box.netgpt("keys", "create", "--name", "phone of Bob", "--role", "user", "--user", "bob")
        key = json.loads(made.stdout)["secret"]
        with opened(browser, box, key=key, person="ada") as ada:
            ada.go("me")
            text = ada.page.locator("section[aria-label='Who speaks for me']").inner_text()
            assert "phone of Ada" in text and "Bob" not in text
            assert "Nobody but you" in ada.page.locator("section[aria-label='Who read my texts']").inner_text()
            assert ada.barriers() == []


def test_a_person_takes_all_along_and_is_forgotten_also_with_the_cloud_cut(browser: Browser, box: Served) -> None:
    assert box.cloud is not None
    with opened(browser, box, person="eve") as eve:
        eve.ask("remember the word Xylophagous")
        box.cloud.stop()
        try:
            eve.go("me")
            with eve.page.expect_download() as download:
                eve.page.click("text=Export everything")
            assert "Xylophagous" in Path(download.value.path()).read_text()
            eve.page.click("text=Forget me")
            eve.page.locator("dialog button.main").click()
            eve.page.wait_for_selector("[role=status]:has-text('eve is forgotten')")
            assert "exchanges" in eve.page.locator("main").inner_text()
        finally:
            box.cloud.start()
        eve.go("chat")  # the tab that was asked in shows it no more, and would send it no more
        eve.page.wait_for_selector("#ask")
        assert "Xylophagous" not in eve.page.content()
    assert box.get("/v1/profiles/eve/conversations").json()["data"] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_narrow_enough_with_a_long_hostile_fact(ada: Opened, box: Served, scheme: str) -> None:
    ada.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    ada.page.set_viewport_size({"width": 360, "height": 800})
    box.post({"text": "<img src=x onerror=alert(1)>" + "x" * 300}, path="/v1/profiles/ada/facts")
    ada.go("me")
    assert ada.is_narrow_enough() and ada.barriers() == [] and ada.page.locator("main img").count() == 0
