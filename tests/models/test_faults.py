"""Every fault, streamed and whole: the stream contract holds, and nothing private is shown."""

from __future__ import annotations

import json
import logging
import time
import traceback
from typing import Any

import pytest
from clouds import IMPATIENT_S, KEY, SECRET, chat, cloud_model, edge_model, patience_for
from outbounds import send
from patience import in_time, until

from netgpt.errors import (
    BrokenStream,
    ContextTooLong,
    ModelError,
    ModelMisconfigured,
    ModelRejected,
    ModelTimeout,
    ModelUnavailable,
    NetGPTError,
)
from netgpt.models.stream import join_chunks
from netgpt.testing.server import Fault, FaultyCloud
from netgpt.types import Chunk

OUTCOMES: dict[Fault, type[NetGPTError] | None] = {
    Fault.CUT: BrokenStream,
    Fault.STALL: ModelTimeout,
    Fault.MALFORMED: BrokenStream,
    Fault.ERROR_IN_200: ModelError,
    Fault.RATE_LIMIT: ModelRejected,
    Fault.SERVER_ERROR: ModelError,
    Fault.REFUSED: ModelMisconfigured,
    Fault.TOO_LONG: ContextTooLong,
    Fault.SLOW_FIRST_BYTE: None,
    Fault.WRONG_CONTENT_TYPE: ModelMisconfigured,
    Fault.HANGUP: ModelUnavailable,
    Fault.BAD_USAGE: None,
    Fault.NO_DONE: None,
    Fault.JSON_INSTEAD_OF_STREAM: None,
}
"""What each fault is to the caller; None: a good answer all the same."""


async def take(answer: Any) -> tuple[list[Chunk], NetGPTError | None]:
    chunks = []
    try:
        async for chunk in answer:
            chunks.append(chunk)
    except NetGPTError as error:
        return chunks, error
    return chunks, None


def test_every_fault_has_an_outcome() -> None:
    assert set(OUTCOMES) == set(Fault)


