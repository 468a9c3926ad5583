"""Anthropic's own client against `netgpt serve`: only the base URL changes. Whole and streamed, with tools, thoughts
that come back as they were signed, and planted values in every field that text can stand in."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import anthropic
import httpx
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.shared import ErrorResponse
from doors import door
from pydantic import TypeAdapter
from serving import Served

from netgpt.store.schema import KeyLimits
from netgpt.testing.server import FaultyCloud

pytestmark = pytest.mark.slow

EVENTS: Final[TypeAdapter[RawMessageStreamEvent]] = TypeAdapter(RawMessageStreamEvent)
SIGNATURE: Final = base64.b64encode(random.Random(1).randbytes(240)).decode()
SEALED: Final = base64.b64encode(random.Random(2).randbytes(400)).decode()
CALL: Final = "toolu_01D7FLrfh4GYq7yT1ULFeyMV"
PLANTED: Final = {
    name: f"{first}.{last}@mill-{place}.example"
    for place, (name, (first, last)) in enumerate(
        {
            "system": ("ingrid", "lindqvist"), "user": ("jonas", "petersen"), "cached": ("maria", "keller"),
            "title": ("olga", "smirnova"), "document": ("pedro", "alvarez"), "context": ("ruth", "okafor"),
            "search": ("tomas", "novak"), "said": ("ursula", "brandt"), "thought": ("viktor", "hansen"),
            "input": ("wanda", "kowalska"), "key": ("xenia", "markou"), "result": ("yusuf", "demir"),
            "part": ("zoe", "marchetti"), "described": ("anders", "holm"), "schema": ("beatriz", "costa"),
            "stop": ("carla", "rossi"), "format": ("dimitri", "volkov"), "user_id": ("elena", "georgiou"),
        }.items()
    )
}  # fmt: skip
"""A value for each field of a request that text can stand in."""
LOOK_UP: Final = {
    "name": "look_up",
    "description": "Find a person's room.",
    "input_schema": {"type": "object", "properties": {"email": {"type": "string"}}, "required": ["email"]},
}


def cloud_says(body: Mapping[str, Any]) -> str | dict[str, Any]:
    """Thinks with a signature and calls the first tool with all placeholders that it was shown; after a result, it
    tells them."""
    shown = sorted(set(re.findall(r"\[EMAIL_\d+\]", json.dumps(body["messages"]))))
    if not body.get("tools") or body["messages"][-1]["role"] == "tool":
        return f"I read: {' '.join(shown)}."
    function = {"name": body["tools"][0]["function"]["name"], "arguments": json.dumps({"email": shown})}
    return {
        "content": f"I look for {shown[0]}.",
        "thinking_blocks": [
            {"type": "thinking", "thinking": f"They mean {shown[0]}.", "signature": SIGNATURE, "index": 0},
            {"type": "redacted_thinking", "data": SEALED, "index": 1},
        ],
        "tool_calls": [{"id": CALL, "type": "function", "function": function}],
    }


@pytest.fixture(scope="module")
def cloud() -> Iterator[FaultyCloud]:
    with FaultyCloud(cloud_says, chunk_size=3) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def served(cloud: FaultyCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("messages") / "home"
    with Served(home, cloud=cloud, server__max_body_bytes="300000") as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def nothing_private_left(cloud: FaultyCloud) -> Iterator[None]:
    yield
    left = [name for name, value in PLANTED.items() if value.encode() in cloud.all_bytes()]
    assert not left, left


@pytest.fixture
def client(served: Served) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=served.url, api_key="none", max_retries=0)


def asked(**more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"Which room has {PLANTED['user']}?"}]
    return {"model": "netgpt/cloud", "max_tokens": 400, "messages": messages, **more}


THINKING: Final = {"type": "enabled", "budget_tokens": 1024}


def events_of(served: Served, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The events as bytes on the line, each with its own name; all but `ping` are read by the SDK's types."""
    found = []
    with httpx.stream("POST", f"{served.url}/v1/messages?beta=true", json={**body, "stream": True}) as answer:
        for block in answer.read().decode().split("\n\n")[:-1]:
            name, data = re.fullmatch(r"event: (\w+)\ndata: (.*)", block).groups()  # type: ignore[union-attr]
            event = json.loads(data)
            assert event["type"] == name
            if name not in ("ping", "error"):
                EVENTS.validate_python(event, strict=False)
            found.append(event)
    return found


