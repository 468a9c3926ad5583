"""The right to ask one engine for the time of one answer: where it listens, and which adapters it holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from netgpt.errors import AdapterGone
from netgpt.models.endpoint import Endpoint

__all__ = ["Lease", "Leases"]


@dataclass(frozen=True, slots=True)
class Lease:
    """One engine and its adapters' ids; an id's place in `resident` is its number in the engine."""

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
