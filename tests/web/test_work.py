"""What one request makes the box do, counted: calls of functions, statements, commits. No clock is looked at.

When this fails, a request costs more than it did: find out why before a bar is raised (`netgpt bench overhead`).
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from sqlalchemy import event

from netgpt.app.gateway import open_gateway
from netgpt.settings import load_settings
from netgpt.testing.server import FaultyCloud
from netgpt.web.app import create_app

REQUESTS = 10
BATCHES = 8
"""What comes due meanwhile (learning, samples of signals) only adds: the least of some batches is the requests' own."""
CALLS = {"trusted": 1_760, "hiding": 2_900}
"""Calls of Python functions on the event loop's thread, a request."""


class Counted:
    """Calls of this thread, and the statements of the store's writer, while it is on."""

    def __init__(self) -> None:
        self.calls = 0
        self.statements: list[str] = []
        self._on = False

    def traced(self, connection: Any, _record: object) -> None:
        connection.set_trace_callback(lambda statement: self.statements.append(statement) if self._on else None)

    def __enter__(self) -> Counted:
        self._on = True
        sys.setprofile(self._event)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        self._on = False

    def _event(self, _frame: FrameType, what: str, _argument: object) -> None:
        if what == "call":
            self.calls += 1


async def asked(app: Any, body: bytes) -> int:
    """The status of a chat that is put to the app itself."""
    given, sent = [{"type": "http.request", "body": body, "more_body": False}], list[dict[str, Any]]()
    headers = {b"host": b"127.0.0.1:8080", b"content-type": b"application/json", b"content-length": b"%d" % len(body)}
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/v1/chat/completions", "scheme": "http",
        "raw_path": b"/v1/chat/completions", "query_string": b"", "root_path": "", "state": {},
        "headers": [*headers.items()], "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 8080),
        "asgi": {"version": "3.0"},
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        if not given:
            await asyncio.Event().wait()  # this caller never hangs up
        return given.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize("kind", CALLS)
async def test_a_request_makes_no_more_work_than_it_did(tmp_path: Path, kind: str) -> None:
    async with FaultyCloud("fine") as cloud:
        near = {"base_url": cloud.base_url, "trusted": kind == "trusted"}
        sections: dict[str, Any] = {"cloud": near, "edge": {"base_url": cloud.base_url}, "completion": {"mode": "off"}}
        gateway = open_gateway(load_settings(environment={}, home=tmp_path, privacy={"names": False}, **sections))
        counted = Counted()
        event.listen(gateway.store._database.writing, "connect", counted.traced)
        app = create_app(gateway)
        await gateway.start()
        try:
            text = "Write to ada@mill.example what to think about before one buys a second-hand bicycle."
            message = {"role": "user", "content": text}
            body = json.dumps({"model": "netgpt/cloud", "messages": [message], "user": "ada"}).encode()
            for _ in range(5):
                assert await asked(app, body) == 200
            calls, begun, statements = [], [], []
            for _ in range(BATCHES):
                counted.calls, counted.statements = 0, []
                with counted:
                    statuses = [await asked(app, body) for _ in range(REQUESTS)]
                assert statuses == [200] * REQUESTS
                calls.append(counted.calls / REQUESTS)
                begun.append(sum(one.startswith("BEGIN") for one in counted.statements))
                statements.append(len(counted.statements) / REQUESTS)
        finally:
            await gateway.close()
    assert min(calls) <= CALLS[kind], calls
    assert REQUESTS <= min(begun) <= 2 * REQUESTS, "a receipt and an exchange each"
    # from 10: what was hidden, by kind, and what each rule did are counted beside the exchange
    assert min(statements) <= 12, statements
