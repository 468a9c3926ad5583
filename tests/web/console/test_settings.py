"""The pages Settings, Doctor and Logs in a real browser, at a real box; and what their operations say of it."""

from __future__ import annotations

import json
import tomllib
from typing import Any, Final

import httpx
import pytest
from browser import HOSTILE, Opened, opened
from patience import wait_until
from playwright.sync_api import Browser
from serving import Served

pytestmark = pytest.mark.slow

PAGES: Final = ("settings", "doctor", "logs")


def search(page: Opened, words: str) -> None:
    page.page.fill("[aria-label='Search the settings']", words)


def change(page: Opened, name: str, value: str, *, choose: bool = False) -> None:
    """Open the editor of a setting, give a value, and keep it."""
    search(page, name)
    page.page.click(f"button[aria-label='Change {name}']")
    field = page.page.locator(f"label:has-text('{name}') >> input, select, textarea").first
    field.select_option(value) if choose else field.fill(value)
    page.page.click("button:has-text('Keep')")


def test_a_setting_is_found_changed_and_written_with_what_is_told_of_it(ada: Opened, box: Served) -> None:
    ada.go("settings")
    change(ada, "routing.prefer", "cheap", choose=True)
    ada.told("counts from the next start")
    assert tomllib.loads((box.home / "netgpt.toml").read_text())["routing"] == {"prefer": "cheap"}
    search(ada, "")
    assert "routing.prefer" in ada.page.locator(".card:has-text('waiting for the next start')").first.inner_text()
    change(ada, "log_level", "warning", choose=True)
    ada.told("It counts already")
    assert box.get("/v1/settings").json()["waiting"] == ["routing.prefer"]
    change(ada, "log_level", "info", choose=True)
    ada.told("It counts already")
    ada.page.wait_for_selector("table >> text=log_level: warning")


def test_a_wrong_value_is_said_beside_its_field_and_not_kept(ada: Opened, box: Served) -> None:
    before = (box.home / "netgpt.toml").read_bytes()
    ada.go("settings")
    for name, value, words in (("completion.max_facts", "99", "less than or equal to 16"),
                               ("server.max_waiting", "many", "whole number"),
                               ("site.time_zone", "Europe/Londn", "Europe/London")):  # fmt: skip
        change(ada, name, value)
        ada.page.wait_for_selector(f".setting [role=alert]:has-text('{words}')")
    assert (box.home / "netgpt.toml").read_bytes() == before


def test_what_could_open_the_box_wider_is_asked_twice(ada: Opened, box: Served) -> None:
    ada.go("settings")
    change(ada, "privacy.public_figures", "false", choose=True)
    ada.page.locator("dialog >> text=Cancel").click()
    assert "privacy" not in tomllib.loads((box.home / "netgpt.toml").read_text())
    ada.page.click("button:has-text('Keep')")
    ada.page.locator("dialog button.main").click()
    ada.told("privacy.public_figures is kept")
    assert tomllib.loads((box.home / "netgpt.toml").read_text())["privacy"] == {"public_figures": False}
    ada.page.click("button[aria-label='Change privacy.public_figures']")
    ada.page.click("button:has-text('Back to the default')")
    ada.page.locator("dialog button.main").click()
    ada.told("privacy.public_figures is kept")


def test_no_secret_reaches_the_page_and_the_environment_is_named(ada: Opened, box: Served) -> None:
    ada.go("settings")
    search(ada, "cloud.api_key")
    text = ada.page.locator("main").inner_text()
    assert "set, never shown" in text and "NETGPT_CLOUD__API_KEY" in text and "change it there" in text
    assert "sk-cloud-key-of-the-test" not in ada.page.content() + box.get("/v1/settings").text
    assert ada.page.locator("button[aria-label='Change cloud.api_key']").count() == 0


def test_a_change_by_hand_is_not_lost(ada: Opened, box: Served) -> None:
    ada.go("settings")
    path = box.home / "netgpt.toml"
    path.write_text(path.read_text() + "\n[waiting]  # by hand\nkeep_days = 9\n")
    change(ada, "waiting.per_minute", "30")
    ada.told("Somebody changed the settings meanwhile")
    change(ada, "waiting.per_minute", "30")
    ada.told("waiting.per_minute is kept")
    assert "[waiting]  # by hand" in path.read_text() and tomllib.loads(path.read_text())["waiting"]["keep_days"] == 9


def test_a_file_that_is_wrong_stands_on_top_and_hostile_text_stays_text(ada: Opened, box: Served) -> None:
    path = box.home / "netgpt.toml"
    before = path.read_text()
    try:
        path.write_text(f"{before}\n[site]\nname = {json.dumps(HOSTILE)}\nplanet = 'x'\n")
        ada.go("settings")
        assert "site.planet: no such setting" in ada.page.locator("[role=alert]").first.inner_text()
        path.write_text(f"{before}\n[site]\nname = {json.dumps(HOSTILE)}\n")
        ada.go("doctor")
        ada.go("settings")
        search(ada, "site.name")
        assert "<script>" in ada.page.locator("main").inner_text()
    finally:
        path.write_text(before)
    assert ada.page.title().endswith("NetGPT") and ada.page.locator("main img, main script, main style").count() == 0


