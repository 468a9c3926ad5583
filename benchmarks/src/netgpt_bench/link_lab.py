"""One trace of `netgpt bench link`: the ways side by side, each over its own link, under the same stream of requests.

`python -m netgpt_bench.link_lab` runs several traces at once: one JSON line in, one out (`harness.result_of`). With
`--port 9999 --slots 2` it serves a model at the edge's speed instead, for `netgpt bench neighbours`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Self

import orjson

from netgpt.app.gateway import Gateway, open_gateway
from netgpt.errors import NetGPTError
from netgpt.exchange import Exchange, Request
from netgpt.routing.candidates import features_of
from netgpt.routing.router import TRIAL, TRIED
from netgpt.settings import load_settings
from netgpt.testing.server import Connection, FakeHttp, ReceivedRequest
from netgpt.types import Caller, Role
from netgpt_bench.harness import answer_parent, free_port
from netgpt_bench.link_emulator import ShapedLink, Trace
from netgpt_bench.link_traces import STEPS, made_traces, read_folder
from netgpt_bench.report import percentile

# --- Models of known speed as real HTTP servers, at the edge and behind the link.


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a server answers."""

    first_s: float
    """Before it reads the prompt."""
    prompt_tokens_s: float
    tokens_s: float
    """Of one answer."""
    slots: int | None = None
    """Answers at once, others wait in line; None: as many as come."""
    timings: bool = False
    """Whether it reports how fast it reads, as llama.cpp does; hosted models do not."""


EDGE = Speed(0.05, 3000.0, 25.0, slots=8, timings=True)
"""A small model on an office machine."""
CLOUD = Speed(0.35, 20_000.0, 60.0)
"""A hosted model."""
EVENT_TOKENS = 2
"""Tokens a streamed event."""
_FILLER = "fp_" + "0" * 150
"""Brings an event to the 170 to 200 bytes a token that hosted models send."""


class PacedServer(FakeHttp):
    """Answers each chat request with `max_tokens` words at a known speed, on the running loop."""

    def __init__(self, name: str, speed: Speed, port: int = 0) -> None:
        super().__init__(port)
        self.name, self.speed = name, speed
        self.answered = 0
        """Answers written to their end."""
        self.begun = 0
        self._slots = asyncio.Semaphore(speed.slots) if speed.slots else None
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        """What to configure as `base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(lambda: Connection(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        while self.connections:
            for connection in list(self.connections):
                connection.abort()
            await asyncio.sleep(0)

    async def serve(self, request: ReceivedRequest, connection: Connection) -> None:
        if request.method != "POST" or not request.path.endswith("/chat/completions"):
            connection.answer(200, b'{"object":"list","data":[{"id":"paced","object":"model"}]}')
            return
        body = json.loads(request.body)
        self.begun += 1
        if self._slots is None:
            await self._answer(body, connection)
        else:
            async with self._slots:
                await self._answer(body, connection)

    async def _answer(self, body: dict[str, Any], connection: Connection) -> None:
        prompt = sum(len(str(message.get("content"))) for message in body["messages"]) // 4
        wanted = int(body.get("max_tokens") or 16)
        speed = self.speed
        clock = asyncio.get_running_loop().time
        due = clock() + speed.first_s + prompt / speed.prompt_tokens_s
        connection.begin_events()
        for done in range(1 - EVENT_TOKENS, wanted, EVENT_TOKENS):  # one token first, as soon as there is one
            count = min(done + EVENT_TOKENS, wanted) - max(done, 0)
            due += count / speed.tokens_s
            await asyncio.sleep(max(0.0, due - clock()))
            connection.chunk(_event({"delta": {"role": "assistant", "content": "word " * count}}))
        self.answered += 1
        usage = {"prompt_tokens": prompt, "completion_tokens": wanted, "total_tokens": prompt + wanted}
        last: dict[str, Any] = {"usage": usage}
        if speed.timings:
            last["timings"] = {"prompt_n": prompt, "prompt_ms": 1000 * prompt / speed.prompt_tokens_s}
        connection.chunk(_event({"delta": {}, "finish_reason": "stop"}, **last) + b"data: [DONE]\n\n")
        connection.chunk(b"")


def _event(choice: dict[str, Any], **more: Any) -> bytes:
    chunk = {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "paced",
        "system_fingerprint": _FILLER, "choices": [{"index": 0, "finish_reason": None, **choice}], **more,
    }  # fmt: skip
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


# --- The requests: three kinds in a steady stream, each with its deadline and its known quality: how often an answer of
# this side would do, a table that is the same for all ways.


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request."""

    share: float
    """Of all requests."""
    deadline_s: float
    answer_tokens: int
    quality: Mapping[str, float]
    """The chance that an answer of "edge" or "cloud" does."""
    opening: str
    """The words that say what is wanted."""
    extra_words: int = 0
    """Length of the text that is sent along."""


