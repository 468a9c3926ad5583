"""Tokens of an identity provider: what is taken, what is refused, and how little the issuer is asked."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from netgpt.errors import AuthenticationError, NetGPTError, PermissionDenied
from netgpt.settings.sections import Oidc
from netgpt.testing.issuer import FakeIssuer
from netgpt.types import Role
from netgpt.web.oidc import MAX_TOKEN, TokenVerifier


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer() as issuer:
        yield issuer


def judge(issuer: FakeIssuer, clock: Clock | None = None, **settings: Any) -> TokenVerifier:
    return TokenVerifier(Oidc(**issuer.settings(**settings)), clock or Clock())


async def settled(tokens: TokenVerifier) -> None:
    """Wait for a reading of keys in the background."""
    while tokens.keys._reading is not None:
        await asyncio.sleep(0.01)


async def refused(tokens: TokenVerifier, token: str) -> AuthenticationError:
    with pytest.raises(AuthenticationError) as caught:
        await tokens.caller(token)
    assert caught.value.status == 401
    for part in token.split("."):
        assert len(part) < 8 or part not in caught.value.message, "the token is never repeated"
    return caught.value


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_right_token_is_its_person(algorithm: str) -> None:
    with FakeIssuer(algorithm) as issuer:
        caller = await judge(issuer).caller(issuer.token(sub="ada"))
    assert (caller.tenant, caller.role, caller.bound_user) == ("local", Role.USER, "ada")
    assert caller.key_id is not None and caller.key_id.startswith("oidc_") and "ada" not in caller.key_id


async def test_claims_name_person_tenant_role_and_groups(issuer: FakeIssuer) -> None:
    tokens = judge(
        issuer, user_claim="email", tenant_claim="org", role_claim="realm_access.roles", groups_claim="groups",
        roles={"staff": "user", "ops": "operator", "root": "admin"},
    )  # fmt: skip
    more: dict[str, Any] = {"email": "ada@x.example", "org": "north", "groups": ["a", "b", 7]}
    caller = await tokens.caller(issuer.token(realm_access={"roles": ["staff", "else"]}, **more))
    assert (caller.tenant, caller.role, caller.bound_user) == ("north", Role.USER, "ada@x.example")
    assert caller.groups == {"a", "b"}
    operator = await tokens.caller(issuer.token(realm_access={"roles": ["staff", "ops"]}, **more))
    assert operator.role is Role.OPERATOR and operator.bound_user is None and operator.key_id is not None
    admin = await tokens.caller(issuer.token(realm_access={"roles": ["ops", "root"]}, **more))
    assert admin.role is Role.ADMIN and admin.bound_user == "ada@x.example"
    with pytest.raises(PermissionDenied, match=r"oidc\.roles"):
        await tokens.caller(issuer.token(realm_access={"roles": ["guest"]}, **more))
    assert (await refused(tokens, issuer.token(realm_access={"roles": ["staff"]}, email="a@x"))).code == "token_refused"


@pytest.mark.parametrize("tenant", ["local", "uid_1000"])
async def test_a_claim_names_none_of_the_boxs_own_tenants(issuer: FakeIssuer, tenant: str) -> None:
    error = await refused(judge(issuer, tenant_claim="org"), issuer.token(org=tenant))
    assert error.code == "token_refused" and "own tenants" in error.message
    assert (await judge(issuer, tenant=tenant).caller(issuer.token(org="north"))).tenant == tenant, "the owner may"


@pytest.mark.parametrize("user", [None, "", " ", 7, ["ada"], "a" * 300, "ada\n", "ada\0", {"a": 1}])
async def test_a_person_without_a_name_is_nobody(issuer: FakeIssuer, user: Any) -> None:
    tokens = judge(issuer, user_claim="name")
    assert "name" in (await refused(tokens, issuer.token(name=user))).message


@pytest.mark.parametrize(  # a day ahead: these times are of the moment of collection, long before the test's turn
    ("claims", "expected"),
    [
        ({"exp": time.time() - 60}, "expired"),
        ({"nbf": time.time() + 86_400}, "not valid yet"),
        ({"iat": time.time() + 86_400}, "not valid yet"),
        ({"aud": "another"}, "another service"),
        ({"aud": ["another", "third"]}, "another service"),
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"exp": time.time() + 10 * 365 * 86_400}, "good for too long"),
        ({"iat": 0}, "good for too long"),
        ({"exp": 10**400}, "good for too long"),
        ({"exp": None}, "lacks one of"),
        ({"iat": None}, "lacks one of"),
        ({"aud": None}, "lacks one of"),
        ({"iss": None}, "lacks one of"),
    ],
)
async def test_wrong_claims(issuer: FakeIssuer, claims: dict[str, Any], expected: str) -> None:
    error = await refused(judge(issuer), issuer.token(**claims))
    assert expected in error.message and error.code == "token_refused"


async def test_clocks_may_differ_a_little(issuer: FakeIssuer) -> None:
    now = time.time()
    assert await judge(issuer).caller(issuer.token(exp=now - 10, iat=now - 300, nbf=now - 300))
    assert await judge(issuer).caller(issuer.token(nbf=now + 10, iat=now + 10))
    assert "expired" in (await refused(judge(issuer, leeway_s=0), issuer.token(exp=now - 10))).message


async def test_how_long_a_token_may_be_good_is_a_setting(issuer: FakeIssuer) -> None:
    tokens = judge(issuer, max_lifetime_s=600)
    assert await tokens.caller(issuer.token(exp=time.time() + 500))
    assert "good for too long" in (await refused(tokens, issuer.token(exp=time.time() + 700))).message


async def test_nothing_unsigned_is_taken(issuer: FakeIssuer) -> None:
    tokens, claims = judge(issuer), issuer.claims()
    public = issuer.keys["first"][1].public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    stranger = rsa.generate_private_key(65537, 2048)
    right = issuer.token()
    head, body, signature = right.split(".")
    forged = [
        f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}.",
        f"{part({'alg': 'None', 'kid': 'first'})}.{part(claims)}.",
        f"{part({'alg': 'none', 'kid': 'first'})}.{part(claims)}.{signature}",
        _signed_with_public_key(claims, pem),
        jwt.encode(claims, stranger, "RS256", headers={"kid": "first"}),
        jwt.encode(claims, stranger, "PS256", headers={"kid": "first"}),  # not one of the settings
        f"{head}.{part({**claims, 'sub': 'bob'})}.{signature}",
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{body}.",
        "..", "a.b.c", f"{'x' * 50}.{'y' * 50}.{'z' * 50}", f"{part([1])}.{part(claims)}.{signature}",
        f"{part({'alg': ['RS256'], 'kid': 'first'})}.{body}.{signature}",
        f"{part({'alg': 'RS256', 'kid': 'first', 'crit': ['x']})}.{body}.{signature}",
        f"{part({'alg': 'RS256', 'kid': 7})}.{body}.{signature}",
    ]  # fmt: skip
    for token in forged:
        assert (await refused(tokens, token)).code == "invalid_token", token
    assert await tokens.caller(right)


def _signed_with_public_key(claims: dict[str, Any], pem: bytes) -> str:
    """HS256 with the published key as the shared secret: the old confusion. The library refuses to make one."""
    import hashlib
    import hmac

    signed = f"{part({'alg': 'HS256', 'kid': 'first'})}.{part(claims)}"
    mac = hmac.new(pem, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


async def test_where_a_token_says_its_keys_are_is_not_read(issuer: FakeIssuer) -> None:
    with FakeIssuer() as evil:
        tokens = judge(issuer)
        evil.keys = {"evil": evil.keys["first"]}
        for headers in (
            {"jku": f"{evil.issuer}/keys"},
            {"x5u": f"{evil.issuer}/keys"},
            {"jwk": evil.jwks()["keys"][0]},
            {"x5c": ["AAAA"]},
            {"kid": f"{evil.issuer}/keys"},
            {"kid": "../../../../dev/null"},
            {"kid": "' UNION SELECT 'x"},
            {"kid": "first"},
        ):
            token = evil.token(headers=headers, iss=issuer.issuer)
            assert (await refused(tokens, token)).code == "invalid_token"
        assert evil.asked == []


async def test_a_huge_token_is_refused_unread(issuer: FakeIssuer) -> None:
    error = await refused(judge(issuer), issuer.token(padding="x" * MAX_TOKEN))
    assert str(MAX_TOKEN) in error.message and issuer.asked == []


async def test_keys_rotate_and_unknown_ones_ask_rarely(issuer: FakeIssuer) -> None:
    clock = Clock()
    tokens = judge(issuer, clock, refresh_s=30)
    await tokens.caller(issuer.token())
    assert len(issuer.asked) == 2  # discovery and keys
    clock.now += 31
    old = issuer.token()
    issuer.add_key("second", "ES256")
    assert (await tokens.caller(issuer.token(sub="bob"))).bound_user == "bob"
    assert len(issuer.asked) == 4
    stranger = FakeIssuer()
    for number in range(50):  # unknown ids ask nothing within refresh_s
        forged = stranger.token(headers={"kid": f"k{number}"}, iss=issuer.issuer)
        assert (await refused(tokens, forged)).code == "invalid_token"
    assert len(issuer.asked) == 4
    del issuer.keys["first"]
    clock.now += 301  # old keys are read anew after cache_s, in the background
    await tokens.caller(issuer.token(sub="carl"))
    await settled(tokens)
    assert (await refused(tokens, old)).code == "invalid_token", "a withdrawn key vouches for nothing any more"


async def test_old_keys_serve_while_the_issuer_is_down_but_not_for_ever(issuer: FakeIssuer) -> None:
    clock = Clock()
    tokens = judge(issuer, clock, cache_s=300, stale_s=600)
    await tokens.caller(issuer.token())
    issuer.down = True
    for _ in range(2):
        clock.now += 400
        await tokens.caller(issuer.token(jti=str(clock.now)))
        await settled(tokens)
    asked = len(issuer.asked)
    clock.now += 400
    for _ in range(5):
        with pytest.raises(NetGPTError) as caught:
            await tokens.caller(issuer.token())
        assert caught.value.status == 503 and caught.value.code == "issuer_unavailable"
    assert len(issuer.asked) == asked + 1, "one try, however many wait"
    issuer.down = False
    clock.now += 31
    await tokens.caller(issuer.token())


async def test_an_issuer_that_was_never_there(issuer: FakeIssuer) -> None:
    issuer.stop()
    with pytest.raises(NetGPTError, match="cannot be reached") as caught:
        await judge(issuer).caller(issuer.token())
    assert caught.value.status == 503


async def test_many_at_once_ask_once(issuer: FakeIssuer) -> None:
    tokens = judge(issuer)
    callers = await asyncio.gather(*(tokens.caller(issuer.token(sub=f"p{n}")) for n in range(20)))
    assert {caller.bound_user for caller in callers} == {f"p{n}" for n in range(20)}
    assert len(issuer.asked) == 2


@pytest.mark.parametrize(
    "documents",
    [
        {"/.well-known/openid-configuration": {"issuer": "https://evil.example", "jwks_uri": "/keys"}},
        {"/.well-known/openid-configuration": {"issuer": "SELF", "jwks_uri": "https://evil.example/keys"}},
        {"/.well-known/openid-configuration": {"issuer": "SELF"}},
        {"/.well-known/openid-configuration": ["no object"]},
        {"/keys": {"keys": "none"}},
        {"/keys": {"keys": []}},
        {"/keys": {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "first", "alg": "HS256"}]}},
        {"/keys": {"keys": [{"kty": "RSA", "kid": "first"}, "x", None]}},
    ],
)
async def test_an_issuer_that_says_wrong_things_is_not_believed(issuer: FakeIssuer, documents: Any) -> None:
    for path, document in documents.items():
        text = json.dumps(document).replace("SELF", issuer.issuer)
        issuer.documents[path] = text.encode()
    with pytest.raises(NetGPTError) as caught:
        await judge(issuer).caller(issuer.token())
    assert caught.value.status == 503


async def test_a_named_address_of_keys_needs_no_discovery(issuer: FakeIssuer) -> None:
    await judge(issuer, jwks_url=f"{issuer.issuer}/keys").caller(issuer.token())
    assert issuer.asked == ["/keys"]


async def test_a_good_token_is_judged_once(issuer: FakeIssuer) -> None:
    clock = Clock()
    tokens = judge(issuer, clock)
    token = issuer.token()
    assert await tokens.caller(token) is await tokens.caller(token)
    clock.now += 61
    assert await tokens.caller(token)


@pytest.mark.parametrize(
    "settings",
    [
        {"issuer": "https://x.example"},
        {"audience": "netgpt"},
        {"issuer": "http://x.example", "audience": "a"},
        {"issuer": "https://x.example", "audience": "a", "algorithms": ("HS256",)},
        {"issuer": "https://x.example", "audience": "a", "algorithms": ("none",)},
        {"issuer": "https://x.example", "audience": "a", "algorithms": ()},
        {"issuer": "https://x.example", "audience": "a", "jwks_url": "http://y.example/keys"},
        {"issuer": "https://x.example", "audience": "a", "role_claim": "roles"},
    ],
)
def test_settings_that_would_let_anybody_in_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"oidc|Oidc|algorithm|audience|issuer|https|roles"):
        Oidc(**settings)
