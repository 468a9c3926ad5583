"""A cloud that fails in every way it can: the stream contract holds, usage is booked, nothing hangs."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from patience import in_time, wait_until
from serving import Served, finishes, text_of

from netgpt.testing.server import Fault, FaultyCloud

pytestmark = pytest.mark.slow


DEADLINE_S = 20.0
TEXT = "Please repeat these words one after the other, slowly and without a mistake."
BEFORE_FIRST_WORD = {Fault.SERVER_ERROR, Fault.WRONG_CONTENT_TYPE, Fault.HANGUP}
REFUSALS = {Fault.REFUSED: 502, Fault.TOO_LONG: 400}
"""What nobody else answers in the place of the cloud, with the status."""
MID_STREAM = {Fault.CUT, Fault.STALL, Fault.MALFORMED, Fault.ERROR_IN_200}
ANSWERS_WELL = {
    Fault.SLOW_FIRST_BYTE, Fault.BAD_USAGE, Fault.NO_DONE, Fault.JSON_INSTEAD_OF_STREAM, Fault.RATE_LIMIT,
}  # fmt: skip


@pytest.fixture(scope="module")
def cloud() -> Iterator[FaultyCloud]:
    with FaultyCloud(slow_s=0.5, retry_after="1") as cloud:
        yield cloud


@pytest.fixture(scope="module")
def served(cloud: FaultyCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = {
        "cloud__timeout": "3",
        "server__deadline_s": str(DEADLINE_S),
        "cloud__retries": "1",
        "cloud__breaker_failures": "1000",
    }
    with Served(tmp_path_factory.mktemp("home"), cloud=cloud, **settings) as gateway:
        assert gateway.ask("hello").status_code == 200  # its address has worked: a web page there is a passing fault
        yield gateway


@pytest.fixture(scope="module")
def patient(cloud: FaultyCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A box that would wait for its cloud for as long as any test runs."""
    with Served(tmp_path_factory.mktemp("patient"), cloud=cloud, cloud__timeout="120") as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def no_leftovers(cloud: FaultyCloud) -> None:
    """A fault that was not retried leaves its second copy in the schedule."""
    cloud.unschedule()


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "netgpt/cloud", "messages": [{"role": "user", "content": TEXT}], **fields}


def recorded(served: Served, exchange: str) -> dict[str, Any]:
    until = time.monotonic() + 30
    while True:
        answer = served.get(f"/v1/exchanges/{exchange}")
        if answer.status_code == 200 or time.monotonic() > until:
            return dict(answer.json())
        time.sleep(0.05)


def test_every_fault_is_looked_at() -> None:
    assert set(Fault) == BEFORE_FIRST_WORD | MID_STREAM | ANSWERS_WELL | REFUSALS.keys()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", REFUSALS)
def test_a_refusal_comes_back(served: Served, cloud: FaultyCloud, fault: Fault, stream: bool) -> None:
    cloud.schedule(fault)
    answer = served.post(body(stream=stream))
    assert answer.status_code == REFUSALS[fault]
    assert recorded(served, answer.headers["x-netgpt-exchange"])["status"] == "failed"


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault not in REFUSALS])
def test_streamed(served: Served, cloud: FaultyCloud, fault: Fault) -> None:
    # Three times, where one retry, and a kept connection that is found closed, would otherwise hide the fault.
    cloud.schedule(fault, *([fault] * 2 if fault in BEFORE_FIRST_WORD else []))
    started = time.monotonic()
    events = served.stream(body())
    assert in_time(time.monotonic() - started, DEADLINE_S)
    exchange = next(e["netgpt"]["exchange"] for e in events if isinstance(e, dict) and "netgpt" in e)
    if fault in ANSWERS_WELL:
        assert text_of(events) == TEXT and finishes(events) == ["stop"] and events[-1] == "[DONE]"
    elif fault in BEFORE_FIRST_WORD:
        assert text_of(events) == "the edge says so" and events[-1] == "[DONE]"
        first = events[0]
        assert isinstance(first, dict) and first["netgpt"]["route"] == "edge"
        assert "the cloud failed" in first["netgpt"]["reason"]
    elif events[-1] == "[DONE]":  # error_in_200 may stand where the first word should
        assert text_of(events) == "the edge says so"
    else:
        assert isinstance(events[-1], dict) and events[-1]["error"]["message"]
        assert "stop" not in finishes(events) and "[DONE]" not in events
        assert TEXT.startswith(text_of(events))
    kept = recorded(served, exchange)
    assert kept["usage"]["total_tokens"] > 0
    assert kept["status"] == ("complete" if events[-1] == "[DONE]" else "failed")


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault not in REFUSALS])
def test_whole(served: Served, cloud: FaultyCloud, fault: Fault) -> None:
    cloud.schedule(fault, *([] if fault is Fault.RATE_LIMIT else [fault] * 2))
    started = time.monotonic()
    answer = served.post(body())
    assert in_time(time.monotonic() - started, DEADLINE_S)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    said = shown["choices"][0]["message"]["content"]
    if fault in ANSWERS_WELL:
        assert said == TEXT and shown["netgpt"]["route"] == "cloud"
    else:
        assert said == "the edge says so" and shown["netgpt"]["route"] == "edge"
        assert "the cloud failed" in shown["netgpt"]["reason"]
    assert shown["usage"]["total_tokens"] > 0
    assert TEXT not in answer.headers.get("x-netgpt-rule", "")


