"""A chat body said in Responses, read by its door, said in Messages and read by its door: nothing that all three can
say is lost, and neither is an answer."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from netgpt.dialects import messages, responses
from netgpt.dialects.cloud_messages import messages_encoder
from netgpt.dialects.cloud_responses import responses_encoder

SCHEMA = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
LETTERS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))
WORDS = st.text(LETTERS, min_size=1, max_size=20).filter(str.strip)
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Turns of a user, each with an answer: words, or calls and their results."""
    said: list[dict[str, Any]] = [{"role": "system", "content": draw(WORDS)}] if draw(st.booleans()) else []
    for turn in range(draw(st.integers(0, 3))):
        said.append({"role": "user", "content": draw(WORDS)})
        calls: list[dict[str, Any]] = [
            {"id": f"call_{turn}{number}", "type": "function", "function": {
                "name": "send", "arguments": json.dumps({"to": draw(WORDS)}, separators=(",", ":"))}}
            for number in range(draw(st.integers(0, 2)))
        ]  # fmt: skip
        if calls:
            said.append({"role": "assistant", "content": draw(st.none() | WORDS), "tool_calls": calls})
            said += [{"role": "tool", "tool_call_id": call["id"], "content": draw(WORDS)} for call in calls]
        said.append({"role": "assistant", "content": draw(WORDS)})
    picture = [PICTURE] if draw(st.booleans()) else []
    return [*said, {"role": "user", "content": [{"type": "text", "text": draw(WORDS)}, *picture]}]


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """What all three can say, each thing in one way."""
    said = []
    for message in body["messages"]:
        content = message.get("content")
        whole: list[dict[str, Any]] = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        parts = [part if part["type"] == "text" else part | {"image_url": {"url": part["image_url"]["url"]}}
                 for part in whole]  # fmt: skip
        calls = [
            (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in message.get("tool_calls") or ()
        ]
        said.append((message["role"], parts, calls, message.get("tool_call_id")))
    tools = [{name: tool["function"].get(name) for name in ("name", "description", "parameters")}
             for tool in body.get("tools") or ()]  # fmt: skip
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    kept = [body.get(name) for name in ("model", "temperature", "stream", "tool_choice")]
    return {"said": said, "tools": tools, "most": most, "kept": kept}


@given(conversations(), st.booleans(), st.sampled_from(["auto", "none", "required"]))
def test_nothing_that_all_three_can_say_is_lost(said: list[dict[str, Any]], stream: bool, choice: str) -> None:
    tool = {"type": "function", "function": {"name": "send", "description": "Sends.", "parameters": SCHEMA}}
    body = {"model": "m", "messages": said, "tools": [tool], "tool_choice": choice, "max_completion_tokens": 900,
            "temperature": 0.5, "stream": stream}  # fmt: skip
    by_responses = responses.to_chat(dict(responses_encoder()(body).body))
    assert plain(by_responses) == plain(body)
    by_messages = messages.to_chat(dict(messages_encoder(1_000)(by_responses).body))
    assert plain(by_messages) == plain(body)
