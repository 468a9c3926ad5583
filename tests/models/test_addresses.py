"""Addresses as owners write them, the headers that servers want, and the proxy on the way."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from clouds import KEY, PATIENT_S, chat, cloud_model, text_of
from outbounds import send

from netgpt.errors import ModelMisconfigured, ModelUnavailable, SettingsError
from netgpt.models.addresses import Proxy, is_loopback, proxy_of
from netgpt.models.base import Endpoint, Trust, without_receipt
from netgpt.models.client import CloudModel
from netgpt.models.http1 import PoolKey, connect
from netgpt.models.transport import CallTarget, trusted_certificates
from netgpt.settings import load_settings
from netgpt.settings.environment import environment_proxy
from netgpt.testing.server import Connection, FaultyCloud, ReceivedRequest

AZURE = "https://x.openai.azure.com"


def asked(base_url: str, **more: Any) -> str:
    """The request line of a chat."""
    target = CallTarget("m", "cloud", Endpoint(base_url, **more))
    return target.head("/chat/completions", 1).partition(b"\r\n")[0].decode().split()[1]


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("https://a.example", "/chat/completions"),
        ("https://a.example/", "/chat/completions"),
        ("https://a.example/v1", "/v1/chat/completions"),
        ("https://a.example/v1/", "/v1/chat/completions"),
        ("https://a.example//v1//", "/v1/chat/completions"),
        (" https://a.example/v1 ", "/v1/chat/completions"),
        ("https://a.example/v1/chat/completions", "/v1/chat/completions"),
        ("https://a.example/v1/chat/completions/", "/v1/chat/completions"),
        ("https://a.example/chat/completions", "/chat/completions"),
        ("https://a.example/v1/models", "/v1/chat/completions"),
        ("https://a.example/v1/responses", "/v1/chat/completions"),
        ("https://a.example/api/v1", "/api/v1/chat/completions"),
        ("https://a.example/openai/v1", "/openai/v1/chat/completions"),
        ("https://a.example/v1beta/openai/", "/v1beta/openai/chat/completions"),
        ("https://a.example/api/paas/v4/", "/api/paas/v4/chat/completions"),
        ("https://a.example/v1?tenant=7", "/v1/chat/completions?tenant=7"),
        ("https://a.example/v1#top", "/v1/chat/completions"),
        (f"{AZURE}/openai/deployments/gpt", "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"),
        (
            f"{AZURE}/openai/deployments/gpt/chat/completions?api-version=2025-01-01-preview",
            "/openai/deployments/gpt/chat/completions?api-version=2025-01-01-preview",
        ),
        (AZURE, "/openai/v1/chat/completions"),
        (f"{AZURE}/openai/v1/", "/openai/v1/chat/completions"),
        ("https://x.services.ai.azure.com/models?api-version=1", "/models/chat/completions?api-version=1"),
    ],
)
def test_with_without_and_with_too_much_of_a_path(base_url: str, path: str) -> None:
    assert asked(base_url) == path


@pytest.mark.parametrize("base_url", ["", "a.example/v1", "ftp://a.example", "https://", "https://me:pw@a.example/v1"])
def test_what_is_no_address_is_refused_without_repeating_it(base_url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        asked(base_url)
    assert "cloud.base_url" in caught.value.message and "pw@" not in caught.value.message


class Below(FaultyCloud):
    """A cloud whose API is below `/root`, and nowhere else."""

    root = "/v1"
    page = b'{"detail": "Not Found"}'

    async def serve(self, request: ReceivedRequest, connection: Connection) -> None:
        self.received.append(request)
        if not request.path.startswith(f"{self.root}/chat"):
            connection.answer(404, self.page)
            return
        below = ReceivedRequest(request.method, "/v1/chat/completions", request.headers, request.body)
        await self._serve(below, connection)


@pytest.mark.parametrize(
    ("root", "paths"),
    [
        ("", ["/chat/completions"]),
        ("/v1", ["/chat/completions", "/v1/chat/completions"]),
        ("/api/v1", ["/chat/completions", "/v1/chat/completions", "/api/v1/chat/completions"]),
    ],
)
async def test_a_bare_host_finds_its_path_and_remembers_it(root: str, paths: list[str]) -> None:
    receipts = 0

    async def hook(_request: Any) -> None:
        nonlocal receipts
        receipts += 1

    with Below() as cloud:
        cloud.root = root
        model = cloud_model(f"http://127.0.0.1:{cloud.port}/", receipt_hook=hook)
        assert [await text_of(send(model, chat("hello"))) for _ in range(2)] == ["hello", "hello"]
        assert [each.path for each in cloud.received] == [*paths, paths[-1]]
        assert receipts == 2, "the same bytes to the same host"
        await model.close()


async def test_a_path_that_was_given_is_not_guessed_at() -> None:
    with Below() as cloud:
        cloud.root = "/elsewhere"
        model = cloud_model(f"http://127.0.0.1:{cloud.port}/v1")
        with pytest.raises(ModelMisconfigured, match=r"check cloud\.model and cloud\.base_url"):
            await text_of(send(model, chat("hello")))
        assert len(cloud.received) == 1
        await model.close()


async def test_a_missing_model_at_a_bare_host_is_not_a_missing_path() -> None:
    with Below() as cloud:
        cloud.page = b'{"error": {"code": "model_not_found", "message": "The model does not exist"}}'
        model = cloud_model(f"http://127.0.0.1:{cloud.port}")
        with pytest.raises(ModelMisconfigured, match=r"check cloud\.model"):
            await text_of(send(model, chat("hello")))
        assert len(cloud.received) == 1
        await model.close()


def head(base_url: str, key: str | None = KEY, **headers: str) -> str:
    endpoint = Endpoint(base_url, key, headers=tuple((name.replace("_", "-"), text) for name, text in headers.items()))
    target = CallTarget("m", "cloud", endpoint)
    assert not any(text in repr((endpoint, target)) for text in (KEY, *headers.values()))
    return target.head("/chat/completions", 2).decode()


def test_the_key_stands_where_the_server_looks_for_it() -> None:
    assert f"Authorization: Bearer {KEY}" in head("https://a.example/v1")
    azure = head(f"{AZURE}/openai/deployments/gpt")
    assert f"api-key: {KEY}" in azure and "Bearer" not in azure
    token = "eyJ0eXAiOiJKV1Qi.eyJhdWQiOiJodHRw.c2lnbmF0dXJl"
    assert f"Bearer {token}" in head(AZURE, token)


def test_headers_of_the_owner_go_along_and_replace_ours() -> None:
    sent = head("https://a.example/v1", X_Title="ours", authorization="Token abc", user_agent="box/1")
    assert "X-Title: ours" in sent and "authorization: Token abc" in sent and "Bearer" not in sent
    assert "user-agent: box/1" in sent and sent.lower().count("user-agent") == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Host", "b.example"),
        ("Content-Length", "3"),
        ("X Y", "1"),
        ("X", "a\r\nY: b"),
        ("X-NetGPT-Hops", "1"),
        ("X", "\xe9"),
    ],
)
def test_headers_that_would_change_how_it_travels_are_refused(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=r"cloud\.headers") as caught:
        head("https://a.example/v1", **{name: text})
    assert text not in caught.value.message or len(text) < 3


def test_headers_come_from_files_and_the_environment(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    (tmp_path / "netgpt.toml").write_text(
        '[cloud]\nbase_url = "https://a.example/v1"\n[cloud.headers]\n'
        f'X-File = "file:{tmp_path}/token"\nX-Env = "env:THE_TOKEN"\nX-Plain = "plain-text"\n'
    )
    env = {"THE_TOKEN": "from-the-env", "NETGPT_CLOUD__HEADERS__X_MORE": "more-text"}
    settings = load_settings(tmp_path / "netgpt.toml", env, home=tmp_path)
    headers = {name: value.get_secret_value() for name, value in settings.cloud.headers.items()}
    assert headers == {"X-File": "from-a-file", "X-Env": "from-the-env", "X-Plain": "plain-text", "x-more": "more-text"}
    assert not any(value in repr(settings) for value in headers.values())
    with pytest.raises(SettingsError, match="THE_TOKEN, which is not set"):
        load_settings(tmp_path / "netgpt.toml", {}, home=tmp_path)


@pytest.mark.parametrize(
    ("env", "base_url", "found"),
    [
        ({"HTTPS_PROXY": "http://p:1"}, "https://a.example/v1", ("http://p:1", "HTTPS_PROXY")),
        ({"https_proxy": "http://p:1"}, "https://a.example/v1", ("http://p:1", "https_proxy")),
        ({"HTTPS_PROXY": "http://p:1"}, "http://a.example/v1", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://a.example/v1", ("http://p:1", "HTTP_PROXY")),
        ({"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, "http://a.example/v1", None),
        ({"ALL_PROXY": "http://p:1"}, "https://a.example/v1", ("http://p:1", "ALL_PROXY")),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.example"}, "https://a.example/v1", None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": ".example"}, "https://a.example/v1", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*.example, b"}, "https://a.example/v1", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, "https://a.example/v1", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.example:443"}, "https://a.example/v1", None),
        ({"ALL_PROXY": "p:1", "NO_PROXY": "a.example:8443"}, "https://a.example/v1", ("p:1", "ALL_PROXY")),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, "https://10.1.2.3/v1", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "ample"}, "https://a.example/v1", ("http://p:1", "HTTPS_PROXY")),
        ({}, "https://a.example/v1", None),
    ],
)  # fmt: skip
def test_which_proxy_the_environment_names(env: dict[str, str], base_url: str, found: tuple[str, str] | None) -> None:
    assert environment_proxy(env, base_url) == found


def test_settings_win_over_the_environment_and_show_no_password(tmp_path: Path) -> None:
    env = {"HTTPS_PROXY": "http://me:pw-secret@p.example:3128", "NETGPT_CLOUD__BASE_URL": "https://a.example/v1"}
    settings = load_settings(None, env, home=tmp_path)
    assert settings.cloud.way == ("http://me:pw-secret@p.example:3128", "HTTPS_PROXY")
    assert "pw-secret" not in repr(settings) + str(proxy_of(settings.cloud.way[0], "cloud", "a.example"))
    assert load_settings(None, env | {"NETGPT_CLOUD__PROXY": "none"}, home=tmp_path).cloud.way[0] is None
    own = load_settings(None, env | {"NETGPT_CLOUD__PROXY": "http://q:2"}, home=tmp_path).cloud.way
    assert own == ("http://q:2", "proxy")


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "x.localhost", "::ffff:127.0.0.1"]
)
def test_this_machine_is_never_reached_through_a_proxy(host: str) -> None:
    assert is_loopback(host) and proxy_of("http://p.example:3128", "cloud", host) is None


@pytest.mark.parametrize("text", ["socks5://p:1080", "ftp://p", "http://"])
def test_other_proxies_are_refused_with_the_cure(text: str) -> None:
    with pytest.raises(SettingsError, match=r"cloud\.proxy must be an HTTP proxy"):
        proxy_of(text, "cloud", "a.example")


class WayThrough:
    """A proxy on loopback: tunnels for CONNECT, and passes other requests on, always to one server."""

    def __init__(self, towards: int, status: int = 200) -> None:
        self.towards, self.status = towards, status
        self.heads: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        if self.status != 200:
            writer.write(f"HTTP/1.1 {self.status} No\r\ncontent-length: 0\r\n\r\n".encode())
            writer.close()
            return
        inner_reader, inner = await asyncio.open_connection("127.0.0.1", self.towards)
        if head.startswith("CONNECT"):
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            line, _, rest = head.partition("\r\n")
            method, target, version = line.split()
            inner.write(f"{method} /{target.split('/', 3)[3]} {version}\r\n{rest}".encode())
        await asyncio.gather(_pour(reader, inner), _pour(inner_reader, writer))


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def proxied(base_url: str, way: WayThrough, auth: str = "", **more: Any) -> AsyncIterator[CloudModel]:
    server = await asyncio.start_server(way, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    endpoint = Endpoint(base_url, KEY, proxy=f"http://{auth}127.0.0.1:{port}", **more)
    model = CloudModel(
        "m", endpoint, timeout_s=PATIENT_S, connect_timeout_s=PATIENT_S, retries=0, max_connections=3,
        breaker_failures=50, breaker_reset_s=60, receipt_hook=without_receipt,
    )  # fmt: skip
    try:
        yield model
    finally:
        await model.close()
        server.close()


async def test_plain_http_goes_through_the_proxy_by_its_whole_address() -> None:
    with FaultyCloud() as cloud:
        way = WayThrough(cloud.port)
        async with proxied("http://cloud.example:81/v1", way, "me:p%40ss@") as model:
            assert await text_of(send(model, chat("hello", stream=True))) == "hello"
        assert way.heads[0].startswith("POST http://cloud.example:81/v1/chat/completions HTTP/1.1\r\n")
        key = base64.b64encode(b"me:p@ss").decode()
        assert f"Proxy-Authorization: Basic {key}\r\n" in way.heads[0] and "Host: cloud.example:81" in way.heads[0]


async def test_https_goes_through_a_tunnel_and_the_proxy_sees_no_word(tls_cloud: Any) -> None:
    cloud, trust = tls_cloud
    way = WayThrough(cloud.port)
    async with proxied("https://cloud.example/v1", way, "me:pw@", trust=trust) as model:
        assert await text_of(send(model, chat("hello"))) == "hello"
        assert await text_of(send(model, chat("again"))) == "again"
    assert len(way.heads) == 1, "the tunnel is kept"
    assert way.heads[0].startswith("CONNECT cloud.example:443 HTTP/1.1\r\n") and KEY not in way.heads[0]
    assert "Proxy-Authorization: Basic" in way.heads[0]
    assert cloud.received[0].header("proxy-authorization") is None


@pytest.fixture
def tls_cloud(tmp_path: Path) -> Any:
    authority = Authority(tmp_path)
    cloud = FaultyCloud()
    cloud.tls = authority.make("cloud", "cloud.example", "proxy.example").server()
    with cloud:
        yield cloud, Trust(authority.ca)


async def test_a_proxy_that_is_spoken_to_over_tls(tls_cloud: Any) -> None:
    """TLS within TLS for https, and one layer for http."""
    cloud, trust = tls_cloud
    tls = trusted_certificates(trust)
    for is_tls, towards in ((True, cloud), (False, FaultyCloud())):
        with towards:
            way = WayThrough(towards.port)
            server = await asyncio.start_server(way, "127.0.0.1", 0, ssl=cloud.tls)
            proxy = Proxy("localhost", server.sockets[0].getsockname()[1], tls=True)
            own = trusted_certificates(trust)
            own.check_hostname = False  # it is called localhost here
            origin = PoolKey("cloud.example", 443 if is_tls else 80, is_tls, proxy)
            connection = await connect(
                origin, tls if is_tls else None, limit_s=PATIENT_S, timeout_s=PATIENT_S, proxy_tls=own
            )
            target = "/v1/models" if is_tls else "http://cloud.example/v1/models"
            answer = await connection.post(f"GET {target} HTTP/1.1\r\nHost: cloud.example\r\n\r\n".encode(), b"")
            assert answer.status_code == 200 and b'"fake"' in await answer.read()
            assert way.heads[0].startswith("CONNECT" if is_tls else "GET http://cloud.example/")
            connection.abort()
            server.close()


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (407, ModelMisconfigured, "wants a name and a password"),
        (403, ModelMisconfigured, "forbids this address"),
        (404, ModelMisconfigured, "does not let this address through"),
        (502, ModelUnavailable, "answered 502"),
        (503, ModelUnavailable, "answered 503"),
    ],
)
async def test_a_proxy_that_does_not_let_us_through_is_named(status: int, kind: type[Exception], words: str) -> None:
    async with proxied("https://cloud.example/v1", WayThrough(0, status), "me:pw-secret@") as model:
        with pytest.raises(kind, match=words) as caught:
            await text_of(send(model, chat("hello")))
    assert "cloud.proxy (or HTTPS_PROXY)" in str(caught.value) and "pw-secret" not in str(caught.value)
    assert caught.value.code == "unreachable"  # type: ignore[attr-defined]


async def test_a_proxy_that_is_not_there_is_named() -> None:
    async with proxied("https://cloud.example/v1", WayThrough(0)) as model:
        gone = Endpoint("https://cloud.example/v1", KEY, proxy="http://127.0.0.1:9")
    model = CloudModel(
        "m", gone, timeout_s=PATIENT_S, connect_timeout_s=PATIENT_S, retries=0, max_connections=3, breaker_failures=50,
        breaker_reset_s=60, receipt_hook=without_receipt,
    )  # fmt: skip
    with pytest.raises(ModelUnavailable, match=r"the proxy 127\.0\.0\.1:9 on the way to .* cannot be reached"):
        await text_of(send(model, chat("hello")))
    await model.close()
