"""Requests of the Messages API as chat bodies: what passes, and what is refused by its name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netgpt.dialects.messages import to_chat
from netgpt.dialects.messages_count import tokens_in, tokens_of
from netgpt.errors import RequestError

MARK = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def chat(content: Any = "hello", role: str = "user", **more: Any) -> dict[str, Any]:
    return to_chat({"model": "m", "max_tokens": 9, "messages": [{"role": role, "content": content}], **more})


def said(*blocks: dict[str, Any], role: str = "user") -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = chat(list(blocks), role)["messages"]
    return messages


def test_the_fields_of_a_request() -> None:
    body = chat(
        system="be brief", temperature=0.2, top_p=0.9, top_k=5, stop_sequences=["END"], stream=True,
        metadata={"user_id": "ada"}, service_tier="standard_only", thinking={"type": "enabled", "budget_tokens": 1024},
        output_config={"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}},
        tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True}, netgpt={"explain": True},
    )  # fmt: skip
    schema = {"name": "answer", "schema": {"type": "object"}, "strict": True}
    assert body == {
        "model": "m", "max_tokens": 9, "temperature": 0.2, "top_p": 0.9, "top_k": 5, "stop": ["END"], "user": "ada",
        "stream": True, "stream_options": {"include_usage": True}, "service_tier": "default",
        "thinking": {"type": "enabled", "budget_tokens": 1024}, "reasoning_effort": "high",
        "response_format": {"type": "json_schema", "json_schema": schema},
        "tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": False,
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}],
        "netgpt": {"explain": True},
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "is_said"), [("auto", "auto"), ("any", "required"), ("none", "none")])
def test_which_tools_may_be_called(kind: str, is_said: str) -> None:
    assert chat(tool_choice={"type": kind})["tool_choice"] == is_said


def test_marks_for_a_cache_stay_where_they_are() -> None:
    tool = {"name": "f", "input_schema": {"type": "object"}, **MARK}
    body = to_chat({
        "max_tokens": 9, "tools": [tool], "system": [{"type": "text", "text": "s", **MARK}], **MARK,
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "t", **MARK}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}, **MARK}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "r", **MARK}]},
        ],
    })  # fmt: skip
    system, user, assistant, result = body["messages"]
    marked = (body["tools"][0], system["content"][0], user["content"][0], assistant["tool_calls"][0], result, body)
    assert [each["cache_control"] for each in marked] == [MARK["cache_control"]] * 6


def test_what_tools_gave() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGVsbG8="}}
    blocks = said(
        {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "one"}]},
        {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "two"}, picture]},
        {"type": "tool_result", "tool_use_id": "c", "content": "no such file", "is_error": True},
        {"type": "tool_result", "tool_use_id": "d", "content": "Error: no such file", "is_error": True},
        {"type": "tool_result", "tool_use_id": "e"},
        {"type": "text", "text": "go on"},
    )
    results, last = blocks[:-1], blocks[-1]
    assert [(each["role"], each["tool_call_id"], each["content"]) for each in results] == [
        ("tool", "a", "one"), ("tool", "b", "two"), ("tool", "c", "Error: no such file"),
        ("tool", "d", "Error: no such file"), ("tool", "e", ""),
    ]  # fmt: skip
    assert [part["type"] for part in last["content"]] == ["text", "image_url", "text"]
    assert last["content"][1]["image_url"]["url"] == "data:image/png;base64,aGVsbG8="
    assert "b" in last["content"][0]["text"]


def test_documents_and_finds() -> None:
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    text = {"type": "text", "media_type": "text/plain", "data": "words"}
    found = {"type": "search_result", "title": "T", "source": "S", "content": [{"type": "text", "text": "c"}]}
    (message,) = said(
        {"type": "document", "source": pdf, "title": "a.pdf", "context": "why"},
        {"type": "document", "source": text, "title": "notes"},
        {"type": "document", "source": {"type": "content", "content": "plain"}, **MARK},
        {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}, found,
        {"type": "tool_reference", "tool_name": "look_up"},
    )  # fmt: skip
    texts = [part.get("text") for part in message["content"]]
    assert texts == ["why", None, "notes", "words", "plain", None, "T\nS", "c", "The tool look_up can be called."]
    assert message["content"][1]["file"] == {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}
    assert message["content"][4]["cache_control"] == MARK["cache_control"]


def test_thoughts_go_byte_for_byte() -> None:
    thought = {"type": "thinking", "thinking": " so\n", "signature": "c2lnbmVk+/="}
    sealed = {"type": "redacted_thinking", "data": "ZGF0YQ=="}
    (message,) = said(thought, sealed, {"type": "text", "text": "yes"}, role="assistant")
    known = "anthropic-claude-v1"
    signed = {"text": " so\n", "signature": thought["signature"]}
    details = [{"type": "reasoning.text", **signed, "format": known, "index": 0},
               {"type": "reasoning.encrypted", "data": "ZGF0YQ==", "format": known, "index": 1}]  # fmt: skip
    assert message.pop("reasoning_details") == details
    assert message == {"role": "assistant", "content": "yes", "thinking_blocks": [thought, sealed]}
    (message,) = said({"type": "thinking", "thinking": "unsigned", "signature": ""}, role="assistant")
    assert message == {"role": "assistant", "content": "", "reasoning_content": "unsigned"}


def test_tools_of_the_caller_and_of_the_provider() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    tools = chat(tools=[
        {"name": "f", "description": "d", "input_schema": schema, "strict": True, "defer_loading": True},
        {"type": "custom", "name": "g", "input_schema": schema, "allowed_callers": ["direct"]},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool", "max_characters": 100},
        {"type": "memory_20250818", "name": "memory"},
        {"type": "computer_20250124", "name": "computer", "display_width_px": 800, "display_height_px": 600},
    ])["tools"]  # fmt: skip
    names = [tool["function"]["name"] for tool in tools]
    assert names == ["f", "g", "bash", "str_replace_based_edit_tool", "memory", "computer"]
    assert tools[0] == {"type": "function", "function": {
        "name": "f", "description": "d", "parameters": schema, "strict": True}}  # fmt: skip
    assert all(tool["function"]["parameters"]["properties"] for tool in tools)
    assert "800 by 600" in tools[-1]["function"]["description"]


def test_ids_of_devices_and_sessions_are_nobody() -> None:
    device = "user_" + "0a1b" * 16 + "_account_7c0f0b0e-0000-4000-8000-3f1c6d1b2a3f_session_1f0e"
    for user in (device, json.dumps({"device_id": "0a1b", "session_id": "2c3d"})):
        assert "user" not in chat(metadata={"user_id": user})
    for user in ("ada", "user_17", "3f1c6d1b-2a3f-4000-8000-7c0f0b0e0000"):
        assert chat(metadata={"user_id": user})["user"] == user


def test_what_changes_no_answer_is_accepted() -> None:
    body = chat(
        context_management={"edits": [{"type": "clear_tool_uses_20250919"}]}, speed="fast", betas=["x-2026-01-01"],
        diagnostics={}, mcp_servers=[], container=None, inference_geo="global", some_new_field=3,
    )  # fmt: skip
    assert body["some_new_field"] == 3 and set(body) == {"model", "max_tokens", "messages", "some_new_field"}


USER: dict[str, Any] = {"type": "text", "text": "t"}
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("max_tokens", {"max_tokens": ...}),
    ("messages", {"messages": []}),
    ("messages", {"messages": "hello"}),
    ("messages.0", {"messages": ["hello"]}),
    ("messages.0.role", {"messages": [{"role": "tool", "content": "x"}]}),
    ("messages.0.content", {"messages": [{"role": "user", "content": 3}]}),
    ("messages.0.content", {"messages": [{"role": "user"}]}),
    ("system.0.type", {"system": [{"type": "image", "source": {}}]}),
    ("system", {"system": 3}),
    ("mcp_servers", {"mcp_servers": [{"name": "x", "url": "https://x.example"}]}),
    ("container", {"container": "c_1"}),
    ("inference_geo", {"inference_geo": "us"}),
    ("thread", {"thread": {"type": "create"}}),
    ("thinking.type", {"thinking": {"type": "always"}}),
    ("thinking.budget_tokens", {"thinking": {"type": "enabled"}}),
    ("service_tier", {"service_tier": "fast"}),
    ("metadata.team", {"metadata": {"team": "x"}}),
    ("output_config.colour", {"output_config": {"colour": "red"}}),
    ("output_config.format.type", {"output_config": {"format": {"type": "xml"}}}),
    ("tool_choice.type", {"tool_choice": {"type": "some"}}),
    ("tool_choice.name", {"tool_choice": {"type": "tool"}}),
    ("tools.0.input_schema", {"tools": [{"name": "f"}]}),
    ("tools.0.name", {"tools": [{"input_schema": {}}]}),
    ("tools.1.type", {"tools": [{"name": "f", "input_schema": {}}, {"type": "web_search_20250305", "name": "w"}]}),
    ("tools.0.type", {"tools": [{"type": "code_execution_20250825", "name": "c"}]}),
    ("tools.0.type", {"tools": [{"type": "computer_toolset_20260801"}]}),
    ("tools.0.allowed_callers", {"tools": [
        {"name": "f", "input_schema": {}, "allowed_callers": ["code_execution_20250825"]}]}),
    ("stop_sequences.0", {"stop_sequences": [3]}),
]  # fmt: skip
BLOCKS: list[tuple[str, dict[str, Any]]] = [
    ("type", {"type": "server_tool_use", "id": "1", "name": "web_search", "input": {}}),
    ("type", {"type": "container_upload", "file_id": "f"}),
    ("type", {}),
    ("text", {"type": "text"}),
    ("citations", {"type": "document", "source": {"type": "text", "data": "x"}, "citations": {"enabled": True}}),
    ("source.type", {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}}),
    ("source.type", {"type": "image", "source": {"type": "file", "file_id": "f"}}),
    ("source", {"type": "image"}),
    ("tool_use_id", {"type": "tool_result"}),
    ("toolset_name", {"type": "tool_result", "tool_use_id": "1", "toolset_name": "computer"}),
]


@pytest.mark.parametrize(("where", "fields"), REFUSED)
def test_what_is_wrong_is_named(where: str, fields: dict[str, Any]) -> None:
    body = {"max_tokens": 9, "messages": [{"role": "user", "content": "x"}], **fields}
    with pytest.raises(RequestError) as refused:
        to_chat({name: value for name, value in body.items() if value is not ...})
    assert refused.value.param == where and refused.value.message.startswith(f"{where}: ")


@pytest.mark.parametrize(("where", "block"), BLOCKS)
def test_blocks_that_cannot_be_said_are_named(where: str, block: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as refused:
        said(USER, block)
    assert refused.value.param == f"messages.0.content.1.{where}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
WORDS = st.sampled_from(
    [
        "type",
        "text",
        "content",
        "role",
        "source",
        "data",
        "tool_use_id",
        "id",
        "name",
        "input",
        "thinking",
        "signature",
        "citations",
        "is_error",
    ]
)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "system",
                "messages",
                "tools",
                "tool_choice",
                "thinking",
                "metadata",
                "output_config",
                "stop_sequences",
                "service_tier",
                "stream",
            ]
        ),
        st.dictionaries(WORDS, JSON) | st.lists(st.dictionaries(WORDS, JSON), max_size=3) | JSON,
    )
)
def test_whatever_comes_is_translated_or_refused(body: dict[str, Any]) -> None:
    try:
        assert "messages" in to_chat({"max_tokens": 9, **body})
    except RequestError as error:
        assert error.param
    tokens_of(body)


def test_the_count_of_tokens_is_near() -> None:
    """Against counts of two published tokenizers, taken once (see docs/design/doors-messages.md)."""
    text = "The quick brown fox jumps over the lazy dog. " * 20
    assert 170 <= tokens_in(text) <= 230
    code = "def add(first: int, second: int) -> int:\n    return first + second\n\n" * 10
    assert 180 <= tokens_in(code) <= 240
    body = {"system": text, "messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]}
    assert 2 * tokens_in(text) < tokens_of(body) < 2 * tokens_in(text) + 20
    thought = {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x" * 5_000}]}
    assert tokens_of({"messages": [thought]}) < 20
