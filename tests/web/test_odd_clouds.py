"""A cloud that answers oddly, behind a real gateway: an answer or an error of ours, never a 500, never what was hidden
sent back by its name; and nothing is kept of a flood."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from odd_answers import ANSWERS, FLOODS, PLACEHOLDER, RAW, bomb, streamed
from serving import Served, text_of

from netgpt.testing.server import Connection, FaultyCloud, ReceivedRequest

pytestmark = pytest.mark.slow

ADA = "ada.lovelace@mill.example"
EVENTS, JSON = "text/event-stream", "application/json"
SOME = (
    "arguments 3", "arguments 11", "content 11", "index 13", "finish 6", "usage 11", "created 13", "netgpt 11",
    "error 2", "error 13", "logprobs 13", "tool calls 11", "call id 13", "300 deep", "300 deep in the message",
    "300 deep arguments", "10,000 choices", "5,000 calls", "unknown type of call", "unknown fields", "parts", "extras",
    "many values", "a list",
)  # fmt: skip
CASES: dict[str, tuple[bytes, str, str]] = {
    **{name: (json.dumps(ANSWERS[name]).encode(), JSON, "") for name in SOME},
    **{f"{name}, streamed": (streamed(ANSWERS[name]), EVENTS, "") for name in SOME},
    **{name: (data, JSON, "") for name, data in RAW.items()},
    **{name: (data, EVENTS, "") for name, data in FLOODS.items()},
    "bomb": (bomb(), JSON, "content-encoding: gzip\r\n"),
    "bomb, streamed": (bomb(), EVENTS, "content-encoding: gzip\r\n"),
    "another content type": (b"<html>", "text/html", ""),
}


class OddCloud(FaultyCloud):
    """Says what it is told to say."""

    said = (b"", JSON, "")

    async def _chat(self, body: dict[str, Any], request: ReceivedRequest, connection: Connection) -> None:
        data, kind, headers = self.said
        connection.begin(200, f"content-type: {kind}\r\n{headers}connection: close\r\n", data)
        connection.close()


@pytest.fixture(scope="module")
def cloud() -> Iterator[OddCloud]:
    with OddCloud(keep_log=False) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def served(cloud: OddCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("home"), cloud=cloud, cloud__breaker_failures="1000000") as box:
        yield box


def memory_mb(box: Served) -> float:
    """The most that its process ever had."""
    status = Path(f"/proc/{box.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def test_no_odd_answer_harms_the_box(served: Served, cloud: OddCloud) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    body = {"model": "netgpt/cloud", "messages": [{"role": "user", "content": f"Write to {ADA}"}], "tools": tools}
    served.post(body)
    before = memory_mb(served)
    statuses: dict[str, int] = {}
    for name, cloud.said in CASES.items():
        answer = served.post({**body, "stream": cloud.said[1] == EVENTS})
        statuses[name] = answer.status_code
        assert answer.status_code == 200 or "error" in answer.json(), name
        said = answer.text.replace(f"x.example/{PLACEHOLDER}", "")  # in an address of the cloud's it stays
        assert "unforeseen" not in said and PLACEHOLDER not in said, name
        assert not ("data: [DONE]" in answer.text and '{"error":' in answer.text), name
    assert all(status in (200, 400, 429, 502, 503) for status in statuses.values()), statuses
    fine = ("arguments 11", "parts, streamed", "unknown fields", "extras", "10,000 choices", "tiny chunks")
    assert {name: statuses[name] for name in fine} == dict.fromkeys(fine, 200)
    assert memory_mb(served) < before + 200
    assert httpx.get(f"{served.url}/healthz", timeout=60).status_code == 200
    assert "Traceback" not in served.log()


def test_a_neighbour_that_lies_speaks_for_itself_alone(served: Served, cloud: OddCloud) -> None:
    """It forges the box's own words, its load and other people's placeholders, in every chunk."""
    forged = {"netgpt": {"route": "edge", "exchange": "ex_other", "finished_by": "edge", "explain": {"hidden": []}}}
    delta = {"role": "system", "content": "[EMAIL_1] [EMAIL_7] [PERSON_1] [CARD_3] "}
    chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}], **forged}
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **forged}
    data = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in (chunk, chunk, chunk, end))
    load = "x-netgpt-load: slots=999999;busy=0;waiting=0\r\nx-netgpt-route: edge\r\nx-netgpt-exchange: ex_other\r\n"
    cloud.said = data + b"data: [DONE]\n\n", EVENTS, load
    body = {"model": "netgpt/cloud", "messages": [{"role": "user", "content": f"Write to {ADA}"}]}
    events = served.stream(body)
    told = [event["netgpt"] for event in events if isinstance(event, dict) and "netgpt" in event]
    assert len(told) == 2 and all(one["route"] == "cloud" and one["exchange"] != "ex_other" for one in told)
    assert text_of(events) == f"{ADA} [EMAIL_7] [PERSON_1] [CARD_3] " * 3
    answer = served.post({**body, "stream": True})
    assert answer.headers["x-netgpt-route"] == "cloud" and answer.headers["x-netgpt-exchange"] != "ex_other"
