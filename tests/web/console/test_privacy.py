"""The page Privacy in a real browser: rules in words and what they did, texts tried, rules edited, the chain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import HOSTILE, Opened, opened
from playwright.sync_api import Browser
from serving import Served

from netgpt.policy import Policy, own_text
from netgpt.settings import load_settings
from netgpt.testing.server import FaultyCloud

pytestmark = pytest.mark.slow

NAMES_MAY_LEAVE = """
// Names may leave as they are.
@id("names-as-they-are")
permit (principal, action == Action::"disclose", resource)
when { resource.kind == "PERSON" && resource.label == "personal" };
"""
RULES = f"""{own_text("balanced")[0]}
// Nothing of Bob's leaves.
@id("nothing-of-bobs")
forbid (principal == Person::"local/bob", action == Action::"disclose", resource);
"""


@pytest.fixture(scope="module")
def own_rules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A box whose rules are a file of its owner's."""
    home = tmp_path_factory.mktemp("rules")
    (home / "own.cedar").write_text(RULES)
    with FaultyCloud() as cloud, Served(home, cloud=cloud, policy__set=str(home / "own.cedar")) as box:
        yield box


def test_what_each_rule_did_is_counted_and_said_in_words(browser: Browser, box: Served) -> None:
    with opened(browser, box, person="lou") as lou:
        lou.ask("Write to bob@example.org and to +44 20 7946 0018")
        lou.go("privacy")
        row = lou.page.locator(
            "section[aria-label='Rules in force'] tr", has_text="What is personal leaves as a placeholder"
        )
        assert "2 hidden" in row.inner_text()
        row.locator("summary").click()
        assert 'context.precision == "placeholder"' in row.inner_text()
    assert box.get("/v1/policy/rulings?user=nobody").json()["data"] == []
    box.post({"text": "Write to eva@example.org", "user": "lou"}, path="/v1/privacy/try")
    assert box.get("/v1/policy/rulings?user=lou").json()["data"] == [
        {"rule": "personal-as-placeholder", "effect": "hid", "times": 2}
    ]


def test_a_text_is_compared_under_two_sets_and_nothing_leaves_or_is_kept(ada: Opened, box: Served) -> None:
    assert box.cloud is not None
    before, kept = len(box.cloud.received), box.get("/v1/exchanges?user=ada").json()["data"]
    ada.go("privacy")
    ada.page.fill("#try", f"Call Ada Lovelace on +44 20 7946 0018 {HOSTILE[:300]}")
    ada.page.select_option("[aria-label='Compare with']", "open")
    ada.page.locator("section[aria-label='Try a text'] button.main").click()
    now = ada.page.locator("section[aria-label='Now (balanced): Would leave']")
    now.wait_for()
    then = ada.page.locator("section[aria-label='Then (open): Would leave']").inner_text()
    assert "[PHONE_1]" in now.inner_text() and "+44 20 7946 0018" in then
    assert "More would be allowed" in ada.page.locator("main").inner_text()
    assert ada.barriers() == [] and ada.page.locator("main img, main script").count() == 0
    assert len(box.cloud.received) == before and box.get("/v1/exchanges?user=ada").json()["data"] == kept


def test_rules_are_tried_refused_edited_and_in_force_from_the_next_request_on(
    browser: Browser, own_rules: Served
) -> None:
    box = own_rules
    assert box.cloud is not None
    box.cloud.stop()  # the owner may look after the rules while the cloud is cut
    with opened(browser, box, person="ada") as ada:
        ada.go("privacy")
        ada.page.fill("#try", "Call Zbigniew Brzezicki tomorrow")
        ada.page.click("summary:has-text('The rules as text')")
        rules = ada.page.locator("textarea.code")
        rules.fill("permit (principal, action, resource")
        ada.page.click("text=Try the edit")
        ada.page.wait_for_selector("[role=alert]:has-text('not a Cedar policy')")
        rules.fill(RULES + NAMES_MAY_LEAVE)
        ada.page.click("text=Try the edit")
        ada.page.wait_for_selector("td:has-text('personal identity (PERSON) as exact')")
        assert "[PERSON_1]" in ada.page.locator("section[aria-label^='Now']").inner_text()
        assert "Zbigniew Brzezicki" in ada.page.locator("section[aria-label^='Then']").inner_text()
        ada.page.click("button:has-text('Put in force')")
        ada.page.wait_for_selector("dialog:has-text('More would leave')")
        ada.page.locator("dialog >> text=Cancel").click()
        assert (box.home / "own.cedar").read_text() == RULES
        ada.page.click("button:has-text('Put in force')")
        ada.page.wait_for_selector("dialog:has-text('More would leave')")
        ada.page.locator("dialog button.main").click()
        ada.page.wait_for_selector("summary:has-text('Edits of before')")
        assert "Names may leave as they are" in ada.page.locator("section[aria-label='Rules in force']").inner_text()
        ada.page.click("summary:has-text('Edits of before')")
        assert "new permit names-as-they-are" in ada.page.locator("section[aria-label='Edit the rules']").inner_text()
    box.cloud.start()
    box.ask("Call Zbigniew Brzezicki tomorrow")
    assert b"Zbigniew Brzezicki" in box.cloud.received[-1].body
    noted = json.loads((box.home / "policy-changes.jsonl").read_text().splitlines()[-1])
    assert (noted["by"], noted["loosens"]) == ("no key", True)


