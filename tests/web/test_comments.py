"""Streams that are silent for long: comments to the caller, and what becomes of errors then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Served

from netgpt.testing.server import Fault, FaultyCloud

pytestmark = pytest.mark.slow

HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def cloud() -> Iterator[FaultyCloud]:
    with FaultyCloud("one two", chunk_size=4, slow_s=1.5) as served:
        yield served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, cloud: FaultyCloud) -> Iterator[Served]:
    quick = {"server__comment_s": "0.3", "privacy__names": "false", "cloud__retries": "0"}
    with Served(tmp_path_factory.mktemp("home"), cloud=cloud, **quick) as opened:
        yield opened


def read(served: Served, path: str = "/v1/chat/completions", **fields: Any) -> tuple[httpx.Response, list[str]]:
    said = {"prompt": "hello"} if path.endswith("/completions") and "chat" not in path else {"messages": HELLO}
    body = {"model": "netgpt/cloud", "stream": True, "netgpt": {"fallback": "never"}, **said, **fields}
    answer = httpx.post(served.url + path, json=body, timeout=60)
    return answer, [each for each in answer.text.split("\n\n") if each]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_a_slow_first_word_is_bridged_by_comments(served: Served, cloud: FaultyCloud, path: str) -> None:
    cloud.schedule(Fault.SLOW_FIRST_BYTE)
    answer, events = read(served, path)
    assert answer.status_code == 200 and answer.headers["x-netgpt-exchange"]
    first = next(place for place, each in enumerate(events) if each.startswith("data: "))
    assert first >= 1 and set(events[:first]) == {": keep-alive"} and events[-1] == "data: [DONE]"
    chunk = json.loads(events[first].removeprefix("data: "))
    assert chunk["netgpt"]["route"] == "cloud", "the head could not tell it"


def test_a_quick_one_has_none_and_tells_its_route_in_the_head(served: Served) -> None:
    answer, events = read(served)
    assert answer.headers["x-netgpt-route"] == "cloud" and not [each for each in events if each.startswith(":")]


@pytest.mark.parametrize(
    ("fault", "status"),
    [(Fault.TOO_LONG, 400), (Fault.REFUSED, 502), (Fault.RATE_LIMIT, 429), (Fault.SERVER_ERROR, 502)],
)
def test_an_error_that_comes_fast_keeps_its_status(
    served: Served, cloud: FaultyCloud, fault: Fault, status: int
) -> None:
    cloud.schedule(fault)
    answer, _ = read(served)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]
    cloud.unschedule()


def test_a_caller_who_goes_while_it_waits_ends_the_call(served: Served, cloud: FaultyCloud) -> None:
    cloud.schedule(Fault.STALL)
    before = len(cloud.hangups)
    body = {"model": "netgpt/cloud", "stream": True, "messages": HELLO}
    with (
        pytest.raises(httpx.ReadTimeout),
        httpx.stream("POST", f"{served.url}/v1/chat/completions", json=body, timeout=httpx.Timeout(60, read=1.2)) as r,
    ):
        for _ in r.iter_raw():
            raise httpx.ReadTimeout("a caller that has had enough")
    for _ in range(600):
        if len(cloud.hangups) > before:
            break
        httpx.get(f"{served.url}/healthz", timeout=60)
    assert len(cloud.hangups) > before


def test_nothing_unforeseen(served: Served) -> None:
    assert "Traceback" not in served.log() and "unforeseen" not in served.log()


def test_a_box_that_says_nothing_where_told(tmp_path: Path, cloud: FaultyCloud) -> None:
    with Served(tmp_path, cloud=cloud, server__comment_s="60", privacy__names="false") as quiet:
        cloud.schedule(Fault.SLOW_FIRST_BYTE)
        answer, events = read(quiet)
        assert answer.headers["x-netgpt-route"] == "cloud" and events[0].startswith("data: ")
