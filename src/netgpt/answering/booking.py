"""What an answer cost in tokens: as the model says, else estimated, in every case."""

from __future__ import annotations

from collections.abc import Iterable

from netgpt.types import CHARACTERS_A_TOKEN, Usage

__all__ = ["NOTHING_LEFT", "added", "estimate"]

NOTHING_LEFT = frozenset({"unreachable", "breaker_open", "too_many_connections"})
"""Codes of failures in which no connection was made, so that not one byte of the request has left."""


def estimate(texts: Iterable[str], characters: int) -> Usage:
    """Four characters a token, when the model did not say (a cut stream): booked, and marked as estimated.

    `texts`: of the question; `characters`: of the answer.
    """
    asked = sum(len(text) for text in texts)
    return Usage(-(-asked // CHARACTERS_A_TOKEN), -(-characters // CHARACTERS_A_TOKEN), estimated=True)


def added(first: Usage, second: Usage) -> Usage:
    """What two models counted for one answer."""
    return Usage(
        first.prompt_tokens + second.prompt_tokens,
        first.completion_tokens + second.completion_tokens,
        first.estimated or second.estimated,
    )
