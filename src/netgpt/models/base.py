"""The contract of every model, on the box or not, and what a call needs: endpoint, certificates, lease, and the boxes
that the request has passed (`arrive`, `passed`)."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from netgpt.errors import AdapterGone, RequestError
from netgpt.judgement import TokenStats
from netgpt.outbound import Outbound
from netgpt.types import Chunk, Sender

THE_BOX = Sender(purpose="the box")
"""Sends what is nobody's."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a model can be asked now; `detail` is one safe sentence."""

    ok: bool
    detail: str
    fault: str = ""
    """What its owner has to mend, as the last call found out: it is asked all the same, so that it shows when it is."""


@dataclass(frozen=True, slots=True)
class OutboundRequest:
    """What is about to be sent: the receipt hook gets it before the first byte leaves."""

    destination: str
    """Host, and port where the address names one."""
    model: str
    outbound: Outbound
    sender: Sender


ReceiptHook = Callable[[OutboundRequest], Awaitable[None]]
"""Writes the receipt of an outbound request. Nothing is sent before it returns, and nothing when it raises."""


async def without_receipt(_outbound_request: OutboundRequest) -> None:
    """Keeps no receipt: for tests and measurements, where nobody's words are sent."""


@runtime_checkable
class ChatModel(Protocol):
    """A model that may see everything: it runs on the box (or on a server that is the owner's own edge)."""

    name: str

    def health(self) -> Health:
        """Known state, without asking the network."""
        ...

    def chat(self, body: Mapping[str, Any], *, adapters: Sequence[str] = ()) -> AsyncIterator[Chunk]:
        """Answer OpenAI's chat body. Yields chunks; a body without `stream` yields one whole chunk.

        `adapters`: ids ("complete@1") of the adapters to answer with, for the whole of this answer and for nothing
        else. One that is not loaded raises AdapterGone before the first chunk.

        The iterator ends cleanly only after each choice had a `finish_reason`. Closing it cancels the call.
        Raises ModelError and its children, also in the middle of the iteration.
        """
        ...

    async def close(self) -> None: ...


@runtime_checkable
class TellsTokens(ChatModel, Protocol):
    """A model on the box that tells how sure it was of each token, where its server does."""

    tells_tokens: bool
    """Whether it is worth asking: a server may have refused."""

    def chat(
        self, body: Mapping[str, Any], *, adapters: Sequence[str] = (), stats: TokenStats | None = None
    ) -> AsyncIterator[Chunk]:
        """As `ChatModel.chat`; `stats` is filled while the answer streams (its count stays 0 where the server tells
        nothing), and the chunks carry no figures but those that the body asks for."""
        ...


@runtime_checkable
class RemoteModel(Protocol):
    """A model elsewhere: posts an `Outbound` byte for byte, and accepts nothing else (TypeError)."""

    name: str
    destination: str
    """Where it posts to: host, and port where the address names one."""

    def health(self) -> Health: ...

    def send(self, outbound: Outbound, *, sender: Sender = THE_BOX) -> AsyncIterator[Chunk]:
        """As `ChatModel.chat`, for what the vault has made safe. `sender`: on whose behalf, for the receipt.

        Raises what the receipt hook raises (StoreError) when no receipt can be written: then nothing was sent.
        """
        ...

    async def close(self) -> None: ...


@runtime_checkable
class Adapts(RemoteModel, Protocol):
    """A remote model that learns what its server does not take, and sends it without."""

    adapting: Any

    def send(
        self, outbound: Outbound, *, sender: Sender = THE_BOX, leaves: Callable[[Outbound], None] | None = None
    ) -> AsyncIterator[Chunk]:
        """As `RemoteModel.send`; `leaves` gets each body as it is about to be posted, with a receipt of its own: the
        given one may be put otherwise (`Outbound.adapted`), also after it was refused."""
        ...


@dataclass(frozen=True, slots=True)
class Trust:
    """Certificates for TLS (PEM files). The server's is always checked: there is no way to say otherwise."""

    ca_file: Path | None = None
    """The only authority believed; None: the system's."""
    client_cert: Path | None = None
    """What this side shows when it is asked."""
    client_key: Path | None = None


SYSTEM_TRUST = Trust()


