"""The page of the box: health, models, links; what counts in a decision is changed by its admins, and noted."""

from __future__ import annotations

import pytest
from browser import Opened, opened
from playwright.sync_api import Browser
from serving import Served

pytestmark = pytest.mark.slow


def test_what_counts_is_changed_at_once_and_noted(ada: Opened, box: Served) -> None:
    ada.ask("will it rain")
    ada.go("box")
    assert "can be asked" in ada.page.locator("section[aria-label=cloud]").inner_text()
    assert "cloud" in ada.page.locator("[aria-label=Links]").inner_text()
    ada.page.select_option("[name=prefer]", "private")
    ada.page.fill("[name=share]", "40")
    ada.page.get_by_role("button", name="Change", exact=True).click()
    assert "at most 40 %" in ada.page.locator("dialog").inner_text()
    ada.page.locator("dialog").get_by_role("button", name="Change it").click()
    ada.told("It counts from the next request")
    assert "Changed by no key at" in ada.page.inner_text("main")
    assert "Until the box is started again; the settings say: balanced, no bound" in ada.page.inner_text("main")
    told = box.get("/v1/routing").json()
    assert (told["prefer"], told["max_cloud_share"]) == ("private", 0.4)
    assert "max_cloud_share = 0.4; changed by no key" in box.log()
    assert ada.barriers() == []
    ada.page.select_option("[name=prefer]", "balanced")
    ada.page.fill("[name=share]", "")
    ada.page.locator("[name=share]").press("Enter")
    ada.page.locator("dialog").get_by_role("button", name="Change it").press("Enter")
    ada.page.wait_for_selector("summary:has-text('Changed by')")
    ada.page.wait_for_function("document.querySelector('[name=share]').value === ''")
    assert box.get("/v1/routing").json()["max_cloud_share"] is None


def test_a_line_shows_how_a_link_was_since_the_page_was_opened(browser: Browser, box: Served) -> None:
    with opened(browser, box, width=360, color_scheme="dark") as page:
        page.go("box")
        page.page.locator("svg.spark[aria-label^='cloud']").first.wait_for()
        assert page.barriers() == [] and page.is_narrow_enough()