def test_a_loop_with_a_tool_whole(client: anthropic.Anthropic, cloud: FaultyCloud) -> None:
    first = client.messages.create(**asked(tools=[LOOK_UP], thinking=THINKING))
    check_first(first)
    assert first._request_id is not None and first._request_id.startswith("ex_")
    result = {"type": "tool_result", "tool_use_id": CALL, "content": "Room 4"}
    history = [*asked()["messages"], {"role": "assistant", "content": first.content},
               {"role": "user", "content": [result]}]  # fmt: skip
    cloud.forget()
    second = client.messages.create(**asked(tools=[LOOK_UP], messages=history, thinking=THINKING))
    assert second.stop_reason == "end_turn" and second.content[0].text == f"I read: {PLANTED['user']}."
    check_history(json.loads(cloud.received[-1].body))


def check_first(message: Message) -> None:
    assert len(message.content) == 4, message.content
    thought, sealed, text, call = message.content
    Message.model_validate(message.model_dump(), strict=True)
    assert thought.type == "thinking" and thought.signature == SIGNATURE
    assert thought.thinking == f"They mean {PLANTED['user']}."
    assert sealed.type == "redacted_thinking" and sealed.data == SEALED
    assert text.type == "text" and text.text == f"I look for {PLANTED['user']}."
    assert call.type == "tool_use" and (call.id, call.name) == (CALL, "look_up")
    assert call.input == {"email": [PLANTED["user"]]}
    assert message.stop_reason == "tool_use" and message.usage.input_tokens > 0 < message.usage.output_tokens


def check_history(body: Mapping[str, Any]) -> None:
    """What its cloud signed comes back to it, byte for byte: also the words that the signature is of."""
    said = body["messages"][1]
    sent = cloud_says({"messages": body["messages"][:1], "tools": body["tools"]})
    assert isinstance(sent, dict)
    blocks = [{name: value for name, value in each.items() if name != "index"} for each in sent["thinking_blocks"]]
    assert said["thinking_blocks"] == blocks and said["content"] == sent["content"]
    assert said["tool_calls"][0]["id"] == body["messages"][2]["tool_call_id"] == CALL


def test_a_loop_with_a_tool_streamed(client: anthropic.Anthropic, served: Served, cloud: FaultyCloud) -> None:
    """However the cloud cuts its arguments, words and thoughts."""
    for size in (1, 2, 7, 400):
        cloud.chunk_size = size
        with client.messages.stream(**asked(tools=[LOOK_UP], thinking=THINKING)) as stream:
            kinds = [event.type for event in stream]
            check_first(stream.get_final_message())
    assert {"text", "thinking", "signature", "input_json", "content_block_stop", "message_stop"} <= set(kinds)
    events = events_of(served, asked(tools=[LOOK_UP], thinking=THINKING))
    assert [event["type"] for event in events[:2]] == ["message_start", "ping"]
    assert events[-1]["type"] == "message_stop" and events[-2]["usage"]["output_tokens"] > 0
    assert events[-2]["netgpt"]["route"] == "cloud"


async def test_asynchronously(served: Served) -> None:
    client = anthropic.AsyncAnthropic(base_url=served.url, api_key="none", max_retries=0)
    async with client, client.messages.stream(**asked()) as stream:
        assert await stream.get_final_text() == f"I read: {PLANTED['user']}."


def everywhere() -> dict[str, Any]:
    """A request with a planted value in each field that text can stand in."""
    mark = {"cache_control": {"type": "ephemeral"}}
    schema = {"type": "object", "properties": {"note": {"type": "string", "description": PLANTED["schema"]}}}
    notes = {"type": "text", "media_type": "text/plain", "data": f"Write to {PLANTED['document']}."}
    document = {"type": "document", "title": f"Notes of {PLANTED['title']}", "context": f"by {PLANTED['context']}",
                "source": notes}  # fmt: skip
    found = {"type": "search_result", "title": "Rooms", "source": "https://mill.example/rooms",
             "content": [{"type": "text", "text": f"Room 5: {PLANTED['search']}"}]}  # fmt: skip
    return {
        "model": "netgpt/cloud", "max_tokens": 400, "stop_sequences": [f"END {PLANTED['stop']}"],
        "metadata": {"user_id": PLANTED["user_id"]},
        "system": [{"type": "text", "text": f"You work for {PLANTED['system']}.", **mark}],
        "tools": [{**LOOK_UP, "description": f"Ask {PLANTED['described']}.", "input_schema": schema, **mark}],
        "output_config": {"format": {"type": "json_schema", "schema": {
            "type": "object", "properties": {"room": {"type": "string", "description": PLANTED["format"]}}}}},
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": f"Which room has {PLANTED['user']}?"},
                {"type": "text", "text": f"And {PLANTED['cached']}?", **mark}, document, found,
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": f"They mean {PLANTED['thought']}.", "signature": SIGNATURE},
                {"type": "text", "text": f"I ask {PLANTED['said']}."},
                {"type": "tool_use", "id": CALL, "name": "look_up",
                 "input": {"note": PLANTED["input"], PLANTED["key"]: 1}},
            ]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": CALL, "is_error": True, "content": [
                {"type": "text", "text": f"No room for {PLANTED['result']}."},
                {"type": "text", "text": json.dumps({"email": PLANTED["part"]}), **mark},
            ]}]},
        ],
    }  # fmt: skip


