"""Scopes: what a key may be used for. The first word of a path tells which one a request needs."""

from __future__ import annotations

from typing import Final

from netgpt.errors import RequestError

__all__ = ["SCOPES", "check_scopes", "scope_of"]

_SCOPE_OF: Final = {
    "chat": "chat",
    "waiting": "chat",
    "models": "models",
    "embeddings": "embeddings",
    "profiles": "profiles",
    "consents": "profiles",
    "exchanges": "exchanges",
    "feedback": "exchanges",
    "receipts": "receipts",
    "adapters": "adapters",
    "places": "places",
    "policy": "policy",
    "signals": "signals",
}
SCOPES: Final = tuple(dict.fromkeys(_SCOPE_OF.values()))


def scope_of(path: str) -> str:
    """The scope that a path under /v1 needs; a path that nobody has put into the table needs a scope of its own name,
    which no key has: a key with scopes cannot reach it."""
    word = path.removeprefix("/v1/").partition("/")[0]
    return _SCOPE_OF.get(word, word)


def check_scopes(names: list[str]) -> tuple[str, ...] | None:
    """The scopes in their usual order; None for none named. Raises RequestError."""
    for name in names:
        if name not in SCOPES:
            raise RequestError(f'no scope "{name}"; the scopes are {", ".join(SCOPES)}', param="scope")
    return tuple(name for name in SCOPES if name in names) or None