@pytest.mark.slow
@pytest.mark.parametrize("side", ["edge", "cloud"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", Fault)
async def test_a_fault_never_ends_as_a_clean_end(
    fault: Fault, stream: bool, side: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    body = chat(stream=stream)
    with FaultyCloud(faults=[fault] * 2, slow_s=0.2, retry_after="60") as cloud:
        make = cloud_model if side == "cloud" else edge_model
        model = make(cloud.base_url, timeout_s=IMPATIENT_S) if fault is Fault.STALL else make(cloud.base_url)
        start = time.perf_counter()
        chunks, error = await take(send(model, body) if side == "cloud" else model.chat(body))  # type: ignore[union-attr]
        assert in_time(time.perf_counter() - start, 2)
        await model.close()
    expected = OUTCOMES[fault]
    if expected is None:
        assert error is None
        answer = join_chunks(chunks)["choices"][0]
        assert answer["message"]["content"] == SECRET
        assert answer["finish_reason"] == "stop"
    else:
        assert isinstance(error, expected)
        assert not any(choice["finish_reason"] for chunk in chunks for choice in chunk["choices"])
        _check_nothing_private(error, cloud)
    shown = repr(model) + model.health().detail + caplog.text
    assert KEY not in shown and SECRET not in shown


def _check_nothing_private(error: NetGPTError, cloud: FaultyCloud) -> None:
    """The error names the model and the host; not the key, the path, the request or the server's own words."""
    assert f"127.0.0.1:{cloud.port}" in error.message
    shown = "".join(traceback.format_exception(error)) + repr(error) + json.dumps(error.as_openai())
    for private in (KEY, SECRET, "Wi-Fi", "/v1/chat"):
        assert private not in shown


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("refused", r"answered 401 \(invalid_api_key\): the key was refused; check cloud\.api_key"),
        ("rate_limit", r"answered 429 \(rate_limit_exceeded\): too many requests"),
        ("server_error", r"answered 500 \(server_error\)"),
        ("error_in_200", r"answered 502 \(server_error\)"),
        ("too_long", r"too long for model \"cloud\" at 127\.0\.0\.1"),
        ("wrong_content_type", r"answered with content type text/html"),
    ],
)
async def test_messages_say_what_to_do(fault: str, message: str) -> None:
    with FaultyCloud(faults=[fault], retry_after="60") as cloud:
        model = cloud_model(cloud.base_url)
        with pytest.raises(NetGPTError, match=message):
            await take_or_raise(send(model, chat()))
        await model.close()


async def take_or_raise(answer: Any) -> list[Chunk]:
    return [chunk async for chunk in answer]


@pytest.mark.parametrize("fault", ["rate_limit", "server_error", "hangup"])
async def test_what_passes_is_tried_again(fault: str) -> None:
    with FaultyCloud(faults=[fault, fault], retry_after="0.2") as cloud:
        model = cloud_model(cloud.base_url, retries=2)
        start = time.perf_counter()
        chunks = await take_or_raise(send(model, chat(stream=True)))
        assert join_chunks(chunks)["choices"][0]["message"]["content"] == SECRET
        assert fault != "rate_limit" or time.perf_counter() - start >= 0.4
        await model.close()


async def test_a_server_that_asks_for_too_much_patience_is_passed_on() -> None:
    with FaultyCloud(faults=["rate_limit"] * 3, retry_after="60") as cloud:
        model = cloud_model(cloud.base_url, retries=2)
        with pytest.raises(ModelRejected) as caught:
            await take_or_raise(send(model, chat()))
        await model.close()
    assert (caught.value.status, caught.value.retry_after) == (429, 60.0)
    assert len(cloud.received) == 1


@pytest.mark.parametrize("fault", ["cut", "stall", "malformed", "error_in_200", "refused", "too_long"])
async def test_nothing_is_asked_twice_once_the_answer_began_or_the_request_is_at_fault(fault: str) -> None:
    with FaultyCloud(faults=[fault] * 3) as cloud:
        model = cloud_model(cloud.base_url, retries=2, timeout_s=patience_for(fault))
        with pytest.raises(NetGPTError):
            await take_or_raise(send(model, chat(stream=True)))
        await model.close()
    assert len(cloud.received) == 1


BREAKING = ["cut", "stall", "server_error", "hangup"]


@pytest.mark.parametrize("fault", BREAKING)
async def test_the_breaker_opens(fault: str) -> None:
    with FaultyCloud(faults=[fault] * 2) as cloud:
        model = cloud_model(cloud.base_url, breaker_failures=2, timeout_s=patience_for(fault))
        for _ in range(2):
            await take(send(model, chat(stream=True)))
        health = model.health()
        assert not health.ok and health.detail.endswith("(breaker open)")
        before = len(cloud.received)
        _, error = await take(send(model, chat(stream=True)))
        assert isinstance(error, ModelUnavailable) and error.code == "breaker_open" and error.retry_after
        assert len(cloud.received) == before
        await model.close()


@pytest.mark.parametrize("fault", ["cut", "server_error", "hangup"])
async def test_the_breaker_closes_again(fault: str) -> None:
    with FaultyCloud(faults=[fault] * 2) as cloud:
        model = cloud_model(cloud.base_url, breaker_failures=2, breaker_reset_s=0.3)
        for _ in range(2):
            await take(send(model, chat(stream=True)))
        await until(lambda: "half-open" in model.health().detail)
        assert (await take(send(model, chat())))[1] is None
        assert "breaker closed" in model.health().detail
        await model.close()


async def test_refusals_do_not_open_the_breaker() -> None:
    with FaultyCloud(faults=["refused", "rate_limit", "too_long"] * 3, retry_after="60") as cloud:
        model = cloud_model(cloud.base_url, breaker_failures=1)
        for _ in range(9):
            await take(send(model, chat()))
        assert model.health().ok
        await model.close()
    assert len(cloud.received) == 9
