"""The chat in a real browser: streamed, stopped, cut, waiting, taken up again; what a model writes stays text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from browser import HOSTILE, Opened, Said, opened
from patience import wait_until
from playwright.sync_api import Browser, Page
from serving import Served

from netgpt.testing.server import FaultyCloud

pytestmark = pytest.mark.slow

WRITTEN = """# A plan

First **pack**, then `go`:

1. socks

2. a *hat*
   - of wool

   ```python
   print("<b>not bold</b>")
   ```

| what | how many |
|---|---|
| socks | 2 |

See [the page](https://evil.example/a) and ![it](https://evil.example/b.png)."""


def last_turn(page: Page) -> str:
    return page.locator(".turn.box").last.inner_text()


def conversations(box: Served, person: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = box.get(f"/v1/profiles/{person}/conversations").json()["data"]
    return found


def test_a_planted_value_is_streamed_in_the_chat_and_hidden_in_what_left(browser: Browser, box: Served) -> None:
    with opened(browser, box, person="ivo") as ivo:
        shown = ivo.ask("Write to planted.value@example.org that I come later")
        assert "You wrote: Write to planted.value@example.org" in shown and "1 hidden" in shown
    assert box.cloud is not None and b"planted.value" not in box.cloud.all_bytes()


def test_what_is_written_in_markdown_is_readable_and_nothing_of_it_acts(ada: Opened, said: Said) -> None:
    said.text = WRITTEN
    try:
        shown = ada.ask("how do I pack")
    finally:
        said.text = None
    answer = ada.page.locator(".answer").last
    assert (
        answer.locator("ol > li").all_inner_texts()[0] == "socks"
        and answer.locator("ol ul li").inner_text() == "of wool"
    )
    assert answer.locator("pre").inner_text() == 'print("<b>not bold</b>")'
    assert answer.locator("td").all_inner_texts() == ["socks", "2"] and answer.locator("strong").inner_text() == "pack"
    assert answer.locator("a, img, b").count() == 0
    assert (
        "the page (https://evil.example/a)" in shown
        and "[picture, not loaded] it (https://evil.example/b.png)" in shown
    )
    ada.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ada.page.locator("[aria-label='Copy code']").last.click()
    ada.told("Copied")
    assert ada.page.evaluate("navigator.clipboard.readText()") == 'print("<b>not bold</b>")'
    ada.page.locator("[aria-label='Copy the answer']").last.click()
    assert ada.page.evaluate("navigator.clipboard.readText()") == WRITTEN


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE,
        "`" * 3000 + "*" * 3000 + "[" * 3000,
        "- " * 2000 + "\n" + "\n".join(" " * n + "- x" for n in range(300)),
    ],
)
def test_hostile_markdown_is_text_and_takes_no_time(ada: Opened, said: Said, text: str) -> None:
    said.text = text
    try:
        ada.ask("hostile")
    finally:
        said.text = None
    assert ada.page.locator(".answer").last.locator("a, img, script, style, iframe").count() == 0
    assert ada.is_narrow_enough() and ada.page.title().endswith("NetGPT")


def test_an_answer_is_stopped_and_what_came_stays(browser: Browser, box: Served, said: Said) -> None:
    assert box.cloud is not None
    said.text, box.cloud.delay_s = " ".join(f"word{n}" for n in range(400)), 0.05
    try:
        with opened(browser, box, person="sam") as sam:
            sam.page.select_option("form select", "netgpt/cloud")
            sam.page.fill("#ask", "tell me much")
            sam.page.press("#ask", "Enter")
            sam.page.wait_for_selector(".answer:has-text('word3')")
            sam.page.click("nav a[href='#/me']")  # it goes on while another page is shown
            sam.page.wait_for_selector("h1:has-text('Me')")
            sam.page.click("nav a[href='#/chat']")
            sam.page.wait_for_selector(".answer:has-text('word9')")
            sam.page.press("#ask", "Escape")
            sam.page.wait_for_selector("[role=alert]:has-text('Stopped by you')")
            assert "word9" in last_turn(sam.page) and "word399" not in last_turn(sam.page)
            wait_until(lambda: box.get("/v1/exchanges?user=sam").json()["data"][0]["status"] == "cancelled", 60)
            sam.page.reload()
            sam.page.locator(".history a").first.click()
            sam.page.wait_for_selector(".turn.box:has-text('Stopped: this is not the whole answer')")
    finally:
        said.text, box.cloud.delay_s = None, 0.0


def test_a_cut_answer_is_marked(ada: Opened, box: Served, said: Said) -> None:
    assert box.cloud is not None
    box.cloud.schedule("cut", "cut", "cut")
    said.text = "many words " * 40
    try:
        shown = ada.ask("tell me much")
    finally:
        box.cloud.unschedule()
        said.text = None
    assert "Cut here, this is not the whole answer" in shown or "finished by" in shown
    ada.page.locator("button:has-text('Ask this again')").last.click() if "Ask this again" in shown else None


