"""GET /v1/exchanges/stream: exchanges as they are written, as server-sent events, from one look for all viewers.

While anybody looks, one task asks the store for the rows after the last one that it saw: soon after an exchange of this
process ended, and every `LOOK_S` for those of others. Each row is spelled once and handed to every viewer who may see
it. A viewer that does not keep up loses what waits for it and is told to look again; none holds a place of the chat.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request, Response

from netgpt.app.gateway import Gateway
from netgpt.dialects import event
from netgpt.errors import NetGPTError, RateLimited, StoreError
from netgpt.exchange import Exchange
from netgpt.store.listing import ListFilter
from netgpt.store.schema import ExchangeRecord
from netgpt.types import Caller, Person
from netgpt.web.auth import PLACE
from netgpt.web.exchanges import Asked, Filters, User, listed_row
from netgpt.web.rights import is_own, listed, names_people, sees_texts
from netgpt.web.streams import EventStream

router = APIRouter()

LOOK_S: Final = 0.5
"""Seconds between two looks while nothing ends here."""
SPACE_S: Final = 0.2
"""Seconds between two looks at least: what ends meanwhile is told together."""
ROWS: Final = 200
"""Rows of one look; what is more is looked for again at once."""
MOST_BEHIND: Final = 400
"""Rows that a viewer who comes back is told; after more it looks again."""
MOST_WAITING: Final = 16
"""Looks that may wait for a viewer that does not read."""
MOST_VIEWERS: Final = 200
LIFE_S: Final = 120
"""Seconds after which a stream ends, and is asked for again: so long at most does a revoked key go on seeing."""
HEARTBEAT_S: Final = 15.0
AGAIN: Final = event({}, "again")
OPENED: Final = b"retry: 2000\n" + event({}, "open")


class ToldRow:
    """One row as it is told, spelled once for all who see the same of it."""

    def __init__(self, seq: int, row: ExchangeRecord) -> None:
        self.seq, self.row = seq, row
        self.asked: str | None = None
        self._spelled: dict[tuple[bool, bool], bytes] = {}

    def spelled(self, names_person: bool, shows_asked: bool) -> bytes:
        if (form := (names_person, shows_asked)) not in self._spelled:
            row = listed_row(self.row, shows_person=names_person, asked=self.asked if shows_asked else None)
            self._spelled[form] = b"id: " + self.row.id.encode() + b"\n" + event(row, "exchange")
        return self._spelled[form]


class Viewer:
    """Who looks, at what, and what waits to be sent: bounded."""

    def __init__(self, caller: Caller, person: Person | None, wanted: ListFilter, *, asked: bool = False) -> None:
        self.shows_asked = asked and person is not None and sees_texts(caller) and is_own(caller, person)
        self.tenant, self.person, self.wanted, self.names_people = (
            caller.tenant, person, wanted, names_people(caller),
        )  # fmt: skip
        self.since = 0
        """The number of the last row that it knows."""
        self.waiting: deque[bytes] = deque()
        self.ended = False
        self.news = asyncio.Event()

    def sees(self, told: ToldRow) -> bool:
        row = told.row
        mine = row.person == self.person if self.person is not None else row.tenant == self.tenant
        return mine and told.seq > self.since and self.wanted.matches(row)

    def told(self, rows: Sequence[ToldRow]) -> bytes:
        """Those of the rows that it sees."""
        return b"".join(each.spelled(self.names_people, self.shows_asked) for each in rows if self.sees(each))

    def put(self, content: bytes) -> None:
        """Let this be sent; where too much waits already, nothing of it but that it is to look again."""
        if not content:
            return
        if len(self.waiting) >= MOST_WAITING:
            self.waiting.clear()
            content = AGAIN
        self.waiting.append(content)
        self.news.set()

    def end(self) -> None:
        self.ended = True
        self.news.set()


class LiveRows:
    """The one look for all viewers of this process. Runs only while there are some."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.viewers: set[Viewer] = set()
        self.seen = 0
        """The number of the last row that was told."""
        self.looks = 0
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        gateway.metrics.listeners.append(self._on_ended)

    def _on_ended(self, _exchange: Exchange) -> None:
        self._ended.set()

    async def join(self, viewer: Viewer) -> int:
        """Tell it what is written after the row of this number. Raises RateLimited: there are too many."""
        if len(self.viewers) >= MOST_VIEWERS:
            raise RateLimited(f"{MOST_VIEWERS} look already; ask for the list instead", retry_after=30)
        self.viewers.add(viewer)
        if self._task is None or self._task.done():
            seen = await self.gateway.store.listing.last()
            if self._task is None or self._task.done():  # another viewer may have been faster
                self.seen, self._task = seen, asyncio.create_task(self._run())
        return self.seen

    def leave(self, viewer: Viewer) -> None:
        self.viewers.discard(viewer)

    async def close(self) -> None:
        """End all streams."""
        for viewer in self.viewers:
            viewer.end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while self.viewers and not self.gateway.is_stopping:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._ended.wait(), LOOK_S)
                    await asyncio.sleep(SPACE_S)
                self._ended.clear()
                with suppress(StoreError):  # a later look may go well
                    await self._look()
        finally:
            for viewer in self.viewers:
                viewer.end()

    async def _look(self) -> None:
        self.looks += 1
        while found := await self.gateway.store.listing.after(self.seen, ROWS):
            rows = [ToldRow(*each) for each in found]
            await self._read_asked(rows, tuple(self.viewers))
            self.seen = found[-1][0]  # with what follows in one turn: who joins is told of no row twice
            for viewer in list(self.viewers):
                viewer.put(viewer.told(rows))
            if len(found) < ROWS:
                return

    async def _read_asked(self, rows: Sequence[ToldRow], viewers: Iterable[Viewer]) -> None:
        """Read what was asked in the rows of the people among the viewers who want to see their own."""
        people = {viewer.person for viewer in viewers if viewer.shows_asked}
        for person in people:
            theirs = {told.row.id: told for told in rows if told.row.person == person}
            found = await self.gateway.store.listing.asked(person, list(theirs)) if person and theirs else {}
            for id, asked in found.items():
                theirs[id].asked = asked

    async def missed(self, viewer: Viewer, until: int) -> bytes:
        """What a viewer has missed up to the row of this number: nothing, rows, or that it is to look again."""
        if until - viewer.since > MOST_BEHIND:
            return AGAIN
        found = await self.gateway.store.listing.after(viewer.since, MOST_BEHIND)
        rows = [ToldRow(*each) for each in found if each[0] <= until]
        await self._read_asked(rows, (viewer,))
        return viewer.told(rows)


