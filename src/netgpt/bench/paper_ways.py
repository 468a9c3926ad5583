"""The ways to answer that `netgpt bench paper` compares: each asks one request and tells what it cost.

All cross the same kind of shaped link, one request at a time, over connections that stay open: no handshake is
measured. `Straight` asks the cloud over the link, `ThroughBox` asks the gateway on the box, which reaches the same
cloud over the same link, `Splitted` runs the first layers here and the rest behind the link.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx

from netgpt.bench.link import ShapedLink
from netgpt.bench.paper_checks import Answered
from netgpt.bench.paper_requests import SITE, PersonRequest
from netgpt.bench.split_process import EdgeProcess
from netgpt.completion.compose import completed
from netgpt.context.profile import profile_fact
from netgpt.errors import BrokenStream
from netgpt.models.endpoint import Endpoint
from netgpt.types import Fact

__all__ = ["PaperWay", "Splitted", "Straight", "Tape", "ThroughBox", "Tokenizer"]


class PaperWay(Protocol):
    """One way to answer a request."""

    name: str
    link: ShapedLink

    async def ask(self, asked: PersonRequest, max_tokens: int) -> Answered: ...


@dataclass
class Tape:
    """What crossed the link as it went up; `link` writes on it, each request reads its part and clears it."""

    content: bytearray = field(default_factory=bytearray)

    def __call__(self, direction: str, piece: bytes) -> None:
        if direction == "up":
            self.content += piece

    def take(self) -> bytes:
        taken, self.content = bytes(self.content), bytearray()
        return taken


@dataclass
class _Heard:
    """A streamed answer as the client heard it."""

    text: str = ""
    first_ms: float = 0.0
    whole_ms: float = 0.0
    finish: str | None = None
    prompt_tokens: int = 0
    written: int = 0
    exchange: str = ""
    route: str = ""


class Straight:
    """Cloud-only: the client posts to the cloud over the link; with `whole_profile` it sends all it knows along."""

    def __init__(self, name: str, link: ShapedLink, tape: Tape, key: str, *, whole_profile: bool = False) -> None:
        self.name, self.link = name, link
        self._tape, self._whole_profile = tape, whole_profile
        self._client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{link.port}/v1", headers={"Authorization": f"Bearer {key}"}, timeout=300,
            trust_env=False,
        )  # fmt: skip

    async def ask(self, asked: PersonRequest, max_tokens: int) -> Answered:
        facts = _all_facts(asked) if self._whole_profile else []
        text = completed(asked.text, facts)
        up, down = self.link.up, self.link.down
        self._tape.take()
        heard = await _post(self._client, _body("cloud", text, max_tokens))
        return _answered(
            asked, heard, self.link.up - up, self.link.down - down, True, text, {f.kind for f in facts},
            self._tape.take(),
        )  # fmt: skip

    async def close(self) -> None:
        await self._client.aclose()


class ThroughBox:
    """The gateway on the box completes, hides and routes. `model`: netgpt (decide), netgpt/edge or netgpt/cloud."""

    def __init__(self, name: str, model: str, url: str, link: ShapedLink, tape: Tape) -> None:
        self.name, self.link = name, link
        self._model, self._tape = model, tape
        self._client = httpx.AsyncClient(base_url=url, timeout=300, trust_env=False)

    async def ask(self, asked: PersonRequest, max_tokens: int) -> Answered:
        up, down = self.link.up, self.link.down
        self._tape.take()
        body = {**_body(self._model, asked.text, max_tokens), "user": asked.person.user}
        heard = await _post(self._client, body, "/v1/chat/completions")
        up, down, left = self.link.up - up, self.link.down - down, self._tape.take()
        told = (await self._client.get(f"/v1/exchanges/{heard.exchange}", params={"user": asked.person.user})).json()
        kinds = {fact["kind"] for fact in told["facts"]}
        text = (told["completion"] or {}).get("text") or asked.text
        return _answered(asked, heard, up, down, told["route"] == "cloud", text, kinds, left)

    async def close(self) -> None:
        await self._client.aclose()


class Tokenizer:
    """Text to tokens and back, by the engine that has the same weights; its time is not part of any figure."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._client = httpx.AsyncClient(
            base_url=endpoint.base_url.removesuffix("/v1"), headers={"Authorization": f"Bearer {endpoint.api_key}"},
            timeout=60, trust_env=False,
        )  # fmt: skip

    async def prompt(self, text: str) -> list[int]:
        """The tokens of a conversation with this one message."""
        shaped = await self._post("/apply-template", messages=[{"role": "user", "content": text}])
        return list((await self._post("/tokenize", content=shaped["prompt"], parse_special=True))["tokens"])

    async def tokens(self, text: str) -> list[int]:
        return list((await self._post("/tokenize", content=text, parse_special=True))["tokens"])

    async def text(self, tokens: Sequence[int]) -> str:
        return str((await self._post("/detokenize", tokens=list(tokens)))["content"])

    async def close(self) -> None:
        await self._client.aclose()

    async def _post(self, path: str, **body: Any) -> Any:
        answer = await self._client.post(path, json=body)
        answer.raise_for_status()
        return answer.json()


