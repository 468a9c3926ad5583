"""Signals to a gateway that runs: asked to stop it does so in time, while it starts too, and says what it waits for;
hung up on (SIGHUP) it reads its settings anew, and says which of them have to wait for the next start."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import uvicorn

from netgpt.app.gateway import Gateway
from netgpt.app.settings_rows import RELOADED, changed_names
from netgpt.app.tls import server_tls
from netgpt.errors import SettingsError
from netgpt.settings import Settings
from netgpt.web.protocol import Doorkeeper

log = logging.getLogger(__name__)

CLOSING_S: Final = 5.0
"""After `server.drain_s`, for all parts to close; then the process ends whatever still hangs."""


class Drained(uvicorn.Server):
    """A server that says what it waits for when it is asked to stop, and stops in time."""

    def __init__(
        self, config: uvicorn.Config, gateway: Gateway, keeper: Doorkeeper, read: Callable[[], Settings] | None = None
    ) -> None:
        """`read`: the settings as they would be at a start now (it raises SettingsError), for SIGHUP; None: that one
        ends the process, as its terminal is gone."""
        super().__init__(config)
        self.gateway, self.keeper, self.read = gateway, keeper, read
        self._reading: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._renewing = asyncio.Lock()
        gateway.on_new_settings = self._renew

    async def serve(self, sockets: Any = None) -> None:
        self._loop = loop = asyncio.get_running_loop()
        if self.read is not None:
            loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            drain_s = self.gateway.settings.server.drain_s
            self.config.timeout_graceful_shutdown = drain_s  # type: ignore[assignment]  # asyncio takes fractions
            at_work = len(self.server_state.tasks)
            waits = f": {at_work} under way get up to {drain_s:g} s (server.drain_s); Ctrl-C again ends them"
            os.write(sys.stderr.fileno(), f"NetGPT stops{waits if at_work else ''}.\n".encode())  # safe within a signal
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self.gateway.stops, drain_s)
            guard = threading.Timer(drain_s + CLOSING_S, _give_up, (sig,))
            guard.daemon = True
            guard.start()
        super().handle_exit(sig, frame)

    def _hung_up(self) -> None:
        assert self.read is not None
        self._reading = asyncio.ensure_future(self._read_anew(self.read))

    async def _read_anew(self, read: Callable[[], Settings]) -> None:
        try:
            changed = await self._renew(read)
        except SettingsError as error:
            log.error("SIGHUP: the settings stay as they were: %s", error.message)
            return
        log.warning("SIGHUP: %s", told(changed))

    async def _renew(self, read: Callable[[], Settings]) -> list[str]:
        """Read the settings, and let gateway and server have what can change while they run; one after the other, so
        that the last to be read are the last to be taken. Raises SettingsError, and nothing has changed."""
        async with self._renewing:
            new = await asyncio.to_thread(read)
            changed = changed_names(self.gateway.settings, new)
            tls = (await asyncio.to_thread(server_tls, new.server))[0] if self.keeper.tls is not None else None
            take(self.gateway, new)
            self.keeper.server, self.keeper.tls = self.gateway.settings.server, tls or self.keeper.tls
            logging.getLogger().setLevel(self.gateway.settings.log_level.upper())
        return changed


def take(gateway: Gateway, new: Settings) -> None:
    """Let the gateway have what of the new settings can be had without a start. Raises SettingsError: an alias."""
    old = gateway.settings
    server = {name: getattr(new.server, name) for name in type(new.server).model_fields if f"server.{name}" in RELOADED}
    gateway.renew(
        old.model_copy(
            update={
                "log_level": new.log_level,
                "models": old.models.model_copy(update={"aliases": new.models.aliases}),
                "server": old.server.model_copy(update=server),
            }
        )
    )


def told(changed: list[str]) -> str:
    """What became of the changed settings, in a sentence; names alone."""
    taken = [name for name in changed if name in RELOADED]
    later = [name for name in changed if name not in RELOADED]
    words = f"the settings were read anew: {', '.join(taken) or 'none that can change while it runs'}"
    return words + (f"; only from the next start on: {', '.join(later)}" if later else "")


def _give_up(sig: int) -> None:
    os.write(2, b"NetGPT: closing took too long; it ends now.\n")
    os._exit(128 + sig)
