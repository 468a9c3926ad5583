"""Everything that `netgpt bench paper` starts (the stand-in cloud, the gateway, the split model, the links), and asks.

The ways to answer all cross the same kind of shaped link, one request at a time, over connections that stay open: no
handshake is measured. `Straight` asks the cloud over the link, `ThroughGateway` the gateway, which reaches the same
cloud over the same link, `Splitted` runs the first layers here and the rest behind the link. MB are 10^6 bytes.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import httpx

from netgpt.completion.compose import completed
from netgpt.context import profile_fact
from netgpt.errors import BrokenStream, ModelUnavailable
from netgpt.models.base import Endpoint
from netgpt.models.engine import Engine
from netgpt.types import Fact
from netgpt_bench.harness import Progress, children, gateway, peak_mb, result_of, until_ready
from netgpt_bench.link_emulator import LinkShape, ShapedLink
from netgpt_bench.paper_checks import Answered
from netgpt_bench.paper_requests import SITE, PersonRequest
from netgpt_bench.split_process import CloudProcess, EdgeProcess


class PaperWay(Protocol):
    """One way to answer a request."""

    name: str
    link: ShapedLink

    async def ask(self, asked: PersonRequest, max_tokens: int) -> Answered: ...


@dataclass
class Tape:
    """What crossed the link upwards; the link writes it, each request takes its part."""

    content: bytearray = field(default_factory=bytearray)

    def __call__(self, direction: str, piece: bytes) -> None:
        if direction == "up":
            self.content += piece

    def take(self) -> bytes:
        taken, self.content = bytes(self.content), bytearray()
        return taken


@dataclass
class _StreamedAnswer:
    """A streamed answer as the client received it."""

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
        answer = await _post(self._client, _body("cloud", text, max_tokens))
        return _answered(
            asked, answer, self.link.up - up, self.link.down - down, True, text, {f.kind for f in facts},
            self._tape.take(),
        )  # fmt: skip

    async def close(self) -> None:
        await self._client.aclose()


class ThroughGateway:
    """The gateway on the box completes, hides and routes. `model`: netgpt (decide), netgpt/edge or netgpt/cloud."""

    def __init__(self, name: str, model: str, url: str, link: ShapedLink, tape: Tape) -> None:
        self.name, self.link = name, link
        self._model, self._tape = model, tape
        self._client = httpx.AsyncClient(base_url=url, timeout=300, trust_env=False)

    async def ask(self, asked: PersonRequest, max_tokens: int) -> Answered:
        up, down = self.link.up, self.link.down
        self._tape.take()
        body = {**_body(self._model, asked.text, max_tokens), "user": asked.person.user}
        answer = await _post(self._client, body, "/v1/chat/completions")
        up, down, left = self.link.up - up, self.link.down - down, self._tape.take()
        path = f"/v1/exchanges/{answer.exchange}"
        record = (await self._client.get(path, params={"user": asked.person.user})).json()
        kinds = {fact["kind"] for fact in record["facts"]}
        text = (record["completion"] or {}).get("text") or asked.text
        return _answered(asked, answer, up, down, record["route"] == "cloud", text, kinds, left)

    async def close(self) -> None:
        await self._client.aclose()


class Tokenizer:
    """Text to tokens and back, by the engine that has the same weights; its time is not part of any figure."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._client = _engine_client(endpoint)

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


def _engine_client(endpoint: Endpoint) -> httpx.AsyncClient:
    """For the engine's own paths, outside of /v1."""
    headers = {"Authorization": f"Bearer {endpoint.api_key}"}
    return httpx.AsyncClient(
        base_url=endpoint.base_url.removesuffix("/v1"), headers=headers, timeout=300, trust_env=False
    )


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


async def _post(client: httpx.AsyncClient, body: dict[str, Any], path: str = "/chat/completions") -> _StreamedAnswer:
    """Post and listen to the stream's end. Raises BrokenStream: not answered, or an error in the stream."""
    answer, started = _StreamedAnswer(), time.perf_counter()
    async with client.stream("POST", path, json=body) as response:
        if response.status_code != 200:
            raise BrokenStream(f"{body['model']} answered with status {response.status_code}")
        answer.exchange = response.headers.get("x-netgpt-exchange", "")
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                _receive(answer, json.loads(line[6:]), started)
    answer.whole_ms = (time.perf_counter() - started) * 1000
    answer.first_ms = answer.first_ms or answer.whole_ms
    return answer


def _receive(answer: _StreamedAnswer, chunk: dict[str, Any], started: float) -> None:
    if "error" in chunk:
        raise BrokenStream("an answer of the comparison ended with an error in its stream")
    for choice in chunk.get("choices") or ():
        piece = (choice.get("delta") or {}).get("content") or ""
        if piece and not answer.first_ms:
            answer.first_ms = (time.perf_counter() - started) * 1000
        answer.text += piece
        answer.finish = choice.get("finish_reason") or answer.finish
    if usage := chunk.get("usage"):
        answer.prompt_tokens, answer.written = usage["prompt_tokens"], usage["completion_tokens"]


