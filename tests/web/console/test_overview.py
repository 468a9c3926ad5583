"""The pictures in a real browser: what they say in words, light and dark, wide and narrow, for each role."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from browser import opened
from playwright.sync_api import Browser
from serving import Served

from netgpt.testing.server import FaultyCloud

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1440, "light")])
def test_each_picture_says_the_same_in_words(browser: Browser, box: Served, width: int, scheme: Any) -> None:
    person = f"pia-{width}"
    box.ask("Write to bob@example.org and eva@example.org", user=person)
    box.ask("hello there", model="netgpt/edge", user=person)
    with opened(browser, box, person=person, width=width, color_scheme=scheme) as pia:
        pia.go("overview")
        words = [each.get_attribute("aria-label") or "" for each in pia.page.locator("figure svg").all()]
        assert words[0] == "2 requests: 1 answered on the box, 1 elsewhere, 0 failed."
        assert "50 % of the answers" in words[1] and "2 values were hidden in what left: EMAIL 2." in words
        assert any(each.startswith("Half of the whole answers took") for each in words)
        assert any("cloud (elsewhere): well" in each for each in words)
        pia.page.locator("figure summary").first.click()
        assert pia.page.locator("figure table").first.locator("tbody tr").count() == 1
        assert pia.barriers() == [] and pia.is_narrow_enough()
        pia.page.select_option("#span", "by=day&last=7")
        pia.page.wait_for_selector("figure svg[aria-label^='2 requests']")


def test_a_cloud_that_is_away_is_seen_and_roles_see_what_they_may(browser: Browser, tmp_path: Path) -> None:
    with FaultyCloud() as cloud, Served(tmp_path / "away", cloud=cloud, cloud__breaker_failures="1") as box:
        made = {role: box.netgpt("keys", "create", "--name", role, "--role", role, *more, "--json").stdout
                for role, more in {"user": ("--user", "ada"), "operator": ()}.items()}  # fmt: skip
        key = {role: json.loads(text)["secret"] for role, text in made.items()}
        box.key = key["user"]
        cloud.stop()
        box.ask("hello there")
        with opened(browser, box, key=key["operator"]) as operator:
            operator.go("overview")
            operator.page.wait_for_selector("svg[aria-label*='cloud (elsewhere): away']")
            assert "1 requests" in operator.page.locator("main").inner_text()
        with opened(browser, box, key=key["user"]) as user:
            user.go("overview")
            assert "No sensor" not in user.page.locator("main").inner_text()
            user.page.wait_for_selector("svg[aria-label*='cloud (elsewhere): away']")
