"""Bearer tokens of an identity provider (OpenID Connect, RFC 7519, RFC 8725): who the token proves its bearer to be.

The settings pin issuer, audience and signatures; a token decides none of them. Refusals never repeat a token.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

import jwt

from netgpt.errors import AuthenticationError, PermissionDenied
from netgpt.settings import Oidc
from netgpt.store.limits import token_id
from netgpt.types import Caller, Person, Role
from netgpt.web.access import UNSIGNED
from netgpt.web.jwks import KeySet, certificates

__all__ = ["MAX_TOKEN", "TokenVerifier"]

MAX_TOKEN: Final = 8_192
"""Characters; a longer token is refused unread."""
_REMEMBERED: Final = 1_000
_REMEMBERED_S: Final = 60.0
"""A token that was good is taken as good for this long, unless it expires or the issuer's keys change."""
_MAX_NAME: Final = 256
_MAX_GROUPS: Final = 200


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

        Raises AuthenticationError: `UNSIGNED` (nobody vouches for it), or `token_refused` (the issuer's own, but not
        one that opens this box now). PermissionDenied: no role here. NetGPTError (503): the issuer is down.
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
        self._good[digest] = (self._clock() + min(left_s, _REMEMBERED_S), self.keys.version, caller)
        while len(self._good) > _REMEMBERED:
            self._good.popitem(last=False)
        return caller

    async def close(self) -> None:
        """Stop asking the issuer."""
        await self.keys.close()

    async def _claims(self, token: str) -> Mapping[str, Any]:
        settings = self._settings
        algorithm, id = self._header(token)
        key = await self.keys.find(id, algorithm)
        if key is None:
            raise _unsigned("this token was signed with a key that its issuer does not have")
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                issuer=settings.issuer,
                audience=settings.audience,
                leeway=settings.leeway_s,
                options={"require": ["exp", "iat", "iss", "aud"]},
            )
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