def _answered(
    asked: PersonRequest, got: _StreamedAnswer, up: int, down: int, cloud: bool, text: str, kinds: Collection[str],
    left: bytes,
) -> Answered:  # fmt: skip
    tokens = got.prompt_tokens + got.written if cloud else 0
    return Answered(
        asked, got.text, got.finish is not None, got.first_ms, got.whole_ms, up, down, tokens, got.written, cloud, text,
        frozenset(kinds), left,
    )  # fmt: skip


LONG_WORDS = 700
"""Of a long request: about 1,400 tokens, most of a slot of 2,048."""
WRITTEN = 40


@dataclass(frozen=True)
class EngineCost:
    """An engine alone with one weights file: its peak, and tokens per second read and written."""

    peak_mb: float
    prompt_per_s: float
    written_per_s: float


def adapter_file() -> Path | None:
    """The `complete` adapter that the package ships, when it does."""
    path = Path(str(resources.files("netgpt").joinpath("adapters/shipped/complete/adapter.gguf")))
    return path if path.is_file() else None


async def fill_slots(url: str, slots: int) -> None:
    """Ask `slots` long requests at once of the edge, so that its memory is at its worst when it is read."""
    async with httpx.AsyncClient(base_url=url, timeout=300, trust_env=False) as client:
        bodies = [
            {"model": "netgpt/edge", "messages": [{"role": "user", "content": _long(number)}], "max_tokens": 8}
            for number in range(slots)
        ]
        for answer in await asyncio.gather(*(client.post("/v1/chat/completions", json=body) for body in bodies)):
            answer.raise_for_status()


async def serve(weights: Path, *, slots: int = 2, context_tokens: int = 2048, words: int = LONG_WORDS) -> EngineCost:
    """Start an engine with these weights, let each slot read a long prompt and write, and measure it."""
    with tempfile.TemporaryDirectory(prefix="netgpt-paper-") as folder:
        log = Path(folder) / "engine.log"
        engine = Engine(weights, context_tokens=context_tokens, slots=slots, log_path=log, probe_s=0)
        await engine.start()
        try:
            return await _serve(engine, slots, words)
        finally:
            await engine.stop(0)


async def _serve(engine: Engine, slots: int, words: int) -> EngineCost:
    endpoint = engine.endpoint()
    async with _engine_client(endpoint) as client:
        bodies: list[dict[str, Any]] = [
            {"prompt": _long(number, words), "n_predict": WRITTEN, "ignore_eos": True, "cache_prompt": False}
            for number in range(slots + 1)
        ]
        alone = await client.post("/completion", json=bodies[0])
        crowd = await asyncio.gather(*(client.post("/completion", json=body) for body in bodies[1:]))
        for answer in (alone, *crowd):
            answer.raise_for_status()
        timings = alone.json()["timings"]
    assert engine.pid is not None
    return EngineCost(peak_mb(engine.pid), timings["prompt_per_second"], timings["predicted_per_second"])


async def fine_tuning(base: Path, *, full: bool, examples: int, tokens: int, memory_mb: int | None) -> dict[str, float]:
    """Train in a process of its own, one epoch; {"peak_mb", "tokens_per_s", "seconds"}. Raises ModelUnavailable."""
    asked = {"base": str(base), "full": full, "examples": examples, "tokens": tokens, "memory_mb": memory_mb}
    return await result_of(f"fine-tuning {base.name}", "netgpt_bench.paper_tuning", asked=asked)


