"""Browsers: which pages and extensions may ask, what their preflights are told, and who may read an answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doors import Door, door

from netgpt.errors import SettingsError
from netgpt.settings import load_settings
from netgpt.testing.server import Fault, FaultyCloud
from netgpt.web.origins import allows

NAMED = (
    "https://chat.example", "http://localhost:*", "https://*.team.example", "chrome-extension://abcdefghijklmnop",
    "moz-extension://*", "app://obsidian.md", "vscode-webview://*", "tauri://localhost", "http://tauri.localhost",
    "https://at.example:8443", "capacitor://localhost",
)  # fmt: skip


@pytest.fixture
def cloud() -> Iterator[FaultyCloud]:
    with FaultyCloud() as served:
        yield served


FRIENDS = (
    "https://chat.example", "http://localhost:3000", "http://localhost:5173", "https://a.team.example",
    "chrome-extension://abcdefghijklmnop", "moz-extension://6f0b1a52-aa3f-4a14-8f2b-0123456789ab", "app://obsidian.md",
    "vscode-webview://1nq8v0d0n0g3l1", "tauri://localhost", "http://tauri.localhost", "https://at.example:8443",
    "capacitor://localhost", "HTTPS://CHAT.EXAMPLE",
)  # fmt: skip
STRANGERS = (
    "null", "", "*", "https://evil.example", "http://chat.example", "https://chat.example:444", "https://chat.example.evil",
    "https://evilchat.example", "https://chat.example/", "https://chat.example/x", "https://a.b.team.example:1",
    "https://team.example", "https://evil/.team.example", "chrome-extension://other", "chrome-extension://*",
    "app://evil", "vscode-webview://", "tauri://evil", "https://localhost:3000", "http://localhost", "file://",
    "https://at.example", "https://chat.example, https://evil.example", "moz-extension://a/b", "https://chat\\.example",
    "http://localhost:3000.evil.example", "https://xteam.example", "data:", "blob:https://chat.example",
)  # fmt: skip


@pytest.mark.parametrize("origin", FRIENDS)
def test_a_named_origin(origin: str) -> None:
    assert allows(NAMED, origin) and not allows((), origin)


@pytest.mark.parametrize("origin", STRANGERS)
def test_a_stranger(origin: str) -> None:
    assert not allows(NAMED, origin)


@pytest.mark.parametrize(
    "named",
    ["*", "null", "", "https://", "https://*", "http://*:*", "https://chat.example/", "https://chat.example/path",
     "chat.example", "//chat.example", "https://a b", "https://u@chat.example", "*://chat.example", "http://*.*"],
)  # fmt: skip
def test_an_origin_that_names_everybody_or_nobody_is_refused(named: str) -> None:
    with pytest.raises(SettingsError, match=r"server\.\w*origins"):
        load_settings(environment={}, server={"origins": [named]})


def test_lists_and_the_older_name() -> None:
    both = "https://a.example, app://b"
    for name in ("ORIGINS", "ALLOWED_ORIGINS"):
        assert load_settings(environment={f"NETGPT_SERVER__{name}": both}).server.origins == tuple(both.split(", "))
        as_in_the_file = '["https://a.example", "app://b"]'
        assert load_settings(environment={f"NETGPT_SERVER__{name}": as_in_the_file}).server.origins == tuple(
            both.split(", ")
        )
    assert load_settings(environment={}).server.origins == ()


def asking(origin: str, **more: str) -> dict[str, str]:
    names = {name.replace("_", "-"): value for name, value in more.items()}
    return {"origin": origin, "sec-fetch-site": "cross-site", **names}


PREFLIGHT = {"access_control_request_method": "POST", "access_control_request_headers": "authorization,x-stainless-os"}


async def test_preflights_and_answers(tmp_path: Path) -> None:
    async with door(tmp_path, server={"origins": NAMED}) as here:
        key = (await here.make_key())[1]
        for origin in (*FRIENDS[:12], "null", "https://evil.example", "chrome-extension://other"):
            await _check(here, key, origin, allows(NAMED, origin))


async def _check(here: Door, key: str, origin: str, allowed: bool) -> None:
    for path in ("/v1/chat/completions", "/v1/models", "/v1/profiles/ada"):
        answer = await here.ask("OPTIONS", path, headers=asking(origin, **PREFLIGHT))
        assert answer.status_code == (204 if allowed else 403), origin
        told = answer.headers
        assert (told.get("access-control-allow-origin") == origin) is allowed
        if allowed:
            assert told["access-control-allow-headers"] == PREFLIGHT["access_control_request_headers"]
            assert "POST" in told["access-control-allow-methods"] and not answer.content
        else:
            assert "server.origins" in answer.json()["error"]["message"]
    for secret, status in ((key, 200), ("wrong", 401)):
        answer = await here.chat(secret, headers=asking(origin))
        assert answer.status_code == (status if allowed else 403)
        assert (answer.headers.get("access-control-allow-origin") == origin) is allowed


async def test_none_are_allowed_by_default(tmp_path: Path) -> None:
    async with door(tmp_path) as here:
        answer = await here.ask("OPTIONS", "/v1/models", headers=asking("https://chat.example", **PREFLIGHT))
        assert answer.status_code == 403 and answer.json()["error"]["code"] == "cross_site"
        assert "vary" not in (await here.get("/healthz")).headers
        plain = await here.ask("OPTIONS", "/v1/models")
        assert plain.status_code == 405, "no browser asks so"


@pytest.mark.parametrize("stream", [False, True])
async def test_streams_and_errors_are_marked_and_their_headers_readable(
    tmp_path: Path, cloud: FaultyCloud, stream: bool
) -> None:
    origin = "app://obsidian.md"
    async with door(tmp_path, cloud, server={"origins": NAMED}) as here:
        for fault, status in ((None, 200), (Fault.TOO_LONG, 400)):
            cloud.schedule(fault)
            fields = {"model": "netgpt/cloud", "stream": stream}
            answer = await here.chat(headers=asking(origin), fields=fields)
            assert answer.status_code == status, answer.text
            assert answer.headers["access-control-allow-origin"] == origin
            shown = answer.headers["access-control-expose-headers"].split(", ")
            assert "x-netgpt-exchange" in shown and ("x-netgpt-route" in shown) is (status == 200)
            assert answer.headers["vary"] == "Origin"
        refusals: list[tuple[str, dict[str, Any]]] = [
            ("/v1/nothing", {}), ("/v1/chat/completions", {"content": b"{"}),
            ("/v1/chat/completions", {"content": b"x" * 5_000_000}),
        ]  # fmt: skip
        for path, options in refusals:
            answer = await here.ask("POST", path, headers=asking(origin), **options)
            assert answer.status_code >= 400 and answer.headers["access-control-allow-origin"] == origin


async def test_a_page_on_a_network_asks_for_this_machine(tmp_path: Path) -> None:
    async with door(tmp_path, server={"origins": NAMED}) as here:
        wish = asking("https://chat.example", access_control_request_private_network="true", **PREFLIGHT)
        answer = await here.ask("OPTIONS", "/v1/models", headers=wish)
        assert answer.headers["access-control-allow-private-network"] == "true"
        odd = {**wish, "access-control-request-headers": "a\x7f, b"}
        assert "access-control-allow-headers" not in (await here.ask("OPTIONS", "/v1/models", headers=odd)).headers


async def test_names_that_were_bound_anew_are_refused_all_the_same(tmp_path: Path) -> None:
    """DNS rebinding: the page's own name leads here. Without a key the name must be the box's own."""
    async with door(tmp_path, server={"origins": NAMED}) as here:
        for host in ("chat.example", "evil.example", "localhost.evil.example"):
            answer = await here.get("/v1/models", headers={**asking("https://chat.example"), "host": host})
            assert answer.status_code == 403
        for origin in ("null", "https://evil.example", "file://"):
            answer = await here.get("/v1/models", headers={"origin": origin})
            assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers
