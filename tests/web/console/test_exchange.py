"""One exchange: what if, the bodies, what was found wrongly, and texts of others, for which a reason is asked."""

from __future__ import annotations

from typing import Any

import pytest
from browser import Guarded, Opened, opened
from playwright.sync_api import Browser
from serving import Served

pytestmark = pytest.mark.slow


def show(page: Opened, id: str) -> None:
    """Go to the page of this exchange."""
    page.page.evaluate(f"location.hash = '#/exchange/{id}'")
    page.page.wait_for_selector("h2:has-text('Where the time went')")


def asked(box: Served, text: str, model: str = "netgpt", user: str | None = "ada") -> str:
    answer = box.ask(text, model=model, **({"user": user} if user else {}))
    assert answer.status_code == 200, answer.text
    return str(answer.headers["x-netgpt-exchange"])


def test_sliders_show_who_would_have_answered(ada: Opened, box: Served) -> None:
    id = asked(box, "how do bridges stand")
    show(ada, id)
    verdict = ada.page.locator(".verdict")
    verdict.wait_for()
    then = box.post({}, f"/v1/exchanges/{id}/what-if?user=ada").json()
    assert "as it was weighed then" in verdict.inner_text() and then["best"] == then["best_then"]
    for each in then["changes"]:
        name = {"rtt": "rtt_ms"}.get(each["what"], each["what"])
        to = each["to"] * 1000 if each["what"] == "rtt" else each["to"]
        body: dict[str, Any] = {name: {each["of"]: to} if each["of"] else to}
        again = box.post(body, f"/v1/exchanges/{id}/what-if?user=ada").json()
        assert again["best"] == each["best"] != then["best"], each
    slider = ada.page.locator("input[type=range][aria-label^='Chance that a small model']")
    with ada.page.expect_response("**/what-if*") as moved:
        slider.press("End")
    assert (
        moved.value.request.post_data_json == {"difficulty": 0.99} and slider.get_attribute("aria-valuetext") == "99 %"
    )
    ada.page.click("text=As it was")
    ada.page.wait_for_selector(".verdict:has-text('as it was weighed then')")
    ada.page.locator("p:has-text('alone would have changed it') button").first.click()
    ada.page.wait_for_selector(".verdict:has-text('would answer, not')")
    ada.page.click("text=As it was")
    ada.page.wait_for_selector(".verdict:has-text('as it was weighed then')")
    assert "will do" in ada.page.locator("table:has(th:has-text('ruled out by'))").inner_text()


def test_a_decision_that_was_none_says_so(ada: Opened, box: Served) -> None:
    show(ada, asked(box, "named by the caller", model="netgpt/cloud"))
    assert "the caller named the model" in ada.page.locator("main").inner_text()
    wrong = box.post({"prefer": "reckless"}, f"/v1/exchanges/{asked(box, 'once more')}/what-if?user=ada")
    assert wrong.status_code == 400 and "balanced" in wrong.json()["error"]["message"]


def test_the_bodies_are_there_to_be_copied_and_the_receipt_is_checked(ada: Opened, box: Served) -> None:
    id = asked(box, "to greta@example.org", model="netgpt/cloud")
    ada.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    show(ada, id)
    ada.page.click("summary:has-text('Left, byte for byte')")
    ada.page.click("button[aria-label='Copy: Left, byte for byte']")
    ada.told("Copied")
    left = ada.page.evaluate("navigator.clipboard.readText()")
    assert left == box.get(f"/v1/receipts/{id}?user=ada").json()["content"] and "[EMAIL_1]" in left
    ada.page.click("text=Check it here")
    ada.told("belong together")
    picture = ada.page.locator("svg[aria-label*='generate']").get_attribute("aria-label") or ""
    assert "first word after" in picture and "all in" in picture


def test_who_owns_the_box_lets_a_word_through(ada: Opened, box: Served) -> None:
    show(ada, asked(box, "say hello to Zbigniew Brzezicki", model="netgpt/cloud"))
    ada.page.click("button[aria-label^='Not private: [NAME_1]'], button[aria-label^='Not private: [PERSON_1]']")
    ada.told("may leave")
    words = [each["word"] for each in box.get("/v1/privacy/exceptions").json()["data"]]
    assert [word.casefold() for word in words] == ["zbigniew brzezicki"]
    assert box.cloud is not None
    asked(box, "say hello to Zbigniew Brzezicki once more", model="netgpt/cloud")
    assert b"Brzezicki" in box.cloud.received[-1].body


