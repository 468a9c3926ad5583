"""The beginning of an answer: what comes before the first word is held back, so that another model may still answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from netgpt.errors import ModelTimeout, ModelUnavailable
from netgpt.types import Chunk

__all__ = ["TOO_LATE", "Opened", "characters_of", "close", "next_or_none", "opened"]

TOO_LATE = "deadline_exceeded"
"""Code of the error of an answer that took longer than its caller or the settings allow."""
_MOST_HELD = 8
"""Chunks without a word that are waited through: a server may send its role, then signs of life."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An answer that has begun."""

    held: list[Chunk]
    """Its chunks up to the first that says something."""
    rest: AsyncIterator[Chunk]


async def opened(chunks: AsyncIterator[Chunk], until: float) -> Opened:
    """Wait for the first word, until `until` (`time.monotonic()`). A call that gives none is closed.

    Raises ModelError and its children: then nothing of the answer was handed on.
    """
    held: list[Chunk] = []
    try:
        while len(held) < _MOST_HELD:
            chunk = await next_or_none(chunks, until)
            if chunk is None:
                break
            held.append(chunk)
            if _says_something(chunk):
                break
        if not held:
            raise ModelUnavailable("the model closed its answer before the first word")
        return Opened(held, chunks)
    except BaseException:
        await close(chunks)
        raise


async def close(chunks: AsyncIterator[Chunk]) -> None:
    """End a call at once, wherever it is."""
    await cast(Any, chunks).aclose()


async def next_or_none(chunks: AsyncIterator[Chunk], until: float) -> Chunk | None:
    """The next chunk, None at the end. Raises ModelTimeout past `until`, also where the caller took the time."""
    left = until - time.monotonic()
    try:
        if left <= 0:
            raise TimeoutError
        async with asyncio.timeout(left):
            return await anext(chunks, None)
    except TimeoutError:
        text = "the answer took longer than the request's deadline_s or server.deadline_s allows"
        raise ModelTimeout(text, code=TOO_LATE) from None


def characters_of(chunk: Chunk) -> int:
    """How much a chunk says, in characters of texts and of arguments."""
    count = 0
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") or {}
        count += len(delta.get("content") or "")
        count += sum(len((call.get("function") or {}).get("arguments") or "") for call in delta.get("tool_calls") or ())
    return count


def _says_something(chunk: Chunk) -> bool:
    return any(choice.get("finish_reason") or _has_words(choice.get("delta") or {}) for choice in chunk["choices"])


def _has_words(delta: Mapping[str, Any]) -> bool:
    return any(value for name, value in delta.items() if name != "role")
