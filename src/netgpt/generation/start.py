"""An answer of the box while it is held back: read as it comes, waited for without a cut, passed on as it was."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from enum import Enum
from typing import Any

from netgpt.errors import ContextTooLong, ModelError
from netgpt.generation.fallback import FAILS, Opened, next_or_none
from netgpt.judgement import TokenStats
from netgpt.models.stream import close
from netgpt.types import CHARACTERS_A_TOKEN, Chunk, Usage


class Waited(Enum):
    """What a wait for one more chunk gave."""

    CHUNK = "chunk"
    END = "end"  # nothing more comes: the answer has ended, or broke off (`Start.error`)
    LATE = "late"  # none came in time; the answer goes on


class Start:
    """One answer from its beginning. `chunks` are those that were read, as they may be passed on."""

    def __init__(self, opened: Opened, stats: TokenStats | None = None) -> None:
        """`stats`: what its model tells of its tokens, filled as it is read; None: nothing."""
        self.chunks: list[Chunk] = []
        self.error: ModelError | ContextTooLong | None = None
        self.usage: Usage | None = None
        self.characters = 0
        self.began = time.monotonic()
        self.stats = stats
        self.ended: dict[int, str] = {}
        """Why each choice ended, by its place."""
        self.calls = False
        """Whether it calls a tool."""
        self._held, self._rest = deque(opened.held), opened.rest
        self._pieces: dict[int, list[str]] = {}
        self._arguments: list[str] = []
        self._task: asyncio.Task[Chunk | None] | None = None
        self.over = False
        """Whether nothing more comes."""

    @property
    def choices(self) -> tuple[int, ...]:
        """The places of the choices that have begun."""
        return tuple(sorted({*self._pieces, *self.ended}))

    @property
    def whole(self) -> bool:
        """Whether every choice that has begun has ended."""
        return bool(self.ended) and self.ended.keys() >= set(self.choices)

    def text(self, choice: int = 0) -> str:
        """What a choice said so far; the arguments of its calls where it calls tools and says nothing."""
        return "".join(self._pieces.get(choice, ())) or "".join(self._arguments)

    @property
    def tokens(self) -> int:
        """Tokens of the answer, as counted or else estimated."""
        if self.usage is not None:
            return self.usage.completion_tokens
        return (self.stats.count if self.stats else 0) or -(-self.characters // CHARACTERS_A_TOKEN)

    async def more(self, until: float, wait_until: float = math.inf) -> Waited:
        """Wait for one more chunk. Past `wait_until` it is late and goes on being waited for; past `until` (both of
        `time.monotonic()`) it is broken off, as by any error of the model: see `error`."""
        if self.over:
            return Waited.END
        try:
            if self._held:
                chunk: Chunk | None = self._held.popleft()
            elif wait_until >= until and self._task is None:
                chunk = await next_or_none(self._rest, until)
            elif not await self._came(min(wait_until, until)) and wait_until < until:
                return Waited.LATE
            else:
                chunk = await self._taken(until)
        except FAILS as error:
            self.error, chunk = error, None
        if chunk is None:
            self.over = True
            return Waited.END
        self.chunks.append(self._seen(chunk))
        return Waited.CHUNK

    async def _came(self, until: float) -> bool:
        """Whether a chunk is there by then. The wait may be given up without cutting the answer."""
        if self._task is None:
            self._task = asyncio.ensure_future(_next(self._rest))
        await asyncio.wait({self._task}, timeout=max(0.0, until - time.monotonic()))
        return self._task.done()

    async def _taken(self, until: float) -> Chunk | None:
        if not await self._came(until):
            return await next_or_none(self._rest, 0.0)  # past its deadline: raises what that raises
        task, self._task = self._task, None
        assert task is not None
        return task.result()

    async def follow(self, until: float) -> AsyncIterator[Chunk]:
        """The chunks that are still to come. Raises what broke the answer off."""
        while await self.more(until) is Waited.CHUNK:
            yield self.chunks.pop()
        if self.error is not None:
            raise self.error

    async def close(self) -> None:
        """Give it up, wherever it is."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            if not self._task.cancelled():
                self._task.exception()  # it was broken off as well: nobody asks why any more
        await close(self._rest)

    def _seen(self, chunk: Chunk) -> Chunk:
        self.usage = Usage.from_openai(chunk.get("usage")) or self.usage
        for choice in chunk.get("choices") or ():
            place, delta = choice.get("index", 0), choice.get("delta") or {}
            words = delta.get("content")
            if isinstance(words, str) and words:
                self._pieces.setdefault(place, []).append(words)
                self.characters += len(words)
            for call in delta.get("tool_calls") or ():
                self.calls = True
                self._arguments.append(str((call.get("function") or {}).get("arguments") or ""))
            self.calls |= bool(delta.get("function_call"))
            if choice.get("finish_reason"):
                self.ended[place] = str(choice["finish_reason"])
        return {name: value for name, value in chunk.items() if name != "netgpt"}  # who answers is ours to say


async def _next(chunks: AsyncIterator[Chunk]) -> Chunk | None:
    return await anext(chunks, None)


def with_words(chunks: Iterable[Chunk], before: str) -> list[Chunk]:
    """The same chunks with `before` as the first words of each choice."""
    told, done, roles = [], set[int](), set[int]()
    for chunk in chunks:
        for choice in chunk.get("choices") or ():
            place = choice.get("index", 0)
            if _speaks(choice) and place not in done:
                done.add(place)
                told.append(words_of(chunk, place, before, first=place not in roles))
            roles.add(place)
        told.append(chunk)
    return told


def words_of(like: Chunk, choice: int, text: str, *, first: bool = False) -> Chunk:
    """A chunk of the same answer that says `text`; the first of its choice says whose words they are."""
    head = {name: value for name, value in like.items() if name not in ("choices", "usage")}
    delta = {"role": "assistant", "content": text} if first else {"content": text}
    return {**head, "choices": [{"index": choice, "delta": delta, "finish_reason": None}]}


def ending(like: Chunk, choice: int, reason: str = "stop") -> Chunk:
    """A chunk that ends the choice."""
    return {**words_of(like, choice, ""), "choices": [{"index": choice, "delta": {}, "finish_reason": reason}]}


def parted(chunk: Chunk, place: int) -> tuple[Chunk, Chunk]:
    """A chunk that ends the choice at `place`, as what it says and the end itself, with all that else is in it."""
    said, ends = [], []
    for choice in chunk["choices"]:
        if choice.get("index", 0) == place:
            said.append({**choice, "finish_reason": None})
            ends.append({"index": place, "delta": {}, "finish_reason": choice["finish_reason"]})
        else:
            ends.append(choice)
    head = {name: value for name, value in chunk.items() if name not in ("choices", "usage")}
    return {**head, "choices": said}, {**chunk, "choices": ends}


def _speaks(choice: Mapping[str, Any]) -> bool:
    return bool((choice.get("delta") or {}).get("content") or choice.get("finish_reason"))
