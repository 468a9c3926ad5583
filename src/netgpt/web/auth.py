"""Who calls: a key, a token of an identity provider, or, while neither exists, a program on this very machine.

The ASGI layers before the framework are here too: limits on bodies and on requests at once, and authentication.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from netgpt.app.gateway import Gateway
from netgpt.errors import AuthenticationError, NetGPTError, PermissionDenied, RateLimited, RequestError
from netgpt.settings.sections import Server
from netgpt.store.keys import PREFIX, hash_key
from netgpt.store.schema import KeyLimits
from netgpt.types import ANY_SCOPE, LOCAL_TENANT, SCOPE_OF, Caller, Role
from netgpt.web.bodies import too_large, unpacked
from netgpt.web.errors import error_response, unforeseen_response
from netgpt.web.lockout import address_of, client_address, is_loopback, looks_like_token
from netgpt.web.oidc import UID, UNSIGNED, Access
from netgpt.web.origins import ORIGIN, allows, not_allowed
from netgpt.web.protocol import CONNECTION, most_in_work


def scope_of(path: str) -> str:
    """The scope that a path under /v1, or /mcp, needs. One that is not in the table needs a scope of its own name,
    which no key has."""
    word = path.removeprefix("/v1").removeprefix("/").partition("/")[0]
    return SCOPE_OF.get(word, word)


HEADERS: Final = "netgpt.headers"
"""Key of a request's scope: headers for its answer, added by `LimitsMiddleware`."""
CALLER: Final = "netgpt.caller"
"""Key of a request's scope: who calls, once that is known."""
PLACE: Final = "netgpt.place"
"""Key of a request's scope: its place among the requests in work, which a stream that only listens gives back."""
KEY_SCOPES: Final = "netgpt.scopes"
"""Key of a request's scope: the scopes of its key; None: all."""
_UNLIMITED: Final = KeyLimits()
_SECRET: Final = re.compile(r"[A-Za-z0-9._~+/=-]{1,9000}")
"""What may follow `Bearer` (RFC 6750, section 2.1): nothing that looks like another letter, no spaces, no NUL."""
KEY_HEADERS: Final = (b"x-api-key", b"api-key")
"""Where clients of Anthropic and of Azure put a key, without a word before it."""
_FORWARDED: Final = frozenset(
    {b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", b"via",
     b"cf-connecting-ip", b"true-client-ip"}
)  # fmt: skip


async def caller_of(request: Request) -> Caller:
    """Authenticate, and count the request against the limits of its key; once a request, however often it is called.

    With no key in the store and no identity provider, loopback callers own the box; else every call needs one of them.
    Raises AuthenticationError, PermissionDenied (scope) and RateLimited; no message ever echoes what was sent.
    """
    known: Caller | None = request.scope.get(CALLER)
    if known is None:
        known = request.scope[CALLER] = await _authenticate(request)
        if known.key_id is not None and (connection := request.scope.get(CONNECTION)) is not None:
            connection.belongs_to(known.key_id)
    return known


async def authenticated(request: Request) -> tuple[Gateway, Caller]:
    """The gateway, and who calls it. Raises as `caller_of`."""
    return request.app.state.gateway, await caller_of(request)


async def _authenticate(request: Request) -> Caller:
    gateway: Gateway = request.app.state.gateway
    access: Access = request.app.state.access
    if access.tokens is None and not await gateway.store.has_keys():
        _check_local(request)
        return _local_caller(request, access)
    try:
        secret = _bearer(request)
        if access.tokens is not None and looks_like_token(secret):
            return await _token_bearer(request, access, secret)
        return await _key_holder(request, access, gateway, secret)
    except (AuthenticationError, RateLimited) as error:
        gateway.metrics.refused.labels(error.code).inc()
        raise


def _bearer(request: Request) -> str:
    """The key or token: behind `Bearer`, or alone in one of `KEY_HEADERS`. Where a client sends somebody else's beside
    it, ours is the one with our beginning. It has no characters but those that keys and tokens are made of."""
    given = [[_behind_bearer(value) for value in _values(request, b"authorization")]]
    given += [[value.strip(" ") for value in _values(request, header)] for header in KEY_HEADERS]
    found = {secret for values in given for secret in values}
    if not found:
        raise AuthenticationError("a key is needed: send `Authorization: Bearer ngpt_...` (netgpt keys create)")
    if len(found) > 1:
        found = {secret for secret in found if secret.startswith(PREFIX)}
    secret = found.pop() if len(found) == 1 else ""
    if any(len(values) > 1 for values in given) or not _SECRET.fullmatch(secret):
        raise AuthenticationError("send one header `Authorization: Bearer KEY`, with the key as it was handed out")
    return secret


