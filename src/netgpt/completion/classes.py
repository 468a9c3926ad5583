"""What a request can be about: the closed list of words that the adapter `complete` answers with."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

from netgpt.types import Message

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TASK", "classes", "conversation", "plain"]

TASK = "Topic?"
"""The whole instruction: the adapter has learnt the rest, and each token of a prompt costs time."""
_LONGEST = 300
"""Characters of a request that are looked at; terse requests are far below."""


@cache
def classes() -> Mapping[str, frozenset[str]]:
    """Each class, one token of the bundled model, and the kinds of facts that help with such requests."""
    text = resources.files("netgpt.completion").joinpath("classes.toml").read_text(encoding="utf-8")
    return MappingProxyType({name: frozenset(kinds) for name, kinds in tomllib.loads(text).items()})


def plain(request: str) -> str:
    """The request as the adapter reads it: small letters, single blanks, no mark at the end."""
    return " ".join(request.split()).lower()[:_LONGEST].rstrip(" .?!")


def conversation(request: str) -> tuple[Message, ...]:
    """The messages whose answer is one class; training and asking share them."""
    return {"role": "system", "content": TASK}, {"role": "user", "content": plain(request)}
