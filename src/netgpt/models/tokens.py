"""Figures of the tokens of an answer: asked for, read out of the chunks while they pass, and taken out again.

llama.cpp and vLLM tell log-probabilities as OpenAI does; others leave them out or refuse to be asked. What a server
says is foreign: figures that are none are passed over, so that less is known, never more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from netgpt.judgement import TokenStats
from netgpt.types import Chunk

ALTERNATIVES: Final = 5
"""Likeliest tokens that are asked for at each place; the entropy is theirs."""


def may_ask_tokens(body: Mapping[str, Any]) -> bool:
    """Whether a server can tell them for this body: llama.cpp refuses to where there are tools."""
    return not (body.get("tools") or body.get("functions"))


def asking_tokens(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body, asking for what `taking_tokens` reads; what the caller asked for itself stays in it."""
    return {**body, "logprobs": True, "top_logprobs": max(_wanted(body), ALTERNATIVES)}


def taking_tokens(chunk: Chunk, stats: TokenStats, body: Mapping[str, Any]) -> Chunk:
    """The chunk as the caller of `body` wants it; the figures of the first choice's words go into `stats`."""
    if not any("logprobs" in choice for choice in chunk.get("choices") or ()):
        return chunk
    choices = []
    for choice in chunk["choices"]:
        told = choice.get("logprobs")
        entries = told.get("content") if isinstance(told, dict) else None
        if isinstance(entries, list) and choice.get("index", 0) == 0 and _speaks(choice.get("delta") or {}):
            _add(stats, entries)
        choices.append(_as_asked(choice, body))
    return {**chunk, "choices": choices}


def _speaks(delta: Mapping[str, Any]) -> bool:
    """Whether the tokens are of the answer: what a model thinks aloud before is not judged."""
    return not delta.get("reasoning_content")


def _wanted(body: Mapping[str, Any]) -> int:
    """How many alternatives the caller asked for."""
    asked = body.get("top_logprobs") if body.get("logprobs") else None
    return asked if isinstance(asked, int) and asked > 0 else 0


def _as_asked(choice: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    if not body.get("logprobs"):
        return {name: value for name, value in choice.items() if name != "logprobs"}
    told, most = choice.get("logprobs"), _wanted(body)
    if most >= ALTERNATIVES or not isinstance(told, dict) or not isinstance(told.get("content"), list):
        return dict(choice)
    cut = [
        {**one, "top_logprobs": (one.get("top_logprobs") or [])[:most]} if isinstance(one, dict) else one
        for one in told["content"]
    ]
    return {**choice, "logprobs": {**told, "content": cut}}


def _add(stats: TokenStats, entries: Iterable[Any]) -> None:
    for entry in entries:
        own = _logarithm(entry)
        others = entry.get("top_logprobs") if isinstance(entry, dict) else None
        if own is not None:
            known = [_logarithm(one) for one in others] if isinstance(others, list) else []
            stats.add(own, [one for one in known if one is not None])


def _logarithm(entry: Any) -> float | None:
    """The log-probability of an entry; None where it is none."""
    value = entry.get("logprob") if isinstance(entry, dict) else None
    fine = isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value) and value <= 1e-6
    return max(float(value), -100.0) if fine and value is not None else None