def _behind_bearer(value: str) -> str:
    """Empty: something else than a bearer."""
    scheme, _, secret = value.partition(" ")
    return secret.strip(" ") if scheme.lower() == "bearer" else ""


async def _key_holder(request: Request, access: Access, gateway: Gateway, secret: str) -> Caller:
    digest, address = hash_key(secret), _address(request, access)
    access.lockout.check(address, secret, digest)
    row = await gateway.store.key_by_hash(digest)
    if row is None:  # a wrong key was compared as the right one is: `key_by_hash`
        access.lockout.failed(address, secret)
        raise AuthenticationError("this key is not known here")
    if not row.usable(datetime.now(UTC)):
        raise AuthenticationError("this key was revoked or has expired; create another with `netgpt keys create`")
    access.lockout.accepted(address, digest)
    request.scope[KEY_SCOPES] = row.scopes
    check_scope(row.scopes, scope_of(request.scope["path"]), row.id)
    if row.limits != _UNLIMITED:
        await _admit(request, access, row.id, row.limits)
    left = access.limiter.money_left(row.id) if row.limits != _UNLIMITED else None
    return Caller(row.tenant, row.role, key_id=row.id, bound_user=row.user, prefer=row.prefer, fallback=row.fallback,
                  budget_left=left)  # fmt: skip


async def _token_bearer(request: Request, access: Access, token: str) -> Caller:
    """A good token is always let in: its signature cannot be guessed. Bad ones count as guesses of their address."""
    assert access.tokens is not None
    try:
        caller = await access.tokens.caller(token)
    except AuthenticationError as error:
        if error.code == UNSIGNED:
            address = _address(request, access)
            access.lockout.failed(address, token)
        raise
    if access.token_limits != _UNLIMITED and caller.key_id is not None:
        await _admit(request, access, caller.key_id, access.token_limits)
    return caller


async def _admit(request: Request, access: Access, key_id: str, limits: KeyLimits) -> None:
    try:
        await access.limiter.admit(key_id, limits)
    finally:
        request.scope[HEADERS] = access.limiter.headers(key_id)


def check_scope(scopes: Sequence[str] | None, needed: str, key_id: str) -> None:
    """Raises PermissionDenied: the key is for other things."""
    if not suits_scope(scopes, needed):
        assert scopes is not None
        raise PermissionDenied(
            f"this key may be used for {', '.join(scopes)} only (netgpt keys limits {key_id} --scope ...)",
            code="scope_missing",
        )


def suits_scope(scopes: Sequence[str] | None, needed: str) -> bool:
    """Whether a key with these scopes (None: all) may be used for what needs this one."""
    return scopes is None or needed == ANY_SCOPE or needed in scopes


def _address(request: Request, access: Access) -> str:
    client = request.scope.get("client")
    peer = client[0] if client else ""
    if not access.proxies:
        return address_of(peer)
    return client_address(peer, _values(request, b"x-forwarded-for"), access.proxies)


def _values(request: Request, header: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in request.scope["headers"] if name == header]


def _check_local(request: Request) -> None:
    """No key exists: only a program on this machine may ask, at a box that listens to nobody else.

    A box beyond loopback whose last key was revoked is closed, not open. A web page that resolves its own name to
    127.0.0.1 is recognized by its `Host` or `Origin`, and a proxy that brings strangers by the headers that it adds.
    """
    if not is_loopback(request.app.state.gateway.settings.server.host):
        raise AuthenticationError("no key is in force here: make one with `netgpt keys create`")
    is_named, allowed = False, request.app.state.gateway.settings.server.origins
    for name, value in request.scope["headers"]:
        if name in _FORWARDED:
            raise PermissionDenied("a proxy brought this request, and it may bring anybody: make a key first")
        if name in (b"host", b"origin"):
            text = value.decode("latin-1")
            is_named = is_named or name == b"host"
            if name == b"origin" and (not text or allows(allowed, text)):
                continue
            if not is_loopback(_host_of(f"//{text}" if name == b"host" else text)):
                raise PermissionDenied("without a key this box answers its own machine only: ask it as localhost")
    if not is_named:
        raise RequestError("send the header `Host`", code="bad_host")


def check_page(scope: Scope, allowed: tuple[str, ...]) -> None:
    """Whoever is behind a browser's page: one of this machine, or that the owner allowed. A page whose name was bound
    to this address anew (DNS rebinding) is neither. Raises PermissionDenied."""
    for name, value in scope["headers"]:
        origin = value.decode("latin-1")
        if name == ORIGIN and not allows(allowed, origin) and not is_loopback(_host_of(origin)):
            raise not_allowed()