KINDS: Mapping[str, Kind] = {
    "chat": Kind(0.5, 2.5, 24, {"edge": 0.9, "cloud": 0.95}, "What is a good name for a kitten?"),
    "code": Kind(
        0.3, 4.5, 48, {"edge": 0.35, "cloud": 0.93}, "Write a Python function that checks this table:\n", 1500
    ),
    "document": Kind(
        0.2, 7.0, 48, {"edge": 0.55, "cloud": 0.93}, "Summarize this report about the harbour in five lines:\n", 4000
    ),
}
"""Some 10 KB of text go with code, 28 KB with a document."""
NOTE = Kind(1.0, 2.0, 8, {"edge": 0.55, "cloud": 0.93}, "Summarize this note about the harbour in one line:\n", 850)
"""What is asked while the link changes in steps: light enough for the edge to take every one, 6 KB each."""
ALL_KINDS: Mapping[str, Kind] = {**KINDS, "note": NOTE}
_WORDS = (  # noqa: SIM905
    "harbour bread lamp garden ticket window river candle kettle market bridge winter paper engine orchard signal "
    "carpet island needle pocket saddle tunnel violin wagon"
).split()


@dataclass(frozen=True, slots=True)
class TimedRequest:
    """One request, to be sent `at_s` seconds after the start."""

    at_s: float
    kind: str
    text: str
    max_tokens: int
    deadline_s: float

    @property
    def body(self) -> dict[str, Any]:
        return {
            "messages": [{"role": "user", "content": self.text}], "stream": True, "max_tokens": self.max_tokens
        }  # fmt: skip


def arrivals(seconds: float, rate: float, seed: int, kinds: Sequence[str] = tuple(KINDS)) -> list[TimedRequest]:
    """`rate` requests a second, evenly spaced but for a third of a gap either way; the same for the same seed."""
    rng = random.Random(seed)
    gap = 1 / rate
    shares = [ALL_KINDS[name].share for name in kinds]
    asked = []
    for number in range(int(seconds * rate)):
        at = (number + 0.5 + rng.uniform(-1 / 3, 1 / 3)) * gap
        asked.append(_request(at, rng.choices(kinds, shares)[0]))
    return asked


def _request(at_s: float, name: str) -> TimedRequest:
    """The same words for every request of a kind: when the target changes, it was not for the text."""
    kind = ALL_KINDS[name]
    words = islice(cycle(_WORDS), kind.extra_words)
    return TimedRequest(at_s, name, kind.opening + " ".join(words), kind.answer_tokens, kind.deadline_s)


# --- The ways that are compared: each a real gateway of its own, over its own link with the same trace and seed.

ADAPTIVE, EDGE_ONLY, CLOUD_ONLY, THRESHOLD = "adaptive", "edge-only", "cloud-only", "threshold"
WAYS = (ADAPTIVE, EDGE_ONLY, CLOUD_ONLY, THRESHOLD)
HANG_S = 5.0
"""A request that is open so long after its deadline hangs."""
OWNER = Caller("local", Role.ADMIN)
_THRESHOLD_WORDS = 40
"""Longer requests are hard for the fixed threshold: the default of `routing.max_edge_words`."""


