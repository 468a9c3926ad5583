"""Chat said to a cloud in its dialect and read back by the box's own door of that dialect: nothing is lost that the
dialect can say. And an answer of the cloud, read as chat and told again by the door, is the answer that it gave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from dialects.chat_bodies import SCHEMA, thoughts
from dialects.chat_bodies import everything_for as everything
from dialects.test_clouds_through_the_box import settings
from doors import door

from netgpt.dialects.cloud_messages import messages_encoder
from netgpt.dialects.cloud_messages_read import MessagesReader
from netgpt.dialects.cloud_responses import responses_encoder
from netgpt.dialects.messages import to_chat as chat_of_messages
from netgpt.dialects.messages_answers import joined, whole_message
from netgpt.dialects.responses import to_chat as chat_of_responses
from netgpt.dialects.saying import thoughts_of
from netgpt.testing.dialects import DialectCloud, answer_in, signature_of, user_text


def everything_for(dialect: str) -> dict[str, Any]:
    """Without the provider's own tools, which no door takes."""
    body = everything(dialect)
    body.pop("web_search_options", None)
    return body


def through(dialect: str, body: dict[str, Any]) -> dict[str, Any]:
    if dialect == "anthropic":
        return chat_of_messages(dict(messages_encoder(4_096)(body).body))
    return chat_of_responses(dict(responses_encoder()(body).body))


def plain(value: Any) -> Any:
    """Chat in one of the ways in which it can say the same."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    said = {name: plain(each) for name, each in value.items() if each is not None and name != "reasoning_content"}
    if said.get("role") == "assistant" and (kept := thoughts_of(value)):
        said["thoughts"] = [
            {name: each[name] for name in ("text", "summary", "signature", "data") if each.get(name)} for each in kept
        ]
        said = {name: each for name, each in said.items() if name not in ("reasoning_details", "thinking_blocks")}
    if said.get("detail") == "auto":
        del said["detail"]  # as it is without it
    content = said.get("content")
    if isinstance(content, list) and len(content) == 1 and content[0].keys() == {"type", "text"}:
        said["content"] = content[0]["text"]
    if isinstance(said.get("arguments"), str):
        said["arguments"] = json.loads(said["arguments"])
    return said


ADA = "ada.lovelace@mill.example"


def reply(body: Mapping[str, Any]) -> dict[str, Any]:
    if "sent" in user_text(body):
        return {"content": "Done, [EMAIL_1].", "thinking": "All of it."}
    function = {"name": "send", "arguments": json.dumps({"path": "[EMAIL_1]"})}
    call = {"id": "toolu_01abcdefgh12", "type": "function", "function": function}
    return {"content": "I send.", "thinking": "It is [EMAIL_1].", "redacted": "kept", "tool_calls": [call]}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", ["responses", "anthropic"])
async def test_who_speaks_messages_is_answered_by_either_cloud(tmp_path: Path, dialect: str, stream: bool) -> None:
    """Two turns with a tool: thoughts restored for the person, and back as they were signed."""
    with DialectCloud(dialect, reply) as cloud:
        async with door(tmp_path, settings(cloud, dialect)) as here:

            async def ask(body: dict[str, Any]) -> dict[str, Any]:
                answer = await here.ask("POST", "/v1/messages", json=body)
                assert answer.status_code == 200, answer.text
                lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
                return joined([json.loads(line) for line in lines]) if stream else dict(answer.json())

            body: dict[str, Any] = {
                "model": "netgpt/cloud", "max_tokens": 500, "stream": stream,
                "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
                "messages": [{"role": "user", "content": f"Send it to {ADA}"}],
                "tools": [{"name": "send", "description": "Sends.", "input_schema": SCHEMA}],
            }  # fmt: skip
            first = await ask(body)
            call = first["content"][-1]
            assert first["stop_reason"] == "tool_use" and call["input"] == {"path": ADA}
            if dialect == "anthropic":
                thought = {
                    "type": "thinking",
                    "thinking": f"It is {ADA}.",
                    "signature": signature_of("It is [EMAIL_1]."),
                }
                assert first["content"][:2] == [
                    thought, {"type": "redacted_thinking", "data": signature_of("kept")}
                ]  # fmt: skip
            result = {"type": "tool_result", "tool_use_id": call["id"], "content": "sent"}
            body["messages"] += [
                {"role": "assistant", "content": first["content"]}, {"role": "user", "content": [result]}
            ]  # fmt: skip
            assert (await ask(body))["content"][-1]["text"] == f"Done, {ADA}."
            assert signature_of("It is [EMAIL_1].").encode() in cloud.received[-1].body
            assert ADA.encode() not in cloud.all_bytes()


@pytest.mark.parametrize("dialect", ["responses", "anthropic"])
def test_nothing_is_lost_that_the_dialect_can_say(dialect: str) -> None:
    body = everything_for(dialect)
    back = through(dialect, body)
    for name in ("messages", "tools", "tool_choice", "parallel_tool_calls", "stream", "reasoning_effort", "user"):
        assert plain(back.get(name)) == plain(body[name]), name
    assert back.get("max_completion_tokens", back.get("max_tokens")) == body["max_completion_tokens"]
    form, given = (each["response_format"]["json_schema"] for each in (back, body))
    assert form["schema"] == given["schema"] or form["schema"] == {
        "title": given["name"], "description": given["description"], **given["schema"]
    }  # fmt: skip
    for name in ("stop", "logprobs", "top_logprobs", "verbosity", "service_tier", "temperature", "top_p"):
        assert back.get(name) == body.get(name), name


@pytest.mark.parametrize("dialect", ["responses", "anthropic"])
def test_what_was_said_once_is_said_the_same_again(dialect: str) -> None:
    body = everything_for(dialect)
    encode = messages_encoder(4_096) if dialect == "anthropic" else responses_encoder()
    once = encode(body)
    again = encode({**through(dialect, body), **{name: body[name] for name in ("store", "metadata") if name in body}})
    assert again.left_out == () and dict(again.body) == dict(once.body)


def test_an_answer_of_the_cloud_is_told_again_by_the_door() -> None:
    calls = [{"id": "toolu_1", "type": "function", "function": {"name": "read", "arguments": '{"path": "x"}'}}]
    given = answer_in("anthropic", {"content": "So.", "thinking": "Hm.", "redacted": "r", "tool_calls": calls}, "m")
    told = whole_message(MessagesReader("a server").whole(given))
    for name in ("id", "role", "type", "model", "stop_reason", "stop_sequence", "usage"):
        assert told[name] == given[name], name
    assert told["content"] == [
        {name: value for name, value in block.items() if name != "citations"} for block in given["content"]
    ]


def test_thoughts_come_back_through_both_doors_as_they_were_signed() -> None:
    assert thoughts_of(thoughts("anthropic"))[0]["signature"]
    for dialect in ("anthropic", "responses"):
        body = everything_for(dialect)
        encode = messages_encoder(4_096) if dialect == "anthropic" else responses_encoder()
        sent = json.dumps(encode(body).body)
        assert json.dumps(encode(through(dialect, body)).body).count("signature") == sent.count("signature")