def comes_from_here(request: Request) -> bool:
    """Whether a program on this machine asks for itself: neither for a proxy's caller nor for a page's host."""
    client, headers = request.scope.get("client"), dict(request.scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1")
    is_near = client is not None and is_loopback(client[0]) and is_loopback(_host_of(f"//{host}"))
    return is_near and not headers.keys() & _FORWARDED


def _local_caller(request: Request, access: Access) -> Caller:
    """Without a key, the user of this machine who runs the box, and root, own it; another asks, in a tenant of its own.

    Where the kernel does not tell whose a connection is, every program on this machine is the owner's.
    """
    if access.owner is None:
        return Caller(LOCAL_TENANT, Role.ADMIN)
    try:
        uid = access.owner(tuple(request.scope["client"][:2]), tuple(request.scope["server"][:2]))
    except (OSError, ValueError, TypeError):
        uid = None
    if uid is None:
        raise AuthenticationError("whose program asks could not be told: make a key with `netgpt keys create`")
    owns = uid in (os.geteuid(), 0)
    return Caller(LOCAL_TENANT, Role.ADMIN) if owns else Caller(f"{UID}{uid}", Role.USER)


@lru_cache(maxsize=256)
def _host_of(url: str) -> str:
    """The host of a URL without port and brackets; empty (which is no loopback) when there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


NOT_CHATS = 64
"""Requests in work beside the chats that work or wait: those that need no permit, and those about to be refused one."""
ALWAYS_OPEN = ("/healthz", "/readyz", "/metrics")


class LimitsMiddleware:
    """Limits on the body and on requests at once. A plain ASGI layer: streams and hang-ups pass through untouched."""

    def __init__(self, app: ASGIApp, gateway: Gateway) -> None:
        self.app, self.gateway, self.metrics = app, gateway, gateway.metrics
        server = gateway.settings.server
        self.in_work = 0
        """Requests whose body is there, and whose answer is not."""
        self.most = min(server.max_concurrency + server.max_waiting + NOT_CHATS, most_in_work(server))

    @property
    def server(self) -> Server:
        return self.gateway.settings.server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            self._check(scope)
            receive = unpacked(scope, self._limited(receive), self.server.max_body_bytes)
        except NetGPTError as error:
            self.metrics.refused.labels(error.code).inc()
            await error_response(error, path=scope["path"])(scope, receive, send)
            return
        place = scope[PLACE] = InWork(self)
        try:
            await self.app(scope, receive, _with_headers(scope, send))
        finally:
            place.leave()

    def _check(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.server.max_body_bytes:
            raise too_large(self.server.max_body_bytes)
        if scope["path"] not in ALWAYS_OPEN:
            self._check_room()
            origin = headers.get(ORIGIN, b"null").decode("latin-1")
            if headers.get(b"sec-fetch-site") == b"cross-site" and not allows(self.server.origins, origin):
                raise not_allowed()

    def _check_room(self) -> None:
        if self.in_work >= self.most:
            raise RateLimited(
                f"{self.most} requests are in work or wait; try again soon (server.max_concurrency, "
                "server.max_waiting; ulimit -n)",
                code="too_many_requests",
                retry_after=1,
            )

    def _limited(self, receive: Receive) -> Receive:
        """Count the bytes of a body that came without a length. A body that is still coming holds no place in work."""
        seen, is_whole = 0, False

        async def counted() -> Message:
            nonlocal seen, is_whole
            if is_whole:
                return await receive()
            self.in_work -= 1
            try:
                message = await receive()
            finally:
                self.in_work += 1
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self.server.max_body_bytes:
                    raise too_large(self.server.max_body_bytes)
                is_whole = not message.get("more_body", False)
                if is_whole and self.in_work > self.most:
                    self._check_room()
            return message

        return counted


class InWork:
    """A request's place among those in work."""

    __slots__ = ("_limits",)

    def __init__(self, limits: LimitsMiddleware) -> None:
        self._limits: LimitsMiddleware | None = limits
        limits.in_work += 1

    def leave(self) -> None:
        """Give it back; once, however often it is called."""
        if self._limits is not None:
            self._limits.in_work -= 1
            self._limits = None


def _with_headers(scope: Scope, send: Send) -> Send:
    """Add the headers that the scope holds by then: the rate limits of the key."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start" and (added := scope.get(HEADERS)):
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return sent


class AuthMiddleware:
    """Lets nobody without a key to anything under /v1, whether it exists or not.

    It runs before the framework, which would read the body first. `caller_of` keeps its answer for the endpoints.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            scope["app"] = self.app
            try:
                await caller_of(Request(scope))
            except NetGPTError as error:
                await error_response(error, path=scope["path"])(scope, receive, send)
                return
            except Exception as error:  # noqa: BLE001 - outside of the framework: nobody else answers the caller
                place = f"{scope['method']} {scope['path']}"
                await unforeseen_response(error, place, scope["path"])(scope, receive, send)
                return
        await self.app(scope, receive, send)