class Splitted:
    """Model splitting: the edge process asks its cloud half over its own shaped link. The prompt is sent as asked."""

    def __init__(self, name: str, edge: EdgeProcess, link: ShapedLink, tokenizer: Tokenizer, ends: Collection[int]):
        self.name, self.link = name, link
        self._edge, self._tokenizer, self._ends = edge, tokenizer, ends

    async def ask(self, asked: PersonRequest, max_tokens: int) -> Answered:
        prompt = await self._tokenizer.prompt(asked.text)
        up, down = self.link.up, self.link.down
        written = await self._edge.ask(prompt, max_tokens, self._ends)
        said = [token for token in written.tokens if token not in self._ends]
        return Answered(
            asked, await self._tokenizer.text(said), True, written.first_token_ms, written.whole_ms,
            self.link.up - up, self.link.down - down, len(prompt) + len(written.tokens), len(said), True,
            asked.text, frozenset(),
        )  # fmt: skip

    async def close(self) -> None:
        """Nothing is held here."""


def _body(model: str, text: str, max_tokens: int) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": max_tokens,
        "temperature": 0,
    }


def _all_facts(asked: PersonRequest) -> list[Fact]:
    place = Fact(f"The user is at {SITE['name']}, {SITE['city']}", "place")
    return [place, *(profile_fact(fact.text, fact.kind, fact.label) for fact in asked.person.facts)]


async def _post(client: httpx.AsyncClient, body: dict[str, Any], path: str = "/chat/completions") -> _Heard:
    """Post and listen to the stream's end. Raises BrokenStream: not answered, or an error in the stream."""
    heard, started = _Heard(), time.perf_counter()
    async with client.stream("POST", path, json=body) as response:
        if response.status_code != 200:
            raise BrokenStream(f"{body['model']} answered with status {response.status_code}")
        heard.exchange = response.headers.get("x-netgpt-exchange", "")
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                _hear(heard, json.loads(line[6:]), started)
    heard.whole_ms = (time.perf_counter() - started) * 1000
    heard.first_ms = heard.first_ms or heard.whole_ms
    return heard


def _hear(heard: _Heard, chunk: dict[str, Any], started: float) -> None:
    if "error" in chunk:
        raise BrokenStream("an answer of the comparison ended with an error in its stream")
    for choice in chunk.get("choices") or ():
        piece = (choice.get("delta") or {}).get("content") or ""
        if piece and not heard.first_ms:
            heard.first_ms = (time.perf_counter() - started) * 1000
        heard.text += piece
        heard.finish = choice.get("finish_reason") or heard.finish
    if usage := chunk.get("usage"):
        heard.prompt_tokens, heard.written = usage["prompt_tokens"], usage["completion_tokens"]


def _answered(
    asked: PersonRequest, heard: _Heard, up: int, down: int, cloud: bool, text: str, kinds: Collection[str], left: bytes
) -> Answered:  # fmt: skip
    tokens = heard.prompt_tokens + heard.written if cloud else 0
    return Answered(
        asked, heard.text, heard.finish is not None, heard.first_ms, heard.whole_ms, up, down, tokens, heard.written,
        cloud, text, frozenset(kinds), left,
    )  # fmt: skip
