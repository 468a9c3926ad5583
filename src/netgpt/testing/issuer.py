"""A small identity provider on loopback, for tests and trials: real keys, real tokens, and every fault on demand."""

from __future__ import annotations

import time
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from netgpt.testing.server import Connection, FakeHttp, ReceivedRequest

AUDIENCE = "netgpt"
_JWKS = "/keys"
_DISCOVERY = "/.well-known/openid-configuration"


class FakeIssuer(FakeHttp):
    """`with FakeIssuer() as issuer: issuer.token(sub="ada")`. Signs with the key added last by default."""

    def __init__(self, algorithm: str = "RS256") -> None:
        super().__init__()
        self.keys: dict[str, tuple[str, Any]] = {}
        """Id of each key, with its signature's name and the private key. Published in this order."""
        self.documents: dict[str, bytes] = {}
        """What to answer at a path, in the place of the right thing."""
        self.down = False
        """Answer 503 to everything."""
        self.asked: list[str] = []
        """Paths asked for so far."""
        self.add_key("first", algorithm)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def settings(self, **more: Any) -> dict[str, Any]:
        """The section `[oidc]` that takes this issuer's tokens."""
        return {"issuer": self.issuer, "audience": AUDIENCE, "algorithms": ("RS256", "ES256", "EdDSA"), **more}

    def add_key(self, id: str, algorithm: str = "RS256") -> None:
        """Make a key and publish it."""
        makers = {
            "RS": lambda: rsa.generate_private_key(65537, 2048),
            "PS": lambda: rsa.generate_private_key(65537, 2048),
            "ES": lambda: ec.generate_private_key(ec.SECP256R1()),
            "Ed": ed25519.Ed25519PrivateKey.generate,
        }
        self.keys[id] = (algorithm, makers[algorithm[:2]]())

    def claims(self, **more: Any) -> dict[str, Any]:
        """Right claims for a person `sub`; `more` adds to them, None takes one away."""
        now = int(time.time())
        right = {"iss": self.issuer, "aud": AUDIENCE, "sub": "ada", "iat": now, "nbf": now, "exp": now + 300}
        return {name: value for name, value in {**right, **more}.items() if value is not None}

    def token(self, *, key: str | None = None, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """A signed token. `key`: which one signs, else the last; `headers` go over the right ones."""
        id = key or next(reversed(self.keys))
        algorithm, private = self.keys[id]
        return jwt.encode(self.claims(**claims), private, algorithm, headers={"kid": id, **(headers or {})})

    def jwks(self) -> dict[str, Any]:
        """The document of public keys."""
        return {"keys": [self._public(id) for id in self.keys]}

    def _public(self, id: str) -> dict[str, Any]:
        algorithm, private = self.keys[id]
        kinds: dict[str, Any] = {"RS": RSAAlgorithm, "PS": RSAAlgorithm, "ES": ECAlgorithm, "Ed": OKPAlgorithm}
        public = kinds[algorithm[:2]].to_jwk(private.public_key(), as_dict=True)
        return {**public, "kid": id, "use": "sig", "alg": algorithm}

    async def serve(self, request: ReceivedRequest, connection: Connection) -> None:
        self.asked.append(request.path)
        if self.down:
            connection.answer(503, b"{}")
            return
        right = {
            _DISCOVERY: orjson.dumps({"issuer": self.issuer, "jwks_uri": self.issuer + _JWKS}),
            _JWKS: orjson.dumps(self.jwks()),
        }
        body = self.documents.get(request.path, right.get(request.path))
        connection.answer(200 if body is not None else 404, body or b"{}")
