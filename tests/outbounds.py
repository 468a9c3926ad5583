"""Makes an Outbound without a vault. For tests only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from netgpt.outbound import Outbound, _sealed_by_vault
from netgpt.types import Chunk

__all__ = ["outbound", "send"]


def outbound(body: Mapping[str, Any]) -> Outbound:
    return _sealed_by_vault(body, (), "masked")


def send(model: Any, body: Mapping[str, Any]) -> AsyncIterator[Chunk]:
    """Put a body to a RemoteModel."""
    answer: AsyncIterator[Chunk] = model.send(outbound(body))
    return answer
