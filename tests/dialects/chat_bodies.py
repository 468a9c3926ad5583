"""Chat bodies that say everything that a dialect has a word for, and what each field is that it has none for."""

from __future__ import annotations

from typing import Any, Final

from netgpt.testing.dialects import signature_of

__all__ = ["PICTURE", "SCHEMA", "THOUGHT", "agent_turns", "everything_for", "system_and_user"]

PICTURE: Final = "data:image/png;base64,iVBORw0KGgo="
PDF: Final = "data:application/pdf;base64,JVBERi0xLjQ="
THOUGHT: Final = "First I look at the file, then I answer."
SCHEMA: Final = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}


def thoughts(dialect: str) -> dict[str, Any]:
    """Signed thoughts of an earlier answer, as that dialect's reader gives them: in pieces."""
    signature = signature_of(THOUGHT)
    if dialect == "anthropic":
        pieces = [
            {"type": "thinking", "thinking": THOUGHT[:10], "index": 0},
            {"type": "thinking", "thinking": THOUGHT[10:], "index": 0},
            {"type": "thinking", "thinking": "", "signature": signature, "index": 0},
            {"type": "redacted_thinking", "data": signature_of("other"), "index": 1},
        ]
        return {"thinking_blocks": pieces, "reasoning_content": THOUGHT}
    first = {"id": "rs_0123456789abcdef", "format": "openai-responses-v1"}
    pieces = [
        {"type": "reasoning.summary", "summary": THOUGHT[:10], "index": 0, **first},
        {"type": "reasoning.summary", "summary": THOUGHT[10:], "index": 0},
        {"type": "reasoning.encrypted", "data": signature, "index": 1, **first},
    ]
    return {"reasoning_details": pieces, "reasoning_content": THOUGHT}


def system_and_user() -> list[dict[str, Any]]:
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Read the two files."}]


def agent_turns(dialect: str) -> list[dict[str, Any]]:
    """Two calls at once with their results, and a further question."""
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": "read", "arguments": f'{{"path": "f{n}"}}'}}
        for n in (1, 2)
    ]
    return [
        *system_and_user(),
        {"role": "assistant", "content": "I read both.", "tool_calls": calls, **thoughts(dialect)},
        {"role": "tool", "tool_call_id": "call_1", "content": "one"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "two"}]},
        {"role": "user", "content": [{"type": "text", "text": "And this?"}, picture(), pdf()]},
    ]


def picture() -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": PICTURE}}


def pdf() -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": PDF, "filename": "paper.pdf"}}


def everything_for(dialect: str) -> dict[str, Any]:
    """A body with all that chat and the dialect can both say."""
    function = {"name": "read", "description": "Reads a file.", "parameters": SCHEMA, "strict": True}
    body: dict[str, Any] = {
        "model": "claude-sonnet-5" if dialect == "anthropic" else "gpt-6",
        "messages": agent_turns(dialect),
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "read"}},
        "parallel_tool_calls": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "description": "The answer.", "schema": SCHEMA, "strict": True},
        },
        "max_completion_tokens": 300,
        "temperature": 0.5,
        "top_p": 0.9,
        "reasoning_effort": "low",
        "user": "u-1",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if dialect == "anthropic":
        samples = {name: body.pop(name) for name in ("temperature", "top_p")}
        assert samples, "its newest models choose themselves"
        return {**body, "stop": ["END", "STOP"], "service_tier": "auto"}
    more = {
        "metadata": {"job": "7"}, "store": True, "verbosity": "low", "logprobs": True, "top_logprobs": 2,
        "prompt_cache_key": "k", "safety_identifier": "s", "service_tier": "flex",
        "web_search_options": {"search_context_size": "low"},
    }  # fmt: skip
    custom = {
        "type": "custom",
        "custom": {"name": "sql", "format": {"type": "grammar", "grammar": {"definition": "a", "syntax": "lark"}}},
    }
    body["tools"].append(custom)
    body["messages"][2]["tool_calls"].append(
        {"id": "call_3", "type": "custom", "custom": {"name": "sql", "input": "x"}}
    )
    body["messages"].insert(5, {"role": "tool", "tool_call_id": "call_3", "content": "rows"})
    return {**body, **more}
