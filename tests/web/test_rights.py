"""Dry runs, consents and the export of a person, over real HTTP and beside a running box."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Served, finishes, text_of

from netgpt.testing.server import FaultyCloud

pytestmark = pytest.mark.slow


ADA = f"ada-{secrets.token_hex(8)}"
PLANTED = f"umbrella{secrets.token_hex(8)}"
MAIL = f"{secrets.token_hex(6)}@example.org"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with (
        FaultyCloud() as cloud,
        Served(tmp_path_factory.mktemp("home"), cloud=cloud, privacy__names="false", site__city="Portwick") as gateway,
    ):
        yield gateway


def sent(served: Served) -> int:
    assert served.cloud is not None
    return len(served.cloud.received)


def test_a_dry_run_shows_the_exact_bytes_and_sends_nothing(served: Served) -> None:
    before = sent(served)
    body = {"model": "netgpt/cloud", "user": ADA, "messages": [{"role": "user", "content": f"write to {MAIL}"}]}
    named = {"conversation": "a dry run"}  # so that both calls give the person the same alias
    dry = served.post({**body, "netgpt": {**named, "dry_run": True}}).json()
    assert dry["object"] == "chat.completion" and dry["choices"][0]["message"]["content"] == ""
    assert dry["choices"][0]["finish_reason"] == "stop" and dry["usage"]["total_tokens"] == 0
    answer = dry["netgpt"]["explain"]
    assert dry["netgpt"]["dry_run"] is True and answer["leaves"] == "yes" and answer["outbound"] is None
    assert answer["hidden"][0]["placeholder"] == "[EMAIL_1]" and MAIL not in answer["would_send_text"]
    assert sent(served) == before
    assert json.loads(served.netgpt("receipts", "list", "--user", ADA, "--json").stdout) == []
    row = served.get(f"/v1/exchanges/{dry['netgpt']['exchange']}", params={"user": ADA}).json()
    assert (row["status"], row["cost"], row["outbound"]) == ("dry_run", 0, None) and row["would_send"]
    served.post({**body, "netgpt": named})
    assert served.cloud is not None and served.cloud.received[-1].body.decode() == answer["would_send_text"]


def test_a_dry_run_streams_and_tells_what_stays(served: Served) -> None:
    before = sent(served)
    body = {"model": "netgpt/edge", "messages": [{"role": "user", "content": "hello"}], "netgpt": {"dry_run": True}}
    events = served.stream(body)
    assert events[-1] == "[DONE]" and finishes(events) == ["stop"] and text_of(events) == ""
    answer: Any = events[0]
    explained = answer["netgpt"]["explain"]
    assert explained["leaves"] == "no" and explained["would_send"] is None and sent(served) == before
    shown = served.netgpt("ask", "--dry-run", "--model", "netgpt/cloud", f"write to {MAIL}")
    assert "[EMAIL_1]" in shown.stdout and "would leave" in shown.stdout and sent(served) == before


def test_a_consent_taken_back_by_another_program_counts_at_once(served: Served) -> None:
    url, there = f"{served.url}/v1/profiles/{ADA}/consents", {"latitude": 48.8566, "longitude": 2.3522}

    def left() -> str:
        body = {"model": "netgpt/cloud", "user": ADA, "messages": [{"role": "user", "content": "will it rain"}]}
        extra = {"location": there, "dry_run": True, "consent": ["location"], "complete": "select"}
        answer = served.post({**body, "netgpt": extra}).json()
        return str(answer["netgpt"]["explain"]["would_send_text"])

    given = httpx.post(url, json={"purpose": "location", "given": True, "until": "2999-01-01T00:00:00Z"}, timeout=60)
    assert given.status_code == 201 and given.json()["until"].startswith("2999")
    assert "Paris" in left()
    served.netgpt("profile", "consent", ADA, "off", "--purpose", "location")
    assert "Paris" not in left()
    answer = httpx.get(url, timeout=60).json()
    assert answer["now"]["location"]["consents"] is False and [e["given"] for e in answer["history"]] == [True, False]
    wrong: list[dict[str, Any]] = [
        {"purpose": "locaton", "given": True},
        {"purpose": "location", "given": True, "until": "2001-01-01T00:00:00Z"},
        {"purpose": "location"},
    ]
    for body in wrong:
        assert httpx.post(url, json=body, timeout=60).status_code == 400, body
    assert served.netgpt("profile", "consent", ADA, "off", check=False).returncode == 2


def test_the_export_is_complete_and_forgetting_leaves_nothing(served: Served, tmp_path: Path) -> None:
    base = f"{served.url}/v1/profiles/{ADA}"
    httpx.post(f"{base}/facts", json={"text": f"owns an {PLANTED}"}, timeout=60).raise_for_status()
    named = {"conversation": "the weather"}
    asked = served.ask(f"tell {MAIL} about the weather", user=ADA, netgpt=named).json()["netgpt"]["exchange"]
    served.post({"exchange": asked, "rating": 1, "user": ADA}, "/v1/feedback").raise_for_status()
    httpx.patch(base, json={"training": True}, timeout=60).raise_for_status()
    row = served.get(f"/v1/exchanges/{asked}", params={"user": ADA}).json()
    assert row["restoring"] == {"restored": 1, "unresolved": 0} and row["destination"]
    everything = httpx.get(f"{base}/export", timeout=60).json()
    file = tmp_path / "ada.json"
    served.netgpt("profile", "export", ADA, "--out", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text()).keys() == everything.keys()
    assert PLANTED in str(everything["facts"]) and {"exchange": asked, "rating": 1} in everything["feedback"]
    assert any(MAIL in each["placeholders"].values() for each in everything["pseudonyms"])
    assert any(each["account"]["exchange"] == asked for each in everything["receipts"])
    assert everything["consents"]["training"]["consents"] is True and everything["consent_history"]
    assert "hash" not in str(everything["keys"])

    removed = httpx.delete(base, timeout=60).json()["removed"]
    assert removed["receipts"] and removed["exchanges"] and removed["maps"] and removed["consents"] == 2
    for path in served.home.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not any(word.encode() in content for word in (ADA, PLANTED, MAIL)), path.name
    answer = json.loads(served.netgpt("receipts", "verify", "--json").stdout)
    assert answer["whole"] and answer["erased"] == removed["receipts"]
    gone = json.loads(served.netgpt("receipts", "list", "--json").stdout)
    assert any(row.get("erased_because") == "the person was forgotten" for row in gone)
    assert httpx.get(f"{base}/export", timeout=60).json()["receipts"] == []
