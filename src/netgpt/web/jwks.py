"""The signing keys of an identity provider: fetched from the configured issuer alone, kept, rotated.

Nothing that a token says decides where keys come from or how often: `jku`, `x5u`, `jwk` and `x5c` of its header are
not read, and an unknown key id brings one request in `refresh_s` seconds at most.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import orjson
from jwt import PyJWK, PyJWTError

from netgpt.errors import NetGPTError, SettingsError
from netgpt.settings import Oidc

__all__ = ["KeySet", "SigningKey"]

log = logging.getLogger(__name__)

_TIMEOUT_S: Final = 5.0
_MAX_BYTES: Final = 512_000
_MAX_KEYS: Final = 100
_MIN_RSA_BITS: Final = 2048
_FAMILIES: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
"""Which kind of key each family of signatures takes; one with a shared secret (`oct`) is never read."""
_CURVES: Final = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One public key of the issuer, and the one signature that it is used for."""

    id: str | None
    algorithm: str
    key: Any
    digest: bytes
    """Of the key as it was published."""


class KeySet:
    """The issuer's keys as last read. Old ones stay in use for `stale_s` seconds while the issuer is down."""

    def __init__(self, settings: Oidc, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._keys: tuple[SigningKey, ...] = ()
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self.version = 0
        """Grows when the keys have changed: what was judged by the old ones is judged again."""

    async def find(self, id: str | None, algorithm: str) -> SigningKey | None:
        """The key to check a token with, or None. Raises NetGPTError (503): none are known, or too old ones."""
        settings, age = self._settings, self._clock() - self._read_at
        if age > settings.cache_s + settings.stale_s:
            await self._refresh()
            if self._clock() - self._read_at > settings.cache_s + settings.stale_s:
                raise NetGPTError(
                    "the identity provider cannot be reached: tokens cannot be checked (keys can)",
                    code="issuer_unavailable",
                    status=503,
                    retry_after=5,
                )
        elif age > settings.cache_s:
            self._begin()  # in the background: the old ones serve meanwhile
        found = self._known(id, algorithm)
        if found is None:
            await self._refresh()
            found = self._known(id, algorithm)
        return found

    async def close(self) -> None:
        """Stop a reading under way."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def _known(self, id: str | None, algorithm: str) -> SigningKey | None:
        suited = [key for key in self._keys if key.algorithm == algorithm and (id is None or key.id == id)]
        return suited[0] if len(suited) == 1 else None  # a token that names no key is taken where there is one only

    async def _refresh(self) -> None:
        """Wait for a reading, if it is time for one."""
        if (reading := self._begin()) is not None:
            await asyncio.shield(reading)

    def _begin(self) -> asyncio.Task[None] | None:
        if self._reading is None and self._clock() - self._tried_at >= self._settings.refresh_s:
            self._tried_at = self._clock()
            self._reading = asyncio.ensure_future(self._read())
        return self._reading

    async def _read(self) -> None:
        try:
            keys = await self._fetched()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, _Unusable) as error:
            cause = str(error) if isinstance(error, _Unusable) else type(error).__name__
            log.warning("oidc: the keys of %s could not be read: %s", self._settings.issuer, cause)
            return
        finally:
            self._reading = None
        self._read_at = self._clock()
        if [key.digest for key in keys] != [key.digest for key in self._keys]:
            self.version += 1
        self._keys = keys

    async def _fetched(self) -> tuple[SigningKey, ...]:
        async with httpx.AsyncClient(
            timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False, verify=certificates(self._settings)
        ) as client:
            async with asyncio.timeout(2 * _TIMEOUT_S):
                address = self._settings.jwks_url or await self._discovered(client)
                document = await _document(client, address)
        found = document.get("keys")
        if not isinstance(found, list):
            raise _Unusable("the answer holds no list `keys`")
        keys = tuple(key for each in found[:_MAX_KEYS] for key in self._usable(each))
        if not keys:
            raise _Unusable("none of the keys can be used for oidc.algorithms")
        return keys

    async def _discovered(self, client: httpx.AsyncClient) -> str:
        issuer = self._settings.issuer or ""
        document = await _document(client, issuer.rstrip("/") + "/.well-known/openid-configuration")
        if document.get("issuer") != issuer:
            raise _Unusable("its discovery document names another issuer than oidc.issuer")
        address = document.get("jwks_uri")
        if not isinstance(address, str) or _origin(address) != _origin(issuer):
            raise _Unusable("its keys are on another host: name their address as oidc.jwks_url if that is right")
        return address

    def _usable(self, data: object) -> list[SigningKey]:
        """The key once for each signature that it may be used for here; nothing for what is not for signing."""
        if not isinstance(data, dict) or data.get("use", "sig") != "sig":
            return []
        id = data.get("kid") if isinstance(data.get("kid"), str) else None
        wanted = [alg for alg in self._settings.algorithms if _suits(data, alg)]
        made = [_made(data, alg) for alg in wanted]
        digest = hashlib.sha256(orjson.dumps(data, option=orjson.OPT_SORT_KEYS)).digest()
        return [SigningKey(id, alg, key, digest) for alg, key in zip(wanted, made, strict=True) if key is not None]


class _Unusable(Exception):
    """The issuer answered, but not with what is needed. Its text names the fault."""


def certificates(settings: Oidc) -> ssl.SSLContext:
    """Whom to believe that it is the issuer: `oidc.ca_file`, else the system's authorities. Raises SettingsError."""
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError):
        raise SettingsError(f"oidc.ca_file: {settings.ca_file} is missing or holds no certificates (PEM)") from None


async def _document(client: httpx.AsyncClient, address: str) -> Mapping[str, Any]:
    async with client.stream("GET", address, headers={"accept": "application/json"}) as answer:
        if answer.status_code != 200:
            raise _Unusable(f"it answered {answer.status_code}")
        body = bytearray()
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > _MAX_BYTES:
                raise _Unusable(f"its answer is larger than {_MAX_BYTES} bytes")
    try:
        document = orjson.loads(body)
    except ValueError:
        raise _Unusable("its answer is not JSON") from None
    if not isinstance(document, dict):
        raise _Unusable("its answer is no JSON object")
    return document


def _origin(address: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(address)
        return parts.scheme, parts.hostname, parts.port
    except ValueError:
        return "", None, None


def _suits(data: Mapping[str, Any], algorithm: str) -> bool:
    if data.get("kty") != _FAMILIES[algorithm[:2]] or data.get("alg", algorithm) != algorithm:
        return False
    return algorithm not in _CURVES or data.get("crv") == _CURVES[algorithm]


def _made(data: dict[str, Any], algorithm: str) -> Any:
    try:
        key = PyJWK(data, algorithm).key
    except (PyJWTError, ValueError, TypeError):
        return None
    if hasattr(key, "private_bytes"):
        return None  # a private key that is published is nobody's signature
    return None if getattr(key, "key_size", _MIN_RSA_BITS) < _MIN_RSA_BITS and data["kty"] == "RSA" else key
