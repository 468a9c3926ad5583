"""Bearer tokens of an identity provider (OpenID Connect, RFC 7519, RFC 8725): who the token proves its bearer to be.

The settings pin issuer, audience and signatures; a token decides none of them. Refusals never repeat a token.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import jwt
import orjson
from jwt import PyJWK, PyJWTError

from netgpt.app.gateway import Gateway
from netgpt.errors import AuthenticationError, NetGPTError, PermissionDenied, SettingsError
from netgpt.files import read_bytes
from netgpt.policy import BOX, Policy, check_access
from netgpt.settings.sections import Oidc
from netgpt.store.keys import token_id
from netgpt.store.schema import KeyLimits
from netgpt.types import LOCAL_TENANT, Caller, Person, Role
from netgpt.web.lockout import Lockout, proxies
from netgpt.web.peers import Owner
from netgpt.web.rate_limits import Limiter, SharedCount

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
    """The issuer's signing keys as last read. Old ones stay in use for `stale_s` seconds while the issuer is down.

    Nothing in a token decides where keys come from or how often: `jku`, `x5u`, `jwk` and `x5c` of its header are not
    read, and an unknown key id brings one request in `refresh_s` seconds at most.
    """

    def __init__(self, settings: Oidc, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._keys: tuple[SigningKey, ...] = ()
        self._read_at = self._tried_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self.version = 0
        """Grows when the keys change: tokens accepted by the old ones are checked again."""

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
    """The authorities that may vouch for the issuer: `oidc.ca_file`, else the system's. Raises SettingsError."""
    try:
        if settings.ca_file is None:
            return ssl.create_default_context()
        return ssl.create_default_context(cadata=read_bytes(settings.ca_file, SettingsError).decode("ascii", "replace"))
    except (OSError, ssl.SSLError, SettingsError):
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


UNSIGNED: Final = "invalid_token"
"""Code of the refusal of a token that no known key signed: it counts as a guess."""
MAX_TOKEN: Final = 8_192
"""Characters; a longer token is refused unread."""
_CACHED: Final = 1_000
_CACHED_S: Final = 60.0
"""A good token is accepted unread for this long, unless it expires or the issuer's keys change."""
_SLACK_S: Final = 30.0
"""Past its deadline an answer's estimate counts for so long, where nobody dropped it."""
_CACHED_ACCESS: Final = 5_000
_OPTIONS: Final[Any] = {"require": ["exp", "iat", "iss", "aud"]}
_MAX_NAME: Final = 256
_MAX_GROUPS: Final = 200
UID: Final = "uid_"
"""Begins the tenant of another user of this machine who comes without a key."""


