"""Pictures of the console for the docs: `python tools/screenshots.py [FOLDER]`; people and models are made up.

Needs Chromium, and the packages of the tests.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser import Opened, chromium, opened, shot  # noqa: E402
from serving import Served  # noqa: E402

from netgpt.testing.server import FaultyCloud  # noqa: E402

ASKED = "Write to maria.keller@example.org that I am late for lunch; my number is +44 20 7946 0018"


def answer(_body: Mapping[str, Any]) -> str:
    """What the scripted cloud says: it has seen placeholders alone."""
    return "Here is a note to [EMAIL_1]: I am running late for our lunch, please wait. Call me on [PHONE_1]."


def pictures(page: Opened, folder: Path) -> None:
    """One of each page."""
    page.ask(ASKED)
    page.ask("capital of Australia", model="netgpt/edge")
    shot(page.page, folder, "chat")
    page.page.locator("text=what left, and why").first.click()
    page.page.wait_for_selector("h2:has-text('Where the time went')")
    shot(page.page, folder, "exchange")
    chosen = page.box.ask("how do bridges stand", model="netgpt", user="ada").headers["x-netgpt-exchange"]
    page.page.evaluate(f"location.hash = '#/exchange/{chosen}'")
    page.page.wait_for_selector(".verdict")
    shot(page.page, folder, "what-if")
    for name in ("overview", "live", "reports", "box", "me", "adapters", "keys", "logs"):
        page.go(name)
        shot(page.page, folder, name)
    page.go("doctor")
    page.page.wait_for_selector("button:has-text('Look again'):not([disabled])")
    shot(page.page, folder, "doctor")
    page.go("settings")
    page.page.fill("[aria-label='Search the settings']", "cloud share")
    page.page.click("button[aria-label='Change routing.max_cloud_share']")
    shot(page.page, folder, "settings")
    page.go("privacy")
    page.page.fill("#try", "Call Ada Lovelace on +44 20 7946 0018 about invoice 2291")
    page.page.select_option("[aria-label='Compare with']", "open")
    page.page.locator("section[aria-label='Try a text'] button.main").click()
    page.page.wait_for_selector("section[aria-label^='Then']")
    shot(page.page, folder, "privacy")


def main() -> None:
    """Make them."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    with (
        tempfile.TemporaryDirectory() as home,
        FaultyCloud(answer) as cloud,
        FaultyCloud("The capital of Australia is Canberra.") as edge,
        Served(Path(home), cloud=cloud, edge_url=edge.base_url) as box,
        chromium() as browser,
    ):
        box.netgpt("profile", "add", "ada", "is vegetarian", "--kind", "diet")
        with opened(browser, box, person="ada", width=1000) as page:
            pictures(page, folder)
    print(f"pictures are in {folder}")


if __name__ == "__main__":
    main()