class _Passed:
    """Bytes that are events already, as `EventStream` takes them."""

    def add(self, chunk: Mapping[str, Any]) -> bytes:
        content: bytes = chunk["events"]
        return content

    def end(self) -> bytes:
        return b": over\n\n"

    def broken(self, error: NetGPTError, netgpt: Mapping[str, Any]) -> bytes:
        return AGAIN


@router.get(
    "/v1/exchanges/stream",
    tags=["exchanges"],
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {"schema": {"description": "Server-sent events."}}}}},
)
async def stream_exchanges(
    request: Request,
    filters: Filters,
    user: User = None,
    seconds: Annotated[int, Query(ge=0, le=LIFE_S, description="How long it stays open.")] = LIFE_S,
    asked: Asked = False,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> Response:
    """Exchanges as they are written, by the rights and filters of the list: events `exchange` with a row of the list,
    whose id may be sent as `Last-Event-ID` to go on; `again` where something was missed, and the list is to be read
    anew. Comments say that a silent stream lives. It ends after two minutes, or when the box stops: ask again."""
    gateway, caller, person = await listed(request, user)
    live: LiveRows = request.app.state.live
    viewer, missed = Viewer(caller, person, filters, asked=asked), b""
    known = await gateway.store.listing.number_of(last_event_id, caller.tenant) if last_event_id else None
    viewer.since = known or 0
    until = await live.join(viewer)
    if last_event_id:
        missed = AGAIN if known is None else await live.missed(viewer, until)
    if (place := request.scope.get(PLACE)) is not None:
        place.leave()
    return EventStream(
        _events(live, viewer, missed, seconds),
        _Passed(),
        {"cache-control": "no-store"},
        limit_s=seconds + HEARTBEAT_S,
        comment_s=HEARTBEAT_S,
        is_stopping=lambda: gateway.is_stopping,
    )


async def _events(live: LiveRows, viewer: Viewer, missed: bytes, seconds: float) -> AsyncIterator[dict[str, Any]]:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    try:
        yield {"events": OPENED + missed}
        while not viewer.ended and (left := until - loop.time()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(viewer.news.wait(), left)
            viewer.news.clear()
            while viewer.waiting:
                yield {"events": viewer.waiting.popleft()}
    finally:
        live.leave(viewer)
