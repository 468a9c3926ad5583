"""What `netgpt serve` and its workers have in common: how they log, listen, and run until they are told to stop."""

from __future__ import annotations

import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from netgpt.cli.common import say
from netgpt.errors import SettingsError
from netgpt.files import check_home, open_own, why_not
from netgpt.settings import Settings, misspelt_variables

if TYPE_CHECKING:
    from netgpt.app.gateway import Gateway

STARTED_S = 2.0
"""Seconds that a start which is given up may take to end."""
BACKLOG = 512
"""Connections that may wait to be taken."""
SWITCH_S = 0.0005
"""Seconds after which a thread that computes makes room for the event loop. With Python's 5 ms an answer beside a long
request that is sealed took 66 ms in place of 16; with this it takes 15."""


def begin_log(settings: Settings, of: str = "") -> None:
    """Log to stderr as the settings say, and leave no copy of the memory. `of`: said before each message."""
    logging.basicConfig(level=settings.log_level.upper(), format=f"%(levelname)s %(name)s: {of}%(message)s")
    for chatty in ("httpx", "httpcore"):  # at debug they write headers, and headers hold keys
        logging.getLogger(chatty).setLevel(logging.WARNING)
    _no_core_dumps()


def ends_when_told() -> None:
    """Until the server takes over, SIGTERM ends the process by an exception, so that what is open is closed. Besides,
    the first process of a container gets no signal that it does not handle."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end)
        if is_service():
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the settings are just being read


def _end(_sig: int, _frame: FrameType | None) -> None:
    guard = threading.Timer(STARTED_S, os._exit, (0,))  # threads of a store that is just being opened may hold on
    guard.daemon = True
    guard.start()
    raise SystemExit(0)  # it did what it was told


def is_service() -> bool:
    """Whether there is no terminal, whose end SIGHUP would tell."""
    try:
        return not os.isatty(0)
    except OSError:
        return True


def _no_core_dumps() -> None:
    """A crash leaves no copy of the memory, here and in the children: it holds keys and people's words."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


class OwnLog(RotatingFileHandler):
    """A log file in the home (0600), begun anew after 5 MB; the one before stays beside it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=5_000_000, backupCount=1, encoding="utf-8")
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def _open(self) -> Any:
        return os.fdopen(
            open_own(Path(self.baseFilename), os.O_WRONLY | os.O_CREAT | os.O_APPEND), "a", encoding="utf-8"
        )


def log_to(path: Path) -> None:
    """What goes to stderr goes there, too: for `netgpt logs`. Where it cannot be written, that is said, and no more."""
    try:
        logging.getLogger().addHandler(OwnLog(path))
    except OSError as error:
        logging.getLogger(__name__).warning("%s: no log is kept there: %s", path, why_not(error))


def prepared(settings: Settings) -> tuple[Any, list[str]]:
    """What comes before a store or a model is opened: TLS, with what is to be said of it. Raises SettingsError."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads wait in a loop, and take the engine's cores
    from netgpt.app.tls import server_tls
    from netgpt.web.protocol import raise_file_limit

    if settings.home.exists():
        check_home(settings.home, SettingsError)  # before anything is read or written there
    tls, remarks = server_tls(settings.server)
    raise_file_limit()
    return tls, list(remarks)


def introduce(
    settings: Settings, listener: socket.socket, no_model: str, remarks: Sequence[str], has_keys: bool, most: int
) -> None:
    """Say where it listens, and what a newcomer should know. `most`: connections at once."""
    from netgpt.app.doctor import answers_with_bundled
    from netgpt.models.offers import NOT_FOR_ANSWERS

    server = settings.server
    host = f"[{server.host}]" if ":" in server.host else server.host
    address = f"{'https' if server.tls_cert is not None else 'http'}://{host}:{listener.getsockname()[1]}"
    several = f", by {server.workers} workers" if server.workers > 1 else ""
    say(f"NetGPT listens on {address}/v1{several} (edge: {settings.edge.model}; {_cloud_line(settings)})")
    if no_model:
        say(f"No model answers on this box: {no_model} What may not leave is refused.")
    if server.console:
        say(f"To look at it: {address}/console/")
    if answers_with_bundled(settings) and not settings.remotes:
        say(NOT_FOR_ANSWERS)
    if most < server.max_concurrency + server.max_waiting:
        say(f"Open files are few here (ulimit -n): {most} connections at once, fewer than server.max_waiting.")
    for remark in (*remarks, *misspelt_variables(os.environ)):
        say(remark)
    if not has_keys and settings.oidc.issuer is None:
        say("No key exists: programs on this machine need none. `netgpt keys create` makes the first.")


def run_gateway(
    gateway: Gateway,
    app: Any,
    listener: socket.socket,
    tls: Any,
    read: Callable[[], Settings],
    introduced: Callable[[int], None] | None = None,
) -> None:
    """Serve until told to stop. `introduced`: called before, with how many connections there may be."""
    import uvicorn

    from netgpt.web.lifecycle import Drained
    from netgpt.web.protocol import Doorkeeper
    from netgpt.web.shared_socket import DrainedWorker

    settings = gateway.settings
    keeper = Doorkeeper(settings.server, lambda code: gateway.metrics.refused.labels(code).inc(), tls)
    gateway.metrics.connections.set_function(lambda: keeper.taken)
    door: Any = keeper.protocol
    quiet = "error" if settings.log_level == "error" else "warning"
    config = uvicorn.Config(  # forwarded headers are for server.trusted_proxies alone
        app, log_level=quiet, access_log=False, server_header=False, proxy_headers=False, http=door, ws="none",
        lifespan="on", backlog=BACKLOG,
    )  # fmt: skip
    if introduced is not None:
        introduced(keeper.most)
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(700, 10, 10)  # often and short: nobody waits long for it
    gc.freeze()  # what start-up made lives as long as the process: never look at it again
    reading = read if is_service() else None
    if gateway.crew is None:
        Drained(config, gateway, keeper, reading).run(sockets=[listener])
    else:
        worker = DrainedWorker(config, gateway, keeper, reading)
        worker.listener = listener
        worker.run(sockets=[])


def listen(settings: Settings, has_keys: bool) -> socket.socket:
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
