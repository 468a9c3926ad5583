"""Facts that fill a profile with a yes, through a real `netgpt serve`: proposed, shown, kept, dropped, unused before.

The consent is asked, the audit looks at every byte that left, at the log, at the metrics and at the files.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Served

from netgpt.testing.server import FaultyCloud, last_user_text

pytestmark = pytest.mark.slow

BASE = "/v1/profiles"


@pytest.fixture(scope="module")
def cloud() -> Iterator[FaultyCloud]:
    with FaultyCloud(lambda body: f"so: {last_user_text(body)}") as cloud:
        yield cloud


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, cloud: FaultyCloud) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    with Served(home, cloud=cloud, privacy__names="false", completion__mode="select", proposals__most="4") as served:
        yield served


def call(box: Served, method: str, path: str, status: int = 200, **body: Any) -> Any:
    answer = httpx.request(method, f"{box.url}{BASE}/{path}", json=body or None, timeout=60)
    assert answer.status_code == status, answer.text
    return answer.json()


def consents(box: Served, user: str, given: bool = True, purpose: str = "proposals") -> None:
    call(box, "POST", f"{user}/consents", 201, purpose=purpose, given=given)


def says(box: Served, user: str, *texts: str, model: str = "netgpt/edge", **more: Any) -> dict[str, Any]:
    """Ask each in a conversation of its own; the last answer."""
    answer: dict[str, Any] = {}
    for text in texts:
        asked = box.post({"model": model, "user": user, "messages": [{"role": "user", "content": text}], **more})
        assert asked.status_code == 200, asked.text
        answer = asked.json()
    return answer


def waiting(box: Served, user: str, count: int) -> list[dict[str, Any]]:
    """The person's proposals, once there are so many."""
    until = time.monotonic() + 60
    while True:
        found: list[dict[str, Any]] = call(box, "GET", f"{user}/proposals")["data"]
        if len(found) >= count or time.monotonic() > until:
            assert len(found) == count, found
            return found
        time.sleep(0.05)


def facts(box: Served, user: str) -> list[str]:
    return [fact["text"] for fact in call(box, "GET", user)["facts"]]


def test_nothing_is_proposed_without_consent(box: Served) -> None:
    says(box, "nora", "I'm vegan, what can I eat?")
    consents(box, "otto")
    says(box, "otto", "I'm vegan, what can I eat?")
    waiting(box, "otto", 1)  # so the earlier one was read, too
    assert call(box, "GET", "nora/proposals")["data"] == []
    consents(box, "otto", given=False)
    assert call(box, "GET", "otto/proposals")["data"] == []  # they were there by that consent alone


def test_a_fact_is_proposed_and_kept_only_with_a_yes(box: Served) -> None:
    consents(box, "ada")
    says(box, "ada", "As a coeliac, where can I eat?", "I don't drive, how do I get to Ely?")
    first, second = waiting(box, "ada", 2)
    assert (first["text"], first["label"]) == ("is coeliac", "sensitive")
    assert first["words"] == "As a coeliac, where can I eat?" and first["question"] == "Keep 'is coeliac'?"
    assert second["text"] == "doesn't drive" and facts(box, "ada") == []

    kept = call(box, "POST", f"ada/proposals/{first['id']}", 201, label="personal")
    assert (kept["text"], kept["label"], kept["replaced"]) == ("The user is coeliac", "personal", [])
    call(box, "POST", f"ada/proposals/{first['id']}", 404)
    assert call(box, "DELETE", f"ada/proposals/{second['id']}")["deleted"] is True
    call(box, "DELETE", f"ada/proposals/{second['id']}", 404)
    says(box, "ada", "As a coeliac, what is safe?", "I don't drive. Any bus?", "I have a dog. Which park?")
    assert [each["text"] for each in waiting(box, "ada", 1)] == ["has a dog"]  # known, and dropped: not asked again
    assert facts(box, "ada") == ["The user is coeliac"]


