"""What a first request would otherwise wait for: read and tried in the background, as soon as the parts have started.

Each step may fail on its own; it is logged, and the first request that needs the part tries again and tells. Nothing
that is asked here is anybody's words, and nothing of it is kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from netgpt.constraints.learnt import FactReader
from netgpt.constraints.stream import judge_of
from netgpt.constraints.taxonomy import taxonomy
from netgpt.errors import NetGPTError
from netgpt.policy import Destination, Disclosure, Policy, Principal
from netgpt.privacy.generalize import PLACE_LEVELS, Generaliser
from netgpt.privacy.kinds import family, hierarchy
from netgpt.types import Fact

log = logging.getLogger(__name__)

Step = Callable[[], Awaitable[object]]
AskEdge = Callable[[Mapping[str, Any]], Awaitable[object]]
_QUESTION: Final = "Any ideas for dinner in Lisbon on 3 May?"
_FACT: Final = Fact("The user is allergic to peanuts", "allergy", source="profile")


async def in_turn(steps: Mapping[str, Step]) -> None:
    """One step after another: who asks meanwhile shares the machine with one of them at most."""
    for name, step in steps.items():
        try:
            await step()
        except NetGPTError as error:
            log.warning("%s: %s", name, error.message)


async def ask_engine(ask: AskEdge) -> None:
    """One word of the engine's: its weights are then in memory."""
    await ask({"messages": [{"role": "user", "content": _QUESTION}], "max_tokens": 1, "temperature": 0})


async def read_constraints(reader: FactReader | None) -> None:
    """The table of foods, and what private facts are read with (120 ms of a core)."""

    def read() -> None:
        "cloud.example".encode("idna")  # each name of a server needs that table
        taxonomy()
        judge_of([_FACT], [_FACT], [{"role": "user", "content": _QUESTION}], _QUESTION, reader)

    await asyncio.to_thread(read)


async def read_places(generaliser: Generaliser, policy: Policy) -> None:
    """The gazetteer (a second of a core, 25 MB), where a place that a person stated may leave in coarser words."""
    may = Disclosure(policy, Principal("local", "user", ""), Destination(), hierarchy=hierarchy, family=family)
    if any(level in PLACE_LEVELS for level, _ in may.of_stated("PLACE").allowed):
        await asyncio.to_thread(generaliser.get_ready)
