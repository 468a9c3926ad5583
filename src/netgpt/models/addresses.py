"""Where a server is, as owners write it: with, without or with too much of a path; and the headers that it wants."""

from __future__ import annotations

import ipaddress
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

import httpx

from netgpt.errors import SettingsError

_HOST: Final = re.compile(rb"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
"""A name, an IPv4 or an IPv6 address. Names in other scripts are IDNA-encoded by now."""
_PASTED: Final = re.compile(r"/(chat/completions|completions|embeddings|responses|messages|moderations|models)$")
"""An endpoint that was copied with the address."""
_VERSION: Final = re.compile(r"/v\d+\w*(/|$)")
_AZURE: Final = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com", ".azure-api.net")
_AZURE_VERSION: Final = "2024-10-21"
"""The newest stable version of Azure's older API, for an address that names none."""
_TOKEN: Final = re.compile(r"[\w-]{10,}\.[\w-]{10,}\.[\w-]*")
"""Microsoft Entra's tokens (JWT), which go as bearers."""
OURS: Final = frozenset({
    "host", "content-length", "content-type", "transfer-encoding", "connection", "accept", "accept-encoding", "expect",
    "upgrade", "te", "trailer", "idempotency-key", "x-netgpt-hops", "proxy-authorization",
})  # fmt: skip
"""Headers that no setting sets."""
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """`url` has no path; `paths` are tried in turn where a server knows none, the last that worked is remembered."""

    url: httpx.URL
    paths: tuple[str, ...]
    query: bytes
    azure: bool

    @property
    def port(self) -> int:
        return self.url.port or (443 if self.url.scheme == "https" else 80)


def address_of(base_url: str, section: str) -> ServerAddress:
    """Read a base address. Raises SettingsError: it is none, or holds a password."""
    try:
        url = httpx.URL(base_url.strip())
    except (httpx.InvalidURL, TypeError, AttributeError):
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not _HOST.fullmatch(url.raw_host):
        raise SettingsError(f'{section}.base_url must be an HTTP address, such as "https://cloud.example/v1"')
    if url.userinfo:
        raise SettingsError(
            f"{section}.base_url holds a name or a password, which would be shown; write {section}.api_key, or "
            f"{section}.headers"
        )
    azure = url.host.endswith(_AZURE)
    path = re.sub(r"/{2,}", "/", url.path).rstrip("/")
    pasted = _PASTED.search(path)
    if pasted and not (azure and pasted[1] == "models"):
        path = path[: pasted.start()].rstrip("/")
    query = url.query
    if azure:
        if path in ("", "/openai"):
            path = "/openai/v1"
        if "/deployments/" in path and b"api-version=" not in query:
            query += (b"&" if query else b"") + b"api-version=" + _AZURE_VERSION.encode()
    paths = [path]
    if not azure and not _VERSION.search(path + "/"):
        paths += [f"{path}/v1"] if path else ["/v1", "/api/v1", "/openai/v1"]
    return ServerAddress(url.copy_with(path="/", query=None, fragment=None), tuple(paths), query, azure)


def headers_for(
    address: ServerAddress, section: str, key: str | None, more: Mapping[str, str]
) -> list[tuple[bytes, bytes]]:
    """The headers of each request. Those of the owner take the place of ours with the same name, but for those that
    say how the request travels. Raises SettingsError: a key or a header that cannot be sent."""
    headers = {
        "content-type": ("Content-Type", "application/json"),
        "accept": ("Accept", "text/event-stream, application/json"),
        "accept-encoding": ("Accept-Encoding", "identity"),
        "user-agent": ("User-Agent", "netgpt"),
    }
    if key:
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise SettingsError(f"{section}.api_key holds characters that an HTTP header cannot carry")
        if address.azure and not _TOKEN.fullmatch(key):
            headers["api-key"] = ("api-key", key)
        else:
            headers["authorization"] = ("Authorization", f"Bearer {key}")
    for name, value in more.items():
        if not _NAME.fullmatch(name) or name.lower() in OURS:
            raise SettingsError(f'{section}.headers: "{name[:40]}" is no header that can be set')
        if not value.isprintable() or not value.isascii():
            raise SettingsError(f"{section}.headers: the value of {name} cannot be sent in a header")
        headers[name.lower()] = (name, value)
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.values()]


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy on the way to a server. `repr` shows no password."""

    host: str
    port: int
    tls: bool = False
    authorization: bytes = field(default=b"", repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def proxy_of(text: str | None, section: str, host: str) -> Proxy | None:
    """The proxy towards `host`; None where there is none: this very machine is never reached through one.

    Raises SettingsError: it is no HTTP proxy.
    """
    if text is None or is_loopback(host):
        return None
    try:
        url = httpx.URL(text.strip() if "://" in text else f"http://{text.strip()}")
        known = url.scheme in ("http", "https") and bool(_HOST.fullmatch(url.raw_host))
    except httpx.InvalidURL:
        known = False
    if not known:
        raise SettingsError(
            f'{section}.proxy must be an HTTP proxy, such as "http://proxy.example:3128" (SOCKS is not spoken), or '
            '"none"; HTTPS_PROXY, HTTP_PROXY and ALL_PROXY of the environment count where it is not set'
        )
    authorization = b""
    if url.userinfo:
        name, _, password = url.userinfo.partition(b":")
        plain = unquote(name.decode()) + ":" + unquote(password.decode())
        authorization = b"Basic " + b64encode(plain.encode())
    port = url.port or (443 if url.scheme == "https" else 80)
    return Proxy(url.raw_host.decode("ascii"), port, url.scheme == "https", authorization)


def is_loopback(host: str) -> bool:
    """Whether a host is this very machine."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