def test_what_may_not_be_put_in_force_is_refused(own_rules: Served) -> None:
    box = own_rules
    now = box.get("/v1/policy").json()

    def put(rules: str, **fields: object) -> tuple[int, str | None]:
        body = {"rules": rules, "edited": now["sha256"], **fields}
        answer = box.put(body, "/v1/policy")
        return answer.status_code, answer.json().get("error", {}).get("code")

    opens = NAMES_MAY_LEAVE.replace("PERSON", "PLACE").replace("names-", "places-")
    assert put(now["own"] + opens) == (409, "loosens")
    assert put(now["own"] + '@id("all") permit (principal, action, resource);') == (400, "rules")
    assert put(now["own"] + opens, edited="0" * 64) == (409, "edited_meanwhile")
    assert put(now["own"] + '@id("x") permit (principal, action, resource) when { principal.nothing };') == (
        400,
        "rules",
    )
    assert put(now["own"]) == (200, None)
    assert box.get("/v1/policy").json()["sha256"] == now["sha256"]


def test_stricter_rules_need_no_second_word(own_rules: Served) -> None:
    now = own_rules.get("/v1/policy").json()
    about_ages = '@id("no-ages") forbid (principal, action == Action::"disclose", resource)'
    stricter = f'{now["own"]}\n{about_ages} when {{ resource.kind == "AGE" }};\n'
    answer = own_rules.put({"rules": stricter, "edited": now["sha256"]}, "/v1/policy")
    assert answer.status_code == 200 and not answer.json()["difference"]["loosens"]
    assert (own_rules.home / "own.cedar").stat().st_mode & 0o777 == 0o600


def test_an_edited_ready_made_set_becomes_a_file_of_the_owners_that_counts_at_once_and_after_a_start(
    tmp_path: Path,
) -> None:
    (tmp_path / "netgpt.toml").write_text('# my box\nlog_level = "info"\n')
    with FaultyCloud() as cloud, Served(tmp_path, cloud=cloud) as box:
        now = box.get("/v1/policy").json()
        body = {"rules": now["own"] + NAMES_MAY_LEAVE, "edited": now["sha256"], "even_if_more_may_leave": True}
        assert box.put(body, "/v1/policy").status_code == 200
        box.ask("Call Zbigniew Brzezicki tomorrow")
        assert b"Zbigniew Brzezicki" in cloud.received[-1].body
        after = box.get("/v1/policy").json()
        assert after["name"] == str(tmp_path / "policy.cedar") and after["editable"]["here"]
        assert "policy.set" not in box.get("/v1/settings").json()["waiting"]
    assert (tmp_path / "netgpt.toml").read_text().startswith("# my box\n")
    named = load_settings(tmp_path / "netgpt.toml", {}).policy.set
    assert Policy.load(named).digest == after["sha256"] != now["sha256"]


def test_the_chain_is_checked_part_by_part(ada: Opened, box: Served) -> None:
    ada.ask("hello there")
    ada.ask("and again")
    ada.go("privacy")
    ada.page.click("text=Check the whole chain")
    ada.page.wait_for_selector("[role=status]:has-text('The chain is whole')")
    first = box.get("/v1/receipts/verify?most=1").json()
    assert (first["whole"], first["complete"], first["checked"]) == (True, False, 1)
    other = box.get("/v1/receipts/verify", params={"after": f"1:{'00' * 32}"}).json()
    assert not other["whole"] and "does not follow" in other["faults"][0]["what"]
    assert box.get("/v1/receipts/verify?after=nonsense").status_code == 400


def test_each_role_sees_of_the_rules_what_it_may(browser: Browser, own_rules: Served) -> None:
    """The last one here: the box has keys from now on."""
    made = {role: own_rules.netgpt("keys", "create", "--name", role, "--role", role, *more, "--json").stdout
            for role, more in {"user": ("--user", "ada"), "operator": (), "admin": ()}.items()}  # fmt: skip
    key = {role: json.loads(text)["secret"] for role, text in made.items()}
    with opened(browser, own_rules, key=key["user"]) as user:
        user.go("privacy")
        text = user.page.locator("main").text_content() or ""
        assert "nothing-of-bobs" in text and "Bob" not in text and "Two tenants never" in text
        assert str(own_rules.home) not in user.page.content() and "Edit the rules" not in text
    with opened(browser, own_rules, key=key["operator"]) as operator:
        operator.go("privacy")
        assert "rules are put in force by admins" in (operator.page.locator("main").text_content() or "")
    with opened(browser, own_rules, key=key["admin"]) as admin:
        admin.go("privacy")
        assert admin.page.locator("button:has-text('Put in force')").count() == 1