def test_an_earlier_conversation_is_opened_and_goes_on(browser: Browser, box: Served) -> None:
    with opened(browser, box, person="nia", width=1440) as nia:
        nia.ask("my secret word is Xylophagous")
        nia.ask("and what else")
        nia.page.click("text=New conversation")
        nia.ask("another matter")
        nia.page.reload()
        nia.page.locator(".history a", has_text="Xylophagous").click()
        nia.page.wait_for_selector(".turn:has-text('and what else')")
        assert nia.page.locator(".turn.box").count() == 2 and "answered by cloud" in last_turn(nia.page)
        nia.ask("go on")
    assert box.cloud is not None
    asked = json.loads(box.cloud.received[-1].body)["messages"]
    assert len(asked) == 5 and asked[0]["content"].startswith("my secret word")
    assert [(each["title"], each["questions"]) for each in conversations(box, "nia")] == [
        ("my secret word is Xylophagous", 3),
        ("another matter", 1),
    ]
    assert conversations(box, "somebody-else") == []
    id = conversations(box, "nia")[0]["id"]
    assert box.get(f"/v1/profiles/somebody-else/conversations/{id}").status_code == 404


def test_another_person_in_the_same_tab_sees_nothing_of_the_first(ada: Opened) -> None:
    ada.ask("only Ada knows this")
    ada.page.fill("#person", "carl")
    ada.page.press("#person", "Enter")
    ada.page.wait_for_selector("p:has-text('None yet')", state="attached")
    assert "only Ada knows" not in ada.page.content()


def test_who_is_to_answer_stays_chosen_while_another_page_is_shown_and_is_nobody_elses_choice(ada: Opened) -> None:
    choice = ada.page.locator("[aria-label='Who answers']")
    choice.select_option("netgpt/edge")
    ada.go("me")
    ada.go("chat")
    assert choice.input_value() == "netgpt/edge"
    ada.page.fill("#person", "carl")
    ada.page.press("#person", "Enter")
    ada.page.wait_for_selector("p:has-text('None yet')", state="attached")
    assert choice.input_value() == "netgpt"


def test_a_dropped_file_is_refused_and_told_what_to_do(ada: Opened) -> None:
    ada.page.wait_for_selector("#ask")
    data = ada.page.evaluate_handle(
        "() => { const data = new DataTransfer(); data.items.add(new File(['x'], 'letter.pdf')); return data; }"
    )
    ada.page.dispatch_event("form.ask", "drop", {"dataTransfer": data})
    ada.page.wait_for_selector("[role=alert]:has-text('Copy the words that matter')")


def test_a_proposed_fact_is_kept_or_not_where_it_was_said(browser: Browser, box: Served) -> None:
    box.post({"purpose": "proposals", "given": True}, path="/v1/profiles/dora/consents")
    with opened(browser, box, person="dora") as dora:
        dora.ask("As a vegetarian, what can I cook tonight?", model="netgpt/edge")
        dora.page.locator(".turn.box .proposal button:has-text('Keep')").click()
        dora.told("The fact was kept")
        dora.ask("I am allergic to peanuts, what snack is fine?", model="netgpt/edge")
        dora.page.locator(".turn.box .proposal button:has-text('No')").click()
        dora.told("The fact was dropped")
    assert len(box.get("/v1/profiles/dora").json()["facts"]) == 1


def test_with_the_cloud_cut_the_box_answers_and_where_nobody_can_the_question_waits(
    browser: Browser, tmp_path: Path
) -> None:
    with (
        FaultyCloud("from afar") as cloud,
        FaultyCloud("from the box") as edge,
        Served(tmp_path / "cut", cloud=cloud, edge_url=edge.base_url, cloud__breaker_failures="1") as box,
        opened(browser, box, person="ada") as ada,
    ):
        assert "from afar" in ada.ask("first question")
        cloud.stop()
        shown = ada.ask("is anybody there", model="netgpt/cloud")
        assert "from the box" in shown and "answered on the box" in shown
        ada.page.wait_for_selector("[role=status]:has-text('The cloud is away: the box answers now')")
        edge.stop()
        ada.page.select_option("form select", "netgpt")
        ada.page.fill("#ask", "please answer when you can")
        ada.page.press("#ask", "Enter")
        ada.page.wait_for_selector(".turn.box:has-text('Waiting:')")
        cloud.start()
        ada.page.wait_for_selector(".turn.box:last-child:has-text('from afar')")
        assert "answered by cloud" in last_turn(ada.page)


def test_conversations_of_long_ago_are_listed_page_by_page_and_opened(box: Served) -> None:
    for n in range(30):
        box.ask(f"question {n}", user="old", netgpt={"conversation": f"talk {n}"}, model="netgpt/edge")
    first = box.get("/v1/profiles/old/conversations?limit=20").json()
    rest = box.get(f"/v1/profiles/old/conversations?limit=20&before={first['next']}").json()
    assert [each["title"] for each in first["data"] + rest["data"]] == [f"question {29 - n}" for n in range(30)]
    last = rest["data"][-1]
    opened = box.get(f"/v1/profiles/old/conversations/{last['id']}?exchange={last['exchange']}").json()
    assert [each["role"] for each in opened["messages"]] == ["user", "assistant"] and rest["next"] is None
    other = box.get(f"/v1/profiles/somebody-else/conversations/{last['id']}?exchange={last['exchange']}")
    assert other.status_code == 404
