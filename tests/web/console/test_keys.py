"""Keys, people and budgets in the console: the first key closes the box, each role sees what it may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from browser import HOSTILE, Opened, opened
from playwright.sync_api import Browser
from serving import Served

from netgpt.testing.server import FaultyCloud

pytestmark = pytest.mark.slow


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Served]:
    """A box without keys, whose cloud has a price."""
    with (
        FaultyCloud("it will rain") as cloud,
        Served(tmp_path / "home", cloud=cloud, cloud__price_prompt="1000", cloud__price_completion="1000") as box,
    ):
        yield box


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A box with an admin's key."""
    with Served(tmp_path_factory.mktemp("home"), lockout__failures="5", lockout__first_s="600") as box:
        box.key = box.netgpt("keys", "create", "--role", "admin", "--name", "the admin").stdout.strip()
        yield box


def made(page: Opened, **fields: str) -> str:
    """Fill the form; the secret that is shown."""
    form = page.page.locator("form[aria-label='Make a key']")
    form.locator("[name=role]").select_option(fields.pop("role"))
    for name, value in fields.items():
        form.locator(f"[name={name}]").fill(value)
    page.page.get_by_role("button", name="Make it").click()
    secret = page.page.get_by_label("The new key's secret").input_value()
    page.told("The key is made")
    page.page.click("button:has-text('I have it')")
    assert secret not in page.page.content()
    return secret


def test_the_first_key_closes_the_box_and_the_maker_stays(browser: Browser, fresh: Served) -> None:
    with opened(browser, fresh, width=360) as page:
        page.go("keys")
        assert "This box is open" in page.page.locator("main").inner_text()
        assert page.barriers() == [] and page.is_narrow_enough()
        assert page.page.locator("#sign").inner_text() == "Sign in"
        page.page.locator("[name=name]").fill("mine")
        page.page.get_by_role("button", name="Close the box with it").press("Enter")
        page.told("this tab is signed in")
        first = page.page.get_by_label("The new key's secret").input_value()
        assert httpx.get(f"{fresh.url}/v1/keys", timeout=60).status_code == 401
        page.page.click("button:has-text('I have it')")
        assert page.page.locator("#sign").inner_text() == "Sign out"
        fresh.key = first

        secret = made(page, name="weather app", role="user", user="bob")
        asked = {"model": "netgpt/cloud", "messages": [{"role": "user", "content": "will it rain"}]}
        answer = httpx.post(
            f"{fresh.url}/v1/chat/completions",
            json=asked,
            headers={"authorization": f"Bearer {secret}"},
            timeout=60,
        )
        assert answer.status_code == 200
        page.page.get_by_role("button", name="Change weather app").click()
        page.page.locator("dialog [name=cost_per_month]").fill("0.02")
        page.page.locator("dialog [name=scope-chat]").check()
        page.page.locator("dialog button:has-text('Save')").click()
        page.told("in force from the next request")
        (row,) = (row for row in fresh.get("/v1/keys").json()["data"] if row["name"] == "weather app")
        assert row["limits"]["cost_per_month"] == 0.02 and row["scopes"] == ["chat"] and row["user"] == "bob"
        bar = page.page.locator("tr:has-text('weather app') svg.bar")
        assert bar.get_attribute("aria-label") == f"{round(min(1, row['used']['cost_this_month'] / 0.02) * 100)} % used"
        assert row["used"]["cost_this_month"] > 0
        assert "bob" in page.page.locator("[aria-label='People']").inner_text()
        assert page.barriers() == [] and page.is_narrow_enough()

        page.page.get_by_role("button", name="Revoke weather app").click()
        page.page.locator("dialog button:has-text('Revoke')").click()
        page.told("The key is revoked")
        assert page.page.get_by_role("button", name="Revoke mine").count() == 0, "not one's own"


def test_each_role_sees_what_it_may_and_hostile_names_stay_text(browser: Browser, closed: Served) -> None:
    assert closed.key is not None
    with opened(browser, closed, key=closed.key, color_scheme="dark") as page:
        page.go("keys")
        operator = made(page, name=HOSTILE[:200], role="operator")
        user = made(page, name="a user", role="user")
        assert page.page.title() == "Keys - NetGPT" and page.page.locator("main img, main script").count() == 0
        assert page.barriers() == []
        page.page.get_by_text("Limits and scopes").click()
        page.page.locator("main [name=tokens_per_day]").fill("-4")
        page.page.get_by_role("button", name="Make it").click()
        assert page.page.locator("input:invalid").count() == 1
    with opened(browser, closed, key=operator) as page:
        page.go("keys")
        assert page.page.locator("button:has-text('Revoke')").count() == 0
        assert page.page.get_by_role("button", name="Make it").count() == 0
        assert "a user" in page.page.locator("[aria-label='Keys']").inner_text()
    with opened(browser, closed, key=user) as page:
        assert page.page.locator("nav a[href='#/keys']").count() == 0
        page.page.goto(f"{closed.url}/console/#/keys")
        page.page.wait_for_selector("[role=alert]")
        assert "with the role operator or admin" in page.page.inner_text("[role=alert]")


def test_the_box_says_who_is_locked_out(browser: Browser, closed: Served) -> None:
    assert closed.key is not None
    for at in range(6):
        wrong = {"authorization": f"Bearer ngpt_{at:02}wrong-key-of-somebody"}
        httpx.get(f"{closed.url}/v1/models", headers=wrong, timeout=60)
    with opened(browser, closed, key=closed.key) as page:
        page.go("keys")
        page.page.get_by_role("button", name="Let 127.0.0.1 try again").click()
        page.told("It may try again")
        assert closed.get("/v1/lockouts").json()["data"] == []
