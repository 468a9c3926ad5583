"""What servers call by names of their own, in OpenAI's words: reasons to end, counts of tokens, signs of life."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from netgpt.errors import BrokenStream

_REASONS: Final = {
    "stop": (
        "stop", "eos", "eos_token", "eos_found", "end", "end_turn", "end_of_text", "end_of_turn", "stop_sequence",
        "stop_token", "stop_string", "stop_str", "complete", "completed", "finish", "finished", "done", "normal",
        "success", "pause_turn", "stopped",
    ),
    "length": (
        "length", "max_tokens", "max_token", "max_length", "max_output_tokens", "max_new_tokens", "token_limit",
        "tokens_limit", "model_length", "model_context_window_exceeded", "context_length", "max_context_length",
        "context_length_exceeded", "incomplete", "limit", "length_limit",
    ),
    "tool_calls": ("tool_calls", "tool_call", "tool_use", "tools", "function", "function_calls", "call_tool"),
    "content_filter": (
        "content_filter", "content_filtered", "content_policy", "content_policy_violation", "safety", "sensitive",
        "blocked", "blocklist", "recitation", "prohibited_content", "spii", "image_safety", "refusal", "guardrails",
        "guardrail_intervened", "moderation", "language", "error_toxic", "risk", "repetition_filter",
    ),
    "function_call": ("function_call",),
}  # fmt: skip
_KNOWN: Final = {name: reason for reason, names in _REASONS.items() for name in names}
_FAILED: Final = re.compile(
    r"error|abort|cancel|fail|malformed|insufficient_system|timeout|timed_out|unexpected_tool|interrupt|disconnect"
)
"""Reasons that say that the answer is not whole: as its words do, an answer must not end like a complete one."""
NATIVE: Final = "native_finish_reason"
"""The field for the server's own word, as OpenRouter calls it."""


def ended_for(reason: str, source: str, *, called: bool = False) -> str | None:
    """OpenAI's word for the reason of an end; None where it is none. `called`: the old way, a single function.

    Raises BrokenStream where the reason is that the answer broke off; `source` names the server.
    """
    word = reason.rpartition(".")[2]
    word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).lower().replace("-", "_").replace(" ", "_").strip("_")
    if word in ("", "null", "none", "finish_reason_unspecified", "unspecified", "in_progress", "not_finished"):
        return None
    word = word.removeprefix("finish_reason_")
    if (known := _KNOWN.get(word)) is not None:
        return "tool_calls" if known == "function_call" and not called else known
    if _FAILED.search(word):
        raise BrokenStream(f"{source} broke its answer off, and says so in its finish_reason")
    return "stop"


_PROMPT: Final = (
    "prompt_tokens", "input_tokens", "inputTokens", "inputTokenCount", "promptTokenCount", "prompt_eval_count",
    "prompt_n",
)  # fmt: skip
_COMPLETION: Final = (
    "completion_tokens", "output_tokens", "outputTokens", "outputTokenCount", "candidatesTokenCount", "eval_count",
    "predicted_n",
)  # fmt: skip
_ELSEWHERE: Final = (
    "usageMetadata",
    "meta",
    "usage_metadata",
    "token_usage",
    "amazon-bedrock-invocationMetrics",
    "metrics",
)
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_MOST: Final = 2**53


def figure(value: Any) -> int | float | None:
    """A number that can be counted with: finite, not negative, not beyond reason."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST:
        return None
    return value if math.isfinite(value) else None


def figures(value: Any) -> dict[str, Any] | None:
    """An object of figures, one level deep; whatever else it holds is dropped."""
    if not isinstance(value, dict):
        return None
    found = {name: figure(each) for name, each in value.items() if _FIELD.fullmatch(name)}
    return {name: each for name, each in found.items() if each is not None}


def usage_of(value: Any) -> dict[str, Any] | None:
    """Counts under OpenAI's names and the objects that say more of them; figures written as texts are read too."""
    if not isinstance(value, dict):
        return None
    for apart in ("tokens", "billed_units"):  # Cohere's own: all of them, and those that are paid for
        if isinstance(inner := value.get(apart), dict) and not value.keys() & {*_PROMPT, *_COMPLETION}:
            return usage_of(inner)
    plain = {name: _count(each) for name, each in value.items()}
    counts = figures(plain) or {}
    for name, others in (("prompt_tokens", _PROMPT), ("completion_tokens", _COMPLETION)):
        found = next((counts[other] for other in others if other in counts), None)
        if found is not None:
            counts.setdefault(name, found)
    if "prompt_tokens" in counts and "prompt_tokens" not in value and "input_tokens" in value:
        # Anthropic's own names: what was read from a cache, or written to one, is counted beside the rest
        beside = ("cache_read_input_tokens", "cache_creation_input_tokens")
        counts["prompt_tokens"] += sum(counts.get(name, 0) for name in beside)
    if "candidatesTokenCount" in counts and "completion_tokens" not in value:
        counts["completion_tokens"] += counts.get("thoughtsTokenCount", 0)  # Gemini's own names: it counts them apart
    more = {name: figures(each) for name, each in value.items() if isinstance(each, dict) and _FIELD.fullmatch(name)}
    return counts | more


def _count(value: Any) -> Any:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16:
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() and 0 <= value < _MOST else value


def usage_in(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The counts of a document that has no `usage` of its own at its top: within a choice (Moonshot), a provider's
    field (Groq's `x_groq`), or under another name (Gemini, Bedrock)."""
    places: list[Any] = [document.get(name) for name in _ELSEWHERE]
    places += [each.get("usage") for name, each in document.items() if name.startswith("x_") and isinstance(each, dict)]
    choices = document.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            said = (choice, choice.get("delta"), choice.get("message"))
            places += [each.get("usage") for each in said if isinstance(each, dict)]
    for place in places:
        if (usage := usage_of(place)) and "prompt_tokens" in usage and "completion_tokens" in usage:
            return usage
    return None


_BEAT: Final = re.compile(
    rb"[\s.:*\[\"<\xc2\xa0-]*((keep|still)[-_ ]?alive|ping|pong|heart[-_ ]?beat|beat|processing|waiting|open|connected"
    rb"|null|none|ok|true|false|openrouter processing|\{\})?[\s.:*\]\">\xc2\xa0-]*"
    rb"|[\s.:*-]*((keep|still)[-_ ]?alive |ping |heart[-_ ]?beat |beat )?\d{1,9}",
    re.IGNORECASE,
)
_DONE: Final = re.compile(rb'\s*"?\[\s*done\s*\]"?[\s.]*', re.IGNORECASE)
_ENDS: Final = frozenset({"done", "end", "finish", "finished", "complete", "completed", "close", "stop"})
_LONGEST: Final = 64


def is_beat(data: bytes) -> bool:
    """Whether the data of an event is only a sign of life."""
    return len(data) <= _LONGEST and _BEAT.fullmatch(data) is not None


def is_done(data: bytes, name: str) -> bool:
    """Whether an event says that the answer is whole."""
    if len(data) > _LONGEST:
        return False
    return _DONE.fullmatch(data) is not None or (name.lower() in _ENDS and is_beat(data))
