"""Two answers side by side: the first to begin wins, the other is cancelled at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from netgpt.answering.opening import Opened, close
from netgpt.errors import ContextTooLong, ModelError

__all__ = ["FAILS", "Race", "race"]

Ask = Callable[[], Awaitable[Opened]]
FAILS = (ModelError, ContextTooLong)
"""What lets another model answer."""


@dataclass(frozen=True, slots=True)
class Race:
    """How a race ended."""

    winner: int | None
    """0: the first asked; 1: the second; None: both failed."""
    opened: Opened | None
    errors: dict[int, ModelError | ContextTooLong]
    started: bool
    """Whether the second was asked at all."""


async def race(first: Ask, second: Ask, late_s: float, may_start: Callable[[], bool]) -> Race:
    """Ask `first`; where it gave no word within `late_s` seconds and `may_start` says so, ask `second` too.

    A first that fails before that is not raced: the caller decides who is next. Raises what neither expects (a
    receipt that cannot be written), after both were ended.
    """
    tasks = [asyncio.ensure_future(_begun(first))]
    errors: dict[int, ModelError | ContextTooLong] = {}
    won: asyncio.Task[Opened] | None = None
    try:
        done, _ = await asyncio.wait(tasks, timeout=late_s)
        if not done and may_start():
            tasks.append(asyncio.ensure_future(_begun(second)))
        waiting = set(tasks)
        while waiting and won is None:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=tasks.index):
                error = task.exception()
                if error is None:
                    won = won or task
                elif isinstance(error, FAILS):
                    errors[tasks.index(task)] = error
                else:
                    won = None  # it is closed with the others
                    raise error
        winner = tasks.index(won) if won is not None else None
        return Race(winner, won.result() if won is not None else None, errors, len(tasks) > 1)
    finally:
        await _end(tasks, won)


async def _begun(ask: Ask) -> Opened:
    return await ask()


async def _end(tasks: list[asyncio.Task[Opened]], won: asyncio.Task[Opened] | None) -> None:
    """Cancel what is under way, and close what had begun; all of it where the caller leaves in this very moment."""
    others = [task for task in tasks if task is not won]
    for task in others:
        task.cancel()
    try:
        for outcome in await asyncio.gather(*others, return_exceptions=True):
            if isinstance(outcome, Opened):
                await close(outcome.rest)
    except asyncio.CancelledError:
        if won is not None:
            await close(won.result().rest)
        raise
