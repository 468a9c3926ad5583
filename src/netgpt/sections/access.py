"""The sections of who gets in: tokens of an identity provider, and what guessing meets. Read by `settings.py`."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from netgpt.sections.base import Section
from netgpt.types import Role

__all__ = ["Addresses", "LockoutSettings", "Oidc"]


def _listed(value: Any) -> Any:
    """The environment has no lists: there, values are joined by commas."""
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


def _paired(value: Any) -> Any:
    """Nor has it tables: there, `staff=user,ops=operator`."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.split(",")]
    return {name.strip(): word.strip() for name, _, word in pairs}


def _networks(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            ipaddress.ip_network(value)
        except ValueError:
            raise ValueError('must be addresses or networks, such as ["10.0.0.7", "192.168.1.0/24"]') from None
    return values


def _issuer(value: str | None) -> str | None:
    """HTTPS, as OpenID Connect demands; plain HTTP only to this very machine."""
    if value is None or re.match(r"https://[^/\s?#]+[^\s?#]*$", value):
        return value
    parts = urlsplit(value)
    if parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1"):
        return value
    raise ValueError('must be an https address, such as "https://login.example/realms/site"')


Addresses = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_networks)]
Issuer = Annotated[str | None, AfterValidator(_issuer)]
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures with a public key. Those with a shared secret (HS*) and `none` are not on offer."""


class Oidc(Section):
    """Bearer tokens of an identity provider (OpenID Connect), beside keys. No `issuer`: none are taken."""

    issuer: Issuer = Field(None, description="Must equal the tokens' `iss`, to the letter.")
    audience: str | None = Field(None, description="Must be among the tokens' `aud`. Needed with `issuer`.")
    jwks_url: Issuer = Field(
        None, description="Where the issuer's keys are; else its discovery document says so, on its own host."
    )
    algorithms: Annotated[tuple[Algorithm, ...], BeforeValidator(_listed)] = Field(
        ("RS256", "ES256"), min_length=1, description="Signatures accepted; public-key ones only."
    )
    ca_file: Path | None = Field(None, description="The issuer's certificate authority (PEM); else the system's.")
    user_claim: str = Field("sub", min_length=1, description="The claim that names the person.")
    tenant: str = Field("local", min_length=1, description="The tenant of all token users, without `tenant_claim`.")
    tenant_claim: str | None = Field(None, description="The claim that names the tenant.")
    role_claim: str | None = Field(
        None, description='The claim looked up in `roles`; dots go deeper ("realm_access.roles"). None: all are users.'
    )
    roles: Annotated[dict[str, Role], BeforeValidator(_paired)] = Field(
        {}, description='Such as {"netgpt-ops" = "operator", "staff" = "user"}; no match: no entry.'
    )
    groups_claim: str | None = Field(None, description="The claim with the person's groups, for the policy.")
    leeway_s: float = Field(30.0, ge=0, le=300, description="Clocks may differ by this many seconds.")
    cache_s: float = Field(300.0, gt=0, description="The issuer's keys are read again after this, in seconds.")
    refresh_s: float = Field(30.0, ge=0, description="And at most this often, whatever tokens say.")
    stale_s: float = Field(3600.0, ge=0, description="Keys known are used this long while the issuer is down.")
    requests_per_minute: int | None = Field(None, ge=1, description="Of each person who comes with a token.")
    tokens_per_minute: int | None = Field(None, ge=1, description="Of each person who comes with a token.")
    tokens_per_day: int | None = Field(None, ge=1, description="Of each such person and day (UTC).")
    cost_per_day: float | None = Field(
        None, gt=0, description="Money, by `cloud.price_*`; of each person and day (UTC)."
    )
    cost_per_month: float | None = Field(None, gt=0, description="Money; of each person and month (UTC).")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.issuer is not None and self.audience is None:
            raise ValueError("audience is needed with issuer: else tokens made for other services would open the box")
        if self.issuer is None and (self.audience or self.jwks_url):
            raise ValueError("issuer is needed: whose tokens are taken?")
        if self.role_claim is not None and not self.roles:
            raise ValueError("roles is needed with role_claim: which value makes whom")
        return self


class LockoutSettings(Section):
    """What guessing keys meets. Keys that worked from an address before go on working from there."""

    failures: int = Field(20, ge=1, description="Wrong keys from one address, or with one beginning, that lock it.")
    window_s: float = Field(60.0, gt=0, description="Within this many seconds.")
    first_s: float = Field(5.0, gt=0, description="The first lock, in seconds; each further one is twice as long.")
    longest_s: float = Field(900.0, gt=0, description="No lock is longer.")
