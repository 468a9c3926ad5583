"""General requests that an adapter must leave untouched, each with a check that needs no judge.

The list is `sentinels.toml`. The base model does not pass all of it, and need not: a candidate is compared with the
base on the same engine, category by category.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netgpt.errors import SettingsError
from netgpt.gate.marking import degenerate, words_of

__all__ = ["Sentinel", "load_sentinels", "read_sentinels"]

_REFUSAL = re.compile(
    r"\b(?:i (?:can['’]?t|cannot|am unable to|['’]?m unable to|['’]?m not able to|am not able to) "
    r"(?:help|assist|do|answer|provide|fulfil|comply|respond)|as an ai\b|i['’]?m sorry,? but)",
    re.IGNORECASE,
)
_ENGLISH = frozenset(["the", "a", "an", "is", "are", "of", "to", "and", "in", "it", "you", "that", "for", "with", "i"])


class Sentinel(BaseModel):
    """One request and what a sound answer to it must have. Every condition that is given must hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    category: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    ask: str
    system: str | None = None
    max_tokens: int = Field(default=48, ge=1, le=256)
    any: tuple[str, ...] = ()
    """At least one of these words stands in the answer; case is ignored."""
    all: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    regex: str | None = None
    """Searched in the whole answer; case is ignored, a dot takes line ends too."""
    json_keys: tuple[str, ...] | None = None
    """The answer holds a JSON object that parses and has these keys."""
    min_words: int = 1
    max_words: int = 200
    language: Literal["any", "en"] = "any"
    ends: bool = False
    """The answer must come to its end within `max_tokens`."""

    @property
    def body(self) -> dict[str, Any]:
        """The chat body: the most likely answer, so that a model says the same each time."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        messages = [*system, {"role": "user", "content": self.ask}]
        return {"messages": messages, "temperature": 0, "max_tokens": self.max_tokens}

    def passes(self, answer: str, finished: bool = True) -> bool:
        """Whether the answer holds. A refusal and a stuck answer never do."""
        words, text = words_of(answer), answer.lower()
        return (
            self.min_words <= len(words) <= self.max_words
            and not degenerate(answer)
            and not _REFUSAL.search(answer)
            and (finished or not self.ends)
            and self._says(words, text)
            and (self.regex is None or re.search(self.regex, answer, re.IGNORECASE | re.DOTALL) is not None)
            and (self.json_keys is None or _has_keys(answer, self.json_keys))
            and (self.language == "any" or _is_english(words, text))
        )

    def _says(self, words: list[str], text: str) -> bool:
        held = {word: _says(word, words, text) for word in (*self.any, *self.all, *self.none)}
        return (
            (not self.any or any(held[word] for word in self.any))
            and all(held[word] for word in self.all)
            and not any(held[word] for word in self.none)
        )


def load_sentinels() -> tuple[Sentinel, ...]:
    """The shipped list."""
    return read_sentinels((files("netgpt.gate") / "sentinels.toml").read_text(encoding="utf-8"), "sentinels.toml")


def read_sentinels(text: str, name: str) -> tuple[Sentinel, ...]:
    """Read a list: tables `[[sentinel]]`. Raises SettingsError that names the entry and the fault."""
    try:
        rows: list[Mapping[str, Any]] = tomllib.loads(text).get("sentinel", [])
        sentinels = tuple(Sentinel.model_validate(row) for row in rows)
        for each in sentinels:
            re.compile(each.regex or "")
    except (tomllib.TOMLDecodeError, re.error) as error:
        raise SettingsError(f"{name}: {error}") from None
    except ValidationError as error:
        fault = error.errors()[0]
        raise SettingsError(f"{name}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None
    ids = [each.id for each in sentinels]
    twice = next((id for id in ids if ids.count(id) > 1), None)
    if twice is not None:
        raise SettingsError(f"{name}: the id {twice} stands there twice")
    return sentinels


def _says(phrase: str, words: list[str], text: str) -> bool:
    """A word as a word; a phrase of several words, or with signs, as it stands."""
    return phrase.lower() in words if phrase.isalnum() else phrase.lower() in text


def _has_keys(answer: str, keys: tuple[str, ...]) -> bool:
    """The first JSON object in the answer, also between other words or in a code fence."""
    start = answer.find("{")
    if start < 0:
        return False
    try:
        value, _ = json.JSONDecoder().raw_decode(answer[start:])
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and all(key in value for key in keys)


def _is_english(words: list[str], text: str) -> bool:
    """Mostly ASCII letters, and at least one of the commonest words in ten."""
    letters = [sign for sign in text if sign.isalpha()]
    plain = sum(sign.isascii() for sign in letters)
    return bool(letters) and plain >= 0.95 * len(letters) and sum(word in _ENGLISH for word in words) * 10 >= len(words)
