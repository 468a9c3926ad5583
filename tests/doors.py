"""The HTTP door around a box in this process, without sockets: fast, and from whatever address a test likes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
from boxes import gateway
from fastapi import FastAPI

from netgpt.app.gateway import Gateway
from netgpt.store.keys import new_key
from netgpt.store.schema import KeyRow
from netgpt.types import Role
from netgpt.web.app import create_app

__all__ = ["Door", "door", "layer"]

T = TypeVar("T")


def layer(app: Any, kind: type[T]) -> T:
    """The layer of this kind within an app of `create_app`; the innermost is the framework's."""
    while not isinstance(app, kind):
        app = app.app
    return app


class Door:
    """`await door.get("/v1/models", key=secret)`."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.app = create_app(gateway)

    @property
    def state(self) -> Any:
        """What the framework's app holds for all requests."""
        return layer(self.app, FastAPI).state

    async def ask(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        address: str = "127.0.0.1",
        headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
        **options: Any,
    ) -> httpx.Response:
        """One request; `key` stands behind `Bearer`."""
        sent = list(headers.items()) if isinstance(headers, Mapping) else list(headers or [])
        if key is not None:
            sent.append(("authorization", f"Bearer {key}"))
        transport = httpx.ASGITransport(self.app, client=(address, 40_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as client:
            return await client.request(method, path, headers=sent, **options)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.ask("GET", path, **options)

    async def chat(self, key: str | None = None, text: str = "hello", **options: Any) -> httpx.Response:
        """A chat; `fields` go into the body."""
        body = {"messages": [{"role": "user", "content": text}], **options.pop("fields", {})}
        return await self.ask("POST", "/v1/chat/completions", key=key, json=body, **options)

    async def make_key(self, **fields: Any) -> tuple[str, str]:
        """(id, secret) of a new key: a user's of the tenant "north" unless told."""
        id, secret, hash = new_key()
        row = {"tenant": "north", "role": Role.USER, "user": None, "name": "", "created": datetime.now(UTC)}
        await self.gateway.store.add_key(KeyRow(id, hash, **{**row, **fields}))
        return id, secret


@asynccontextmanager
async def door(home: Path, *arguments: Any, **settings: Any) -> AsyncIterator[Door]:
    """A door to a box with scripted ends; `arguments` and `settings` as `boxes.box` takes them."""
    async with gateway(home, *arguments, **{"completion": {"mode": "off"}, **settings}) as opened:
        yield Door(opened)
