"""The contract of every model, on the box or not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from netgpt.outbound import Outbound
from netgpt.types import Chunk

__all__ = ["ChatModel", "Health", "RemoteModel"]


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a model can be asked now; `detail` is one safe sentence."""

    ok: bool
    detail: str


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

    def health(self) -> Health: ...

    def send(self, outbound: Outbound) -> AsyncIterator[Chunk]:
        """As `ChatModel.chat`, for what the vault has made safe."""
        ...

    async def close(self) -> None: ...
