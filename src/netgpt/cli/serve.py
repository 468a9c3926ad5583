"""`netgpt serve`: starts the gateway and its HTTP server."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType
from typing import Any

import typer

from netgpt.cli.common import read_settings, reports_errors, say
from netgpt.errors import SettingsError
from netgpt.files import check_home, open_own, why_not
from netgpt.settings import Settings, misspelt_variables

STARTED_S = 2.0
"""Seconds that a start which is given up may take to end."""
SWITCH_S = 0.0005
"""Seconds after which a thread that computes makes room for the event loop. With Python's 5 ms an answer beside a long
request that is sealed took 66 ms in place of 16; with this it takes 15."""


@reports_errors
def serve(
    host: str = typer.Option(None, help="Address to listen on (server.host)."),
    port: int = typer.Option(None, help="TCP port, 0 takes a free one (server.port)."),
) -> None:
    """Serve the OpenAI-compatible API."""
    _ends_when_told()
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    read = partial(read_settings, **({"server": given} if given else {}))
    settings = read()
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx", "httpcore"):  # at debug they write headers, and headers hold keys
        logging.getLogger(chatty).setLevel(logging.WARNING)
    _no_core_dumps()
    _serve(settings, read)


def _ends_when_told() -> None:
    """Until the server takes over, SIGTERM ends the process by an exception, so that what is open is closed. Besides,
    the first process of a container gets no signal that it does not handle."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end)
        if _is_service():
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the settings are just being read


def _end(_sig: int, _frame: FrameType | None) -> None:
    guard = threading.Timer(STARTED_S, os._exit, (0,))  # threads of a store that is just being opened may hold on
    guard.daemon = True
    guard.start()
    raise SystemExit(0)  # it did what it was told


def _is_service() -> bool:
    """Whether there is no terminal, whose end SIGHUP would tell."""
    try:
        return not os.isatty(0)
    except OSError:
        return True


def _no_core_dumps() -> None:
    """A crash leaves no copy of the memory, here and in the children: it holds keys and people's words."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


class _OwnLog(RotatingFileHandler):
    """A log file in the home (0600), begun anew after 5 MB; the one before stays beside it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=5_000_000, backupCount=1, encoding="utf-8")
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def _open(self) -> Any:
        return os.fdopen(
            open_own(Path(self.baseFilename), os.O_WRONLY | os.O_CREAT | os.O_APPEND), "a", encoding="utf-8"
        )


def _log_to(path: Path) -> None:
    """What goes to stderr goes there, too: for `netgpt logs`. Where it cannot be written, that is said, and no more."""
    try:
        logging.getLogger().addHandler(_OwnLog(path))
    except OSError as error:
        logging.getLogger(__name__).warning("%s: no log is kept there: %s", path, why_not(error))


def _serve(settings: Settings, read: Callable[[], Settings]) -> None:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads wait in a loop, and take the engine's cores
    import uvicorn

    from netgpt.app.gateway import open_gateway
    from netgpt.cli.doctor import answers_with_bundled
    from netgpt.models.base import NoModel
    from netgpt.models.offers import NOT_FOR_ANSWERS
    from netgpt.web.app import create_app
    from netgpt.web.lifecycle import Drained
    from netgpt.web.protocol import Doorkeeper, raise_file_limit
    from netgpt.web.tls import server_tls

    if settings.home.exists():
        check_home(settings.home, SettingsError)  # before anything is read or written there
    tls, remarks = server_tls(settings.server)
    raise_file_limit()
    gateway = open_gateway(settings)
    try:
        _log_to(settings.log_file)
        app = create_app(gateway)
        has_keys = asyncio.run(gateway.store.has_keys())
        listener = _listen(settings, has_keys)
    except BaseException:
        asyncio.run(gateway.store.close())
        raise
    keeper = Doorkeeper(settings.server, lambda code: gateway.metrics.refused.labels(code).inc(), tls)
    gateway.metrics.connections.set_function(lambda: keeper.taken)
    door: Any = keeper.protocol
    quiet = "error" if settings.log_level == "error" else "warning"
    config = uvicorn.Config(  # forwarded headers are for server.trusted_proxies alone
        app, log_level=quiet, access_log=False, server_header=False, proxy_headers=False, http=door, ws="none",
        lifespan="on", backlog=512,
    )  # fmt: skip
    host = f"[{settings.server.host}]" if ":" in settings.server.host else settings.server.host
    address = f"{'https' if tls else 'http'}://{host}:{listener.getsockname()[1]}"
    say(f"NetGPT listens on {address}/v1 (edge: {settings.edge.model}; {_cloud_line(settings)})")
    if isinstance(gateway.edge, NoModel):
        say(f"No model answers on this box: {gateway.edge.why} What may not leave is refused.")
    if settings.server.console:
        say(f"To look at it: {address}/console/")
    if answers_with_bundled(settings) and not settings.remotes:
        say(NOT_FOR_ANSWERS)
    if keeper.most < settings.server.max_concurrency + settings.server.max_waiting:
        say(f"Open files are few here (ulimit -n): {keeper.most} connections at once, fewer than server.max_waiting.")
    for remark in (*remarks, *misspelt_variables(os.environ)):
        say(remark)
    if not has_keys and settings.oidc.issuer is None:
        say("No key exists: programs on this machine need none. `netgpt keys create` makes the first.")
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(700, 10, 10)  # often and short: nobody waits long for it
    gc.freeze()  # what start-up made lives as long as the process: never look at it again
    Drained(config, gateway, keeper, read if _is_service() else None).run(sockets=[listener])


def _listen(settings: Settings, has_keys: bool) -> socket.socket:
    """Bind, or say what stands in the way. Beyond loopback only when keys exist."""
    from netgpt.web.lockout import is_loopback

    host, port = settings.server.host, settings.server.port
    if not is_loopback(host) and not has_keys and settings.oidc.issuer is None:
        raise SettingsError(
            f"server.host is {host}, which others can reach, and no key exists: anyone could ask. "
            "Make one first (netgpt keys create), or listen on 127.0.0.1."
        )
    try:
        info: Any = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(info[0], info[1])
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(info[4])
        listener.listen(16)  # until the server listens
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {host}:{port}: {error.strerror or error}. Choose another with --port or server.port."
        ) from None
    return listener


def _cloud_line(settings: Settings) -> str:
    if not settings.remotes:
        return "no cloud: the box answers alone"
    return ", ".join(f"{target}: {remote.model}" for target, remote in settings.remotes.items())
