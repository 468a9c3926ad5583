"""Fakes that are shipped, for your own tests: a model without a network, and a cloud that misbehaves.

model = ScriptedModel("Hello!")                       # a ChatModel
async with FaultyCloud(faults=["cut"]) as cloud:      # a real HTTP server on loopback
    ...                                               # point NETGPT_CLOUD__BASE_URL at cloud.base_url
    assert b"secret" not in cloud.all_bytes()
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from typing import Any

from netgpt.errors import AdapterGone, NetGPTError
from netgpt.judgement import Confidence, TaskKind, TokenStats
from netgpt.models.base import Health
from netgpt.models.stream import as_chunk, split_answer
from netgpt.testing.server import Reply, answer_to, echo, embeddings_of
from netgpt.types import Chunk


class RuleJudge:
    """An `AnswerJudge` by rules: the first word of `rules` that the answer holds says how far it may be believed."""

    def __init__(self, rules: Mapping[str, Confidence | float], otherwise: float = 0.9) -> None:
        self.rules, self.otherwise = rules, otherwise
        self.asked: list[tuple[str, bool]] = []
        """(answer so far, whether it was whole) of every call, in order."""
        self.stats: list[TokenStats | None] = []

    def judge(
        self,
        body: Mapping[str, Any],
        answer: str,
        *,
        kind: TaskKind,
        prior: float | None = None,
        stats: TokenStats | None = None,
        facts: Sequence[str] = (),
        whole: bool = True,
    ) -> Confidence:
        """As `AnswerJudge.judge`."""
        self.asked.append((answer, whole))
        self.stats.append(stats)
        told = next((told for word, told in self.rules.items() if word in answer), self.otherwise)
        return told if isinstance(told, Confidence) else Confidence(told, ("by a rule",))


class ScriptedModel:
    """A `ChatModel` that answers from a script, without a network. Deterministic.

    `reply`: see `Reply`; `chunk_size`: characters per streamed chunk; `delay_s`: seconds before each chunk;
    `error`: raised in place of chunk number `error_after` (0: before the first), never as a clean end; `down`: why
    the model is unhealthy, None when it is well; `resident`: ids of the adapters it has, None: any that is asked for.
    """

    def __init__(
        self,
        reply: Reply = echo,
        name: str = "scripted",
        chunk_size: int = 8,
        *,
        delay_s: float = 0.0,
        error: NetGPTError | None = None,
        error_after: int = 0,
        down: str | None = None,
        resident: Collection[str] | None = None,
    ) -> None:
        self.name, self.reply, self.down = name, reply, down
        self.chunk_size, self.delay_s = chunk_size, delay_s
        self.error, self.error_after = error, error_after
        self.asked: list[dict[str, Any]] = []
        """A copy of every body, in order."""
        self.resident = resident
        self.asked_adapters: list[tuple[str, ...]] = []
        """The adapters of every call, in order."""
        self.closed_early = 0
        """How many answers were closed or cancelled before their end."""
        self.closed = False

    def __repr__(self) -> str:
        return f"<ScriptedModel {self.name}>"

    def health(self) -> Health:
        return Health(self.down is None, self.down or f'model "{self.name}" is scripted')

    async def chat(self, body: Mapping[str, Any], *, adapters: Sequence[str] = ()) -> AsyncIterator[Chunk]:
        """As `ChatModel.chat`."""
        for id in adapters:
            if self.resident is not None and id not in self.resident:
                raise AdapterGone(f"the adapter {id} is not loaded")
        self.asked.append(copy.deepcopy(dict(body)))
        self.asked_adapters.append(tuple(adapters))
        try:
            for number, chunk in enumerate(self._chunks(body)):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if self.error is not None and number >= self.error_after:
                    raise self.error
                yield chunk
        except (GeneratorExit, asyncio.CancelledError):
            self.closed_early += 1
            raise
        if self.error is not None:
            raise self.error

    def _chunks(self, body: Mapping[str, Any]) -> Iterator[Chunk]:
        answer = answer_to(body, self.reply, len(self.asked))
        if not body.get("stream"):
            return iter([as_chunk(answer)])
        return split_answer(answer, self.chunk_size)

    async def embeddings(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """As `EdgeModel.embeddings`: a vector of eight numbers, the same for the same text."""
        return embeddings_of(body)

    async def close(self) -> None:
        self.closed = True