class TokenVerifier:
    """Judges tokens by the settings and the issuer's keys."""

    def __init__(self, settings: Oidc, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises SettingsError: `oidc.ca_file` cannot be read."""
        certificates(settings)
        self._settings, self._clock = settings, clock
        self.keys = KeySet(settings, clock)
        self._good: OrderedDict[bytes, tuple[float, int, Caller]] = OrderedDict()

    async def caller(self, token: str) -> Caller:
        """Who bears this token.

        Raises AuthenticationError: `UNSIGNED` (no known key signed it), or `token_refused` (the issuer's own, but not
        accepted here now). PermissionDenied: no role here. NetGPTError (503): the issuer is down.
        """
        if len(token) > MAX_TOKEN:
            raise _unsigned(f"the token is longer than {MAX_TOKEN} characters")
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        until, version, known = self._good.get(digest, (0.0, -1, None))
        if known is not None and version == self.keys.version and self._clock() < until:
            return known
        claims = await self._claims(token)
        caller = self._caller(claims)
        left_s = float(claims["exp"]) + self._settings.leeway_s - time.time()
        self._good[digest] = (self._clock() + min(left_s, _CACHED_S), self.keys.version, caller)
        while len(self._good) > _CACHED:
            self._good.popitem(last=False)
        return caller

    async def _claims(self, token: str) -> Mapping[str, Any]:
        settings = self._settings
        algorithm, id = self._header(token)
        key = await self.keys.find(id, algorithm)
        if key is None:
            raise _unsigned("this token was signed with a key that its issuer does not have")
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token, key.key, [algorithm], _OPTIONS, audience=settings.audience, issuer=settings.issuer,
                leeway=settings.leeway_s,
            )  # fmt: skip
        except jwt.ExpiredSignatureError:
            raise _refused("this token has expired; get another from the identity provider") from None
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
            raise _refused("this token was made for another service or by another issuer") from None
        except (jwt.ImmatureSignatureError, jwt.InvalidIssuedAtError):
            raise _refused("this token is not valid yet; check the clocks (oidc.leeway_s)") from None
        except jwt.MissingRequiredClaimError:
            raise _refused("this token lacks one of exp, iat, iss, aud") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise _unsigned("this token is not one that is accepted here") from None
        if int(claims["exp"]) - min(int(claims["iat"]), time.time()) > settings.max_lifetime_s:
            raise _refused("this token is good for too long (oidc.max_lifetime_s); get a short-lived one")
        return claims

    def _header(self, token: str) -> tuple[str, str | None]:
        """The signature's name, one of the settings', and the key's id."""
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise _unsigned("this is no token that can be read") from None
        algorithm, id = header.get("alg"), header.get("kid")
        if algorithm not in self._settings.algorithms:
            raise _unsigned(f"tokens must be signed with one of {', '.join(self._settings.algorithms)}")
        if not (id is None or (isinstance(id, str) and len(id) <= _MAX_NAME)) or "crit" in header:
            raise _unsigned("this token has a header that is not understood")
        return str(algorithm), id

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        settings = self._settings
        user = _name(claims, settings.user_claim)
        tenant = _name(claims, settings.tenant_claim) if settings.tenant_claim else settings.tenant
        if settings.tenant_claim and (tenant == LOCAL_TENANT or tenant.startswith(UID)):
            raise _refused(f"a token may not name the box's own tenants ({LOCAL_TENANT}, {UID}...)")
        role = self._role(claims)
        groups = _words(_claim(claims, settings.groups_claim)) if settings.groups_claim else ()
        # An operator asks for nobody and sees figures alone, so it is bound to no person.
        bound = None if role is Role.OPERATOR else user
        return Caller(tenant, role, token_id(Person(tenant, user)), bound, frozenset(groups))

    def _role(self, claims: Mapping[str, Any]) -> Role:
        """The highest role that the token's values stand for."""
        settings = self._settings
        if settings.role_claim is None:
            return Role.USER
        words = _words(_claim(claims, settings.role_claim))
        roles = {settings.roles[word] for word in words if word in settings.roles}
        for role in (Role.ADMIN, Role.OPERATOR, Role.USER):
            if role in roles:
                return role
        raise PermissionDenied("this token has none of the roles that open this box (oidc.roles)")


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of this name, else, dot by dot, one within others."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _name(claims: Mapping[str, Any], claim: str) -> str:
    value = _claim(claims, claim)
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_NAME or not value.isprintable() or value.isspace():
        raise _refused(f"this token does not say who bears it: the claim {claim} is missing or no name")
    return value


def _words(value: Any) -> tuple[str, ...]:
    found = value if isinstance(value, list) else [value]
    return tuple(word for word in found[:_MAX_GROUPS] if isinstance(word, str) and len(word) <= _MAX_NAME)


def _unsigned(text: str) -> AuthenticationError:
    return AuthenticationError(text, code=UNSIGNED)


def _refused(text: str) -> AuthenticationError:
    return AuthenticationError(text, code="token_refused")


class Access:
    """What `auth.caller_of` needs: tokens, limits, lockout, and what the policy allowed. One an app."""

    def __init__(self, gateway: Gateway, owner: Owner | None = None) -> None:
        """Raises SettingsError: `oidc.ca_file` cannot be read."""
        settings, oidc = gateway.settings, gateway.settings.oidc
        self.lockout = Lockout(settings.lockout)
        self.proxies = proxies(settings.server.trusted_proxies)
        counted = None
        if (crew := gateway.crew) is not None:
            counted = SharedCount(gateway.store.shared_limits, crew.post.owner, settings.server.deadline_s + _SLACK_S)
            self.lockout.told = partial(crew.tell, "wrong key")
            crew.on("wrong key", self.lockout.heard)
        self.limiter = Limiter(gateway.store.limits.use, settings.remotes, counted=counted)
        self.tokens = TokenVerifier(oidc) if oidc.issuer is not None else None
        self.token_limits = KeyLimits(**{each.name: getattr(oidc, each.name) for each in fields(KeyLimits)})
        """Of each person who comes with a token."""
        gateway.metrics.listeners.append(self.limiter.exchange_ended)
        self.owner = owner
        """Whose program is at the other end of a loopback connection, by both addresses; None: nobody can tell."""
        self._gateway = gateway
        self._policy: Policy | None = None
        self._allowed: set[tuple[Caller, str, str | None]] = set()

    def allow(self, caller: Caller, action: str, user: str | None = None) -> None:
        """Whether the policy lets `caller` do `action` (ask, administer) with the box, speaking for `user`.

        Raises PermissionDenied; operators and admins see the rule. What was allowed is cached until the policy changes:
        asking it costs ten times as much.
        """
        policy, key = self._gateway.policy, (caller, action, user)
        if policy is not self._policy:
            self._allowed.clear()
            self._policy = policy
        if key in self._allowed:
            return
        check_access(policy, caller, action, BOX, user=user)
        if len(self._allowed) >= _CACHED_ACCESS:
            self._allowed.clear()
        self._allowed.add(key)

    async def close(self) -> None:
        """Stop asking the issuer."""
        if self.tokens is not None:
            await self.tokens.keys.close()
