"""Requests of the Responses API as chat: what can be said is said, what cannot is refused by its name."""

from __future__ import annotations

from typing import Any

import pytest

from netgpt.dialects.responses import error_body, namespaces_of, to_chat
from netgpt.errors import ContextTooLong, NotFound, RequestError

USER = {"role": "user", "content": "hi"}

ODD: tuple[Any, ...] = ("ab", 1, True, {})
"""What is no list."""


def chat(**fields: Any) -> dict[str, Any]:
    return to_chat({"model": "netgpt", "input": "hi", **fields})


def messages(*items: Any) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = to_chat({"input": list(items)})["messages"]
    return said


def part(**fields: Any) -> list[dict[str, Any]]:
    """A message of one part."""
    return [{"role": "user", "content": [fields]}]


def test_a_text_and_instructions() -> None:
    assert chat(instructions="be brief") == {
        "model": "netgpt", "messages": [{"role": "system", "content": "be brief"}, USER]
    }  # fmt: skip


def test_fields_have_chats_names() -> None:
    said = chat(
        max_output_tokens=50, reasoning={"effort": "high", "summary": "auto"}, text={"verbosity": "low"}, top_p=0.5,
        parallel_tool_calls=False, tools=[], tool_choice="auto", metadata={"a": "b"}, client_metadata={"x": "y"},
        store=False, include=["reasoning.encrypted_content"], truncation="disabled", max_tool_calls=3,
        prompt_cache_key="k", service_tier="flex", top_logprobs=2, stream=True, temperature=None,
    )  # fmt: skip
    assert said == {
        "model": "netgpt", "messages": [USER], "max_completion_tokens": 50, "reasoning_effort": "high",
        "verbosity": "low", "top_p": 0.5, "prompt_cache_key": "k", "service_tier": "flex", "logprobs": True,
        "top_logprobs": 2, "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip


def test_forms_of_answers() -> None:
    form = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True, "description": None}
    schema = {"name": "n", "schema": {"type": "object"}, "strict": True}
    assert chat(text={"format": form})["response_format"] == {"type": "json_schema", "json_schema": schema}
    assert chat(text={"format": {"type": "json_object"}})["response_format"] == {"type": "json_object"}
    assert "response_format" not in chat(text={"format": {"type": "text"}})


def test_tools_and_choices() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
    tools = [
        {"type": "function", "name": "f", "description": None, "parameters": {"type": "object"}, "strict": True},
        {"type": "custom", "name": "c", "description": "d", "format": grammar},
    ]
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}
    said = chat(tools=tools, tool_choice=choice, parallel_tool_calls=True)
    assert said["tools"] == [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}},
        {"type": "custom", "custom": {"name": "c", "description": "d", "format": {
            "type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}}}},
    ]  # fmt: skip
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}
    assert said["tool_choice"] == {"type": "allowed_tools", "allowed_tools": allowed}
    assert said["parallel_tool_calls"] is True
    one = chat(tools=tools, tool_choice={"type": "custom", "name": "c"})
    assert one["tool_choice"] == {"type": "custom", "custom": {"name": "c"}}


def test_functions_of_a_namespace_are_called_by_both_names() -> None:
    long = {"type": "function", "name": "g" * 64, "description": "Does g."}
    space = {"type": "namespace", "name": "crm", "description": "Of customers.", "tools": [
        {"type": "function", "name": "find", "description": "Finds."}, long]}  # fmt: skip
    first, second = (tool["function"] for tool in chat(tools=[space])["tools"])
    assert first == {"name": "crm__find", "description": "[crm: Of customers.]\nFinds."}
    assert second["name"].startswith("ns_") and "gg" not in second["name"] and second["description"] == "Does g."
    call = {"type": "function_call", "call_id": "c", "namespace": "crm", "name": "find", "arguments": "{}"}
    assert messages(call)[0]["tool_calls"][0]["function"]["name"] == "crm__find"
    made = namespaces_of({"tools": [space]})
    assert made == {"crm__find": ("crm", "find"), second["name"]: ("crm", "g" * 64)}


@pytest.mark.parametrize("value", ["lena.vogel@mill.example", "DE89370400440532013000"])
def test_a_long_namespace_is_left_out_and_never_cut_in_the_middle(value: str) -> None:
    """Half of a private value would not be found by the boundary any more."""
    for filler in range(30, 64):
        inner = [{"type": "function", "name": "look_up", "parameters": {}}]
        space = {"type": "namespace", "name": f"{'k' * filler}_{value}", "tools": inner}
        name = chat(tools=[space])["tools"][0]["function"]["name"]
        assert len(name) <= 64 and (name == f"{space['name']}__look_up" or name.startswith("ns_"))
        assert value in name or not any(value[:size] in name for size in (4, 8, 12)), name


def test_parts_of_messages() -> None:
    parts = [
        {"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": "data:x", "detail": "low"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:y"},
    ]  # fmt: skip
    (said,) = messages({"type": "message", "role": "user", "content": parts})
    assert said["content"] == [
        {"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}},
        {"type": "file", "file": {"file_data": "data:y", "filename": "a.pdf"}},
    ]  # fmt: skip


def test_the_items_of_one_answer_are_one_message() -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    said = messages(
        USER, {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "one"}]},
        {"role": "assistant", "content": "two"}, call, {**call, "call_id": "c2"},
        {"role": "assistant", "content": "between"}, {"type": "function_call_output", "call_id": "c1", "output": "r"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "s"}]},
        {"role": "developer", "content": "d"},
    )  # fmt: skip
    assert [each["role"] for each in said] == ["user", "assistant", "assistant", "tool", "tool", "developer"]
    assert said[1]["content"] == "one"
    assert [part["text"] for part in said[2]["content"]] == ["two", "between"]
    assert [each["id"] for each in said[2]["tool_calls"]] == ["c1", "c2"]
    assert [each["content"] for each in said[3:5]] == ["r", "s"]


