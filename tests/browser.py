"""A real browser for the tests of the console: Chromium of the system, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from serving import Served

__all__ = ["HOSTILE", "Guarded", "Opened", "Said", "chromium", "opened"]

HOSTILE = (
    "<script>document.title='owned'</script><img src=https://evil.example/x.png onerror=\"document.title='owned'\">"
    "![x](https://evil.example/y.png) [a](javascript:document.title='owned') \u202eevil\u202c "
    "<style>body{display:none}</style>" + "| a " * 200
)
"""What a model may write to run, load or hide something on a page."""
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser. The tests are skipped where the machine has none (`make test` installs it where it may)."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Said:
    """What the cloud answers; a test may say otherwise for a while."""

    def __init__(self) -> None:
        self.text: str | None = None

    def __call__(self, body: Mapping[str, Any]) -> str:
        last = body["messages"][-1]["content"]
        return self.text if self.text is not None else f"You wrote: {last}"


class Guarded(NamedTuple):
    """A box that asks for keys, and the secrets of its keys by role."""

    box: Served
    keys: dict[str, str]


class Opened:
    """A page at the console of a box, and what went wrong in it: errors of scripts, and requests to any other host."""

    def __init__(self, page: Page, box: Served) -> None:
        self.page, self.box = page, box
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._said)
        page.on("request", self._asked)
        page.set_default_timeout(60_000)

    def _said(self, message: Any) -> None:
        if (
            message.type == "error" and "Failed to load resource" not in message.text
        ):  # a refusal of the API is no fault
            self.errors.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.box.url, "blob:", "data:")):
            self.elsewhere.append(request.url)

    def go(self, name: str, heading: str | None = None) -> None:
        """Show one of the pages by its link."""
        self.page.click(f"nav a[href='#/{name}']")
        self.page.wait_for_selector(f"h1:has-text('{heading or name.title()}')")
        self.page.wait_for_selector("main .dots:has-text('Loading')", state="detached")

    def ask(self, text: str, model: str = "netgpt/cloud") -> str:
        """Ask in the chat; the text of the turn when it has ended."""
        turns = self.page.locator(".turn.box").count()
        self.page.select_option("form select", model)
        self.page.fill("#ask", text)
        self.page.press("#ask", "Enter")
        turn = self.page.locator(".turn.box").nth(turns)
        turn.locator("a:has-text('what left'), [role=alert]").first.wait_for()
        return turn.inner_text()

    def told(self, words: str) -> None:
        """Wait until the page has said so."""
        self.page.wait_for_selector(f"#told:has-text('{words}')")

    def barriers(self) -> list[str]:
        """What stands in the way of those who see or move otherwise, by axe-core's rules (WCAG 2.2 among them)."""
        return [each["id"] for each in Axe().run(self.page).response["violations"]]

    def is_narrow_enough(self) -> bool:
        """Whether nothing must be scrolled sideways to be read, but tables within their own frame."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


@contextmanager
def opened(
    browser: Browser, box: Served, *, person: str = "", key: str = "", width: int = 1280, **options: Any
) -> Iterator[Opened]:
    """The console in a tab of its own, as this person."""
    context = browser.new_context(viewport={"width": width, "height": 900}, **options)
    page = Opened(context.new_page(), box)
    page.page.goto(f"{box.url}/console/")
    page.page.evaluate(
        "([person, key]) => { if (person) sessionStorage.setItem('netgpt.person', person);"
        " if (key) sessionStorage.setItem('netgpt.key', key); }",
        [person, key],
    )
    page.page.reload()
    yield page
    assert page.errors == [] and page.elsewhere == []
    context.close()


def shot(page: Page, folder: Path, name: str) -> None:
    """A picture of the whole page."""
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png", full_page=True)
