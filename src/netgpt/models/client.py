"""Clients of OpenAI-compatible servers: `EdgeModel` on the box takes any body, `CloudModel` elsewhere an `Outbound`."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext
from functools import partial
from typing import Any

import orjson

from netgpt.errors import BrokenStream, ModelError, ModelRejected, RequestError
from netgpt.judgement import TokenStats
from netgpt.models.adapting import MOST_CHANGES, Adapting
from netgpt.models.base import THE_BOX, Dialect, Endpoint, Health, Lease, Leases, OutboundRequest, ReceiptHook
from netgpt.models.errors import PAGES, Breaker, RetryPolicy, content_type, no_answer
from netgpt.models.observe import SILENT, Observer, watched
from netgpt.models.refusals import StandingFault, refuses_thoughts
from netgpt.models.stream import Joiner, as_chunk, read_chunks, read_document
from netgpt.models.thinking import Thoughts
from netgpt.models.tokens import asking_tokens, may_ask_tokens, taking_tokens
from netgpt.models.transport import CallTarget, Transport, check_trust
from netgpt.outbound import Outbound
from netgpt.types import LOAD_HEADER, Chunk, Load, Sender


class ModelCall:
    """Calls one server: breaker, transport, reading, watched. A connection is closed when the answer's iterator is."""

    def __init__(self, transport: Transport, breaker: Breaker | None = None) -> None:
        self.transport = transport
        self.breaker = breaker
        self.target, self.observer = "", SILENT
        self.standing = StandingFault()
        self.hear_load: Callable[[Load], None] | None = None
        """Called with how busy the server says it is, where it is a neighbour that does."""

    async def chat(
        self,
        target: CallTarget,
        content: bytes,
        choices: int,
        before: Callable[[], Awaitable[None]] | None = None,
        *,
        streams: bool = True,
        once: str | None = None,
    ) -> AsyncGenerator[Chunk, None]:
        """The chunks of an answer. `before` and `once`: see `Transport.post`; `streams`: as was asked."""
        with (
            self._guard(target) as answers,
            watched(self.observer, self.target) as call,
            self.standing.watching() as well,
        ):
            call.notes.whole = not streams
            path = target.dialect.path if target.dialect is not None else "/chat/completions"
            async with self.transport.post(target, path, content, before, call, once) as response:
                answers()
                if self.hear_load is not None and (load := Load.read(response.headers.get(LOAD_HEADER))) is not None:
                    self.hear_load(load)
                kind = content_type(response.headers)
                call.notes.whole = kind == "application/json"
                pieces = self.transport.pieces(target, response, call)
                reader = target.dialect.reader(str(target.peer)) if target.dialect is not None else None
                chunks = read_chunks(pieces, kind, target.peer, choices, reader, streams=streams)
                thoughts = Thoughts()
                async with aclosing(pieces), aclosing(chunks):
                    async for read in chunks:
                        for chunk in thoughts.chunks(read):
                            call.chunk(chunk)
                            well()
                            yield chunk

    async def document(self, target: CallTarget, path: str, content: bytes) -> dict[str, Any]:
        with self._guard(target), self.standing.watching() as well:
            async with self.transport.post(target, path, content) as response:
                kind = content_type(response.headers)
                if kind in PAGES:
                    raise no_answer(target.peer, kind)
                async with aclosing(self.transport.pieces(target, response)) as pieces:
                    answer = await read_document(pieces, target.peer)
                    well()
                    return answer

    def _guard(self, target: CallTarget) -> AbstractContextManager[Callable[[], None]]:
        return self.breaker.guard(str(target.peer)) if self.breaker else nullcontext(lambda: None)


class _Watchable:
    """What both clients share: a caller that can be watched and closed."""

    _caller: ModelCall

    def watch(self, target: str, observer: Observer) -> None:
        """From now on `observer` gets every chat, under the name `target`."""
        self._caller.target, self._caller.observer = target, observer

    async def close(self) -> None:
        """Close idle and open connections."""
        await self._caller.transport.close()


