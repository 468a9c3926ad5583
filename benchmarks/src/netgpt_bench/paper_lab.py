"""Everything that `netgpt bench paper` starts: the stand-in cloud, the box, the split model, and the links between."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
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
from netgpt_bench.harness import gateway, result_of
from netgpt_bench.link_emulator import LinkShape, ShapedLink
from netgpt_bench.paper_checks import Answered
from netgpt_bench.paper_requests import SITE, PersonRequest
from netgpt_bench.split_process import CloudProcess, EdgeProcess

# --- The ways to answer that `netgpt bench paper` compares: each asks one request and tells what it cost.
#
# All cross the same kind of shaped link, one request at a time, over connections that stay open: no handshake is
# measured. `Straight` asks the cloud over the link, `ThroughBox` asks the gateway on the box, which reaches the
# same cloud over the same link, `Splitted` runs the first layers here and the rest behind the link.


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
        is_up = await _post(self._client, _body("cloud", text, max_tokens))
        return _answered(
            asked, is_up, self.link.up - up, self.link.down - down, True, text, {f.kind for f in facts},
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
        is_up = await _post(self._client, body, "/v1/chat/completions")
        up, down, left = self.link.up - up, self.link.down - down, self._tape.take()
        told = (await self._client.get(f"/v1/exchanges/{is_up.exchange}", params={"user": asked.person.user})).json()
        kinds = {fact["kind"] for fact in told["facts"]}
        text = (told["completion"] or {}).get("text") or asked.text
        return _answered(asked, is_up, up, down, told["route"] == "cloud", text, kinds, left)

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
    is_up, started = _Heard(), time.perf_counter()
    async with client.stream("POST", path, json=body) as response:
        if response.status_code != 200:
            raise BrokenStream(f"{body['model']} answered with status {response.status_code}")
        is_up.exchange = response.headers.get("x-netgpt-exchange", "")
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                _hear(is_up, json.loads(line[6:]), started)
    is_up.whole_ms = (time.perf_counter() - started) * 1000
    is_up.first_ms = is_up.first_ms or is_up.whole_ms
    return is_up


def _hear(is_up: _Heard, chunk: dict[str, Any], started: float) -> None:
    if "error" in chunk:
        raise BrokenStream("an answer of the comparison ended with an error in its stream")
    for choice in chunk.get("choices") or ():
        piece = (choice.get("delta") or {}).get("content") or ""
        if piece and not is_up.first_ms:
            is_up.first_ms = (time.perf_counter() - started) * 1000
        is_up.text += piece
        is_up.finish = choice.get("finish_reason") or is_up.finish
    if usage := chunk.get("usage"):
        is_up.prompt_tokens, is_up.written = usage["prompt_tokens"], usage["completion_tokens"]


def _answered(
    asked: PersonRequest, is_up: _Heard, up: int, down: int, cloud: bool, text: str, kinds: Collection[str], left: bytes
) -> Answered:  # fmt: skip
    tokens = is_up.prompt_tokens + is_up.written if cloud else 0
    return Answered(
        asked, is_up.text, is_up.finish is not None, is_up.first_ms, is_up.whole_ms, up, down, tokens, is_up.written,
        cloud, text, frozenset(kinds), left,
    )  # fmt: skip


# --- Peaks of memory and sizes on disk, for `netgpt bench paper`. MB are 10^6 bytes, as the paper's.
#
# A peak is the kernel's own high-water mark of a process's resident memory (`VmHWM` in /proc/PID/status): nothing
# is sampled, so nothing is missed. Weights that the engine maps from their file count as far as they were read.

LONG_WORDS = 700
"""Of a long request: about 1,400 tokens, most of a slot of 2,048."""
WRITTEN = 40


@dataclass(frozen=True)
class EngineCost:
    """An engine alone with one weights file: its peak, and tokens per second read and written."""

    peak_mb: float
    prompt_per_s: float
    written_per_s: float


def peak_mb(pid: int) -> float:
    """The most resident memory that the process ever had. Raises ModelUnavailable: it is gone, or not Linux."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    raise ModelUnavailable(f"the peak memory of process {pid} cannot be read: it ended, or this is not Linux")