def test_a_hang_up_cancels_the_call_within_a_second(patient: Served, cloud: FaultyCloud) -> None:
    cloud.delay_s = 0.6
    try:
        seen = len(cloud.hangups)
        with httpx.stream("POST", f"{patient.url}/v1/chat/completions", json=body(stream=True), timeout=60) as answer:
            next(answer.iter_lines())
        left = time.monotonic()
        wait_until(lambda: len(cloud.hangups) > seen)
        assert len(cloud.hangups) == seen + 1 and in_time(cloud.hangups[-1] - left, 1.0)
    finally:
        cloud.delay_s = 0.0


def test_a_hang_up_of_a_whole_answer_cancels_too(patient: Served, cloud: FaultyCloud) -> None:
    cloud.slow_s, before = 60.0, len(cloud.hangups)
    try:
        cloud.schedule(Fault.SLOW_FIRST_BYTE)
        content = json.dumps(body()).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(content)}\r\n\r\n"
        host, port = patient.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as line:
            line.sendall(head.encode() + content)
            wait_until(lambda: cloud.open_requests)
        left = time.monotonic()
        wait_until(lambda: len(cloud.hangups) > before)
        assert len(cloud.hangups) == before + 1 and in_time(cloud.hangups[-1] - left, 1.0)
    finally:
        cloud.slow_s = 0.5


def test_a_cancelled_exchange_is_recorded_with_its_usage(patient: Served, cloud: FaultyCloud) -> None:
    cloud.delay_s = 0.6
    try:
        with httpx.stream("POST", f"{patient.url}/v1/chat/completions", json=body(stream=True), timeout=60) as answer:
            exchange = answer.headers["x-netgpt-exchange"]
            next(answer.iter_lines())
        kept = recorded(patient, exchange)
    finally:
        cloud.delay_s = 0.0
    assert kept["status"] == "cancelled" and kept["usage"]["estimated"] is True
    assert kept["usage"]["prompt_tokens"] > 0


def test_a_dead_cloud_opens_the_breaker_and_the_edge_says_so(tmp_path: Any) -> None:
    with FaultyCloud() as cloud:
        settings = {"cloud__retries": "0", "cloud__breaker_failures": "2", "cloud__breaker_reset_s": "4"}
        with Served(tmp_path / "home", cloud=cloud, **settings) as gateway:
            cloud.schedule(*[Fault.SERVER_ERROR] * 2)
            for _ in range(2):
                assert gateway.ask("hello there").json()["netgpt"]["route"] == "edge"
            asked = cloud.answered
            shown = gateway.ask("hello there").json()
            assert shown["netgpt"]["route"] == "edge" and cloud.answered == asked
            assert gateway.get("/readyz").json()["parts"]["cloud"]["ok"] is False
            wait_until(lambda: gateway.ask("hello there").json()["netgpt"]["route"] == "cloud")


def test_no_request_outlives_the_deadline_under_load(served: Served, cloud: FaultyCloud) -> None:
    took: list[float] = []

    def one() -> None:
        started = time.monotonic()
        served.post(body())
        took.append(time.monotonic() - started)

    cloud.schedule(*[Fault.STALL, Fault.CUT, Fault.MALFORMED, None] * 10)
    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == 20 and in_time(max(took), DEADLINE_S + 1)