def test_a_contradiction_is_offered_as_a_replacement(box: Served) -> None:
    consents(box, "bob")
    call(box, "POST", "bob/facts", 201, text="lives in Leeds", kind="home")
    says(box, "bob", "Since I moved to Graz I freeze, which coat?")
    (one,) = waiting(box, "bob", 1)
    assert one["question"] == "Replace 'lives in Leeds' by 'lives in Graz'?" and len(one["replaces"]) == 1
    call(box, "POST", f"bob/proposals/{one['id']}", 201)
    assert facts(box, "bob") == ["The user lives in Graz"]


def test_they_are_few_exported_and_erased(box: Served) -> None:
    consents(box, "cleo")
    says(box, "cleo", *(f"I'm allergic to {what}, what now?" for what in ("nuts", "eggs", "soy", "wheat", "kiwis")))
    until = time.monotonic() + 60
    while "kiwis" not in json.dumps(call(box, "GET", "cleo/proposals")) and time.monotonic() < until:
        time.sleep(0.05)
    assert [each["text"][15:] for each in waiting(box, "cleo", 4)] == ["eggs", "soy", "wheat", "kiwis"]
    exported = call(box, "GET", "cleo/export")
    assert [each["text"][15:] for each in exported["proposals"]] == ["eggs", "soy", "wheat", "kiwis"]
    assert call(box, "DELETE", "cleo")["removed"]["proposals"] == 4
    assert call(box, "GET", "cleo/proposals")["data"] == []


def test_what_is_only_proposed_is_in_nothing(box: Served, cloud: FaultyCloud) -> None:
    """Neither chosen, nor sent, nor another person's, nor in log, metrics or a file."""
    consents(box, "dora")
    says(box, "dora", "I'm allergic to quinoa, and my daughter Xanthippe is vegan. What can we eat?")
    first, second = waiting(box, "dora", 2)
    cloud.forget()
    for user in ("dora", "emil"):
        asked = says(box, user, "ideas for dinner tonight", model="netgpt/cloud", netgpt={"explain": True})
        shown = json.dumps(asked).casefold()
        assert "quinoa" not in shown and "xanthippe" not in shown
    assert len(cloud.received) == 2
    left = str([request.body for request in cloud.received]).casefold()
    assert "quinoa" not in left and "xanthippe" not in left
    assert call(box, "GET", "emil/proposals")["data"] == []
    call(box, "POST", f"emil/proposals/{first['id']}", 404)
    call(box, "DELETE", f"emil/proposals/{second['id']}", 404)
    metrics = httpx.get(f"{box.url}/metrics", timeout=60).text
    for text in (metrics.casefold(), box.log().casefold()):
        assert "quinoa" not in text and "xanthippe" not in text
    for path in Path(box.home).rglob("*"):
        if path.is_file():
            assert b"quinoa" not in path.read_bytes(), path
    assert facts(box, "dora") == []


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "I'm vegan."}, {"role": "user", "content": "hello"}],
        [{"role": "user", "content": "I'm vegan."}, {"role": "assistant", "content": "I'm a nurse."}],
        [{"role": "user", "content": "I'm vegan."}, {"role": "user", "content": "what is new?"}],
        [{"role": "user", "name": "fred", "content": "I'm vegan, what can I eat?"}],
        [
            {
                "role": "user",
                "content": [{"type": "text", "text": "I'm vegan."}, {"type": "text", "text": "Who is this?"}],
            }
        ],
    ],
    ids=["system", "assistant", "an earlier message", "somebody named", "an attachment"],
)
def test_only_what_the_person_typed_last_counts(box: Served, messages: list[dict[str, Any]]) -> None:
    consents(box, "gus")
    assert box.post({"model": "netgpt/edge", "user": "gus", "messages": messages}).status_code == 200
    consents(box, "hans")
    says(box, "hans", "I don't eat meat. Ideas?")
    waiting(box, "hans", 1)
    assert call(box, "GET", "gus/proposals")["data"] == []