def children(pid: int) -> dict[int, str]:
    """The direct children of a process, with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == pid:
                    found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
    return found


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
    async with httpx.AsyncClient(
        base_url=endpoint.base_url.removesuffix("/v1"), headers={"Authorization": f"Bearer {endpoint.api_key}"},
        timeout=300, trust_env=False,
    ) as client:  # fmt: skip
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


async def fine_tuning(
    base: Path, *, full: bool, examples: int, tokens: int, memory_mb: int | None
) -> dict[str, float]:  # fmt: skip
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
BOX_WAYS = (EDGE_ONLY, SYNERGY, DECIDES)
"""The ways that need the box: its weights, its memory."""

READY_S = 180.0
"""Patience with the box's start: its detector reads a language model, which takes a busy machine a minute."""

Progress = Callable[[str], None]


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
    words = [source, str(folder), str(edge_layers or 0)]
    return await result_of("cutting a model for splitting", "netgpt_bench.split_cut", *words)


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
        port = urlsplit(engine.endpoint().base_url).port or 0
        link = await stack.enter_async_context(ShapedLink(port, tap=tape))
        progress("starting the box")
        gateway, pid = await stack.enter_async_context(_gateway(weights, engine.endpoint().api_key or "", link, folder))
        url = f"http://127.0.0.1:{gateway}"
        await _prepare(url, requests)
        progress("starting the two sides of the split model")
        cloud = await stack.enter_async_context(CloudProcess(split))
        split_link = await stack.enter_async_context(ShapedLink(cloud.port))
        edge = await stack.enter_async_context(EdgeProcess(split, split_link.port))
        tokenizer = await _tokenizer(weights, cloud_weights, engine, folder, stack)
        key = engine.endpoint().api_key or ""
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
        told = json.loads((split / "split.json").read_text(encoding="utf-8"))
        yield Lab(ways, told, _pids(pid, edge.pid), url, (link, split_link))


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


@asynccontextmanager
async def _gateway(weights: Path, key: str, link: ShapedLink, folder: Path) -> AsyncIterator[tuple[int, int]]:
    settings = {
        "NETGPT_EDGE__MODEL": str(weights),
        "NETGPT_CLOUD__BASE_URL": f"http://127.0.0.1:{link.port}/v1",
        "NETGPT_CLOUD__API_KEY": key,
        "NETGPT_CLOUD__MODEL": "cloud",
        "NETGPT_CLOUD__RETRIES": "0",
        "NETGPT_LOG_LEVEL": "error",
        **{f"NETGPT_SITE__{name.upper()}": value for name, value in SITE.items()},
    }
    async with gateway(folder / "home", settings) as told:
        yield told


async def _prepare(url: str, requests: Sequence[PersonRequest]) -> None:
    """Wait until every part of the box is ready, and tell it what it may know."""
    people = {asked.person.user: asked.person for asked in requests}
    async with httpx.AsyncClient(base_url=url, timeout=READY_S, trust_env=False) as client:
        until = asyncio.get_running_loop().time() + READY_S
        while asyncio.get_running_loop().time() < until:
            parts = (await client.get("/readyz")).json().get("parts", {})
            if parts and all(part["ok"] for part in parts.values()):
                break
            await asyncio.sleep(0.1)
        else:
            raise ModelUnavailable(f"the box was not ready within {READY_S:.0f} s")
        for person in people.values():
            for fact in person.facts:
                body = {"text": fact.text, "kind": fact.kind, "label": fact.label.value}
                path = f"/v1/profiles/{quote(person.user)}/facts"
                (await client.post(path, json=body)).raise_for_status()
