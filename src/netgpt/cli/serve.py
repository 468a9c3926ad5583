"""`netgpt serve`: the HTTP door, open."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from typing import Any

import typer

from netgpt.cli.common import console, errors_told, read_settings
from netgpt.errors import SettingsError
from netgpt.settings import Settings

__all__ = ["serve"]

DRAIN_S = 20


@errors_told
def serve(
    host: str = typer.Option(None, help="Address to listen on (server.host)."),
    port: int = typer.Option(None, help="TCP port, 0 takes a free one (server.port)."),
) -> None:
    """Serve the OpenAI-compatible API."""
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = read_settings(**({"server": given} if given else {}))
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx", "httpcore"):  # at debug they write headers, and headers hold keys
        logging.getLogger(chatty).setLevel(logging.WARNING)
    _serve(settings)


def _serve(settings: Settings) -> None:
    import uvicorn

    from netgpt.build import open_box
    from netgpt.web.app import create_app

    box = open_box(settings)
    try:
        has_keys = asyncio.run(box.store.has_keys())
        listener = _listen(settings, has_keys)
    except BaseException:
        asyncio.run(box.store.close())
        raise
    config = uvicorn.Config(
        create_app(box),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here depends on who forwarded a request
        http="httptools",
        timeout_graceful_shutdown=DRAIN_S,
        lifespan="on",
    )
    host = f"[{settings.server.host}]" if ":" in settings.server.host else settings.server.host
    address = f"http://{host}:{listener.getsockname()[1]}"
    console.print(
        f"NetGPT listens on {address}/v1 (edge: {settings.edge.model}; {_cloud_line(settings)})", soft_wrap=True
    )
    if not has_keys:
        console.print(
            "No key exists: programs on this machine need none. `netgpt keys create` makes the first.", soft_wrap=True
        )
    gc.freeze()  # what start-up made lives as long as the process: never look at it again
    uvicorn.Server(config).run(sockets=[listener])


def _listen(settings: Settings, has_keys: bool) -> socket.socket:
    """Bind, or say what stands in the way. Beyond loopback only when keys exist."""
    from netgpt.web.auth import is_loopback

    host, port = settings.server.host, settings.server.port
    if not is_loopback(host) and not has_keys:
        raise SettingsError(
            f"server.host is {host}, which others can reach, and no key exists: anyone could ask. "
            "Make one first (netgpt keys create), or listen on 127.0.0.1."
        )
    try:
        info: Any = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(info[0], info[1])
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(info[4])
        listener.listen(512)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {host}:{port}: {error.strerror or error}. Choose another with --port or server.port."
        ) from None
    return listener


def _cloud_line(settings: Settings) -> str:
    if settings.cloud.base_url is None:
        return "no cloud: the box answers alone"
    return f"cloud: {settings.cloud.model}"