_MAX_CALLS = 256
"""More than the gateway lets in at once: the engine's own slots are the queue."""
_DISLIKED = (400, 422)
"""Answers of a server to fields that it does not take; any other refusal is of the request itself."""
_NOT_SENT = ("lora", "id_slot")
"""Fields of llama.cpp that choose adapters and slots: nobody but this client sets them."""


class EdgeModel(_Watchable):
    """A `ChatModel` on the box: the built-in engine, or the owner's own server.

    `endpoint` is asked for at each call, because the engine may have come back on another port; it may raise
    ModelUnavailable. `leases` takes its place for an engine with adapters (`SwappingEngine.lease`); a server without
    it never hears of adapters. `model` replaces the request's model name; answers carry `name`. `timeout_s` is
    seconds without a byte. `default_max_tokens` bounds an answer whose request names no bound. `ready` gives the
    health without asking the network.
    """

    def __init__(
        self,
        name: str,
        endpoint: Callable[[], Endpoint],
        model: str,
        *,
        timeout_s: float,
        connect_timeout_s: float = 5.0,
        default_max_tokens: int,
        ready: Callable[[], Health] | None = None,
        leases: Leases | None = None,
    ) -> None:
        self.name, self.model = name, model
        self._endpoint, self._leases = endpoint, leases or self._unclaimed
        self._default_max_tokens, self._ready = default_max_tokens, ready
        self._last: tuple[Endpoint, CallTarget] | None = None
        self.tells_tokens = True  # until the server refuses to be asked
        transport = Transport(
            timeout_s=timeout_s, connect_timeout_s=connect_timeout_s, max_connections=_MAX_CALLS, retry=RetryPolicy(1)
        )
        self._caller = ModelCall(transport)

    def __repr__(self) -> str:
        return f"<EdgeModel {self.name}: {self.model}>"

    def health(self) -> Health:
        """What `ready` says; without one, the server is taken to be there until a call fails."""
        if self._ready is not None:
            return self._ready()
        text = f'model "{self.name}" is configured; its server is not watched'
        return Health(True, text, self._caller.standing.words)

    async def chat(
        self, body: Mapping[str, Any], *, adapters: Sequence[str] = (), stats: TokenStats | None = None
    ) -> AsyncIterator[Chunk]:
        """As `TellsTokens.chat`. A streamed answer ends with its usage, when the server counts it.

        A whole answer is streamed from the server too and joined here: llama.cpp stops writing when the reader of a
        stream goes away, but writes an unstreamed answer to its end for nobody.
        """
        joiner = Joiner()
        with self._leases() as lease:
            async with aclosing(self._chunks(body, lease, adapters, stats)) as chunks:
                async for chunk in chunks:
                    named = self._named(chunk)
                    if body.get("stream"):
                        yield named
                    else:
                        joiner.add(named)
        if not body.get("stream"):
            yield as_chunk(joiner.answer())

    async def _chunks(
        self, body: Mapping[str, Any], lease: Lease, adapters: Sequence[str], stats: TokenStats | None
    ) -> AsyncGenerator[Chunk, None]:
        """The server's chunks, their figures of tokens added to `stats` and taken out where the caller wants none."""
        target, sent, begun, refused = (
            self._target(lease.endpoint),
            self._edge_body(body, lease.lora(adapters)),
            False,
            False,
        )
        if stats is not None and self.tells_tokens and may_ask_tokens(body):
            try:
                content = _encode(asking_tokens(sent))
                async with aclosing(self._caller.chat(target, content, _choices(body))) as chunks:
                    async for chunk in chunks:
                        begun = True
                        yield taking_tokens(chunk, stats, body)
                return
            except ModelRejected as error:
                if begun or error.status not in _DISLIKED:
                    raise
                refused = True
        async with aclosing(self._caller.chat(target, _encode(sent), _choices(body))) as chunks:
            async for chunk in chunks:
                self.tells_tokens = self.tells_tokens and not refused  # it was the asking, not the request
                yield chunk

    async def embeddings(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """OpenAI's embeddings answer to OpenAI's embeddings body: the plain model's. Raises ModelError."""
        with self._leases() as lease:
            target = self._target(lease.endpoint)
            content = _encode({**_allowed(body), "model": self.model})
            answer = await self._caller.document(target, "/embeddings", content)
        if not isinstance(answer.get("data"), list):
            raise BrokenStream(f"{target.peer} sent embeddings without data")
        return answer

    def _edge_body(self, body: Mapping[str, Any], lora: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        sent = {**_allowed(body), "model": self.model}
        if lora:
            sent["lora"] = lora
        if sent.get("max_tokens") is None and sent.get("max_completion_tokens") is None:
            sent["max_tokens"] = self._default_max_tokens
        sent["stream"] = True
        sent["stream_options"] = {**(sent.get("stream_options") or {}), "include_usage": True}
        return sent

    def _named(self, chunk: Chunk) -> Chunk:
        """Under the configured name instead of the weights' file, and without the engine's own figures."""
        return {**{key: value for key, value in chunk.items() if key != "timings"}, "model": self.name}

    @contextmanager
    def _unclaimed(self) -> Iterator[Lease]:
        yield Lease(self._endpoint())

    def _target(self, endpoint: Endpoint) -> CallTarget:
        if self._last is None or self._last[0] != endpoint:
            self._last = (endpoint, CallTarget(self.name, "edge", endpoint))
        return self._last[1]


class CloudModel(_Watchable):
    """A `RemoteModel`: posts what the vault sealed, byte for byte, and nothing else.

    `timeout_s`: seconds without a byte; `first_byte_s`: before the first of an answer, else the same;
    `connect_timeout_s`: seconds to open a connection; `retries`: tries after
    the first, before any byte of an answer; `breaker_failures` calls failing in a row open the breaker, which lets
    one call try after `breaker_reset_s` seconds. `seed` fixes the jitter of the retries. `receipt_hook` writes the
    receipt: once a call, however often it is tried. `target`: its name among the models that may answer; errors name
    its settings by it.
    """

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        *,
        timeout_s: float,
        connect_timeout_s: float,
        retries: int,
        max_connections: int,
        breaker_failures: int,
        breaker_reset_s: float,
        receipt_hook: ReceiptHook,
        target: str = "cloud",
        seed: int | None = None,
        first_byte_s: float | None = None,
    ) -> None:
        self.name, self.target = name, target
        section = "cloud" if target == "cloud" else f"upstreams.{target}"
        self._target = CallTarget(name, section, endpoint)
        check_trust(endpoint.trust, tls=self._target.origin.tls, section=section)
        self.destination = self._target.peer.host
        self.adapting = Adapting(str(self._target.peer))
        self._receipt_hook = receipt_hook
        self._breaker = Breaker(breaker_failures, breaker_reset_s)
        retry = RetryPolicy(retries, random=random.Random(seed))  # noqa: S311 - spreads retries, guards nothing
        transport = Transport(
            timeout_s=timeout_s, connect_timeout_s=connect_timeout_s, max_connections=max_connections, retry=retry,
            trust=endpoint.trust, first_byte_s=first_byte_s,
        )  # fmt: skip
        self._caller = ModelCall(transport, self._breaker)

    def __repr__(self) -> str:
        return f"<CloudModel {self._target.peer}>"

    def health(self) -> Health:
        """The breaker's state: unhealthy while it is open, worth a try when it is half-open."""
        peer, state, fault = self._target.peer, self._breaker.state, self._caller.standing.words
        if state == "open":
            wait = self._breaker.wait_s
            return Health(
                False, f"{peer} failed too often and is left alone; next try in {wait:.0f} s (breaker open)", fault
            )
        if state == "half-open":
            return Health(True, f"{peer} failed and may be tried again (breaker half-open)", fault)
        return Health(True, f"{peer} is configured (breaker closed)", fault)

    def send(
        self, outbound: Outbound, *, sender: Sender = THE_BOX, leaves: Callable[[Outbound], None] | None = None
    ) -> AsyncIterator[Chunk]:
        """As `Adapts.send`. Anything but an Outbound is a TypeError."""
        if not isinstance(outbound, Outbound):
            raise TypeError(f"a remote model takes an Outbound, not {type(outbound).__name__}")
        dialect = self._target.dialect
        name = "openai" if dialect is None else dialect.name
        if outbound.dialect != name:
            raise TypeError(f"{self._target.peer} speaks {name}; the Outbound is for {outbound.dialect}")
        if dialect is not None:
            return self._in_dialect(outbound, dialect, sender, leaves)
        return self._as_it_takes(self.adapting.applied(outbound), sender, leaves)

    async def _in_dialect(
        self, outbound: Outbound, dialect: Dialect, sender: Sender, leaves: Callable[[Outbound], None] | None
    ) -> AsyncGenerator[Chunk, None]:
        """The answer in another dialect. Where its maker does not know a thought again, as the vault hid words in it,
        it is asked once more without earlier thoughts, with a new receipt."""
        less: Outbound | None = None
        for last in (False, True):
            outbound, begun = less or outbound, False
            if leaves is not None:
                leaves(outbound)
            try:
                async with aclosing(self._asked(outbound, sender)) as chunks:
                    async for chunk in chunks:
                        begun = True
                        yield chunk
                return
            except ModelRejected as error:
                if begun or last or sender.claim or not refuses_thoughts(error):
                    raise
                less = outbound.shortened(dialect.without_thoughts, "reasoning")
                if less.content == outbound.content:
                    raise

    async def _as_it_takes(
        self, outbound: Outbound, sender: Sender, leaves: Callable[[Outbound], None] | None
    ) -> AsyncGenerator[Chunk, None]:
        """The answer; what the server says it does not take is put otherwise and sent again, with a new receipt."""
        for tried in range(MOST_CHANGES + 1):
            if leaves is not None:
                leaves(outbound)
            begun = False
            try:
                async with aclosing(self._asked(outbound, sender)) as chunks:
                    async for chunk in chunks:
                        begun = True
                        yield chunk
                return
            except ModelError as error:
                other = None if begun or tried == MOST_CHANGES else self.adapting.learnt(error, outbound)
                if other is not None and sender.claim and isinstance(error, ModelRejected):
                    error.not_begun, other = True, None  # it leaves once, and may wait for its next turn
                if other is None:
                    raise
                outbound = other

    def _asked(self, outbound: Outbound, sender: Sender) -> AsyncGenerator[Chunk, None]:
        content = outbound.content
        hook = partial(self._receipt_hook, OutboundRequest(self.destination, self.name, outbound, sender))
        choices = _choices(orjson.loads(content)) if b'"n":' in content else 1  # most are not parsed for it
        once = sender.claim.partition(".")[0] if sender.claim else None
        return self._caller.chat(self._target, content, choices, hook, streams=outbound.stream, once=once)

    def hear_load(self, hear: Callable[[Load], None]) -> None:
        """From now on `hear` gets how busy the server says it is, at every answer (`calls.LOAD_HEADER`)."""
        self._caller.hear_load = hear


def _choices(body: Mapping[str, Any]) -> int:
    """How many choices the body asks for."""
    wanted = body.get("n")
    return wanted if isinstance(wanted, int) and wanted > 0 else 1


def _allowed(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body without what only this client may say."""
    return {key: value for key, value in body.items() if key not in _NOT_SENT}


def _encode(body: Mapping[str, Any]) -> bytes:
    """JSON bytes. orjson refuses lone surrogates and huge integers, which are legal JSON; the slow way takes them."""
    try:
        return orjson.dumps(body)
    except TypeError:
        pass
    try:
        return json.dumps(body).encode("ascii")
    except (TypeError, ValueError):
        raise RequestError("the request holds values that are not JSON") from None
