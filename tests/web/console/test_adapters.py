"""Adapters in the console: promoted, tried, rolled back and removed; a training begun, followed, stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from browser import HOSTILE, Opened, opened
from made_adapters import adapter_file, card_for, vouched_registry
from playwright.sync_api import Browser
from serving import Served
from small_training import plant_lessons, tiny_model

from netgpt.types import Person

pytestmark = pytest.mark.slow

GATE = {
    "passed": True, "failing": [], "reasons": [], "candidate": {"slices": {"film": {"mean": 0.9}}},
    "against": {"slices": {"film": {"mean": 0.5}}},
    "held_out": {"against": "the base model", "slices": {"film": {"difference": 0.4, "count": 20}}},
    "sentinels": {"categories": {"arithmetic": {"of": 8, "base": 5, "candidate": 6}}},
}  # fmt: skip


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A box with three versions: judged, not judged, refused; and a card that somebody hostile wrote."""
    home = tmp_path_factory.mktemp("home")
    aside(lambda: stock(home))
    with Served(home) as box:
        yield box


def aside(work: Callable[[], None]) -> None:
    """Run it in a thread of its own: the browser has an event loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def stock(home: Path) -> None:
    with vouched_registry(home) as registry:
        for version in (1, 2, 3):
            weights = adapter_file(home / f"{version}.gguf", seed=version)
            registry.add(weights, card_for(weights, version=version, notes=HOSTILE))
        registry.set_metrics("site@1", {"gate": GATE})
        registry.set_metrics(
            "site@3", {"gate": GATE | {"passed": False, "failing": ["held-out"], "reasons": [HOSTILE]}}
        )
        registry.reject("site@3", "held-out")


def states(box: Served) -> dict[str, str]:
    return {row["id"]: row["state"] for row in box.get("/v1/adapters").json()["data"] if row["name"] == "site"}


def confirm(page: Opened, button: str, yes: str, says: str) -> None:
    page.page.get_by_role("button", name=button, exact=True).click()
    assert says in page.page.locator("dialog").inner_text()
    page.page.locator("dialog").get_by_role("button", name=yes).click()


def test_versions_are_promoted_tried_rolled_back_and_removed(browser: Browser, stocked: Served) -> None:
    with opened(browser, stocked, width=360) as page:
        page.go("adapters")
        assert "Nothing is trained here: adapters are for the built-in engine" in page.page.inner_text("main")
        assert page.barriers() == [] and page.is_narrow_enough()
        confirm(page, "Promote site@1", "Promote", "Answer everybody")
        page.told("site@1 answers everybody")
        page.page.get_by_role("button", name="Canary site@2").click()
        assert "on your own word" in page.page.locator("dialog").inner_text()
        page.page.locator("dialog [name=share]").fill("25")
        page.page.locator("dialog [name=share]").press("Enter")
        page.told("tried on 25 %")
        assert states(stocked) == {"site@1": "active", "site@2": "canary", "site@3": "rejected"}
        assert "canary: 25 % of the people" in page.page.locator("tr:has-text('site@2')").inner_text()
        confirm(page, "Roll back site@2", "Roll back", "End the canary")
        page.told("site is rolled back")
        assert page.page.get_by_role("button", name="Promote site@3").count() == 0, "what its gate refused"
        confirm(page, "Remove site@3", "Remove", "cannot be undone")
        page.told("site@3 is gone")
        assert states(stocked) == {"site@1": "active", "site@2": "retired"}
    assert "adapters: site@2 was promoted for 25% of the people by no key" in stocked.log()


def test_a_card_is_shown_whole_and_stays_text(browser: Browser, stocked: Served) -> None:
    with opened(browser, stocked, color_scheme="dark") as page:
        page.go("adapters")
        page.page.click("a:has-text('site@1')")
        page.page.wait_for_selector("h2:has-text('The whole card')")
        row = page.page.locator("[aria-label='Held-out examples by slice'] tbody tr").inner_text()
        assert row.split("\t") == ["film", "20", "90 %", "50 %", "+40 points"]
        assert "data_digest" in page.page.inner_text("pre") and page.page.title() == "Adapters - NetGPT"
        assert page.page.locator("main img, main script").count() == 0 and page.barriers() == []


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A box with a tiny model of its own, and a person who consents to be learnt from."""
    pytest.importorskip("torch", reason="training needs the extra: pip install 'netgpt[train]'")
    home: Path = tmp_path_factory.mktemp("school")
    base = tiny_model(home / "tiny.gguf")
    aside(lambda: asyncio.run(plant_lessons(home, Person("local", "ada"))))
    with Served(home, edge_url="", edge__model=str(base), privacy__names="false", training__threads="1") as box:
        yield box


def begin(page: Opened, epochs: int) -> None:
    page.page.select_option("[name=scope]", "user")
    page.page.fill("[name=user]", "ada")
    page.page.click("summary:has-text('How')")
    page.page.fill("[name=epochs]", str(epochs))
    page.page.fill("[name=learning_rate]", "0.01")
    page.page.get_by_role("button", name="Train", exact=True).click()
    page.told("It begins")


def test_a_training_is_followed_stopped_begun_again_and_promoted(browser: Browser, school: Served) -> None:
    with opened(browser, school) as page:
        page.go("adapters")
        begin(page, 100)
        assert school.post({"scope": "site"}, "/v1/training").json()["error"]["code"] == "training_runs"
        page.page.get_by_role("button", name="Stop", exact=True).click()
        page.page.locator("dialog").get_by_role("button", name="Stop it").click()
        page.told("It is stopped")
        page.page.wait_for_selector("section:has-text('It was stopped')")
        assert school.get("/v1/training").json()["run"]["state"] == "stopped"
        begin(page, 12)
        page.page.locator("svg[aria-label^='The loss went from']").wait_for()
        page.page.wait_for_selector("section:has-text('It passed its gate')", timeout=300_000)
        assert page.barriers() == []
        made = school.get("/v1/training").json()["run"]["made"]
        confirm(page, f"Promote {made}", "Promote", "Answer everybody")
        page.told("answers everybody")
        assert school.get(f"/v1/adapters/{made}").json()["state"] == "active"
    assert '"ada"' not in (school.home / "training" / "now.json").read_text()
