"""The contract of every model, on the box or not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from netgpt.outbound import Outbound
from netgpt.types import Chunk, Sender

__all__ = ["THE_BOX", "ChatModel", "Departure", "Health", "RemoteModel", "Witness", "unwitnessed"]

THE_BOX = Sender(purpose="the box")
"""Sends what is nobody's."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a model can be asked now; `detail` is one safe sentence."""

    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Departure:
    """What is about to be sent, told before its first byte leaves."""

    destination: str
    """Host, and port where the address names one."""
    model: str
    outbound: Outbound
    sender: Sender


Witness = Callable[[Departure], Awaitable[None]]
"""Writes the receipt of a departure. Nothing is sent before it returns, and nothing at all when it raises."""


async def unwitnessed(_departure: Departure) -> None:
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
class RemoteModel(Protocol):
    """A model elsewhere: posts an `Outbound` byte for byte, and accepts nothing else (TypeError)."""

    name: str
    destination: str
    """Where it posts to: host, and port where the address names one."""

    def health(self) -> Health: ...

    def send(self, outbound: Outbound, *, sender: Sender = THE_BOX) -> AsyncIterator[Chunk]:
        """As `ChatModel.chat`, for what the vault has made safe. `sender`: on whose behalf, for the receipt.

        Raises what the witness raises (StoreError) when no receipt can be written: then nothing was sent.
        """
        ...

    async def close(self) -> None: ...