@dataclass(frozen=True, slots=True)
class LinkReply:
    """What became of one request."""

    at_s: float
    kind: str
    chosen: str
    """The target of the decision; empty: none was made."""
    answered: str
    """The target that answered; empty: nobody did."""
    rule: str
    outcome: str
    """whole, partial (ended early with an error), refused (an error and no word), hung."""
    took_s: float
    tokens: int
    late: bool
    """Not whole by its deadline."""
    drawn: bool
    """The gateway explored, or tried a link: the target was not the best."""
    error: str = ""
    """Code of the error that it ended with."""


class LinkWay:
    """Asks one gateway. `model_for` says under which name: for all but adaptive, the choice is made here."""

    def __init__(self, name: str, gateway: Gateway) -> None:
        self.name, self.gateway = name, gateway

    def model_for(self, asked: TimedRequest) -> str:
        if self.name == ADAPTIVE:
            return "netgpt"
        if self.name == THRESHOLD:
            features = features_of(asked.body)
            hard = features.hard_because is not None or features.words > _THRESHOLD_WORDS
            return "netgpt/cloud" if hard else "netgpt/edge"
        return "netgpt/edge" if self.name == EDGE_ONLY else "netgpt/cloud"

    async def ask(self, asked: TimedRequest) -> LinkReply:
        """Run the pipeline and read to the end. Never raises for what a model does."""
        request = Request(
            asked.body, self.model_for(asked), stream=True, user=f"lab-{asked.at_s:.3f}", deadline_s=asked.deadline_s
        )
        exchange, answer = Exchange(request, OWNER), _StreamedAnswer()
        began = time.perf_counter()
        try:
            async with asyncio.timeout(asked.deadline_s + HANG_S):
                await _follow(self.gateway, exchange, answer)
        except TimeoutError:
            answer.outcome = "hung"
        took = time.perf_counter() - began
        decision = exchange.decision if exchange.has("decision") else None
        answered = exchange.outcome.answered_by if exchange.has("stream") else None
        return LinkReply(
            asked.at_s, asked.kind, decision.name if decision else "", answered.name if answered else "",
            answered.rule if answered else decision.rule if decision else "", answer.outcome, round(took, 4),
            answer.tokens, answer.outcome != "whole" or took > asked.deadline_s,
            bool(decision and decision.rule in (TRIED, TRIAL)), answer.error,
        )  # fmt: skip


@dataclass
class _StreamedAnswer:
    outcome: str = "refused"
    tokens: int = 0
    finish: str | None = None
    error: str = ""


async def _follow(gateway: Gateway, exchange: Exchange, answer: _StreamedAnswer) -> None:
    try:
        await gateway.workflow.run(exchange)
        async for chunk in exchange.chunks:
            for choice in chunk.get("choices") or ():
                answer.tokens += len(((choice.get("delta") or {}).get("content") or "").split())
                answer.finish = choice.get("finish_reason") or answer.finish
        answer.outcome = "whole" if answer.finish == "stop" else "partial"
    except NetGPTError as error:  # the HTTP layer sends it in the stream, or as a status before the first word
        answer.outcome, answer.error = "partial" if answer.tokens else "refused", error.code


@asynccontextmanager
async def open_way(name: str, home: Path, link: ShapedLink | None) -> AsyncIterator[LinkWay]:
    """A gateway with its own edge, and the cloud behind `link` (None: no cloud). Cloud-only has nobody at the edge."""
    async with PacedServer("edge", EDGE) as edge:
        edge_url = f"http://127.0.0.1:{free_port()}/v1" if name == CLOUD_ONLY else edge.base_url
        settings: dict[str, Any] = {
            "edge": {"base_url": edge_url, "model": "small", "context_tokens": 16_384, "slots": EDGE.slots},
            "completion": {"mode": "off"},
        }
        if link is not None:
            settings["cloud"] = {"base_url": f"http://127.0.0.1:{link.port}/v1", "model": "far", "trusted": True}
        gateway = open_gateway(load_settings(environment={}, home=home, **settings))
        try:
            await gateway.start()
            yield LinkWay(name, gateway)
        finally:
            await gateway.close()


LAG_STEP_S = 0.05