def test_doctor_looks_at_all_of_a_running_box_and_says_so(ada: Opened, box: Served) -> None:
    ada.go("doctor")
    ada.page.wait_for_selector("button:has-text('Look again'):not([disabled])")
    told = box.get("/v1/doctor").json()
    found = {row["what"]: row["state"] for row in told["data"]}
    assert told["done"] and not told["left"] and {"store", "detector", "edge model", "cloud", "policy"} <= found.keys()
    assert found["detector"] == found["store"] == found["cloud"] == "ok"
    assert "what was found" in ada.page.locator("main").inner_text()
    first, second = (httpx.post(f"{box.url}/v1/doctor", json={}, timeout=60).json() for _ in range(2))
    assert first["began"] == second["began"] and not first["done"]  # one at a time: the second joins the first
    assert box.cloud is not None
    ada.page.check("#clouds")
    wait_until(lambda: bool(box.get("/v1/doctor").json()["done"]), 60)
    before = len(box.cloud.received)
    ada.page.reload()
    ada.page.wait_for_selector("button:has-text('Look again'):not([disabled])")
    ada.page.check("#clouds")
    ada.page.click("button:has-text('Look again')")
    ada.page.wait_for_selector("td:has-text('it answered after')", timeout=60_000)
    assert len(box.cloud.received) == before + 1


def test_the_log_is_followed_and_filtered(ada: Opened, box: Served) -> None:
    ada.go("logs")
    box.ask("one more line")
    ada.page.wait_for_selector("ol.log li:has-text('/v1/chat/completions')")
    assert "one more line" not in ada.page.content()
    ada.page.select_option("#level", "error")
    ada.page.wait_for_selector("text=No message of this kind")
    ada.page.select_option("#level", "warning")
    ada.page.wait_for_selector("ol.log li:has-text('settings: ')")
    ada.page.fill("[aria-label='Filter the log']", "routing.prefer")
    ada.page.wait_for_selector("ol.log:has(li:only-child)")


def test_the_log_by_its_operation(box: Served) -> None:
    all_of_it = box.get("/v1/logs?limit=1000").json()
    assert all_of_it["data"] and {row["level"] for row in all_of_it["data"]} <= {"INFO", "WARNING", "ERROR"}
    assert box.get(f"/v1/logs?after={all_of_it['next']}&q=/v1/exchanges").json()["data"] == []
    box.get("/v1/exchanges?user=ada")
    since: list[dict[str, Any]] = []

    def seen() -> bool:
        since[:] = box.get(f"/v1/logs?after={all_of_it['next']}&q=/v1/exchanges").json()["data"]
        return len(since) == 1

    wait_until(seen, 20)
    assert "ada" not in since[0]["message"]
    for wrong in ("after=../../etc", "after=zz-1", "level=all", "limit=0", "limit=100000", f"q={'x' * 300}"):
        assert box.get(f"/v1/logs?{wrong}").status_code == 400
    assert len(box.get("/v1/logs?limit=2").json()["data"]) == 2


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1440, "light")])
def test_the_pages_fit_and_nothing_stands_in_the_way(browser: Browser, box: Served, width: int, scheme: Any) -> None:
    with opened(browser, box, person="ada", width=width, color_scheme=scheme) as page:
        for name in PAGES:
            page.go(name)
            if name == "settings":
                page.page.select_option("[aria-label='Which settings']", "all")
                assert page.is_narrow_enough()
                search(page, "waiting")
                page.page.locator("button[aria-label^='Change']").first.click()
            if name == "doctor":
                page.page.wait_for_selector("button:has-text('Look again'):not([disabled])")
            assert page.is_narrow_enough(), name
            assert page.barriers() == [], name


def test_the_keyboard_is_enough(ada: Opened, box: Served) -> None:
    ada.go("settings")
    search(ada, "waiting.max_requests")
    ada.page.locator("button[aria-label='Change waiting.max_requests']").focus()
    ada.page.keyboard.press("Enter")
    ada.page.keyboard.press("Control+a")
    ada.page.keyboard.type("25")
    ada.page.keyboard.press("Enter")
    ada.told("waiting.max_requests is kept")
    assert ada.page.evaluate("document.activeElement.id") == "set-waiting.max_requests"


def test_each_role_is_listed_what_it_may_open(browser: Browser, box: Served) -> None:
    """The last one here: it makes keys, and from then on nobody comes in without."""
    more = {"user": ("--user", "ada"), "operator": (), "admin": ()}
    keys = {
        role: json.loads(box.netgpt("keys", "create", "--name", role, "--role", role, *words, "--json").stdout)
        for role, words in more.items()
    }
    listed = {"user": ["chat", "me", "live", "privacy"], "operator": ["live", "privacy", "box", *PAGES],
              "admin": ["chat", "me", "live", "privacy", "box", *PAGES]}  # fmt: skip
    for role, key in keys.items():
        with opened(browser, box, key=key["secret"]) as page:
            page.page.wait_for_selector("nav a >> nth=2")
            links = page.page.locator("nav a").evaluate_all("all => all.map((each) => each.hash.slice(2))")
            assert set(listed[role]) <= set(links) and not (set(PAGES) & set(links)) - set(listed[role]), role
            if role == "user":
                page.page.goto(f"{box.url}/console/#/settings")
                page.page.wait_for_selector("[role=alert]:has-text('operator')")
            if role == "operator":
                page.go("settings")
                search(page, "privacy.public_figures")
                assert "takes a key of the role admin" in page.page.locator("main").inner_text()