UNREAD: Final = {"stop", "format", "described", "schema", "user_id"}
"""Planted where no message is: the answer does not tell them."""


@pytest.mark.parametrize("stream", [False, True])
def test_planted_values_in_every_field(served: Served, cloud: FaultyCloud, stream: bool) -> None:
    cloud.forget()
    if stream:
        deltas = [each["delta"] for each in events_of(served, everywhere()) if each["type"] == "content_block_delta"]
        text = "".join(delta.get("text", "") for delta in deltas)
    else:
        answer = served.post(everywhere(), "/v1/messages")
        assert answer.status_code == 200, answer.text
        text = answer.json()["content"][0]["text"]
    missing = [name for name, value in PLANTED.items() if value not in text and name not in UNREAD]
    assert not missing, (missing, text)
    sent = json.loads(cloud.received[-1].body)
    assert SIGNATURE in json.dumps(sent) and CALL in json.dumps(sent)
    marks = json.dumps(sent).count('"cache_control": {"type": "ephemeral"}')
    assert marks == 4, sent


def as_an_agent_asks(text: str, *, stream: bool = True) -> dict[str, Any]:
    """The body of a coding agent: system blocks with marks, dozens of tools, an id of device and session, betas."""
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    tools = [
        {**LOOK_UP, "name": f"tool_{number}", "eager_input_streaming": True, "input_schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": False,
            "properties": {"file_path": {"type": "string", "description": "The absolute path"}}}}
        for number in range(24)
    ]  # fmt: skip
    session = {"device_id": "0a1b" * 16, "account_uuid": "", "session_id": "3f1c6d1b-2a3f-4000-8000-7c0f0b0e0000"}
    return {
        "model": "netgpt/cloud", "max_tokens": 32_000, "stream": stream, "temperature": 1, "tools": tools,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.31.f00; cc_entrypoint=cli;"},
            {"type": "text", "text": "You are a coding agent.", **mark},
            {"type": "text", "text": f"Working directory: /home/dev/src\nIs directory a git repo: Yes\n{text}", **mark},
        ],
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "<system-reminder>\nToday's date is 2026-11-29.\n</system-reminder>"},
            {"type": "text", "text": f"fix the bug that {PLANTED['user']} reported", **mark}]}],
        "metadata": {"user_id": json.dumps(session)},
        "thinking": {"type": "adaptive"}, "output_config": {"effort": "high"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    }  # fmt: skip


def test_as_a_coding_agent_asks(served: Served, cloud: FaultyCloud) -> None:
    betas = "claude-code-20250219,interleaved-thinking-2025-05-14,never-heard-of-2031-01-01"
    headers = {"x-api-key": "none", "anthropic-version": "2023-06-01", "anthropic-beta": betas, "x-app": "cli"}
    cloud.forget()
    url = f"{served.url}/v1/messages?beta=true"
    answer = httpx.post(url, json=as_an_agent_asks("Platform: linux"), headers=headers)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["request-id"] == answer.headers["x-netgpt-exchange"]
    assert '"name":"tool_0"' in answer.text and answer.text.rstrip().endswith('data: {"type":"message_stop"}')
    sent = json.loads(cloud.received[-1].body)
    assert "user" not in sent and "metadata" not in sent and sent["thinking"] == {"type": "adaptive"}
    assert (
        sent["system"] if "system" in sent else sent["messages"][0]["content"][1]["text"] == "You are a coding agent."
    )
    assert len(sent["tools"]) == 24 and sent["tools"][0]["function"]["parameters"]["$schema"].startswith("https://json")


def test_tokens_are_counted_here(client: anthropic.Anthropic, cloud: FaultyCloud) -> None:
    cloud.forget()
    body = as_an_agent_asks("Platform: linux")
    body = {name: body[name] for name in ("model", "system", "messages", "tools", "thinking")}
    counted = client.messages.count_tokens(**body)
    assert 1_500 < counted.input_tokens < 4_000
    with pytest.raises(anthropic.BadRequestError, match=r"messages.0.role"):
        client.messages.count_tokens(**body | {"messages": [{"role": "tool", "content": "x"}]})
    assert cloud.all_bytes() == b""


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"max_tokens": None}, 400, "invalid_request_error"),
    ({"model": "claude-unheard-of"}, 404, "not_found_error"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, 400, "invalid_request_error"),
    ({"messages": [{"role": "user", "content": " "}]}, 400, "invalid_request_error"),
    ({"temperature": 9}, 400, "invalid_request_error"),
    ({"metadata": {"user_id": "u" * 300}}, 400, "invalid_request_error"),
    ({"stop_sequences": "END"}, 400, "invalid_request_error"),
]


