"""One worker of `netgpt serve --workers N`: a whole gateway on the socket of its supervisor. Nobody starts it by hand.

What it is comes on its standard input: number, sockets, what the command line said. Its settings it reads itself.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any

from netgpt.app.crew import Crew, Post
from netgpt.cli.common import read_settings, reports_errors
from netgpt.cli.serving import begin_log, ends_when_told, prepared, run_gateway
from netgpt.files import open_own, why_not
from netgpt.settings import Settings


class _FollowedLog(logging.handlers.WatchedFileHandler):
    """The log file of all workers, each line written at once; the supervisor begins it anew."""

    def __init__(self, path: Path, number: int) -> None:
        super().__init__(path, encoding="utf-8")
        form = f"%(asctime)s %(levelname)s %(name)s: [worker {number}] %(message)s"
        self.setFormatter(logging.Formatter(form))

    def _open(self) -> Any:
        return os.fdopen(
            open_own(Path(self.baseFilename), os.O_WRONLY | os.O_CREAT | os.O_APPEND), "a", encoding="utf-8"
        )


@reports_errors
def main() -> None:
    """Serve until told to stop, or until the supervisor is gone."""
    ends_when_told()
    order = json.load(sys.stdin)
    post = Post(order["number"], order["count"], order["owner"], bytes.fromhex(order["secret"]))
    given = order["given"]
    read = partial(_part_of, post, {"server": given} if given else {})
    settings = read()
    begin_log(settings, of=f"[worker {post.number}] ")
    try:
        logging.getLogger().addHandler(_FollowedLog(settings.log_file, post.number))
    except OSError as error:
        logging.getLogger(__name__).warning("%s: no log is kept there: %s", settings.log_file, why_not(error))
    crew = Crew(post)
    line, listener = socket.socket(fileno=order["line"]), socket.socket(fileno=order["listener"])
    for each in (line, listener):
        each.set_inheritable(False)  # they are this process's, not its detector's
    crew.connect(line)
    crew.ended = partial(os.kill, os.getpid(), signal.SIGTERM)

    from netgpt.app.gateway import open_gateway
    from netgpt.web.app import create_app

    tls, _ = prepared(settings)
    gateway = open_gateway(settings, crew)
    run_gateway(gateway, create_app(gateway), listener, tls, read)


def _part_of(post: Post, given: dict[str, Any]) -> Settings:
    """The settings, with this worker's part of the bounds that hold for all of them together."""
    settings = read_settings(**given)
    server, routing, share = settings.server, settings.routing, post.share
    parts = {
        "max_concurrency": share(server.max_concurrency, 1),
        "max_waiting": share(server.max_waiting),
        "max_connections": server.max_connections and share(server.max_connections, 8),
        "max_connections_per_address": server.max_connections_per_address
        and share(server.max_connections_per_address, 1),
    }
    explores = {"explore_per_hour": share(routing.explore_per_hour)}
    changed = {"server": server.model_copy(update=parts), "routing": routing.model_copy(update=explores)}
    return settings.model_copy(update=changed)


if __name__ == "__main__":
    main()
