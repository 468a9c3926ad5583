"""`netgpt serve`: starts the gateway and its HTTP server, or the supervisor of several."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial

import typer

from netgpt.cli.common import read_settings, reports_errors, say
from netgpt.cli.serving import begin_log, ends_when_told, introduce, listen, log_to, prepared, run_gateway
from netgpt.settings import Settings


@reports_errors
def serve(
    host: str = typer.Option(None, help="Address to listen on (server.host)."),
    port: int = typer.Option(None, help="TCP port, 0 takes a free one (server.port)."),
    workers: int = typer.Option(
        None, min=1, max=64, help="Processes that answer at this address, over one store and engine (server.workers)."
    ),
) -> None:
    """Serve the OpenAI-compatible API."""
    ends_when_told()
    options = (("host", host), ("port", port), ("workers", workers))
    given = {name: value for name, value in options if value is not None}
    read = partial(read_settings, **({"server": given} if given else {}))
    settings = read()
    begin_log(settings)
    if settings.server.workers > 1:
        from netgpt.cli.supervisor import supervise

        _check_cores(settings.server.workers)
        supervise(settings, given)
    else:
        _serve(settings, read)


def _check_cores(workers: int) -> None:
    """Say that more workers than cores cost memory and answer no faster."""
    cores = len(os.sched_getaffinity(0))
    if workers > cores:
        say(
            f"{workers} workers on {cores} cores: more than {cores} cost memory, and answer no faster (server.workers)."
        )


def _serve(settings: Settings, read: Callable[[], Settings]) -> None:
    """A gateway that is alone: one process."""
    from netgpt.app.gateway import open_gateway
    from netgpt.models.base import NoModel
    from netgpt.web.app import create_app

    tls, remarks = prepared(settings)
    gateway = open_gateway(settings)
    try:
        log_to(settings.log_file)
        app = create_app(gateway)
        has_keys = asyncio.run(gateway.store.has_keys())
        listener = listen(settings, has_keys)
    except BaseException:
        asyncio.run(gateway.store.close())
        raise
    why = gateway.edge.why if isinstance(gateway.edge, NoModel) else ""
    run_gateway(gateway, app, listener, tls, read, partial(introduce, settings, listener, why, remarks, has_keys))
