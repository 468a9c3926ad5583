"""One server of tools: connected when it is first needed, called within its time and size, left alone when it fails.

A server that is dead, slow, lies or floods costs its own callers an error that names it, and nobody else anything. What
it asks of the box (a model's words, a person's input, folders) is declined by the SDK: no callback is given.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from netgpt.errors import ToolFailed
from netgpt.models.base import HOPS_HEADER
from netgpt.settings.tools import ToolServer
from netgpt.tools import ToolOffer, read_offers

T = TypeVar("T")

log = logging.getLogger(__name__)

_PAGES: Final = 20
"""Pages of a list of tools that are read."""
_REST_S: Final = 10.0
"""A server that could not be started or was cut off is left alone for so long: who calls gets an answer at once."""
_AT_ONCE: Final = 16
"""Calls under way with one server: a slow one holds no more places of the box."""
_CLOSED_S: Final = 8.0
"""Longest wait for a connection to close."""


class _Broken(Exception):
    """The connection is no more."""


class ToolConnection:
    """`await connection.call("send", {...})`; safe for many tasks of one event loop."""

    def __init__(self, settings: ToolServer, home: Path, box_id: str = "") -> None:
        """`box_id`: told to servers elsewhere, so that a box does not pass a box's request on to others."""
        self.settings, self._box_id = settings, box_id
        self._folder = (settings.folder or home).expanduser()
        self._opening = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._end = asyncio.Event()
        self._session: Any = None
        self._meter: Any = None
        self._rests_until, self._why = float("-inf"), ""
        self._offers: tuple[ToolOffer, ...] | None = None
        self._under_way = 0
        self._ending = set[asyncio.Task[None]]()

    def __repr__(self) -> str:
        return f"<ToolConnection {self.settings.name}>"

    async def offers(self) -> tuple[ToolOffer, ...]:
        """What it offers now, read once a connection and again when it says that it changed. Raises ToolFailed."""
        await self._connected()
        if self._offers is None:
            listed = await self._within(self._list(), self.settings.timeout_s)
            self._offers = read_offers(self.settings.name, listed, self.settings.only)
        return self._offers

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What a tool gives, as JSON of the protocol's `CallToolResult`. An error that the server tells is such a
        result too. Raises ToolFailed: it is dead, slow, floods, or does not speak the protocol."""
        import mcp_types as types

        await self._connected()
        params = types.CallToolRequestParams(name=tool, arguments=dict(arguments))
        return await self._within(self._asked(types.CallToolRequest(params=params)), self.settings.timeout_s)

    async def close(self) -> None:
        """End the connection, and the program behind it."""
        self._end.set()
        if tasks := {*self._ending, *filter(None, (self._task,))}:
            _, late = await asyncio.wait(tasks, timeout=_CLOSED_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._task = self._session = self._offers = None

    async def _connected(self) -> None:
        """Open the connection where there is none. Raises ToolFailed."""
        async with self._opening:
            if self._task is not None and not self._task.done():
                return
            if (rests := self._rests_until - time.monotonic()) > 0:
                raise self._failed(f"{self._why}; it is tried again in {rests:.0f} s")
            self._session, self._offers, self._end = None, None, asyncio.Event()
            ready = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._run(ready))
            try:
                async with asyncio.timeout(self.settings.start_s):
                    await ready
            except TimeoutError:
                raise self._cut_off(
                    self._task, f"it was not ready within {self.settings.start_s:g} s (start_s)"
                ) from None
            except asyncio.CancelledError:
                self._cut_off(self._task, "whoever needed it first hung up")
                raise
            if self._session is None:
                raise self._cut_off(self._task, ready.result())

    async def _run(self, ready: asyncio.Future[str]) -> None:
        """Hold the connection in one task: it is opened, and closed, here. `ready` gets "" or what is wrong."""
        from mcp import Client

        try:
            async with Client(self._wire(), mode="auto", cache=None, message_handler=self._heard) as client:
                self._session = client.session
                ready.set_result("")
                await self._end.wait()
        except FileNotFoundError:
            told = "there is no such program or folder: give the whole path (command, folder)"
        except PermissionError:
            told = "the program may not be run (command)"
        except Exception as error:  # noqa: BLE001 - the border: an SDK and a stranger's server may raise anything
            told = f"no connection ({_innermost(error)})"
        else:
            told = ""
        finally:
            self._session = None
            if not ready.done():
                ready.set_result((self._meter and self._meter.fault) or locals().get("told") or "no connection")

    def _wire(self) -> Any:
        from netgpt.tools.wires import Meter, address, program

        told = self.settings
        self._meter = meter = Meter(told.max_bytes)
        if told.url is None:
            env = {name: value.get_secret_value() for name, value in told.env.items()}
            return program(told.command, env, self._folder, meter)
        headers = {name: value.get_secret_value() for name, value in told.headers.items()}
        headers[HOPS_HEADER] = self._box_id
        return address(told.url, headers, told.timeout_s, meter)

    async def _heard(self, message: Any) -> None:
        """A server may say at any time that its list changed: it is read again when it is next needed."""
        import mcp_types as types

        if isinstance(message, types.ToolListChangedNotification):
            self._offers = None

    async def _list(self) -> list[dict[str, Any]]:
        import mcp_types as types

        found: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(_PAGES):
            asked = types.ListToolsRequest(params=types.PaginatedRequestParams(cursor=cursor))
            page = await self._asked(asked)
            if "tools" not in page:
                raise self._failed("it does not list its tools")
            found += page["tools"]
            cursor = page.get("nextCursor")
            if not isinstance(cursor, str):
                return found
        raise self._failed(f"its list of tools has more than {_PAGES} pages")

    async def _asked(self, request: Any) -> dict[str, Any]:
        """One request; the result as JSON. Raises ToolFailed and _Broken."""
        import mcp_types as types
        from mcp.shared.exceptions import MCPError
        from pydantic import TypeAdapter, ValidationError

        try:
            result: dict[str, Any] = await self._session.send_request(request, TypeAdapter(dict[str, Any]))
        except MCPError as error:
            if error.code in (types.CONNECTION_CLOSED, types.REQUEST_TIMEOUT):
                raise _Broken from None
            return {"content": [{"type": "text", "text": error.message}], "isError": True}
        except ValidationError:
            raise self._failed("its answer does not keep to the protocol") from None
        if result.get("resultType") == "input_required":
            raise self._failed("it asks for more input in the middle of a call, which is not passed on")
        return result

    async def _within(self, work: Coroutine[Any, Any, T], limit_s: float) -> T:
        """Do it within the time, and while the connection lives. Raises ToolFailed; what broke is closed."""
        meter, task = self._meter, self._task
        if self._under_way >= _AT_ONCE or task is None:
            work.close()
            raise self._failed(f"{_AT_ONCE} calls to it are under way already")
        self._under_way += 1
        meter.allow()
        heard, doing = meter.heard, asyncio.ensure_future(work)
        try:
            await asyncio.wait({doing, task}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
        except ToolFailed:
            raise
        except _Broken:
            raise self._cut_off(task, "the connection broke") from None
        except Exception as error:  # noqa: BLE001 - as in `_run`
            raise self._cut_off(task, f"its answer cannot be read ({type(error).__name__})") from None
        finally:
            self._under_way -= 1
            meter.done()
            doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)
        if meter.fault or task.done():
            raise self._cut_off(task, "the connection ended")
        late = f"no answer within {limit_s:g} s (timeout_s)"
        # It answers others: only this call is given up.
        raise self._failed(late) if meter.heard > heard else self._cut_off(task, late)

    def _cut_off(self, task: asyncio.Task[None] | None, why: str) -> ToolFailed:
        """Close the connection and leave the server alone for a while."""
        fault = (self._meter and self._meter.fault) or why
        if task is not None and task is self._task:
            self._task = self._session = self._offers = None
            self._rests_until, self._why = time.monotonic() + _REST_S, fault
            log.warning('tools: the server "%s" was cut off: %s', self.settings.name, fault)
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        return self._failed(fault)

    def _failed(self, why: str) -> ToolFailed:
        return ToolFailed(f'the tool server "{self.settings.name}" cannot be used: {why}', param=self.settings.name)


def _innermost(error: BaseException) -> str:
    """The kind of what went wrong, below the groups that tasks wrap it in. Its text may quote what was sent."""
    while isinstance(error, BaseExceptionGroup):
        inner: Sequence[BaseException] = error.exceptions
        error = inner[0]
    return type(error).__name__