def test_an_item_may_be_named_where_it_is_known() -> None:
    known = [{"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"}]
    said = to_chat({"input": [{"type": "item_reference", "id": "fc_1"}]}, known)["messages"]
    assert [call["id"] for call in said[0]["tool_calls"]] == ["c1", "c1"]
    with pytest.raises(NotFound) as error:
        to_chat({"input": [{"id": "fc_2"}]})
    assert (error.value.param, error.value.status) == ("input.0.id", 404)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("background", True, "background"), ("conversation", "conv_1", "conversation"),
        ("prompt", {"id": "p"}, "prompt"),
        ("truncation", "auto", "truncation"), ("context_management", [{"type": "compaction"}], "context_management"),
        ("stream_options", {"include_obfuscation": True}, "stream_options.include_obfuscation"),
        ("include", ["secrets"], "include.0"), ("include", "reasoning.encrypted_content", "include"),
        ("metadata", {"a": 1}, "metadata"), ("metadata", {"a": "b" * 513}, "metadata"),
        ("text", {"format": {"type": "xml"}}, "text.format.type"), ("text", {"tone": "warm"}, "text.tone"),
        ("reasoning", {"context": "all_turns"}, "reasoning.context"), ("reasoning", "high", "reasoning"),
        ("tools", [{"type": "web_search"}], "tools.0.type"), ("tools", [{"type": "mcp", "x": 1}], "tools.0.type"),
        ("tools", [{"type": "function", "name": "f", "defer_loading": True}], "tools.0.defer_loading"),
        ("tool_choice", {"type": "mcp"}, "tool_choice.type"), ("tool_choice", "required", "tool_choice"),
        ("input", [], "input"), ("input", [{"type": "computer_call"}], "input.0.type"), ("input", ["x"], "input.0"),
        ("input", [{"role": "tool", "content": "x"}], "input.0.role"), ("input", [{"role": "user"}], "input.0.content"),
        ("input", [{"type": "function_call", "name": "f", "arguments": "{}"}], "input.0.call_id"),
        ("input", [{"type": "function_call_output", "output": "x"}], "input.0.call_id"),
        ("input", [{"type": "function_call_output", "call_id": "c", "output": {}}], "input.0.output"),
        ("input", [{"type": "reasoning", "summary": [], "encrypted_content": 1}], "input.0.encrypted_content"),
        ("input", part(type="input_image", file_id="f"), "input.0.content.0.file_id"),
        ("input", part(type="input_file", file_url="u"), "input.0.content.0.file_url"),
        ("input", part(type="hologram"), "input.0.content.0.type"),
        *(("input", [{"role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": odd}]}],
           "input.0.content.0.annotations") for odd in ODD),
        ("input", part(type="input_text"), "input.0.content.0.text"),
        ("tools", [{"type": "namespace", "name": "n", "tools": [{"type": "mcp"}]}], "tools.0.tools.0.type"),
        ("tools", [{"type": "function", "name": "f"}] * 2, "tools"),
    ],
)  # fmt: skip
def test_what_chat_cannot_say_is_refused_by_its_name(field: str, value: Any, named: str) -> None:
    with pytest.raises(RequestError) as error:
        chat(**{field: value})
    assert error.value.param == named and error.value.status == 400 and named in error.value.message


@pytest.mark.parametrize(
    ("param", "named"),
    [
        ("messages.3.content", "input"), ("messages", "input"), ("response_format", "text.format"),
        ("response_format.json_schema.name", "text.format.name"), ("max_tokens", "max_output_tokens"),
        ("reasoning_effort", "reasoning.effort"), ("temperature", "temperature"), (None, None),
    ],
)  # fmt: skip
def test_errors_name_this_apis_fields(param: str | None, named: str | None) -> None:
    status, body = error_body(ContextTooLong("too long", param=param))
    assert (status, body["error"]["param"], body["error"]["code"]) == (400, named, "context_length_exceeded")