class AnswerReader(Protocol):
    """Reads one answer of another dialect as OpenAI's chat. Nothing that it gives is trusted yet."""

    def read(self, event: Any) -> Iterator[Chunk | None]:
        """The chunks of one event of a stream; None: the answer is whole. Raises BrokenStream."""
        ...

    def whole(self, document: Mapping[str, Any], /) -> dict[str, Any]:
        """A whole answer as a `chat.completion`. Raises BrokenStream."""
        ...


class Dialect(Protocol):
    """An API that is not OpenAI's chat: `netgpt.dialects.clouds` has them."""

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> str:
        """Where requests are posted, below the base address."""
        ...

    @property
    def reader(self) -> Callable[[str], AnswerReader]: ...

    @property
    def error(self) -> Callable[[Any], Any]:
        """An error of that API in OpenAI's shape."""
        ...

    @property
    def without_thoughts(self) -> Callable[[dict[str, Any]], dict[str, Any]]:
        """A request without what was thought for earlier answers; nothing else is changed."""
        ...


@dataclass(frozen=True)
class Endpoint:
    """One server's base address (most end with `/v1`) and key. A repr never shows the key, headers or the proxy."""

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    trust: Trust = SYSTEM_TRUST
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """More of them: of a dialect, where it names who asks in its own way, and by the owner."""
    proxy: str | None = field(default=None, repr=False)
    """An HTTP proxy towards it."""
    dialect: Dialect | None = None
    """None: OpenAI's chat."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to ask one engine for one answer, and the ids of its adapters, in the order of their numbers there."""

    endpoint: Endpoint
    resident: tuple[str, ...] = ()

    def lora(self, wanted: Sequence[str]) -> list[dict[str, Any]]:
        """The engine's `lora` field: every resident adapter, those not wanted with a scale of 0.

        Always the whole list, also when none is wanted: llama.cpp answers a request without it from the prompt cache
        of whatever adapter was used before. Raises AdapterGone that names what is not resident.
        """
        missing = [id for id in wanted if id not in self.resident]
        if missing:
            raise AdapterGone(f"the adapter {missing[0]} is not loaded in the engine now")
        return [{"id": place, "scale": float(id in wanted)} for place, id in enumerate(self.resident)]


Leases = Callable[[], AbstractContextManager[Lease]]
"""Takes a lease; it ends with the block. Raises ModelUnavailable when there is no engine to ask."""


# Requests that come round: each gateway adds itself to a header, and refuses what has passed it before. A box may be
# named, by mistake, as the cloud, an upstream or the edge of another box, or of itself under another name. Each gateway
# has a random id for as long as it runs: nothing can be learnt from it but that an answer went through it. The ids
# travel in `X-NetGPT-Hops`, as those of caches do in CDN-Loop (RFC 8586). What a request came with is kept in its
# context, so that every model that is called on its way gets it, whoever calls.

HOPS_HEADER: Final = "x-netgpt-hops"
LOOP: Final = "request_loop"
"""Code of the error for a request that comes round."""
MOST_HOPS: Final = 4
"""Gateways that a request may pass: more are a loop through one that does not know itself, as it started again."""
_ID_CHARS: Final = 16

_PASSED: ContextVar[str] = ContextVar("netgpt hops", default="")


def new_box_id() -> str:
    """For one gateway, for as long as it runs."""
    return secrets.token_hex(_ID_CHARS // 2)


def arrive(box: str, header: str) -> None:
    """A request with this header came to the gateway `box`. Raises RequestError (508): it came round."""
    passed = [part.strip()[:_ID_CHARS] for part in header.split(",", MOST_HOPS) if part.strip()]
    if box in passed:
        raise RequestError(
            "the request has come round: it passed this box before. A base_url (of edge, cloud or an upstream, here or "
            'on a neighbour) leads back to this box; name a model\'s server there, or model = "netgpt/edge".',
            code=LOOP,
            status=508,
        )
    if len(passed) >= MOST_HOPS:
        raise RequestError(
            f"the request has passed {MOST_HOPS} boxes, the most there may be: do their base_urls lead in a ring?",
            code=LOOP,
            status=508,
        )
    _PASSED.set(", ".join([*(part for part in passed if part.isalnum() and part.isascii()), box]))


def passed() -> str:
    """The header's value for what is sent on behalf of this request; empty: no request is at work."""
    return _PASSED.get()