@pytest.mark.parametrize(("wrong", "status", "kind"), REFUSED)
def test_what_is_wrong_is_said_in_its_words(served: Served, wrong: dict[str, Any], status: int, kind: str) -> None:
    for stream in (False, True):
        answer = served.post({**asked(), **wrong, "stream": stream}, "/v1/messages")
        check_error(answer, status, kind)
        param = answer.json()["error"]["param"]
        assert param.partition(".")[0] == next(iter(wrong)) and "user." not in answer.json()["error"]["message"]


def check_error(answer: httpx.Response, status: int, kind: str) -> None:
    assert answer.status_code == status, answer.text
    body = answer.json()
    if kind != "request_too_large":  # in the API's reference, and not among the SDK's types
        ErrorResponse.model_validate(body)
    assert body["type"] == "error" and body["error"]["type"] == kind and body["error"]["message"]
    assert body["request_id"] == answer.headers["request-id"]


def test_what_is_refused_before_the_door_is_said_so_too(served: Served) -> None:
    url = f"{served.url}/v1/messages"
    check_error(httpx.post(url, content=b"{"), 400, "invalid_request_error")
    check_error(httpx.get(url), 405, "invalid_request_error")
    check_error(httpx.post(f"{url}/batches", json={}), 404, "not_found_error")
    check_error(httpx.post(url, content=b" " * 300_001), 413, "request_too_large")
    check_error(httpx.post(url, json=asked(), headers={"sec-fetch-site": "cross-site"}), 403, "permission_error")
    check_error(httpx.post(url, json=asked(), headers={"x-pad": "x" * 100_000}), 431, "invalid_request_error")


def test_a_cloud_that_fails(served: Served, cloud: FaultyCloud, client: anthropic.Anthropic) -> None:
    try:
        cloud.schedule("cut")
        events = events_of(served, asked(netgpt={"fallback": "never"}))
        assert events[-1]["type"] == "error" and events[-1]["error"]["type"] == "api_error"
        assert not {"message_delta", "message_stop"} & {each["type"] for each in events}
        cloud.schedule("cut")
        opened = client.messages.stream(**asked(extra_body={"netgpt": {"fallback": "never"}}))
        with pytest.raises(anthropic.APIStatusError, match="api_error"), opened as stream:
            stream.get_final_message()
    finally:
        cloud.unschedule()


async def test_keys_and_their_limits(tmp_path: Path) -> None:
    """A key is taken from either header; what is refused is said in the dialect's shape."""
    async with door(tmp_path) as there:
        _, key = await there.make_key(limits=KeyLimits(requests_per_minute=2))
        body = asked(model="netgpt/edge")
        for headers in ({"x-api-key": key}, {"authorization": f"Bearer {key}"}):
            answer = await there.ask("POST", "/v1/messages", json=body, headers=headers)
            assert answer.status_code == 200 and answer.json()["stop_reason"] == "end_turn", answer.text
        check_error(
            await there.ask("POST", "/v1/messages", json=body, headers={"x-api-key": key}), 429, "rate_limit_error"
        )
        wrong = await there.ask("POST", "/v1/messages", json=body, headers={"x-api-key": key[:-1] + "0"})
        check_error(wrong, 401, "authentication_error")
        check_error(await there.ask("POST", "/v1/messages", json=body), 401, "authentication_error")
        nobody = await there.ask("POST", "/v1/messages/count_tokens", json=body)
        check_error(nobody, 401, "authentication_error")
        _, narrow = await there.make_key(scopes=("models",))
        check_error(await there.ask("POST", "/v1/messages", key=narrow, json=body), 403, "permission_error")


def test_tools_run_by_the_client_itself(client: anthropic.Anthropic) -> None:
    """The SDK's own loop: it calls the function, and sends what it gave, until the answer needs none."""
    asked_for: list[str] = []

    @anthropic.beta_tool
    def look_up(email: list[str]) -> str:
        """Find a person's room.

        Args:
            email: whose
        """
        asked_for.extend(email)
        return f"Room 4, and ask {PLANTED['result']}"

    for stream in (False, True):
        runner: Any = client.beta.messages.tool_runner(
            **asked(), tools=[look_up], stream=stream, betas=["never-heard-of"]
        )
        last = runner.until_done()
        assert last.content[0].text == f"I read: {PLANTED['user']} {PLANTED['result']}."
    assert asked_for == [PLANTED["user"]] * 2