def test_the_person_reports_and_who_runs_the_box_sees_no_words(browser: Browser, guarded: Guarded) -> None:
    box, keys = guarded
    box.key = keys["user"]
    id = asked(box, "my dog Fleckchen ate at Musterhof, ask holger@example.org", "netgpt/cloud", user=None)
    with opened(browser, box, key=keys["user"]) as user:
        show(user, id)
        user.page.locator("button[aria-label='Not private: [EMAIL_1]']").click()
        user.told("without the words")
        user.page.click("summary:has-text('should have been hidden')")
        user.page.locator("section[aria-label='What left'] .text").last.select_text()
        assert "ask [EMAIL_1]" in user.page.input_value("[aria-label='Words that should have been hidden']")
        user.page.fill("[aria-label='Words that should have been hidden']", "Fleckchen")
        with user.page.expect_response("**/reports") as told:
            user.page.click("button:has-text('Report')")
        assert (told.value.status, told.value.json()["text"]) == (201, None)
        user.page.wait_for_function("() => !document.querySelector('details form input').value")
        user.page.fill("[aria-label='Words that should have been hidden']", "Musterhof")
        user.page.check("input[type=checkbox]")
        user.page.click("button:has-text('Report')")
        user.told("with the words")
        assert user.barriers() == []
    with opened(browser, box, key=keys["operator"], width=360) as operator:
        operator.go("reports")
        shown = operator.page.locator("main").inner_text()
        assert "hidden without need" in shown and "9 characters, not shown" in shown and "Musterhof" in shown
        assert not any(word in operator.page.content() for word in ("Fleckchen", "holger@"))
        assert operator.barriers() == [] and operator.is_narrow_enough()
        operator.page.locator("button:has-text('Done')").first.click()
        operator.told("off the list")
    assert box.get("/v1/profiles/ada/export").json()["reports"]


def test_an_admin_gives_a_reason_and_the_person_sees_it(browser: Browser, guarded: Guarded) -> None:
    box, keys = guarded
    box.key = keys["user"]
    id = asked(box, "a word for nobody but me", user=None)
    with opened(browser, box, key=keys["admin"], person="ada") as admin:
        admin.page.evaluate(f"location.hash = '#/exchange/{id}'")
        admin.page.wait_for_selector("dialog:has-text('another person')")
        admin.page.click("dialog >> text=Cancel")
        admin.page.wait_for_selector("[role=alert]")
        assert "nobody but me" not in admin.page.content()
        assert box.get("/v1/profiles/ada/readings").json()["data"] == []
        admin.page.reload()
        admin.page.fill("dialog #words", "Ada asked for help – ticket 7")
        admin.page.press("dialog #words", "Enter")
        admin.page.wait_for_selector("text=a word for nobody but me")
    (reading,) = [each for each in box.get("/v1/profiles/ada/readings").json()["data"] if each["what"] == "exchange"]
    assert reading["reason"] == "Ada asked for help – ticket 7" and reading["of"] == id
    with opened(browser, box, key=keys["operator"]) as operator:
        show(operator, id)
        text = operator.page.locator("main").inner_text()
        assert "figures, not texts" in text and "nobody but me" not in operator.page.content()
        assert "as it was weighed then" in text


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1440, "dark")])
def test_it_fits_and_nothing_stands_in_the_way(browser: Browser, box: Served, width: int, scheme: Any) -> None:
    id = asked(box, "how do planes fly, ask ida@example.org")
    with opened(browser, box, person="ada", width=width, color_scheme=scheme) as page:
        show(page, id)
        page.page.wait_for_selector(".verdict")
        assert page.is_narrow_enough() and page.barriers() == []
        page.go("live")
        page.page.wait_for_selector("text=● live")
        assert page.is_narrow_enough() and page.barriers() == []