@dataclass(frozen=True, slots=True)
class TraceJob:
    """Which part of which trace to run, and how: JSON-ready."""

    family: str
    name: str
    start_s: float
    seconds: float
    rate: float
    """Requests a second and way."""
    seed: int
    kinds: tuple[str, ...] = tuple(KINDS)
    ways: tuple[str, ...] = WAYS


def all_traces(data: Path | None, seconds: float, seed: int) -> list[Trace]:
    """Recorded ones where there is a folder, then the made ones and the steps. Raises RequestError."""
    return [*(read_folder(data) if data else ()), *made_traces(seconds, seed), STEPS]


async def run_trace(trace: Trace, job: TraceJob) -> dict[str, Any]:
    """What became of every request by way, and the trace's rate each second. JSON-ready."""
    part = trace.part(job.start_s, job.seconds)
    asked = arrivals(job.seconds, job.rate, job.seed, job.kinds)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="netgpt-link-")))
        cloud = await stack.enter_async_context(PacedServer("cloud", CLOUD))
        first, ways, links = part.points[0], [], []
        for name in job.ways:
            link = None
            if name != EDGE_ONLY:
                link = await stack.enter_async_context(ShapedLink(cloud.port, first.up, down=first.down, seed=job.seed))
                links.append(link)
            ways.append(await stack.enter_async_context(open_way(name, folder / name, link)))
        for link in links:
            link.follow(part)
        lag = asyncio.create_task(_lag(job.seconds))
        replies = await asyncio.gather(*(_ask_all(way, asked) for way in ways))
    shown = [one.down.rate_mbit if one.open else 0.0 for one in map(part.at, range(int(part.length_s)))]
    return {
        "job": asdict(job),
        "rates": shown,
        "lag_ms": round(1000 * percentile(await lag, 0.99), 1),
        "ways": {way.name: [asdict(one) for one in rows] for way, rows in zip(ways, replies, strict=True)},
    }


async def _ask_all(way: LinkWay, requests: Sequence[TimedRequest]) -> list[LinkReply]:
    """Send each at its time, whatever became of the others."""
    clock = asyncio.get_running_loop().time
    began = clock()
    async with asyncio.TaskGroup() as group:
        tasks = []
        for asked in requests:
            await asyncio.sleep(max(0.0, began + asked.at_s - clock()))
            tasks.append(group.create_task(way.ask(asked)))
    return [task.result() for task in tasks]


async def _lag(seconds: float) -> list[float]:
    """How late this process wakes up, in seconds, twenty times a second: what the machine adds to every figure."""
    clock = asyncio.get_running_loop().time
    lags = []
    for _ in range(int(seconds / LAG_STEP_S)):
        due = clock() + LAG_STEP_S
        await asyncio.sleep(LAG_STEP_S)
        lags.append(clock() - due)
    return lags


async def _run_all(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """What `link_report` asks for: {"jobs", "data": folder or null, "at_once", "longest_s"}."""
    jobs = [TraceJob(**{**job, "kinds": tuple(job["kinds"]), "ways": tuple(job["ways"])}) for job in asked["jobs"]]
    data = Path(asked["data"]) if asked["data"] else None
    found = {(trace.family, trace.name): trace for trace in all_traces(data, asked["longest_s"], jobs[0].seed)}
    free = asyncio.Semaphore(asked["at_once"])

    async def one(job: TraceJob) -> dict[str, Any]:
        async with free:
            return await run_trace(found[job.family, job.name], job)

    return await asyncio.gather(*(one(job) for job in jobs))


async def _serve_edge(words: Sequence[str]) -> None:
    """Serve at the edge's speed until the process is ended."""
    parser = argparse.ArgumentParser(prog="python -m netgpt_bench.link_lab", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--slots", type=int, default=EDGE.slots, help="answers at once")
    given = parser.parse_args(words)
    async with PacedServer("edge", replace(EDGE, slots=given.slots), given.port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(_serve_edge(sys.argv[1:]))
    else:
        logging.disable(logging.ERROR)  # a link that is cut is no news here
        answer_parent(lambda asked: asyncio.run(_run_all(asked)))