def _long(number: int, words: int = LONG_WORDS) -> str:
    """Words that no two requests share, so that no cache helps."""
    return " ".join(f"word{(number * 7919 + place * 31) % 1000}" for place in range(words // 2))


CLOUD_ONLY = "cloud-only"
WHOLE_PROFILE = "cloud-only, whole profile sent"
SPLIT = "model splitting"
EDGE_ONLY = "edge-only"
SYNERGY = "NetGPT synergy"
DECIDES = "NetGPT, the box decides"
GATEWAY_WAYS = (EDGE_ONLY, SYNERGY, DECIDES)
"""The ways that need the box: its weights, its memory."""

READY_S = 180.0
"""Patience with the box's start: its detector reads a language model, which takes a busy machine a minute."""


@dataclass
class Lab:
    """The started parts. `ways` in the order of the table; `pids` of what stands at the edge, by name."""

    ways: list[PaperWay]
    split: dict[str, Any]
    pids: dict[str, int]
    gateway_url: str
    links: Sequence[ShapedLink]

    def shape(self, shape: LinkShape) -> None:
        """Give all links this shape."""
        for link in self.links:
            link.shape = shape


async def cut_model(source: str, folder: Path, edge_layers: int | None) -> dict[str, Any]:
    """Cut a model in a process of its own, so that its memory is given back; `source` is a file or "random-gpt2"."""
    asked = {"source": source, "folder": str(folder), "edge_layers": edge_layers or 0}
    return await result_of("cutting a model for splitting", "netgpt_bench.splitting", asked=asked)


@asynccontextmanager
async def open_lab(
    weights: Path, cloud_weights: Path, split: Path, requests: Sequence[PersonRequest], folder: Path, progress: Progress
) -> AsyncIterator[Lab]:
    """Start all parts. `split` is a folder of `cut_model`. Raises ModelUnavailable: a part did not start."""
    async with AsyncExitStack() as stack:
        progress("starting the stand-in cloud")
        engine = Engine(cloud_weights, context_tokens=2048, slots=1, log_path=folder / "cloud.log", probe_s=0)
        await engine.start()
        stack.push_async_callback(engine.stop, 0)
        tape = Tape()
        cloud_port = urlsplit(engine.endpoint().base_url).port or 0
        link = await stack.enter_async_context(ShapedLink(cloud_port, tap=tape))
        progress("starting the box")
        key = engine.endpoint().api_key or ""
        port, pid = await stack.enter_async_context(gateway(folder / "home", _settings(weights, key, link)))
        url = f"http://127.0.0.1:{port}"
        await until_ready("the box", url, READY_S)
        await _fill_profiles(url, requests)
        progress("starting the two sides of the split model")
        cloud = await stack.enter_async_context(CloudProcess(split))
        split_link = await stack.enter_async_context(ShapedLink(cloud.port))
        edge = await stack.enter_async_context(EdgeProcess(split, split_link.port))
        tokenizer = await _tokenizer(weights, cloud_weights, engine, folder, stack)
        ways: list[Any] = [
            Straight(CLOUD_ONLY, link, tape, key),
            Straight(WHOLE_PROFILE, link, tape, key, whole_profile=True),
            Splitted(SPLIT, edge, split_link, tokenizer, await tokenizer.tokens("<|im_end|>")),
            ThroughGateway(EDGE_ONLY, "netgpt/edge", url, link, tape),
            ThroughGateway(SYNERGY, "netgpt/cloud", url, link, tape),
            ThroughGateway(DECIDES, "netgpt", url, link, tape),
        ]
        for way in ways:
            stack.push_async_callback(way.close)
        shape = json.loads((split / "split.json").read_text(encoding="utf-8"))
        yield Lab(ways, shape, _pids(pid, edge.pid), url, (link, split_link))


async def _tokenizer(
    weights: Path, cloud_weights: Path, engine: Engine, folder: Path, stack: AsyncExitStack
) -> Tokenizer:  # fmt: skip
    """The split model is cut from `weights`: the cloud's engine speaks its tokens only when it has the same file."""
    if weights != cloud_weights:
        engine = Engine(weights, context_tokens=512, slots=1, log_path=folder / "tokens.log", probe_s=0)
        await engine.start()
        stack.push_async_callback(engine.stop, 0)
    tokenizer = Tokenizer(engine.endpoint())
    stack.push_async_callback(tokenizer.close)
    return tokenizer


def _pids(gateway_pid: int, split_edge: int) -> dict[str, int]:
    below = children(gateway_pid)
    found = {"gateway": gateway_pid, "split edge": split_edge}
    for name, marker in (("engine", "netgpt.models.engine_child"), ("detector", "netgpt.privacy.worker")):
        match = [pid for pid, command in below.items() if marker in command]
        if not match:
            raise ModelUnavailable(f"the box runs without its {name}: see engine.log in its home")
        found[name] = match[0]
    return found


def _settings(weights: Path, key: str, link: ShapedLink) -> dict[str, str]:
    return {
        "NETGPT_EDGE__MODEL": str(weights),
        "NETGPT_CLOUD__BASE_URL": f"http://127.0.0.1:{link.port}/v1",
        "NETGPT_CLOUD__API_KEY": key,
        "NETGPT_CLOUD__MODEL": "cloud",
        "NETGPT_CLOUD__RETRIES": "0",
        "NETGPT_LOG_LEVEL": "error",
        **{f"NETGPT_SITE__{name.upper()}": value for name, value in SITE.items()},
    }


async def _fill_profiles(url: str, requests: Sequence[PersonRequest]) -> None:
    """Give the gateway what it may know of each person."""
    people = {asked.person.user: asked.person for asked in requests}
    async with httpx.AsyncClient(base_url=url, timeout=READY_S, trust_env=False) as client:
        for person in people.values():
            for fact in person.facts:
                body = {"text": fact.text, "kind": fact.kind, "label": fact.label.value}
                (await client.post(f"/v1/profiles/{quote(person.user)}/facts", json=body)).raise_for_status()
